//! Edits of a configuration's text: single values are replaced, and every other byte stays.
//!
//! A comment stays where it stood, unless it stands inside what is taken away: behind a removed line
//! of a block, within a removed rule, or between the brackets of a list that changes.

use std::ops::Range;

use dnsgate_config::OutlineNode;

/// The edits of one text. No two of them overlap.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

/// What becomes of an entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemEdit {
    Keep,
    /// These scalars stand in its place; none for an entry that is removed.
    Replace(Vec<String>),
}

impl Edits {
    /// Replaces entries of a list.
    pub(super) fn list(&mut self, text: &str, list: &OutlineNode, edits: &[ItemEdit]) {
        let changed = edits.iter().any(|edit| *edit != ItemEdit::Keep);
        if changed && list.is_flow {
            let mut words = Vec::new();
            for (item, edit) in list.items().iter().zip(edits) {
                match edit {
                    ItemEdit::Keep => words.extend(text.get(item.range.clone()).map(str::to_owned)),
                    ItemEdit::Replace(others) => words.extend(others.iter().cloned()),
                }
            }
            self.0
                .push((list.range.clone(), format!("[{}]", words.join(", "))));
        } else if changed {
            for (item, edit) in list.items().iter().zip(edits) {
                if let ItemEdit::Replace(others) = edit {
                    self.block_item(text, item, others);
                }
            }
        }
    }

    /// Replaces a line `- item` by other ones. What follows the item stays behind the first of them.
    fn block_item(&mut self, text: &str, item: &OutlineNode, others: &[String]) {
        let line = lines(text, &item.range);
        let before = text.get(line.start..item.range.start).unwrap_or_default();
        let behind = text.get(item.range.end..line.end).unwrap_or_default();
        let mut new = String::new();
        for (at, other) in others.iter().enumerate() {
            let behind = if at == 0 { behind } else { "\n" };
            new.push_str(&format!("{before}{other}{behind}"));
        }
        self.0.push((line, new));
    }

    /// Removes entries of a list of mappings, with a comment in the place of each.
    pub(super) fn remove(&mut self, text: &str, list: &OutlineNode, removed: &[(usize, String)]) {
        let items = list.items();
        if list.is_flow {
            let is_removed = |at: &usize| removed.iter().any(|(other, _)| other == at);
            let kept = (0..items.len()).filter(|at| !is_removed(at));
            let kept = kept.filter_map(|at| text.get(items.get(at)?.range.clone()));
            let kept: Vec<_> = kept.collect();
            self.0
                .push((list.range.clone(), format!("[{}]", kept.join(", "))));
            return;
        }
        for (at, why) in removed {
            if let Some(item) = items.get(*at) {
                let range = lines(text, &item.range);
                let line = text.get(range.start..item.range.start).unwrap_or_default();
                let indent: String = line.chars().take_while(|c| *c == ' ').collect();
                self.0.push((range, format!("{indent}# {why}\n")));
            }
        }
    }

    /// Sets a key of a mapping; a new one comes behind `after`, which the mapping has.
    pub(super) fn set(
        &mut self,
        text: &str,
        map: &OutlineNode,
        (key, after): (&str, &str),
        value: &str,
    ) {
        if let Some(node) = map.get(key) {
            if node.is_flow || node.text().is_some() {
                self.0.push((node.range.clone(), value.to_owned()));
                return;
            }
            // A block list: from its first line to its last one.
            let range = lines(text, &node.range);
            let line = text.get(range.start..node.range.start).unwrap_or_default();
            let indent: String = line.chars().take_while(|c| *c == ' ').collect();
            self.0.push((range, format!("{indent}  {value}\n")));
            return;
        }
        let entries = map.entries();
        let Some((known, node)) = entries.iter().find(|(own, _)| own.text() == Some(after)) else {
            return;
        };
        let end = node.range.end;
        if map.is_flow {
            self.0.push((end..end, format!(", {key}: {value}")));
        } else {
            let indent = " ".repeat(known.column.saturating_sub(1) as usize);
            let end = lines(text, &node.range).end;
            self.0.push((end..end, format!("{indent}{key}: {value}\n")));
        }
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edited text; `None` if edits overlap.
    pub(super) fn apply(mut self, text: &str) -> Option<String> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut new, mut at) = (String::with_capacity(text.len()), 0);
        for (range, other) in self.0 {
            new.push_str(text.get(at..range.start)?);
            new.push_str(&other);
            at = range.end;
        }
        new.push_str(text.get(at..)?);
        Some(new)
    }
}

/// The whole lines of a range, with the last line break.
fn lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let before = text.get(..range.start).unwrap_or_default();
    let behind = text.get(range.end..).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = behind
        .find('\n')
        .map_or(text.len(), |at| range.end + at + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnsgate_config::outline;

    const TEXT: &str = "\
# head
rules:
  # about x
  - name: x # the name
    domains:
      - .a.test # a
      - b.test # b
    forward: p
  - { name: y, domains: [.c.test, d.test], forward: p } # y
";

    #[test]
    fn edits_keep_every_other_byte() {
        use ItemEdit::{Keep, Replace};
        let all = outline(TEXT).expect("YAML");
        let rules = all.get("rules").expect("rules");
        let (x, y) = (&rules.items()[0], &rules.items()[1]);
        let mut edits = Edits::default();
        let names = ["1.a.test".to_owned(), "2.a.test".to_owned()];
        let domains = |rule: &'static str, at: usize| {
            let _ = rule;
            rules.items()[at].get("domains").expect("domains")
        };
        edits.list(
            TEXT,
            domains("x", 0),
            &[Replace(names.to_vec()), Replace(Vec::new())],
        );
        edits.list(TEXT, domains("y", 1), &[Keep, Replace(Vec::new())]);
        edits.set(TEXT, x, ("types", "name"), "[A]");
        edits.set(TEXT, y, ("types", "name"), "[A]");
        edits.set(TEXT, y, ("forward", "name"), "q");
        let want = "\
# head
rules:
  # about x
  - name: x # the name
    types: [A]
    domains:
      - 1.a.test # a
      - 2.a.test
    forward: p
  - { name: y, types: [A], domains: [.c.test], forward: q } # y
";
        assert_eq!(edits.apply(TEXT).as_deref(), Some(want));
    }

    #[test]
    fn a_removed_rule_leaves_a_comment() {
        let all = outline(TEXT).expect("YAML");
        let rules = all.get("rules").expect("rules");
        let mut edits = Edits::default();
        edits.remove(TEXT, rules, &[(0, "rule x: not used".to_owned())]);
        let want = "# head\nrules:\n  # about x\n  # rule x: not used\n  - { name: y, domains: [.c.test, d.test], forward: p } # y\n";
        assert_eq!(edits.apply(TEXT).as_deref(), Some(want));
        let flow = "rules: [{ name: x, deny: true }, { name: y, deny: true }]\n";
        let all = outline(flow).expect("YAML");
        let mut edits = Edits::default();
        edits.remove(
            flow,
            all.get("rules").expect("rules"),
            &[(1, String::new())],
        );
        assert_eq!(
            edits.apply(flow).as_deref(),
            Some("rules: [{ name: x, deny: true }]\n")
        );
    }
}
