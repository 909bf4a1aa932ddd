//! Reports a reload, or why it changed nothing, to the log, to the metrics and to the requester.

use std::path::PathBuf;

use std::sync::Arc;

use serde_json::json;

use crate::{
    clock::calendar,
    telemetry::{Labels, LogSeverity, Reload, Telemetry},
};
use dnsgate_config::{Notice, PolicyDigest, Report, Unquoted};
use dnsgate_core::engine::Snapshot;
use dnsgate_whatif::Failures;

use super::{Applied, NumberedUpstreams};

/// The start of the report of a refused reload.
const REFUSED: &str = "reload refused, the old configuration stays in force: ";

/// Registers the names of groups, rules and upstreams before the first query is counted under them,
/// and the digest of the policy.
pub(crate) fn labels(
    telemetry: &Telemetry,
    snapshot: &Arc<Snapshot>,
    digest: PolicyDigest,
    upstreams: &NumberedUpstreams,
) {
    let policy = snapshot.policy();
    let groups = policy.groups().iter().map(|group| group.name.to_string());
    let rules = policy.rules().iter().map(|rule| rule.name.to_string());
    let labels = Labels {
        groups: groups.collect(),
        rules: rules.collect(),
        upstreams: upstreams
            .iter()
            .map(|(_, upstream)| upstream.name.to_string())
            .collect(),
    };
    let now = calendar();
    telemetry.loaded(snapshot.generation(), labels, now);
    telemetry.note_usage(snapshot, now);
    telemetry.budgets().loaded(policy);
    let ending = policy.rules().iter();
    let ending = ending.filter_map(|rule| Some((rule.name.to_string(), rule.until?)));
    telemetry.shared().rules_expire(ending.collect());
    telemetry.shared().policy_digest_is(digest);
}

/// Logs the warnings about a configuration.
pub(crate) fn warnings(telemetry: &Telemetry, warnings: &[Notice]) {
    for warning in warnings {
        telemetry.event(LogSeverity::Warning, &warning.to_string(), &[]);
    }
}

/// Reports a successful reload. Returns the report for the admin client. Only the log quotes files.
pub(super) fn reloaded(telemetry: &Telemetry, applied: &Applied, asked_by: &str) -> Unquoted {
    telemetry.shared().reloaded(Reload::Success);
    telemetry.shared().config_rejected(false);
    telemetry.health().reloaded(None);
    warnings(telemetry, &applied.warnings);
    let generation = applied.generation;
    let changes = applied.changes.to_string();
    let mut report = Unquoted::from("reloaded, generation ")
        .and_number(generation)
        .and(": ")
        .and_changes(&applied.changes);
    for warning in &applied.warnings {
        report = report.and("\n").and_all(&warning.unquoted());
    }
    let fields = [
        ("generation", json!(generation)),
        ("policy_digest", json!(applied.digest.to_string())),
        ("changes", json!(changes)),
        ("asked_by", json!(asked_by)),
    ];
    telemetry.event(LogSeverity::Notice, "reloaded", &fields);
    report
}

/// Reports a refused reload. Returns the report for the admin client. Only the log quotes files.
pub(super) fn refused(telemetry: &Telemetry, why: &ReloadRefused, asked_by: &str) -> Unquoted {
    telemetry.shared().reloaded(Reload::Rejected);
    if why.leaves_a_difference() {
        telemetry.shared().config_rejected(true);
    }
    let reason = why.unquoted();
    telemetry.health().reloaded(Some(&reason));
    let event = format!("{REFUSED}{why}");
    telemetry.event(LogSeverity::Error, &event, &[("asked_by", json!(asked_by))]);
    Unquoted::from(REFUSED).and_all(&reason)
}

/// Logs that changes of files are no longer detected, or are detected again.
pub(super) fn watching(telemetry: &Telemetry, fault: Option<&str>) {
    match fault {
        Some(why) => {
            let fields = [("error", json!(why))];
            let message = "the files of the configuration cannot be watched: changes are not seen, SIGHUP and `dnsgate reload` still work";
            telemetry.event(LogSeverity::Error, message, &fields);
        }
        None => {
            let message = "the files of the configuration are watched again";
            telemetry.event(LogSeverity::Notice, message, &[]);
        }
    }
}

/// Why a reload was refused and changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadRefused {
    /// There is no file to read: the built-in configuration is in force.
    #[error("there is no configuration file; start with --config to have one that can be reloaded")]
    NoFile,
    /// The configuration came from a pipe or device. Its content can be read only once.
    #[error("{} is not a regular file and cannot be read twice", .0.display())]
    ReadOnce(PathBuf),
    /// The file was regular, but the path now refers to something else, and reading from that might
    /// never end.
    #[error("{} is no longer a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is invalid.
    #[error("{0}")]
    Invalid(#[from] Report),
    /// Keys changed that take effect only at the start.
    #[error("{} cannot change while dnsgate runs; {}", .how.join(", "), what_to_do(.keys))]
    Fixed {
        /// The keys.
        keys: Vec<&'static str>,
        /// Each key with its old and new value.
        how: Vec<String>,
    },
    /// The file is valid, but its own tests fail.
    #[error("{0}")]
    Tests(#[from] Failures),
    /// An upstream in it cannot be used, for example because there are no trusted certificates.
    #[error("{0}")]
    Upstream(String),
    /// Reading did not finish: no thread, a file that does not respond, or a panic.
    #[error("the configuration was not read: {0}")]
    Failed(Unquoted),
}

/// The advice for keys that take effect only at the start.
const fn what_to_do(keys: &[&str]) -> &'static str {
    match keys {
        [_] => "restart it, or put the old value back",
        _ => "restart it, or put the old values back",
    }
}

impl ReloadRefused {
    /// Whether the operator's file may differ from the configuration in force, so that the operator
    /// must act. Without a file that can be read again, that is unknown.
    #[must_use]
    pub(crate) const fn leaves_a_difference(&self) -> bool {
        match self {
            Self::NoFile | Self::ReadOnce(_) => false,
            Self::NotAFile(_)
            | Self::Invalid(_)
            | Self::Fixed { .. }
            | Self::Tests(_)
            | Self::Upstream(_)
            | Self::Failed(_) => true,
        }
    }
}

impl ReloadRefused {
    /// The reason, without text from files that the requester may not read.
    #[must_use]
    pub(crate) fn unquoted(&self) -> Unquoted {
        match self {
            Self::NoFile => Unquoted::from(
                "there is no configuration file; start with --config to have one that can be reloaded",
            ),
            Self::ReadOnce(_) => {
                Unquoted::from("the configuration is not a regular file and cannot be read twice")
            }
            Self::NotAFile(_) => Unquoted::from("the configuration is no longer a regular file"),
            Self::Invalid(report) => report.unquoted(),
            Self::Fixed { keys, .. } => {
                let mut text = Unquoted::from("");
                for (at, key) in keys.iter().enumerate() {
                    text = text
                        .and(if at == 0 { "`" } else { ", `" })
                        .and(key)
                        .and("`");
                }
                text.and(" cannot change while dnsgate runs; ")
                    .and(what_to_do(keys))
            }
            Self::Failed(why) => Unquoted::from("the configuration was not read: ").and_all(why),
            Self::Tests(failures) => failures.unquoted(),
            Self::Upstream(_) => {
                Unquoted::from("an upstream cannot be used; the log of dnsgate says why")
            }
        }
    }
}
