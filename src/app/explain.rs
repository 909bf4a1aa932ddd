//! Explanations by the policy in force, for who asks on the admin pages.

use std::time::Duration;

use super::{aside::Aside, tell};
use crate::{
    reload::{Numbered, Reloader},
    telemetry::http::{Asked, ExplainRequest},
};
use dnsgate_core::dns::Transport;
use dnsgate_whatif::{ClientQuestion, Subject, explain::explain};

/// Longer than the admin pages let anybody wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Explains on a thread of its own: should it panic, or there be none, only who asked gets no answer.
pub(super) fn answer(aside: &Aside, reloader: &Reloader, request: ExplainRequest) {
    let snapshot = reloader.live().current();
    let upstreams = Numbered::clone(reloader.upstreams());
    let origin = match reloader.path() {
        Some(path) => path.display().to_string(),
        None => "the built-in one".to_owned(),
    };
    let origin = format!("{origin}, generation {}, in force", snapshot.generation());
    let work = move || {
        let subject = Subject::new(&snapshot, upstreams.iter().map(|(_, it)| it));
        let Asked {
            name,
            rtype,
            client,
        } = request.asked();
        let question = ClientQuestion {
            name: name.as_ref(),
            rtype: *rtype,
            source: *client,
            transport: Transport::Udp,
        };
        let text = explain(question, &subject, &origin, tell::now());
        request.answer(text);
    };
    let aside = aside.clone();
    tokio::spawn(async move { aside.run(PATIENCE, work).await });
}
