//! How fast `dnsgate learn` reads a log, and how much memory it takes: `cargo run --release -p dnsgate-whatif --example
//! learn_speed -- LOG TIMES`. The log is read TIMES times, as if it were that much longer. docs/performance.md has the results.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and says what it measured"
)]

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, BufReader, Read as _},
    time::{Instant, SystemTime},
};

use dnsgate_whatif::learn::{
    AskedNames, ExistingPolicy, GroupBy, LogSelection, log_page, proposal,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().collect();
    let [_, path, times] = &args[..] else {
        return Err("give LOG and TIMES".into());
    };
    let (times, began): (u32, _) = (times.parse()?, Instant::now());
    let mut input: Box<dyn io::Read> = Box::new(io::empty());
    for _ in 0..times {
        input = Box::new(File::open(path)?.chain(input));
    }
    let mut asked = AskedNames::new(GroupBy::Nothing, None, 1);
    let log = BufReader::with_capacity(256 << 10, input);
    let summary = dnsgate_logs::read(log, |record| asked.add(record))?;
    let read = began.elapsed();
    let now = SystemTime::now();
    let selection = LogSelection {
        min_clients: 1,
        include: [].into(),
        now,
    };
    let (questions, others) = (summary.questions, summary.others);
    let page = log_page(asked, summary, &selection);
    let text = proposal(&page, path, "public", ExistingPolicy::new(None, now), 1);
    let lines = questions + others;
    let bytes = fs::metadata(path)?.len() * u64::from(times);
    println!(
        "{lines} lines, {} MiB in {:.1} s; with the {} lines of the proposal {:.1} s",
        bytes >> 20,
        read.as_secs_f64(),
        text.lines().count(),
        began.elapsed().as_secs_f64()
    );
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or("no VmHWM"));
    Ok(())
}
