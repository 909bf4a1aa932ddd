//! Reports conflicts between rules and groups with the names and places of the file.

use super::{
    error::{Faults, Place},
    groups::Groups,
    parts::Parts,
};
use dnsgate_core::policy::Conflict;

/// Reports a conflict at its place in the file.
pub(super) fn report(conflict: &Conflict, parts: &Parts, groups: &Groups, faults: &mut Faults<'_>) {
    match conflict {
        Conflict::TiedRules {
            first,
            second,
            pattern,
        } => {
            let (Some(first), Some(second)) = (parts.source(*first), parts.source(*second)) else {
                return;
            };
            // A rule that is not in the file has no place, so the error points at the other one.
            let (here, other) = if second.place == Place::default() {
                (first, second)
            } else {
                (second, first)
            };
            let (spot, elsewhere) = (here.spot_of(pattern), other.spot_of(pattern));
            let elsewhere = match (elsewhere.list, elsewhere.place) {
                (_, place) if place == Place::default() => String::new(),
                (None, place) => format!(" (line {})", place.line),
                (Some(list), place) => format!(" ({}:{})", list.path, place.line),
            };
            let message = format!(
                "{} and {}{elsewhere} are both about `{pattern}` for the same clients and types, and neither takes precedence",
                here.what, other.what
            );
            let help = "give them different groups or types, or remove one; the order in the file does not matter".to_owned();
            match spot.list {
                None => faults.push_help(spot.place, message, help),
                Some(list) => faults.push_in(list.file(), spot.place, message, help),
            }
        }
        Conflict::SameCidr {
            cidr,
            first,
            second,
        } => {
            let (one, two) = (groups.place(*first, *cidr), groups.place(*second, *cidr));
            let (one, two, first, second) = if one < two {
                (one, two, first, second)
            } else {
                (two, one, second, first)
            };
            faults.push_help(
                two,
                format!(
                    "client groups `{}` (line {}) and `{}` both have {cidr}",
                    groups.name(*first),
                    one.line,
                    groups.name(*second)
                ),
                "a client is in one group: keep the range in one of them; a longer prefix takes precedence over a shorter one".to_owned(),
            );
        }
        other => faults.push(Place::default(), other.to_string()),
    }
}
