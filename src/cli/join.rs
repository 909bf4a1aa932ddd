//! `dnsgate join`: who was denied what, behind Cloud DNS.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{bail, ensure};
use ipnet::IpNet;
use serde_json::json;

use super::logs;
use dnsgate_logs::join::{CLOUD_DNS_SOURCE, DenialJoin, JoinReport, JoinRow};
use dnsgate_whatif::plural;

/// The logs, and how near their lines must be.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dnsgate join --cloud-dns queries.json.gz --dnsgate dnsgate.log
  gcloud logging read 'resource.type=dns_query' --format=json | dnsgate join --cloud-dns - --dnsgate /var/log/dnsgate/")]
pub(super) struct JoinArgs {
    /// The query log of Cloud DNS, a file or a directory; - for standard input. May be repeated.
    #[arg(long, value_name = "LOG", required = true)]
    cloud_dns: Vec<PathBuf>,
    /// dnsgate's own log, a file or a directory; - for standard input. May be repeated.
    #[arg(long, value_name = "LOG", required = true)]
    dnsgate: Vec<PathBuf>,
    /// The most seconds between the lines of the same question.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    within: u64,
    /// The addresses from which Cloud DNS asks dnsgate; may be repeated. Default: 35.199.192.0/19. An outbound endpoint asks
    /// from the proxy-only subnet of its VPC.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    source: Vec<IpNet>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn network(text: &str) -> Result<IpNet, &'static str> {
    dnsgate_config::strict::net(text).ok_or("write a network such as 35.199.192.0/19")
}

/// Joins the logs. The exit code is 0 if the client of every denial was found, 1 if not, 2 if there is nothing to join.
pub(super) fn run(args: &JoinArgs) -> anyhow::Result<ExitCode> {
    let stdin = std::path::Path::new(dnsgate_config::STDIN);
    let inputs = args.cloud_dns.iter().chain(&args.dnsgate);
    ensure!(
        inputs.filter(|path| *path == stdin).count() < 2,
        "standard input can be one of the logs only"
    );
    let mut sources = args.source.clone();
    if sources.is_empty() {
        let (address, len) = CLOUD_DNS_SOURCE;
        sources.extend(IpNet::new(address.into(), len));
    }
    let mut join = DenialJoin::new(Duration::from_secs(args.within), sources.clone());
    let own = logs::read(&args.dnsgate, |record| join.dnsgate(record))?;
    let cloud = logs::read(&args.cloud_dns, |record| join.cloud_dns(record))?;
    let report = join.finish();
    if report.denials == 0 {
        let sources: Vec<_> = sources.iter().map(ToString::to_string).collect();
        bail!(
            "there is no denial to a client in {}; dnsgate's {own}",
            sources.join(", ")
        );
    }
    let text = if args.json {
        document(&report)
    } else {
        format!(
            "{}dnsgate's {own}\nCloud DNS's {cloud}\n",
            table(&report, args.within)
        )
    };
    io::stdout().write_all(text.as_bytes())?;
    let is_whole = report.matched == report.denials;
    Ok(ExitCode::from(u8::from(!is_whole)))
}

/// A row for each client, question and reason, and what could not be matched.
fn table(report: &JoinReport, within: u64) -> String {
    let mut rows =
        vec![["count", "client", "instance", "network", "question", "why"].map(str::to_owned)];
    rows.extend(report.rows.iter().map(cells));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let [_, client, instance, network, question, _] = [0, 1, 2, 3, 4, 5].map(width);
    let mut text = String::new();
    for [count, by, on, of, asked, why] in &rows {
        let _ = writeln!(
            text,
            "{count:>8}  {by:client$}  {on:instance$}  {of:network$}  {asked:question$}  {why}"
        );
    }
    let JoinReport {
        denials, matched, ..
    } = report;
    let hundredths = u128::from(*matched) * 10_000 / u128::from((*denials).max(1));
    let _ = writeln!(
        text,
        "\n{} to Cloud DNS; the client of {matched} was found ({}.{:02} %), within {}",
        plural(*denials, "denial", "denials"),
        hundredths / 100,
        hundredths % 100,
        plural(within, "second", "seconds"),
    );
    for (count, what) in [
        (
            report.left_out,
            "without a time, or without room in memory, were not matched",
        ),
        (
            report.others,
            "to other clients, which dnsgate's own log names",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{} {what}", plural(count, "denial", "denials"));
        }
    }
    if report.cached > 0 {
        let lines = plural(report.cached, "line", "lines");
        let _ = writeln!(
            text,
            "{lines} of Cloud DNS for these questions, with no denial at that time: it answered from its cache"
        );
    }
    if report.dropped > 0 {
        let lines = plural(report.dropped, "line", "lines");
        let _ = writeln!(text, "{lines} of Cloud DNS had no room in memory");
    }
    text
}

fn cells(row: &JoinRow) -> [String; 6] {
    let unknown = || "?".to_owned();
    let or_unknown = |text: &str| {
        if text.is_empty() {
            unknown()
        } else {
            text.to_owned()
        }
    };
    let client = row.client.as_ref();
    [
        row.count.to_string(),
        client.map_or_else(unknown, |client| client.address.to_string()),
        client.map_or_else(unknown, |client| or_unknown(&client.instance)),
        client.map_or_else(unknown, |client| or_unknown(&client.network)),
        format!("{} {}", row.name, row.rtype),
        row.why.clone(),
    ]
}

fn document(report: &JoinReport) -> String {
    let rows = report.rows.iter().map(|row| {
        let client = row.client.as_ref().map(|client| {
            json!({
                "address": client.address,
                "instance": client.instance,
                "network": client.network,
            })
        });
        json!({
            "client": client,
            "name": row.name.to_string(),
            "type": row.rtype.to_string(),
            "why": row.why,
            "denials": row.count,
            "first": row.times.0.to_string(),
            "last": row.times.1.to_string(),
        })
    });
    let document = json!({
        "denials": report.denials,
        "matched": report.matched,
        "otherClients": report.others,
        "leftOut": report.left_out,
        "cachedLines": report.cached,
        "droppedLines": report.dropped,
        "rows": rows.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}
