# An internal passthrough load balancer: one address for UDP and TCP. Packets reach the machines unchanged.

resource "google_compute_address" "dnsgate" {
  count = var.address == null ? 1 : 0

  project      = var.project_id
  region       = var.region
  name         = var.name
  description  = "Where dnsgate is asked."
  address_type = "INTERNAL"
  purpose      = "GCE_ENDPOINT"
  subnetwork   = var.subnetwork
  labels       = var.labels
}

locals {
  address = var.address == null ? google_compute_address.dnsgate[0].address : var.address
}

# Whether a machine gets queries: the configuration is loaded and a query was answered over UDP. A machine that is stopped
# says no at once; `limits.drain` of the configuration must be longer than it takes to believe it, which is 2 × 2 s.
resource "google_compute_region_health_check" "ready" {
  project             = var.project_id
  region              = var.region
  name                = "${var.name}-ready"
  description         = "Sends queries to machines that are ready."
  check_interval_sec  = 2
  timeout_sec         = 2
  healthy_threshold   = 1
  unhealthy_threshold = 2

  http_health_check {
    port         = 9153
    request_path = "/readyz"
  }
}

resource "google_compute_region_backend_service" "dnsgate" {
  project               = var.project_id
  region                = var.region
  name                  = var.name
  load_balancing_scheme = "INTERNAL"
  protocol              = "UNSPECIFIED" # what a rule for L3_DEFAULT demands
  health_checks         = [google_compute_region_health_check.ready.id]

  # 5-tuple hashing. A UDP flow leaves a machine that is not ready; a TCP connection stays, and is answered until it drains.
  session_affinity                = "NONE"
  connection_draining_timeout_sec = 30

  backend {
    group          = google_compute_region_instance_group_manager.dnsgate.instance_group
    balancing_mode = "CONNECTION"
  }
}

# L3_DEFAULT is UDP and TCP by one rule, on all ports; the firewall lets port 53 through.
resource "google_compute_forwarding_rule" "dnsgate" {
  project               = var.project_id
  region                = var.region
  name                  = var.name
  load_balancing_scheme = "INTERNAL"
  ip_protocol           = "L3_DEFAULT"
  all_ports             = true
  ip_address            = local.address
  network               = var.network
  subnetwork            = var.subnetwork
  backend_service       = google_compute_region_backend_service.dnsgate.id
  allow_global_access   = true # Cloud DNS asks from the regions of its clients
  labels                = var.labels
}
