"""Who is where in the VPC: addresses and names that more than one part of the test knows.

The addresses are the real ones, since dnsgate, the firewall and the clients know them by value. Nothing here has a link
to the outside, so nobody else ever sees them.
"""

BALANCER = "10.0.0.53"  # what the server policy names as its target
GATE = "10.0.2.2"  # the machine behind the balancer
WORKLOAD = "10.0.1.2"
CLOUD_DNS = "35.199.192.2"  # of the range that Cloud DNS forwards from
METADATA = "169.254.169.254"  # a workload's resolver, and its metadata server
VIPS = [f"199.36.153.{last}" for last in range(4, 8)]
WEBSITE = "93.184.215.14"
RESOLVERS = ["8.8.8.8", "1.1.1.1", "9.9.9.9"]

OPEN_RESOLVER = "8.8.4.4"  # a second name server that a control names; the internet answers there
LITERALS = ["140.82.112.3", "151.101.1.140", "104.16.132.229"]  # those of dnsgate verify
WEBSITE_URL = "https://www.example.com/"
BUCKET = "dnsgate-e2e"
OBJECTS = [f"reports/2026-11-{day:02}.csv" for day in range(1, 26)]
PAGE = 10  # objects a page, whatever the client asks for
TOKEN = "token-of-the-workloads-service-account"
PROJECT = "dnsgate-e2e"
