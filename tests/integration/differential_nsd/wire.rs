//! Reads and writes names, questions and replies as bytes, with no code of dnsgate, so that neither server is its own measure.

use std::fmt::Write as _;

use dnsgate_core::dns::RecordType;
use hickory_proto::{op::Message, rr::Record as Shown};

/// The longest name on the wire.
const MAX_NAME: usize = 255;

/// A name as its labels, leftmost first, the root left out.
pub(crate) type Labels = Vec<Vec<u8>>;

/// The wire form of a name; `None` when a label or the whole is too long, or a label is empty.
pub(crate) fn name_of(labels: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for label in labels {
        let len = u8::try_from(label.len())
            .ok()
            .filter(|len| (1..64).contains(len))?;
        wire.push(len);
        wire.extend(label);
    }
    wire.push(0);
    (wire.len() <= MAX_NAME).then_some(wire)
}

/// What is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Uncompressed, in letters of either case.
    pub(crate) name: Vec<u8>,
    pub(crate) qtype: u16,
    /// The payload size and DNSSEC OK of the OPT record, if there is one.
    pub(crate) edns: Option<(u16, bool)>,
    pub(crate) recursion_desired: bool,
    pub(crate) over_tcp: bool,
}

impl Question {
    pub(crate) fn packet(&self, id: u16) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        let opt = u8::from(self.edns.is_some());
        let flags = u8::from(self.recursion_desired);
        let mut packet = vec![high, low, flags, 0, 0, 1, 0, 0, 0, 0, 0, opt];
        packet.extend(self.section());
        if let Some((size, dnssec_ok)) = self.edns {
            packet.extend([0, 0, 41]);
            packet.extend(size.to_be_bytes());
            packet.extend([0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        packet
    }

    /// Name, type and class: what a reply must echo byte for byte.
    fn section(&self) -> Vec<u8> {
        let mut section = self.name.clone();
        section.extend(self.qtype.to_be_bytes());
        section.extend([0, 1]);
        section
    }

    pub(crate) fn lower_name(&self) -> Vec<u8> {
        self.name.to_ascii_lowercase()
    }

    /// As one would ask it by hand; server and port are to be added.
    pub(crate) fn as_dig(&self) -> String {
        let mut text = "dig '".to_owned();
        let mut at = 0;
        while let Some(&len) = self.name.get(at).filter(|&&len| len > 0) {
            for &byte in &self.name[at + 1..at + 1 + usize::from(len)] {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'*' => {
                        text.push(char::from(byte));
                    }
                    _ => {
                        let _ = write!(text, "\\{byte:03}");
                    }
                }
            }
            text.push('.');
            at += 1 + usize::from(len);
        }
        let _ = write!(text, "' {}", RecordType(self.qtype));
        let or_no = |set| if set { "" } else { "no" };
        let _ = write!(text, " +{}rec", or_no(self.recursion_desired));
        match self.edns {
            Some((size, dnssec_ok)) => {
                let _ = write!(text, " +bufsize={size} +{}dnssec", or_no(dnssec_ok));
            }
            None => text.push_str(" +noedns"),
        }
        text.push_str(match (self.over_tcp, self.qtype) {
            (true, _) => " +tcp",
            (false, 255) => " +notcp +ignore",
            (false, _) => " +ignore",
        });
        text
    }
}

/// A record in the form in which records are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// In lower case.
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Names in it uncompressed and in lower case.
    pub(crate) rdata: Vec<u8>,
}

/// A decoded reply; each section is sorted.
#[derive(Debug)]
pub(crate) struct Reply {
    wire: Vec<u8>,
    pub(crate) rcode: u8,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    pub(crate) answer: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    /// Without the OPT record.
    pub(crate) additional: Vec<Record>,
}

impl Reply {
    /// Decodes a reply and holds it against its question.
    ///
    /// # Errors
    /// What no reply to this question may have, however it answers.
    pub(crate) fn read(wire: Vec<u8>, question: &Question) -> Result<Self, String> {
        let section = question.section();
        let body = 12 + section.len();
        if wire.get(12..body) != Some(&section) {
            return Err("the question is not echoed byte for byte".to_owned());
        }
        let &[_, _, high, low, 0, 1, ref counts @ ..] = &wire[..12] else {
            return Err("not one question".to_owned());
        };
        if high & 0xfe & !0x06 != 0x80 || (high & 1 == 1) != question.recursion_desired {
            return Err(format!("flags {high:02x}{low:02x}"));
        }
        let mut at = body;
        let mut sections: [Vec<Record>; 3] = Default::default();
        for (section, count) in sections.iter_mut().zip(counts.chunks(2)) {
            for _ in 0..u16::from_be_bytes([count[0], count[1]]) {
                section.push(read_record(&wire, &mut at).ok_or_else(|| format!("byte {at}"))?);
            }
            section.sort();
        }
        if at != wire.len() {
            return Err("bytes left over".to_owned());
        }
        let [answer, authority, mut additional] = sections;
        let before = additional.len();
        additional.retain(|record| record.rtype != RecordType::OPT.0);
        if before - additional.len() != usize::from(question.edns.is_some()) {
            return Err("OPT without need, or none in spite of it".to_owned());
        }
        Ok(Self {
            rcode: low & 0x0f,
            authoritative: high & 0x04 != 0,
            truncated: high & 0x02 != 0,
            answer,
            authority,
            additional,
            wire,
        })
    }

    /// The reply's bytes.
    pub(crate) fn len(&self) -> usize {
        self.wire.len()
    }

    /// A referral: a delegation instead of an answer.
    pub(crate) fn refers(&self) -> bool {
        self.authority
            .iter()
            .any(|record| record.rtype == RecordType::NS.0)
    }

    /// The reply as dig would print it.
    pub(crate) fn as_dig(&self) -> String {
        let Ok(message) = Message::from_vec(&self.wire) else {
            return format!(";; hickory-proto cannot decode it: {:02x?}\n", self.wire);
        };
        let flags = [("aa", self.authoritative), ("tc", self.truncated)];
        let flags: Vec<&str> = flags
            .iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| *name)
            .collect();
        let mut text = format!(
            ";; status: {}, flags: qr {}\n",
            message.response_code,
            flags.join(" ")
        );
        for (title, records) in [
            ("ANSWER", &message.answers),
            ("AUTHORITY", &message.authorities),
            ("ADDITIONAL", &message.additionals),
        ] {
            if !records.is_empty() {
                let _ = writeln!(text, ";; {title} SECTION:");
            }
            for record in records {
                let _ = writeln!(text, "{}", shown(record));
            }
        }
        text
    }
}

/// A record as text, cut where a line would fill a response filter.
fn shown(record: &Shown) -> String {
    let text = record.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn read_record(wire: &[u8], at: &mut usize) -> Option<Record> {
    let owner = read_name(wire, at, true)?;
    let fixed: &[u8; 10] = wire.get(*at..)?.first_chunk()?;
    let [t1, t0, c1, c0, l3, l2, l1, l0, r1, r0] = *fixed;
    *at += fixed.len();
    let end = *at + usize::from(u16::from_be_bytes([r1, r0]));
    let rtype = u16::from_be_bytes([t1, t0]);
    let rdata = read_rdata(wire.get(..end)?, *at, rtype)?;
    *at = end;
    Some(Record {
        owner,
        rtype,
        class: u16::from_be_bytes([c1, c0]),
        ttl: u32::from_be_bytes([l3, l2, l1, l0]),
        rdata,
    })
}

/// The data that end where `wire` does, names in them in full and in lower case.
fn read_rdata(wire: &[u8], mut at: usize, rtype: u16) -> Option<Vec<u8>> {
    // Bytes before the names, strings before them, names, and whether they may be compressed: the types of RFC 1035
    // only (RFC 3597 section 4).
    let (prefix, strings, names, compressed) = match rtype {
        2 | 5 | 7..=9 | 12 => (0, 0, 1, true),
        6 | 14 => (0, 0, 2, true),
        15 => (2, 0, 1, true),
        39 => (0, 0, 1, false),
        17 => (0, 0, 2, false),
        18 | 36 | 64 | 65 => (2, 0, 1, false),
        33 => (6, 0, 1, false),
        35 => (4, 3, 1, false),
        _ => (0, 0, 0, false),
    };
    let mut rdata = wire.get(at..at + prefix)?.to_vec();
    at += prefix;
    for _ in 0..strings {
        let end = at + 1 + usize::from(*wire.get(at)?);
        rdata.extend(wire.get(at..end)?);
        at = end;
    }
    for _ in 0..names {
        rdata.extend(read_name(wire, &mut at, compressed)?);
    }
    rdata.extend(wire.get(at..)?);
    Some(rdata)
}

/// The name at `at` in full and in lower case; `at` is behind it then. `None` also for a pointer where none may be, or
/// one that does not lead backward.
fn read_name(wire: &[u8], at: &mut usize, compressed: bool) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut here = *at;
    let mut behind = None;
    loop {
        let len = *wire.get(here)?;
        if len >= 0xc0 {
            let target = u16::from_be_bytes([len & 0x3f, *wire.get(here + 1)?]);
            behind.get_or_insert(here + 2);
            if !compressed || usize::from(target) >= here {
                return None;
            }
            here = usize::from(target);
            continue;
        }
        let next = here + 1 + usize::from(len);
        name.push(len);
        name.extend(wire.get(here + 1..next)?.to_ascii_lowercase());
        here = next;
        if len == 0 {
            *at = behind.unwrap_or(here);
            return (name.len() <= MAX_NAME).then_some(name);
        }
    }
}
