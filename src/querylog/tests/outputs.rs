//! Outputs that are stuck, gone, or files, and the end of the log.

use super::*;

/// A sink that blocks in its first write until it is let go, as a pipe does that nobody reads.
struct Stuck {
    entered: Sender<()>,
    release: Receiver<()>,
    paper: Paper,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.release.recv(); // an error at once when the test has let go
        self.paper.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_pipe_stops_the_log_and_nothing_else() {
    let (entered, inside) = channel();
    let (let_go, release) = channel();
    let paper = Paper::default();
    let stuck = Stuck {
        entered,
        release,
        paper: paper.clone(),
    };
    let settings = LogSettings {
        queries: LogQueries::All,
        queue: 4,
        ..LogSettings::default()
    };
    let telemetry = Telemetry::start_into(&settings, Box::new(stuck)).expect("a thread");
    telemetry.loaded(7, Labels::default(), UNIX_EPOCH);
    let packet = query(name("a.b").as_ref(), RecordType::A);
    let mut recorder = telemetry.recorder();
    recorder.record(&event(answered(), &packet, &[]));
    inside.recv_timeout(PATIENCE).expect("the thread writes");
    // The thread is stuck with one line in hand: four more wait, the rest is dropped.
    for _ in 0..10 {
        recorder.record(&event(answered(), &packet, &[]));
    }
    assert!(!telemetry.flush(Duration::ZERO));
    let page = String::from_utf8(telemetry.metrics().expect("a page")).expect("UTF-8");
    assert!(page.contains("\ndnsgate_log_dropped_total 6\n"), "{page}");
    drop(let_go);
    assert!(telemetry.flush(PATIENCE));
    assert_eq!(paper.lines().len(), 5);
}

/// A sink that is gone.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let telemetry =
        Telemetry::start_into(&LogSettings::default(), Box::new(Gone)).expect("a thread");
    telemetry.event(LogSeverity::Info, "one", &[]);
    telemetry.event(LogSeverity::Info, "two", &[]);
    assert!(telemetry.flush(PATIENCE));
    assert_eq!(telemetry.shared().log_dropped(), 2);
}

#[test]
fn what_waits_is_written_when_telemetry_ends() {
    let (entered, inside) = channel();
    let (let_go, release) = channel();
    let paper = Paper::default();
    let stuck = Stuck {
        entered,
        release,
        paper: paper.clone(),
    };
    let telemetry =
        Telemetry::start_into(&LogSettings::default(), Box::new(stuck)).expect("a thread");
    telemetry.event(LogSeverity::Info, "first", &[]);
    inside.recv_timeout(PATIENCE).expect("the thread writes");
    telemetry.event(LogSeverity::Info, "last", &[]);
    drop(telemetry);
    drop(let_go);
    // The sink is dropped when the thread ends.
    while inside.recv_timeout(PATIENCE).is_ok() {}
    assert_eq!(paper.lines().len(), 2);
    assert_eq!(paper.lines()[1]["message"], "last");
}

#[test]
fn queries_go_to_a_file_of_their_own_and_events_do_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("queries.log");
    let paper = Paper::default();
    let settings = LogSettings {
        output: LogOutput::File(path.clone()),
        ..LogSettings::default()
    };
    let telemetry = Telemetry::start_into(&settings, Box::new(paper.clone())).expect("a file");
    telemetry.loaded(7, Labels::default(), UNIX_EPOCH);
    telemetry.event(LogSeverity::Info, "one", &[]);
    let packet = query(name("a.b").as_ref(), RecordType::A);
    telemetry
        .recorder()
        .record(&event(blocked(), &packet, &packet));
    assert!(telemetry.flush(PATIENCE));
    let text = std::fs::read_to_string(&path).expect("a text");
    assert!(
        text.contains("\"queryName\":\"a.b.\"") && text.lines().count() == 1,
        "{text}"
    );
    telemetry.reopen();
    // The file's thread tells the other one, so the one is waited for, then the other.
    assert!(telemetry.flush(PATIENCE) && telemetry.flush(PATIENCE));
    let told: Vec<_> = paper.lines();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1]["output"], format!("file:{}", path.display()));

    let none = LogSettings {
        output: LogOutput::File(dir.path().join("none/queries.log")),
        ..LogSettings::default()
    };
    let error = Telemetry::start_into(&none, Box::new(io::sink())).expect_err("no directory");
    let told = error.to_string();
    assert!(told.contains("none/queries.log: No such file"), "{told}");
    assert!(told.contains("its directory must exist"), "{told}");
}
