//! The zones of the file, from inline records or from a zone file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    error::{Faults, Message, OtherFile, Place, quoted},
    file::ZoneEntry,
    given::{At, List},
    read::bad_value,
    text::{MAX_ZONE, ReadFile, read_named},
};
use dnsgate_core::{
    dns::Name,
    zone::{Zone, ZoneBuilder, parse_record, parse_zone},
};

/// Reads the zone of an entry; relative paths start at `dir`.
pub(super) fn load(entry: &ZoneEntry, dir: &Path, faults: &mut Faults<'_>) -> Option<Zone> {
    if entry.span.is_whole && entry.file.is_some() == entry.records.is_some() {
        faults.push_help(
            entry.span.place,
            if entry.file.is_some() {
                "a zone has either `file` or `records`, not both"
            } else {
                "a zone needs `file` or `records`"
            },
            "file: a zone file (RFC 1035); records: a list such as [\"db 300 IN A 10.0.0.5\"]"
                .to_owned(),
        );
    }
    let origin = entry.origin.as_ref()?;
    if origin.value.as_ref().labels().any(|label| label == b"*") {
        faults.push_help(
            origin.place,
            "an origin is one name, without `*`",
            "wildcards stand in the zone's records".to_owned(),
        );
        return None;
    }
    match (&*entry.file, &*entry.records) {
        (Some(file), None) => from_file(&origin.value, file, dir, faults),
        (None, Some(records)) => from_records(origin, &records.value, faults),
        _ => None,
    }
}

fn from_records(
    origin: &At<Name>,
    records: &List<String>,
    faults: &mut Faults<'_>,
) -> Option<Zone> {
    let mut builder = ZoneBuilder::new(origin.value.clone()).with_default_soa();
    let mut added: Vec<&At<String>> = Vec::with_capacity(records.len());
    let mut good = true;
    for text in records {
        let record = match parse_record(&text.value, &origin.value) {
            Ok(record) => record,
            Err(fault) => {
                faults.push(text.place, bad_value("record", &text.value, &fault.message));
                good = false;
                continue;
            }
        };
        added.push(text);
        let owner = record.owner.as_ref();
        if let Err(error) = builder.add(owner, record.ttl, record.rtype, &record.rdata) {
            faults.push(text.place, bad_value("record", &text.value, &error.problem));
            good = false;
        }
    }
    match builder.finish() {
        Ok(zone) => good.then_some(zone),
        Err(errors) => {
            for error in errors {
                let record = error.record.and_then(|at| added.get(at));
                match record {
                    Some(text) => {
                        faults.push(text.place, bad_value("record", &text.value, &error.problem));
                    }
                    None => faults.push(origin.place, error.to_string()),
                }
            }
            None
        }
    }
}

fn from_file(
    origin: &Name,
    file: &At<String>,
    dir: &Path,
    faults: &mut Faults<'_>,
) -> Option<Zone> {
    let path = dir.join(&file.value);
    let text = match read_named(&path, MAX_ZONE, faults.files()) {
        Ok(text) => text,
        Err(error) => {
            faults.push(
                file.place,
                Message::of(
                    "the file that is named here cannot be read",
                    format!("{:?} {error}", quoted(&path.to_string_lossy())),
                ),
            );
            return None;
        }
    };
    let mut included = Included {
        dir: path.parent().map(Path::to_owned).unwrap_or_default(),
        texts: HashMap::new(),
        files: Vec::new(),
    };
    let parsed = parse_zone(&text, origin, &mut |name| included.read(name));
    faults.files().append(&mut included.files);
    parsed
        .map(|parsed| parsed.zone)
        .map_err(|found| {
            for fault in found {
                let place = Place {
                    line: fault.line,
                    column: fault.column,
                };
                let (path, text) = match &fault.file {
                    Some(name) => (included.path(name), included.text(name)),
                    None => (path.clone(), &*text),
                };
                let name = path.to_string_lossy();
                let file = OtherFile { name: &name, text };
                let kind = "the zone file cannot be read at this place";
                faults.push_in(file, place, Message::of(kind, fault.message), None);
            }
        })
        .ok()
}

/// The files that a zone file includes, relative to its own directory; their texts are kept for quotations.
struct Included {
    dir: PathBuf,
    texts: HashMap<String, String>,
    files: Vec<ReadFile>,
}

impl Included {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", |text| text)
    }

    fn read(&mut self, name: &str) -> Result<String, String> {
        let text = read_named(&self.path(name), MAX_ZONE, &mut self.files)
            .map_err(|error| error.to_string())?;
        self.texts.insert(name.to_owned(), text.clone());
        Ok(text)
    }
}
