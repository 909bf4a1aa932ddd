//! The names of a rule: one name, a name and its subtree, or only the subtree below it.
//!
//! | written | stands for                          | `x` | `a.x` | `b.a.x` | `ax` |
//! |---------|-------------------------------------|-----|-------|---------|------|
//! | `x`     | exactly x                           | yes | no    | no      | no   |
//! | `.x`    | x and every name below it           | yes | yes   | yes     | no   |
//! | `*.x`   | every name below x, but not x       | no  | yes   | yes     | no   |
//! | `.`     | every name, including the root      | yes | yes   | yes     | yes  |
//! | `*.`    | every name except the root          | yes | yes   | yes     | yes  |
//!
//! Letter case and a final dot do not matter. `*.x` matches at any depth, like `.x`; a wildcard in
//! a certificate matches only one label. A `*` elsewhere is an error, and so is any text that is
//! not a host name. A name that really contains such a character escapes it (`\*`, `\/`, `\042`),
//! as in a zone file.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;

use crate::dns::{Name, NameError, NameRef};

/// The names that a rule matches; see the table in the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `x`: exactly this name.
    Exact(Name),
    /// `.x`: this name and all names below it.
    Subtree(Name),
    /// `*.x`: all names below this name, but not the name itself.
    Below(Name),
}

impl Pattern {
    /// The name in the pattern. A pattern with a longer name takes precedence.
    #[must_use]
    pub fn name(&self) -> NameRef<'_> {
        match self {
            Self::Exact(name) | Self::Subtree(name) | Self::Below(name) => name.as_ref(),
        }
    }

    /// Whether the pattern matches `name`.
    #[must_use]
    pub fn matches(&self, name: NameRef<'_>) -> bool {
        match self {
            Self::Exact(own) => name == own.as_ref(),
            Self::Subtree(own) => name.is_within(own.as_ref()),
            Self::Below(own) => name != own.as_ref() && name.is_within(own.as_ref()),
        }
    }
}

/// The problem with a pattern, and its correction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text is empty.
    #[error("the pattern is empty; write a name, or `.` for every name")]
    Empty,
    /// A `*` that is not the whole first label.
    #[error(
        "a `*` can only be the whole first label, as in `*.example.com`, which stands for every name below example.com"
    )]
    Star,
    /// A `*` alone.
    #[error("write `.` for every name, or `*.` for every name but the root")]
    LoneStar,
    /// A URL.
    #[error("this is a URL; write only the name of its host, without `://` and what is around it")]
    Url,
    /// A slash, as between a host and a path.
    #[error(r"there is a `/` in the name; write only the host's name (a name that has one is written with `\/`)")]
    Slash,
    /// A colon, as between a host and a port.
    #[error("there is a `:` in the name; write the name without a port: a DNS server sees none")]
    Port,
    /// An address or an address range.
    #[error(
        "this is an address, not a name; rules are about the names that clients ask for (ranges of client addresses stand in `clients`)"
    )]
    Address,
    /// A non-ASCII letter.
    #[error("{0:?} is not ASCII; write the name in its xn-- form (`idn2 NAME` prints it)")]
    NotAscii(char),
    /// A character that no host name has.
    #[error(
        r"{0:?} cannot stand in a host's name (a name that really has it is written with a backslash, `\{0}`)"
    )]
    Character(char),
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (make, name): (fn(Name) -> Self, &str) = match text {
            "" => return Err(PatternError::Empty),
            "*" => return Err(PatternError::LoneStar),
            "." => return Ok(Self::Subtree(Name::root())),
            "*." => return Ok(Self::Below(Name::root())),
            _ => match (text.strip_prefix("*."), text.strip_prefix('.')) {
                (Some(below), _) => (Self::Below, below),
                (_, Some(within)) => (Self::Subtree, within),
                _ => (Self::Exact, text),
            },
        };
        check_host(name)?;
        if name == "." {
            // `..` and `*..`: the name parser would accept the second dot as the root.
            return Err(NameError::EmptyLabel.into());
        }
        Ok(make(name.parse()?))
    }
}

/// Detects mistakes that the name parser would accept or describe less helpfully.
fn check_host(text: &str) -> Result<(), PatternError> {
    if text.contains("://") {
        return Err(PatternError::Url);
    }
    if is_address(text) {
        return Err(PatternError::Address);
    }
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => {}
            '*' => return Err(PatternError::Star),
            '/' => return Err(PatternError::Slash),
            ':' => return Err(PatternError::Port),
            _ if !character.is_ascii() => return Err(PatternError::NotAscii(character)),
            _ if character.is_ascii_graphic() => return Err(PatternError::Character(character)),
            _ => return Err(NameError::NotPrintable.into()),
        }
    }
    Ok(())
}

/// Whether the text is an address or a range, possibly with a port, brackets or a final dot.
fn is_address(text: &str) -> bool {
    let bare = text.trim_end_matches('.');
    // Every address meets this condition. It avoids three parse attempts for each name of a long
    // list.
    if !bare.contains([':', '/']) && !bare.ends_with(|end: char| end.is_ascii_digit()) {
        return false;
    }
    let bare = bare.strip_prefix('[').unwrap_or(bare);
    let bare = bare.strip_suffix(']').unwrap_or(bare);
    is_like_ipv4(bare)
        || bare.parse::<IpAddr>().is_ok()
        || bare.parse::<IpNet>().is_ok()
        || text.parse::<SocketAddr>().is_ok()
}

/// Whether the text is four numbers, possibly with a prefix length: an IPv4 address, or a form such
/// as 010.0.0.1 that some programs accept as one.
fn is_like_ipv4(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    let mut parts = address.split('.');
    parts.by_ref().take(4).filter(|part| digits(part)).count() == 4
        && parts.next().is_none()
        && digits(length)
}

impl fmt::Display for Pattern {
    /// Writes the pattern so that it parses back to the same value. The exact root, which has no
    /// written form, also appears as `.`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(_) => {}
            Self::Subtree(_) => f.write_str(".")?,
            Self::Below(_) => f.write_str("*.")?,
        }
        if self.name().is_root() {
            return match self {
                Self::Exact(_) => f.write_str("."),
                Self::Subtree(_) | Self::Below(_) => Ok(()),
            };
        }
        for (at, label) in self.name().labels().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => write!(f, "{}", char::from(byte))?,
                    0x21..=0x7e => write!(f, "\\{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::NameBuf;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().expect(text)
    }

    #[test]
    fn the_truth_table_holds() {
        let asked = ["x", "a.x", "b.a.x", "ax", "."];
        for (pattern, matches) in [
            ("x", [true, false, false, false, false]),
            (".x", [true, true, true, false, false]),
            ("*.x", [false, true, true, false, false]),
            (".", [true, true, true, true, true]),
            ("*.", [true, true, true, true, false]),
        ] {
            for (asked, matches) in asked.iter().zip(matches) {
                let pattern: Pattern = pattern.parse().expect(pattern);
                assert_eq!(
                    pattern.matches(name(asked).as_ref()),
                    matches,
                    "{pattern} {asked}"
                );
            }
        }
    }

    #[test]
    fn text_becomes_a_pattern() {
        for (text, pattern) in [
            ("GitHub.com", Pattern::Exact(name("github.com"))),
            ("github.com.", Pattern::Exact(name("github.com"))),
            (".GitHub.com.", Pattern::Subtree(name("github.com"))),
            ("*.github.COM.", Pattern::Below(name("github.com"))),
            ("localhost", Pattern::Exact(name("localhost"))),
            (
                "_dmarc.a-b.example",
                Pattern::Exact(name("_dmarc.a-b.example")),
            ),
            (
                "xn--bcher-kva.example",
                Pattern::Exact(name("xn--bcher-kva.example")),
            ),
            (r"\*.example", Pattern::Exact(name("*.example"))),
            (r"*.\*.example", Pattern::Below(name("*.example"))),
            (
                r"0\/25.2.0.192.in-addr.arpa",
                Pattern::Exact(name("0/25.2.0.192.in-addr.arpa")),
            ),
            (
                "4.3.2.1.in-addr.arpa",
                Pattern::Exact(name("4.3.2.1.in-addr.arpa")),
            ),
        ] {
            assert_eq!(text.parse(), Ok(pattern), "{text}");
        }
    }

    #[test]
    fn each_mistake_is_told_apart() {
        let long = "a".repeat(64);
        for (text, error) in [
            ("", PatternError::Empty),
            ("*", PatternError::LoneStar),
            ("**", PatternError::Star),
            ("*.*.example", PatternError::Star),
            ("a.*.example", PatternError::Star),
            ("*a.example", PatternError::Star),
            (".*.example", PatternError::Star),
            ("*.*", PatternError::Star),
            ("https://github.com/", PatternError::Url),
            ("*.https://github.com", PatternError::Url),
            ("github.com/dnsgate", PatternError::Slash),
            ("github.com:443", PatternError::Port),
            ("10.0.0.1", PatternError::Address),
            (".10.0.0.1.", PatternError::Address),
            ("10.0.0.0/8", PatternError::Address),
            ("10.0.0.1:53", PatternError::Address),
            ("::1", PatternError::Address),
            ("[::1]", PatternError::Address),
            ("[::1]:53", PatternError::Address),
            ("2001:db8::/32", PatternError::Address),
            ("bücher.example", PatternError::NotAscii('ü')),
            ("a@b.example", PatternError::Character('@')),
            ("||ads.example^", PatternError::Character('|')),
            ("a.example,b.example", PatternError::Character(',')),
            ("a b", PatternError::Name(NameError::NotPrintable)),
            ("..", PatternError::Name(NameError::EmptyLabel)),
            ("..x", PatternError::Name(NameError::EmptyLabel)),
            ("*..", PatternError::Name(NameError::EmptyLabel)),
            ("*..x", PatternError::Name(NameError::EmptyLabel)),
            ("x..", PatternError::Name(NameError::EmptyLabel)),
            ("x\\", PatternError::Name(NameError::BadEscape)),
            (&long, PatternError::Name(NameError::LongLabel)),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn shown_patterns_read_back(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 1..6),
            kind in 0..3,
        ) {
            let mut buf = NameBuf::new();
            for label in &labels {
                buf.push_label(label).unwrap();
            }
            let name = buf.as_ref().to_name();
            let pattern = match kind {
                0 => Pattern::Exact(name),
                1 => Pattern::Subtree(name),
                _ => Pattern::Below(name),
            };
            prop_assume!(!matches!(pattern.to_string().parse::<Pattern>(), Err(PatternError::Address)));
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[*./:\\\\a0\\[\\]]{0,12}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
            }
        }
    }
}
