//! The layers of ARCHITECTURE.md, held: who may import whom, what the core must not name, how long a file may be.
//!
//! The core (`dns`, `policy`, `zone`, `cache`, `engine`) decides and does no input or output, so that the same code serves UDP,
//! TCP, `explain`, the tests and the fuzzers. A compiler does not see that a module of a crate reaches for a socket or
//! for a neighbour; this test does, from the source as text.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

#[path = "layering/source.rs"]
mod source;

/// What each module may import of ours, itself aside. A prefix: `engine` allows `engine::Outcome`, not the reverse.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("dns", &[]),
    ("policy", &["dns"]),
    ("zone", &["dns"]),
    ("cache", &["dns"]),
    ("engine", &["dns", "policy", "zone", "cache"]),
    ("config", &["dns", "policy", "zone", "cache"]),
    ("telemetry", &["dns", "engine", "config"]),
    (
        "upstream",
        &["dns", "policy::Permit", "policy::UpstreamId", "config"],
    ),
    ("rehearsal", &["dns", "policy", "zone", "engine", "config"]),
    (
        "reload",
        &[
            "dns",
            "policy",
            "zone",
            "engine",
            "config",
            "rehearsal",
            "telemetry",
        ],
    ),
    ("server", &["dns", "engine", "telemetry", "reload"]),
    ("verify", &["dns", "policy", "config"]),
    ("app", &["*"]),
    ("cli", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// Paths, or ends of paths, that only some modules may name: (path, why, who may).
const RESERVED: &[(&str, &str, &[&str])] = &[
    (
        "tokio",
        "the core and its builder do not wait",
        &[
            "telemetry",
            "reload",
            "server",
            "upstream",
            "verify",
            "app",
            "cli",
            "main",
        ],
    ),
    ("axum", "HTTP is telemetry's", &["telemetry"]),
    (
        "prometheus",
        "metrics are telemetry's",
        &["telemetry", "verify::export"],
    ),
    (
        "UdpSocket",
        "sockets are the shell's",
        &[
            "server",
            "telemetry",
            "upstream::exchange",
            "verify",
            "app",
            "cli",
        ],
    ),
    (
        "TcpStream",
        "sockets are the shell's",
        &[
            "server",
            "telemetry",
            "upstream::exchange",
            "verify",
            "app",
            "cli",
        ],
    ),
    (
        "TcpListener",
        "sockets are the shell's",
        &["server", "telemetry", "upstream::exchange", "app", "cli"],
    ),
    (
        "socket2",
        "sockets are the shell's",
        &["server", "telemetry", "upstream::exchange", "app", "cli"],
    ),
    (
        "rustls",
        "TLS is the way to a server",
        &["upstream::exchange", "verify::tls"],
    ),
    ("h2", "the same", &["upstream::exchange"]),
    ("hyper", "the same", &["verify::https"]),
    ("libc", "the kernel is the server's", &["server"]),
    (
        "std::fs",
        "files are read by the configuration and the verbs",
        &["config", "reload", "telemetry::log::output", "app", "cli"],
    ),
    (
        "env::args",
        "arguments are read at the edge",
        &["cli", "main"],
    ),
    (
        "env::args_os",
        "arguments are read at the edge",
        &["cli", "main"],
    ),
    (
        "env::var",
        "dnsgate is configured by its file, not by the environment",
        &[],
    ),
    (
        "env::var_os",
        "dnsgate is configured by its file, not by the environment; faults on demand are",
        &["app::faults"],
    ),
    (
        "std::process",
        "processes end at the edge",
        &["app", "cli", "main"],
    ),
    (
        "std::thread",
        "threads are the shell's",
        &["telemetry", "reload", "server", "app", "cli"],
    ),
    (
        "Instant::now",
        "time is an argument",
        &["telemetry", "reload", "server", "upstream", "app", "cli"],
    ),
    (
        "SystemTime::now",
        "time is an argument",
        &["telemetry", "reload", "server", "app", "cli"],
    ),
    (
        "hickory_proto",
        "its types stop at the record set, the zone, the streams, and where replies are read back",
        &[
            "dns::rrset",
            "zone",
            "server::stream",
            "telemetry::log::rdata",
            "rehearsal::answer",
            "rehearsal::explain::dig",
            "verify::answer",
        ],
    ),
    (
        "hickory_server",
        "its types stop at the streams",
        &["server::stream"],
    ),
];

/// The one file in which a keyword may stand.
const UNSAFE_MODULE: &str = "server::udp::batch";

const MOST_PRODUCTION_LINES: usize = 500;

/// One thing that is where it must not be.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    module: String,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.module, self.line, self.what)
    }
}

/// Is `module` (`server::udp`) the one that `of` names, or inside it?
fn within(module: &str, of: &str) -> bool {
    of == "*"
        || module
            .strip_prefix(of)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn violations(module: &str, text: &str) -> Vec<Violation> {
    let source = Source::read(text);
    let violation = |line, what| Violation {
        module: module.to_owned(),
        line,
        what,
    };
    let mut found = Vec::new();
    for path in source::paths(&source.production) {
        let faults = import_fault(module, &path.segments)
            .into_iter()
            .chain(reserved_faults(module, &path.segments));
        found.extend(faults.map(|what| violation(path.line, what)));
    }
    if module != UNSAFE_MODULE {
        let unsafes = source.tokens.iter().filter(|token| token.text == "unsafe");
        found.extend(
            unsafes.map(|token| violation(token.line, format!("`unsafe` outside {UNSAFE_MODULE}"))),
        );
    }
    let lines = source.production_lines;
    if lines > MOST_PRODUCTION_LINES {
        found.push(violation(
            1,
            format!("{lines} lines without its tests, more than {MOST_PRODUCTION_LINES}"),
        ));
    }
    found
}

fn import_fault(module: &str, segments: &[String]) -> Option<String> {
    let target = resolve(module, segments)?;
    let layer = module.split("::").next()?;
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == layer) else {
        return Some(format!(
            "module `{layer}` is in no layer: give it one in tests/layering.rs"
        ));
    };
    let permitted = within(&target, layer) || allowed.iter().any(|prefix| within(&target, prefix));
    (!permitted).then(|| format!("`{}`: {layer} may import {allowed:?}", segments.join("::")))
}

/// The path from the crate's root that a path means, when it is one of ours that leaves its module or names the crate.
fn resolve(module: &str, segments: &[String]) -> Option<String> {
    let first = segments.first()?;
    if first == "crate" || (module == "main" && first == "dnsgate") {
        return Some(segments[1..].join("::"));
    }
    let ups = segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    if ups == 0 {
        return None;
    }
    let own: Vec<&str> = module.split("::").collect();
    let kept = own.len().checked_sub(ups)?;
    Some(
        [
            &own[..kept],
            &segments[ups..]
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        ]
        .concat()
        .join("::"),
    )
}

fn reserved_faults(module: &str, segments: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, why, who) in RESERVED {
        let words: Vec<&str> = path.split("::").collect();
        let named = segments.windows(words.len()).any(|window| window == words);
        if named && !who.iter().any(|prefix| within(module, prefix)) {
            faults.push(format!("`{}`: {why}", segments.join("::")));
        }
    }
    faults
}

/// `src/server/udp.rs` is module `server::udp`.
fn module_of(file: &Path, root: &Path) -> String {
    let relative = file.strip_prefix(root).unwrap_or(file).with_extension("");
    let parts: Vec<_> = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("::")
}

fn rust_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn the_source_keeps_its_layers() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = Vec::new();
    for file in rust_files(&root)? {
        modules.push((module_of(&file, &root), fs::read_to_string(&file)?));
    }
    let mut tests_only = Vec::new();
    for (module, text) in &modules {
        let declared = Source::read(text).test_modules;
        let parent = if module == "lib" || module == "main" {
            String::new()
        } else {
            format!("{module}::")
        };
        tests_only.extend(declared.into_iter().map(|name| format!("{parent}{name}")));
    }
    modules.retain(|(module, _)| !tests_only.iter().any(|tests| within(module, tests)));
    assert!(
        modules.len() > 5,
        "few files found: is {} the source?",
        root.display()
    );
    let found: Vec<String> = modules
        .iter()
        .flat_map(|(module, text)| violations(module, text))
        .map(|v| v.to_string())
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    Ok(())
}

/// Made-up sources: (module, source, the lines on which it breaks a rule).
const CASES: &[(&str, &str, &[usize])] = &[
    ("dns", "use crate::dns::Name;\nuse std::net::IpAddr;", &[]),
    ("dns::name", "use crate::policy::Policy;", &[1]),
    (
        "policy",
        "use crate::dns::Name;\nuse crate::zone::Zone;",
        &[2],
    ),
    (
        "zone::file",
        "use super::build::ZoneBuilder;\nuse super::super::dns::Name;",
        &[],
    ),
    ("zone::file", "use super::super::engine::Outcome;", &[1]),
    (
        "cache",
        "use crate::dns::Facts;\nuse crate::policy::Permit;",
        &[2],
    ),
    ("cache::entry", "fn f() { let now = Instant::now(); }", &[1]),
    (
        "engine",
        "use crate::{dns::Name, config::{Config, Limits}};",
        &[1, 1],
    ),
    (
        "engine",
        "fn f() {\n    let limits = crate::config::limits();\n}",
        &[2],
    ),
    (
        "engine",
        "fn f() { log!(\"{}\", crate::server::name()); }",
        &[1],
    ),
    ("config", "use crate::zone::Zone;\nuse std::fs;", &[]),
    ("config", "use crate::engine::Snapshot;", &[1]),
    ("telemetry", "use crate::server::Server;", &[1]),
    ("server", "use crate::policy::Policy;", &[1]),
    (
        "cli",
        "use crate::server::Server;\nuse std::net::TcpStream;",
        &[],
    ),
    ("main", "use dnsgate::cli;", &[]),
    ("newcomer", "use crate::dns::Name;", &[1]),
    ("dns", "use crate::Name;", &[1]),
    ("zone", "use std::fs;", &[1]),
    ("zone", "use std::{fmt, fs::File};", &[1]),
    ("zone", "use std::net::{IpAddr, UdpSocket as Socket};", &[1]),
    (
        "policy",
        "fn f() { let now = std::time::Instant::now(); }",
        &[1],
    ),
    ("policy", "fn f() { let now = SystemTime::now(); }", &[1]),
    (
        "policy",
        "fn f(now: SystemTime) -> Instant { now.now() }",
        &[],
    ),
    (
        "config",
        "async fn f() { tokio::time::sleep(d).await }",
        &[1],
    ),
    ("engine", "#[tokio::test]\nfn f() {}", &[1]),
    ("server::udp", "use prometheus::Registry;", &[1]),
    ("engine", "use hickory_proto::rr::Name;", &[1]),
    ("zone::file", "use hickory_proto::rr::Name;", &[]),
    ("server::streams", "use hickory_proto::rr::Name;", &[1]),
    ("server::udp", "fn f() { unsafe { g() } }", &[1]),
    ("server::udp::batch", "fn f() { unsafe { g() } }", &[]),
    (
        "dns",
        "#[cfg(test)]\nmod tests { fn f() { unsafe { g() } } }",
        &[2],
    ),
    // Words that are not code, and code that does not ship.
    (
        "dns",
        "//! See [`crate::engine`].\n/* crate::engine /* tokio::x */ unsafe */",
        &[],
    ),
    (
        "dns",
        "const S: &str = \"crate::engine unsafe \\\" tokio::x\";",
        &[],
    ),
    (
        "dns",
        "const S: &str = r#\"\" crate::engine \"#;\nuse crate::zone::Zone;",
        &[2],
    ),
    (
        "dns",
        "fn f<'a>(c: &'a char) -> bool { *c == '\"' || *c == '\\'' }\nuse crate::zone::Zone;",
        &[2],
    ),
    (
        "dns",
        "#[cfg(test)]\nmod tests {\n    use crate::engine::x;\n}\nuse crate::engine::y;",
        &[5],
    ),
    (
        "dns",
        "#[cfg(test)]\nmod tests;\nuse crate::engine::y;",
        &[3],
    ),
    (
        "dns",
        "#[cfg(test)]\nuse crate::engine::x;\n#[cfg(not(test))]\nuse crate::engine::y;",
        &[4],
    ),
];

#[test]
fn each_rule_can_fail() {
    for (module, text, want) in CASES {
        let got: Vec<usize> = violations(module, text)
            .iter()
            .map(|violation| violation.line)
            .collect();
        assert_eq!(&got, want, "{module}: {text}");
    }
}

#[test]
fn only_production_lines_count() {
    let code = "fn f() {}\n";
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        code.repeat(MOST_PRODUCTION_LINES)
    );
    assert_eq!(
        violations(
            "dns",
            &format!("{}{tests}", code.repeat(MOST_PRODUCTION_LINES))
        ),
        []
    );
    assert_eq!(
        violations("dns", &code.repeat(MOST_PRODUCTION_LINES + 1)).len(),
        1
    );
}

#[test]
fn every_layer_is_known_once() {
    let names: Vec<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    for (at, name) in names.iter().enumerate() {
        assert!(!names[..at].contains(name), "{name} has two rows");
    }
    for allowed in MAY_IMPORT.iter().flat_map(|(_, allowed)| *allowed) {
        let layer = allowed.split("::").next().unwrap_or_default();
        assert!(
            *allowed == "*" || names.contains(&layer),
            "{allowed} is no layer"
        );
    }
}
