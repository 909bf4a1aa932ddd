//! What the hashes of a tree depend on besides its labels.
//!
//! A list that others maintain, a zone file or a name in the configuration chooses the labels of a tree. With a
//! seed that is known, 60 000 labels can be made that all hash alike, and loading them would take hours. So each
//! process draws a seed of its own: all of it enters the hash of the first label, since a hash whose one
//! factor is known to be zero has the same result whatever the other is.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::OnceLock,
};

use foldhash::{SharedSeed, fast::FoldHasher};

/// The seed of this process, once something has asked for it.
static OF_PROCESS: OnceLock<Seed> = OnceLock::new();

/// A seed of hashes.
#[derive(Debug)]
pub(super) struct Seed {
    /// What each hash begins with.
    begin: u64,
    shared: SharedSeed,
}

impl Seed {
    /// The seed of this process.
    pub(super) fn of_process() -> &'static Self {
        OF_PROCESS.get_or_init(|| {
            let random = RandomState::new();
            Self::of(random.hash_one(0), random.hash_one(1))
        })
    }

    /// The seed that follows from two numbers.
    pub(super) const fn of(begin: u64, shared: u64) -> Self {
        Self {
            begin,
            shared: SharedSeed::from_u64(shared),
        }
    }

    /// What the hash of a first label begins with.
    #[cfg(test)]
    pub(super) const fn begin(&self) -> u64 {
        self.begin
    }

    /// The hash of a label below what `above` stands for.
    #[inline]
    pub(super) fn hash(&self, above: u32, label: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.begin ^ u64::from(above), &self.shared);
        hasher.write(label);
        hasher.finish()
    }
}

/// Fixes the seed of this process, for measurements that must repeat. A process that reads lists of others must
/// not call it. Tells whether it came in time: before the first tree was made.
pub fn fix_seed(seed: u64) -> bool {
    OF_PROCESS.set(Seed::of(seed, seed)).is_ok()
}
