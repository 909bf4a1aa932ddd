//! Suffixes where strangers have names: the Public Suffix List, and a small table of hosting services
//! and CDNs.

use dnsgate_config::{PublicSuffix, anybody_registers_below};
use dnsgate_core::{dns::Name, policy::Pattern};

/// The table: suffix, tab, service.
const TABLE: &str = include_str!("hosting.tsv");

/// When the table was looked through.
pub(super) const TABLE_DATE: &str = "2026-11-27";

/// Why a pattern covers names of strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strangers {
    /// Anybody can register a name there.
    Registry,
    /// Customers of this service choose names there.
    Service(&'static str),
}

/// Whether a pattern covers all names of strangers somewhere. The most general answer comes first.
pub(super) fn strangers(pattern: &Pattern) -> Option<Strangers> {
    if matches!(pattern, Pattern::Exact(_)) {
        return None;
    }
    let name = pattern.name();
    let is_open = anybody_registers_below(name);
    let is_service = PublicSuffix::of(name).is_service;
    if is_open && !is_service {
        return Some(Strangers::Registry);
    }
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.filter_map(|line| line.split_once('\t'));
    let mut services = rows.filter_map(|(suffix, service)| {
        let suffix: Name = suffix.parse().ok()?;
        let covers = suffix.as_ref() == name || suffix.as_ref().is_within(name);
        covers.then_some(Strangers::Service(service))
    });
    services
        .next()
        .or_else(|| is_open.then_some(Strangers::Service("a service")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_by_kind() {
        for (pattern, want) in [
            (".", Some(Strangers::Registry)),
            (".com", Some(Strangers::Registry)),
            ("*.co.uk", Some(Strangers::Registry)),
            (".windows.net", Some(Strangers::Service("Azure Storage"))),
            (
                ".cloudfront.net",
                Some(Strangers::Service("Amazon CloudFront")),
            ),
            (".github.io", Some(Strangers::Service("GitHub Pages"))),
            ("d1.cloudfront.net", None),
            (".d1.cloudfront.net", None),
            (".example.com", None),
            (".internal", None),
            (".test", None),
        ] {
            let parsed: Pattern = pattern.parse().expect(pattern);
            assert_eq!(strangers(&parsed), want, "{pattern}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_dated() {
        let rows: Vec<_> = TABLE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert!(TABLE.contains(TABLE_DATE));
        for row in rows {
            let (suffix, service) = row.split_once('\t').expect(row);
            assert!(
                suffix.parse::<Name>().is_ok() && !service.is_empty(),
                "{row}"
            );
        }
    }
}
