//! Writes results as JUnit XML, limited to the elements that all build servers understand: suites,
//! cases, failures and errors.

use std::{borrow::Cow, fmt::Write as _};

use super::{Ran, Suite};

/// The XML document with all results.
pub(super) fn document(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites {
        write_suite(&mut xml, suite);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn write_suite(xml: &mut String, suite: &Suite) {
    let file = escaped(&suite.file);
    let errors = usize::from(suite.invalid.is_some());
    let (tests, failures) = (suite.results.len() + errors, suite.failed());
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">"
    );
    if let Some(invalid) = &suite.invalid {
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{file}\" name=\"the configuration is valid\"><error message=\"not valid\">{}</error></testcase>",
            escaped(invalid)
        );
    }
    for ran in &suite.results {
        write_case(xml, &file, ran);
    }
    xml.push_str("  </testsuite>\n");
}

fn write_case(xml: &mut String, file: &str, ran: &Ran) {
    let name = escaped(&ran.name);
    let _ = write!(xml, "    <testcase classname=\"{file}\" name=\"{name}\"");
    let _ = match &ran.failure {
        Some(failure) => writeln!(
            xml,
            "><failure message=\"{}\"/></testcase>",
            escaped(failure)
        ),
        None => writeln!(xml, "/>"),
    };
}

/// Text escaped for an attribute or element content. Characters that XML 1.0 does not allow (its
/// section 2.2) are replaced.
fn escaped(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || c.is_control();
    if !text.contains(|c| special(c) || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            // Unescaped, these would become blanks in an attribute (section 3.3.3).
            '\t' | '\n' | '\r' => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}
