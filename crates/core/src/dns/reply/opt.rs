//! Writes the OPT record of a response to a query with EDNS.

use super::ReplyWriter;
use crate::dns::{
    RecordType,
    code::Ede,
    edns::{Edns, OPT_LEN, UDP_PAYLOAD},
};

impl ReplyWriter<'_> {
    /// Writes the OPT record into its reserved room, with as much of the extended error as fits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper eight of twelve bits, and a text within a message"
    )]
    pub(super) fn put_opt(&mut self, edns: Edns, ede: Option<(Ede, &str)>) {
        let room = self.limit - self.len;
        self.limit += OPT_LEN;
        let [payload_high, payload_low] = UDP_PAYLOAD.to_be_bytes();
        let upper_rcode = (self.rcode.number() >> 4) as u8;
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        // 4 bytes of option header, 2 of INFO-CODE, then the text (RFC 8914 section 2).
        let ede = ede
            .filter(|_| room >= 6)
            .map(|(code, text)| (code, fitting(text, room - 6)));
        let rdata_len = ede.map_or(0, |(_, text)| 6 + text.len() as u16);
        let [rdata_high, rdata_low] = rdata_len.to_be_bytes();
        let [_, opt_type] = RecordType::OPT.0.to_be_bytes();
        let fixed = [
            0,
            0,
            opt_type,
            payload_high,
            payload_low,
            upper_rcode,
            0,
            dnssec_ok,
            0,
            rdata_high,
            rdata_low,
        ];
        // The fixed part has reserved room, and the room for the rest was measured.
        let _ = if let Some((code, text)) = ede {
            let [length_high, length_low] = (2 + text.len() as u16).to_be_bytes();
            let [code_high, code_low] = code.number().to_be_bytes();
            let option = [0, 15, length_high, length_low, code_high, code_low];
            self.put_two(&fixed, &option)
                .and_then(|()| self.put(text.as_bytes()))
        } else {
            self.put(&fixed)
        };
    }
}

/// The longest prefix of `text` that fits into `room` bytes, in whole characters.
fn fitting(text: &str, room: usize) -> &str {
    if text.len() <= room {
        return text;
    }
    let end = (0..=room)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
