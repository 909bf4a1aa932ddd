terraform {
  # 1.4 brought terraform_data, which runs the check of the configuration without a provider of its own.
  required_version = ">= 1.4"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}
