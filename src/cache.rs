//! What upstreams said, for as long as it is true: a cache bounded in bytes.
//!
//! It keeps facts, not verdicts: whoever takes something out screens it under the policy in force
//! at that moment. Time is an argument.
//!
//! Not here: who may ask (`policy`), what of it may pass (`engine`), who is asked (`upstream`).
