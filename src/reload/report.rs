//! Reports a reload to the log, to the metrics and to the requester.

use serde_json::json;

use super::{Applied, NumberedUpstreams, ReloadRefused};
use crate::{
    clock::calendar,
    telemetry::{Labels, LogSeverity, Reload, Telemetry},
};
use dnsgate_config::{Notice, PolicyDigest, Unquoted};
use dnsgate_core::engine::Snapshot;

/// The start of the report of a refused reload.
const REFUSED: &str = "reload refused, the old configuration stays in force: ";

/// Registers the names of groups, rules and upstreams before the first query is counted under them,
/// and the digest of the policy.
pub(crate) fn labels(
    telemetry: &Telemetry,
    snapshot: &Snapshot,
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
    telemetry.loaded(snapshot.generation(), labels, calendar());
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
    let told = why.unquoted();
    telemetry.health().reloaded(Some(&told));
    let event = format!("{REFUSED}{why}");
    telemetry.event(LogSeverity::Error, &event, &[("asked_by", json!(asked_by))]);
    Unquoted::from(REFUSED).and_all(&told)
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
