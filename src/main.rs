//! The `dnsgate` program: runs the subcommand that its arguments name and returns its exit code.
//! Everything else is in the library.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    // First, because an early signal must stop `serve` with exit code 0. The other subcommands end
    // by signals like any program.
    if env::args_os().nth(1).is_some_and(|verb| verb == "serve") {
        // `serve` tries again and reports an error.
        let _ = dnsgate::run::catch_signals();
    }
    dnsgate::cli::run(env::args_os())
}
