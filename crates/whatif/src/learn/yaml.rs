//! Writes the rules as YAML, and everything else as comments, so that the text can be pasted unchanged.

use std::{borrow::Cow, fmt::Write as _};

use jiff::Timestamp;

use super::{
    needed::{LeftOut, LogNotes},
    observed::{ObservedPage, ObservedQuestion, PageOrigin, TimesSeen},
    rules::LearntRule,
    subtrees::DomainLine,
    wanted::{NotAllowed, WantedNames},
};
use crate::words::{plural, without_dot};
use dnsgate_core::policy::Pattern;

/// The most questions of a log that are listed for each reason why they get no rule.
const MAX_LISTED: usize = 50;
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
    // A log has more names than a person would read as comments.
    let most = match page.origin {
        PageOrigin::Observed { .. } => usize::MAX,
        PageOrigin::Logs(_) => MAX_LISTED,
    };
    for (&why, others) in &judged.others {
        let _ = writeln!(text, "\n  # {}", title(why));
        for (observed, rule) in others.iter().take(most) {
            let _ = writeln!(text, "  #   {}", line(observed, rule, why));
        }
        more(others.len(), most, &mut text);
    }
    if let PageOrigin::Logs(notes) = &page.origin {
        for (&why, questions) in &notes.left_out {
            let _ = writeln!(
                text,
                "\n  # {} (--include {}):",
                left_out(why),
                why.as_str()
            );
            for observed in questions.iter().take(most) {
                let _ = writeln!(text, "  #   {}", line(observed, "", NotAllowed::Unwritable));
            }
            more(questions.len(), most, &mut text);
        }
    }
    text
}

/// Says how many questions are not shown.
fn more(count: usize, most: usize, text: &mut String) {
    if count > most {
        let more = plural((count - most) as u64, "question", "questions");
        let _ = writeln!(text, "  #   and {more} more");
    }
}

fn head(
    page: &ObservedPage,
    source: &str,
    judged: &WantedNames<'_>,
    rules: &[LearntRule<'_>],
    text: &mut String,
) {
    match &page.origin {
        PageOrigin::Observed {
            generation,
            dropped,
        } => observed_head(page.observed.len(), *generation, *dropped, source, text),
        PageOrigin::Logs(notes) => log_head(notes, source, text),
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

fn observed_head(count: usize, generation: u64, dropped: u64, source: &str, text: &mut String) {
    let count = plural(count as u64, "question", "questions");
    let _ = writeln!(
        text,
        "  # From {source}: {count} of clients, recorded up to generation {generation} of the configuration."
    );
    if dropped > 0 {
        let _ = writeln!(
            text,
            "  # warning: the record is not complete: {} were dropped for lack of room.",
            plural(dropped, "entry", "entries")
        );
    }
}

fn log_head(notes: &LogNotes, source: &str, text: &mut String) {
    let TimesSeen { count, first, last } = notes.seen;
    let questions = |count| plural(count, "question", "questions");
    let _ = write!(
        text,
        "  # From {source}: {} ({})",
        questions(count),
        notes.formats
    );
    if let Some((first, last)) = first.zip(last) {
        let _ = write!(text, ", from {} to {}", seconds(first), seconds(last));
    }
    text.push_str(".\n");
    let mut left = |count: u64, why: &str| {
        if count > 0 {
            let _ = writeln!(text, "  # Left out: {why}.");
        }
    };
    left(
        notes.early,
        &format!("{} before the given time", questions(notes.early)),
    );
    left(
        notes.timeless,
        &format!("{} without a time in the log", questions(notes.timeless)),
    );
    let (few, clients) = notes.few_clients;
    let names = plural(few as u64, "name", "names");
    left(
        few as u64,
        &format!("{names} that fewer than {clients} clients asked for"),
    );
    let (dropped, times) = notes.dropped;
    if dropped > 0 {
        let _ = writeln!(
            text,
            "  # warning: there was no room for {}, each asked for at most {} at a time.",
            plural(dropped, "rare question", "rare questions"),
            self::times(times)
        );
    }
    if !notes.groups.is_empty() {
        text.push_str(
            "  # The groups were made from the logs; write their ranges under `clients:`:\n",
        );
    }
    for (name, ranges) in &notes.groups {
        let _ = writeln!(
            text,
            "  #   {}: {{ cidrs: {} }}",
            scalar(name),
            list(ranges.iter().cloned())
        );
    }
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
    let _ = match first.zip(last) {
        Some((first, last)) => writeln!(
            text,
            "    reason: \"observed {times} from {} to {}\"",
            seconds(first),
            seconds(last)
        ),
        None => writeln!(text, "    reason: \"observed {times}\""),
    };
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

const fn left_out(why: LeftOut) -> &'static str {
    match why {
        LeftOut::Blocked => {
            "Left out, because the server of the log denied them or replaced their answers"
        }
        LeftOut::OwnData => {
            "Left out, because the server of the log answered from its own data: import its zones instead"
        }
        LeftOut::BuiltIn => "Left out, because dnsgate answers them without a rule",
        LeftOut::Absent => "Left out, because they never existed",
        LeftOut::Search => "Left out, because search lists make them, or they have one label",
        LeftOut::Reverse => "Left out, because they are reverse names of addresses",
        LeftOut::Canary => "Left out, because programs look for encrypted DNS by them",
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
    let from = match &**group {
        "" => String::new(),
        group => format!(" from {group}"),
    };
    format!("{} {rtype}{from}, {times}{by}", without_dot(name))
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
