use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::dns::Name;

use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

#[test]
fn labels_are_the_same_where_every_byte_is() {
    for len in 0..=63 {
        let label = vec![b'a'; len];
        assert!(same_label(&label, &label.clone()), "{len}");
        assert!(!same_label(&label, &[&label[..], b"a"].concat()), "{len}");
        for at in 0..len {
            let mut other = label.clone();
            other[at] = b'b';
            assert!(!same_label(&label, &other), "{len}: {at}");
        }
    }
}

#[test]
fn the_walk_ends_at_the_closest_known_name() {
    let mut tree = LabelMap::new();
    for text in ["a.b.example", "example", "*.c.example"] {
        let node = tree.insert(name(text).as_ref(), 0).expect("room");
        tree.value_or_insert_with(node, || text);
    }
    for (asked, depth, value) in [
        ("a.b.example", 3, Some("a.b.example")),
        ("x.a.b.example", 3, Some("a.b.example")),
        ("b.example", 2, None), // an empty non-terminal
        ("x.b.example", 2, None),
        ("example", 1, Some("example")),
        ("*.c.example", 3, Some("*.c.example")), // a label like any other
        ("com", 0, None),
    ] {
        let (node, found) = tree.names().closest(name(asked).as_ref(), 0);
        assert_eq!(
            (found, tree.value(node).copied()),
            (depth, value),
            "{asked}"
        );
    }
    let (below, _) = tree.names().closest(name("a.b.example").as_ref(), 0);
    let up: Vec<_> =
        std::iter::successors(Some(below), |&node| tree.names().parent(node)).collect();
    assert_eq!(up.len(), 4);
    assert_eq!(up.last(), Some(&NodeId::ROOT));
    let labels: Vec<_> = up.iter().map(|&node| tree.names().label(node)).collect();
    assert_eq!(labels, [&b"a"[..], b"b", b"example", b""]);
    // The same name below a tree whose root is `example`.
    assert_eq!(tree.names().closest(name("example.org").as_ref(), 1).1, 1);
}

proptest! {
    #[test]
    fn equal_to_a_map_of_names(
        names in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){0,4}", 1..40),
        asked in "[ab]{1,2}(\\.[ab]{1,2}){0,5}",
    ) {
        let mut tree = LabelMap::new();
        let mut map = BTreeMap::new();
        for (at, text) in names.iter().enumerate() {
            let node = tree.insert(name(text).as_ref(), 0).unwrap();
            tree.value_or_insert_with(node, || at);
            map.entry(name(text)).or_insert(at);
        }
        tree.shrink_to_fit();
        let asked = name(&asked);
        let by_map = std::iter::successors(Some(asked.as_ref()), |name| name.parent())
            .find_map(|suffix| map.get(&suffix.to_name()));
        let (node, _) = tree.names().closest(asked.as_ref(), 0);
        let by_tree = std::iter::successors(Some(node), |&node| tree.names().parent(node)).find_map(|node| tree.value(node));
        prop_assert_eq!(by_map, by_tree);
        prop_assert_eq!(tree.iter().count(), map.len());
    }
}
