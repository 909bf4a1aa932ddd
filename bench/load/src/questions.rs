//! The questions, and the expected answers.
//!
//! The file has one question per line, `NAME TYPE edns|plain RCODE ANSWERS`. The query with an id
//! asks question number `id mod n`, so that a reply's id identifies its question without a table or
//! a search. That is why the number of questions is a power of two.
//!
//! After the first round a cache has an answer to each of them. So the beginning of each name can be
//! replaced by a number that no other query has.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, bail, ensure};

/// An OPT record of a client that takes 1232 bytes.
const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
/// The most questions: as many as there are ids.
const MAX: usize = 1 << 16;
/// Bytes of a header.
pub(crate) const HEADER: usize = 12;
/// Digits of a run's number, and of a query's.
const DIGITS: usize = 8;

/// One question.
#[derive(Debug)]
struct Question {
    /// The packet, with id 0.
    packet: Vec<u8>,
    rcode: u8,
    answers: u16,
}

/// All questions of a run.
#[derive(Debug)]
pub(crate) struct Questions {
    all: Vec<Question>,
    fresh: Option<Fresh>,
}

/// The numbers that make names that were never asked for.
#[derive(Debug)]
struct Fresh {
    run: u32,
    next: AtomicU32,
}

impl Fresh {
    /// Writes both numbers over the beginning of the name in a packet.
    fn write(&self, packet: &mut [u8]) {
        let digits = packet.get_mut(HEADER + 1..).unwrap_or_default();
        let (run, rest) = digits.split_at_mut(DIGITS.min(digits.len()));
        hex(self.run, run);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        hex(number, rest.get_mut(..DIGITS).unwrap_or_default());
    }
}

fn hex(mut number: u32, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

impl Questions {
    /// Reads a file of questions.
    pub(crate) fn read(path: &Path, fresh: Option<u32>) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut read = Self::parse(&text)?;
        read.fresh = fresh.map(|run| Fresh {
            run,
            next: AtomicU32::new(0),
        });
        let first = |question: &Question| question.packet.get(HEADER).copied();
        ensure!(
            fresh.is_none()
                || read
                    .all
                    .iter()
                    .all(|it| first(it) >= Some(2 * DIGITS as u8)),
            "the first label of each name must have room for {} digits",
            2 * DIGITS
        );
        Ok(read)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let questions: Vec<_> = text
            .lines()
            .map(|line| question(line).with_context(|| format!("in the line {line:?}")))
            .collect::<anyhow::Result<_>>()?;
        ensure!(
            questions.len().is_power_of_two() && questions.len() <= MAX,
            "{} questions are not a power of two",
            questions.len()
        );
        Ok(Self {
            all: questions,
            fresh: None,
        })
    }

    fn of(&self, id: u16) -> Option<&Question> {
        // The length is a power of two.
        self.all.get(usize::from(id) & (self.all.len() - 1))
    }

    /// Writes the query with this id to the beginning of `out`; returns its length.
    pub(crate) fn write(&self, id: u16, out: &mut [u8]) -> usize {
        let Some(question) = self.of(id) else {
            return 0;
        };
        let len = question.packet.len();
        let Some(out) = out.get_mut(..len) else {
            return len;
        };
        out.copy_from_slice(&question.packet);
        if let Some(slot) = out.first_chunk_mut::<2>() {
            *slot = id.to_be_bytes();
        }
        if let Some(fresh) = &self.fresh {
            fresh.write(out);
        }
        len
    }

    /// Whether a reply is the one that must come back under its id: a response with the right code
    /// and the right number of answers.
    pub(crate) fn is_right(&self, id: u16, reply: &[u8]) -> bool {
        let (Some(question), Some(header)) = (self.of(id), reply.first_chunk::<HEADER>()) else {
            return false;
        };
        header[2] & 0x80 != 0
            && header[3] & 0x0f == question.rcode
            && u16::from_be_bytes([header[6], header[7]]) == question.answers
    }
}

/// The id of a packet.
pub(crate) fn id(packet: &[u8]) -> Option<u16> {
    packet.first_chunk().map(|id| u16::from_be_bytes(*id))
}

fn question(line: &str) -> anyhow::Result<Question> {
    let words: Vec<_> = line.split_whitespace().collect();
    let &[name, qtype, form, rcode, answers] = words.as_slice() else {
        bail!("it has not five words");
    };
    let qtype: u16 = match qtype {
        "A" => 1,
        "AAAA" => 28,
        other => other.parse().context("no type")?,
    };
    let edns = match form {
        "edns" => true,
        "plain" => false,
        _ => bail!("neither edns nor plain"),
    };
    // Recursion desired, as stubs send it.
    let mut packet = b"\0\0\x01\0\0\x01\0\0\0\0\0".to_vec();
    packet.push(u8::from(edns));
    for label in name.split('.') {
        ensure!((1..=63).contains(&label.len()), "no name");
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if edns {
        packet.extend_from_slice(OPT);
    }
    Ok(Question {
        packet,
        rcode: rcode.parse()?,
        answers: answers.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_its_packet_and_its_reply() {
        let questions = Questions::parse("a.b A edns 5 0\nc AAAA plain 0 2\n").unwrap();
        let mut out = [0; 64];
        let len = questions.write(0x0103, &mut out);
        let wire = b"\x01\x03\x01\0\0\x01\0\0\0\0\0\0\x01c\0\0\x1c\0\x01";
        assert_eq!(&out[..len], wire);
        let len = questions.write(2, &mut out);
        assert!(out[..len].ends_with(b"\x01a\x01b\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0"));
        let mut reply = wire.to_vec();
        assert!(!questions.is_right(0x0103, &reply), "a query is no reply");
        reply[2] |= 0x80;
        assert!(!questions.is_right(0x0103, &reply), "without answers");
        reply[7] = 2;
        assert!(questions.is_right(0x0103, &reply));
        assert!(!questions.is_right(0x0102, &reply), "REFUSED is expected");
    }

    #[test]
    fn no_fresh_name_is_asked_for_twice() {
        let dir = std::env::temp_dir().join(format!("load-{}", std::process::id()));
        fs::write(&dir, "0000000000000000.a A plain 0 1\n").unwrap();
        let questions = Questions::read(&dir, Some(0x2a)).unwrap();
        let names = [(); 2].map(|()| {
            let mut out = [0; 64];
            let len = questions.write(5, &mut out);
            String::from_utf8_lossy(&out[HEADER + 1..len]).into_owned()
        });
        assert!(names[0].starts_with("0000002a00000000\x01a"), "{names:?}");
        assert!(names[1].starts_with("0000002a00000001\x01a"), "{names:?}");
        fs::write(&dir, "short.a A plain 0 1\n").unwrap();
        assert!(Questions::read(&dir, Some(1)).is_err());
        fs::remove_file(dir).unwrap();
    }

    #[test]
    fn bad_lines_are_told() {
        for text in [
            "",
            "a A edns 0",
            "a A edns 0 0\n".repeat(3).as_str(),
            "a..b A edns 0 0",
        ] {
            assert!(Questions::parse(text).is_err(), "{text}");
        }
    }
}
