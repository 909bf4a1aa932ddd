# A network without a way out: no default route, no Cloud NAT, and a firewall that denies what is left.

resource "google_compute_network" "vpc" {
  name                            = var.name
  auto_create_subnetworks         = false
  delete_default_routes_on_create = true
}

resource "google_compute_subnetwork" "subnet" {
  name                     = var.name
  region                   = var.region
  network                  = google_compute_network.vpc.id
  ip_cidr_range            = var.subnet_range
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
    flow_sampling        = 1 # a connection that tries to leave is what one wants to see
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "deny_egress" {
  name               = "${var.name}-deny-egress"
  description        = "Nothing leaves. Rules with a smaller number make the exceptions."
  network            = google_compute_network.vpc.id
  direction          = "EGRESS"
  priority           = 65000
  destination_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "allow_restricted_vip" {
  name               = "${var.name}-restricted-vip"
  description        = "The restricted VIP, for workloads."
  network            = google_compute_network.vpc.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = ["199.36.153.4/30"]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

# For the time before `activate`: a machine asks the load balancer itself.
resource "google_compute_firewall" "try_dnsgate" {
  count = var.activate ? 0 : 1

  name               = "${var.name}-try-dnsgate"
  description        = "Direct questions to dnsgate, until it is in force."
  network            = google_compute_network.vpc.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = ["${var.dnsgate_address}/32"]

  allow {
    protocol = "udp"
    ports    = ["53"]
  }
  allow {
    protocol = "tcp"
    ports    = ["53"]
  }
}
