"""The VPC's firewall, as it stands between the workload and everything else.

A rule of the real one is applied outside of the machine that it holds, so these are the router's. They name the workload
by its link alone: whatever address it takes, they hold it.
"""

from plan import METADATA, VIPS

# Cloud DNS and the metadata server are what no firewall of a VPC can forbid. The rest is the egress rules:
# one allows the restricted VIP, one denies all.
CLOSED = f"""
table inet vpc {{
    chain egress {{
        type filter hook forward priority filter; policy accept
        iifname != "workload" accept
        ip daddr {METADATA} udp dport 53 accept
        ip daddr {METADATA} tcp dport {{ 53, 80 }} accept
        ip daddr {VIPS[0]}/30 tcp dport 443 accept
        drop
    }}
}}
"""

OPEN = ""
