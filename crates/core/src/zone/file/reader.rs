//! Converts entries to records: applies directives and inherited values.

use std::path::Path;

use crate::dns::{Name, RecordType, rrset::MAX_TTL};

use super::super::{ZoneBuilder, ZoneError, ZoneProblem};
use super::{
    Fault, INLINE_TTL, MAX_FAULTS, MAX_INCLUDE_DEPTH, MAX_INCLUDED_TEXT, MAX_INCLUDES, ParsedZone,
    PlacedRecord, ZoneFault, ZoneRecord,
    field::{self, short, shown},
    record_data,
    scan::{LogicalLine, Scanner, TextPosition, Word},
    word::{RdataText, WrittenName, push_string, time},
};

/// Takes a record in place of the zone's builder.
type Each<'a> = &'a mut dyn FnMut(PlacedRecord);
/// Returns the text of an included file.
type Include<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// Reads a zone file and its included files.
pub(super) struct ZoneReader<'a> {
    builder: ZoneBuilder,
    each: Option<Each<'a>>,
    include: Include<'a>,
    included: Vec<String>,
    included_text: usize,
    /// The position of each record passed to the builder, for its errors.
    places: Vec<RecordPlace>,
    faults: Vec<ZoneFault>,
    state: State,
}

/// The values that an entry inherits.
struct State {
    origin: WrittenName,
    owner: Owner,
    /// The value of `$TTL`.
    default_ttl: Option<u32>,
    /// The last explicit TTL (RFC 1035 section 5.1).
    last_ttl: Option<u32>,
    rdata: Vec<u8>,
}

/// The owner name of an entry that begins with a blank.
#[derive(Clone)]
enum Owner {
    /// No entry has named an owner yet.
    None,
    /// The last entry was unreadable. That fault is already reported, so later entries report none.
    Unreadable,
    Is(Name),
}

#[derive(Clone, Copy)]
struct RecordPlace {
    /// An index into `included`; `None` for the main text.
    file: Option<u32>,
    line: u32,
    column: u32,
}

/// A text being read.
#[derive(Clone, Copy)]
struct Source<'t> {
    text: &'t str,
    file: Option<u32>,
    depth: usize,
}

impl<'a> ZoneReader<'a> {
    pub(super) fn new(origin: &Name, include: Include<'a>) -> Self {
        Self {
            builder: ZoneBuilder::new(origin.clone()),
            each: None,
            include,
            included: Vec::new(),
            included_text: 0,
            places: Vec::new(),
            faults: Vec::new(),
            state: State {
                origin: WrittenName::of(origin.as_ref()),
                owner: Owner::None,
                default_ttl: None,
                last_ttl: None,
                rdata: Vec::new(),
            },
        }
    }

    /// Passes the records to `each` instead of making a zone of them.
    pub(super) fn with_each(mut self, each: Each<'a>) -> Self {
        self.each = Some(each);
        self
    }

    /// The faults of a text whose records went to `each`.
    pub(super) fn finish_records(self) -> Vec<ZoneFault> {
        self.faults
    }

    pub(super) fn read(&mut self, text: &str) {
        self.read_source(Source {
            text,
            file: None,
            depth: 0,
        });
    }

    /// [`MAX_INCLUDE_DEPTH`] bounds the recursion.
    fn read_source(&mut self, source: Source<'_>) {
        let mut scanner = Scanner::new(source.text);
        let mut words = Vec::new();
        while self.faults.len() < MAX_FAULTS
            && let Some(entry) = scanner.next_entry(&mut words)
        {
            if entry.is_err() {
                self.state.owner = Owner::Unreadable;
            }
            let done = entry.and_then(|entry| self.entry(entry, &words, source));
            if let Err(fault) = done {
                self.faults
                    .push(fault.in_text(source.text, self.file_name(source.file)));
            }
        }
    }

    fn entry(
        &mut self,
        entry: LogicalLine,
        words: &[Word<'_>],
        source: Source<'_>,
    ) -> Result<(), Fault> {
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        if !entry.indented && !first.quoted && first.text.starts_with('$') {
            return self.directive(first, rest, source);
        }
        let head = if entry.indented {
            words
        } else {
            self.state.owner = Owner::Unreadable;
            let owner = field::name(first, &self.state.origin)?;
            // The entries below belong to this name even if the rest of this entry is invalid.
            self.state.owner = Owner::Is(owner.canonical().as_ref().to_name());
            rest
        };
        let (ttl, rtype) = self.state.record(first, head)?;
        let owner = match &self.state.owner {
            Owner::Is(owner) => owner,
            Owner::Unreadable => return Ok(()),
            Owner::None => {
                return Err(first.fault(
                    "no name for this record: the line begins with a blank, and no record before \
                     it has a name",
                ));
            }
        };
        if self.each.is_some() {
            let record = ZoneRecord {
                owner: owner.clone(),
                ttl,
                rtype,
                rdata: self.state.rdata.clone(),
            };
            let file = self.file_name(source.file);
            let line = first.place.line;
            if let Some(each) = &mut self.each {
                each(PlacedRecord { file, line, record });
            }
            return Ok(());
        }
        self.places.push(RecordPlace {
            file: source.file,
            line: first.place.line,
            column: first.place.column(source.text),
        });
        let added = self
            .builder
            .add(owner.as_ref(), ttl, rtype, &self.state.rdata);
        added.map_err(|error| first.fault(error.to_string()))
    }

    fn directive(
        &mut self,
        directive: &Word<'_>,
        words: &[Word<'_>],
        source: Source<'_>,
    ) -> Result<(), Fault> {
        match (directive.text.to_ascii_uppercase().as_str(), words) {
            ("$ORIGIN", [name]) => {
                self.state.origin = field::name(name, &self.state.origin)?;
                Ok(())
            }
            ("$ORIGIN", _) => Err(directive.fault("$ORIGIN is followed by one name")),
            ("$TTL", [ttl]) => {
                self.state.default_ttl = Some(ttl_of(ttl)?);
                Ok(())
            }
            ("$TTL", _) => Err(directive.fault("$TTL is followed by one time, as in $TTL 1h")),
            ("$INCLUDE", [file]) => self.include(file, None, source),
            ("$INCLUDE", [file, origin]) => self.include(file, Some(origin), source),
            ("$INCLUDE", _) => {
                Err(directive.fault("$INCLUDE is followed by a file and, if need be, an origin"))
            }
            ("$GENERATE", _) => Err(directive.fault(
                "$GENERATE is BIND's own and not understood here; write the records out, or use a \
                 wildcard",
            )),
            _ => Err(directive.fault(format!(
                "{:?} is not a directive; there are $ORIGIN, $TTL and $INCLUDE (a name that \
                 begins with a dollar sign is written \\$)",
                shown(directive)
            ))),
        }
    }

    fn include(
        &mut self,
        file: &Word<'_>,
        origin: Option<&Word<'_>>,
        source: Source<'_>,
    ) -> Result<(), Fault> {
        let origin = origin
            .map(|word| field::name(word, &self.state.origin))
            .transpose()?;
        if source.depth >= MAX_INCLUDE_DEPTH || self.included.len() >= MAX_INCLUDES {
            return Err(file.fault(format!(
                "files include each other more than {MAX_INCLUDE_DEPTH} levels deep, or more than \
                 {MAX_INCLUDES} in all; does one include itself?"
            )));
        }
        let path = self.path_of(file, source)?;
        let text = (self.include)(&path)
            .map_err(|error| file.fault(format!("cannot read {:?}: {error}", short(&path))))?;
        self.included_text = self.included_text.saturating_add(text.len());
        if self.included_text > MAX_INCLUDED_TEXT {
            return Err(file.fault(format!(
                "the included files have more than {} MiB together",
                MAX_INCLUDED_TEXT >> 20
            )));
        }
        let number = u32::try_from(self.included.len()).unwrap_or(u32::MAX); // below MAX_INCLUDES
        self.included.push(path);
        // RFC 1035 section 5.1: the including file keeps its origin. As in BIND, it also keeps its
        // owner name.
        let outer_origin = self.state.origin.clone();
        let outer_owner = self.state.owner.clone();
        if let Some(origin) = origin {
            self.state.origin = origin;
        }
        self.read_source(Source {
            text: &text,
            file: Some(number),
            depth: source.depth + 1,
        });
        self.state.origin = outer_origin;
        self.state.owner = outer_owner;
        Ok(())
    }

    /// The path to pass to the closure.
    fn path_of(&self, file: &Word<'_>, source: Source<'_>) -> Result<String, Fault> {
        let mut bytes = Vec::new();
        push_string(file.text, &mut bytes).map_err(|error| file.fault(error.to_string()))?;
        let written = String::from_utf8(bytes)
            .ok()
            .filter(|path| !path.is_empty());
        let written = written.ok_or_else(|| file.fault("this is not the name of a file"))?;
        let including = self.file_name(source.file);
        let directory = including
            .as_deref()
            .and_then(|path| Path::new(path).parent());
        let path = directory.map(|directory| directory.join(&written));
        Ok(path.map_or(written, |path| path.to_string_lossy().into_owned()))
    }

    fn file_name(&self, file: Option<u32>) -> Option<String> {
        self.included.get(file? as usize).cloned()
    }

    pub(super) fn finish(mut self) -> Result<ParsedZone, Vec<ZoneFault>> {
        let builder = std::mem::replace(&mut self.builder, ZoneBuilder::new(Name::root()));
        match builder.finish() {
            Ok(zone) if self.faults.is_empty() => {
                return Ok(ParsedZone {
                    zone,
                    included: self.included,
                });
            }
            Ok(_) => {}
            Err(errors) => self.blame(errors),
        }
        let order = |fault: &ZoneFault| {
            let file = fault.file.as_ref();
            file.and_then(|file| self.included.iter().position(|own| own == file))
        };
        self.faults
            .sort_by_cached_key(|fault| (order(fault), fault.line, fault.column));
        Err(self.faults)
    }

    /// Adds positions to the errors of the builder.
    fn blame(&mut self, errors: Vec<ZoneError>) {
        let unread = !self.faults.is_empty();
        for error in errors {
            if unread && error.problem == ZoneProblem::NoSoa {
                continue; // it may be the record that could not be read
            }
            let place = error.record.and_then(|record| self.places.get(record));
            let place = place.copied().unwrap_or(RecordPlace {
                file: None,
                line: 1,
                column: 1,
            });
            if self.faults.len() < MAX_FAULTS {
                self.faults.push(ZoneFault {
                    file: self.file_name(place.file),
                    line: place.line,
                    column: place.column,
                    message: error.to_string(),
                });
            }
        }
    }
}

impl State {
    /// Reads `[TTL] [class] type data`, with TTL and class in either order. Stores the RDATA in
    /// `rdata`.
    fn record(&mut self, first: &Word<'_>, words: &[Word<'_>]) -> Result<(u32, RecordType), Fault> {
        let mut ttl = None;
        let mut classes = 0;
        let mut rest = words;
        let head = loop {
            let Some((word, after)) = rest.split_first() else {
                return Err(words
                    .last()
                    .unwrap_or(first)
                    .fault("the entry ends here; it should be: name [TTL] [IN] type data"));
            };
            rest = after;
            if ttl.is_none() && !word.quoted && word.text.starts_with(|c: char| c.is_ascii_digit())
            {
                ttl = Some(ttl_of(word)?);
            } else if classes == 0 && is_class_in(word)? {
                classes += 1;
            } else {
                break word;
            }
        };
        let rtype = record_data::type_of(head)?;
        let data = RdataText {
            rtype,
            head,
            words: rest,
            origin: &self.origin,
        };
        record_data::read(&data, &mut self.rdata)?;
        let ttl = match ttl.or(self.default_ttl).or(self.last_ttl) {
            Some(ttl) => ttl,
            // Files older than RFC 2308 have no other default TTL.
            None if rtype == RecordType::SOA => soa_minimum(&self.rdata),
            None => {
                return Err(first.fault(
                    "no TTL: write one behind the name, or a line $TTL 3600 at the top of the file",
                ));
            }
        };
        self.last_ttl = Some(ttl);
        Ok((ttl, rtype))
    }
}

fn soa_minimum(rdata: &[u8]) -> u32 {
    let minimum = rdata.last_chunk().copied().map_or(0, u32::from_be_bytes);
    minimum.min(MAX_TTL)
}

fn ttl_of(word: &Word<'_>) -> Result<u32, Fault> {
    let ttl = time(word.text).filter(|_| !word.quoted);
    ttl.ok_or_else(|| {
        word.fault(format!(
            "{:?} is not a TTL: seconds up to 2147483647, or units as in 1h30m; an entry is: \
             name [TTL] [IN] type data",
            shown(word)
        ))
    })
}

/// Whether the word is the class IN. Another class is an error.
fn is_class_in(word: &Word<'_>) -> Result<bool, Fault> {
    if word.is("IN") || word.is("CLASS1") {
        return Ok(true);
    }
    let other = ["CH", "CHAOS", "HS", "CS", "NONE"]
        .iter()
        .any(|class| word.is(class));
    let prefix = word.text.get(..5).unwrap_or_default();
    if other || (!word.quoted && prefix.eq_ignore_ascii_case("CLASS")) {
        return Err(word.fault("only the class IN is served; write IN or leave it out"));
    }
    Ok(false)
}

/// Reads a text with exactly one record.
pub(super) fn single(text: &str, origin: &Name) -> Result<ZoneRecord, Fault> {
    let start = TextPosition { line: 1, offset: 0 };
    let mut scanner = Scanner::new(text);
    let mut words = Vec::new();
    scanner.next_entry(&mut words).transpose()?;
    let Some((first, rest)) = words.split_first() else {
        return Err(Fault {
            place: start,
            message: "there is no record; write one as in \"db 300 IN A 10.0.0.5\"".to_owned(),
        });
    };
    if !first.quoted && first.text.starts_with('$') {
        return Err(first.fault("a directive belongs into a zone file; this is one record"));
    }
    let mut state = State {
        origin: WrittenName::of(origin.as_ref()),
        owner: Owner::None,
        default_ttl: Some(INLINE_TTL),
        last_ttl: None,
        rdata: Vec::new(),
    };
    let owner = field::name(first, &state.origin)?.canonical();
    let (ttl, rtype) = state.record(first, rest)?;
    let mut more = Vec::new();
    scanner.next_entry(&mut more).transpose()?;
    if let Some(word) = more.first() {
        return Err(word.fault("a second record; write each as an item of its own"));
    }
    Ok(ZoneRecord {
        owner: owner.as_ref().to_name(),
        ttl,
        rtype,
        rdata: state.rdata,
    })
}
