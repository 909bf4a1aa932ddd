output "dnsgate_address" {
  description = "The load balancer's address."
  value       = module.dnsgate.address
}

output "verify_before" {
  description = "Run this on a machine of the subnet before activate is set."
  value       = "${module.dnsgate.verify_command} --bucket ${google_storage_bucket.data.name}"
}

output "verify_after" {
  description = "Run this after activate is set: it proves the set-up from where the function runs."
  value       = "gcloud run jobs execute ${google_cloud_run_v2_job.verify.name} --region=${var.region} --wait"
}
