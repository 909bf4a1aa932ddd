//! Any bytes as an upstream's answer: read, cached, filtered, sent, and again under another policy.

#![no_main]

#[path = "../targets/upstream.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
