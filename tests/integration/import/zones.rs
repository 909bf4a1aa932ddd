//! Zones: NSD with the zone files and dnsgate with the same files imported give the same answers.

use std::{fs, net::SocketAddr, process::Command};

use crate::{
    differential_nsd::{self, client::ask_all, nsd, questions},
    running::{PROGRAM, Running, skipped},
};

#[test]
fn imported_zones_answer_as_nsd_does() {
    let Some(program) = nsd::find() else {
        skipped("not installed: nsd");
        return;
    };
    let files = differential_nsd::files();
    let questions = questions::of(&differential_nsd::zones(&files));
    let folder = tempfile::tempdir().expect("a folder");
    let mut import = Command::new(PROGRAM);
    import.args(["import", "gcloud-dns"]);
    for file in &files {
        let text = fs::read_to_string(&file.path).expect("a zone file");
        let path = folder.path().join(file.path.file_name().expect("a name"));
        fs::write(&path, format!("$ORIGIN {}\n{text}", file.origin)).expect("room for a file");
        import.arg(path);
    }
    let output = import.output().expect("the program runs");
    let report = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(2), "{report}");
    let config = String::from_utf8(output.stdout).expect("UTF-8");
    let config = config.replace("built_in: { metadata: false }\n", "");
    let config = format!("{config}built_in: {{ search: false }}\n");
    let nsd = nsd::start(&program, &files, folder.path());
    let dnsgate = Running::start(&config);
    let address = SocketAddr::from(([127, 0, 0, 1], dnsgate.port));
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| ask_all(nsd.address, &questions));
        let ours = ask_all(address, &questions);
        (theirs.join().expect("NSD was asked"), ours)
    });
    differential_nsd::conclude(&questions, theirs, ours);
}
