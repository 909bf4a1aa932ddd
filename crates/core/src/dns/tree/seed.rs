//! The seed of the hashes in a tree.
//!
//! The labels of a tree come from third-party lists, zone files and the configuration. If an
//! attacker knows the seed, they can make 60 000 labels with the same hash, and loading them would
//! take hours. So each process draws a random seed. The whole seed enters the hash of the first
//! label: if an attacker can make one factor of the hash zero, the result no longer depends on the
//! other factor.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::OnceLock,
};

use foldhash::{SharedSeed, fast::FoldHasher};

/// The seed of this process, set on first use.
static OF_PROCESS: OnceLock<Seed> = OnceLock::new();

/// A hash seed.
#[derive(Debug)]
pub(super) struct Seed {
    /// The initial state of each hash.
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

    /// Derives a seed from two numbers.
    pub(super) const fn of(begin: u64, shared: u64) -> Self {
        Self {
            begin,
            shared: SharedSeed::from_u64(shared),
        }
    }

    /// The initial state of the hash of a first label.
    #[cfg(test)]
    pub(super) const fn begin(&self) -> u64 {
        self.begin
    }

    /// Hashes a label; `above` identifies its parent.
    #[inline]
    pub(super) fn hash(&self, above: u32, label: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.begin ^ u64::from(above), &self.shared);
        hasher.write(label);
        hasher.finish()
    }
}

/// Fixes the seed of this process, for reproducible measurements. A process that reads third-party
/// lists must not call it. Returns whether it took effect, which it does only before the first tree
/// exists.
pub fn fix_seed(seed: u64) -> bool {
    OF_PROCESS.set(Seed::of(seed, seed)).is_ok()
}
