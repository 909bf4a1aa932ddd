# The function, and a job in the same place that proves what the function can and cannot reach.

locals {
  # `all` is what makes this hold: with PRIVATE_RANGES_ONLY traffic to a public address leaves outside the VPC.
  egress = "ALL_TRAFFIC"
}

resource "google_service_account" "lister" {
  account_id   = "${var.name}-lister"
  display_name = "The function that lists a bucket"
}

resource "google_storage_bucket" "data" {
  # checkov:skip=CKV_GCP_62:Who read the bucket is in Cloud Audit Logs, which need no second bucket.
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
}

resource "google_storage_bucket_iam_member" "lister" {
  bucket = google_storage_bucket.data.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.lister.email}"
}

resource "google_cloud_run_v2_service" "lister" {
  name                = "${var.name}-lister"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false

  template {
    service_account = google_service_account.lister.email

    containers {
      image = var.function_image

      env {
        name  = "SRC_BUCKET"
        value = google_storage_bucket.data.name
      }
      env {
        name  = "URL"
        value = "https://www.example.com/"
      }
    }

    # Direct VPC egress.
    vpc_access {
      egress = local.egress

      network_interfaces {
        network    = google_compute_network.vpc.id
        subnetwork = google_compute_subnetwork.subnet.id
      }
    }
  }

  depends_on = [module.dnsgate]
}

# gcloud run jobs execute NAME-verify --wait. Its log has the report; it fails if anything but the bucket can be reached.
resource "google_cloud_run_v2_job" "verify" {
  name                = "${var.name}-verify"
  location            = var.region
  deletion_protection = false

  template {
    template {
      service_account = google_service_account.lister.email
      max_retries     = 0
      timeout         = "600s"

      containers {
        image = var.container_image
        args  = ["verify", "--json", "--bucket=${google_storage_bucket.data.name}", "--timeout=10s"]
      }

      vpc_access {
        egress = local.egress

        network_interfaces {
          network    = google_compute_network.vpc.id
          subnetwork = google_compute_subnetwork.subnet.id
        }
      }
    }
  }

  depends_on = [module.dnsgate]
}
