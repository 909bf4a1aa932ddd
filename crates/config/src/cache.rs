//! The settings of the cache: their bounds with the reasons, and how the `cache` section is read.

use super::{
    error::Faults,
    file::{CacheSection, StaleOn},
    limits::{self, Bound, within},
    value::{Bytes, Seconds},
};
use dnsgate_core::cache::CacheSettings;

/// The settings that apply if the file says nothing.
pub(super) const DEFAULT: CacheSettings = CacheSettings {
    size: SIZE.default.0,
    min_ttl: MIN_TTL.default.0,
    max_ttl: MAX_TTL.default.0,
    serve_stale: SERVE_STALE.default.0,
    // Off: a name that was removed on purpose would keep its old answer.
    bridge_denials: false,
};

/// Memory for responses; 0 means no cache. The default holds some hundred thousand responses, more
/// than the names that an allowlist usually allows. Below the minimum the cache would hold too few
/// responses to be useful. No official reference.
pub(super) const SIZE: Bound<Bytes> = Bound {
    default: Bytes(64 << 20),
    least: Bytes(1 << 20),
    most: Bytes(64 << 30),
};

/// The shortest time that a response is cached. The default uses the upstream's TTL: RFC 1035 section
/// 3.2.1 says that a TTL of zero forbids caching. More than an hour would outlast most fail-overs.
pub(super) const MIN_TTL: Bound<Seconds> = Bound {
    default: Seconds(0),
    least: Seconds(0),
    most: Seconds(3_600),
};

/// The longest time that a response is cached. The default is an hour: a wrong or outdated response
/// is gone after that, and one query an hour costs nothing. RFC 8767 section 4 considers a week a
/// reasonable maximum.
pub(super) const MAX_TTL: Bound<Seconds> = Bound {
    default: Seconds(3_600),
    least: Seconds(1),
    most: Seconds(7 * 86_400),
};

/// How long expired responses may be served while no upstream answers; 0 means never. RFC 8767
/// section 5 suggests one to three days: an outage at a week-end is covered, but still noticed.
pub(super) const SERVE_STALE: Bound<Seconds> = Bound {
    default: Seconds(86_400),
    least: Seconds(0),
    most: Seconds(7 * 86_400),
};

/// The settings of a `cache` section.
pub(super) fn settings(section: &CacheSection, faults: &mut Faults<'_>) -> CacheSettings {
    let before = faults.count();
    let Seconds(min_ttl) = within("min_ttl", *section.min_ttl, MIN_TTL, faults);
    let Seconds(max_ttl) = within("max_ttl", *section.max_ttl, MAX_TTL, faults);
    // A bad value has been replaced by its default, so comparing it with the other one would mislead.
    let is_whole = section.span.has_known_keys
        && !(section.min_ttl.is_bad || section.max_ttl.is_bad)
        && faults.count() == before;
    if let Some(place) = section
        .min_ttl
        .place()
        .filter(|_| is_whole && min_ttl > max_ttl)
    {
        let longest = limits::seconds(max_ttl.into());
        let message = format!("`min_ttl` must not be above `max_ttl`, which is {longest}");
        faults.push(place, message);
    }
    let Seconds(serve_stale) = within("serve_stale", *section.serve_stale, SERVE_STALE, faults);
    let on = section.serve_stale_on;
    let bridge_denials = on.into_value() == Some(StaleOn::Denial);
    if let Some(place) = on.place().filter(|_| bridge_denials && serve_stale == 0) {
        faults.push_help(
            place,
            "`serve_stale_on: denial` has no effect, because `serve_stale` is 0s",
            "give `serve_stale` a time, or leave `serve_stale_on` out".to_owned(),
        );
    }
    CacheSettings {
        size: size(section, faults),
        min_ttl,
        max_ttl,
        serve_stale,
        bridge_denials,
    }
}

/// The size of the cache. Zero is below the minimum, but valid: it means no cache.
fn size(section: &CacheSection, faults: &mut Faults<'_>) -> usize {
    let Some(given) = *section.size else {
        return SIZE.default.0;
    };
    if given.value == Bytes(0) {
        return 0;
    }
    let size = SIZE.check(given.value).unwrap_or_else(|error| {
        let message = format!("`size` {error}");
        faults.push_help(given.place, message, "0 is for no cache".to_owned());
        SIZE.default
    });
    size.0
}
