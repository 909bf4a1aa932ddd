//! Any bytes as a query log.
//!
//! Held: no panic; the questions that are passed on are those that are counted; the result is the same in whatever pieces
//! the input comes.

use std::io::{BufReader, Read};

use dnsgate_logs::{LogError, LogSummary, read};

/// Gives out a few bytes at a time.
struct Slow<'d>(&'d [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(7);
        self.0.read(&mut buffer[..len])
    }
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let (whole, questions) = all(BufReader::new(data));
    let (slow, again) = all(BufReader::with_capacity(16, Slow(data)));
    match (whole, slow) {
        (Ok(whole), Ok(slow)) => {
            assert_eq!(whole, slow);
            assert_eq!(questions, again, "the same log, read in other pieces");
            assert_eq!(
                whole.questions,
                questions.iter().map(|it| it.1).sum::<u64>()
            );
            assert!(whole.first <= whole.last);
        }
        // How much comes before damaged gzip data depends on the pieces.
        (Err(_), Err(_)) => {}
        (whole, slow) => panic!("{whole:?} in one piece, {slow:?} in several"),
    }
    let _ = dnsgate_logs::looks_like(data);
}

/// What is read: the summary, and each question with its number of times.
fn all(log: impl std::io::BufRead) -> (Result<LogSummary, LogError>, Vec<(String, u64)>) {
    let mut questions = Vec::new();
    let summary = read(log, |record| {
        questions.push((format!("{record:?}"), record.times));
    });
    (summary, questions)
}
