//! Signals to a running dnsgate, and what it logs.

use std::{process::ExitStatus, sync::mpsc::RecvTimeoutError};

use serde_json::Value;

use crate::running::{Running, SOON, signal};

impl Running {
    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// The next line that is an event with this message; those before it are passed over.
    pub(crate) fn wait_for(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(SOON).expect(message);
            let event: Value = serde_json::from_str(&line).expect("a line of JSON");
            if event["message"] == message {
                return event;
            }
        }
    }

    /// Waits for the end of the process: how it ended, and the lines that nobody has read yet.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far: {rest:#?}"),
            }
        }
        (self.child.wait().expect("it was ours"), rest)
    }
}
