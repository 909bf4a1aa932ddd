//! The samples of tests/import: `auto` finds the format of each, and the result is a configuration.

use super::*;

/// The sample's files, its format, how many things are kept, narrower and left out, and some questions.
type Sample = (
    &'static [&'static str],
    SourceFormat,
    &'static [(&'static str, &'static str)],
);

const SAMPLES: [Sample; 17] = [
    (
        &["zone-export.yaml"],
        SourceFormat::GcloudDns,
        &[
            ("db.corp.example", "10.0.0.5 10.0.0.6"),
            ("x.apps.corp.example", "ingress.corp.example."),
            ("spf.corp.example TXT", "\"v=spf1 -all\""),
            ("absent.corp.example", "denied nxdomain"),
            ("other.example", "denied"),
        ],
    ),
    (
        &["zone-export.zone"],
        SourceFormat::GcloudDns,
        &[
            ("db.corp.example", "10.0.0.5"),
            ("b.deep.corp.example TXT", "no data"),
            ("a.b.deep.corp.example TXT", "\"text\""),
        ],
    ),
    (
        &["record-sets.json"],
        SourceFormat::GcloudDns,
        &[
            ("web.lab.example", "10.1.0.1"),
            ("failover.lab.example", "10.1.0.9"),
        ],
    ),
    (
        &["managed-zones.json", "zone-export.yaml"],
        SourceFormat::GcloudDns,
        &[
            ("db.onprem.example", "forward onprem"),
            ("x.shared.example", "denied nxdomain"),
            ("db.corp.example", "10.0.0.5 10.0.0.6"),
        ],
    ),
    (
        &["response-policy.json"],
        SourceFormat::GcloudResponsePolicy,
        &[
            ("storage.googleapis.com", "restricted.googleapis.com."),
            ("restricted.googleapis.com", "199.36.153.4 199.36.153.5"),
            ("www.googleapis.com", "forward public"),
            ("example.com", "denied"),
        ],
    ),
    (
        &["response-policy.yaml"],
        SourceFormat::GcloudResponsePolicy,
        &[
            ("accounts.google.com", "restricted.googleapis.com."),
            ("restricted.googleapis.com", "199.36.153.4 199.36.153.5"),
            ("pubsub.googleapis.com", "forward public"),
            ("storage.googleapis.com", "denied"),
        ],
    ),
    (
        &["block.rpz"],
        SourceFormat::Rpz,
        &[
            ("bad.test", "denied nodata"), // a name below is let through
            ("x.bad.test", "denied nxdomain"),
            ("good.bad.test", "forward public"),
            ("x.good.bad.test", "denied nxdomain"),
            ("nodata.test", "denied nodata"),
            ("data.test", "10.0.0.1"),
            ("data.test AAAA", "no data"),
            ("x.wild.test", "10.0.0.2"),
            ("x.exists.wild.test", "denied"),
            ("in.wild.test", "denied"),
            ("a.starred.test", "denied"),
            ("other.test", "denied"),
            ("bad.test @127.0.0.9", "forward public"),
        ],
    ),
    (
        &["unbound.conf"],
        SourceFormat::Unbound,
        &[
            ("www.allowed.test", "forward forward-root"),
            ("x.corp.allowed.test", "forward forward-corp.allowed.test"),
            ("x.blocked.allowed.test", "denied nxdomain"),
            ("www.static.test", "10.0.0.2"),
            ("x.static.test", "denied nxdomain"),
            ("deep.redirect.test", "10.0.0.3"),
            ("typed.test", "10.0.0.4"),
            ("typed.test MX", "forward forward-root"),
            ("x.null.test", "0.0.0.0"),
            ("other.test", "denied"),
            ("2.0.0.10.in-addr.arpa PTR", "www.static.test."),
            ("www.allowed.test @10.66.0.1", "denied"),
            ("www.allowed.test @192.168.0.1", "unknown client"),
        ],
    ),
    (
        &["Corefile"],
        SourceFormat::Corefile,
        &[
            ("db.corp.example", "10.0.0.5"),
            ("inline.corp.example", "10.0.0.9"),
            ("x.ads.example", "denied nxdomain"),
            ("web.lab.example", "10.0.0.80"),
            ("x.onprem.example", "forward onprem.example-servers"),
            ("old.example", "new.example."),
            ("other.example", "denied"),
            ("db.corp.example @192.168.0.1", "denied"),
        ],
    ),
    (
        &[
            "firewall-rules.json",
            "rslvr-fdl-blocked.json",
            "rslvr-fdl-allowed.txt",
            "rslvr-fdl-all.json",
        ],
        SourceFormat::Route53Firewall,
        &[
            ("good.example", "forward public"),
            ("a.b.good.example", "forward public"),
            ("bad.good.example", "denied nxdomain"),
            ("x.bad.good.example", "denied nxdomain"),
            ("other.example", "denied nodata"),
        ],
    ),
    (
        &["cilium.yaml"],
        SourceFormat::FqdnPolicy,
        &[
            ("api.github.com @10.5.0.1", "forward public"),
            ("api.github.com", "denied"),
            ("raw.githubusercontent.com @10.5.0.1", "denied"),
        ],
    ),
    (
        &["gke.yaml"],
        SourceFormat::FqdnPolicy,
        &[
            ("api.github.com", "forward public"),
            ("x.example.com", "denied"),
            ("pypi.org", "forward public"),
        ],
    ),
    (
        &["cluster-policy.yaml"],
        SourceFormat::FqdnPolicy,
        &[
            ("kubernetes.io", "forward public"),
            ("a.b.cloud-provider.io", "forward public"),
            ("cloud-provider.io", "denied"),
        ],
    ),
    (
        &["allow.txt"],
        SourceFormat::Domains,
        &[
            ("github.com", "forward public"),
            ("raw.githubusercontent.com", "forward public"),
            ("docker.io", "denied"),
            ("x.docker.io", "forward public"),
        ],
    ),
    (
        &["ads.hosts"],
        SourceFormat::Domains,
        &[
            ("ads.example", "denied nxdomain"),
            ("intranet.example", "10.0.0.5"),
            ("localhost", "denied nxdomain"),
            ("other.example", "denied"),
        ],
    ),
    (
        &["filter.txt"],
        SourceFormat::Domains,
        &[
            ("x.ads.example", "denied nxdomain"),
            ("good.ads.example", "forward public"),
            ("other.example", "denied"),
        ],
    ),
    (
        &["hosts.txt"],
        SourceFormat::Domains,
        &[("db.corp.example", "10.0.0.5")],
    ),
];

#[test]
fn auto_finds_the_format_of_each_sample() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/import");
    for (files, format, asked) in SAMPLES {
        let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        let mut options = options(true, false);
        options.groups = vec![(
            "app=web".to_owned(),
            "10.5.0.0/16".parse().expect("a range"),
        )];
        let imported =
            import(SourceFormat::Auto, &paths, &options).unwrap_or_else(|error| panic!("{error}"));
        check_answers(&imported, asked);
        let told = import(format, &paths, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(told.text, imported.text, "{files:?}");
        for other in SourceFormat::ALL
            .into_iter()
            .skip(1)
            .filter(|other| *other != format)
        {
            if let Ok(other_import) = import(other, &paths, &options) {
                // A policy zone may hold nothing but data, and a firewall's list is a list.
                assert!(
                    other == SourceFormat::Rpz && files[0].ends_with(".zone"),
                    "{files:?} as {}: {}",
                    other.as_str(),
                    other_import.text
                );
            }
        }
    }
}
