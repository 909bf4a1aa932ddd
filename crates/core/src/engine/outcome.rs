//! What happened to one query: exactly one [`Outcome`] each.
//!
//! Counters and log lines are derived from it, in one place, so that their sums agree: every query
//! has one [`Reason`], and the reason decides the [`Ending`].

use crate::{
    dns::{Rcode, RecordType},
    policy::{GroupId, RuleId, UpstreamId},
};

use super::filter::FilterCheck;

/// The end of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended as it did.
    pub reason: Reason,
    /// The client's group; `None` when the packet did not get that far, or for an unknown client.
    pub group: Option<GroupId>,
    /// The rule that decided, or would have but for the reason; `None` when there is none.
    pub rule: Option<RuleId>,
    /// The type asked for; `None` when there was no well-formed question.
    pub qtype: Option<RecordType>,
    /// The code of the reply; `None` when there was no reply.
    pub rcode: Option<Rcode>,
    /// The upstream that was asked, now or when the answer was cached; the last one of several.
    pub upstream: Option<UpstreamId>,
    /// The check that the upstream's answer failed.
    pub check: Option<FilterCheck>,
    /// Whether the reply asks the client to come back over TCP.
    pub truncated: bool,
}

impl Outcome {
    /// An outcome without a reply, a group, a rule or a question: the others are built on it.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            group: None,
            rule: None,
            qtype: None,
            rcode: None,
            upstream: None,
            check: None,
            truncated: false,
        }
    }

    /// What the reason amounts to.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.reason.ending()
    }
}

/// What became of a query, in a word: the label `verdict` of metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Answered from a zone or a rule's records, perhaps with "there is no such record".
    Answered,
    /// Answered with what an upstream said, now or a while ago.
    Forwarded,
    /// Denied by policy.
    Denied,
    /// Not put to any policy: malformed, of a kind not served, or over its client's rate.
    Rejected,
    /// dnsgate failed at it.
    Failed,
}

impl Ending {
    /// Every ending, in the order of their positions (`as usize`).
    pub const ALL: [Self; 5] = [
        Self::Answered,
        Self::Forwarded,
        Self::Denied,
        Self::Rejected,
        Self::Failed,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Forwarded => "forwarded",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// The reasons, their labels and their endings, written once.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal => $ending:ident),+ $(,)?) => {
        /// Why a query ended as it did: a closed set, the label `reason` of metrics and logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name),+
        }

        impl Reason {
            /// Every reason, in the order of their positions (`as usize`).
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// What the reason amounts to.
            #[must_use]
            pub const fn ending(self) -> Ending {
                match self { $(Self::$name => Ending::$ending),+ }
            }
        }
    };
}

reasons! {
    /// Answered from a zone.
    Zone = "zone" => Answered,
    /// Answered from the records of a rule.
    Rule = "rule" => Answered,
    /// Any type at all was asked for, at a name that is forwarded: answered by RFC 8482.
    Any = "any" => Answered,
    /// Answered by an upstream.
    Upstream = "upstream" => Forwarded,
    /// Answered from the cache.
    Cache = "cache" => Forwarded,
    /// Answered from the cache, past its time, as no upstream answers.
    Stale = "stale" => Forwarded,
    /// Answered by an upstream or from the cache, though the policy would deny it: it is observed
    /// only.
    Observed = "observed" => Forwarded,
    /// Denied by a rule.
    Blocked = "blocked" => Denied,
    /// Denied because no rule allows the name.
    NoRule = "no_rule" => Denied,
    /// Denied because the rule that allows the name is for other groups.
    OtherGroup = "other_group" => Denied,
    /// Denied because the rule that allows the name is for other types.
    OtherType = "other_type" => Denied,
    /// Denied because the rule that allowed the name has ended.
    Expired = "expired" => Denied,
    /// Denied because the name cannot exist in the public DNS: search lists make such names.
    Search = "search" => Denied,
    /// Denied because the client is in no group.
    UnknownClient = "unknown_client" => Denied,
    /// Denied because the upstream's answer holds what may not pass.
    Filtered = "filtered" => Denied,
    /// Shorter than a header; dropped.
    Short = "short" => Rejected,
    /// A response where a query should be; dropped.
    NotAQuery = "not_a_query" => Rejected,
    /// An opcode other than QUERY.
    Opcode = "opcode" => Rejected,
    /// Not well-formed.
    Format = "format" => Rejected,
    /// An EDNS version other than 0.
    EdnsVersion = "edns_version" => Rejected,
    /// A class other than IN.
    Class = "class" => Rejected,
    /// A type that is no data: zone transfers and the like.
    MetaType = "meta_type" => Rejected,
    /// Recursion was not desired (RD=0), at a name that is forwarded: nobody is told what the cache
    /// holds.
    NoRecursion = "no_recursion" => Rejected,
    /// The probe of a dnsgate for loops: it went to an upstream and came here.
    LoopProbe = "loop_probe" => Rejected,
    /// Over the rate of its client: dropped, or sent to TCP.
    RateLimited = "rate_limited" => Rejected,
    /// No upstream answered in time.
    Timeout = "timeout" => Failed,
    /// No upstream could be reached.
    Unreachable = "unreachable" => Failed,
    /// The upstream answered with an error.
    UpstreamError = "upstream_error" => Failed,
    /// The upstream's answer was not well-formed.
    UpstreamMalformed = "upstream_malformed" => Failed,
    /// Failed at once: every server of the upstream is down, and enough questions find out whether
    /// one is back.
    UpstreamDown = "upstream_down" => Failed,
    /// Failed at once: what the upstream is asked comes back to dnsgate.
    UpstreamLooping = "upstream_looping" => Failed,
    /// There was no room to ask an upstream or to wait for it.
    Shed = "shed" => Failed,
    /// A chain of aliases in our own data that is too long, or a circle.
    ChainTooLong = "chain_too_long" => Failed,
    /// The same, where an upstream's answer is a part of the chain.
    UpstreamChain = "upstream_chain" => Failed,
    /// The reply does not fit even without records: a question too large for the client's limit.
    NoRoom = "no_room" => Failed,
    /// A fault of ours, caught at the worker's edge.
    Panic = "panic" => Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_indexes() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
        }
        for (at, ending) in Ending::ALL.iter().enumerate() {
            assert_eq!(*ending as usize, at);
        }
    }
}
