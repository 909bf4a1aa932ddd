//! The command line: verbs, their arguments, and what they print.
//!
//! Each verb has the module that it is named after; `http` and `input` are shared by several. This one turns
//! arguments into a call and its result into an exit code: 0 for success, 1 for failure, 2 for wrong arguments
//! and for a log without any question. `diff`, `audit` and `verify` exit as diff(1) does: 0 for equal or proved, 1 for
//! different or not proved, 2 for trouble.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::run;
use dnsgate_config::{Admin, HostName, ListenArg, Report};

mod audit;
mod check;
mod diff;
mod explain;
mod healthcheck;
mod http;
mod import;
mod input;
mod join;
mod learn;
mod logs;
mod reload;
mod test;
mod verify;

/// An egress-allowlisting DNS forwarder: Google APIs by the restricted VIP, an allowlist, and
/// nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "dnsgate",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer queries until told to stop (SIGTERM or SIGINT).
    ///
    /// Without --config it serves *.googleapis.com by the restricted VIP and denies every other
    /// name; it needs no file and no upstream for that.
    Serve(ServeArgs),
    /// Check a configuration, every file that it names, and its tests; print every error, or a
    /// summary.
    Check(check::CheckArgs),
    /// Run the policy tests of configurations; exit code 1 if one fails.
    Test(test::TestArgs),
    /// Show which queries two configurations treat differently.
    ///
    /// Exit code 0 if there are none, 1 if there are some, 2 if the configurations cannot be compared.
    Diff(diff::DiffArgs),
    /// Show what dnsgate would do with a query, and why.
    Explain(explain::ExplainArgs),
    /// Show what a configuration allows and nobody uses, and write the configuration without it.
    ///
    /// Exit code 0 if there is no finding of the level of --fail-on, 1 if there is one, 2 if the configuration cannot
    /// be audited.
    Audit(audit::AuditArgs),
    /// Print rules that would allow the names that a dnsgate in mode observe has recorded, or that the query logs of
    /// other servers hold.
    Learn(learn::LearnArgs),
    /// Show who was denied what behind Cloud DNS, by its query log and dnsgate's.
    ///
    /// Exit code 0 if the client of every denial was found, 1 if not, 2 if there is nothing to join.
    Join(join::JoinArgs),
    /// Turn zones, policies and lists of other programs into a configuration that allows no more than they do.
    Import(import::ImportArgs),
    /// Make the running dnsgate read its configuration again, and print what changed. If the
    /// configuration is not valid, print every error and change nothing.
    Reload(reload::ReloadArgs),
    /// Ask a running dnsgate whether it is ready; for containers that have no shell.
    Healthcheck {
        /// An admin address (127.0.0.1:9153, localhost:9153 or an http:// URL), whose page must answer 200, or a
        /// listener (127.0.0.1:53, udp://127.0.0.1:53), which must answer a query.
        #[arg(default_value = "http://127.0.0.1:9153/readyz")]
        target: healthcheck::HealthTarget,
    },
    /// Prove, from where a workload runs, that egress is limited: names resolve to the VIP, the VIP can
    /// be reached, and nothing else can.
    ///
    /// Exit code 0 if no check failed, 1 if one failed, 2 if the checks could not be run. A check is skipped only if
    /// the configuration makes it meaningless. verify connects to the addresses that it checks, so run it only where
    /// that is allowed.
    Verify(verify::VerifyArgs),
    /// Print the JSON Schema of the configuration file, for editors that check and complete it.
    Schema,
    /// Print a manual page, for man.
    #[command(after_help = "Example: dnsgate man serve | man -l -")]
    Man {
        /// The verb to print it for. Default: dnsgate as a whole.
        verb: Option<String>,
    },
    /// Print shell completions.
    Completions {
        /// The shell to print them for.
        shell: clap_complete::Shell,
    },
}

/// What `serve` is told on the command line; each overrides the configuration's own value.
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// The configuration file; - for standard input. Default: the built-in configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead: 127.0.0.1:5353 (UDP and TCP), udp://…, tcp://…; may be repeated.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<ListenArg>,
    /// Serve /metrics, /livez and /readyz here instead; off for nowhere.
    #[arg(long, value_name = "ADDR")]
    admin: Option<Admin>,
    /// A name by which the admin pages may be asked for, beside those of the configuration; may be
    /// repeated. Addresses and localhost need none.
    #[arg(long, value_name = "NAME")]
    admin_host: Vec<HostName>,
    /// Reload only when told to (SIGHUP, dnsgate reload), not when the configuration or a file that
    /// it names has changed.
    #[arg(long)]
    no_watch: bool,
    /// Keep the page /usage in this directory over restarts, in the file usage.json. Without it a restart
    /// begins anew.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Runs the verb that the arguments name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are "errors" that go to standard output with exit code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match args.verb {
        Verb::Serve(args) => run::serve(run::Options {
            config: args.config,
            listen: args.listen.into_iter().flatten().collect(),
            admin: args.admin,
            admin_hosts: args.admin_host,
            no_watch: args.no_watch,
            state_dir: args.state_dir,
        }),
        Verb::Check(args) => return end(check::run(args), 1),
        Verb::Test(args) => test::run(&args),
        Verb::Diff(args) => return end(diff::run(&args), 2),
        Verb::Explain(args) => return end(explain::run(&args), 1),
        Verb::Audit(args) => return end(audit::run(&args), 2),
        Verb::Learn(args) => return end(learn::run(args), 1),
        Verb::Join(args) => return end(join::run(&args), 2),
        Verb::Import(args) => return end(import::run(args), 2),
        Verb::Reload(args) => reload::run(args),
        Verb::Healthcheck { target } => healthcheck::run(&target),
        Verb::Verify(args) => return end(verify::run(&args), 2),
        Verb::Schema => io::stdout()
            .write_all(dnsgate_config::schema().as_bytes())
            .map_err(Into::into),
        Verb::Man { verb } => manual(verb.as_deref()),
        Verb::Completions { shell } => completions(shell),
    };
    end(done.map(|()| ExitCode::SUCCESS), 1)
}

/// The exit code, and the error where there is one; `trouble` is its code.
fn end(done: anyhow::Result<ExitCode>, trouble: u8) -> ExitCode {
    done.unwrap_or_else(|error| {
        // Standard error may be closed; there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{}", told(&error));
        ExitCode::from(trouble)
    })
}

/// Prints the completions. By way of memory, because clap panics where it cannot write.
fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "dnsgate", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

/// Prints the manual page of a verb, which is named `dnsgate-VERB` as git's are, or of the program.
fn manual(verb: Option<&str>) -> anyhow::Result<()> {
    let mut program = Args::command();
    program.build();
    let command = match verb {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .with_context(|| format!("there is no verb {name}; `dnsgate help` lists them"))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .source(concat!("dnsgate ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)?;
    io::stdout().write_all(&page)?;
    Ok(())
}

/// A failure as standard error shows it. Faults of a configuration begin with their places, which
/// editors and CI systems find only at the start of a line.
fn told(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Report>() {
        Some(report) => report.to_string(),
        None => format!("dnsgate: {error:#}"),
    }
}
