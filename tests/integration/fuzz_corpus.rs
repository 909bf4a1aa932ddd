//! Replays the fuzzers' corpus without a fuzzer. Every committed input goes through the same check as under cargo-fuzz, and so
//! does everything near it: each beginning of the input, and the input with any one byte changed.

use std::error::Error;
use std::fs;
use std::path::Path;

#[path = "../../fuzz/targets/config.rs"]
mod config;
#[path = "../../fuzz/targets/import.rs"]
mod import;
#[path = "../../fuzz/targets/logs.rs"]
mod logs;
#[path = "../../fuzz/targets/packet.rs"]
mod packet;
mod seeds;
#[path = "../../fuzz/targets/upstream.rs"]
mod upstream;
#[path = "../../fuzz/targets/usage.rs"]
mod usage;
#[path = "../../fuzz/targets/zone.rs"]
mod zone;

/// What a byte is changed into, one after the other.
const CHANGES: &[fn(u8) -> u8] = &[
    |_| 0,
    |_| 0xff,
    |byte| byte ^ 1,
    |byte| byte ^ 0x80,
    |byte| byte.wrapping_add(1),
];

/// About as many bytes of each input are checked, over and over: a long one is changed here and there only.
const BYTES: usize = 1 << 19;

/// Runs the check over the corpus of a target, changing each input in as many places as there is time for.
fn replay(target: &str, least: usize, check: fn(&[u8])) -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&directory)? {
        let input = fs::read(entry?.path())?;
        count += 1;
        check(&input);
        let stride = (input.len() * input.len()).div_ceil(BYTES).max(1);
        for at in (0..input.len()).step_by(stride) {
            check(&input[..at]);
            let mut changed = input.clone();
            for change in CHANGES {
                changed[at] = change(input[at]);
                check(&changed);
            }
        }
    }
    assert!(count >= least, "{count} inputs in {}", directory.display());
    Ok(())
}

#[test]
fn packets_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("packet", 40, packet::check)
}

#[test]
fn upstream_answers_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("upstream", 20, upstream::check)
}

#[test]
fn zone_files_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("zone", 9, zone::check)
}

#[test]
fn usage_pages_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("usage", 10, usage::check)
}

#[test]
fn configurations_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("config", 10, config::check)
}

#[test]
fn files_to_import_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("import", 9, import::check)
}

#[test]
fn query_logs_of_the_corpus_pass_the_fuzz_check() -> Result<(), Box<dyn Error>> {
    replay("logs", 8, logs::check)
}
