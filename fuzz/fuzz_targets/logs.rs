//! Any bytes as a query log.

#![no_main]

#[path = "../targets/logs.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
