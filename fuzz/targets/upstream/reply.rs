//! What every reply must be, whatever an upstream has said.

use std::net::IpAddr;
use std::time::SystemTime;

use dnsgate_core::policy::{Action, CnameMode, Forwarding};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use super::address;
use super::table::Table;
use super::wire::{self, Record};

/// The most aliases of a reply, whoever has them.
const LINKS: usize = 10;
/// The longest TTL of the cache and of our own data.
const MAX_TTL: u32 = 3600;

const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const AAAA: u16 = 28;
const DNAME: u16 = 39;
const OPT: u16 = 41;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;
/// The types whose RDATA dnsgate has read; what others hold is bytes to it, and a name for private use to us.
const READ: [u16; 7] = [A, 2, CNAME, SOA, 15, AAAA, OPT];
const PRIVATE_USE: [u8; 2] = [0xff, 0x00];

/// The codes of replies to well-formed queries.
const CODES: [ResponseCode; 5] = [
    ResponseCode::NoError,
    ResponseCode::NXDomain,
    ResponseCode::YXDomain,
    ResponseCode::Refused,
    ResponseCode::ServFail,
];

/// One reply, and who got it.
pub(super) struct Case<'c> {
    pub(super) table: &'c Table,
    pub(super) group: usize,
    pub(super) now: SystemTime,
    /// The query.
    pub(super) query: &'c [u8],
    pub(super) dnssec_ok: bool,
    /// What upstreams have said.
    pub(super) heard: &'c [Vec<u8>],
    pub(super) reply: &'c [u8],
}

/// A way by which the reply may have come to a name of the chain.
#[derive(Clone, PartialEq)]
struct Way<'c> {
    /// The rules that forwarded on it: what each says holds to the end.
    held: Vec<&'c Forwarding>,
    /// Whether the last of them has the records here; else they are our own.
    asked: bool,
}

impl<'c> Way<'c> {
    fn is_strict(&self) -> bool {
        self.held.iter().any(|it| it.cname == CnameMode::Allowed)
    }

    /// The same, gone on with this rule's upstream.
    fn with(&self, forwarding: &'c Forwarding) -> Self {
        let mut held = self.held.clone();
        held.retain(|other| *other != forwarding);
        held.push(forwarding);
        Self { held, asked: true }
    }
}

impl Case<'_> {
    /// Checks the reply.
    pub(super) fn check(&self) {
        let reply = self.reply;
        let records = wire::records(reply);
        assert!(records.is_some(), "torn: {reply:02x?}");
        let records = records.unwrap_or_default();
        assert_eq!(reply[..2], self.query[..2], "another id");
        let (_, question) = wire::name(self.query, 12).unwrap_or_default();
        assert_eq!(
            reply[12..question + 4],
            self.query[12..question + 4],
            "another question"
        );
        for record in &records {
            let known = record.rtype == OPT;
            assert!(known || record.ttl <= MAX_TTL, "a TTL of {}", record.ttl);
            assert!(
                known || record.section < 2,
                "a record that nobody asked for"
            );
        }
        let (chain, told) = self.chain(&records);
        let mut ways = self.ways(&chain);
        if let Some(told) = told {
            ways = self.follow(&ways, &told);
        }
        for record in records.iter().filter(|record| record.section == 0) {
            let leads = chain.contains(&record.owner) || self.is_dname(record, &chain);
            assert!(
                leads,
                "{:02x?} is not on the chain {chain:02x?}",
                record.owner
            );
            self.check_hints(record, &ways);
        }
        self.check_authority(&records, &chain);
        if let Some(message) = decoded(reply, &records) {
            check_message(&message, &ways);
        }
    }

    /// The names that the question leads to by the aliases of the answer, and the one that is told where an alias is what
    /// was asked for.
    fn chain(&self, records: &[Record]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let (question, _) = wire::name(self.query, 12).unwrap_or_default();
        let mut chain = vec![question];
        let aliases = |record: &&Record| record.section == 0 && record.rtype == CNAME;
        for alias in records.iter().filter(aliases) {
            let here = chain.last().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(alias.owner, here, "an alias beside the chain");
            let (target, _) = wire::name(self.reply, alias.rdata.start).unwrap_or_default();
            // A reply ends where a circle of our own and others' data has closed.
            chain.push(target);
        }
        let qtype = wire::number(self.query, 12 + chain[0].len());
        let answer = qtype == Some(CNAME) && chain.len() > 1;
        let told = answer.then(|| chain.pop()).flatten();
        (chain, told)
    }

    /// Whether a record is a DNAME, or signs one, of a name above one of the chain that is forwarded.
    fn is_dname(&self, record: &Record, chain: &[Vec<u8>]) -> bool {
        let covered = match record.rtype {
            RRSIG => wire::number(self.reply, record.rdata.start),
            rtype => Some(rtype),
        };
        let action = self.table.action(self.group, &record.owner, self.now);
        let above = |name: &Vec<u8>| *name != record.owner && wire::is_within(name, &record.owner);
        covered == Some(DNAME)
            && matches!(action, Some(Action::Forward(_)))
            && chain.iter().any(above)
    }

    /// The ways to the end of the chain. Holds that each name is one that there is a way to.
    fn ways(&self, chain: &[Vec<u8>]) -> Vec<Way<'_>> {
        let Some(first) = chain.first() else {
            return Vec::new();
        };
        let forwarding = match self.table.action(self.group, first, self.now) {
            Some(Action::Forward(forwarding)) => Some(forwarding),
            _ => None,
        };
        let mut ways = vec![Way {
            held: forwarding.into_iter().collect(),
            asked: forwarding.is_some(),
        }];
        for name in &chain[1..] {
            ways = self.follow(&ways, name);
        }
        assert!(chain.len() <= LINKS + 1, "{} names in a chain", chain.len());
        ways
    }

    /// The ways on to `name`.
    fn follow<'c>(&'c self, ways: &[Way<'c>], name: &[u8]) -> Vec<Way<'c>> {
        let action = self.table.action(self.group, name, self.now);
        let mut next: Vec<Way<'_>> = Vec::new();
        for way in ways {
            let ours = way.held.is_empty();
            let stays = match action {
                // A rule that denies binds a target, whatever the mode.
                Some(Action::Deny) => ours,
                None => ours || !way.is_strict(),
                Some(Action::Forward(_)) => way.asked,
                Some(Action::Zone(_) | Action::Answer(_)) => false,
            };
            let on = match action {
                Some(Action::Forward(other)) => Some(way.with(other)),
                Some(Action::Zone(_) | Action::Answer(_)) => Some(Way {
                    asked: false,
                    ..way.clone()
                }),
                Some(Action::Deny) | None => None,
            };
            for way in stays.then(|| way.clone()).into_iter().chain(on) {
                if !next.contains(&way) {
                    next.push(way);
                }
            }
        }
        assert!(
            !next.is_empty(),
            "an alias to {name:02x?}, which it may not lead to"
        );
        next
    }

    /// The address hints of a service binding, as hickory-proto reads them.
    fn check_hints(&self, record: &Record, ways: &[Way<'_>]) {
        if ![SVCB, HTTPS].contains(&record.rtype) {
            return;
        }
        let rdata = &self.reply[record.rdata.clone()];
        let len = Restrict::new(rdata.len() as u16);
        let mut decoder = BinDecoder::new(rdata);
        let Ok(RData::SVCB(binding)) = RData::read(&mut decoder, RecordType::SVCB, len) else {
            return;
        };
        for (_, value) in &binding.svc_params {
            match value {
                SvcParamValue::Ipv4Hint(hint) => hint
                    .0
                    .iter()
                    .for_each(|address| check_address(address.0.into(), ways)),
                SvcParamValue::Ipv6Hint(hint) => hint
                    .0
                    .iter()
                    .for_each(|address| check_address(address.0.into(), ways)),
                _ => {}
            }
        }
    }

    /// An SOA is that of the last name's zone or of one above; proofs are within a zone that signed on the chain.
    fn check_authority(&self, records: &[Record], chain: &[Vec<u8>]) {
        let authority = || records.iter().filter(|record| record.section == 1);
        let last = chain.last().map(Vec::as_slice).unwrap_or_default();
        let mut zones = self.signers(chain);
        // Of an alias that was asked for, the code speaks of its target.
        let target = self.target();
        let about = target.as_deref().unwrap_or(last);
        for soa in authority().filter(|record| record.rtype == SOA) {
            assert!(
                wire::is_within(last, &soa.owner) || wire::is_within(about, &soa.owner),
                "the SOA of {:02x?} for {last:02x?}",
                soa.owner
            );
            zones.push(soa.owner.clone());
        }
        for record in authority().filter(|record| record.rtype != SOA) {
            let proof = [RRSIG, NSEC, NSEC3].contains(&record.rtype);
            assert!(
                proof && self.dnssec_ok,
                "type {} in authority",
                record.rtype
            );
            assert!(
                zones
                    .iter()
                    .any(|zone| wire::is_within(&record.owner, zone)),
                "a proof of {:02x?}, which is in none of {zones:02x?}",
                record.owner
            );
        }
    }

    /// Where the last alias of the reply leads.
    fn target(&self) -> Option<Vec<u8>> {
        let records = wire::records(self.reply)?;
        let mut aliases = records
            .iter()
            .filter(|it| it.section == 0 && it.rtype == CNAME);
        let (target, _) = wire::name(self.reply, aliases.next_back()?.rdata.start)?;
        Some(target)
    }

    /// The zones of which there are signatures on the chain, by what the upstream said: of its records, of DNAMEs
    /// above it, or of the proofs that there are none.
    fn signers(&self, chain: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut zones = Vec::new();
        for said in self.heard {
            let target = self.target();
            let names = || chain.iter().chain(&target);
            for record in &wire::torn_records(said) {
                if record.rtype != RRSIG || record.section > 1 {
                    continue;
                }
                let covered = wire::number(said, record.rdata.start).unwrap_or_default();
                let denies = record.section == 1 && [NSEC, NSEC3].contains(&covered);
                let on_chain = record.section == 0
                    && (chain.contains(&record.owner)
                        || covered == DNAME
                            && names().any(|name| wire::is_within(name, &record.owner)));
                let Some((zone, _)) = wire::name(said, record.rdata.start + 18) else {
                    continue;
                };
                let holds = on_chain && wire::is_within(&record.owner, &zone)
                    || denies && names().any(|name| wire::is_within(name, &zone));
                zones.extend(holds.then_some(zone));
            }
        }
        zones
    }
}

/// The reply as hickory-proto reads it, what dnsgate takes for bytes as bytes. None where such bytes are none at all,
/// which hickory-proto has no words for.
fn decoded(reply: &[u8], records: &[Record]) -> Option<Message> {
    let mut plain = reply.to_vec();
    for record in records.iter().filter(|it| !READ.contains(&it.rtype)) {
        plain[record.type_at..record.type_at + 2].copy_from_slice(&PRIVATE_USE);
        if record.rdata.is_empty() {
            return None;
        }
    }
    let message = Message::from_vec(&plain);
    assert!(
        message.is_ok(),
        "hickory-proto cannot read {reply:02x?}: {:?}",
        message.err()
    );
    message.ok()
}

fn check_message(message: &Message, ways: &[Way<'_>]) {
    assert_eq!(message.message_type, MessageType::Response);
    let code = message.response_code;
    assert!(CODES.contains(&code), "{code}");
    for record in &message.answers {
        match &record.data {
            RData::A(address) => check_address(address.0.into(), ways),
            RData::AAAA(address) => check_address(address.0.into(), ways),
            _ => {}
        }
    }
}

fn check_address(address: IpAddr, ways: &[Way<'_>]) {
    let passes = |way: &Way<'_>| {
        let mut held = way.held.iter();
        held.all(|forwarding| address::passes(address, &forwarding.answers))
    };
    assert!(ways.iter().any(passes), "{address} has passed");
}
