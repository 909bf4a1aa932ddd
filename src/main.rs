//! The `dnsgate` program: its arguments name a verb, and the verb's end is the exit code.
//! Everything else is in the library.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    // Before anything else: a signal that comes now must not end a server. The other verbs end by
    // signals as every program does.
    if env::args_os().nth(1).is_some_and(|verb| verb == "serve") {
        // `serve` catches them again, and tells what keeps it from doing so.
        let _ = dnsgate::run::catch_signals();
    }
    dnsgate::cli::run(env::args_os())
}
