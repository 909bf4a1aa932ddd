//! Tells the format of a file by its content.

use crate::{ImportError, Place, SourceFile, SourceFormat};

/// The format of all files together.
pub(crate) fn one_format(sources: &[SourceFile]) -> Result<SourceFormat, ImportError> {
    let mut found: Option<(SourceFormat, &SourceFile)> = None;
    for source in sources {
        let Some(format) = format_of(source) else {
            return Err(unknown(source));
        };
        found = match found {
            None => Some((format, source)),
            Some((before, _)) if before == format => found,
            // The lists of a firewall are plain lists.
            Some((before, _)) if together(before, format) => Some((before, source)),
            Some((before, _)) if together(format, before) => Some((format, source)),
            Some((before, other)) => {
                let why = format!(
                    "this looks like {}, and {} looks like {}; import them one after the other",
                    format.as_str(),
                    crate::report::short(&other.name),
                    before.as_str()
                );
                return Err(ImportError::Content {
                    place: Place::line(&source.name, 1),
                    why,
                });
            }
        };
    }
    found
        .map(|(format, _)| format)
        .ok_or_else(|| ImportError::Invalid("no file was named".to_owned()))
}

/// Refuses files that look like another format than the one that the operator named.
pub(crate) fn check(told: SourceFormat, sources: &[SourceFile]) -> Result<(), ImportError> {
    for source in sources {
        let Some(found) = format_of(source) else {
            continue;
        };
        // A policy zone may hold nothing but data, and then looks like any zone.
        let zone = told == SourceFormat::Rpz
            && found == SourceFormat::GcloudDns
            && is_zone_file(&source.text);
        if found == told || zone || together(told, found) {
            continue;
        }
        let why = format!(
            "this looks like {}, not like {}; use: dnsgate import {}",
            found.as_str(),
            told.as_str(),
            found.as_str()
        );
        return Err(ImportError::Content {
            place: Place::line(&source.name, 1),
            why,
        });
    }
    Ok(())
}

/// Whether files that look like `part` may stand beside files of `format`.
fn together(format: SourceFormat, part: SourceFormat) -> bool {
    format == SourceFormat::Route53Firewall && part == SourceFormat::Domains
}

fn unknown(source: &SourceFile) -> ImportError {
    let formats = SourceFormat::ALL
        .into_iter()
        .skip(1)
        .map(SourceFormat::as_str);
    let formats: Vec<_> = formats.collect();
    let why = format!(
        "this looks like none of the formats; name the one that it is: {}",
        formats.join(", ")
    );
    ImportError::Content {
        place: Place::line(&source.name, 1),
        why,
    }
}

/// Words that only one format has, as keys or values.
const WORDS: [(SourceFormat, &[&str]); 4] = [
    (
        SourceFormat::Route53Firewall,
        &[
            "FirewallRules",
            "FirewallDomainListId",
            "FirewallDomainList",
            "FirewallRuleGroup",
            "\"Domains\"",
        ],
    ),
    (
        SourceFormat::FqdnPolicy,
        &[
            "toFQDNs",
            "FQDNNetworkPolicy",
            "domainNames",
            "CiliumNetworkPolicy",
            "CiliumClusterwideNetworkPolicy",
            "ClusterNetworkPolicy",
        ],
    ),
    (
        SourceFormat::GcloudResponsePolicy,
        &[
            "dns#responsePolicyRule",
            "localDatas",
            "bypassResponsePolicy",
            "local_data",
            "dns_name",
        ],
    ),
    (
        SourceFormat::GcloudDns,
        &[
            "dns#resourceRecordSet",
            "dns#managedZone",
            "rrdatas",
            "additions",
            "forwardingConfig",
            "privateVisibilityConfig",
        ],
    ),
];

/// The format that a file looks like.
fn format_of(source: &SourceFile) -> Option<SourceFormat> {
    let text = &*source.text;
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';', '!']))?;
    let structured = first.starts_with(['{', '[', '-', '%']) && !first.starts_with("[Adblock")
        || first.ends_with(':')
        || first.split_once(": ").is_some_and(|(key, _)| is_word(key));
    if is_unbound(text) {
        return Some(SourceFormat::Unbound);
    }
    if structured {
        let has = |word: &&str| text.contains(*word);
        let found = WORDS.iter().find(|(_, words)| words.iter().any(has));
        if let Some((format, _)) = found {
            return Some(*format);
        }
    }
    if is_zone_file(text) {
        return Some(match is_rpz(text) {
            true => SourceFormat::Rpz,
            false => SourceFormat::GcloudDns,
        });
    }
    if is_corefile(text) {
        return Some(SourceFormat::Corefile);
    }
    (!structured && is_list(text)).then_some(SourceFormat::Domains)
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.\"".contains(c))
}

/// The sections of Unbound's configuration that say what is answered.
const UNBOUND: [&str; 9] = [
    "server:",
    "forward-zone:",
    "stub-zone:",
    "auth-zone:",
    "view:",
    "local-zone:",
    "local-data:",
    "rpz:",
    "access-control:",
];

fn is_unbound(text: &str) -> bool {
    let mut lines = text.lines().map(|line| line.trim_start());
    let found = lines.any(|line| {
        UNBOUND.iter().any(|word| {
            line.strip_prefix(word).is_some_and(|rest| {
                let rest = rest.trim();
                let section = !matches!(*word, "local-zone:" | "local-data:" | "access-control:");
                section == (rest.is_empty() || rest.starts_with('#'))
            })
        })
    });
    found
        && !text.contains("apiVersion:")
        && !text.trim_start().starts_with(['{', '['])
        && (text.contains("name:")
            || text.contains("local-")
            || text.contains("access-control")
            || text.contains("include:")
            || text.contains("do-")
            || text.contains("interface:"))
}

fn is_zone_file(text: &str) -> bool {
    let words = |line: &str| {
        line.split(';')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .take(8)
            .map(str::to_ascii_uppercase)
            .collect::<Vec<_>>()
    };
    text.lines().take(2_000).any(|line| {
        line.starts_with("$ORIGIN ")
            || line.starts_with("$TTL ")
            || line.starts_with("$INCLUDE ")
            || {
                let words = words(line);
                let at = words.iter().take(5).position(|word| {
                    word == "SOA" || (word == "IN" || word == "A" || word == "CNAME")
                });
                at.is_some_and(|at| at > 0 || line.starts_with(char::is_whitespace))
                    && words.len() >= 3
                    && !words.iter().any(|word| word == "{" || word.ends_with(':'))
                    && (words.iter().any(|word| word == "SOA")
                        || words.iter().any(|word| word == "IN"))
            }
    })
}

fn is_rpz(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.split(';').next().unwrap_or_default();
        if line.contains(".rpz-")
            || line.contains("rpz-passthru.")
            || line.contains("rpz-drop.")
            || line.contains("rpz-tcp-only.")
            || line.contains("rpz-client-ip")
        {
            return true;
        }
        let mut words = line.split_whitespace().rev();
        let target = words.next();
        let rtype = words.next();
        matches!(target, Some("." | "*."))
            && rtype.is_some_and(|rtype| rtype.eq_ignore_ascii_case("CNAME"))
    })
}

/// Plugins that nearly every Corefile has one of.
const PLUGINS: [&str; 14] = [
    "forward",
    "template",
    "acl",
    "hosts",
    "file",
    "rewrite",
    "errors",
    "log",
    "cache",
    "health",
    "ready",
    "reload",
    "kubernetes",
    "view",
];

fn is_corefile(text: &str) -> bool {
    let opens = text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        line.ends_with('{') && !line.trim_start().starts_with(['{', '"'])
    });
    opens
        && text.lines().any(|line| {
            line.split_whitespace()
                .next()
                .is_some_and(|word| PLUGINS.contains(&word))
        })
}

/// A list has short lines of one to a few words, most of which have a dot or are filters.
fn is_list(text: &str) -> bool {
    let mut lines = 0;
    let mut good = 0;
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!', '[']))
        .take(200)
    {
        lines += 1;
        let words = line.split_whitespace().count();
        let name = line == "*"
            || line.contains('.')
            || line.contains(':')
            || line.starts_with('|')
            || line.starts_with("@@");
        let odd = line.contains(['{', '}', '"', '=', ';', '<']);
        good +=
            usize::from(name && !odd && words <= 12 && line.len() < 1_000 && !line.ends_with(':'));
    }
    lines > 0 && good * 10 >= lines * 8
}
