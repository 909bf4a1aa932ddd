//! Builds a policy from rules and groups, or returns every conflict.
//!
//! A policy is built completely or not at all, and the order of rules in the file never matters:
//! two rules that could win the same question are an error here.

use ipnet::IpNet;

use super::{
    DenyWith, Group, GroupId, MAX_GROUPS, Policy, Rule, RuleId, RuleOrigin,
    clients::ClientSet,
    conflict::{self, Conflict, MAX_CONFLICTS},
    denial_text::DenialTexts,
    entry::MAX_RULES,
    index_builder::NameIndexBuilder,
    ranges::RuleRanges,
};

impl Policy {
    /// Builds the policy from `groups` with their CIDRs, `rules` with their patterns, and how to
    /// answer a denial if neither rule nor group specifies it. The numbers of groups and rules are
    /// their indices in these lists.
    ///
    /// # Errors
    /// Every [`Conflict`], at most [`MAX_CONFLICTS`], with a last one that says that there are
    /// more.
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
        conflict::find_ties(&draft, &rules, &mut conflicts);
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
        let mut numbered = (0..).map(RuleId).zip(&rules);
        let single_label = numbered
            .find(|(_, rule)| is_unnamed(rule))
            .map(|(id, _)| id);
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
            single_label,
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
