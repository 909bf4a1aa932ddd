//! The questions, and what must come back.
//!
//! A file of one question a line, `NAME TYPE edns|plain RCODE ANSWERS`. Question number `id mod n`
//! is asked under each id, so that neither a table nor a search is needed to know what a reply is
//! about. That is why their number is a power of two.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};

/// An OPT record of a client that takes 1232 bytes.
const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
/// The most questions: there are no more ids.
const MAX: usize = 1 << 16;
/// Bytes of a header.
pub(crate) const HEADER: usize = 12;

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
pub(crate) struct Questions(Vec<Question>);

impl Questions {
    /// Reads a file of questions.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text)
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
        Ok(Self(questions))
    }

    fn of(&self, id: u16) -> Option<&Question> {
        // The length is a power of two.
        self.0.get(usize::from(id) & (self.0.len() - 1))
    }

    /// Writes the query with this id to the beginning of `out`; returns its length.
    pub(crate) fn write(&self, id: u16, out: &mut [u8]) -> usize {
        let Some(question) = self.of(id) else {
            return 0;
        };
        let packet = &question.packet;
        if let Some(out) = out.get_mut(..packet.len()) {
            out.copy_from_slice(packet);
            if let Some(slot) = out.first_chunk_mut::<2>() {
                *slot = id.to_be_bytes();
            }
        }
        packet.len()
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
