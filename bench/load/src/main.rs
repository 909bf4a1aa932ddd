//! Load for DNS servers on this machine only: every address is a loopback address, and every run has
//! a time limit.
//!
//! - `load udp` asks over UDP: as fast as the answers come (closed loop: throughput), or, with
//!   `--rate`, at a fixed rate that does not depend on the answers (open loop: latency).
//! - `load tcp` asks over TCP: one connection per query, or one for all queries.
//! - `load echo` is the server that does nothing: it shows the limit of the socket path.
//! - `load upstream` is the upstream of forwarders, near or far away.
//!
//! `load udp` and `load tcp` print one line of JSON at the end; the servers print nothing.

mod args;
mod batch;
mod echo;
mod histogram;
mod questions;
mod report;
mod tcp;
mod udp;
mod upstream;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use args::{Args, Verb};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let args = Args::parse(env::args().skip(1))?;
    let report = match args.verb {
        Verb::Echo => return echo::serve(&args),
        Verb::Upstream => return upstream::serve(&args),
        Verb::Udp => udp::run(&args)?,
        Verb::Tcp => tcp::run(&args)?,
    };
    writeln!(io::stdout(), "{report}")?;
    Ok(())
}
