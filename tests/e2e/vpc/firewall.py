"""The VPC's firewall, as it stands between the workload and everything else.

A rule of the real one is applied outside of the machine that it holds, so these are the router's. They name the workload
by its link alone: whatever address it takes, they hold it.
"""

from plan import METADATA, VIPS, WEBSITE


def egress(*allowed):
    """The rules that let the workload out to these, and drop the rest. Cloud DNS and the metadata server need none: no
    firewall of a VPC stands before them."""
    allow = "\n        ".join(f"ip daddr {address} tcp dport 443 accept" for address in allowed)
    return f"""
table inet vpc {{
    chain egress {{
        type filter hook forward priority filter; policy accept
        iifname != "workload" accept
        ip daddr {METADATA} udp dport 53 accept
        ip daddr {METADATA} tcp dport {{ 53, 80 }} accept
        {allow}
        drop
    }}
}}
"""


def gap(rule):
    """The closed firewall with one more rule: the gap."""
    return CLOSED.replace("        drop\n", f"        {rule} accept\n        drop\n")


CLOSED = egress(f"{VIPS[0]}/30")
WEBSITE_TOO = egress(f"{VIPS[0]}/30", WEBSITE)
OPEN = ""
