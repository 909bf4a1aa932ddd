//! A search list in front of an allowed name, as Google Cloud and Kubernetes configure it. Whatever `deny_with` is, each resolver
//! goes on to the name that was meant. None asks a question twice, as it would after a time-out.

use std::{collections::BTreeMap, env, fs, process::Command};

use super::space;
use crate::running::installed;

/// The resolver of musl, in a program of its own.
const LOOKUP: &str = r#"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    int error = argc < 2 ? EAI_NONAME : getaddrinfo(argv[1], "443", &hints, &found);
    if (error) { printf("error %s\n", gai_strerror(error)); return 1; }
    for (; found; found = found->ai_next) {
        char text[64] = "";
        void *at = found->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                                               : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
        puts(inet_ntop(found->ai_family, at, text, sizeof text));
    }
    return 0;
}
"#;

/// The same for Java.
const JAVA: &str = r#"
public class Lookup {
    public static void main(String[] args) throws Exception {
        for (var address : java.net.InetAddress.getAllByName(args[0])) System.out.println(address.getHostAddress());
    }
}
"#;

/// The resolvers, each with the programs that it needs and the command that looks a name up.
const RESOLVERS: &[(&str, &[&str], &str)] = &[
    ("glibc", &["getent"], "getent ahosts"),
    (
        "python",
        &["python3"],
        "python3 -c 'import socket, sys; [print(a[4][0]) for a in socket.getaddrinfo(sys.argv[1], 443)]'",
    ),
    ("musl", &["musl-gcc"], "$SHARED/lookup"),
    (
        "libuv",
        &["node"],
        "node -e 'require(\"dns\").lookup(process.argv[1], { all: true }, (e, a) => { if (e) throw e; a.forEach(x => console.log(x.address)); })'",
    ),
    (
        "c-ares",
        &["node"],
        "node -e 'require(\"dns\").resolve4(process.argv[1], (e, a) => { if (e) throw e; a.forEach(x => console.log(x)); })'",
    ),
    (
        "java",
        &["java", "javac"],
        "java -Xshare:auto -cp $SHARED Lookup",
    ),
];

/// Programs that nothing else here needs.
const OPTIONAL: [&str; 3] = ["node", "java", "javac"];

#[test]
fn allowed_name_behind_a_search_list_resolves_at_once() {
    let shared = tempfile::tempdir().expect("a directory");
    let mut commands = String::new();
    for (name, programs, command) in RESOLVERS {
        if are_there(programs) && built(name, shared.path()) {
            commands += &format!("{name}\t{command}\n");
        }
    }
    let Some(said) = space::run(
        include_str!("search.sh"),
        &[
            ("SHARED", shared.path().to_string_lossy().as_ref()),
            ("COMMANDS", &commands),
            ("WAYS", "refused nxdomain nodata drop"),
        ],
    ) else {
        return;
    };
    let runs: Vec<_> = said.split("=== ").skip(1).collect();
    assert_eq!(runs.len(), 4 * commands.lines().count(), "{said}");
    for run in runs {
        let (head, rest) = run.split_once('\n').expect("a line");
        assert!(rest.contains("199.36.153.4"), "{head}: {rest}");
        let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
        for line in rest.lines().filter(|line| line.starts_with("asked ")) {
            *asked.entry(line).or_default() += 1;
        }
        let meant = "asked storage.googleapis.com. A NOERROR";
        assert!(asked.contains_key(meant), "{head}: {rest}");
        // What is asked a second time was waited for in vain.
        assert!(asked.values().all(|&times| times == 1), "{head}: {rest}");
        // All but c-ares, which is asked for the name alone, went by the search list.
        let searched = "asked storage.googleapis.com.c.proj.internal. A NXDOMAIN";
        assert!(
            head.starts_with("c-ares") || asked.contains_key(searched),
            "{head}: {rest}"
        );
    }
}

/// Whether these are here; no more is asked of a machine than what scripts/install-tools installs.
fn are_there(programs: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&&str| env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let absent: Vec<_> = programs.iter().filter(|it| !is_there(it)).collect();
    if absent.is_empty() {
        return true;
    }
    if programs.iter().all(|program| !OPTIONAL.contains(program)) {
        return installed(programs);
    }
    println!("SKIPPED: not installed: {absent:?}");
    false
}

/// Makes the program of a resolver that needs one.
fn built(resolver: &str, dir: &std::path::Path) -> bool {
    let (file, text, compiler, args): (_, _, _, &[&str]) = match resolver {
        "musl" => (
            "lookup.c",
            LOOKUP,
            "musl-gcc",
            &["-static", "-o", "lookup", "lookup.c"],
        ),
        "java" => ("Lookup.java", JAVA, "javac", &["Lookup.java"]),
        _ => return true,
    };
    fs::write(dir.join(file), text).expect("room for a file");
    let built = Command::new(compiler).args(args).current_dir(dir).status();
    let built = built.is_ok_and(|status| status.success());
    assert!(built, "{compiler} does not build {file}");
    built
}
