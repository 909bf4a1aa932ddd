//! Any text as a configuration file.
//!
//! Held: no panic; a text that is refused says why, and every error has its place; one that is accepted can be asked
//! about its warnings, listens somewhere, and its policy and zones make a snapshot.

use std::path::Path;
use std::time::SystemTime;

use dnsgate_config as config;
use dnsgate_core::engine::Snapshot;

/// Where relative paths of the input begin: nowhere, so that no file is read.
const DIRECTORY: &str = "/nonexistent";

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match config::parse(text, "fuzz.yaml", Path::new(DIRECTORY)) {
        Ok(config) => {
            assert!(!config.startup.listen.is_empty(), "listens nowhere");
            assert!(
                config.summary.starts_with("fuzz.yaml"),
                "{}",
                config.summary
            );
            for notice in config.warnings(SystemTime::UNIX_EPOCH) {
                assert!(!notice.to_string().is_empty());
            }
            let zones = config.zones.len();
            assert_eq!(
                Snapshot::new(1, config.policy, config.zones).zones().len(),
                zones
            );
        }
        Err(report) => {
            let report = report.to_string();
            assert!(
                report.contains("fuzz.yaml"),
                "refused without a place: {report}"
            );
        }
    }
}
