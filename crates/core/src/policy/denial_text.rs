//! The texts of denials for clients.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{
    DenialReason,
    rule::{Action, Group, Rule, RuleOrigin},
};

/// The maximum length of a denial text in bytes; every denied response contains it.
const MAX_TEXT: usize = 200;

/// The texts of denials due to a rule, for an extended DNS error (RFC 8914). They contain the
/// rule's name for the operator and its reason for the user. They are built with the policy, so
/// that a denial does not allocate.
#[derive(Clone, Debug, Default)]
pub(super) struct DenialTexts {
    /// For a rule that denies; empty for other rules. The other texts are also empty if they never
    /// apply.
    denies: Box<str>,
    other_group: Box<str>,
    other_type: Box<str>,
    expired: Box<str>,
}

impl DenialTexts {
    pub(super) fn of(rule: &Rule, groups: &[Group]) -> Self {
        let name = match rule.origin {
            RuleOrigin::Configured => format!("rule {}", rule.name),
            RuleOrigin::BuiltIn | RuleOrigin::Search => rule.name.to_string(),
        };
        if rule.action == Action::Deny {
            let reason = rule.reason.as_ref().map(|reason| format!(": {reason}"));
            return Self {
                denies: one_line(name + &reason.unwrap_or_default()),
                ..Self::default()
            };
        }
        let names = rule.groups.map(|set| {
            let groups = set.iter().filter_map(|id| groups.get(usize::from(id.0)));
            let names: Vec<&str> = groups.map(|group| &*group.name).collect();
            let group = if names.len() == 1 { "group" } else { "groups" };
            format!(
                "{name} allows this name for {group} {} only",
                names.join(" ")
            )
        });
        let types = rule.types.listed().map(|types| {
            let word = if types.len() == 1 { "type" } else { "types" };
            format!("{name} allows this name for {word} {} only", rule.types)
        });
        let until = rule.until.map(|until| {
            let end = last_moment(until);
            format!("{name} allowed this name until {end}")
        });
        let line = |text: Option<String>| text.map(one_line).unwrap_or_default();
        Self {
            denies: Box::default(),
            other_group: line(names),
            other_type: line(types),
            expired: line(until),
        }
    }

    /// The text for a reason.
    pub(super) fn of_denial(&self, why: DenialReason) -> &str {
        match why {
            DenialReason::OtherGroup => &self.other_group,
            DenialReason::OtherType => &self.other_type,
            DenialReason::Expired => &self.expired,
            DenialReason::Rule | DenialReason::Search => &self.denies,
            DenialReason::Default | DenialReason::UnknownClient => "",
        }
    }
}

/// The end of a rule as in the file: a day, whose last moment precedes the next day, or a time.
fn last_moment(until: SystemTime) -> String {
    const DAY: u64 = 86_400;
    let since = until.duration_since(SystemTime::UNIX_EPOCH);
    let whole_days =
        since.is_ok_and(|since| since.as_nanos() % u128::from(DAY * 1_000_000_000) == 0);
    let shown = match whole_days {
        true => until.checked_sub(Duration::from_secs(DAY)).unwrap_or(until),
        false => until,
    };
    let text = Timestamp::try_from(shown).map(|time| time.to_string());
    let text = text.unwrap_or_default();
    match (whole_days, text.split_once('T')) {
        (true, Some((day, _))) => day.to_owned(),
        _ => text,
    }
}

/// The text as a single line, cut to the maximum length.
fn one_line(text: String) -> Box<str> {
    // A line break from a folded YAML string would break the line that displays it.
    let mut text = text.replace(char::is_control, " ");
    let cut = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let cut = cut.take_while(|&end| end <= MAX_TEXT).last();
    text.truncate(cut.unwrap_or(0));
    text.into()
}
