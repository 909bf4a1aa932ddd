//! The preset, row by row of Google's table, and what is not there.

use crate::tests::{answer, config};

use super::{
    Form, Shared,
    table::{DOCUMENTED, Documented},
};

const RESTRICTED: &str = "A 199.36.153.4 199.36.153.5 199.36.153.6 199.36.153.7";
const PRIVATE: &str = "A 199.36.153.8 199.36.153.9 199.36.153.10 199.36.153.11";
const NONE: &str = "refused: no rule allows this name";

/// The 41 names of Google's table as its page lists them.
const NAMES: &str = "
    *.aiplatform-notebook.cloud.google.com *.aiplatform-notebook.googleusercontent.com *.appspot.com
    *.backupdr.cloud.google.com *.backupdr.googleusercontent.com *.cloudfunctions.net *.cloudproxy.app
    *.composer.cloud.google.com *.composer.googleusercontent.com *.datafusion.cloud.google.com
    *.datafusion.googleusercontent.com *.dataproc.cloud.google.com *.dataproc.googleusercontent.com
    *.developerconnect.dev *.gcr.io *.gke.goog *.googleapis.com *.gstatic.com
    *.kernels.googleusercontent.com *.ltsapis.goog *.notebooks.byoid.googleusercontent.com
    *.notebooks.cloud.google.com *.notebooks.googleusercontent.com *.pkg.dev *.pki.goog *.run.app
    accounts.google.com appengine.google.com backupdr.cloud.google.com backupdr.googleusercontent.com
    dataproc.cloud.google.com dataproc.googleusercontent.com dl.google.com gcr.io gstatic.com
    notebooks.cloud.google.com packages.cloud.google.com pkg.dev pki.goog source.developers.google.com
    storage.cloud.google.com";

#[test]
fn the_table_is_googles() {
    let names = |row: &Documented| {
        let domain = row.domain.to_owned();
        match row.form {
            Form::Both => vec![format!("*.{domain}"), domain],
            Form::Wildcard => vec![format!("*.{domain}")],
            Form::Exact => vec![domain],
        }
    };
    let mut ours: Vec<String> = DOCUMENTED.iter().flat_map(names).collect();
    ours.sort();
    assert_eq!(ours, NAMES.split_ascii_whitespace().collect::<Vec<_>>());
    assert_eq!(ours.len(), 41);
}

/// What a row must answer when `domains` is `documented`: at the domain, below it, deep below it.
fn wanted(row: &Documented, addresses: &str, home: Option<&str>) -> [String; 3] {
    let alias = format!("CNAME {}.", home.unwrap_or(row.domain));
    let apex = match home {
        Some(_) => "NODATA".to_owned(),
        None => addresses.to_owned(),
    };
    match row.form {
        Form::Exact => [apex, NONE.to_owned(), NONE.to_owned()],
        Form::Both | Form::Wildcard => [apex, alias.clone(), alias],
    }
}

#[test]
fn every_row_is_served_on_every_address() {
    let psc = "A 10.1.1.5 10.1.1.6";
    for (vip, addresses, host) in [
        (
            "vip: restricted",
            RESTRICTED,
            Some("restricted.googleapis.com"),
        ),
        ("vip: private", PRIVATE, Some("private.googleapis.com")),
        ("vip: psc, addresses: [10.1.1.5, 10.1.1.6]", psc, None),
    ] {
        let config = config(&format!("google_apis: {{{vip}, domains: documented}}"));
        for row in DOCUMENTED.iter() {
            let host = host.filter(|_| row.domain == "googleapis.com");
            let mut want = wanted(row, addresses, host);
            if vip == "vip: restricted" && !row.restricted {
                want = [NONE; 3].map(str::to_owned);
            }
            let names = ["", "x.", "a.b.c."].map(|below| format!("{below}{}", row.domain));
            let got = names.each_ref().map(|name| answer(&config, name, "A"));
            assert_eq!(got, want, "{vip} {}", row.domain);
            if let Some(host) = host {
                assert_eq!(answer(&config, host, "A"), addresses, "{vip}");
                assert_eq!(
                    answer(&config, &format!("x.{host}"), "A"),
                    "NXDOMAIN",
                    "{vip}"
                );
            }
            // No other type of its own: an alias and then nothing, or nothing at once.
            for (name, want) in names.iter().zip(&want) {
                let plain = if want.starts_with("A ") {
                    "NODATA"
                } else {
                    want
                };
                assert_eq!(answer(&config, name, "TXT"), plain, "{vip} {name}");
                assert_eq!(answer(&config, name, "AAAA"), plain, "{vip} {name}");
            }
        }
    }
}

#[test]
fn ipv6_adds_the_one_address_that_google_documents() {
    for (vip, v6) in [
        ("restricted", "AAAA 2600:2d00:2:1000::"),
        ("private", "AAAA 2600:2d00:2:2000::"),
    ] {
        let domains = "[googleapis.com, gcr.io, accounts.google.com]";
        let config = config(&format!(
            "google_apis: {{vip: {vip}, ipv6: true, domains: {domains}}}"
        ));
        for name in [
            &*format!("{vip}.googleapis.com"),
            "gcr.io",
            "accounts.google.com",
        ] {
            assert_eq!(answer(&config, name, "AAAA"), v6, "{vip} {name}");
        }
        assert_eq!(answer(&config, "googleapis.com", "AAAA"), "NODATA");
    }
}

#[test]
fn an_exception_takes_all_below_it_and_leaves_the_names_around_it() {
    let config = config(
        "
google_apis:
  domains: [googleapis.com, gcr.io, run.app]
  ipv6: true
  except:
    securitycenter.googleapis.com: private
    mine.storage.googleapis.com: private
    a.b.gcr.io: private
    run.app: private
    r.run.app: restricted
",
    );
    let restricted = "CNAME restricted.googleapis.com.";
    let private = "CNAME private.googleapis.com.";
    for (name, want) in [
        ("securitycenter.googleapis.com", private),
        ("x.y.securitycenter.googleapis.com", private),
        ("private.googleapis.com", PRIVATE),
        ("restricted.googleapis.com", RESTRICTED),
        ("mine.storage.googleapis.com", private),
        ("storage.googleapis.com", restricted),
        ("yours.storage.googleapis.com", restricted),
        ("x.yours.storage.googleapis.com", restricted),
        ("pubsub.googleapis.com", restricted),
        ("gcr.io", RESTRICTED),
        ("a.b.gcr.io", PRIVATE),
        ("x.a.b.gcr.io", "CNAME a.b.gcr.io."),
        ("b.gcr.io", "CNAME gcr.io."),
        ("c.b.gcr.io", "CNAME gcr.io."),
        ("x.gcr.io", "CNAME gcr.io."),
        ("run.app", PRIVATE),
        ("x.run.app", "CNAME run.app."),
        ("r.run.app", RESTRICTED),
        ("x.r.run.app", "CNAME r.run.app."),
    ] {
        assert_eq!(answer(&config, name, "A"), want, "{name}");
    }
    assert_eq!(
        answer(&config, "private.googleapis.com", "AAAA"),
        "AAAA 2600:2d00:2:2000::"
    );
    assert_eq!(
        answer(&config, "a.b.gcr.io", "AAAA"),
        "AAAA 2600:2d00:2:2000::"
    );
}

#[test]
fn an_exception_from_an_endpoint_goes_to_a_shared_address() {
    let config = config(
        "
google_apis:
  vip: psc
  addresses: [10.1.1.5]
  except: { iam.googleapis.com: private, a.iam.googleapis.com: restricted }
",
    );
    for (name, want) in [
        ("googleapis.com", "A 10.1.1.5"),
        ("x.googleapis.com", "CNAME googleapis.com."),
        ("iam.googleapis.com", "CNAME private.googleapis.com."),
        ("b.iam.googleapis.com", "CNAME private.googleapis.com."),
        ("a.iam.googleapis.com", "CNAME restricted.googleapis.com."),
        ("private.googleapis.com", PRIVATE),
        ("restricted.googleapis.com", RESTRICTED),
    ] {
        assert_eq!(answer(&config, name, "A"), want, "{name}");
    }
}

#[test]
fn names_that_are_elsewhere_are_denied_with_advice() {
    let p = "refused: built-in p.googleapis.com: Private Service Connect names need a zone or rule with the endpoint's address";
    let rep = "refused: built-in rep.googleapis.com: regional endpoints are not on this address; add a zone or rule with the endpoint's";
    let other =
        "google_apis.vip is another one; services that need this one go under google_apis.except";
    let private = format!("refused: built-in private.googleapis.com: {other}");
    let restricted = format!("refused: built-in restricted.googleapis.com: {other}");
    for (vip, denied) in [
        (
            "vip: restricted",
            vec![("private.googleapis.com", &*private)],
        ),
        (
            "vip: private",
            vec![("restricted.googleapis.com", &*restricted)],
        ),
        (
            "vip: psc, addresses: [10.1.1.5]",
            vec![
                ("private.googleapis.com", &*private),
                ("restricted.googleapis.com", &*restricted),
            ],
        ),
    ] {
        let config = config(&format!("google_apis: {{{vip}}}"));
        for (name, want) in [
            ("p.googleapis.com", p),
            ("storage-mine.p.googleapis.com", p),
            ("rep.googleapis.com", rep),
            ("storage.europe-west3.rep.googleapis.com", rep),
            ("storage.europe-west3.p.rep.googleapis.com", rep),
        ]
        .into_iter()
        .chain(denied)
        {
            assert_eq!(answer(&config, name, "A"), want, "{vip} {name}");
        }
    }
    // Without googleapis.com there is nothing to carve out of.
    let config = config("google_apis: {domains: [gcr.io]}");
    assert_eq!(answer(&config, "x.p.googleapis.com", "A"), NONE);
}

#[test]
fn what_is_configured_goes_before_what_is_carved_out() {
    let config = config(
        "
google_apis: { except: { storage.us-east1.rep.googleapis.com: private } }
zones:
  - { origin: p.googleapis.com, records: [\"storage-mine A 10.1.1.5\"] }
rules:
  - { name: rep, domains: [\"*.us-east4.rep.googleapis.com\"], records: [A 10.1.1.6] }
  - { name: name, domains: [private.googleapis.com], records: [A 10.1.1.7] }
",
    );
    for (name, want) in [
        ("storage-mine.p.googleapis.com", "A 10.1.1.5"),
        ("other.p.googleapis.com", "NXDOMAIN"),
        ("storage.us-east4.rep.googleapis.com", "A 10.1.1.6"),
        (
            "storage.us-east1.rep.googleapis.com",
            "CNAME private.googleapis.com.",
        ),
    ] {
        assert_eq!(answer(&config, name, "A"), want, "{name}");
    }
    let denied = answer(&config, "pubsub.us-east1.rep.googleapis.com", "A");
    assert!(
        denied.starts_with("refused: built-in rep.googleapis.com: "),
        "{denied}"
    );
}

#[test]
fn off_is_off() {
    let config = config("google_apis: { vip: off }");
    for name in [
        "storage.googleapis.com",
        "restricted.googleapis.com",
        "x.p.googleapis.com",
    ] {
        assert_eq!(answer(&config, name, "A"), NONE, "{name}");
    }
    assert_eq!(
        config.summary,
        "t.yaml: ok: 2 client groups, 0 zones, 0 rules, sealed (no upstreams)"
    );
}

#[test]
fn a_domain_that_google_does_not_document_is_served_whole() {
    let config = config("google_apis: { domains: [new.goog] }");
    assert_eq!(answer(&config, "new.goog", "A"), RESTRICTED);
    assert_eq!(answer(&config, "x.new.goog", "A"), "CNAME new.goog.");
}

#[test]
fn addresses_are_told_apart_by_their_ranges() {
    for (address, holding) in [
        ("199.36.153.3", None),
        ("199.36.153.4", Some(Shared::Restricted)),
        ("199.36.153.7", Some(Shared::Restricted)),
        ("199.36.153.8", Some(Shared::Private)),
        ("199.36.153.11", Some(Shared::Private)),
        ("199.36.153.12", None),
        ("2600:2d00:2:1000::", Some(Shared::Restricted)),
        ("2600:2d00:2:10ff::1", Some(Shared::Restricted)),
        ("2600:2d00:2:1100::", None),
        ("2600:2d00:2:2000::7", Some(Shared::Private)),
        ("2600:2d00:3:2000::", None),
    ] {
        assert_eq!(
            Shared::holding(address.parse().expect(address)),
            holding,
            "{address}"
        );
    }
}
