//! The audit as SARIF 2.1.0, the format in which code hosts take the results of static analysis.

use serde_json::{Value, json};

use super::{Audit, Finding, FindingKind};

/// The schema that the log names, and that a test validates it with.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The audit as a SARIF log.
#[must_use]
pub fn sarif(audit: &Audit) -> Value {
    let rules = FindingKind::ALL.iter().map(|kind| {
        json!({
            "id": kind.id(),
            "shortDescription": { "text": kind.text() },
            "defaultConfiguration": { "level": kind.level() },
        })
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "dnsgate audit",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            }},
            "properties": { "policyDigest": audit.digest, "evidence": audit.sources },
            "results": audit.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let index = FindingKind::ALL
        .iter()
        .position(|kind| *kind == finding.kind);
    let mut text = format!("{}: {}.", finding.subject, finding.message);
    if !finding.evidence.is_empty() {
        text = format!("{text} Seen: {}.", finding.evidence);
    }
    text = format!("{text} Edit: {}.", finding.edit);
    let mut location = json!({ "artifactLocation": { "uri": uri(&finding.place.file) } });
    if finding.place.line > 0
        && let Some(location) = location.as_object_mut()
    {
        let (line, column) = (finding.place.line, finding.place.column.max(1));
        let region = json!({ "startLine": line, "startColumn": column });
        location.insert("region".to_owned(), region);
    }
    json!({
        "ruleId": finding.kind.id(),
        "ruleIndex": index,
        "level": finding.kind.level(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": location }],
        // A code host recognises a finding by these, although its line has moved.
        "partialFingerprints": { "subject/v1": format!("{}/{}", finding.kind.id(), finding.subject) },
    })
}

/// A path as a URI reference: what a path may have and a URI may not is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
