# The machines' account: what it takes to write logs and metrics and to read what they run, and nothing else.

locals {
  makes_account         = var.service_account_email == null
  service_account_email = local.makes_account ? google_service_account.dnsgate[0].email : var.service_account_email

  project_roles = local.makes_account ? toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"]) : toset([])
  # REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE@DIGEST
  repository = try(regex("^(?P<location>[a-z0-9-]+)-docker\\.pkg\\.dev/(?P<project>[^/]+)/(?P<name>[^/]+)/", var.container_image), null)
}

resource "google_service_account" "dnsgate" {
  count = local.makes_account ? 1 : 0

  project      = var.project_id
  account_id   = var.name
  display_name = "dnsgate's machines"
}

resource "google_project_iam_member" "dnsgate" {
  for_each = local.project_roles

  project = var.project_id
  role    = each.value
  member  = "serviceAccount:${local.service_account_email}"
}

resource "google_storage_bucket_iam_member" "config" {
  count = local.makes_account && var.config_bucket != null ? 1 : 0

  bucket = var.config_bucket.bucket
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${local.service_account_email}"
}

resource "google_artifact_registry_repository_iam_member" "image" {
  count = local.makes_account && local.repository != null ? 1 : 0

  project    = local.repository.project
  location   = local.repository.location
  repository = local.repository.name
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${local.service_account_email}"
}
