//! Runs the harmless commands of the documentation with the ports of a dnsgate that the test started. Of the others it checks
//! what can be checked without running them.

use std::{
    collections::BTreeSet, env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command,
};

use super::text::{ROOT, blocks, documents, files_of};
use crate::running::{PROGRAM, Running, installed};

const VERBS: &[&str] = &[
    "serve",
    "audit",
    "check",
    "diff",
    "explain",
    "learn",
    "join",
    "import",
    "reload",
    "test",
    "healthcheck",
    "verify",
    "schema",
    "man",
    "completions",
];
/// Options of other programs that the prose names on their own.
const FOREIGN: &[&str] = &["--read-only", "--cap-drop", "--build-arg"];

/// The commands of a block: comments gone, continued lines joined.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The words of a command as a shell reads them.
fn words(command: &str) -> Vec<String> {
    // With -n the shell reads and runs nothing: quotes and brackets must be closed.
    let dry = Command::new("sh")
        .args(["-n", "-c", command])
        .output()
        .expect("sh runs");
    assert!(dry.status.success(), "sh cannot read: {command}");
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().expect("one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Runs a command as a reader would, against this dnsgate instead of the one that they started.
fn run(dnsgate: &Running, command: &str) -> String {
    let command = command
        .replace("5353", &dnsgate.port.to_string())
        .replace("127.0.0.1:9153", &dnsgate.admin.to_string());
    let bin = Path::new(PROGRAM).parent().expect("a directory");
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &command])
        .env("PATH", path)
        .current_dir(ROOT)
        .output()
        .expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{command}: {said}{errors}"
    );
    said
}

/// Whether dnsgate takes these arguments. `--help` behind them makes it read them and do nothing.
fn accepts(arguments: &[String]) {
    let output = Command::new(PROGRAM).args(arguments).arg("--help").output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

#[test]
fn commands_work_as_written() {
    if !installed(&["dig", "curl", "promtool"]) {
        return;
    }
    let dnsgate = Running::start("");
    let mut seen = BTreeSet::new();
    for block in blocks("sh") {
        for command in commands(&block.text) {
            let place = &block.place;
            let words = words(&command);
            let first = words.first().map_or("", String::as_str);
            seen.insert(first.to_owned());
            match first {
                "dig" | "curl" | "promtool" => drop(run(&dnsgate, &command)),
                "dnsgate" => match words.get(1).map(String::as_str) {
                    Some("check" | "explain" | "healthcheck") => drop(run(&dnsgate, &command)),
                    _ => accepts(&words[1..]),
                },
                "cargo" => cargo(place, &words),
                "docker" | "gcloud" | "sudo" | "systemctl" | "terraform" => {}
                script => {
                    let file = fs::metadata(Path::new(ROOT).join(script));
                    let runs = file.is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
                    assert!(runs, "{place}: {script:?} is no program of the repository");
                }
            }
        }
    }
    for kind in ["cargo", "dig", "docker", "gcloud", "scripts/test"] {
        assert!(seen.contains(kind), "{kind} is shown nowhere");
    }
}

/// A command of cargo: what it would run exists.
fn cargo(place: &str, words: &[String]) {
    let after = |flag: &str| {
        let at = words.iter().position(|word| word == flag)?;
        words.get(at + 1)
    };
    if let Some(at) = words.iter().position(|word| word == "--")
        && words[1] == "run"
    {
        accepts(&words[at + 1..]);
    }
    for (flag, dir) in [("--test", "tests"), ("--bench", "benches")] {
        if let Some(name) = after(flag) {
            let files = [format!("{dir}/{name}.rs"), format!("{dir}/{name}/main.rs")];
            let exists = |file: &String| Path::new(ROOT).join(file).exists();
            assert!(
                files.iter().any(exists),
                "{place}: neither of {files:?} exists"
            );
        }
    }
}

#[test]
fn commands_print_what_is_shown() {
    if !installed(&["dig", "curl"]) {
        return;
    }
    let dnsgate = Running::start("");
    let mut shown = 0;
    for block in blocks("console") {
        for part in format!("\n{}", block.text).split("\n$ ").skip(1) {
            let (command, output) = part.split_once('\n').unwrap_or((part, ""));
            let real = run(&dnsgate, command);
            assert_eq!(
                plain(&real),
                plain(output),
                "{}: {command}\n{real}",
                block.place
            );
            shown += 1;
        }
    }
    assert!(shown >= 3, "{shown}");
}

/// Without what differs each time, and however it is spaced.
fn plain(output: &str) -> Vec<String> {
    let line = |line: &str| {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let id = words.find(", id: ").unwrap_or(words.len());
        words[..id].to_owned()
    };
    let lines = output.lines().map(line);
    lines.filter(|line| !line.is_empty()).collect()
}

/// Every option of every verb.
fn options() -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    for verb in VERBS.iter().map(|verb| vec![*verb]).chain([vec![]]) {
        let output = Command::new(PROGRAM).args(verb).arg("--help").output();
        let help = String::from_utf8(output.expect("the program runs").stdout).expect("UTF-8");
        options.extend(flags(&help));
    }
    options
}

/// The long options in a text.
fn flags(text: &str) -> Vec<String> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let words = text
        .split(is_end)
        .filter(|word| word.len() > 2 && word.starts_with("--"));
    words.map(str::to_owned).collect()
}

#[test]
fn verbs_and_options_that_are_named_exist() {
    let options = options();
    assert!(
        options.contains("--listen") && options.contains("--client"),
        "{options:?}"
    );
    let mut code: Vec<(String, String)> = Vec::new();
    for document in documents() {
        let name = document.name();
        let blocks = document.blocks();
        let shell = blocks
            .iter()
            .filter(|it| ["sh", "console"].contains(&&*it.language));
        code.extend(
            shell
                .flat_map(|it| commands(&it.text))
                .map(|it| (name.clone(), it)),
        );
        code.extend(document.code().into_iter().map(|it| (name.clone(), it)));
    }
    // Comments there name commands, too.
    for dir in ["config", "deploy"] {
        for path in files_of(&Path::new(ROOT).join(dir), true) {
            let text = fs::read_to_string(&path).expect("a text");
            let name = path.display().to_string();
            let quoted = text.split('`').skip(1).step_by(2);
            code.extend(quoted.map(|it| (name.clone(), it.to_owned())));
        }
    }
    let mut used = 0;
    for (name, code) in code {
        let code = code.trim_start_matches("$ ");
        let Some(arguments) = own_arguments(code) else {
            continue;
        };
        used += 1;
        if let Some(verb) = code
            .strip_prefix("dnsgate ")
            .and_then(|it| it.split(' ').next())
        {
            assert!(
                VERBS.contains(&verb) || verb.starts_with('-'),
                "{name}: no verb {verb}: {code}"
            );
        }
        for flag in flags(arguments) {
            assert!(options.contains(&flag), "{name}: no option {flag}: {code}");
        }
    }
    assert!(used > 5, "{used}");
}

/// The part of a command or a piece of code that is for dnsgate.
fn own_arguments(code: &str) -> Option<&str> {
    if code.starts_with("--") {
        let foreign = FOREIGN.iter().any(|flag| code.starts_with(flag));
        return (!foreign).then_some(code);
    }
    if code.starts_with("cargo run") {
        return code.split_once(" -- ").map(|(_, arguments)| arguments);
    }
    if code.starts_with("dnsgate ") {
        return code.split(" | ").next();
    }
    // A container's arguments are behind the image's name.
    VERBS.iter().find_map(|verb| {
        let at = code.find(&format!(" dnsgate {verb}"))?;
        code.get(at..)
    })
}
