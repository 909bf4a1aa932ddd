//! Explanations by the current policy, for requests on the admin pages.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{NumberedUpstreams, Reloader};
use crate::{
    admin::{ExplainQuestion, ExplainRequest},
    budgets::{Budgets, Spender},
    clock::monotonic,
};
use dnsgate_core::{dns::Transport, engine::Forward};
use dnsgate_whatif::{ClientQuestion, Subject, explain::explain_running};

/// Longer than an admin request may last.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Prepares an explanation by the current policy. The work runs on a separate thread, so that after
/// a panic, or without a thread, only this requester gets no answer.
pub(crate) fn prepare(
    reloader: &Reloader,
    request: ExplainRequest,
    budgets: Arc<Budgets>,
    now: SystemTime,
) -> impl FnOnce() + Send + 'static {
    let snapshot = reloader.live().current();
    let upstreams = NumberedUpstreams::clone(reloader.upstreams());
    let origin = match reloader.path() {
        Some(path) => path.display().to_string(),
        None => "the built-in one".to_owned(),
    };
    let origin = format!("{origin}, generation {}, in force", snapshot.generation());
    move || {
        let subject = Subject::new(&snapshot, upstreams.iter().map(|(_, it)| it));
        let ExplainQuestion {
            name,
            rtype,
            client,
        } = request.question();
        let question = ClientQuestion {
            name: name.as_ref(),
            rtype: *rtype,
            source: *client,
            transport: Transport::Udp,
        };
        let left = |ask: &Forward| {
            let spender = Spender {
                rule: ask.rule,
                group: ask.outcome.group,
                client: *client,
            };
            let spending = spender.spending(snapshot.policy(), ask.permit.name())?;
            Some(budgets.left(spending, monotonic(), now))
        };
        let text = explain_running(question, &subject, &origin, now, &left);
        request.answer(text);
    }
}
