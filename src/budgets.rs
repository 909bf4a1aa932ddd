//! What left through forwarding rules, compared with their budgets: the table of the process, and what
//! the metrics and the admin pages show of it.
//!
//! One lock guards the table. Only a question that is about to be sent upstream takes it, for less than
//! a microsecond; sending one takes several.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Instant, SystemTime},
};

use jiff::{Timestamp, Unit};
use serde::Serialize;

use dnsgate_config::{Limits, PublicSuffix};
use dnsgate_core::{
    budget::{BudgetStanding, BudgetTable, Charge, CountedDomain, CountedParty, Spending},
    dns::NameRef,
    engine::{GroupId, Policy, RuleId},
    policy::{Action, OverBudget},
};

/// Maximum number of series of the counter: a file that is reloaded for months with ever new names must
/// not exhaust the memory. Further rules count as `other`.
const MAX_SERIES: usize = 65_536;
/// Maximum number of counters that are shown.
const MAX_SHOWN: usize = 100;

/// The budgets of the process.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    table: OnceLock<Mutex<BudgetTable>>,
    /// The questions beyond a budget, by rule and by what happened to them.
    exceeded: Mutex<BTreeMap<(Box<str>, &'static str), u64>>,
}

/// Who asks, and by which rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spender {
    pub(crate) rule: Option<RuleId>,
    pub(crate) group: Option<GroupId>,
    pub(crate) client: IpAddr,
}

impl Spender {
    /// What a question for `name` spends; `None` if its rule has no budget. Finds the registered domain,
    /// so call it before taking a lock.
    pub(crate) fn spending<'q>(
        self,
        policy: &'q Policy,
        name: NameRef<'q>,
    ) -> Option<Spending<'q>> {
        let rule = policy.rule(self.rule?)?;
        let Action::Forward(forwarding) = &rule.action else {
            return None; // observed: the rule would deny it
        };
        let group = self.group.and_then(|id| policy.group_of(id));
        Some(Spending {
            rule: &rule.name,
            budget: forwarding.budget?,
            group: group.map_or("", |group| &group.name),
            client: self.client,
            name,
            domain_labels: PublicSuffix::of(name).labels + 1,
        })
    }
}

impl Budgets {
    /// Sets the size of the table. Call it before the first question.
    pub(crate) fn start(&self, limits: &Limits) {
        let bits = |bits: usize| u32::try_from(bits).unwrap_or(u32::MAX);
        let prefixes = [
            bits(limits.per_client_ipv4_prefix),
            bits(limits.per_client_ipv6_prefix),
        ];
        let table = BudgetTable::new(limits.budget_memory, prefixes);
        let _ = self.table.set(Mutex::new(table));
    }

    /// Creates the series of the rules of a policy, so that a scrape sees the first excess as a rise.
    pub(crate) fn loaded(&self, policy: &Policy) {
        let mut exceeded = lock(&self.exceeded);
        for rule in policy.rules() {
            if let Action::Forward(forwarding) = &rule.action
                && let Some(budget) = forwarding.budget
            {
                series(&mut exceeded, &rule.name, budget.over);
            }
        }
    }

    /// Counts a question that is about to be sent.
    pub(crate) fn charge(&self, spending: Spending<'_>, now: Instant) -> Charge {
        let charge = self.table().charge(spending, now);
        if let Charge::Over(counted) = &charge {
            let mut exceeded = lock(&self.exceeded);
            *series(&mut exceeded, &counted.rule, counted.budget.over) += 1;
        }
        charge
    }

    /// What is counted for a question that somebody might ask, and whether its name is free.
    pub(crate) fn standing(
        &self,
        spending: Spending<'_>,
        now: Instant,
    ) -> (Option<BudgetStanding>, bool) {
        let table = self.table();
        (table.counted(spending, now), table.is_free(spending.name))
    }

    /// What is left of the budget for a question that would be sent, for a person.
    pub(crate) fn left(
        &self,
        spending: Spending<'_>,
        now: Instant,
        calendar: SystemTime,
    ) -> String {
        let (counted, is_free) = self.standing(spending, now);
        if is_free {
            return "the name costs nothing: many clients have asked for it over many hours"
                .to_owned();
        }
        let Some(counted) = counted else {
            return "all of it: no name has been sent in this window".to_owned();
        };
        let used = BudgetUse::of(&counted, calendar);
        let about = if used.exact { "" } else { "about " };
        let party = used
            .party
            .map_or_else(String::new, |party| format!(" of {party}"));
        format!(
            "{about}{} names and {} bytes to {}, until {} ({} and {}{party} are used)",
            used.max_names.saturating_sub(used.names),
            used.max_bytes.saturating_sub(used.bytes),
            used.domain,
            used.ends,
            used.names,
            used.bytes,
        )
    }

    /// The questions beyond a budget, by rule and by what happened to them.
    pub(crate) fn exceeded(&self) -> Vec<(Box<str>, &'static str, u64)> {
        let exceeded = lock(&self.exceeded);
        let series = exceeded.iter();
        series
            .map(|((rule, over), &count)| (rule.clone(), *over, count))
            .collect()
    }

    /// The memory of the counters in bytes, and the questions that found none of their own.
    pub(crate) fn load(&self) -> (u64, u64) {
        let table = self.table();
        (table.used() as u64, table.overflowed())
    }

    /// The counters that have used most of their budgets, most first.
    pub(crate) fn heaviest(&self, now: Instant, calendar: SystemTime) -> Vec<BudgetUse> {
        let heaviest = self.table().heaviest(MAX_SHOWN, now);
        let shown = heaviest.into_iter();
        shown
            .map(|counted| BudgetUse::of(&counted, calendar))
            .collect()
    }

    fn table(&self) -> MutexGuard<'_, BudgetTable> {
        let default = || {
            let limits = Limits::default();
            Mutex::new(BudgetTable::new(limits.budget_memory, [32, 64]))
        };
        lock(self.table.get_or_init(default))
    }
}

/// How much of one budget is used, for the page of usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BudgetUse {
    /// The rule.
    pub rule: Box<str>,
    /// Whose names count: `client`, `group` or `rule`.
    pub per: &'static str,
    /// The client or the group; `None` for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// The client that asked last.
    pub client: IpAddr,
    /// The registered domain, `other domains` of the party, or `no room` in the table.
    pub domain: String,
    /// The distinct names that were sent.
    pub names: u64,
    /// The budget of names.
    pub max_names: u64,
    /// The bytes of their labels below the domain.
    pub bytes: u64,
    /// The budget of bytes.
    pub max_bytes: u64,
    /// Whether both numbers are exact; estimates are within a few percent.
    pub exact: bool,
    /// What happens beyond the budget: `report` or `deny`.
    pub over: &'static str,
    /// Whether it was exceeded in this window.
    pub exceeded: bool,
    /// When the window ends.
    pub ends: String,
}

impl BudgetUse {
    /// The form of a counter.
    pub(crate) fn of(counted: &BudgetStanding, calendar: SystemTime) -> Self {
        let BudgetStanding {
            rule,
            party,
            domain,
            client,
            count,
            budget,
            left,
            reported,
            is_first: _,
        } = counted;
        Self {
            rule: rule.clone(),
            per: budget.per.as_str(),
            party: match party {
                CountedParty::Client(client) => Some(client.to_string()),
                CountedParty::Group(group) => Some(group.to_string()),
                CountedParty::Everybody => None,
            },
            client: *client,
            domain: shown_domain(domain),
            names: count.names,
            max_names: budget.names,
            bytes: count.bytes,
            max_bytes: budget.bytes,
            exact: count.exact,
            over: budget.over.as_str(),
            exceeded: *reported,
            ends: shown_time(calendar.checked_add(*left).unwrap_or(calendar)),
        }
    }
}

/// A domain in zone-file form without the final dot, or what stands for several.
fn shown_domain(domain: &CountedDomain) -> String {
    match domain {
        CountedDomain::Registered(name) => name.to_string().trim_end_matches('.').to_owned(),
        CountedDomain::Others => "other domains".to_owned(),
        CountedDomain::Overflow => "no room".to_owned(),
    }
}

/// A time in RFC 3339 form, in whole seconds.
fn shown_time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).and_then(|time| time.round(Unit::Second));
    time.map_or_else(|_| String::new(), |time| time.to_string())
}

/// The counter of a rule.
fn series<'m>(
    exceeded: &'m mut BTreeMap<(Box<str>, &'static str), u64>,
    rule: &str,
    over: OverBudget,
) -> &'m mut u64 {
    let over = over.as_str();
    let mut key = (Box::from(rule), over);
    if exceeded.len() >= MAX_SERIES && !exceeded.contains_key(&key) {
        key = ("other".into(), over);
    }
    exceeded.entry(key).or_default()
}

/// No panic can leave the value half changed in a way that matters: at worst a count is one too low.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
