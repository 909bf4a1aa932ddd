output "address" {
  description = "The load balancer's address: what a DNS server policy, a forwarding zone or a resolv.conf names."
  value       = local.address
}

output "instance_group" {
  description = "The self link of the group of machines."
  value       = google_compute_region_instance_group_manager.dnsgate.instance_group
}

output "instance_template" {
  description = "The id of the machines' template. It changes with each configuration."
  value       = google_compute_region_instance_template.dnsgate.id
}

output "backend_service" {
  description = "The id of the load balancer's backend service, for `gcloud compute backend-services get-health`."
  value       = google_compute_region_backend_service.dnsgate.id
}

output "service_account_email" {
  description = "The machines' service account."
  value       = local.service_account_email
}

output "config_sha256" {
  description = "SHA-256 of the configuration and its files as they were given."
  value       = local.config_sha256
}

output "active" {
  description = "Whether the DNS server policy is in force."
  value       = var.activate
}

output "verify_command" {
  description = "Proves, on a machine of the VPC, that dnsgate answers: run it before activate is set."
  value       = "dnsgate verify --server ${local.address} --config dnsgate.yaml"
}
