//! "Did you mean": finds the known word nearest to an unknown one.

/// The word of `known` nearest to `word`, if it is near enough to have been meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.get(..MAX_WORD.min(word.len()))?.to_ascii_lowercase();
    let far = |candidate: &str| 1 + candidate.len() / 4;
    known
        .into_iter()
        // The difference in length is a lower bound of the distance.
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

/// A longer word resembles no known word, and comparing it costs time in proportion to its length.
const MAX_WORD: usize = 256;
/// The most words compared: a file may have thousands of rules and a hundred errors.
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
