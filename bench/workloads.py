"""The questions of each workload, and the expected answers.

A question is (name, rcode, answers): type A, with EDNS. Their number is a power of two, as bench/load requires.
"""

import random

NOERROR, REFUSED = 0, 5
VIPS = [bytes([199, 36, 153, last]) for last in (4, 5, 6, 7)]

# The names under googleapis.com: an alias and four addresses each.
GOOGLE = """storage bigquery pubsub compute logging monitoring container oauth2 iam cloudkms secretmanager sqladmin
spanner firestore run cloudbuild artifactregistry dns dataflow dataproc redis file cloudfunctions cloudtasks workflows
cloudscheduler aiplatform speech vision translate language documentai healthcare datastore bigtable bigtableadmin
serviceusage cloudresourcemanager sts iamcredentials cloudtrace clouderrorreporting cloudprofiler containeranalysis
binaryauthorization privateca vpcaccess networkmanagement servicenetworking servicedirectory certificatemanager
recommender orgpolicy accesscontextmanager cloudasset securitycenter websecurityscanner dlp datacatalog composer
notebooks eventarc gkehub trafficdirector""".split()

# Other names that VPCs ask for: none of them is allowed.
OTHERS = """www.example.com github.com pypi.org registry.npmjs.org deb.debian.org ntp.ubuntu.com api.telegram.org
ifconfig.me www.google.com accounts.google.com crates.io static.rust-lang.org proxy.golang.org index.docker.io
auth.docker.io production.cloudflare.docker.com quay.io ghcr.io gitlab.com bitbucket.org slack.com hooks.slack.com
api.github.com raw.githubusercontent.com objects.githubusercontent.com updates.jenkins.io repo.maven.apache.org
plugins.gradle.org rubygems.org packagist.org conda.anaconda.org files.pythonhosted.org cdn.jsdelivr.net unpkg.com
sentry.io api.segment.io app.datadoghq.com telemetry.example.net mirror.example.org vpn.example.org db.example.net
kafka-0.example.org redis.default.svc.example.com metadata.example.net wpad.example.net isatap.example.net printer.example.net nas.example.net
time.windows.com settings-win.data.microsoft.com login.microsoftonline.com s3.amazonaws.com sts.amazonaws.com
dynamodb.us-east-1.amazonaws.com queue.amazonaws.com example.blob.core.windows.net pool.ntp.org
connectivity-check.ubuntu.com checkip.amazonaws.com icanhazip.com tunnel.example.com x.example.com y.example.com
z.example.com""".split()

# Top-level domains in the long lists.
ENDS = ["com", "net", "org", "io", "dev", "app", "co", "de"]


def mix():
    """Half answers, half refusals."""
    assert len(GOOGLE) == len(OTHERS) == 64, (len(GOOGLE), len(OTHERS))
    questions = [(f"{name}.googleapis.com", NOERROR, 5) for name in GOOGLE]
    questions += [(name, REFUSED, 0) for name in OTHERS]
    return shuffled(questions)


def refused():
    """Refusals only: what an attack costs."""
    return shuffled([(name, REFUSED, 0) for name in OTHERS])


def listed(number):
    """A name in the long lists, short enough that a million of them fit into a configuration file."""
    digits = "abcdefghijklmnopqrstuvwxyz0123456789"
    number = number * 40_503_007 % 36**5  # coprime to 36, so that no two are the same
    label = ""
    for _ in range(5):
        number, digit = divmod(number, 36)
        label += digits[digit]
    return f"{label}.{ENDS[sum(label.encode()) % len(ENDS)]}"


def names(size):
    """An allowlist of this many names."""
    return [listed(number) for number in range(size)]


def of_list(size):
    """Half names from the whole list, half names that are not in it."""
    asked = 2**14
    inside = [listed(number * size // asked) for number in range(asked)]
    outside = [listed(2_000_000 + number) for number in range(asked)]
    return shuffled([(n, NOERROR, 1) for n in inside] + [(n, REFUSED, 0) for n in outside])


def forwarded(suffix):
    """Names that only an upstream knows; the same ones again and again, for the cache."""
    return [(f"service-{number}.{suffix}", NOERROR, 1) for number in range(64)]


def fresh(suffix):
    """One question with many names: the generator numbers the first label, so that no cache knows the name."""
    return [(f"{0:016x}.{suffix}", NOERROR, 1)]


def shuffled(questions):
    """The same order in each run."""
    random.Random(53).shuffle(questions)
    return questions


def write(questions, path, answers=None):
    """Writes the file that bench/load reads; `answers`: this peer's number of records where dnsgate has five."""
    with open(path, "w", encoding="ascii") as out:
        for name, rcode, count in questions:
            count = answers if count == 5 and answers is not None else count
            out.write(f"{name} A edns {rcode} {count}\n")
