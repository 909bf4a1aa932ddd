//! Explains every question of a query log: the verdict on each, most frequent first.
//!
//! The verdict depends on the name, the type and the client's group. So clients of one group share
//! a row, and each row is decided only once.

use std::{collections::HashMap, fmt, time::SystemTime};

use super::verdict_line;
use crate::ask::{ClientQuestion, Subject, ask};
use dnsgate_core::{
    dns::{Name, RecordType},
    engine::GroupId,
};

/// The most questions stored separately, some 20 MB; further ones are only counted. A log with more
/// different questions probably contains a flood of random names.
const MAX_QUESTIONS: usize = 100_000;

/// A question from a group.
type TallyKey = (Name, RecordType, Option<GroupId>);

/// The questions so far, and their verdicts.
#[derive(Debug)]
pub struct VerdictTally<'s> {
    subject: Subject<'s>,
    now: SystemTime,
    rows: HashMap<TallyKey, TallyRow>,
    /// Questions for which there was no room.
    others: u64,
}

#[derive(Debug)]
struct TallyRow {
    count: u64,
    verdict: String,
}

impl<'s> VerdictTally<'s> {
    /// A tally without questions so far; all questions are asked at `now`.
    #[must_use]
    pub fn new(subject: Subject<'s>, now: SystemTime) -> Self {
        Self {
            subject,
            now,
            rows: HashMap::new(),
            others: 0,
        }
    }

    /// Asks a question, and counts it `times` times.
    pub fn ask(&mut self, question: ClientQuestion<'_>, times: u64) {
        let group = self.subject.snapshot.policy().admit(question.source);
        let key = (question.name.to_name(), question.rtype, group);
        if let Some(row) = self.rows.get_mut(&key) {
            row.count += times;
        } else if self.rows.len() >= MAX_QUESTIONS {
            self.others += times;
        } else {
            let seen = ask(question, self.subject.snapshot, self.now);
            let row = TallyRow {
                count: times,
                verdict: verdict_line(&self.subject, &seen.outcome),
            };
            self.rows.insert(key, row);
        }
    }

    fn group_name(&self, group: Option<GroupId>) -> &str {
        let group = group.and_then(|id| self.subject.snapshot.policy().group_of(id));
        group.map_or("none", |group| &group.name)
    }
}

impl fmt::Display for VerdictTally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .map(|((name, rtype, group), row)| {
                (row, format!("{name} {rtype}"), self.group_name(*group))
            })
            .collect();
        rows.sort_unstable_by(|(a, question_a, group_a), (b, question_b, group_b)| {
            let counts = b.count.cmp(&a.count);
            counts.then_with(|| (question_a, group_a).cmp(&(question_b, group_b)))
        });
        let question = rows.iter().map(|(_, question, _)| question.len());
        let question = question.max().unwrap_or_default().max("question".len());
        let group = rows.iter().map(|(_, _, group)| group.len());
        let group = group.max().unwrap_or_default().max("group".len());
        writeln!(
            f,
            "{:>10}  {:question$}  {:group$}  verdict",
            "count", "question", "group"
        )?;
        for (row, asked, by) in &rows {
            let TallyRow { count, verdict } = row;
            writeln!(f, "{count:>10}  {asked:question$}  {by:group$}  {verdict}")?;
        }
        match self.others {
            0 => Ok(()),
            others => writeln!(f, "{others:>10}  for other questions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;
    use dnsgate_core::dns::Transport;

    #[test]
    fn questions_beyond_the_table_are_counted() {
        let config = dnsgate_config::default_config();
        let snapshot = snapshot(config.policy, config.zones, 0);
        let mut tally = VerdictTally::new(Subject::new(&snapshot, []), SystemTime::UNIX_EPOCH);
        for number in (0..MAX_QUESTIONS + 3).chain([0, 0]) {
            let name: Name = format!("n{number}.example").parse().expect("a name");
            let question = ClientQuestion {
                name: name.as_ref(),
                rtype: RecordType::A,
                source: [10, 0, 0, 1].into(),
                transport: Transport::Udp,
            };
            tally.ask(question, 5);
        }
        let text = tally.to_string();
        assert_eq!(text.lines().count(), 1 + MAX_QUESTIONS + 1);
        let first = text.lines().nth(1).unwrap_or_default();
        assert!(first.starts_with("        15  n0.example. A "), "{first}");
        assert!(text.ends_with("\n        15  for other questions\n"));
    }
}
