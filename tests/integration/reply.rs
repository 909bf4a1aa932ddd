//! Reads what dig or kdig printed.

/// A reply as the client saw it. The records' fields stand one space apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: String,
    pub(crate) flags: String,
    /// `15 (Blocked): text`
    pub(crate) ede: String,
    pub(crate) answer: Vec<String>,
    pub(crate) authority: Vec<String>,
}

impl Reply {
    /// Reads the output of dig or kdig.
    pub(crate) fn read(printed: &str) -> Self {
        let mut reply = Self::default();
        let mut section = None;
        for line in printed.lines() {
            if let Some(comment) = line.strip_prefix(';') {
                let comment = comment.trim_start_matches([';', ' ']);
                reply.read_comment(comment);
                if let Some(title) = comment.strip_suffix(" SECTION:") {
                    section = Some(title.to_owned());
                }
            } else if !line.trim().is_empty() {
                let record = line.split_whitespace().collect::<Vec<_>>().join(" ");
                match section.as_deref() {
                    Some("ANSWER") => reply.answer.push(record),
                    Some("AUTHORITY") => reply.authority.push(record),
                    _ => {}
                }
            }
        }
        reply
    }

    fn read_comment(&mut self, comment: &str) {
        if let Some((_, status)) = comment.split_once("status: ") {
            self.status = until(status, &[',', ';']);
        } else if let Some(flags) = comment
            .strip_prefix("flags:")
            .or_else(|| comment.strip_prefix("Flags:"))
        {
            self.flags = until(flags, &[';']);
        } else if let Some(ede) = comment.strip_prefix("EDE: ") {
            // dig puts the text in brackets, kdig in quotes.
            let (code, text) = ede.split_once("): ").unwrap_or((ede, ""));
            self.ede = format!("{code}): {}", text.trim_matches(['(', ')', '\'']));
        }
    }
}

fn until(text: &str, ends: &[char]) -> String {
    text.split(ends)
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}
