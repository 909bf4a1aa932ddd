//! Formats a reply like dig, whose output everybody who debugs DNS can read.

use std::fmt::Write as _;

use hickory_proto::{
    op::Message,
    rr::{Record, rdata::opt::EdnsOption},
};

use dnsgate_core::dns::{Ede, Rcode};

/// The text of a reply in wire form; one line of explanation if it cannot be decoded.
pub(super) fn text(reply: &[u8]) -> String {
    match Message::from_vec(reply) {
        Ok(message) => of_message(&message),
        Err(error) => format!(";; the reply cannot be decoded: {error}\n"),
    }
}

fn of_message(message: &Message) -> String {
    let mut text = String::new();
    let flags = [
        ("aa", message.authoritative),
        ("tc", message.truncation),
        ("rd", message.recursion_desired),
        ("ra", message.recursion_available),
        ("cd", message.checking_disabled),
    ];
    let flags: String = flags
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| format!(" {name}"))
        .collect();
    let number = u16::from(message.response_code);
    let status = Rcode::ALL
        .into_iter()
        .find(|rcode| rcode.number() == number)
        .map_or("?", Rcode::as_str);
    let _ = writeln!(text, ";; status: {status}, flags: qr{flags}");
    for option in message.edns.iter().flat_map(|edns| edns.options().as_ref()) {
        if let (15, EdnsOption::Unknown(_, data)) = (u16::from(option.0), &option.1) {
            let _ = writeln!(text, ";; {}", extended_error(data));
        }
    }
    section(&mut text, "ANSWER", &message.answers);
    section(&mut text, "AUTHORITY", &message.authorities);
    section(&mut text, "ADDITIONAL", &message.additionals);
    text
}

fn section(text: &mut String, title: &str, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n;; {title} SECTION:");
    for record in records {
        let _ = writeln!(text, "{record}");
    }
}

/// The option data of an extended DNS error: two bytes of code, then text (RFC 8914 section 2).
fn extended_error(data: &[u8]) -> String {
    let (code, reason) = data.split_at_checked(2).unwrap_or((data, &[]));
    let number = code
        .iter()
        .fold(0u16, |number, &byte| number << 8 | u16::from(byte));
    let known = [Ede::Blocked, Ede::Filtered, Ede::Prohibited]
        .into_iter()
        .find(|ede| ede.number() == number);
    let name = known.map_or_else(String::new, |ede| format!(" ({ede:?})"));
    format!("EDE: {number}{name}: {}", String::from_utf8_lossy(reason))
}
