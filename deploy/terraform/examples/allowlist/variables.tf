variable "project_id" {
  description = "The project."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
  default     = "europe-west3"
}

variable "network" {
  description = "The VPC's self link or id."
  type        = string
}

variable "subnetwork" {
  description = "The self link or id of a subnet with Private Google Access."
  type        = string
}

variable "container_image" {
  description = "dnsgate's image by its digest, in an Artifact Registry that the restricted VIP serves."
  type        = string
}

variable "admin_source_ranges" {
  description = "Ranges that may scrape dnsgate, and ask it directly."
  type        = list(string)
  default     = ["10.10.0.0/24"]
}

variable "activate" {
  description = "Put dnsgate in force for the whole VPC."
  type        = bool
  default     = false
}
