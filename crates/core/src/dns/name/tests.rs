use super::*;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

#[test]
fn text_becomes_lower_case_wire_form() {
    for (text, wire) in [
        (".", &b"\0"[..]),
        ("com", b"\x03com\0"),
        (
            "Storage.GoogleAPIs.com.",
            b"\x07storage\x0agoogleapis\x03com\0",
        ),
        (r"a\.b.c", b"\x03a.b\x01c\0"),
        (r"\000\255.c", b"\x02\0\xff\x01c\0"),
        ("*.x", b"\x01*\x01x\0"),
    ] {
        assert_eq!(name(text).as_ref().wire(), wire, "{text}");
    }
}

#[test]
fn bad_text_is_told_apart() {
    let long_label = "a".repeat(64);
    let long_name = "abcdefg.".repeat(32);
    for (text, error) in [
        ("", NameError::Empty),
        ("a..b", NameError::EmptyLabel),
        (".a", NameError::EmptyLabel),
        ("..", NameError::EmptyLabel),
        (r"a\", NameError::BadEscape),
        (r"a\25", NameError::BadEscape),
        (r"a\256", NameError::BadEscape),
        ("bücher.example", NameError::NotAscii),
        ("a b", NameError::NotPrintable),
        (&long_label, NameError::LongLabel),
        (&long_name, NameError::LongName),
    ] {
        assert_eq!(text.parse::<Name>(), Err(error), "{text:?}");
    }
}

#[test]
fn within_compares_labels_not_bytes() {
    for (below, above, within) in [
        ("a.corp.internal", "corp.internal", true),
        ("corp.internal", "corp.internal", true),
        ("evilcorp.internal", "corp.internal", false),
        (r"evil\.corp.internal", "corp.internal", false),
        ("internal", "corp.internal", false),
        ("anything", ".", true),
    ] {
        assert_eq!(
            name(below).as_ref().is_within(name(above).as_ref()),
            within,
            "{below} in {above}"
        );
    }
    // A label that ends with the very bytes of another name's wire form.
    let trap = name(r"x\001a.b");
    assert!(!trap.as_ref().is_within(name("a.b").as_ref()));
}

#[test]
fn wire_form_is_read_up_to_its_root() {
    let (read, len) = NameBuf::read(b"\x03WwW\x01x\0\x00\x01").expect("valid");
    assert_eq!((read.as_ref(), len), (name("www.x").as_ref(), 7));
    for wire in [
        &b""[..],
        b"\x01",
        b"\x01a",
        b"\xc0\x0c",
        b"\x40a\0",
        b"\x3f",
    ] {
        assert!(NameBuf::read(wire).is_err(), "{wire:?}");
    }
    let mut longest = b"\x3f".iter().copied().cycle().take(0).collect::<Vec<u8>>();
    for _ in 0..127 {
        longest.extend_from_slice(b"\x01a");
    }
    longest.push(0);
    assert_eq!(NameBuf::read(&longest).expect("255 bytes").1, MAX_NAME);
    longest.splice(0..0, *b"\x01a");
    assert_eq!(NameBuf::read(&longest).err(), Some(NameError::LongName));
}

proptest! {
    /// Whole blocks are lowered at once, and what stood there before is gone.
    #[test]
    fn letters_are_lowered_one_by_one(
        before in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..4),
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..4),
    ) {
        let wire = |labels: &[Vec<u8>]| {
            let mut wire = Vec::new();
            for label in labels {
                wire.push(label.len() as u8);
                wire.extend(label);
            }
            wire.push(0);
            wire
        };
        let (before, mut wire) = (wire(&before), wire(&labels));
        let lowered: Vec<u8> = wire.iter().map(u8::to_ascii_lowercase).collect();
        let (mut name, _) = NameBuf::read(&before).unwrap_or_default();
        wire.extend(b"AND MORE");
        let len = name.set(&wire);
        if lowered.len() > MAX_NAME {
            prop_assert_eq!(len, Err(NameError::LongName));
        } else {
            prop_assert_eq!(len, Ok(lowered.len()));
            prop_assert_eq!(name.as_ref().wire(), &*lowered);
            prop_assert_eq!(name.as_ref().labels().count(), labels.len());
        }
    }

    #[test]
    fn text_form_reads_back(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..10)) {
        let mut buf = NameBuf::new();
        for label in &labels {
            buf.push_label(label).unwrap();
        }
        let name = buf.as_ref().to_name();
        prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name.clone()));
        let starts = name.as_ref().label_starts();
        let by_start: Vec<_> = starts.as_slice().iter().map(|&s| name.as_ref().label_at(s)).collect();
        prop_assert_eq!(by_start, name.as_ref().labels().collect::<Vec<_>>());
        let up = std::iter::successors(Some(name.as_ref()), |name| name.parent());
        for (above, at) in up.zip(0..) {
            let own: Vec<_> = above.labels().collect();
            prop_assert_eq!(&own, &name.as_ref().labels().skip(at).collect::<Vec<_>>());
            prop_assert_eq!(own.len(), above.label_count());
            prop_assert!(name.as_ref().is_within(above));
            let below = starts.as_slice().get(at);
            prop_assert_eq!(below.map_or(NameRef::ROOT, |&start| name.as_ref().from_label(start)), above);
            let (read, _) = NameBuf::read(above.wire()).expect("a name");
            prop_assert_eq!(read.as_ref().label_starts().as_slice(), above.label_starts().as_slice());
            let copy = NameBuf::from(above);
            prop_assert_eq!(copy.as_ref(), above);
        }
    }
}
