//! The outcome of a query: exactly one [`Outcome`] per query.
//!
//! Counters and log lines derive from it in one place, so that their sums agree. Every query has
//! one [`Reason`], and the reason determines the [`Ending`].

use crate::{
    dns::{Rcode, RecordType},
    policy::{EntryId, GroupId, RuleId, UpstreamId},
};

use super::incomplete::FilterCheck;

/// The outcome of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reason for the outcome.
    pub reason: Reason,
    /// The client's group; `None` for an unknown client or a packet rejected earlier.
    pub group: Option<GroupId>,
    /// The rule that decided, or that would have decided without the reason; `None` if there is
    /// none.
    pub rule: Option<RuleId>,
    /// The question type; `None` without a well-formed question.
    pub qtype: Option<RecordType>,
    /// The response code; `None` without a response.
    pub rcode: Option<Rcode>,
    /// The upstream of the answer, fresh or cached; the last one of several.
    pub upstream: Option<UpstreamId>,
    /// The check that the upstream's answer failed.
    pub check: Option<FilterCheck>,
    /// Whether the response is truncated, so that the client retries over TCP.
    pub truncated: bool,
    /// The length of the question's name in bytes of wire form; 0 without a well-formed question.
    pub name_len: u8,
    /// The entries of the policy that the query used.
    pub used: UsedEntries,
}

/// The maximum number of aliases' entries in an outcome. Chains across more rules are very rare; the
/// last ones are not noted.
pub const MAX_NOTED: usize = 4;

/// The entries of the policy that a query used. An entry that only would have applied, to another
/// group or type or before it expired, is not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedEntries {
    /// The entry that decided the question, with its rule.
    pub question: Option<(RuleId, EntryId)>,
    /// The entries that decided the targets of the answer's aliases, each once, with their rules.
    pub aliases: [Option<(RuleId, EntryId)>; MAX_NOTED],
    /// Whether an alias in an upstream's response led to a name that the client may not query.
    pub outside: bool,
}

impl UsedEntries {
    /// Notes the entry of an alias's target.
    pub(super) fn note(&mut self, used: Option<(RuleId, EntryId)>) {
        for place in &mut self.aliases {
            if *place == used {
                return;
            }
            if place.is_none() {
                *place = used;
                return;
            }
        }
    }
}

impl Outcome {
    /// An outcome without a response, group, rule or question; a base for the others.
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
            name_len: 0,
            used: UsedEntries {
                question: None,
                aliases: [None; MAX_NOTED],
                outside: false,
            },
        }
    }

    /// The ending of the reason.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.reason.ending()
    }
}

/// The class of an outcome: the label `verdict` of metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Answered from a zone or a rule's records, including negative answers.
    Answered,
    /// Answered with an upstream's response, fresh or cached.
    Forwarded,
    /// Denied by policy.
    Denied,
    /// Rejected before the policy: malformed, not supported, or over the client's rate.
    Rejected,
    /// dnsgate failed to answer.
    Failed,
}

impl Ending {
    /// Every variant, in the order of their discriminants (`as usize`).
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

/// Defines the reasons with their labels and endings.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal => $ending:ident),+ $(,)?) => {
        /// The reason for the outcome of a query: a closed set, the label `reason` of metrics and
        /// logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name),+
        }

        impl Reason {
            /// Every variant, in the order of their discriminants (`as usize`).
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// The ending of the reason.
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
    /// A question of type ANY at a forwarded name, answered as RFC 8482 specifies.
    Any = "any" => Answered,
    /// Answered by an upstream.
    Upstream = "upstream" => Forwarded,
    /// Answered from the cache.
    Cache = "cache" => Forwarded,
    /// Answered from an expired cache entry because no upstream answers.
    Stale = "stale" => Forwarded,
    /// Answered by an upstream or from the cache although the policy would deny it: the policy is
    /// in observe mode.
    Observed = "observed" => Forwarded,
    /// Denied by a rule.
    Blocked = "blocked" => Denied,
    /// Denied because no rule allows the name.
    NoRule = "no_rule" => Denied,
    /// Denied because the rule that allows the name is for other groups.
    OtherGroup = "other_group" => Denied,
    /// Denied because the rule that allows the name is for other types.
    OtherType = "other_type" => Denied,
    /// Denied because the rule that allowed the name has expired.
    Expired = "expired" => Denied,
    /// Denied because the name cannot exist in the public DNS; search lists create such names.
    Search = "search" => Denied,
    /// Denied because the client is in no group.
    UnknownClient = "unknown_client" => Denied,
    /// Denied because the upstream's answer contains data that the rule does not allow.
    Filtered = "filtered" => Denied,
    /// Denied because the rule's budget for the domain is used up.
    OverBudget = "over_budget" => Denied,
    /// Shorter than a header; dropped.
    Short = "short" => Rejected,
    /// A response instead of a query; dropped.
    NotAQuery = "not_a_query" => Rejected,
    /// An opcode other than QUERY.
    Opcode = "opcode" => Rejected,
    /// A malformed query.
    Format = "format" => Rejected,
    /// An EDNS version other than 0.
    EdnsVersion = "edns_version" => Rejected,
    /// A class other than IN.
    Class = "class" => Rejected,
    /// A type without data, such as a zone transfer.
    MetaType = "meta_type" => Rejected,
    /// A query without recursion desired (RD=0) at a forwarded name; answering it would reveal the
    /// contents of the cache.
    NoRecursion = "no_recursion" => Rejected,
    /// A loop probe of a dnsgate that came back from an upstream.
    LoopProbe = "loop_probe" => Rejected,
    /// Over the client's rate: dropped, or redirected to TCP.
    RateLimited = "rate_limited" => Rejected,
    /// No upstream answered in time.
    Timeout = "timeout" => Failed,
    /// No upstream was reachable.
    Unreachable = "unreachable" => Failed,
    /// The upstream answered with an error.
    UpstreamError = "upstream_error" => Failed,
    /// The upstream's answer was malformed.
    UpstreamMalformed = "upstream_malformed" => Failed,
    /// Failed immediately: every server of the upstream is down, and enough other questions already
    /// test whether one is back.
    UpstreamDown = "upstream_down" => Failed,
    /// Failed immediately: questions to the upstream loop back to dnsgate.
    UpstreamLooping = "upstream_looping" => Failed,
    /// There was no room to ask an upstream or to wait for it.
    Shed = "shed" => Failed,
    /// A CNAME chain in local data is too long or has a loop.
    ChainTooLong = "chain_too_long" => Failed,
    /// A CNAME chain that includes an upstream's answer is too long or has a loop.
    UpstreamChain = "upstream_chain" => Failed,
    /// The response does not fit even without records: the question exceeds the client's limit.
    NoRoom = "no_room" => Failed,
    /// An internal fault, caught by the worker.
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
