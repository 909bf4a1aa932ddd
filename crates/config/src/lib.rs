//! The configuration: turns YAML text into checked values for the rest of the program.
//!
//! ```text
//!   text ─▶ yaml ─▶ tree with places ─▶ read, file ─▶ the file's shape ─▶ build ─▶ Config
//!                                    rules · list · forward · upstreams · zones · google · builtin
//! ```
//!
//! Every value gets its type when it is read, and every default and bound is defined in one place
//! with its reason ([`limits`], `startup`, `cache`, `google`). Faults are collected over all stages
//! and files, and returned together as a [`Report`]; a partly valid configuration is not used.
//!
//! This crate does not decide when a configuration is loaded or how it replaces another one
//! (`reload`), and it reads no clock: [`Config::warnings`] takes the time as an argument.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

use std::{net::SocketAddr, num::NonZeroUsize, path::Path, time::SystemTime};

use dnsgate_core::{cache::CacheSettings, policy::Policy, zone::Zone};

mod budget;
mod build;
mod builtin;
mod cache;
mod case;
mod contents;
mod digest;
mod error;
mod file;
mod given;
mod google;
mod groups;
mod host;
mod key_table;
pub mod limits;
mod list;
mod listen;
mod log;
mod outline;
mod parts;
mod read;
mod rules;
mod startup;
pub mod strict;
mod suffix;
#[cfg(test)]
mod tests;
mod text;
mod unquoted;
mod upstream;
mod upstreams;
mod value;
mod vips;
mod warn;
mod yaml;
mod zones;

pub use budget::{SHIPPED_BUDGET, described as described_budget};
pub use case::{Case, Expect, ReplyCode, UnknownCode, Wanted};
pub use contents::{Change, Changes, Contents};
pub use digest::PolicyDigest;
pub use error::{MAX_NOTICES, Notice, Report, Severity};
pub use file::schema;
pub use google::{Served, Vip};
pub use host::{HostName, HostNameError};
pub use limits::Limits;
pub use list::listed_name;
pub use listen::{Listen, ListenArg, ListenError};
pub use log::{Log, LogFormat, LogOutput, LogOutputError, LogQueries};
pub use outline::{OutlineNode, OutlineValue, outline};
pub use rules::default_types;
pub use startup::MAX_WORKERS;
pub use suffix::{PublicSuffix, anybody_registers_below};
pub use text::{ReadFile, STDIN, stdin_is_read};
pub use unquoted::Unquoted;
pub use upstream::{ServerAddr, ServerError, Strategy, Upstream};
pub use value::{Admin, AdminError, Interval, IntervalError};

/// The configuration used without a file: `config/default.yaml`.
pub const DEFAULT: &str = include_str!("../../../config/default.yaml");
/// The name of the default configuration in messages.
pub const DEFAULT_NAME: &str = "config/default.yaml";

/// The settings that take effect only at a start: sockets, threads, the resources that they share,
/// and the log, of which a reload can change some keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The listening sockets; at least one.
    pub listen: Vec<Listen>,
    /// The address of the admin pages; `None` switches them off.
    pub admin: Option<SocketAddr>,
    /// The host names under which the admin pages may be requested, in addition to addresses and `localhost`.
    pub admin_hosts: Vec<HostName>,
    /// Threads for each UDP address, and for all TCP addresses together; `None` means one for each core.
    pub workers: Option<NonZeroUsize>,
    /// How upstream responses are cached.
    pub cache: CacheSettings,
    /// The limits of every resource.
    pub limits: Limits,
    /// The settings of the query log.
    pub log: Log,
}

impl Startup {
    /// The keys that differ in `new` and that a running dnsgate cannot change.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Vec<&'static str> {
        let Self {
            listen,
            admin,
            admin_hosts,
            workers,
            cache,
            limits,
            log,
        } = self;
        let Log {
            queries: _, // these can
            sample: _,
            format,
            output,
        } = log;
        let same = [
            ("listen", *listen == new.listen),
            ("admin", *admin == new.admin),
            ("admin_hosts", *admin_hosts == new.admin_hosts),
            ("workers", *workers == new.workers),
            ("cache", *cache == new.cache),
            ("limits", *limits == new.limits),
            ("log.format", *format == new.log.format),
            ("log.output", *output == new.log.output),
        ];
        let differ = same.into_iter().filter(|(_, same)| !same);
        differ.map(|(key, _)| key).collect()
    }
}

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings that a reload cannot change.
    pub startup: Startup,
    /// The rules: which client may ask for which name.
    pub policy: Policy,
    /// The zones with local data; the policy refers to them by index.
    pub zones: Vec<Zone>,
    /// The upstreams; the policy refers to them by index, too.
    pub upstreams: Vec<Upstream>,
    /// One line about the contents of the file; it begins with the file's name.
    pub summary: String,
    /// Its keys and values by name, for comparison with another configuration.
    pub contents: Contents,
    /// The digest of what it decides: of the policy, zones and upstreams.
    pub digest: PolicyDigest,
    /// The files that it was read from: the configuration, the zone files and the files that they
    /// include, lists of names, certificates; and the file of tests beside it, even if it does not exist
    /// yet.
    pub files: Vec<ReadFile>,
    /// Sample names of the Google preset with their destinations; empty if the preset is off.
    pub served: Vec<Served>,
    /// Its policy tests, which are run before it comes into force.
    pub cases: Vec<Case>,
    /// Warnings that do not depend on the time.
    notes: Vec<Notice>,
    /// Rules with an end date.
    expiries: Vec<warn::Expiry>,
}

impl Config {
    /// The warnings as of `now`: rules that have expired or expire soon, and all warnings that do not
    /// depend on the time.
    #[must_use]
    pub fn warnings(&self, now: SystemTime) -> Vec<Notice> {
        let ending = self
            .expiries
            .iter()
            .filter_map(|expiry| expiry.warning(now));
        let mut warnings: Vec<_> = self.notes.iter().cloned().chain(ending).collect();
        warnings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        warnings
    }
}

/// Reads a configuration file and every file that it names; relative paths start at its directory.
///
/// # Errors
/// Every fault found in it.
pub fn load(path: &Path) -> Result<Config, Report> {
    build::load(path, &[])
}

/// The same for a server that listens on `listen` instead of the addresses of the file, unless
/// `listen` is empty: no upstream may be one of these addresses.
///
/// # Errors
/// Every fault found in it.
pub fn load_for(path: &Path, listen: &[Listen]) -> Result<Config, Report> {
    build::load(path, listen)
}

/// The configuration in the file, or the built-in one without a file; `-` is standard input.
///
/// # Errors
/// Every fault found in the file.
pub fn read(file: Option<&Path>) -> Result<Config, Report> {
    read_for(file, &[])
}

/// The same for a server that listens on `listen` instead of the addresses of the file, unless
/// `listen` is empty.
///
/// # Errors
/// Every fault found in the file.
pub fn read_for(file: Option<&Path>, listen: &[Listen]) -> Result<Config, Report> {
    file.map_or_else(|| Ok(default_config()), |path| load_for(path, listen))
}

/// Parses the text of a configuration. Messages call it `name`; relative paths start at `dir`.
///
/// # Errors
/// Every fault found in it.
pub fn parse(text: &str, name: &str, dir: &Path) -> Result<Config, Report> {
    build::parse(text, name, dir)
}

/// The configuration used without a file.
#[must_use]
pub fn default_config() -> Config {
    #[expect(
        clippy::expect_used,
        reason = "the text is part of the program, and a test parses it; without it there is nothing to serve"
    )]
    parse(DEFAULT, DEFAULT_NAME, Path::new("")).expect("the embedded configuration is valid")
}
