//! The results for Prometheus: `dnsgate verify --watch` serves a page of its own, because that
//! process answers no queries.
//!
//! The label `check` has the names of the checks, which come from the configuration and the
//! arguments: a closed set, the same in every round.

use std::time::Duration;

use prometheus::{Encoder as _, Gauge, GaugeVec, Opts, Registry, TextEncoder};

use super::report::{CheckResult, VerifyReport};

/// The metrics page.
#[derive(Clone, Debug)]
pub struct Exporter {
    registry: Registry,
    check: GaugeVec,
    passed: Gauge,
    last: Gauge,
    took: Gauge,
}

impl Exporter {
    /// A page without results.
    ///
    /// # Errors
    /// If the metric families contradict each other; a test checks that they do not.
    pub fn new() -> prometheus::Result<Self> {
        let check = Opts::new(
            "dnsgate_verify_check",
            "1 if the check passed in the last round, 0 if it failed; a skipped one is absent.",
        );
        let this = Self {
            registry: Registry::new(),
            check: GaugeVec::new(check, &["check"])?,
            passed: Gauge::new(
                "dnsgate_verify_passed",
                "1 if all checks passed in the last round, else 0.",
            )?,
            last: Gauge::new(
                "dnsgate_verify_last_run_timestamp_seconds",
                "When the last round ended, in seconds since 1970.",
            )?,
            took: Gauge::new(
                "dnsgate_verify_duration_seconds",
                "How long the last round took.",
            )?,
        };
        this.registry.register(Box::new(this.check.clone()))?;
        this.registry.register(Box::new(this.passed.clone()))?;
        this.registry.register(Box::new(this.last.clone()))?;
        this.registry.register(Box::new(this.took.clone()))?;
        Ok(this)
    }

    /// Sets the results of a round; `at` is its end, as the time since 1970.
    pub fn set(&self, report: &VerifyReport, at: Duration, took: Duration) {
        // A check that the new configuration no longer has is removed here.
        self.check.reset();
        for (check, finding) in &report.findings {
            let value = match finding.outcome {
                CheckResult::Pass => 1.0,
                CheckResult::Fail => 0.0,
                CheckResult::Skipped => continue,
            };
            self.check.with_label_values(&[check]).set(value);
        }
        self.passed.set(f64::from(u8::from(report.passed())));
        self.last.set(at.as_secs_f64());
        self.took.set(took.as_secs_f64());
    }

    /// The page in the text format 0.0.4.
    ///
    /// # Errors
    /// If the `prometheus` crate cannot write a family.
    pub fn page(&self) -> prometheus::Result<Vec<u8>> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}
