# The switch: with the policy every query of the VPC goes to dnsgate, and Cloud DNS uses no private zone any more.

resource "google_dns_policy" "dnsgate" {
  count = var.activate ? 1 : 0

  project                   = local.network_project
  name                      = var.name
  description               = "DNS by dnsgate. To roll back, apply with activate = false."
  enable_inbound_forwarding = false
  enable_logging            = var.enable_query_logging

  alternative_name_server_config {
    target_name_servers {
      ipv4_address    = local.address
      forwarding_path = "private"
    }
  }

  networks {
    network_url = var.network
  }

  # In force only when the machines are there, and gone before they are.
  depends_on = [
    google_compute_forwarding_rule.dnsgate,
    google_compute_firewall.queries,
    google_compute_region_instance_group_manager.dnsgate,
  ]
}

resource "google_dns_managed_zone" "fallback" {
  count = var.create_fallback_zone ? 1 : 0

  project     = local.network_project
  name        = "${var.name}-fallback"
  description = "Google APIs by the restricted VIP, for as long as dnsgate is not in force."
  dns_name    = "googleapis.com."
  visibility  = "private"
  labels      = var.labels

  private_visibility_config {
    networks {
      network_url = var.network
    }
  }
}

resource "google_dns_record_set" "fallback_address" {
  count = var.create_fallback_zone ? 1 : 0

  project      = local.network_project
  managed_zone = google_dns_managed_zone.fallback[0].name
  name         = "restricted.googleapis.com."
  type         = "A"
  ttl          = 300
  rrdatas      = ["199.36.153.4", "199.36.153.5", "199.36.153.6", "199.36.153.7"]
}

resource "google_dns_record_set" "fallback_alias" {
  count = var.create_fallback_zone ? 1 : 0

  project      = local.network_project
  managed_zone = google_dns_managed_zone.fallback[0].name
  name         = "*.googleapis.com."
  type         = "CNAME"
  ttl          = 300
  rrdatas      = ["restricted.googleapis.com."]
}
