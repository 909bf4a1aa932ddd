//! Least privilege from evidence: what a configuration allows and nobody has used, with the edit that
//! would take it away.
//!
//! The evidence is the page `/usage`, a replayed query log, or both. What is not known is not
//! claimed: a rule that the page does not know, or a list of names that is not complete, gives no
//! finding. The findings about the configuration alone need no evidence.

mod edit;
mod evidence;
mod findings;
mod hosting;
mod names;
mod places;
mod sarif;
#[cfg(test)]
mod tests;
mod tighten;

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use serde::Serialize;

use dnsgate_config::{Config, Notice};

pub use evidence::Evidence;
pub use places::AuditPlace;
pub use sarif::sarif;
pub use tighten::{TightenError, Tightened, pruned, tightened};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingLevel {
    /// Worth knowing.
    Note,
    /// More is allowed than was used.
    Warning,
    /// Strangers may be allowed.
    Error,
}

impl FindingLevel {
    /// The word for the level, as in SARIF.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The kinds of findings: each with its level, and what it means in one sentence.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $level:ident, $text:literal;)+) => {
        /// The kind of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FindingKind {
            $($(#[$doc])* $name),+
        }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name of the kind.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }

            /// How much it matters.
            #[must_use]
            pub const fn level(self) -> FindingLevel {
                match self { $(Self::$name => FindingLevel::$level),+ }
            }

            /// What it means.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

kinds! {
    /// See `text`.
    OpenSuffix = "open-suffix", Error, "A rule allows all names below a suffix where anybody can register one.";
    /// See `text`.
    SharedHosting = "shared-hosting", Warning, "A rule allows all names of a hosting service or CDN, whose customers are strangers.";
    /// See `text`.
    TxtAllowed = "txt-allowed", Warning, "A rule forwards TXT, which can carry any data both ways.";
    /// See `text`.
    Ended = "ended", Warning, "A rule has ended, or ends soon.";
    /// See `text`.
    Shadowed = "shadowed", Warning, "A rule can never decide, because others come before it.";
    /// See `text`.
    UnusedRule = "unused-rule", Warning, "A rule, zone or entry of the preset decided no question.";
    /// See `text`.
    UnusedNames = "unused-names", Warning, "Names of a rule were never asked for.";
    /// See `text`.
    NarrowSubtree = "narrow-subtree", Warning, "Of a subtree only a few names were asked for.";
    /// See `text`.
    UnusedTypes = "unused-types", Note, "A rule allows types that nobody asked for.";
    /// See `text`.
    WideAddresses = "wide-addresses", Note, "A rule allows address ranges that no answer has used.";
    /// See `text`.
    CnameAny = "cname-any", Note, "A rule lets aliases lead anywhere, and all stayed among allowed names.";
    /// See `text`.
    IdleGroup = "idle-group", Note, "Nobody of a client group has asked anything.";
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind.
    pub kind: FindingKind,
    /// What it is about: `rule github`, `zone corp.example`, `group build`.
    pub subject: String,
    /// Where that stands.
    pub place: AuditPlace,
    /// What was found, a sentence.
    pub message: String,
    /// What shows it; empty if the configuration alone does.
    pub evidence: String,
    /// What to change.
    pub edit: String,
}

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The file, as it was named.
    pub file: String,
    /// The digest of the policy.
    pub digest: String,
    /// The evidence, a sentence for each source.
    pub sources: Vec<String>,
    /// The findings, the gravest first.
    pub findings: Vec<Finding>,
}

/// A configuration with its text.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'c> {
    /// The configuration.
    pub config: &'c Config,
    /// The file, as it was named.
    pub file: &'c str,
    /// Its text.
    pub text: &'c str,
    /// When it is audited.
    pub now: SystemTime,
}

/// Audits a configuration.
#[must_use]
pub fn audit(audited: &Audited<'_>, evidence: &Evidence) -> Audit {
    let mut findings = findings::all(audited, evidence);
    findings.sort_by(|a, b| {
        let key = |it: &Finding| {
            (
                std::cmp::Reverse(it.kind.level()),
                it.kind,
                it.place.clone(),
            )
        };
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    Audit {
        file: audited.file.to_owned(),
        digest: audited.config.digest.to_string(),
        sources: evidence.sources().to_vec(),
        findings,
    }
}

impl Audit {
    /// The gravest level among the findings.
    #[must_use]
    pub fn worst(&self) -> Option<FindingLevel> {
        self.findings.iter().map(|it| it.kind.level()).max()
    }

    /// The audit as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let findings = self.findings.iter().map(|it| {
            serde_json::json!({
                "kind": it.kind.id(),
                "level": it.kind.level(),
                "subject": it.subject,
                "file": it.place.file,
                "line": it.place.line,
                "column": it.place.column,
                "message": it.message,
                "evidence": it.evidence,
                "edit": it.edit,
            })
        });
        serde_json::json!({
            "version": 1,
            "file": self.file,
            "policyDigest": self.digest,
            "evidence": self.sources,
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Audit {
    /// What was audited, a paragraph for each finding, and a line with the totals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "audit of {}", self.file)?;
        writeln!(f, "policy digest: {}", self.digest)?;
        for source in &self.sources {
            writeln!(f, "evidence: {source}")?;
        }
        for finding in &self.findings {
            let Finding {
                kind,
                subject,
                place,
                message,
                evidence,
                edit,
            } = finding;
            let (level, id) = (kind.level().as_str(), kind.id());
            writeln!(f, "\n{place}: {level}: {subject}: {message} [{id}]")?;
            if !evidence.is_empty() {
                writeln!(f, "  seen: {evidence}")?;
            }
            writeln!(f, "  edit: {edit}")?;
        }
        let count = |level| {
            let of_level = self.findings.iter().filter(|it| it.kind.level() == level);
            of_level.count() as u64
        };
        let mut totals = String::new();
        for level in [
            FindingLevel::Error,
            FindingLevel::Warning,
            FindingLevel::Note,
        ] {
            let many = format!("{}s", level.as_str());
            let comma = if totals.is_empty() { "" } else { ", " };
            let _ = write!(
                totals,
                "{comma}{}",
                super::words::plural(count(level), level.as_str(), &many)
            );
        }
        writeln!(f, "\n{totals}")
    }
}

/// Warnings of `check` about rules, as findings are built from them.
fn notices(audited: &Audited<'_>) -> Vec<Notice> {
    audited.config.warnings(audited.now)
}
