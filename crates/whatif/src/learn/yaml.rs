//! Writes the rules as YAML, and everything else as comments, so that the text can be pasted unchanged.

use std::{borrow::Cow, fmt::Write as _};

use jiff::Timestamp;

use super::{
    observed::{ObservedPage, ObservedQuestion, TimesSeen},
    rules::LearntRule,
    subtrees::DomainLine,
    wanted::{NotAllowed, WantedNames},
};
use crate::words::{plural, without_dot};
use dnsgate_core::policy::Pattern;

/// The most names of a subtree that are shown; the others are counted.
const MAX_SHOWN: usize = 20;

/// The whole text.
pub(super) fn written(
    page: &ObservedPage,
    source: &str,
    upstream: &str,
    judged: &WantedNames<'_>,
    rules: &[LearntRule<'_>],
) -> String {
    let mut text = String::new();
    head(page, source, judged, rules, &mut text);
    for rule in rules {
        of_rule(rule, upstream, &mut text);
    }
    for (&why, others) in &judged.others {
        let _ = writeln!(text, "\n  # {}", title(why));
        for (observed, rule) in others {
            let _ = writeln!(text, "  #   {}", line(observed, rule, why));
        }
    }
    text
}

fn head(
    page: &ObservedPage,
    source: &str,
    judged: &WantedNames<'_>,
    rules: &[LearntRule<'_>],
    text: &mut String,
) {
    let ObservedPage {
        generation,
        dropped,
        observed,
    } = page;
    let count = plural(observed.len() as u64, "question", "questions");
    let _ = writeln!(
        text,
        "  # From {source}: {count} of clients, recorded up to generation {generation} of the configuration."
    );
    if *dropped > 0 {
        let _ = writeln!(
            text,
            "  # warning: the record is not complete: {} were dropped for lack of room.",
            plural(*dropped, "entry", "entries")
        );
    }
    if judged.rare > 0 {
        let _ = writeln!(
            text,
            "  # Left out: {} that were asked for too rarely.",
            plural(judged.rare as u64, "name", "names")
        );
    }
    text.push_str(match rules {
        [] => "  # There is nothing to allow.\n",
        _ => "  # Read them, and paste the ones you want under `rules:`.\n",
    });
}

fn of_rule(rule: &LearntRule<'_>, upstream: &str, text: &mut String) {
    text.push('\n');
    if let Some(warning) = &rule.warning {
        let _ = writeln!(text, "  # warning: {warning}");
    }
    let _ = writeln!(text, "  - name: {}\n    domains:", scalar(&rule.name));
    for line in &rule.lines {
        of_domain(line, text);
    }
    let _ = writeln!(text, "    forward: {}", scalar(upstream));
    if !rule.types.is_empty() {
        let types = rule.types.iter().map(ToString::to_string);
        let _ = writeln!(text, "    types: {}", list(types));
    }
    if let Some(groups) = &rule.groups {
        let groups = groups.iter().map(|&group| group.to_owned());
        let _ = writeln!(text, "    groups: {}", list(groups));
    }
    let TimesSeen { count, first, last } = rule.seen;
    let times = times(count);
    let (first, last) = (seconds(first), seconds(last));
    let _ = writeln!(
        text,
        "    reason: \"observed {times} from {first} to {last}\""
    );
}

fn of_domain(line: &DomainLine, text: &mut String) {
    if let Pattern::Subtree(_) = line.pattern {
        let count = line.names.len();
        let _ = writeln!(
            text,
            "      # For {}:",
            plural(count as u64, "name", "names")
        );
        for name in line.names.iter().take(MAX_SHOWN) {
            let _ = writeln!(text, "      #   {}", without_dot(name));
        }
        if count > MAX_SHOWN {
            let _ = writeln!(text, "      #   and {} more", count - MAX_SHOWN);
        }
    }
    let _ = writeln!(text, "      - {}", scalar(&line.pattern.to_string()));
}

const fn title(why: NotAllowed) -> &'static str {
    match why {
        NotAllowed::Denied => "Not allowed, because a rule denies them:",
        NotAllowed::Ended => {
            "Not allowed, because the rule that did has ended; renew it if they are needed:"
        }
        NotAllowed::Allowed => "Allowed already:",
        NotAllowed::NoGroup => "Not allowed, because the configuration has no such client group:",
        NotAllowed::Unwritable => "Not allowed, because no rule can name them:",
    }
}

fn line(observed: &ObservedQuestion, rule: &str, why: NotAllowed) -> String {
    let ObservedQuestion {
        name,
        rtype,
        group,
        seen,
        ..
    } = observed;
    let times = times(seen.count);
    let by = match why {
        NotAllowed::Denied | NotAllowed::Ended | NotAllowed::Allowed => format!(": rule {rule}"),
        NotAllowed::NoGroup | NotAllowed::Unwritable => String::new(),
    };
    format!("{} {rtype} from {group}, {times}{by}", without_dot(name))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// A time without fractions of a second: only the day matters.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn list(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<_> = texts.map(|text| scalar(&text).into_owned()).collect();
    format!("[{}]", texts.join(", "))
}

/// A text as a YAML scalar, quoted unless it is unambiguous. Texts here are printable ASCII.
pub(crate) fn scalar(text: &str) -> Cow<'_, str> {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let (rest, is_subtree) = match text.strip_prefix('.') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(rest));
    let is_plain = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && rest.chars().all(allowed)
        && !is_word
        // YAML reads `.inf` and `.nan` as numbers.
        && (!is_subtree || rest.contains('.'));
    if is_plain {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', "''")))
}
