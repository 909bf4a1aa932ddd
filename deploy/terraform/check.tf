# dnsgate reads the configuration and runs its policy tests before anything changes: what depends on this resource waits for
# it, and an error ends the apply with the old machines in service.

locals {
  check_script = base64gzip(templatefile("${path.module}/files/check.sh.tftpl", {
    dnsgate = var.dnsgate_command
    files   = { for path, text in local.files_checked : path => base64encode(text) }
  }))
  # The kernel takes at most 128 KiB in one variable of the environment.
  check_part = 120000
}

resource "terraform_data" "check" {
  count = var.check_config ? 1 : 0

  triggers_replace = [local.config_sha256, var.dnsgate_command]

  lifecycle {
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

  provisioner "local-exec" {
    quiet       = true
    interpreter = ["sh", "-euc"]
    command     = <<-EOT
      i=0
      while part=$(printenv "PART_$i"); do printf %s "$part"; i=$((i + 1)); done | base64 -d | gunzip | sh -eu
    EOT
    environment = { for i in range(ceil(length(local.check_script) / local.check_part)) :
    "PART_${i}" => substr(local.check_script, i * local.check_part, local.check_part) }
  }
}
