//! What a denial says to the client.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{
    DenialReason,
    rule::{Action, Group, Rule, RuleOrigin},
};

/// The longest text that a denial carries, in bytes: it travels in every denied reply.
const MAX_TEXT: usize = 200;

/// What a denial says to the client, in an extended DNS error (RFC 8914), that a rule is the reason
/// of: the name that an operator can look for, and the reason that a user can read. They are made
/// when the policy is built, so that a denial allocates nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct DenialTexts {
    /// Where it denies; empty for rules that do not, and so are the others where they never hold.
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

    /// What a denial for this reason says.
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

/// The end of a rule as the file has it: a day, whose last moment is the one before the next day's
/// first, or a time.
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

/// The text in one line, and no longer than a denial carries.
fn one_line(text: String) -> Box<str> {
    // A line break from a folded YAML string would break the line that shows it.
    let mut text = text.replace(char::is_control, " ");
    let cut = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let cut = cut.take_while(|&end| end <= MAX_TEXT).last();
    text.truncate(cut.unwrap_or(0));
    text.into()
}
