//! The bounds of the cache's settings, each with its reason.

use super::{
    limits::Bound,
    value::{Bytes, Seconds},
};
use dnsgate_core::cache::CacheSettings;

/// What is in force where the file says nothing.
pub(super) const DEFAULT: CacheSettings = CacheSettings {
    size: SIZE.default.0,
    min_ttl: MIN_TTL.default.0,
    max_ttl: MAX_TTL.default.0,
    serve_stale: SERVE_STALE.default.0,
    // Off: a name that was taken away on purpose would live on.
    bridge_denials: false,
};

/// Memory for responses, or 0 for no cache. The default holds some hundred thousand answers, which is
/// more than the names that an allowlist lets through; less than the least would hold too few to be
/// of use. No official reference.
pub(super) const SIZE: Bound<Bytes> = Bound {
    default: Bytes(64 << 20),
    least: Bytes(1 << 20),
    most: Bytes(64 << 30),
};

/// The shortest time that a fact is kept. The default believes the upstream: RFC 1035 section 3.2.1
/// makes a TTL of zero a wish not to be kept. More than an hour would outlive most fail-overs.
pub(super) const MIN_TTL: Bound<Seconds> = Bound {
    default: Seconds(0),
    least: Seconds(0),
    most: Seconds(3_600),
};

/// The longest time that a fact is kept. An hour: what was wrong, or what a name no longer is, is
/// gone by then, and asking once an hour costs nothing. A week is what RFC 8767 section 4 thinks
/// reasonable at most.
pub(super) const MAX_TTL: Bound<Seconds> = Bound {
    default: Seconds(3_600),
    least: Seconds(1),
    most: Seconds(7 * 86_400),
};

/// How long responses outlive their time while no upstream answers; 0 for not at all. RFC 8767 section 5
/// suggests one to three days: long enough for a week-end to begin, short enough to be noticed.
pub(super) const SERVE_STALE: Bound<Seconds> = Bound {
    default: Seconds(86_400),
    least: Seconds(0),
    most: Seconds(7 * 86_400),
};
