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

variable "source_image" {
  description = "An image with dnsgate's package, as the module's README makes it."
  type        = string
}

variable "activate" {
  description = "Put dnsgate in force for the whole VPC."
  type        = bool
  default     = false
}
