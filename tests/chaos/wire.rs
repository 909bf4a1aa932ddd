//! Questions in bytes, and replies as text that a table can hold.

use hickory_proto::op::{Message, ResponseCode};

/// One question of class IN for an address, recursion desired.
pub(crate) fn question(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).expect("a label"));
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// The same behind its length, for a stream.
pub(crate) fn framed(id: u16, name: &str) -> Vec<u8> {
    let packet = question(id, name);
    let len = u16::try_from(packet.len()).expect("a short packet");
    [&len.to_be_bytes()[..], &packet].concat()
}

/// A reply to `name` as one line: the code, then TTL, type and data of each record of the answer. `None` when it is no
/// reply to this question.
pub(crate) fn seen(name: &str, reply: &[u8]) -> Option<String> {
    let message = Message::from_vec(reply).ok()?;
    let [question] = &message.queries[..] else {
        return None;
    };
    if question.name().to_ascii().trim_end_matches('.') != name {
        return None;
    }
    let mut line = match message.response_code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        code => format!("code {}", u16::from(code)),
    };
    for record in &message.answers {
        line += &format!(" {} {} {}", record.ttl, record.record_type(), record.data);
    }
    Some(line)
}
