//! The names that Google serves on its private virtual addresses.
//!
//! Source: the table "Domain options" of
//! <https://docs.cloud.google.com/vpc/docs/configure-private-google-access> and its sibling pages
//! `access-apis-external-ip`, `configure-private-google-access-hybrid` and
//! `about-accessing-google-apis-endpoints`, all four with the same list, as of 2026-04-08. It is
//! stated for `private.googleapis.com` and for the Private Service Connect bundle `all-apis`.
//!
//! For `restricted.googleapis.com` Google publishes no such list: only a table of services (not
//! exhaustive, by its own words) and the remark that further names, gcr.io for one, come with them
//! (<https://docs.cloud.google.com/vpc-service-controls/docs/restricted-vip-services>). What counts
//! as documented there is what that page says or what Google's own modules send there; the rest may
//! work, and is to be tried with an HTTPS request before one relies on it.

use super::Form::{self, Both, Exact, Wildcard};

/// One name of Google's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Documented {
    /// The domain, without the `*.` of the table.
    pub(super) domain: &'static str,
    /// In which forms the table has it.
    pub(super) form: Form,
    /// Whether it is documented for the restricted address as well.
    pub(super) restricted: bool,
}

const fn row(domain: &'static str, form: Form) -> Documented {
    Documented {
        domain,
        form,
        restricted: false,
    }
}

const fn restricted(domain: &'static str, form: Form) -> Documented {
    Documented {
        domain,
        form,
        restricted: true,
    }
}

/// The table: 41 names, exact and wildcard, of 32 domains.
pub(super) const DOCUMENTED: [Documented; 32] = [
    // On the restricted address: the services of its table.
    restricted("googleapis.com", Wildcard),
    // On the restricted address: named by that page as what comes along.
    restricted("gcr.io", Both),
    // On the restricted address: artifactregistry is in its table, and Google's modules
    // terraform-google-network and terraform-example-foundation send pkg.dev there.
    restricted("pkg.dev", Both),
    // On the restricted address: Cloud Run's page "private networking" offers either one.
    restricted("run.app", Wildcard),
    row("gstatic.com", Both),
    row("pki.goog", Both),
    row("backupdr.cloud.google.com", Both),
    row("backupdr.googleusercontent.com", Both),
    row("dataproc.cloud.google.com", Both),
    row("dataproc.googleusercontent.com", Both),
    row("notebooks.cloud.google.com", Both),
    row("appspot.com", Wildcard),
    row("cloudfunctions.net", Wildcard),
    row("cloudproxy.app", Wildcard),
    row("developerconnect.dev", Wildcard),
    row("gke.goog", Wildcard),
    row("ltsapis.goog", Wildcard),
    row("aiplatform-notebook.cloud.google.com", Wildcard),
    row("aiplatform-notebook.googleusercontent.com", Wildcard),
    row("composer.cloud.google.com", Wildcard),
    row("composer.googleusercontent.com", Wildcard),
    row("datafusion.cloud.google.com", Wildcard),
    row("datafusion.googleusercontent.com", Wildcard),
    row("kernels.googleusercontent.com", Wildcard),
    row("notebooks.byoid.googleusercontent.com", Wildcard),
    row("notebooks.googleusercontent.com", Wildcard),
    // Only the paths that service accounts need: people cannot log in through it.
    row("accounts.google.com", Exact),
    row("appengine.google.com", Exact),
    row("dl.google.com", Exact),
    row("packages.cloud.google.com", Exact),
    row("source.developers.google.com", Exact),
    row("storage.cloud.google.com", Exact),
];
