//! Budgets: how much may leave through a forwarding rule. The shipped default, the bounds, and the budget that a
//! rule has.

use std::{fmt, marker::PhantomData, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Visitor};

use super::{
    error::Faults,
    file::RuleEntry,
    given::{FileValue, Given},
    limits::{Bound, Bounded as _, Bytes, within},
    read::{WORD_OR_MAPPING, advised},
    value::{Count, Interval},
};
use dnsgate_core::policy::{Action, Budget, BudgetParty, OverBudget, Pattern, Rule};

/// The budget of a rule over a subtree where the file has none. Programs ask for some hundred names of one domain a
/// day; a tunnel asks for as many in a minute, and at one name a minute it is over within 17 hours. 64 KiB a day are
/// 0.8 bytes a second. `docs/security.md` has the measurements.
pub const SHIPPED_BUDGET: Budget = Budget {
    names: 1_000,
    bytes: 64 << 10,
    window: Duration::from_secs(86_400),
    per: BudgetParty::Client,
    over: OverBudget::Report,
};

/// The most names: beyond, any tunnel fits.
const NAMES: [usize; 2] = [1, 1_000_000];
/// The bytes of one long name, and what a million short names have.
const BYTES: [usize; 2] = [1 << 10, 1 << 30];
/// A window that is shorter than a second bounds nothing that a rate limit does not; the state is not kept over a
/// restart, so a window longer than a month would rarely end.
const WINDOW: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30 * 86_400)];

/// The value of `budget`.
#[derive(Debug)]
pub(super) enum BudgetEntry {
    /// Nothing is counted.
    Off,
    /// These keys; the others are as in the default.
    Keys(Box<BudgetKeys>),
}

/// `budget` where it is not the word `off`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`budget`")]
#[schemars(rename = "Budget", deny_unknown_fields)]
pub(super) struct BudgetKeys {
    /// The distinct names below one registered domain.
    pub(super) names: Given<Count>,
    /// The bytes of their labels below the domain.
    pub(super) bytes: Given<Bytes>,
    /// The length of a window.
    pub(super) window: Given<Interval>,
    /// Whose names are counted together.
    pub(super) per: Given<BudgetParty>,
    /// What happens to a question beyond it.
    pub(super) over: Given<OverBudget>,
}

/// The visitor of `budget`.
struct BudgetVisitor(PhantomData<BudgetEntry>);

impl<'de> Visitor<'de> for BudgetVisitor {
    type Value = BudgetEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("off, or a mapping such as { names: 500, window: 1h }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<BudgetEntry, E> {
        match word {
            "off" => Ok(BudgetEntry::Off),
            _ => {
                let help = "keys that you leave out have their defaults";
                let error =
                    "write off, or a mapping such as { names: 500, window: 1h, over: deny }";
                Err(advised(error, Some(help.to_owned())))
            }
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<BudgetEntry, D::Error> {
        let keys = BudgetKeys::deserialize(from)?;
        Ok(BudgetEntry::Keys(Box::new(keys)))
    }
}

impl FileValue for BudgetEntry {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_newtype_struct(WORD_OR_MAPPING, BudgetVisitor(PhantomData))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<BudgetKeys>();
        json_schema!({ "anyOf": [{ "const": "off" }, keys] })
    }
}

/// The default of rules over subtrees: what the file says, with what it leaves out from the shipped one.
pub(super) fn default(given: &Given<BudgetEntry>, faults: &mut Faults<'_>) -> Option<Budget> {
    match given.value() {
        None => Some(SHIPPED_BUDGET),
        Some(BudgetEntry::Off) => None,
        Some(BudgetEntry::Keys(keys)) => Some(filled(keys, SHIPPED_BUDGET, faults)),
    }
}

/// Sets the budget of a rule that forwards.
pub(super) fn set(
    rule: &mut Rule,
    entry: &RuleEntry,
    default: Option<Budget>,
    faults: &mut Faults<'_>,
) {
    let Action::Forward(forwarding) = &mut rule.action else {
        return;
    };
    // The names of a rule without a subtree are those that the operator wrote: none says anything new.
    let has_subtree = rule
        .patterns
        .iter()
        .any(|pattern| !matches!(pattern, Pattern::Exact(_)));
    forwarding.budget = match entry.budget.value() {
        None => default.filter(|_| has_subtree),
        Some(BudgetEntry::Off) => None,
        Some(BudgetEntry::Keys(keys)) => {
            Some(filled(keys, default.unwrap_or(SHIPPED_BUDGET), faults))
        }
    };
}

/// A budget as the keys say, with what they leave out from another one.
fn filled(keys: &BudgetKeys, otherwise: Budget, faults: &mut Faults<'_>) -> Budget {
    let BudgetKeys {
        names,
        bytes,
        window,
        per,
        over,
    } = *keys;
    let own = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let names = within("names", *names, counts(own(otherwise.names)), faults);
    let bytes = within("bytes", *bytes, sizes(own(otherwise.bytes)), faults);
    let window = within("window", *window, spans(otherwise.window), faults);
    Budget {
        names: names.0 as u64,
        bytes: bytes.0 as u64,
        window: window.0,
        per: per.into_value().unwrap_or(otherwise.per),
        over: over.into_value().unwrap_or(otherwise.over),
    }
}

const fn counts(default: usize) -> Bound<Count> {
    let [least, most] = NAMES;
    Bound {
        default: Count(default),
        least: Count(least),
        most: Count(most),
    }
}

const fn sizes(default: usize) -> Bound<Bytes> {
    let [least, most] = BYTES;
    Bound {
        default: Bytes(default),
        least: Bytes(least),
        most: Bytes(most),
    }
}

const fn spans(default: Duration) -> Bound<Interval> {
    let [least, most] = WINDOW;
    Bound {
        default: Interval(default),
        least: Interval(least),
        most: Interval(most),
    }
}

/// A budget in words, as the configuration writes its values.
#[must_use]
pub fn described(budget: &Budget) -> String {
    let bytes = usize::try_from(budget.bytes).unwrap_or(usize::MAX);
    let bytes = match bytes % 1_024 {
        0 => Bytes(bytes).shown(),
        _ => format!("{bytes} bytes"),
    };
    format!(
        "{} names and {bytes} to one domain in {}, per {}",
        budget.names,
        Interval(budget.window).shown(),
        budget.per.as_str(),
    )
}
