//! The `dnsgate` program: its arguments name a verb, and the verb's end is the exit code.
//! Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dnsgate::cli::run(std::env::args_os())
}
