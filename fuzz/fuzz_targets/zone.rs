//! Any text as a zone file.

#![no_main]

#[path = "../targets/zone.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
