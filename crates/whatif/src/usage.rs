//! The page `/usage`: which rules of the configuration, and which names of their lists, were used.
//!
//! The same JSON is the state file of a running dnsgate (`serve --state-dir`), so that the verb `audit`
//! reads either. Reading is strict about what it uses and ignores keys that it does not know, so
//! that a page of a newer minor release can be read; a change of meaning raises [`VERSION`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the page's format.
pub const VERSION: u32 = 1;
/// The most bytes of a page that are read. The program writes smaller ones ([`MAX_USED`]).
pub const MAX_PAGE: u64 = 32 << 20;
/// The most used names of lists in a page, of all rules together; a name takes some 25 bytes.
pub const MAX_USED: usize = 200_000;
/// The most names below the subtrees of one rule in a page: those that were asked for most often.
pub const MAX_NAMES: usize = 1_000;
/// The most networks of answers that are kept for one rule.
pub const MAX_NETWORKS: usize = 64;

/// The page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsagePage {
    /// The version of the format: [`VERSION`].
    pub version: u32,
    /// The generation of the configuration in force.
    pub generation: u64,
    /// When counting began: at the start of the process, or earlier if a state file was read.
    pub since: Timestamp,
    /// When the page was written.
    pub now: Timestamp,
    /// The state file that keeps this over restarts; absent if a restart loses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<String>,
    /// Queries whose names were not looked at because too many new ones came within a second. If
    /// there are some, the lists of names may lack some.
    #[serde(default)]
    pub unlooked: u64,
    /// The client groups.
    pub groups: Vec<GroupUsage>,
    /// The rules, zones and entries of the Google preset, by name; built-in ones if they were used.
    pub rules: Vec<RuleUsage>,
}

/// The queries of a client group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupUsage {
    /// The group.
    pub group: String,
    /// The number of its queries, denied ones included.
    pub queries: u64,
}

/// The use of one rule, zone or entry of the preset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleUsage {
    /// The name, as logs and metrics have it: `github`, `zone corp.example`, `google_apis run.app`.
    pub rule: String,
    /// Since when the rule is counted.
    pub since: Timestamp,
    /// Since when it has had these names: later than `since` if a reload has changed them.
    pub names_since: Timestamp,
    /// The first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// The last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The queries by group and verdict; those that the rule only would have allowed are denied.
    pub queries: Vec<QueryCount>,
    /// The types of the questions that it decided. A type without a mnemonic is `other`.
    pub types: Vec<String>,
    /// The number of its patterns: of its `domains` and its `domains_file`.
    pub patterns: u64,
    /// The patterns that decided a question or the target of an alias.
    pub used: Vec<String>,
    /// Whether `used` has all of them.
    pub used_complete: bool,
    /// The names that were asked for below its subtrees, the most frequent first.
    pub names: Vec<NameUsage>,
    /// The number of such names; an estimate (3 % standard error) if `names` is not complete.
    pub distinct_names: u64,
    /// Whether `names` has all of them.
    pub names_complete: bool,
    /// The networks of the addresses in its answers: /24 and /48. Only for rules with `addresses`.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Whether `networks` has all of them.
    #[serde(default)]
    pub networks_complete: bool,
    /// Whether an answer of the rule had an alias.
    #[serde(default)]
    pub aliases: bool,
    /// Whether such an alias led to a name that the client may not query.
    #[serde(default)]
    pub aliases_outside: bool,
    /// Whether an alias led to a name of the rule. `names` lacks such names: nobody asked for them.
    #[serde(default)]
    pub alias_target: bool,
}

/// A number of queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryCount {
    /// The client group.
    pub group: String,
    /// The verdict: answered, forwarded, denied, rejected or failed.
    pub verdict: String,
    /// The number.
    pub count: u64,
}

/// A name below a subtree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameUsage {
    /// The name in zone-file form, without the final dot.
    pub name: String,
    /// The number of queries.
    pub count: u64,
}

/// The bytes are no usage page.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Not JSON, or not this page.
    #[error("it is not the page /usage of dnsgate: {0}")]
    Format(#[from] serde_json::Error),
    /// Another version.
    #[error("it has version {0} of the format; this dnsgate reads version {VERSION}")]
    Version(u32),
    /// Too many entries.
    #[error("it has more {0} than dnsgate writes")]
    TooMuch(&'static str),
}

/// The part of the page that every version has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl UsagePage {
    /// Reads a page.
    ///
    /// # Errors
    /// If the bytes are not a page of this version.
    pub fn parse(json: &[u8]) -> Result<Self, UsageError> {
        let AnyVersion { version } = serde_json::from_slice(json)?;
        if version != VERSION {
            return Err(UsageError::Version(version));
        }
        let page: Self = serde_json::from_slice(json)?;
        if page.rules.iter().map(|rule| rule.used.len()).sum::<usize>() > MAX_USED {
            return Err(UsageError::TooMuch("used names"));
        }
        if page.rules.iter().any(|rule| rule.names.len() > MAX_NAMES) {
            return Err(UsageError::TooMuch("names of a rule"));
        }
        if page
            .rules
            .iter()
            .any(|rule| rule.networks.len() > MAX_NETWORKS)
        {
            return Err(UsageError::TooMuch("networks of a rule"));
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{
        "version": 1, "generation": 2, "since": "2026-11-01T00:00:00Z", "now": "2026-11-02T00:00:00Z",
        "groups": [{ "group": "vpc", "queries": 3 }],
        "rules": [{
            "rule": "ci", "since": "2026-11-01T00:00:00Z", "namesSince": "2026-11-01T00:00:00Z",
            "queries": [{ "group": "vpc", "verdict": "forwarded", "count": 3 }], "types": ["A"],
            "patterns": 2, "used": [".ci.test"], "usedComplete": true,
            "names": [{ "name": "a.ci.test", "count": 3 }], "distinctNames": 1, "namesComplete": true
        }],
        "a later key": {}
    }"#;

    #[test]
    fn a_page_is_what_it_is_read_from() {
        let page = UsagePage::parse(PAGE.as_bytes()).expect("a page");
        assert_eq!(page.rules[0].used, [".ci.test"]);
        let json = serde_json::to_vec(&page).expect("JSON");
        assert_eq!(UsagePage::parse(&json).expect("the same page"), page);
    }

    #[test]
    fn another_page_is_told() {
        for (text, told) in [
            ("", "not the page /usage"),
            ("{}", "missing field `version`"),
            (
                r#"{"version": 2}"#,
                "version 2 of the format; this dnsgate reads version 1",
            ),
            (r#"{"version": -1}"#, "not the page /usage"),
            (r#"{"version": 1}"#, "missing field `generation`"),
            (
                r#"{"generation": 1, "dropped": 0, "observed": []}"#,
                "missing field `version`",
            ),
        ] {
            let error = UsagePage::parse(text.as_bytes()).expect_err(text);
            assert!(error.to_string().contains(told), "{text}: {error}");
        }
        let mut page = UsagePage::parse(PAGE.as_bytes()).expect("a page");
        page.rules[0].names = vec![page.rules[0].names[0].clone(); MAX_NAMES + 1];
        let json = serde_json::to_vec(&page).expect("JSON");
        let error = UsagePage::parse(&json).expect_err("too many");
        assert!(
            error.to_string().contains("more names of a rule"),
            "{error}"
        );
    }
}
