//! Decodes the answer section of a reply with hickory-proto, so that no code checks its own output.

use std::net::IpAddr;

use hickory_proto::{op::Message, rr};

use dnsgate_core::dns::{Name, NameBuf, RecordType, rrset::wire_rdata};

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AnswerRecord {
    pub(super) owner: String,
    pub(super) rtype: RecordType,
    pub(super) rdata: Vec<u8>,
    /// Type and data in zone-file form.
    pub(super) shown: String,
}

impl AnswerRecord {
    /// Whether this is the given record. The TTL is ignored, and so is the case of letters if the data
    /// is a name.
    pub(super) fn is(&self, owner: &Name, rtype: RecordType, rdata: &[u8]) -> bool {
        let same_data = match rtype {
            RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => {
                self.rdata.eq_ignore_ascii_case(rdata)
            }
            _ => self.rdata == rdata,
        };
        same_data && self.rtype == rtype && self.owner == owner.to_string()
    }

    /// The address of an A or AAAA record.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            RecordType::A => <[u8; 4]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            _ => None,
        }
    }
}

/// The records in the answer section of a reply; none if there is no reply.
pub(super) fn records(reply: &[u8]) -> Vec<AnswerRecord> {
    // hickory-proto can read everything that the engine writes: tests/scenarios checks that.
    let answers = Message::from_vec(reply).map_or_else(|_| Vec::new(), |message| message.answers);
    answers.iter().filter_map(record).collect()
}

fn record(record: &rr::Record) -> Option<AnswerRecord> {
    let mut owner = NameBuf::new();
    for label in record.name.iter() {
        owner.push_label(label).ok()?;
    }
    let rdata = wire_rdata(&record.data).ok()?;
    let rtype = RecordType(u16::from(record.record_type()));
    let data = match NameBuf::read(&rdata) {
        // hickory-proto cannot display DNAME, and does not escape all names unambiguously.
        Ok((name, _)) if matches!(rtype, RecordType::CNAME | RecordType::DNAME) => {
            name.as_ref().to_string()
        }
        _ => record.data.to_string(),
    };
    Some(AnswerRecord {
        owner: owner.as_ref().to_string(),
        rtype,
        rdata,
        shown: format!("{rtype} {data}"),
    })
}

/// Whether two answers have the same records, in any order.
pub(super) fn are_same(one: &[AnswerRecord], other: &[AnswerRecord]) -> bool {
    let sorted = |records: &[AnswerRecord]| {
        let mut records = records.to_vec();
        records.sort();
        records
    };
    sorted(one) == sorted(other)
}

/// Records as text.
pub(super) fn shown(records: &[AnswerRecord]) -> String {
    let texts: Vec<_> = records.iter().map(|record| &*record.shown).collect();
    if texts.is_empty() {
        "no records".to_owned()
    } else {
        texts.join(", ")
    }
}
