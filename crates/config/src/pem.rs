//! Checks the form of PEM certificates (RFC 7468). It does not decode them: the code that connects
//! to servers does.

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The number of certificates in a text. Text between them is an explanation (section 5.2).
///
/// # Errors
/// The line (from 1) of a broken certificate, and its fault.
pub(super) fn check_certificates(text: &str) -> Result<usize, (u32, &'static str)> {
    let mut count = 0;
    // The first line of the current certificate, and whether it has any data so far.
    let mut open: Option<(u32, bool)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        open = match open {
            None if line == BEGIN => Some((number, false)),
            None => None,
            Some((begin, false)) if line == END => {
                return Err((begin, "this certificate is empty"));
            }
            Some(_) if line == END => {
                count += 1;
                None
            }
            Some((begin, _)) if line.starts_with("-----") => {
                return Err((begin, UNFINISHED));
            }
            Some((begin, has_data)) => {
                let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
                if !line.bytes().all(base64) {
                    return Err((number, "this is not Base64; a PEM certificate is"));
                }
                Some((begin, has_data || !line.is_empty()))
            }
        };
    }
    match open {
        Some((begin, _)) => Err((begin, UNFINISHED)),
        None => Ok(count),
    }
}

/// The Base64 of each certificate in a text that [`check_certificates`] accepts, in one line.
pub(super) fn certificates(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (&mut open, line) {
            (_, BEGIN) => open = Some(String::new()),
            (_, END) => found.extend(open.take()),
            (Some(data), line) => data.push_str(line),
            (None, _) => {}
        }
    }
    found
}

/// The error for a certificate without an end line.
const UNFINISHED: &str = "this certificate has no -----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_counted_and_broken_ones_told() {
        let one = "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n";
        for (text, want) in [
            ("", Ok(0)),
            ("just text", Ok(0)),
            (
                "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n",
                Ok(0),
            ),
            (one, Ok(1)),
            (&one.replace('\n', "\r\n"), Ok(1)),
            (&format!("Issuer: \u{fc}ber\n{one}\n# more\n{one}"), Ok(2)),
            (
                "x\n-----BEGIN CERTIFICATE-----\nMII=\n",
                Err((2, UNFINISHED)),
            ),
            (
                &format!("-----BEGIN CERTIFICATE-----\nMII=\n{one}"),
                Err((1, UNFINISHED)),
            ),
            (
                "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
                Err((1, "this certificate is empty")),
            ),
            (
                &one.replace("MIIB", "M,IB"),
                Err((2, "this is not Base64; a PEM certificate is")),
            ),
        ] {
            assert_eq!(check_certificates(text), want, "{text}");
        }
    }
}
