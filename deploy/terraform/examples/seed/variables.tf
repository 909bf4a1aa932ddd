variable "project_id" {
  description = "The project. One that may break, when you do this for the first time."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
  default     = "europe-west3"
}

variable "name" {
  description = "The beginning of the names of what this example makes."
  type        = string
  default     = "seed"
}

variable "subnet_range" {
  description = "The subnet's range."
  type        = string
  default     = "10.0.0.0/24"
}

variable "dnsgate_address" {
  description = "The load balancer's address, in the subnet."
  type        = string
  default     = "10.0.0.53"
}

variable "bucket" {
  description = "The name of the bucket that the function lists. Names of buckets are unique in the world."
  type        = string
}

variable "source_image" {
  description = "An image with dnsgate's package, as the module's README makes it."
  type        = string
}

variable "container_image" {
  description = "dnsgate's container image by its digest, for the job that verifies."
  type        = string
}

variable "function_image" {
  description = "The function as an image by its digest: tests/e2e/function of the repository, built by `gcloud run deploy --source` or by buildpacks."
  type        = string
}

variable "activate" {
  description = "Put dnsgate in force for the whole VPC: after `dnsgate verify --server` has passed."
  type        = bool
  default     = false
}
