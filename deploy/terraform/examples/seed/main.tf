# The whole of docs/seed-walkthrough.md: a function that may list a bucket and reach nothing else, in a VPC of its own without
# a way out, with dnsgate as its only resolver.

terraform {
  required_version = ">= 1.4"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

module "dnsgate" {
  source = "../.."

  project_id   = var.project_id
  region       = var.region
  network      = google_compute_network.vpc.id
  subnetwork   = google_compute_subnetwork.subnet.id
  source_image = var.source_image
  activate     = var.activate
  address      = var.dnsgate_address

  # The probe asks the load balancer directly before dnsgate is in force.
  client_source_ranges = [var.subnet_range]

  # Cloud DNS's own log names the machine that asked; dnsgate's log has the verdict.
  enable_query_logging = true

  depends_on = [google_compute_firewall.deny_egress, google_compute_firewall.allow_restricted_vip]
}
