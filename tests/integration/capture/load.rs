//! Random queries: every letter case, option, flag and error, for names that may be forwarded, for names that may not, and for
//! names that differ from those by one label or one letter.

use dnsgate_naive::labels;

use super::policy::Question;

/// Names with rules, without rules, and beside both.
const NAMES: &[&str] = &[
    "wide.example",
    "www.wide.example",
    "secret.wide.example",
    "open.secret.wide.example",
    "fixed.wide.example",
    "exact.example",
    "www.exact.example",
    "below.example",
    "www.below.example",
    "old.example",
    "two.example",
    "www.two.example",
    "no.two.example",
    "also.two.test",
    "strict.example",
    "www.strict.example",
    "alias.lab.example",
    "office.lab.example",
    "two.lab.example",
    "out.lab.example",
    "none.lab.example",
    "evil.example",
    "x.evil.example",
    "bare.evil.example",
    "xwide.example",
    "wide.example.evil.test",
    "example",
];
/// First labels to which the fake upstreams say something else.
const FIRST: [&str; 6] = ["cname", "bare", "edge", "back", "tc", "nx"];
/// Types that are data.
const TYPES: [u16; 14] = [1, 1, 1, 28, 2, 5, 6, 12, 15, 16, 33, 64, 65, 65280];
/// Types that are not, and ANY.
const META: [u16; 8] = [255, 252, 251, 249, 250, 41, 128, 0];
/// What a client's OPT record may have: client subnet, cookie, padding, NSID, keepalive, unknown.
const OPTIONS: [u16; 7] = [8, 10, 12, 3, 11, 65001, 26946];
const SIZES: [u16; 7] = [0, 1, 511, 512, 1232, 4096, 65535];

/// Numbers that look random and come again with the same seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// One packet of a client.
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    /// What it asks, if it is a query that may be forwarded at all.
    pub(crate) question: Option<Question>,
    /// Whether it gets a reply, whatever it says.
    pub(crate) is_due_a_reply: bool,
}

/// Some packet.
pub(crate) fn packet(random: &mut Random) -> Packet {
    if random.once_in(40) {
        return garbage(random);
    }
    let name = name(random);
    let qtype = if random.once_in(12) {
        random.of(&META)
    } else {
        random.of(&TYPES)
    };
    let class = if random.once_in(20) {
        random.of(&[3, 4, 254, 255, 0, 257])
    } else {
        1
    };
    let [high, low] = flags(random);
    let mut bytes = random.bytes(2);
    bytes.extend([high, low, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes.extend(cased(&name, random));
    bytes.extend(qtype.to_be_bytes());
    bytes.extend(u16::to_be_bytes(class));
    let dnssec_ok = !random.once_in(3) && edns(&mut bytes, random);
    let is_query = high & 0xf8 == 0;
    let asks = is_query && high & 1 == 1 && class == 1 && !META.contains(&qtype);
    let spoilt = random.once_in(10) && spoil(&mut bytes, random);
    let question = Question {
        name,
        qtype,
        dnssec_ok,
        checking_disabled: low & 0x10 != 0,
    };
    Packet {
        question: (asks && !spoilt).then_some(question),
        is_due_a_reply: bytes.len() >= 12 && bytes[2] & 0x80 == 0,
        bytes,
    }
}

/// Bytes that are no query: they hold more records than there are bytes for.
fn garbage(random: &mut Random) -> Packet {
    let len = random.below(300);
    let mut bytes = random.bytes(len);
    if let Some(count) = bytes.get_mut(10) {
        *count |= 0x80;
    }
    Packet {
        question: None,
        is_due_a_reply: bytes.len() >= 12 && bytes[2] & 0x80 == 0,
        bytes,
    }
}

fn name(random: &mut Random) -> Vec<Vec<u8>> {
    let mut name = labels(random.of(NAMES));
    match random.below(12) {
        0..4 => {}
        4 => name.insert(0, random.of(&FIRST).into()),
        5 => name[0] = random.of(&FIRST).into(),
        6 => {
            let len = 1 + random.below(63);
            let label = random.bytes(len);
            name.insert(0, label.to_ascii_lowercase());
        }
        // A dot inside of a label is not one between two.
        7 => name = vec![name.join(&b'.')],
        8 => {
            let first = name.remove(0);
            let second = name.first().cloned().unwrap_or_default();
            name.insert(0, [first, second].join(&b'.'));
        }
        9 => {
            let at = random.below(name.len());
            let letter = random.below(name[at].len());
            name[at][letter] ^= 1;
        }
        10 => {
            let longest = 253;
            while name.iter().map(|label| label.len() + 1).sum::<usize>() + 2 < longest {
                let len: usize = name.iter().map(|label| label.len() + 1).sum();
                name.insert(0, vec![b'l'; 63.min(longest - len - 1)]);
            }
        }
        _ => name.insert(0, format!("n{}", random.below(400)).into()),
    }
    name
}

/// The two bytes of flags: nearly always a query that wants recursion.
fn flags(random: &mut Random) -> [u8; 2] {
    let mut flags = [1, 0];
    for (byte, bit, times) in [
        (0, 0x80, 50), // QR
        (0, 0x10, 50), // opcode STATUS
        (0, 0x28, 50), // UPDATE
        (0, 0x04, 8),  // AA
        (0, 0x02, 8),  // TC
        (1, 0x80, 8),  // RA
        (1, 0x40, 8),  // Z
        (1, 0x20, 4),  // AD
        (1, 0x10, 4),  // CD
        (1, 0x05, 20), // a code
    ] {
        if random.once_in(times) {
            flags[byte] |= bit;
        }
    }
    if random.once_in(12) {
        flags[0] &= !1; // RD
    }
    flags
}

/// The name on the wire, each letter in any case.
fn cased(name: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name {
        wire.push(label.len() as u8);
        for &byte in label {
            let upper = random.once_in(2);
            wire.push(if upper {
                byte.to_ascii_uppercase()
            } else {
                byte
            });
        }
    }
    wire.push(0);
    wire
}

/// Adds an OPT record with whatever options. Returns whether it says DO.
fn edns(bytes: &mut Vec<u8>, random: &mut Random) -> bool {
    let dnssec_ok = random.once_in(3);
    let flags = random.bytes(1)[0] & 0x7f; // Z
    let mut options = Vec::new();
    for _ in 0..random.below(4) {
        let data = match random.of(&OPTIONS) {
            // RFC 7871: IPv4, 24 bits of it.
            8 => [&8u16.to_be_bytes()[..], &[0, 7, 0, 1, 24, 0, 10, 1, 2]].concat(),
            code => {
                let len = random.below(40);
                let len_bytes = (len as u16).to_be_bytes();
                let data = random.bytes(len);
                [&code.to_be_bytes()[..], &len_bytes, &data].concat()
            }
        };
        options.extend(data);
    }
    bytes[11] += 1;
    bytes.extend([0, 0, 41]);
    bytes.extend(random.of(&SIZES).to_be_bytes());
    bytes.extend([0, 0, u8::from(dnssec_ok) << 7 | flags, 0]);
    bytes.extend((options.len() as u16).to_be_bytes());
    bytes.extend(options);
    dnssec_ok
}

/// Makes a query one that is none any longer. Returns whether it did.
fn spoil(bytes: &mut Vec<u8>, random: &mut Random) -> bool {
    match random.below(7) {
        0 => bytes.extend(random.bytes(4)), // left over
        1 => bytes[5] = 2,                  // a second question that is not there
        2 => {
            bytes[5] = 2;
            bytes.extend(b"\x03www\x04wide\x07example\0\0\x01\0\x01");
        }
        3 => bytes.truncate(random.below(bytes.len())),
        4 => bytes[12] = 0xc0, // a pointer
        5 => bytes[12] = 0x7f, // a label of a kind that there is not
        _ => {
            // Another additional record is stepped over: the query is still one.
            bytes[11] += 1;
            bytes.extend(b"\x04tsig\0\0\xfa\0\xff\0\0\0\0\0\x03key");
            return false;
        }
    }
    true
}
