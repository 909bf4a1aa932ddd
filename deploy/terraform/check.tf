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
      condition     = length(local.check_script) <= 1500000
      error_message = "The configuration with its files has more than 1.5 MB when it is compressed, which is too much to hand to the check. Set check_config = false, and run `dnsgate check` where the bucket is filled."
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
