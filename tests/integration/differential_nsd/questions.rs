//! Makes questions from zones: names and types that are in them, and those next to them. Every run makes the same questions.

use std::collections::BTreeSet;

use dnsgate_core::{
    dns::{NameBuf, NameRef, RecordType, Rrset},
    zone::Zone,
};

use super::wire::{Labels, Question, name_of};

/// Where the dice start. Another number is another test.
const SEED: u64 = 0x6e73_6420_7673_2e20;
/// Types that questions have besides those of the zones: unknown, of the next zone up, of signed zones, ANY.
const OTHER_TYPES: [u16; 8] = [
    RecordType::ANY.0,
    RecordType::DS.0,
    RecordType::SOA.0,
    RecordType::NS.0,
    RecordType::CNAME.0,
    RecordType::DNAME.0,
    RecordType::NSEC3PARAM.0,
    65_280,
];
/// Questions for each name that is near one of the zones, besides A: types drawn by the dice.
const NEARBY_TYPES: usize = 3;

/// Splitmix64: eight lines instead of a dependency; any generator whose bits look unrelated would do.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The questions that the zones give rise to.
pub(crate) fn of(zones: &[Zone]) -> Vec<Question> {
    let mut dice = Dice(SEED);
    let types = types(zones);
    let known = names(zones);
    let nearby: BTreeSet<Labels> = known
        .iter()
        .flat_map(|name| near(name, &mut dice))
        .filter(|name| !known.contains(name))
        .collect();
    let mut questions = Vec::new();
    for name in &known {
        for &qtype in &types {
            questions.extend(question(name, qtype, &mut dice));
        }
    }
    for name in &nearby {
        questions.extend(question(name, RecordType::A.0, &mut dice));
        for _ in 0..NEARBY_TYPES {
            let drawn = if dice.one_in(3) {
                dice.pick(&OTHER_TYPES)
            } else {
                dice.pick(&types)
            };
            questions.extend(question(name, drawn, &mut dice));
        }
    }
    questions
}

/// Every type of the zones, and the others.
fn types(zones: &[Zone]) -> Vec<u16> {
    let held = zones.iter().flat_map(Zone::rrsets);
    let types: BTreeSet<u16> = held
        .map(|(_, set)| set.rtype().0)
        .chain(OTHER_TYPES)
        .collect();
    types.into_iter().collect()
}

/// Every owner, every name above one (empty non-terminals, and what is above the zones), and every name that records
/// lead to.
fn names(zones: &[Zone]) -> BTreeSet<Labels> {
    let mut names = BTreeSet::new();
    for (owner, set) in zones.iter().flat_map(Zone::rrsets) {
        let mut labels = labels_of(owner.as_ref());
        while !labels.is_empty() {
            names.insert(labels.clone());
            labels.remove(0);
        }
        names.extend(targets(set));
    }
    names
}

fn labels_of(name: NameRef<'_>) -> Labels {
    name.labels().map(<[u8]>::to_vec).collect()
}

/// The names in the data of the types that lead somewhere.
fn targets(set: &Rrset) -> Vec<Labels> {
    let prefix = match set.rtype() {
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => 0,
        RecordType::MX => 2,
        RecordType::SRV => 6,
        _ => return Vec::new(),
    };
    let target = |rdata: &[u8]| {
        let (name, _) = NameBuf::read(rdata.get(prefix..)?).ok()?;
        Some(labels_of(name.as_ref()))
    };
    set.rdatas().filter_map(target).collect()
}

/// Siblings, children and grandchildren of a name; some of them are in the zone, too.
fn near(name: &Labels, dice: &mut Dice) -> Vec<Labels> {
    let below = |labels: &[&[u8]]| {
        let labels = labels.iter().map(|label| label.to_vec());
        labels.chain(name.iter().cloned()).collect::<Labels>()
    };
    let drawn = format!("n{:x}", dice.bits() % 0xfff);
    let mut found = vec![
        below(&[drawn.as_bytes()]),
        below(&[b"*"]),
        below(&[b"a", drawn.as_bytes()]),
        below(&[b"x.y"]),
        below(&[b"*", b"*"]),
        below(&[b"deeper", b"and", b"still", b"deeper"]),
    ];
    found.push(below(&[
        dice.pick::<&[u8]>(&[b"\0", b"www", b"\\", b"A", b"\xff", b"ns"])
    ]));
    // As long as a name can be, and a little shorter: below a DNAME it may grow too long.
    for spare in [0, 30, 100] {
        found.push(filled(name, spare));
    }
    if let Some((first, rest)) = name.split_first() {
        let sibling = |label: &[u8]| {
            let mut labels = vec![label.to_vec()];
            labels.extend_from_slice(rest);
            labels
        };
        found.push(sibling(b"*"));
        found.push(sibling(drawn.as_bytes()));
        found.push(sibling(&[first, &b"x"[..]].concat()));
        found.push(sibling(&first[1..]));
        // Instead of what is between the first label and the rest: an uncle.
        if rest.len() > 2 {
            found.push([&name[..1], &rest[1..]].concat());
        }
    }
    found
}

/// `name` below labels that fill it up to the longest name but for `spare` bytes.
fn filled(name: &Labels, spare: usize) -> Labels {
    let mut labels = name.clone();
    let used: usize = 1 + name.iter().map(|label| 1 + label.len()).sum::<usize>();
    let mut room = 255usize.saturating_sub(used + spare);
    while room > 1 {
        let mut len = 63.min(room - 1);
        // One byte that is left over would be too few for a label.
        if room - 1 - len == 1 {
            len -= 1;
        }
        labels.insert(0, vec![b'f'; len]);
        room -= 1 + len;
    }
    labels
}

/// The question in letters and by means that the dice choose; none where the name is too long.
fn question(name: &Labels, qtype: u16, dice: &mut Dice) -> Option<Question> {
    let mut labels = name.clone();
    if dice.one_in(2) {
        for byte in labels.iter_mut().flatten() {
            if dice.one_in(2) {
                byte.make_ascii_uppercase();
            }
        }
    }
    Some(Question {
        name: name_of(&labels)?,
        qtype,
        edns: dice.pick(&[
            None,
            Some((512, false)),
            Some((1232, false)),
            Some((1232, true)),
            Some((4096, true)),
        ]),
        recursion_desired: dice.one_in(2),
        over_tcp: dice.one_in(6),
    })
}
