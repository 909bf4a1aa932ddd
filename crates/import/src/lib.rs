//! Imports what people have: files of other programs become a configuration of dnsgate that allows no more than they did.
//!
//! ```text
//!   files ─▶ source ─▶ format/… ─▶ Draft (statements, zones, report) ─▶ resolve ─▶ write ─▶ the text of a configuration
//! ```
//!
//! Each format reads its files into `statement::Statement`s: a pattern, types and groups, what happens to such questions, and
//! the layer in which the source decides it. `resolve` turns layers (the first match decides) into dnsgate's order (the longest
//! name decides), and `write` prints the rules. What cannot be said exactly is narrowed or left out; the report says so.
//!
//! The text is parsed as dnsgate would parse it before it is returned, so a configuration that `check` refuses never
//! leaves this crate. Nothing here is part of the data plane.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

mod areas;
mod cidr_groups;
mod detect;
mod draft;
mod format;
mod place;
mod present;
mod report;
mod resolve;
mod shape;
mod source;
mod statement;
mod tree;
mod write;
mod zone_check;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use dnsgate_config::ServerAddr;
use dnsgate_core::dns::Name;
use ipnet::IpNet;

pub use place::Place;
pub use report::{ImportItem, ImportReport, Kept};
pub use source::{IncludeReader, NoIncludes, SourceFile};

use draft::Draft;

/// A format that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// Told by the content of each file.
    Auto,
    /// Zones of Google Cloud DNS: record sets, managed zones, zone files.
    GcloudDns,
    /// Response policies of Google Cloud DNS.
    GcloudResponsePolicy,
    /// Response policy zones.
    Rpz,
    /// Unbound's configuration.
    Unbound,
    /// CoreDNS's Corefile.
    Corefile,
    /// Route 53 Resolver DNS Firewall.
    Route53Firewall,
    /// FQDN policies of Kubernetes clusters.
    FqdnPolicy,
    /// Lists of names.
    Domains,
}

impl SourceFormat {
    /// Every format, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Auto,
        Self::GcloudDns,
        Self::GcloudResponsePolicy,
        Self::Rpz,
        Self::Unbound,
        Self::Corefile,
        Self::Route53Firewall,
        Self::FqdnPolicy,
        Self::Domains,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::GcloudDns => "gcloud-dns",
            Self::GcloudResponsePolicy => "gcloud-response-policy",
            Self::Rpz => "rpz",
            Self::Unbound => "unbound",
            Self::Corefile => "corefile",
            Self::Route53Firewall => "route53-firewall",
            Self::FqdnPolicy => "fqdn-policy",
            Self::Domains => "domains",
        }
    }
}

/// A word that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such format; the formats are {}", SourceFormat::ALL.map(SourceFormat::as_str).join(", "))]
pub struct UnknownFormat;

impl FromStr for SourceFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or(UnknownFormat)
    }
}

/// The name of the rule that denies what the source may let through on a condition that no rule can have.
pub const CLOSED_RULE: &str = draft::CLOSED;

/// What the plain names of a list are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainNames {
    /// Names to allow, unless the list has shapes that only block lists have.
    #[default]
    Allowed,
    /// Names to deny.
    Denied,
}

/// What the operator adds to the files.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Upstreams by name. The first one is asked for names that the source lets through without saying where.
    pub upstreams: Vec<(String, ServerAddr)>,
    /// Client addresses by label, for policies that select workloads by label.
    pub groups: Vec<(String, IpNet)>,
    /// Keep "everything else is resolved" as a rule over `.`.
    pub keep_default_allow: bool,
    /// Let files include files outside their own directory.
    pub allow_includes: bool,
    /// The zone's name where a zone file does not say it.
    pub origin: Option<Name>,
    /// What the plain names of a list are.
    pub plain_names: PlainNames,
}

/// What became of the files.
#[derive(Clone, Debug)]
pub struct Import {
    /// The configuration, which `check` accepts.
    pub text: String,
    /// What was kept, narrowed and left out.
    pub report: ImportReport,
}

/// Why files cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read, or is not text.
    #[error("{file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The file's content cannot be read as the format.
    #[error("{place}: {why}")]
    Content {
        /// Where.
        place: Place,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The result would not be a valid configuration.
    #[error("what was read cannot be written as a configuration, so nothing was written: {0}")]
    Invalid(String),
}

/// Imports files of one format; `-` is standard input.
///
/// # Errors
/// The first file that cannot be read, or the first place that cannot.
pub fn import(
    format: SourceFormat,
    files: &[PathBuf],
    options: &ImportOptions,
) -> Result<Import, ImportError> {
    let sources = files
        .iter()
        .map(|path| source::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut includes = source::FileIncludes::new(options.allow_includes);
    import_texts(format, &sources, &mut includes, options)
}

/// The same for texts that are in memory; `includes` reads the files that they name.
///
/// # Errors
/// The first place that cannot be read.
pub fn import_texts(
    format: SourceFormat,
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    options: &ImportOptions,
) -> Result<Import, ImportError> {
    let mut draft = Draft::new(sources, options)?;
    format::read(format, sources, includes, &mut draft)?;
    let (rules, zones) = resolve::resolve(&mut draft)?;
    let text = write::write(&draft, &rules, &zones)?;
    if let Err(report) = dnsgate_config::parse(&text, "the configuration", Path::new("")) {
        return Err(ImportError::Invalid(report.to_string()));
    }
    Ok(Import {
        text,
        report: draft.report,
    })
}

#[cfg(test)]
mod tests;
