//! The state file: the page `/usage`, kept in a directory over restarts.
//!
//! It is replaced whole, by a temporary file and a rename, so that a crash leaves the old or the new
//! one. A file that cannot be read is put aside and reported, and counting begins anew: usage is
//! evidence for a review, and its loss is no reason not to answer queries.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use crate::telemetry::{LogSeverity, Telemetry};
use dnsgate_whatif::usage::{MAX_PAGE, UsageError, UsagePage};

/// The name of the file in the directory.
const NAME: &str = "usage.json";
/// How often the file is written: what a crash may lose, against wear.
pub(crate) const PACE: Duration = Duration::from_secs(300);

/// Why a state file is not used.
#[derive(Debug, thiserror::Error)]
enum StateError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("it is larger than {MAX_PAGE} bytes")]
    Size,
    #[error("{0}")]
    Page(#[from] UsageError),
}

/// The state file of a directory.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            path: dir.join(NAME),
        }
    }

    /// Reads the file and lets the page count on from there. Reports a file that cannot be used.
    pub(crate) fn restore(&self, telemetry: &Telemetry) {
        let page = match self.read() {
            Ok(page) => page,
            Err(error) => {
                let aside = self.path.with_extension("json.unreadable");
                let kept = fs::rename(&self.path, &aside).is_ok();
                let message = "the state file of /usage cannot be used: counting begins anew";
                let fields = [
                    ("file", json!(self.path)),
                    ("error", json!(error.to_string())),
                    ("kept_as", json!(kept.then_some(aside))),
                ];
                telemetry.event(LogSeverity::Warning, message, &fields);
                None
            }
        };
        telemetry.restore_usage(page, self.path.display().to_string());
    }

    /// The page of the file; `None` if there is no file yet.
    fn read(&self) -> Result<Option<UsagePage>, StateError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(MAX_PAGE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_PAGE {
            return Err(StateError::Size);
        }
        Ok(Some(UsagePage::parse(&bytes)?))
    }

    /// Writes the page, and reports a failure. `failed` says whether the last time failed, so that a
    /// full disk is reported once.
    pub(crate) fn write(&self, telemetry: &Telemetry, failed: &mut bool) {
        let written = self.replace(telemetry);
        let (now_failed, before) = (written.is_err(), *failed);
        *failed = now_failed;
        let file = ("file", json!(self.path));
        match written {
            Err(error) if !before => {
                let message = "the state file of /usage cannot be written: a restart loses what was counted since the last time";
                let fields = [file, ("error", json!(error.to_string()))];
                telemetry.event(LogSeverity::Warning, message, &fields);
            }
            Ok(()) if before => {
                let message = "the state file of /usage is written again";
                telemetry.event(LogSeverity::Notice, message, &[file]);
            }
            _ => {}
        }
    }

    fn replace(&self, telemetry: &Telemetry) -> io::Result<()> {
        let page = serde_json::to_vec(&telemetry.usage())?;
        let temporary = self.path.with_extension("json.new");
        let mut file = File::create(&temporary)?;
        file.write_all(&page)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)
    }
}
