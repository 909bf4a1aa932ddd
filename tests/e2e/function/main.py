"""A function as a VPC's workloads are: it may list one bucket of Cloud Storage, and reach nothing else.

It tries both and tells what came of it. It knows nothing of dnsgate: the client libraries find the token, the name
and the address as they do in any function.
"""

import os

import functions_framework
import requests
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

PAGE = 10  # objects a page; the API may give fewer
PATIENCE = 5  # seconds for the address that should be out of reach


def file_names(bucket):
    """The bucket's objects, page by page, by the client library with the service account's token."""
    blobs = storage.Client().list_blobs(bucket, page_size=PAGE, retry=DEFAULT_RETRY.with_timeout(20))
    return [blob.name for page in blobs.pages for blob in page]


def check_connection(url):
    """Whether there is a way out to `url`, and what was seen of it."""
    try:
        return True, f"status {requests.get(url, timeout=PATIENCE).status_code}"
    except requests.RequestException as error:
        return False, str(error)


@functions_framework.http
def list_bucket(_request):
    """The one entry point."""
    bucket = os.environ["SRC_BUCKET"]
    connected, seen = check_connection(os.environ["URL"])
    return {"file_names": file_names(bucket), "bucket": bucket, "check_connection": connected, "seen": seen}
