//! The configuration: from YAML text to values that the rest of the program can trust.
//!
//! ```text
//!   text ─▶ yaml ─▶ tree with places ─▶ read, file ─▶ the file's shape ─▶ build ─▶ Config
//!                                    rules · list · forward · upstreams · zones · google · builtin
//! ```
//!
//! Every value becomes a type when it is read, and every default and bound stands in one place with
//! its reason ([`limits`], `startup`, `cache`, `google`). What is wrong is collected over all stages
//! and files, and told at once as a [`Report`]; a configuration that is not wholly valid is none.
//!
//! Not here: when a configuration is loaded and how it takes the place of another (`reload`), and
//! the time, which only [`Config::warnings`] asks for.

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

mod build;
mod builtin;
mod cache;
mod case;
mod conflict;
mod contents;
mod error;
mod file;
mod forward;
mod given;
mod google;
mod groups;
mod host;
mod key_table;
pub mod limits;
mod list;
mod listen;
mod log;
mod parts;
mod pem;
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

pub use case::{Case, Expect, ReplyCode, UnknownCode, Wanted};
pub use contents::{Change, Changes, Contents};
pub use error::{MAX_NOTICES, Notice, Report, Severity};
pub use file::schema;
pub use forward::default_types;
pub use google::{Served, Vip};
pub use host::{HostName, HostNameError};
pub use limits::Limits;
pub use listen::{Listen, ListenArg, ListenError};
pub use log::{Log, LogFormat, LogOutput, LogOutputError, LogQueries};
pub use startup::MAX_WORKERS;
pub use suffix::PublicSuffix;
pub use text::{ReadFile, STDIN, stdin_is_read};
pub use unquoted::Unquoted;
pub use upstream::{ServerAddr, ServerError, Strategy, Upstream};
pub use value::{Admin, AdminError, Interval, IntervalError};

/// The configuration that is in force without a file: `config/default.yaml`.
pub const DEFAULT: &str = include_str!("../../../config/default.yaml");
/// What the default configuration is called in messages.
pub const DEFAULT_NAME: &str = "config/default.yaml";

/// What takes effect at a start only: sockets, threads and what they share; and the log, of which
/// some can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// Where queries are taken; at least one.
    pub listen: Vec<Listen>,
    /// Where the admin pages are served; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// The names by which the admin pages may be asked for, beside addresses and `localhost`.
    pub admin_hosts: Vec<HostName>,
    /// Threads for each UDP address, and for all TCP addresses; `None` for one a core.
    pub workers: Option<NonZeroUsize>,
    /// How what upstreams said is kept.
    pub cache: CacheSettings,
    /// How much of everything there may be.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
}

impl Startup {
    /// The first key in which `new` differs and that a running dnsgate cannot change.
    #[must_use]
    pub fn first_difference(&self, new: &Self) -> Option<&'static str> {
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
        same.into_iter()
            .find_map(|(key, same)| (!same).then_some(key))
    }
}

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a reload cannot change.
    pub startup: Startup,
    /// Who may ask what.
    pub policy: Policy,
    /// The data that questions are answered from; the policy names them by their places here.
    pub zones: Vec<Zone>,
    /// Who may be asked; the policy names them by their places here, too.
    pub upstreams: Vec<Upstream>,
    /// What the file holds, in one line that begins with its name.
    pub summary: String,
    /// Its groups, rules, zones and upstreams by name, to be compared with another's.
    pub contents: Contents,
    /// The files that it was read from: the configuration, the zone files and
    /// what they include, lists of names, certificates; and the file of tests beside it, even if
    /// there is none yet.
    pub files: Vec<ReadFile>,
    /// Names of the Google preset and where each is to lead; empty when the preset is off.
    pub served: Vec<Served>,
    /// Its own tests, to be run before it is put in force.
    pub cases: Vec<Case>,
    /// Warnings that do not depend on the time.
    notes: Vec<Notice>,
    /// Rules that end.
    expiries: Vec<warn::Expiry>,
}

impl Config {
    /// What was perhaps not meant, as of `now`: rules that have ended or are about to, and all that
    /// can be seen without a clock.
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

/// Reads a configuration file and everything that it names; relative paths start at its directory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Config, Report> {
    build::load(path, &[])
}

/// The same for a server that listens there instead of where the file says, if that is anywhere: no
/// upstream may be one of these.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_for(path: &Path, listen: &[Listen]) -> Result<Config, Report> {
    build::load(path, listen)
}

/// The configuration in the file, or the built-in one; `-` is standard input.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read(file: Option<&Path>) -> Result<Config, Report> {
    read_for(file, &[])
}

/// The same for a server that listens there instead of where the file says, if that is anywhere.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read_for(file: Option<&Path>, listen: &[Listen]) -> Result<Config, Report> {
    file.map_or_else(|| Ok(default_config()), |path| load_for(path, listen))
}

/// Reads a configuration from its text. `name` stands in messages, relative paths start at `dir`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, name: &str, dir: &Path) -> Result<Config, Report> {
    build::parse(text, name, dir)
}

/// The configuration that is in force without a file.
#[must_use]
pub fn default_config() -> Config {
    #[expect(
        clippy::expect_used,
        reason = "the text is part of the program, and a test parses it; without it there is nothing to serve"
    )]
    parse(DEFAULT, DEFAULT_NAME, Path::new("")).expect("the embedded configuration is valid")
}
