//! Names the format of a file that holds no question, so that the error can say what it is instead.

/// The first bytes of files that are no query logs.
const MAGIC: [(&[u8], &str); 13] = [
    (b"\xd4\xc3\xb2\xa1", PCAP),
    (b"\xa1\xb2\xc3\xd4", PCAP),
    (b"\x4d\x3c\xb2\xa1", PCAP),
    (b"\x0a\x0d\x0d\x0a", PCAP),
    (
        b"\x28\xb5\x2f\xfd",
        "a zstd file: unpack it with zstd -dc, and give - for standard input",
    ),
    (
        b"\xfd7zXZ\0",
        "an xz file: unpack it with xz -dc, and give - for standard input",
    ),
    (
        b"BZh",
        "a bzip2 file: unpack it with bzip2 -dc, and give - for standard input",
    ),
    (b"PK\x03\x04", "a zip file: unpack it first"),
    (b"PAR1", "a Parquet file: export the log as JSON"),
    (b"Obj\x01", "an Avro file: export the log as JSON"),
    (
        b"SQLite format 3",
        "an SQLite database (Pi-hole's?): export the log as text",
    ),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF file"),
];
const PCAP: &str = "a packet capture: convert it to dnstap, or use the server's own log";

/// Marks of texts that are no query logs that this crate reads.
const MARKS: [(&str, &str); 11] = [
    ("\"observed\"", "the page /observed"),
    ("queries: info: client ", BIND),
    (": query: ", BIND),
    (
        " query[A",
        "dnsmasq's or Pi-hole's log, which is not read yet: use dnstap or Unbound's format",
    ),
    ("$ORIGIN", "a zone file"),
    ("$TTL", "a zone file"),
    (" IN SOA ", "a zone file"),
    ("apiVersion:", "a Kubernetes manifest"),
    ("upstreams:", "a configuration of dnsgate"),
    ("rules:", "a configuration of dnsgate"),
    ("<!DOCTYPE html", "an HTML page"),
];
const BIND: &str =
    "BIND's query log, which is not read yet: let named write dnstap (dnstap-output file)";

/// The format of a file with this beginning, as far as it can be told: it goes on from "it looks like".
#[must_use]
pub fn looks_like(start: &[u8]) -> Option<&'static str> {
    if start.is_empty() {
        return Some("an empty file");
    }
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(what);
    }
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The beginning may end within a character.
        Err(error) if error.error_len().is_none() => {
            let valid = start.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => return Some("binary data"),
    };
    if text.contains('\0') {
        return Some("binary data");
    }
    let marked = MARKS.iter().find(|(mark, _)| text.contains(mark));
    if let Some((_, what)) = marked {
        return Some(what);
    }
    let line = text.trim_ascii_start();
    match line.as_bytes().first() {
        Some(b'{' | b'[') => Some("JSON with other fields than a query log's"),
        Some(_) => None,
        None => Some("an empty file"),
    }
}
