# The machines: equal, without an external address, replaced one after the other when anything about them changes.

resource "google_compute_region_instance_template" "dnsgate" {
  project     = var.project_id
  region      = var.region
  name_prefix = "${var.name}-"
  description = "dnsgate with the configuration ${substr(local.config_sha256, 0, 12)}"

  machine_type   = var.machine_type
  can_ip_forward = false
  tags           = [var.name]
  labels         = var.labels

  disk {
    source_image = local.runs_container ? var.container_host_image : var.source_image
    boot         = true
    auto_delete  = true
    disk_type    = "pd-balanced"
    disk_size_gb = var.boot_disk_size_gb

    dynamic "disk_encryption_key" {
      for_each = var.kms_key == null ? [] : [var.kms_key]
      content {
        kms_key_self_link = disk_encryption_key.value
      }
    }
  }

  # Without access_config a machine has no external address.
  network_interface {
    subnetwork = var.subnetwork
  }

  service_account {
    email  = local.service_account_email
    scopes = ["cloud-platform"] # what the account may do is settled by its roles
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  scheduling {
    automatic_restart   = true
    on_host_maintenance = "MIGRATE"
  }

  metadata = {
    user-data              = local.user_data
    block-project-ssh-keys = "true"
    enable-oslogin         = "TRUE"
    serial-port-enable     = "FALSE"
    google-logging-enabled = tostring(local.runs_container) # Container-Optimized OS has an agent of its own
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = (var.source_image == null) != (var.container_image == null)
      error_message = "Set either source_image or container_image: the one names a machine's image with dnsgate in it, the other a container's."
    }
    precondition {
      condition     = var.config_bucket == null || (var.config == null && length(var.config_files) == 0)
      error_message = "Set either config (and config_files) or config_bucket."
    }
    precondition {
      condition     = length(local.user_data) <= 262144
      error_message = "A machine's metadata takes 256 KiB, and the configuration with its files has more. Put it into a bucket: config_bucket."
    }
  }

  depends_on = [terraform_data.check]
}

# Whether a machine is alive, and so whether it is replaced. Not /readyz: that says 503 while a machine drains. The update
# goes on with the next machine once this check has passed three times, 15 s: longer than the load balancer takes to send it
# queries.
resource "google_compute_region_health_check" "alive" {
  project             = var.project_id
  region              = var.region
  name                = "${var.name}-alive"
  description         = "Replaces a machine whose dnsgate does not answer its own queries."
  check_interval_sec  = 5
  timeout_sec         = 5
  healthy_threshold   = 3
  unhealthy_threshold = 6

  http_health_check {
    port         = 9153
    request_path = "/livez"
  }
}

resource "google_compute_region_instance_group_manager" "dnsgate" {
  project            = var.project_id
  region             = var.region
  name               = var.name
  description        = "dnsgate: ${var.instance_count} equal machines"
  base_instance_name = var.name
  target_size        = var.instance_count

  distribution_policy_zones        = length(var.zones) == 0 ? null : var.zones
  distribution_policy_target_shape = "EVEN"

  version {
    instance_template = google_compute_region_instance_template.dnsgate.id
  }

  # Never fewer machines than instance_count: new ones come first. A regional group takes a multiple of its zones.
  update_policy {
    type                         = "PROACTIVE"
    minimal_action               = "REPLACE"
    replacement_method           = "SUBSTITUTE"
    instance_redistribution_type = "PROACTIVE"
    max_surge_fixed              = length(var.zones) == 0 ? 3 : length(var.zones)
    max_unavailable_fixed        = 0
  }

  auto_healing_policies {
    health_check      = google_compute_region_health_check.alive.id
    initial_delay_sec = var.auto_healing_initial_delay_sec
  }

  # An apply ends when every machine runs what it says, or fails.
  wait_for_instances        = true
  wait_for_instances_status = "UPDATED"

  timeouts {
    create = "20m"
    update = "30m"
  }

  depends_on = [google_compute_firewall.health]
}
