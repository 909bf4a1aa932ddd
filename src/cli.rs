//! The command line: verbs, their arguments, and what they print.
//!
//! Each verb's work is in the module that it is named after; this one turns arguments into a call
//! and the call's end into an exit code: 0 for yes, 1 for no or failed, 2 for arguments that make
//! no sense (clap's), and for a log without any question. `diff` keeps to diff(1): 0 for no difference, 1 for some,
//! 2 for trouble; so does `verify`, for proved and not proved.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::run;
use dnsgate_config::{Admin, HostName, ListenArg, Report};

mod check;
mod diff;
mod explain;
mod healthcheck;
mod http;
mod learn;
mod reload;
mod replay;
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
    /// Read a configuration and everything it names, and run its tests; print everything that is
    /// wrong, or what it holds.
    Check(check::Args),
    /// Run the policy tests of configurations: exit code 1 when one fails.
    Test(test::Args),
    /// Tell which questions two configurations do not treat alike.
    ///
    /// Exit code 0 when there is none, 1 when there are some, 2 for trouble.
    Diff(diff::Args),
    /// Tell what would become of a question, and why.
    Explain(explain::Args),
    /// Write the rules that would allow what a dnsgate in mode observe has let through.
    Learn(learn::Args),
    /// Have the running dnsgate read its configuration again; print what changed, or all that is
    /// wrong with it, in which case nothing changes.
    Reload(reload::Args),
    /// Ask a running dnsgate whether it is ready; for containers that have no shell.
    Healthcheck {
        /// An admin address (127.0.0.1:9153, localhost:9153 or an http:// URL), whose page must answer 200, or a
        /// listener (127.0.0.1:53, udp://127.0.0.1:53), which must answer a query.
        #[arg(default_value = "http://127.0.0.1:9153/readyz")]
        target: healthcheck::Target,
    },
    /// Prove, from a workload's place, that egress is limited: names lead to the VIP, it can be
    /// reached, and nothing else can.
    ///
    /// Exit code 0 if no check failed, 1 if one did, 2 for trouble. Skipped is what the configuration leaves nothing to
    /// prove of. It connects to the addresses that it is told of, so run it where that may happen.
    Verify(verify::Args),
    /// Print completions for a shell.
    Completions {
        /// The shell to print them for.
        shell: clap_complete::Shell,
    },
}

/// What `serve` is told on the command line; each overrides the configuration's own value.
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// The configuration, - for standard input; the built-in one if absent.
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
        }),
        Verb::Check(args) => return end(check::run(args), 1),
        Verb::Test(args) => test::run(&args),
        Verb::Diff(args) => return end(diff::run(&args), 2),
        Verb::Explain(args) => return end(explain::run(&args), 1),
        Verb::Learn(args) => learn::run(args),
        Verb::Reload(args) => reload::run(args),
        Verb::Healthcheck { target } => healthcheck::run(&target),
        Verb::Verify(args) => return end(verify::run(&args), 2),
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

/// A count and what is counted.
fn plural(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// A failure as standard error shows it. Faults of a configuration begin with their places, which
/// editors and CI systems find only at the start of a line.
fn told(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Report>() {
        Some(report) => report.to_string(),
        None => format!("dnsgate: {error:#}"),
    }
}
