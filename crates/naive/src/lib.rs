//! The naive policy: which rule decides about a question, found by a scan over all rules. It is written from the words of
//! the promise and has none of the code of `dnsgate-core`: a name is a list of labels, and nothing is sorted. Unit tests,
//! fuzzers and the capture test compare dnsgate with it.
//!
//! Not here: what a rule does, and how a denial looks. Whoever compares keeps that beside the rules.

#![forbid(unsafe_code)]

/// What a pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The name itself.
    Exact,
    /// The name and all names below it.
    Subtree,
    /// All names below the name.
    Below,
}

/// A shape and a name; the leftmost label is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern<L> {
    /// What it stands for.
    pub shape: Shape,
    /// The name, without the root's empty label.
    pub labels: Vec<L>,
}

/// Which rules go first among rules with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It stands in the file.
    Configured,
    /// dnsgate brings it. A configured rule beats it.
    BuiltIn,
    /// dnsgate brings it for the names that search lists make. It never decides: it only gives the reason where no rule
    /// decides.
    Search,
}

/// What counts of a rule when it is decided which one applies.
#[derive(Clone, Debug)]
pub struct Rule<L> {
    /// Any of them may match.
    pub patterns: Vec<Pattern<L>>,
    /// The client groups that it is for; `None`: for all.
    pub groups: Option<Vec<u8>>,
    /// The record types that it is for; `None`: for all.
    pub types: Option<Vec<u16>>,
    /// The first second at which it no longer applies.
    pub until: Option<u64>,
    /// Whose rule it is.
    pub origin: Origin,
}

/// What is asked, by which client group, and when.
#[derive(Clone, Debug)]
pub struct Question<L> {
    /// The client's group.
    pub group: u8,
    /// The name in lower case; the leftmost label is the first.
    pub name: Vec<L>,
    /// The record type.
    pub qtype: u16,
    /// The time, in seconds.
    pub now: u64,
}

impl Pattern<Vec<u8>> {
    /// Reads a pattern as the configuration file has it: `x`, `.x` or `*.x`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let (shape, name) = match (text.strip_prefix("*."), text.strip_prefix('.')) {
            (Some(name), _) => (Shape::Below, name),
            (_, Some(name)) => (Shape::Subtree, name),
            _ => (Shape::Exact, text),
        };
        Self {
            shape,
            labels: labels(name),
        }
    }
}

/// The labels of a name in text form, in lower case.
#[must_use]
pub fn labels(name: &str) -> Vec<Vec<u8>> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels
        .map(|label| label.to_ascii_lowercase().into_bytes())
        .collect()
}

/// The labels of a name in wire form, in lower case. What follows the root's label, or does not fit, is left out.
#[must_use]
pub fn wire_labels(mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut labels = Vec::new();
    while let Some((&len, rest)) = wire.split_first()
        && let Some((label, rest)) = rest.split_at_checked(usize::from(len))
        && len > 0
    {
        labels.push(label.to_ascii_lowercase());
        wire = rest;
    }
    labels
}

/// Whether a name is below another one.
#[must_use]
pub fn is_below<L: PartialEq>(name: &[L], above: &[L]) -> bool {
    name.len() > above.len() && name.ends_with(above)
}

impl<L: PartialEq> Pattern<L> {
    /// Whether it stands for the name.
    #[must_use]
    pub fn matches(&self, name: &[L]) -> bool {
        match self.shape {
            Shape::Exact => name == self.labels,
            Shape::Subtree => name == self.labels || is_below(name, &self.labels),
            Shape::Below => is_below(name, &self.labels),
        }
    }
}

impl<L: PartialEq> Rule<L> {
    /// Whether any of its patterns stands for the name.
    #[must_use]
    pub fn is_about(&self, name: &[L]) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether it is for the question's group, type and time, whatever the name.
    #[must_use]
    pub fn applies(&self, asked: &Question<L>) -> bool {
        let group = match &self.groups {
            None => true,
            Some(groups) => groups.contains(&asked.group),
        };
        let qtype = match &self.types {
            None => true,
            Some(types) => types.contains(&asked.qtype),
        };
        let expired = match self.until {
            None => false,
            Some(until) => asked.now >= until,
        };
        group && qtype && !expired
    }
}

/// Of two rules that apply, each with a pattern that matches: whether the first one wins. `None` if they are tied.
#[must_use]
pub fn beats<L>(
    (one, one_pattern): (&Rule<L>, &Pattern<L>),
    (two, two_pattern): (&Rule<L>, &Pattern<L>),
) -> Option<bool> {
    // "The longest name wins;
    let (one_length, two_length) = (one_pattern.labels.len(), two_pattern.labels.len());
    if one_length != two_length {
        return Some(one_length > two_length);
    }
    // on the same name an exact pattern beats a subtree one,
    let is_exact = |pattern: &Pattern<L>| pattern.shape == Shape::Exact;
    match (is_exact(one_pattern), is_exact(two_pattern)) {
        (true, false) => return Some(true),
        (false, true) => return Some(false),
        _ => {}
    }
    // then the entry that names the group beats the one for everybody",
    match (&one.groups, &two.groups) {
        (Some(_), None) => return Some(true),
        (None, Some(_)) => return Some(false),
        _ => {}
    }
    // and a configured one a built-in one.
    match (one.origin, two.origin) {
        (Origin::Configured, Origin::BuiltIn) => Some(true),
        (Origin::BuiltIn, Origin::Configured) => Some(false),
        _ => None,
    }
}

/// The number of the rule that decides about a question; `None` if no rule does. Of rules that are tied, which the policy
/// refuses, the first one.
#[must_use]
pub fn decide<L: PartialEq>(rules: &[Rule<L>], asked: &Question<L>) -> Option<usize> {
    let mut best: Option<(usize, &Rule<L>, &Pattern<L>)> = None;
    for (number, rule) in rules.iter().enumerate() {
        if rule.origin == Origin::Search || !rule.applies(asked) {
            continue;
        }
        let matching = rule.patterns.iter();
        for pattern in matching.filter(|pattern| pattern.matches(&asked.name)) {
            let wins = best.is_none_or(|(_, other, theirs)| {
                beats((rule, pattern), (other, theirs)) == Some(true)
            });
            if wins {
                best = Some((number, rule, pattern));
            }
        }
    }
    best.map(|(number, _, _)| number)
}
