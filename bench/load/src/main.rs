//! Load for DNS servers on this machine, and nothing beyond it: loopback addresses only, and an end
//! in sight for every run.
//!
//! - `load udp` asks over UDP: as fast as the answers come (closed loop: throughput), or, with
//!   `--rate`, so many a second whatever the answers do (open loop: latency).
//! - `load tcp` asks over TCP: a connection a query, or one that is kept.
//! - `load echo` is the server that does nothing: the physical limit of the socket path.
//! - `load upstream` is the server that others forward to, near or far away.
//!
//! Who asks prints one line of JSON at the end; the servers print nothing.

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
