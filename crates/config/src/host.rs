//! The name of a host, as a request's Host header has it.

use std::str::FromStr;

/// A name by which the admin pages may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Box<str>);

/// The text is no name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the name of a host alone, such as dnsgate.monitoring: letters, digits, - _ and .")]
pub struct HostNameError;

/// The longest name that DNS has, as text.
const LONGEST: usize = 253;

impl HostName {
    /// The name in lower case, without a dot at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is that name, which has no dot at its end.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let good = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(good);
        if name.len() > LONGEST || !name.split('.').all(is_label) {
            return Err(HostNameError);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone() {
        let host: HostName = "DNSgate.monitoring.".parse().expect("a name");
        assert!(host.is("dnsgate.Monitoring") && !host.is("dnsgate"));
        for text in ["", ".", "a..b", "a:9153", "http://a", "*.a", "a b", "[::1]"] {
            assert_eq!(text.parse::<HostName>(), Err(HostNameError), "{text}");
        }
    }
}
