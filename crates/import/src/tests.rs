//! Imports as a whole: what a source lets through and denies, asked of the configuration that is made of it.

use std::{net::IpAddr, path::Path, time::SystemTime};

use dnsgate_config::Config;
use dnsgate_core::{
    dns::{RecordType, Rrset},
    policy::Verdict,
    zone::ZoneLookup,
};

use super::*;

mod formats;
mod names;
mod random;
mod samples;
mod traps;

/// The upstream of the operator in tests.
const PUBLIC: &str = "tls://8.8.8.8#dns.google";

/// One source, questions, and what becomes of them.
struct Case {
    format: SourceFormat,
    /// Names and texts.
    files: &'static [(&'static str, &'static str)],
    /// Whether the operator names an upstream, `public`.
    upstream: bool,
    /// Whether the default of the source is kept.
    keep: bool,
    /// `NAME [TYPE] [@CLIENT]` and its verdict, as [`verdict`] has it.
    asked: &'static [(&'static str, &'static str)],
    /// Pieces of the report.
    told: &'static [&'static str],
}

impl Default for Case {
    fn default() -> Self {
        Self {
            format: SourceFormat::Auto,
            files: &[],
            upstream: true,
            keep: false,
            asked: &[],
            told: &[],
        }
    }
}

fn options(upstream: bool, keep: bool) -> ImportOptions {
    let server = || ("public".to_owned(), PUBLIC.parse().expect("a server"));
    ImportOptions {
        upstreams: upstream.then(server).into_iter().collect(),
        keep_default_allow: keep,
        ..ImportOptions::default()
    }
}

/// Files that lie beside each other.
struct Beside(Vec<SourceFile>);

impl IncludeReader for Beside {
    fn read(&mut self, _: &str, path: &str) -> Result<SourceFile, String> {
        let found = self.0.iter().find(|file| &*file.name == path);
        found
            .cloned()
            .ok_or_else(|| "there is no such file".to_owned())
    }
}

fn sources(files: &[(&str, &str)]) -> Vec<SourceFile> {
    let source = |(name, text): &(&str, &str)| {
        SourceFile::new(name, text.as_bytes().to_vec()).expect("text")
    };
    files.iter().map(source).collect()
}

fn import_of(
    format: SourceFormat,
    files: &[(&str, &str)],
    options: &ImportOptions,
) -> Result<Import, ImportError> {
    let sources = sources(files);
    import_texts(format, &sources, &mut Beside(sources.clone()), options)
}

impl Case {
    fn check(&self) {
        let imported = import_of(self.format, self.files, &options(self.upstream, self.keep));
        let imported = imported.unwrap_or_else(|error| panic!("{error}"));
        check_answers(&imported, self.asked);
        let report = imported.report.to_string();
        for told in self.told {
            assert!(
                report.contains(told),
                "no {told:?} in {report}\n{}",
                imported.text
            );
        }
    }
}

fn check_answers(imported: &Import, asked: &[(&str, &str)]) {
    let config = dnsgate_config::parse(&imported.text, "t.yaml", Path::new("")).expect("valid");
    for (question, wanted) in asked {
        let mut verdict = verdict(&config, question);
        if *wanted == "denied" {
            verdict.truncate(wanted.len()); // however
        }
        assert_eq!(
            verdict, *wanted,
            "{question}\n{}\n{}",
            imported.text, imported.report
        );
    }
}

/// `forward UPSTREAM`, `denied HOW` (in tables `denied` for any way), `no data`, or the data of the answer.
fn verdict(config: &Config, question: &str) -> String {
    let mut words = question.split(' ');
    let name: Name = words
        .next()
        .and_then(|name| name.parse().ok())
        .expect(question);
    let mut rtype = RecordType::A;
    let mut client: IpAddr = "10.1.2.3".parse().expect("an address");
    for word in words {
        match word.strip_prefix('@') {
            Some(address) => client = address.parse().expect(question),
            None => rtype = word.parse().expect(question),
        }
    }
    let Some(group) = config.policy.admit(client) else {
        return "unknown client".to_owned();
    };
    match config
        .policy
        .decide(group, name.as_ref(), rtype, SystemTime::UNIX_EPOCH)
    {
        Verdict::Forward(grant) => {
            let upstream = config
                .upstreams
                .get(usize::from(grant.forwarding().upstream.0));
            format!("forward {}", upstream.map_or("", |upstream| &upstream.name))
        }
        Verdict::Deny(denial) => format!("denied {}", denial.with),
        Verdict::Answer { records, .. } => {
            let found = records
                .iter()
                .find(|set| set.rtype() == rtype || set.rtype() == RecordType::CNAME);
            found.map_or_else(|| "no data".to_owned(), data_of)
        }
        Verdict::Zone { zone, .. } => {
            let zone = config.zones.get(zone.0 as usize).expect("a zone");
            match zone.lookup(name.as_ref(), rtype) {
                ZoneLookup::Found(set) | ZoneLookup::Alias(set) => data_of(set),
                ZoneLookup::NxDomain => "denied nxdomain".to_owned(),
                _ => "no data".to_owned(),
            }
        }
    }
}

fn data_of(set: &Rrset) -> String {
    let mut data: Vec<String> = set
        .rdatas()
        .map(|data| present::rdata(set.rtype(), data))
        .collect();
    data.sort();
    data.join(" ")
}
