//! Any text as a zone file.
//!
//! Held: no panic; a text that is refused has faults with places inside it, and not without end; in a zone that is
//! accepted every record set is found again by its own name, or hidden by a delegation or a DNAME above it.

use dnsgate_core::dns::Name;
use dnsgate_core::zone::{MAX_FAULTS, ParsedZone, ZoneFault, ZoneLookup, parse_zone};

/// What the one file holds that an input can include.
const INCLUDED: &str = "included 60 A 10.0.0.9\n$ORIGIN sub\n@ TXT text\n";

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(origin) = "example".parse::<Name>() else {
        return;
    };
    let mut include = |path: &str| match path {
        "included" => Ok(INCLUDED.to_owned()),
        "itself" => Ok(text.to_owned()),
        _ => Err("there is no such file".to_owned()),
    };
    match parse_zone(text, &origin, &mut include) {
        Ok(parsed) => check_zone(&parsed, &origin),
        Err(faults) => check_faults(&faults, text),
    }
}

fn check_zone(parsed: &ParsedZone, origin: &Name) {
    let zone = &parsed.zone;
    assert_eq!(zone.origin(), origin.as_ref());
    let mut count = 0;
    for (name, rrset) in zone.rrsets() {
        count += 1;
        assert!(
            name.as_ref().is_within(origin.as_ref()),
            "{name} is not in the zone"
        );
        let found = match zone.lookup(name.as_ref(), rrset.rtype()) {
            ZoneLookup::Found(found) | ZoneLookup::Alias(found) => found == rrset,
            ZoneLookup::Referral { .. } | ZoneLookup::Dname { .. } => true,
            ZoneLookup::Exists | ZoneLookup::NoData | ZoneLookup::NxDomain => false,
        };
        assert!(
            found,
            "{name} {} is in the zone and not found",
            rrset.rtype()
        );
    }
    assert_eq!(count, zone.rrset_count());
}

fn check_faults(faults: &[ZoneFault], text: &str) {
    assert!(!faults.is_empty(), "refused without a reason");
    assert!(faults.len() <= MAX_FAULTS + 1, "{} faults", faults.len());
    let lines = text.lines().count().max(1) + 1;
    for fault in faults {
        assert!(
            fault.line >= 1 && fault.column >= 1 && !fault.message.is_empty(),
            "{fault:?}"
        );
        let inside = fault.file.is_some() || fault.line as usize <= lines;
        assert!(inside, "{fault} in a text of {lines} lines");
    }
}
