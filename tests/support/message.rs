//! Well-formed and malformed replies in bytes.

const A: u16 = 1;
const CNAME: u16 = 5;
/// A pointer to the question's name.
pub(crate) const QUESTION: &[u8] = b"\xc0\x0c";

/// A reply to `query` with this code, so many records in the answer, and these bytes.
pub(crate) fn reply(query: &[u8], code: u8, answers: u16, records: &[u8]) -> Vec<u8> {
    let len = query[12..]
        .iter()
        .position(|&byte| byte == 0)
        .expect("a name");
    let mut reply = query[..12 + len + 5].to_vec();
    reply[2] = 0x81;
    reply[3] = 0x80 | code;
    reply[6..8].copy_from_slice(&answers.to_be_bytes());
    reply[8..12].fill(0);
    reply.extend(records);
    reply
}

/// One address, as it should be.
pub(crate) fn good(query: &[u8]) -> Vec<u8> {
    reply(query, 0, 1, &record(QUESTION, A, &[192, 31, 196, 1]))
}

pub(crate) fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend(rtype.to_be_bytes());
    wire.extend([0, 1, 0, 0, 1, 44]);
    wire.extend((rdata.len() as u16).to_be_bytes());
    wire.extend(rdata);
    wire
}

/// A circle of two.
pub(crate) fn circle(query: &[u8]) -> Vec<u8> {
    let other = b"\x01x\x04cdnn\0";
    let records = [
        record(QUESTION, CNAME, other),
        record(other, CNAME, QUESTION),
    ];
    reply(query, 0, 2, &records.concat())
}

/// An alias of an alias of an alias…
pub(crate) fn thousand_aliases(query: &[u8]) -> Vec<u8> {
    let mut owner = QUESTION.to_vec();
    let mut records = Vec::new();
    for number in 0..1000 {
        let target = [&[4], format!("{number:04}").as_bytes(), &[0]].concat();
        records.extend(record(&owner, CNAME, &target));
        owner = target;
    }
    reply(query, 0, 1000, &records)
}

/// 3 700 addresses: 60 kB.
pub(crate) fn large(query: &[u8]) -> Vec<u8> {
    let address = |number: u16| {
        let [high, low] = number.to_be_bytes();
        record(QUESTION, A, &[192, 88, high, low])
    };
    let records: Vec<u8> = (0..3700).flat_map(address).collect();
    reply(query, 0, 3700, &records)
}

/// Four thousand names of full length, each in two bytes.
pub(crate) fn bomb(query: &[u8]) -> Vec<u8> {
    let start = (reply(query, 0, 0, &[]).len() as u16 | 0xc000).to_be_bytes();
    let label = [&[63][..], &[b'x'; 63]].concat();
    let long = [&label.repeat(3)[..], &[40], &[b'x'; 40], &[0]].concat();
    let mut records = record(&long, CNAME, &start);
    for _ in 1..4000 {
        records.extend(record(&start, CNAME, &start));
    }
    reply(query, 0, 4000, &records)
}

/// A name that is a pointer to itself.
pub(crate) fn pointer_to_itself(query: &[u8]) -> Vec<u8> {
    let at = (reply(query, 0, 0, &[]).len() as u16 | 0xc000).to_be_bytes();
    reply(query, 0, 1, &record(&at, A, &[192, 31, 196, 1]))
}
