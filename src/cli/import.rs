//! `dnsgate import`: turns files of other programs into a configuration that allows no more than they did.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use ipnet::IpNet;

use dnsgate_config::ServerAddr;
use dnsgate_core::dns::Name;
use dnsgate_import::{ImportOptions, PlainNames, SourceFormat, import};

/// The arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dnsgate import auto export.yaml --out dnsgate.yaml
  dnsgate import rpz block.rpz --upstream public=tls://8.8.8.8#dns.google
  dnsgate import fqdn-policy policies.yaml --group app=web=10.1.0.0/24 --upstream public=udp://10.0.0.53

Exit code 0 if everything was kept, 1 if something was kept narrower or left out, 2 if a file cannot be read.")]
pub(super) struct ImportArgs {
    /// The format: gcloud-dns, gcloud-response-policy, rpz, unbound, corefile, route53-firewall, fqdn-policy, domains, or
    /// auto, which tells it by the content.
    format: SourceFormat,
    /// The files; - for standard input. Policy zones count in this order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the configuration to this file instead of standard output; it is replaced whole or not at all.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// An upstream that may be asked, as in public=tls://8.8.8.8#dns.google; may be repeated. The first one gets the names that
    /// the source lets through without saying where to. An upstream of the source with that name is replaced by it.
    #[arg(long, value_name = "NAME=SERVER", value_parser = upstream)]
    upstream: Vec<(String, ServerAddr)>,
    /// The addresses of workloads that policies select by label, as in app=web=10.1.0.0/24; may be repeated.
    #[arg(long, value_name = "LABEL=CIDR", value_parser = group)]
    group: Vec<(String, IpNet)>,
    /// Keep what the source allows by default as a rule over every name. Without this option only names that the source
    /// mentions are allowed.
    #[arg(long)]
    keep_default_allow: bool,
    /// Let files include files outside their own directory.
    #[arg(long)]
    allow_includes: bool,
    /// The name of the zone, where a zone file does not have it.
    #[arg(long, value_name = "NAME")]
    origin: Option<Name>,
    /// What the plain names of a list are: allowed or denied. Default: allowed, unless the list has lines of block lists.
    #[arg(long, value_name = "HOW", value_parser = plain_names)]
    names: Option<PlainNames>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Imports the files; the report goes to standard error.
pub(super) fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let options = ImportOptions {
        upstreams: args.upstream,
        groups: args.group,
        keep_default_allow: args.keep_default_allow,
        allow_includes: args.allow_includes,
        origin: args.origin,
        plain_names: args.names.unwrap_or_default(),
    };
    let imported = import(args.format, &args.files, &options)?;
    match &args.out {
        Some(path) => replace(path, &imported.text)?,
        None => io::stdout().write_all(imported.text.as_bytes())?,
    }
    let mut told = io::stderr().lock();
    if args.json {
        writeln!(told, "{}", imported.report.to_json())?;
    } else {
        writeln!(told, "{}", imported.report)?;
    }
    Ok(match imported.report.is_complete() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Writes a file beside the one that is meant, and takes its place: nobody ever sees half of it.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let Some(name) = path.file_name() else {
        bail!("{} is not the name of a file", path.display());
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside); // it may not be there
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn upstream(text: &str) -> Result<(String, ServerAddr), String> {
    let (name, server) = text
        .split_once('=')
        .ok_or("write NAME=SERVER, as in public=udp://8.8.8.8")?;
    let server = server
        .parse::<ServerAddr>()
        .map_err(|error| error.to_string())?;
    Ok((name.to_owned(), server))
}

pub(super) fn group(text: &str) -> Result<(String, IpNet), String> {
    let form = "write LABEL=CIDR, as in app=web=10.1.0.0/24";
    let (label, range) = text.rsplit_once('=').ok_or(form)?;
    let range = dnsgate_config::strict::net(range).ok_or(form)?;
    if range != range.trunc() {
        return Err(format!(
            "there are bits set behind the prefix; write {}",
            range.trunc()
        ));
    }
    Ok((label.to_owned(), range))
}

fn plain_names(text: &str) -> Result<PlainNames, String> {
    match text {
        "allowed" => Ok(PlainNames::Allowed),
        "denied" => Ok(PlainNames::Denied),
        _ => Err("write allowed or denied".to_owned()),
    }
}
