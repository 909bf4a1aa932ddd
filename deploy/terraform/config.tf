# What the machines are given: dnsgate's configuration with the files that it names, and what makes them run it.

data "google_storage_bucket_object" "config" {
  for_each = local.objects

  bucket = var.config_bucket.bucket
  name   = each.value
}

data "google_storage_bucket_object_content" "config" {
  for_each = local.objects

  bucket = var.config_bucket.bucket
  name   = each.value
}

locals {
  network_project = coalesce(var.network_project_id, var.project_id)
  restricted_vip  = "199.36.153.4/30"
  directory       = "/etc/dnsgate"

  objects    = try(var.config_bucket.objects, {})
  from_files = merge(var.config_files, { "dnsgate.yaml" = coalesce(var.config, file("${path.module}/files/default.yaml")) })
  # Both are relative path to text. Only what is not in a bucket is in the machines' metadata.
  files         = var.config_bucket == null ? local.from_files : {}
  files_checked = var.config_bucket == null ? local.from_files : { for path, object in data.google_storage_bucket_object_content.config : path => object.content }
  config_sha256 = sha256(jsonencode(local.files_checked))

  runs_container = var.container_image != null
  registry       = try(split("/", var.container_image)[0], "")

  # The machines never ask their own VPC for a name: it may be dnsgate that they are about to start.
  google_hosts = [for host in distinct(compact([
    var.config_bucket == null ? "" : "storage.googleapis.com",
    local.runs_container ? "storage.googleapis.com" : "",
    can(regex("(^|\\.)(gcr\\.io|pkg\\.dev)$", local.registry)) ? local.registry : "",
  ])) : "199.36.153.4 ${host}"]

  boot_script = templatefile("${path.module}/files/boot.sh.tftpl", {
    directory = local.directory
    hosts     = local.google_hosts
    container = local.runs_container
    agent     = var.cloud_monitoring && !local.runs_container
    objects = [for path, object in local.objects : {
      path = path
      url  = "https://storage.googleapis.com/storage/v1/b/${var.config_bucket.bucket}/o/${urlencode(object)}?alt=media&generation=${data.google_storage_bucket_object.config[path].generation}"
    }]
  })

  written = concat(
    [for path, text in local.files : { path = "${local.directory}/${path}", content = text, permissions = "0644" }],
    # systemd-resolved holds port 53 of 127.0.0.53 otherwise, and with it 0.0.0.0:53.
    [{ path = "/etc/systemd/resolved.conf.d/dnsgate.conf", content = "[Resolve]\nDNSStubListener=no\n", permissions = "0644" }],
    local.runs_container ? [
      {
        path = "/etc/systemd/system/dnsgate.service"
        content = templatefile("${path.module}/files/container.service.tftpl", {
          image     = var.container_image
          registry  = local.registry
          directory = local.directory
        })
        permissions = "0644"
      },
      # Port 53 without root and without a capability: the container has the machine's network, so the machine's sysctl counts.
      { path = "/etc/sysctl.d/90-dnsgate.conf", content = "net.ipv4.ip_unprivileged_port_start=53\n", permissions = "0644" },
    ] : [],
    var.cloud_monitoring && !local.runs_container ? [
      { path = "/etc/google-cloud-ops-agent/config.yaml", content = file("${path.module}/files/ops-agent.yaml"), permissions = "0644" },
    ] : [],
  )

  user_data = "#cloud-config\n${yamlencode({
    write_files = local.written
    runcmd      = [["sh", "-c", local.boot_script]]
  })}"
}
