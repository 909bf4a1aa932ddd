//! The name of a host, as in the Host header of a request.

use std::str::FromStr;

/// A host name under which the admin pages may be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Box<str>);

/// The text is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the name of a host alone, such as dnsgate.monitoring: letters, digits, - _ and .")]
pub struct HostNameError;

/// The longest DNS name, in characters of its text form.
const LONGEST: usize = 253;

impl HostName {
    /// The name as it was stored: lower case, without a final dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it equals `name`, ignoring case; `name` must have no final dot.
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
