//! "Did you mean": the known word that is nearest to one that is not known.

/// The nearest of `known` to `word`, where one is near enough to have been meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.get(..MAX_WORD.min(word.len()))?.to_ascii_lowercase();
    let far = |candidate: &str| 1 + candidate.len() / 4;
    known
        .into_iter()
        // As many letters must be added or removed at least.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= far(candidate))
        .take(MAX_COMPARED)
        .map(|candidate| {
            let distance = strsim::osa_distance(&word, &candidate.to_ascii_lowercase());
            (distance, candidate)
        })
        .filter(|&(distance, candidate)| distance <= far(candidate))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// A word longer than this is like none of ours: comparing it costs its length.
const MAX_WORD: usize = 256;
/// As many words of the same length are compared at most: a file may have thousands of rules, and a hundred errors.
const MAX_COMPARED: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["listen", "admin", "clients", "rules", "VPC"];
        for (word, near) in [
            ("lisen", Some("listen")),
            ("Clients", Some("clients")),
            ("vpc", Some("VPC")),
            ("client", Some("clients")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }
}
