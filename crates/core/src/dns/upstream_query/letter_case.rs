//! The letter case of the question's name as a second random number ("0x20"): a server repeats the
//! question as it was asked, so a forger must guess each letter's case.
//!
//! A query whose case was never randomised is in lower case, the canonical form of a name.

use super::end_of_name;
use crate::dns::query::HEADER;

/// Where the name in the question of an encoded query ends.
fn name_end(query: &[u8]) -> usize {
    end_of_name(query, HEADER).unwrap_or(HEADER)
}

/// Gives each letter of the question's name a random case. `random` returns 64 random bits.
pub fn randomise(query: &mut [u8], mut random: impl FnMut() -> u64) {
    let end = name_end(query);
    let name = query.get_mut(HEADER..end).unwrap_or_default();
    // The length of a label is below 64 and therefore no letter.
    for part in name.chunks_mut(64) {
        let mut bits = random();
        for byte in part {
            if bits & 1 == 1 {
                byte.make_ascii_uppercase();
            }
            bits >>= 1;
        }
    }
}

/// Whether a reply to `query` repeats its question with the same letter case. A reply without a
/// question repeats nothing, and differs in nothing.
#[must_use]
pub fn is_kept(reply: &[u8], query: &[u8]) -> bool {
    let end = name_end(query);
    match (reply.get(4..6), reply.get(HEADER..end)) {
        (Some([0, 0]), _) => true,
        (_, Some(name)) => query.get(HEADER..end) == Some(name),
        _ => false,
    }
}

/// Puts the question's name in a reply to `query` into lower case, so that names that are compressed
/// against it are canonical, too.
pub fn restore(reply: &mut [u8], query: &[u8]) {
    let end = name_end(query);
    if reply.get(4..6) == Some(&[0, 1])
        && let Some(name) = reply.get_mut(HEADER..end)
    {
        name.make_ascii_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{
        Name, Query, RecordType,
        upstream_query::{encode, is_reply_to},
    };

    fn query(name: &str) -> Vec<u8> {
        let name: Name = name.parse().expect(name);
        encode(7, name.as_ref(), RecordType::A, false, false)
    }

    #[test]
    fn each_letter_gets_a_case_and_nothing_else_changes() {
        let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        for name in ["www.example", "x", ".", "a-1.b_2.c\\000d", &long] {
            let plain = query(name);
            let mut upper = plain.clone();
            randomise(&mut upper, || u64::MAX);
            let mut lower = plain.clone();
            randomise(&mut lower, || 0);
            assert_eq!(lower, plain, "{name}");
            assert!(upper.eq_ignore_ascii_case(&plain), "{name}");
            let letters = upper.iter().zip(&plain).filter(|(one, other)| one != other);
            let want = plain.iter().filter(|byte| byte.is_ascii_lowercase());
            assert_eq!(letters.count(), want.count(), "{name}");
            let (read, asked) = (Query::parse(&upper), Query::parse(&plain));
            assert_eq!(
                read.expect("well-formed").name(),
                asked.expect("well-formed").name()
            );
            restore(&mut upper, &plain);
            assert_eq!(upper, plain, "{name}");
        }
    }

    #[test]
    fn bits_are_used_once_each() {
        let mut draws = [0b0101, 0b11].into_iter();
        let name = format!("{0}.{0}", "a".repeat(40));
        let mut mixed = query(&name);
        randomise(&mut mixed, || draws.next().expect("two are enough"));
        let name = mixed.get(HEADER..HEADER + 82).expect("a name");
        let upper: Vec<_> = (0..82)
            .filter(|&at| name[at].is_ascii_uppercase())
            .collect();
        // Byte 0 is a length, which has no case.
        assert_eq!(upper, [2, 64, 65]);
    }

    #[test]
    fn a_reply_keeps_the_case_or_has_no_question() {
        let mut asked = query("www.example");
        randomise(&mut asked, || 0b1010_1010);
        let mut kept = asked.clone();
        kept[2] |= 0x80;
        let mut lost = kept.clone();
        restore(&mut lost, &asked);
        assert!(is_reply_to(&kept, &asked) && is_kept(&kept, &asked));
        assert!(is_reply_to(&lost, &asked) && !is_kept(&lost, &asked));
        let mut bare = kept[..HEADER].to_vec();
        bare[5] = 0;
        assert!(is_kept(&bare, &asked));
        restore(&mut bare, &asked);
        assert!(!is_kept(&kept[..20], &asked) && !is_kept(&[], &asked));
        restore(&mut [], &asked);
    }
}
