//! A control group that limits the memory of a process: beyond it, the kernel ends the process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::running::skipped;

/// Where the kernel shows them: version 2, version 2 beside version 1, version 1.
const PLACES: [(&str, &str); 3] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/unified", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
];
/// How often to try to remove one: the kernel needs a moment after its last process.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// One group, removed when dropped.
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes one with a limit in bytes. Where this user may not, that is told; in CI it must be possible.
    pub(crate) fn make(limit: u64) -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("dnsgate-chaos-{}-{number}", process::id());
        let mut said = String::new();
        for (place, file) in PLACES {
            match Self::make_at(&Path::new(place).join(&name), file, limit) {
                Ok(group) => return Some(group),
                Err(error) => said += &format!(" {place}: {error};"),
            }
        }
        skipped(&format!("no control group:{said}"));
        None
    }

    fn make_at(path: &Path, file: &str, limit: u64) -> io::Result<Self> {
        fs::create_dir(path)?;
        let group = Self(path.to_owned());
        let limited = path.join(file);
        // Opened, not created: where the controller is missing, so is the file.
        let mut options = fs::OpenOptions::new();
        io::Write::write_all(
            &mut options.write(true).open(limited)?,
            limit.to_string().as_bytes(),
        )?;
        Ok(group)
    }

    /// Whether this process is in it.
    pub(crate) fn holds(&self, process: u32) -> bool {
        let members = fs::read_to_string(self.members()).expect("it is there");
        members.lines().any(|line| line == process.to_string())
    }

    /// The file that takes the id of a process that joins.
    pub(crate) fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => thread::sleep(PAUSE),
                _ => return,
            }
        }
        println!("{} is left behind", self.0.display());
    }
}
