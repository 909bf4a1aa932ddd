//! Names and patterns as sources write them.
//!
//! What `*` means differs from format to format; each format says it by a [`Star`]. The table of them stands in
//! docs/migrate.md.

use dnsgate_core::{
    dns::Name,
    policy::{Pattern, PatternError},
};

/// What `*.x` means in a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Star {
    /// Every name below x, at any depth.
    AnyDepth,
    /// One label before x.
    OneLabel,
    /// `*` is no wildcard; it is a label like others.
    Literal,
}

/// A name or pattern of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It can be said.
    Is(Pattern),
    /// It means names that no pattern of dnsgate means; all of them are below this name, which is not one of them.
    Within {
        /// The name.
        above: Name,
        /// What it means.
        why: &'static str,
    },
}

/// Why a name of a source cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadShape {
    /// What is wrong.
    pub(crate) why: String,
    /// The longest end of it that can be read, below which its names must be.
    pub(crate) above: Name,
}

/// Reads `x` or `*.x`; a final dot does not matter.
pub(crate) fn read(text: &str, star: Star) -> Result<Shape, BadShape> {
    let bad = |why: String| BadShape {
        why,
        above: readable_end(text),
    };
    if let Some(sign) = ["${", "{{", "{$", "{%", "<%", "$("]
        .iter()
        .find(|sign| text.contains(**sign))
    {
        return Err(bad(format!(
            "{sign} is a placeholder that was not filled in"
        )));
    }
    if star == Star::Literal {
        return text
            .parse()
            .map(|name| Shape::Is(Pattern::Exact(name)))
            .map_err(|error| bad(error.to_string()));
    }
    match text.trim_end_matches('.') {
        "*" => {
            return Ok(match star {
                Star::OneLabel => Shape::Within {
                    above: Name::root(),
                    why: "`*` stands for names of one label",
                },
                _ => Shape::Is(Pattern::Below(Name::root())),
            });
        }
        "" => return Err(bad("it is empty".to_owned())),
        _ => {}
    }
    if let Some(rest) = text.strip_prefix("*.") {
        let name = plain(rest).map_err(|error| bad(error.to_string()))?;
        return Ok(match star {
            Star::OneLabel => Shape::Within {
                above: name,
                why: "its `*` stands for one label; `*.` of dnsgate stands for any number of them",
            },
            _ => Shape::Is(Pattern::Below(name)),
        });
    }
    if text.starts_with('.') {
        return Err(bad("it begins with a dot".to_owned()));
    }
    plain(text)
        .map(|name| Shape::Is(Pattern::Exact(name)))
        .map_err(|error| bad(error.to_string()))
}

/// A host's name without wildcards.
pub(crate) fn plain(text: &str) -> Result<Name, PatternError> {
    if text.starts_with('.') || text.starts_with('*') {
        return Err(PatternError::Star);
    }
    match text.parse::<Pattern>()? {
        Pattern::Exact(name) => Ok(name),
        _ => Err(PatternError::Star),
    }
}

/// The longest end of a text, from behind a dot, that is a name; the root if there is none.
pub(crate) fn readable_end(text: &str) -> Name {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('.') {
        if let Ok(name) = plain(behind)
            && !behind.is_empty()
        {
            return name;
        }
        rest = behind;
    }
    Name::root()
}

/// The name under which the PTR record of an address stands.
pub(crate) fn reverse(address: &str) -> Option<Name> {
    let labels: Vec<String> = match address.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(v4) => {
            let parts = v4.octets().into_iter().rev().map(|part| part.to_string());
            parts.chain(["in-addr".to_owned()]).collect()
        }
        std::net::IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev();
            let nibbles = nibbles.flat_map(|byte| [byte & 0xf, byte >> 4]);
            let nibbles = nibbles.map(|nibble| format!("{nibble:x}"));
            nibbles.chain(["ip6".to_owned()]).collect()
        }
    };
    format!("{}.arpa", labels.join(".")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(name: &str) -> Shape {
        Shape::Is(Pattern::Below(name.parse().expect(name)))
    }

    #[test]
    fn stars_mean_what_the_format_says() {
        assert_eq!(read("*.x.example.", Star::AnyDepth), Ok(below("x.example")));
        assert_eq!(read("*", Star::AnyDepth), Ok(below(".")));
        assert!(matches!(
            read("*.x", Star::OneLabel),
            Ok(Shape::Within { .. })
        ));
        let literal = read("*.x", Star::Literal).expect("a name");
        assert_eq!(
            literal,
            Shape::Is(Pattern::Exact("*.x".parse().expect("a name")))
        );
    }

    #[test]
    fn what_cannot_be_read_is_below_its_readable_end() {
        for (text, above) in [
            ("${env}.corp.example", "corp.example"),
            ("a*.corp.example", "corp.example"),
            ("*corp.example", "example"),
            ("a b", "."),
            ("${x}", "."),
        ] {
            let bad = read(text, Star::AnyDepth).expect_err(text);
            assert_eq!(bad.above, above.parse().expect("a name"), "{text}");
        }
    }
}
