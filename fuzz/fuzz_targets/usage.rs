//! Any bytes as the state file of usage.

#![no_main]

#[path = "../targets/usage.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
