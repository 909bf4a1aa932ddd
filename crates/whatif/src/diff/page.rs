//! The differences as a page for the people who approve a change: one file without scripts, for a screen and for paper.

use std::fmt::Write as _;

use super::{
    ChangeEffect,
    report::{DiffReport, KindReport, NameReport},
};
use crate::plural;

/// The look of the page. The colours keep their contrast in print, and nothing is told by colour alone.
const STYLE: &str = include_str!("page.css");
/// The most clients that are named in a row.
const SHOWN_CLIENTS: usize = 3;
/// The most things of the source that were not kept.
const MAX_NOTES: usize = 100;

/// What stands around the differences.
#[derive(Clone, Debug, Default)]
pub struct PageContext {
    /// The old configuration.
    pub old: String,
    /// The new one.
    pub new: String,
    /// The day and time of the comparison.
    pub made: String,
    /// The version of dnsgate.
    pub version: String,
    /// Where the questions come from, in a sentence.
    pub questions: String,
    /// What changed in the file, in one line; empty if the old one is of another program.
    pub changes: String,
    /// Parts of the old policy that could not be compared as they are: where, and why.
    pub notes: Vec<(String, String)>,
}

/// One section of the page.
struct PageSection {
    effect: ChangeEffect,
    title: &'static str,
    class: &'static str,
    meaning: &'static str,
}

const SECTIONS: [PageSection; 5] = [
    PageSection {
        effect: ChangeEffect::Denied,
        title: "No longer answered",
        class: "denied",
        meaning: "These questions are answered today and would not be any more. Whoever asks them would notice.",
    },
    PageSection {
        effect: ChangeEffect::Allowed,
        title: "Newly answered",
        class: "allowed",
        meaning: "These questions are denied today and would be answered. This is what the change opens.",
    },
    PageSection {
        effect: ChangeEffect::Otherwise,
        title: "Answered differently",
        class: "other",
        meaning: "These questions are answered today and would be answered from elsewhere, or with other records.",
    },
    PageSection {
        effect: ChangeEffect::DeniedOtherwise,
        title: "Denied differently",
        class: "other",
        meaning: "These questions are denied today and would still be, with another response code.",
    },
    PageSection {
        effect: ChangeEffect::Unnoticed,
        title: "Decided by another rule",
        class: "unnoticed",
        meaning: "Clients notice nothing: the answer, the upstream or the denial is the same.",
    },
];

/// The whole page.
#[must_use]
pub fn page(report: &DiffReport, context: &PageContext) -> String {
    let mut html = String::new();
    let (old, new) = (escaped(&context.old), escaped(&context.new));
    let _ = write!(
        html,
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<title>DNS policy change: {new}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<p class=\"kicker\">DNS policy change</p>
<h1><code>{old}</code> <span class=\"to\">becomes</span> <code>{new}</code></h1>
<p class=\"made\">{}</p>
</header>
<main>
",
        escaped(&format!(
            "{}. Compared on {} by dnsgate {}.",
            context.questions, context.made, context.version
        ))
    );
    summary(report, &mut html);
    for section in &SECTIONS {
        let kinds = report
            .kinds
            .iter()
            .filter(|kind| kind.effect == section.effect);
        let kinds: Vec<&KindReport> = kinds.collect();
        if !kinds.is_empty() {
            write_section(section, &kinds, &mut html);
        }
    }
    if report.other_questions > 0 {
        let _ = writeln!(
            html,
            "<p class=\"note\">{} more, of further kinds of change, are counted above and not listed.</p>",
            questions(report.other_questions)
        );
    }
    around(context, &mut html);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// A sentence that answers the question, and the four numbers.
fn summary(report: &DiffReport, html: &mut String) {
    let DiffReport {
        questions: all,
        changed,
        ..
    } = report;
    let unnoticed = report
        .effects
        .iter()
        .filter(|it| it.effect == ChangeEffect::Unnoticed);
    let unnoticed: u64 = unnoticed.map(|it| it.questions).sum();
    let noticed = changed.saturating_sub(unnoticed);
    let same = all.saturating_sub(noticed);
    let verdict = match noticed {
        0 => format!("None of {} would be treated differently.", questions(*all)),
        _ => format!(
            "{} of {} would be answered or denied as before ({}).",
            number(same),
            questions(*all),
            share(same, *all)
        ),
    };
    let _ = writeln!(
        html,
        "<p class=\"verdict\">{verdict}</p>\n<ul class=\"tiles\">"
    );
    let noticed = SECTIONS
        .iter()
        .filter(|it| it.effect != ChangeEffect::Unnoticed);
    for section in noticed {
        let count = report.effects.iter().find(|it| it.effect == section.effect);
        let Some(count) = count else { continue };
        let class = if count.questions == 0 {
            "none"
        } else {
            section.class
        };
        let names = plural(count.names as u64, "name", "names");
        let by = match count.clients.filter(|_| count.questions > 0) {
            Some(clients) => format!(", {}", plural(clients as u64, "client", "clients")),
            None => String::new(),
        };
        let _ = writeln!(
            html,
            "<li class=\"{class}\"><b>{}</b> <span>{}</span> <small>{names}{by}</small></li>",
            number(count.questions),
            section.title.to_lowercase()
        );
    }
    html.push_str("</ul>\n");
}

fn write_section(section: &PageSection, kinds: &[&KindReport], html: &mut String) {
    let PageSection {
        title,
        class,
        meaning,
        ..
    } = section;
    let count: u64 = kinds.iter().map(|kind| kind.questions).sum();
    let _ = writeln!(
        html,
        "<section class=\"{class}\">\n<h2>{title} <small>{}</small></h2>\n<p>{meaning}</p>",
        questions(count)
    );
    for kind in kinds {
        write_kind(kind, html);
    }
    html.push_str("</section>\n");
}

fn write_kind(kind: &KindReport, html: &mut String) {
    let has_clients = kind.clients.is_some();
    let _ = write!(
        html,
        "<table>
<caption><span class=\"group\">{}</span> {} <span class=\"arrow\">→</span> {}</caption>
<thead><tr><th>Name</th><th class=\"c-types\">Types</th><th class=\"n c-n\">Questions</th>{}</tr></thead>
<tbody>
",
        escaped(&kind.group),
        escaped(&kind.old),
        escaped(&kind.new),
        if has_clients {
            "<th class=\"n c-n\">Clients</th><th class=\"c-by\">Asked by</th>"
        } else {
            ""
        }
    );
    for name in &kind.names {
        write_name(name, has_clients, html);
    }
    if kind.other_questions > 0 {
        let more = plural(kind.other_names as u64, "more name", "more names");
        let rest = if has_clients {
            "<td></td><td></td>"
        } else {
            ""
        };
        let _ = writeln!(
            html,
            "<tr class=\"more\"><td>{more}</td><td></td><td class=\"n\">{}</td>{rest}</tr>",
            number(kind.other_questions)
        );
    }
    html.push_str("</tbody>\n</table>\n");
}

fn write_name(name: &NameReport, has_clients: bool, html: &mut String) {
    let shown = name.name.strip_suffix('.').filter(|rest| !rest.is_empty());
    let _ = write!(
        html,
        "<tr><td><code>{}</code>",
        breakable(shown.unwrap_or(&name.name))
    );
    if let Some((old, new)) = &name.records {
        let (old, new) = (escaped(old), escaped(new));
        let _ = write!(
            html,
            "<br><small>{old} <span class=\"arrow\">→</span> {new}</small>"
        );
    }
    let _ = write!(
        html,
        "</td><td>{}</td><td class=\"n\">{}</td>",
        escaped(&name.types.join(" ")),
        number(name.questions)
    );
    if has_clients {
        let count = name.clients.unwrap_or_default();
        let named = name.top_clients.iter().take(SHOWN_CLIENTS);
        let named: Vec<_> = named
            .map(|it| format!("<code>{}</code>", it.address))
            .collect();
        let more = match count - named.len() {
            0 => String::new(),
            more => format!(" and {} more", number(more as u64)),
        };
        let _ = write!(
            html,
            "<td class=\"n\">{}</td><td>{}{more}</td>",
            number(count as u64),
            named.join(", ")
        );
    }
    html.push_str("</tr>\n");
}

/// What was changed in the file, what could not be compared, how to read the page, and the decision.
fn around(context: &PageContext, html: &mut String) {
    if !context.changes.is_empty() {
        let _ = writeln!(
            html,
            "<section>\n<h2>In the configuration</h2>\n<p class=\"changes\">{}.</p>\n</section>",
            escaped(&context.changes)
        );
    }
    if !context.notes.is_empty() {
        html.push_str("<section>\n<h2>Not compared as it is</h2>\n<p>dnsgate cannot say these parts of the old policy exactly, so the comparison differs from it here:</p>\n<table>\n<thead><tr><th class=\"c-where\">Where</th><th>What was done</th></tr></thead>\n<tbody>\n");
        for (place, what) in context.notes.iter().take(MAX_NOTES) {
            let (place, what) = (breakable(place), escaped(what));
            let _ = writeln!(
                html,
                "<tr><td><code>{place}</code></td><td>{what}</td></tr>"
            );
        }
        html.push_str("</tbody>\n</table>\n");
        if context.notes.len() > MAX_NOTES {
            let _ = writeln!(
                html,
                "<p class=\"note\">And {} more.</p>",
                context.notes.len() - MAX_NOTES
            );
        }
        html.push_str("</section>\n");
    }
    html.push_str("<section class=\"reading\">
<h2>How to read this page</h2>
<p>Each question was put to both policies by the code that serves queries, from the client's own address. No server outside was asked: for a
name that is forwarded, the page says which upstream would be asked, not what it would answer. A question that nobody asked in this time is
not on this page.</p>
</section>
<section class=\"decision\">
<h2>Decision</h2>
<table>
<tbody>
<tr><td>☐ approved</td><td>☐ approved with conditions</td><td>☐ rejected</td></tr>
<tr><td>Name</td><td>Date</td><td>Change number</td></tr>
</tbody>
</table>
</section>
");
}

fn questions(count: u64) -> String {
    match count {
        1 => "1 question".to_owned(),
        _ => format!("{} questions", number(count)),
    }
}

/// A number with a comma behind every three digits.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent, rounded down: only all of them are 100 %.
fn share(part: u64, all: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(all.max(1));
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// A text in HTML. What a client or a file wrote stays text.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ if c.is_control() => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

/// A text that may be broken behind its dots and slashes, so that a long name does not push the table off the paper.
fn breakable(text: &str) -> String {
    escaped(text).replace('.', ".<wbr>").replace('/', "/<wbr>")
}
