//! Any packet, from any client, at any time, against a policy with something of everything.

#![no_main]

#[path = "../targets/packet.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
