//! Writes the results: a table for people, JSON for programs, metrics for Prometheus.

#[cfg(test)]
mod tests;

use std::{fmt::Write as _, time::Duration};

use prometheus::{Encoder as _, Gauge, GaugeVec, Opts, Registry, TextEncoder};
use serde_json::{Value, json};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// The observation is as expected.
    Pass,
    /// The observation is not as expected.
    Fail,
    /// The configuration leaves nothing to check.
    Skipped,
}

impl CheckResult {
    /// The word in the table and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skipped => "skipped",
        }
    }
}

/// The finding of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The result.
    pub outcome: CheckResult,
    /// The observation; for a skipped check, the reason.
    pub seen: String,
    /// What to do about a failure; `None` otherwise.
    pub remedy: Option<&'static str>,
}

impl Finding {
    pub(super) const fn pass(seen: String) -> Self {
        Self {
            outcome: CheckResult::Pass,
            seen,
            remedy: None,
        }
    }

    pub(super) const fn fail(seen: String, remedy: &'static str) -> Self {
        Self {
            outcome: CheckResult::Fail,
            seen,
            remedy: Some(remedy),
        }
    }

    pub(super) const fn skip(seen: String) -> Self {
        Self {
            outcome: CheckResult::Skipped,
            seen,
            remedy: None,
        }
    }
}

/// The results of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each check's name and finding, in the order of the plan.
    pub findings: Vec<(String, Finding)>,
    /// The bucket whose objects were listed.
    pub bucket: Option<String>,
    /// The names of the objects.
    pub file_names: Vec<String>,
    /// Whether a forbidden connection succeeded; `None` if none was tried.
    pub check_connection: Option<bool>,
    /// The ways out that were not tried, so that a pass says nothing about them.
    pub not_tried: Vec<&'static str>,
}

impl VerifyReport {
    /// Whether the proof succeeded: no check failed, and at least one passed. Skipped checks do not
    /// matter, because the configuration leaves them nothing to prove.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.count(CheckResult::Fail) == 0 && self.count(CheckResult::Pass) > 0
    }

    fn count(&self, outcome: CheckResult) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|(_, finding)| finding.outcome == outcome)
            .count()
    }

    /// One line with the numbers of results.
    #[must_use]
    pub fn summary(&self) -> String {
        let [pass, fail, skipped] =
            [CheckResult::Pass, CheckResult::Fail, CheckResult::Skipped].map(|it| self.count(it));
        let proved = if self.passed() {
            "egress is limited"
        } else {
            "NOT proved"
        };
        format!("{proved}: {pass} passed, {fail} failed, {skipped} skipped")
    }

    /// The table: a line for each check, the remedy below each failure, the numbers, and at the end the
    /// ways out that were not tried.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self
            .findings
            .iter()
            .map(|(check, _)| check.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (
            check,
            Finding {
                outcome,
                seen,
                remedy,
            },
        ) in &self.findings
        {
            let outcome = outcome.as_str();
            let _ = writeln!(text, "{outcome:7}  {check:width$}  {}", plain(seen));
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "         -> {remedy}");
            }
        }
        let _ = writeln!(text, "\n{}", self.summary());
        if !self.not_tried.is_empty() {
            let _ = writeln!(text, "not tried: {}", self.not_tried.join("; "));
        }
        text
    }

    /// The report as JSON: `passed`, `checks`, and the fields `bucket`, `file_names`,
    /// `check_connection` and `not_tried`; `took` is the duration of the whole run.
    #[must_use]
    pub fn json(&self, took: Duration) -> Value {
        let checks = self.findings.iter().map(|(check, finding)| {
            json!({
                "check": check,
                "result": finding.outcome.as_str().to_ascii_lowercase(),
                "seen": finding.seen,
                "remedy": finding.remedy,
            })
        });
        json!({
            "passed": self.passed(),
            "seconds": took.as_secs_f64(),
            "bucket": self.bucket,
            "file_names": self.file_names,
            "check_connection": self.check_connection,
            "not_tried": self.not_tried,
            "checks": checks.collect::<Vec<_>>(),
        })
    }
}

/// Text without control characters, because other people wrote some of it and it may reach a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The metrics page.
///
/// The label `check` has the names of the checks, which come from the configuration and the
/// arguments: a closed set, the same in every round.
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
