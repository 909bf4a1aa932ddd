# dnsgate for a VPC that is there already: two machines behind a load balancer, with the module's own configuration, and not
# in force yet.

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
  network      = var.network
  subnetwork   = var.subnetwork
  source_image = var.source_image
  activate     = var.activate
}

output "address" {
  description = "Ask this address: dig @ADDRESS storage.googleapis.com, on a machine of the VPC that may."
  value       = module.dnsgate.address
}
