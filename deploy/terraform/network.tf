# Who may reach the machines, and what they may reach.

resource "google_compute_firewall" "queries" {
  project       = local.network_project
  name          = "${var.name}-queries"
  description   = "Queries to dnsgate: from Cloud DNS, and from networks that ask directly."
  network       = var.network
  direction     = "INGRESS"
  source_ranges = concat(["35.199.192.0/19"], var.client_source_ranges)
  target_tags   = [var.name]

  allow {
    protocol = "udp"
    ports    = ["53"]
  }
  allow {
    protocol = "tcp"
    ports    = ["53"]
  }
}

resource "google_compute_firewall" "health" {
  project       = local.network_project
  name          = "${var.name}-health"
  description   = "Google's health checks of dnsgate."
  network       = var.network
  direction     = "INGRESS"
  source_ranges = ["35.191.0.0/16", "130.211.0.0/22"]
  target_tags   = [var.name]

  allow {
    protocol = "tcp"
    ports    = ["9153"]
  }
}

resource "google_compute_firewall" "admin" {
  count = length(var.admin_source_ranges) == 0 ? 0 : 1

  project       = local.network_project
  name          = "${var.name}-admin"
  description   = "dnsgate's metrics and admin pages, for those who operate it."
  network       = var.network
  direction     = "INGRESS"
  source_ranges = var.admin_source_ranges
  target_tags   = [var.name]

  allow {
    protocol = "tcp"
    ports    = ["9153"]
  }
}

resource "google_compute_firewall" "restricted_vip" {
  project            = local.network_project
  name               = "${var.name}-restricted-vip"
  description        = "Logs, metrics and the configuration of dnsgate's machines go by the restricted VIP, also where egress is denied."
  network            = var.network
  direction          = "EGRESS"
  destination_ranges = [local.restricted_vip]
  target_tags        = [var.name]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

resource "google_compute_firewall" "upstreams" {
  count = length(var.allow_upstream_egress) == 0 ? 0 : 1

  project            = local.network_project
  name               = "${var.name}-upstreams"
  description        = "The upstreams that dnsgate forwards allowed names to."
  network            = var.network
  direction          = "EGRESS"
  destination_ranges = var.allow_upstream_egress
  target_tags        = [var.name]

  allow {
    protocol = "udp"
    ports    = ["53"]
  }
  allow {
    protocol = "tcp"
    ports    = ["53", "443", "853"]
  }
}

resource "google_compute_route" "restricted_vip" {
  count = var.create_restricted_route ? 1 : 0

  project          = local.network_project
  name             = "${var.name}-restricted-vip"
  description      = "The restricted VIP. The next hop's name is misleading: packets stay inside Google's network."
  network          = var.network
  dest_range       = local.restricted_vip
  next_hop_gateway = "default-internet-gateway"
  priority         = 1000
}
