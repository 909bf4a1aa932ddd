//! ZoneLookup and sense of a zone, written once more from the words of the RFCs: names in a map and
//! scans over all of it, no tree and no walk. Random small zones must look the same to both.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "z.test";
const TYPES: [RecordType; 6] = [
    RecordType::A,
    RecordType::TXT,
    RecordType::CNAME,
    RecordType::NS,
    RecordType::DNAME,
    RecordType::DS,
];

/// The types at each name that owns records.
type Naive = BTreeMap<Name, BTreeSet<RecordType>>;

fn has(zone: &Naive, name: NameRef<'_>, rtype: RecordType) -> bool {
    zone.iter()
        .any(|(owner, types)| owner.as_ref() == name && types.contains(&rtype))
}

/// RFC 4592 section 2.2.2: a name exists when it or a name below it owns records.
fn exists(zone: &Naive, name: NameRef<'_>) -> bool {
    zone.keys().any(|owner| owner.as_ref().is_within(name))
}

/// The name and all above it down to the origin, the origin first.
fn path(name: &Name) -> Vec<Name> {
    let origin = super::name(ORIGIN);
    let mut path: Vec<_> = std::iter::successors(Some(name.as_ref()), |name| name.parent())
        .filter(|name| name.is_within(origin.as_ref()))
        .map(NameRef::to_name)
        .collect();
    path.reverse();
    path
}

fn is_apex(name: &Name) -> bool {
    *name == super::name(ORIGIN)
}

fn at_name(zone: &Naive, name: NameRef<'_>, qtype: RecordType) -> String {
    let any = zone
        .iter()
        .any(|(owner, types)| owner.as_ref() == name && !types.is_empty());
    if has(zone, name, qtype) {
        format!("found {qtype} of {name}")
    } else if has(zone, name, RecordType::CNAME) {
        format!("alias of {name}")
    } else if qtype == RecordType::ANY && any {
        "exists".to_owned()
    } else {
        "nodata".to_owned()
    }
}

/// RFC 1034 section 4.3.2, as RFC 4592 section 3.3.1 and RFC 6672 section 3.2 word it.
fn naive_lookup(zone: &Naive, qname: &Name, qtype: RecordType) -> String {
    let path = path(qname);
    // 3.b "If a match would take us out of the authoritative data, we have a referral."
    let cut = path
        .iter()
        .find(|name| !is_apex(name) && has(zone, name.as_ref(), RecordType::NS));
    if let Some(cut) = cut
        && !(cut == qname && qtype == RecordType::DS)
    {
        return format!("referral of {cut}");
    }
    // 3.c "check to see whether the last label matched has a DNAME record."
    let mut above = path.iter().filter(|name| *name != qname);
    if let Some(dname) = above
        .clone()
        .find(|name| has(zone, name.as_ref(), RecordType::DNAME))
    {
        return format!("dname of {dname}");
    }
    // 3.a "If the whole of QNAME is matched, we have found the node."
    if exists(zone, qname.as_ref()) {
        return at_name(zone, qname.as_ref(), qtype);
    }
    // 3.c "if the '*' label does exist": below the closest encloser, and nowhere else.
    let encloser = above
        .rfind(|name| exists(zone, name.as_ref()))
        .expect("the apex exists");
    let star = encloser.child(b"*").expect("short names");
    if exists(zone, star.as_ref()) {
        at_name(zone, star.as_ref(), qtype)
    } else {
        "nxdomain".to_owned()
    }
}

/// Whether the zone makes sense.
fn naive_sense(zone: &Naive) -> bool {
    zone.iter().all(|(owner, types)| {
        let cname = types.contains(&RecordType::CNAME) && types.len() > 1;
        let dname = types.contains(&RecordType::DNAME);
        let below = dname
            && zone
                .keys()
                .any(|own| own != owner && own.as_ref().is_within(owner.as_ref()));
        let cut = types.contains(&RecordType::NS) && !is_apex(owner);
        let star = owner.as_ref().labels().next() == Some(b"*") && (dname || cut);
        !(cname || below || star || dname && cut)
    })
}

/// The zone as it is built, every record with its owner's name in its data so that an answer tells
/// where it came from.
fn build(naive: &Naive) -> Result<Zone, Vec<ZoneError>> {
    let mut builder = ZoneBuilder::new(name(ORIGIN));
    for (owner, types) in naive {
        for &rtype in types {
            let wire = owner.as_ref().wire();
            let rdata = match rtype {
                RecordType::A => vec![10, 0, 0, wire.len() as u8],
                RecordType::SOA => [b"\0\0", &[0; 20][..]].concat(),
                _ => wire.to_vec(),
            };
            builder
                .add(owner.as_ref(), 300, rtype, &rdata)
                .expect("well-formed");
        }
    }
    builder.finish()
}

/// Where each set of a zone stands.
type Owners = Vec<(*const Rrset, Name)>;

/// What the zone says, in the words of [`naive_lookup`].
fn said(zone: &Zone, owners: &Owners, qname: &Name, qtype: RecordType) -> String {
    let last = |labels: usize| {
        let up = std::iter::successors(Some(qname.as_ref()), |name| name.parent());
        up.into_iter()
            .find(|name| name.label_count() == labels)
            .expect("an ancestor")
    };
    let owner_of = |set: &Rrset| {
        let found = owners.iter().find(|(own, _)| std::ptr::eq(*own, set));
        &found.expect("a set of the zone").1
    };
    match zone.lookup(qname.as_ref(), qtype) {
        ZoneLookup::Found(set) => {
            assert_eq!(set.rtype(), qtype);
            format!("found {qtype} of {}", owner_of(set))
        }
        ZoneLookup::Alias(set) => format!("alias of {}", owner_of(set)),
        ZoneLookup::Dname {
            owner_labels,
            dname,
        } => {
            assert_eq!(last(owner_labels), owner_of(dname).as_ref());
            format!("dname of {}", owner_of(dname))
        }
        ZoneLookup::Exists => "exists".to_owned(),
        ZoneLookup::NoData => "nodata".to_owned(),
        ZoneLookup::NxDomain => "nxdomain".to_owned(),
        ZoneLookup::Referral { cut_labels, ns } => {
            assert_eq!(last(cut_labels), owner_of(ns).as_ref());
            format!("referral of {}", owner_of(ns))
        }
    }
}

/// Names of up to three labels below the origin.
fn owners() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 0..=3).prop_map(|labels| {
        let mut labels = labels;
        labels.push(ORIGIN);
        labels.join(".")
    })
}

/// Questions about such names, about one label more, and about a label that no zone has.
fn questions() -> Vec<Name> {
    const LABELS: [&[u8]; 4] = [b"a", b"b", b"*", b"c"];
    let mut names = vec![name(ORIGIN)];
    let mut last = names.clone();
    for labels in [&LABELS[..], &LABELS, &LABELS[..3], &LABELS[..1]] {
        let child = |name: &Name, label: &[u8]| name.child(label).expect("short names");
        last = labels
            .iter()
            .flat_map(|label| last.iter().map(move |name| child(name, label)))
            .collect();
        names.extend(last.iter().cloned());
    }
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn lookup_and_sense_equal_the_naive_ones(
        records in prop::collection::vec((owners(), prop::sample::select(TYPES.to_vec())), 0..14),
    ) {
        let mut naive = Naive::from([(name(ORIGIN), BTreeSet::from([RecordType::SOA]))]);
        for (owner, rtype) in records {
            let before = naive.clone();
            naive.entry(name(&owner)).or_default().insert(rtype);
            let sense = naive_sense(&naive);
            prop_assert_eq!(build(&naive).is_ok(), sense, "{} {} beside {:?}", owner, rtype, before);
            if !sense {
                naive = before;
            }
        }
        let zone = build(&naive).expect("sense");
        prop_assert_eq!(zone.rrset_count(), naive.values().map(BTreeSet::len).sum::<usize>());
        let owners = zone.rrsets().map(|(owner, set)| (std::ptr::from_ref(set), owner)).collect();
        let asked = TYPES.into_iter().chain([RecordType::ANY, RecordType::MX]);
        for qname in questions() {
            for qtype in asked.clone() {
                let (want, got) = (naive_lookup(&naive, &qname, qtype), said(&zone, &owners, &qname, qtype));
                prop_assert_eq!(got, want, "{} {} in {:?}", qname, qtype, naive);
            }
        }
    }
}
