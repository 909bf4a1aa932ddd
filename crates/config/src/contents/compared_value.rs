//! The value of a key, in a form that can be compared and whose differences a person can read.

use std::{
    fmt::{self, Write as _},
    hash::{BuildHasher, Hash, RandomState},
    net::SocketAddr,
    sync::LazyLock,
    time::SystemTime,
};

use jiff::Timestamp;

use super::super::{
    error::escaped,
    file::{Deny, GoogleVip},
    given::{At, Choice, Given, List},
    listen::Listen,
    log::{LogFormat, LogOutput, LogQueries},
    upstream::{ServerAddr, Strategy},
    value::{Address, Admin, Cidr, Count, Label, ReasonText, Until},
};
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{BudgetParty, CnameMode, DenyWith, OverBudget, Pattern},
};

/// Shown for a key that was left out and has no default that can be written.
pub(super) const NOT_SET: &str = "not set";
/// The most items of one list kept for display; a longer list is shown as its length.
const MAX_ITEMS: usize = 64;
/// The most items of one list shown on each side.
const MAX_SHOWN: usize = 5;
/// The most characters of one value shown.
const MAX_CHARS: usize = 80;

/// Seeds the hashes, so that nobody can construct two different lists with equal hashes.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A hash that is valid only within this process.
pub(super) fn hash(of: &(impl Hash + ?Sized)) -> u64 {
    SEED.hash_one(of)
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ComparedValue {
    /// One value.
    One(Box<str>),
    /// Several values whose order does not matter.
    Set(Vec<Box<str>>),
    /// Too many values to keep: their number, and a hash of them.
    Many(usize, u64),
}

impl ComparedValue {
    pub(super) fn one(value: &impl ToString) -> Self {
        Self::One(value.to_string().into())
    }

    /// Several values whose order does not matter.
    pub(super) fn set(values: impl IntoIterator<Item = impl ToString>) -> Self {
        let values = values.into_iter().map(|value| value.to_string().into());
        let mut values: Vec<Box<str>> = values.collect();
        values.sort_unstable();
        Self::Set(values).bounded(usize::MAX)
    }

    /// The same value, reduced to its hash if it takes more than `room` bytes or has too many items.
    pub(super) fn bounded(self, room: usize) -> Self {
        let is_long = matches!(&self, Self::Set(items) if items.len() > MAX_ITEMS);
        if !is_long && self.len() <= room {
            return self;
        }
        let (number, hash) = self.digest();
        Self::Many(number, hash)
    }

    /// Whether both are equal, even if only a hash of one is kept.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }

    fn digest(&self) -> (usize, u64) {
        match self {
            Self::One(value) => (1, hash(value)),
            Self::Set(items) => (items.len(), hash(items)),
            Self::Many(number, hash) => (*number, *hash),
        }
    }

    /// The number of bytes kept.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(value) => value.len(),
            Self::Set(items) => items.iter().map(|item| item.len()).sum(),
            Self::Many(..) => 0,
        }
    }

    /// The change from `self` to `new`, for a person.
    pub(super) fn to(&self, new: &Self) -> String {
        match (self, new) {
            (Self::One(old), Self::One(new)) => format!("{} -> {}", cut(old), cut(new)),
            (Self::Set(old), Self::Set(new)) => {
                let missing = |of: &[Box<str>], than: &[Box<str>]| -> Vec<String> {
                    let only = of.iter().filter(|item| !than.contains(item));
                    only.map(|item| cut(item)).collect()
                };
                match (missing(new, old), missing(old, new)) {
                    // An item was there twice and is now there once.
                    (added, gone) if added.is_empty() && gone.is_empty() => {
                        format!("{} -> {}", count(old.len()), count(new.len()))
                    }
                    (added, gone) => [listed('+', &added), listed('-', &gone)].concat(),
                }
                .trim_start()
                .to_owned()
            }
            (old, new) => match (old.shown(), new.shown()) {
                (old, new) if old == new => format!("other ones, {old}"),
                (old, new) => format!("{old} -> {new}"),
            },
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::One(value) => cut(value),
            Self::Set(items) if items.len() == 1 => {
                items.first().map_or_else(String::new, |it| cut(it))
            }
            Self::Set(items) => count(items.len()),
            Self::Many(number, _) => count(*number),
        }
    }
}

fn count(items: usize) -> String {
    match items {
        1 => "1 entry".to_owned(),
        _ => format!("{items} entries"),
    }
}

fn listed(sign: char, items: &[String]) -> String {
    let mut text = String::new();
    for item in items.iter().take(MAX_SHOWN) {
        let _ = write!(text, " {sign}{item}");
    }
    if items.len() > MAX_SHOWN {
        let _ = write!(text, " {sign}{} more", items.len() - MAX_SHOWN);
    }
    text
}

/// A value, shortened and escaped for a terminal.
fn cut(value: &str) -> String {
    escaped(value, MAX_CHARS).into_owned()
}

/// A value of the file that can be compared.
pub(super) trait Compare {
    fn compared(&self) -> ComparedValue;
}

impl<T: Compare> Compare for At<T> {
    fn compared(&self) -> ComparedValue {
        self.value.compared()
    }
}

impl<T: Compare> Compare for &T {
    fn compared(&self) -> ComparedValue {
        (*self).compared()
    }
}

impl<T: Compare> Compare for Option<T> {
    fn compared(&self) -> ComparedValue {
        self.as_ref()
            .map_or_else(|| ComparedValue::One(NOT_SET.into()), Compare::compared)
    }
}

impl<T: Compare> Compare for Given<T> {
    fn compared(&self) -> ComparedValue {
        (**self).compared()
    }
}

/// The order of a list does not matter.
impl<T: fmt::Display> Compare for List<T> {
    fn compared(&self) -> ComparedValue {
        ComparedValue::set(self.iter().map(|at| &at.value))
    }
}

/// Values that are displayed as written.
macro_rules! displayed {
    ($($type:ty),+ $(,)?) => {
        $(impl Compare for $type {
            fn compared(&self) -> ComparedValue {
                ComparedValue::one(self)
            }
        })+
    };
}

displayed!(
    bool,
    u32,
    String,
    Box<str>,
    DenyWith,
    Listen,
    LogOutput,
    Name,
    Pattern,
    RecordType,
    ServerAddr,
    SocketAddr
);

/// Values that are keywords of the file.
macro_rules! words {
    ($($type:ty),+ $(,)?) => {
        $(impl Compare for $type {
            fn compared(&self) -> ComparedValue {
                ComparedValue::one(&word(*self))
            }
        })+
    };
}

words!(
    BudgetParty,
    OverBudget,
    CnameMode,
    Deny,
    LogFormat,
    LogQueries,
    Strategy,
    GoogleVip
);

/// The keyword of a value.
pub(super) fn word<T: Choice + PartialEq>(value: T) -> &'static str {
    let mut choices = T::CHOICES.iter();
    let word = choices.find(|(_, choice)| *choice == value);
    word.map_or(NOT_SET, |(word, _)| word)
}

/// Values that wrap another value.
macro_rules! wrapped {
    ($($type:ty),+ $(,)?) => {
        $(impl Compare for $type {
            fn compared(&self) -> ComparedValue {
                ComparedValue::one(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        })+
    };
}

wrapped!(Address, Cidr, Count, Label, ReasonText);

impl Compare for Admin {
    fn compared(&self) -> ComparedValue {
        self.0.map_or_else(
            || ComparedValue::one(&"off"),
            |address| ComparedValue::one(&address),
        )
    }
}

impl Compare for SystemTime {
    fn compared(&self) -> ComparedValue {
        match Timestamp::try_from(*self) {
            Ok(time) => ComparedValue::one(&time),
            Err(_) => ComparedValue::one(&format!("{self:?}")),
        }
    }
}

impl Compare for Until {
    fn compared(&self) -> ComparedValue {
        self.0.compared()
    }
}
