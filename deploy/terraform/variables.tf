variable "project_id" {
  description = "The project of the machines, the load balancer and the DNS policy."
  type        = string
}

variable "network_project_id" {
  description = "The host project of a Shared VPC: firewall rules, the route, the DNS policy and the zone are made there. Default: project_id."
  type        = string
  default     = null
}

variable "region" {
  description = "The region of the machines and the load balancer. Cloud DNS reaches it from every region of the VPC."
  type        = string
}

variable "zones" {
  description = "The zones of the machines. Default: the ones that Compute Engine picks in the region, which are three."
  type        = list(string)
  default     = []
}

variable "name" {
  description = "The name of everything that this module makes, or its beginning. Two instances of the module in a project need two names."
  type        = string
  default     = "dnsgate"

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{0,24}[a-z0-9]$", var.name))
    error_message = "The name must have 2 to 26 lower-case letters, digits and hyphens, and begin with a letter: names of service accounts begin with it."
  }
}

variable "labels" {
  description = "Labels of the machines, the address and the forwarding rule."
  type        = map(string)
  default     = {}
}

variable "network" {
  description = "The VPC's self link or id, projects/PROJECT/global/networks/NAME."
  type        = string
}

variable "subnetwork" {
  description = "The self link of the subnet of the machines and of the load balancer's address. It needs Private Google Access."
  type        = string
}

variable "address" {
  description = "The load balancer's address, which workloads or Cloud DNS ask: a free address of the subnet. Default: one is reserved."
  type        = string
  default     = null
}

variable "instance_count" {
  description = "The number of machines. They do not share a load, each bears it alone; two are for upgrades and outages of a zone."
  type        = number
  default     = 2

  validation {
    condition     = var.instance_count >= 2 && floor(var.instance_count) == var.instance_count
    error_message = "The number of machines must be 2 or more: with one, each restart is an outage of the whole VPC."
  }
}

variable "machine_type" {
  description = "The type of the machines."
  type        = string
  default     = "e2-small"
}

variable "boot_disk_size_gb" {
  description = "The size of a machine's disk. dnsgate writes nothing to it; the log of the system does."
  type        = number
  default     = 10
}

variable "kms_key" {
  description = "The self link of the key in Cloud KMS that encrypts the machines' disks. Default: Google's own key."
  type        = string
  default     = null
}

variable "source_image" {
  description = "An image with dnsgate's package and cloud-init, as README.md makes it: its self link or family. Exclusive with container_image."
  type        = string
  default     = null
}

variable "container_image" {
  description = "dnsgate's container image by its digest, REGION-docker.pkg.dev/PROJECT/REPOSITORY/dnsgate@sha256:…: runs on Container-Optimized OS. Exclusive with source_image."
  type        = string
  default     = null

  validation {
    condition     = var.container_image == null || can(regex("^[a-z0-9.-]+/[^@]+@sha256:[0-9a-f]{64}$", var.container_image))
    error_message = "The container image must name its registry and its digest (REGISTRY/PATH@sha256:…): a tag can be moved, and half of the machines would then run another program."
  }
}

variable "container_host_image" {
  description = "The image of the machines that run container_image."
  type        = string
  default     = "projects/cos-cloud/global/images/family/cos-stable"
}

variable "config" {
  description = "dnsgate's configuration, the text of dnsgate.yaml. Default: files/default.yaml. Exclusive with config_bucket."
  type        = string
  default     = null
}

variable "config_files" {
  description = "Files that the configuration names, such as lists of names and zones: relative path to text. Together with the configuration and the machine's own set-up they may have 256 KiB; beyond that use config_bucket."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for path in keys(var.config_files) : can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$", path))])
    error_message = "A file of the configuration must have a relative path of letters, digits, dots, hyphens and underscores, such as lists/github.txt."
  }
}

variable "config_bucket" {
  description = "The configuration in a bucket instead: objects maps relative paths to objects' names, `dnsgate.yaml` among them. Each apply puts the objects' present generations in force, by a rolling update. Their content type must be text/* or application/json."
  type = object({
    bucket  = string
    objects = map(string)
  })
  default = null

  validation {
    condition     = var.config_bucket == null || contains(keys(try(var.config_bucket.objects, {})), "dnsgate.yaml")
    error_message = "One of the objects must be the configuration itself: objects = { \"dnsgate.yaml\" = \"…\" }."
  }

  validation {
    condition     = alltrue([for path in keys(try(var.config_bucket.objects, {})) : can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$", path))])
    error_message = "An object of the configuration must have a relative path of letters, digits, dots, hyphens and underscores, such as lists/github.txt."
  }
}

variable "check_config" {
  description = "Run `dnsgate check` and `dnsgate test` on the machine that applies, before anything changes. The apply fails if they do."
  type        = bool
  default     = true
}

variable "dnsgate_command" {
  description = "How check_config calls dnsgate: a command for sh. It should have the version that the machines run."
  type        = string
  default     = "dnsgate"
}

variable "activate" {
  description = "Put dnsgate in force: the DNS server policy sends every query of the VPC to it. Off until you have seen `dnsgate verify --server` pass."
  type        = bool
  default     = false
}

variable "enable_query_logging" {
  description = "Let Cloud DNS log the VPC's queries while dnsgate is in force: its log has the machine that asked, dnsgate's has the verdict."
  type        = bool
  default     = false
}

variable "client_source_ranges" {
  description = "Ranges that may ask dnsgate directly, besides Cloud DNS: subnets of machines with which you try it, or whose resolv.conf names it."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.client_source_ranges, "0.0.0.0/0")
    error_message = "Name the ranges of your own networks. Whoever is in no client group of the configuration gets no answer anyway."
  }
}

variable "admin_source_ranges" {
  description = "Ranges that may read the admin pages on port 9153, such as Prometheus' subnet. The pages show names that were asked for only in mode observe."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.admin_source_ranges, "0.0.0.0/0")
    error_message = "Name the ranges of the machines that scrape or operate dnsgate: the admin pages are not for everybody."
  }
}

variable "allow_upstream_egress" {
  description = "Addresses of upstreams that the machines may ask, on UDP and TCP 53, 443 and 853: for a VPC whose firewall denies egress. The machines also need a route there."
  type        = list(string)
  default     = []
}

variable "create_restricted_route" {
  description = "Make the route of 199.36.153.4/30 to the default internet gateway: needed if the VPC has no default route. Packets stay inside Google's network."
  type        = bool
  default     = true
}

variable "create_fallback_zone" {
  description = "Make a private zone for googleapis.com with the restricted VIP. Cloud DNS ignores it while dnsgate is in force, and uses it as soon as activate is false again."
  type        = bool
  default     = false
}

variable "service_account_email" {
  description = "The machines' service account. Default: one is made that may write logs and metrics, and read the container image's repository and the configuration's object if there are any."
  type        = string
  default     = null
}

variable "cloud_monitoring" {
  description = "Configure the Ops Agent of source_image (Managed Service for Prometheus and Cloud Logging) to scrape dnsgate and to collect its log. The image must have the agent."
  type        = bool
  default     = true
}

variable "auto_healing_initial_delay_sec" {
  description = "How long a new machine may take before it can be judged dead. Booting and pulling the image take less than a minute; a machine that is replaced too early is replaced for ever."
  type        = number
  default     = 180
}
