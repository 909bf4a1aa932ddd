//! From rules and groups to a policy, or to everything that keeps them from being one.
//!
//! A policy is built whole or not at all, and order in the file never matters: where two rules
//! could both win the same question, that is an error here, not a coin that a decision tosses.

use std::time::{Duration, SystemTime};

use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    Action, DenialReason, DenyWith, Group, GroupId, MAX_GROUPS, Pattern, Policy, Rule, RuleId,
    RuleOrigin,
    clients::ClientSet,
    name_index::{MAX_RULES, NameIndexBuilder},
    rule_ranges::RuleRanges,
    ties,
};

/// The most conflicts that are listed: who sees so many has one cause to find, not as many.
pub const MAX_CONFLICTS: usize = 100;
/// The most rules with one name that are compared with each other. No official reference: far above
/// groups × types that anybody tells apart, and low enough that comparing all of them takes no time.
pub const MAX_RULES_OF_NAME: usize = 1000;
/// The longest text that a denial carries, in bytes: it travels in every denied reply.
pub const MAX_TEXT: usize = 200;

/// Why rules and groups are no policy. Rules and groups go by number: who knows the file knows
/// their names and places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Two rules could win the same question.
    #[error(
        "two rules are about `{pattern}` for the same clients and types, and neither goes before the other; give them different groups or types, or remove one"
    )]
    TiedRules {
        /// The one with the lower number.
        first: RuleId,
        /// The other.
        second: RuleId,
        /// The pattern as the second has it; the first has one of the same name.
        pattern: Pattern,
    },
    /// Two groups claim the same CIDR.
    #[error("two client groups have the CIDR {cidr}; a client belongs to one group")]
    SameCidr {
        /// What both have, without host bits.
        cidr: IpNet,
        /// The one with the lower number.
        first: GroupId,
        /// The other.
        second: GroupId,
    },
    /// More rules about one name than [`MAX_RULES_OF_NAME`].
    #[error(
        "{count} rules are about `{pattern}`; {MAX_RULES_OF_NAME} are the most that one name may have"
    )]
    TooManyOfName {
        /// One of them.
        pattern: Pattern,
        /// How many there are.
        count: usize,
    },
    /// More groups than [`MAX_GROUPS`].
    #[error("there are {count} client groups; {MAX_GROUPS} are the most")]
    TooManyGroups {
        /// How many there are.
        count: usize,
    },
    /// More rules than can be numbered.
    #[error("there are {count} rules; {MAX_RULES} are the most")]
    TooManyRules {
        /// How many there are.
        count: usize,
    },
    /// More names than the tree can hold.
    #[error("the rules have too many names: their labels do not fit into 4 GiB")]
    TooManyNames,
    /// There are more conflicts than [`MAX_CONFLICTS`]; these are the first.
    #[error("there are more conflicts like these; the first {MAX_CONFLICTS} are listed")]
    More,
}

impl Policy {
    /// Builds the policy: `groups` with their CIDRs, `rules` with their patterns, and how a denial
    /// is answered where neither rule nor group says. The numbers of groups and rules are their
    /// places in these lists.
    ///
    /// # Errors
    /// With every [`Conflict`], at most [`MAX_CONFLICTS`] and a last one that says so.
    pub fn build(
        groups: Vec<(Group, Vec<IpNet>)>,
        rules: Vec<Rule>,
        deny_with: DenyWith,
    ) -> Result<Self, Vec<Conflict>> {
        let mut conflicts = count_conflicts(&groups, &rules);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let (groups, cidrs): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let clients = clients_of(cidrs, &mut conflicts);
        let draft = NameIndexBuilder::new(&rules).map_err(|_| vec![Conflict::TooManyNames])?;
        ties::find(&draft, &rules, &mut conflicts);
        if conflicts.len() > MAX_CONFLICTS {
            conflicts.truncate(MAX_CONFLICTS);
            conflicts.push(Conflict::More);
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let names = draft.finish().map_err(|_| vec![Conflict::TooManyNames])?;
        let is_unnamed =
            |rule: &Rule| rule.origin == RuleOrigin::Search && rule.patterns.is_empty();
        let single_label = rules.iter().position(is_unnamed);
        let mut rules = rules;
        for rule in &mut rules {
            rule.patterns = Vec::new();
        }
        Ok(Self {
            texts: rules
                .iter()
                .map(|rule| DenialTexts::of(rule, &groups))
                .collect(),
            groups,
            rule_ranges: RuleRanges::new(&rules, None, Vec::new()),
            rules,
            clients,
            names,
            single_label: single_label.map(|at| RuleId(at as u32)),
            deny_with,
            observe: None,
        })
    }
}

fn count_conflicts(groups: &[(Group, Vec<IpNet>)], rules: &[Rule]) -> Vec<Conflict> {
    let groups = (groups.len() > MAX_GROUPS).then_some(Conflict::TooManyGroups {
        count: groups.len(),
    });
    let rules = (rules.len() > MAX_RULES).then_some(Conflict::TooManyRules { count: rules.len() });
    groups.into_iter().chain(rules).collect()
}

fn clients_of(cidrs: Vec<Vec<IpNet>>, conflicts: &mut Vec<Conflict>) -> ClientSet {
    let cidrs = (0..)
        .map(GroupId)
        .zip(cidrs)
        .flat_map(|(group, cidrs)| cidrs.into_iter().map(move |cidr| (cidr, group)));
    ClientSet::new(cidrs).unwrap_or_else(|contested| {
        conflicts.extend(contested.into_iter().map(|contested| Conflict::SameCidr {
            cidr: contested.cidr,
            first: contested.first,
            second: contested.second,
        }));
        ClientSet::default()
    })
}

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
    fn of(rule: &Rule, groups: &[Group]) -> Self {
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
