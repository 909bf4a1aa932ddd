# An allowlist: Google APIs by the restricted VIP, a list of other names by a public resolver over TLS, and nothing else. The
# program runs as a container.

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

  project_id      = var.project_id
  region          = var.region
  network         = var.network
  subnetwork      = var.subnetwork
  container_image = var.container_image
  activate        = var.activate

  config       = file("${path.module}/dnsgate.yaml")
  config_files = { "lists/build.txt" = file("${path.module}/lists/build.txt") }

  # The firewall lets the machines ask the upstreams of dnsgate.yaml. They also need a way there: a Cloud NAT and a default
  # route, which this example expects in the VPC.
  allow_upstream_egress = ["8.8.8.8/32", "8.8.4.4/32"]

  # Prometheus' subnet, and the one of the machines that try dnsgate.
  admin_source_ranges  = var.admin_source_ranges
  client_source_ranges = var.admin_source_ranges

  enable_query_logging = true
  create_fallback_zone = true
}

output "address" {
  description = "The load balancer's address."
  value       = module.dnsgate.address
}
