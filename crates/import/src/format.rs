//! The formats, one module each: text → statements of the draft.

use dnsgate_core::{
    dns::Name,
    zone::{PlacedRecord, parse_records},
};

use crate::{
    ImportError, IncludeReader, Place, SourceFile, SourceFormat, detect, draft::Draft,
    source::MAX_DEPTH, statement::ZoneLine,
};

pub(crate) mod corefile;
pub(crate) mod domains;
pub(crate) mod fqdn_policy;
pub(crate) mod gcloud_dns;
pub(crate) mod response_policy;
pub(crate) mod route53;
pub(crate) mod rpz;
pub(crate) mod servers;
pub(crate) mod unbound;

/// Reads all files into the draft.
pub(crate) fn read(
    format: SourceFormat,
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    let format = match format {
        SourceFormat::Auto => detect::one_format(sources)?,
        told => {
            detect::check(told, sources)?;
            told
        }
    };
    match format {
        SourceFormat::Auto => Ok(()), // `one_format` gives one of the others
        SourceFormat::GcloudDns => gcloud_dns::read(sources, includes, draft),
        SourceFormat::GcloudResponsePolicy => response_policy::read(sources, draft),
        SourceFormat::Rpz => rpz::read(sources, includes, draft),
        SourceFormat::Unbound => unbound::read(sources, includes, draft),
        SourceFormat::Corefile => corefile::read(sources, includes, draft),
        SourceFormat::Route53Firewall => route53::read(sources, draft),
        SourceFormat::FqdnPolicy => fqdn_policy::read(sources, draft),
        SourceFormat::Domains => domains::read(sources, draft),
    }
}

/// The records of a zone file, with their places. A file that cannot be read whole is an error: what is missing may be a denial.
pub(crate) fn zone_lines(
    source: &SourceFile,
    origin: &Name,
    includes: &mut dyn IncludeReader,
) -> Result<Vec<ZoneLine>, ImportError> {
    let mut lines = Vec::new();
    let mut names = std::collections::HashMap::new();
    let mut depth = 0;
    let mut include = |path: &str| {
        depth += 1;
        if depth > MAX_DEPTH * 100 {
            return Err("too many files are included".to_owned());
        }
        let file = includes.read(&source.name, path)?;
        names.insert(path.to_owned(), file.name);
        Ok(file.text)
    };
    let mut found: Vec<PlacedRecord> = Vec::new();
    let read = parse_records(&source.text, origin, &mut include, &mut |record| {
        found.push(record)
    });
    let name_of = |file: &Option<String>| match file {
        Some(file) => names
            .get(file)
            .cloned()
            .unwrap_or_else(|| file.as_str().into()),
        None => source.name.clone(),
    };
    if let Err(faults) = read
        && let Some(fault) = faults.first()
    {
        let mut place = Place::line(&name_of(&fault.file), fault.line as usize);
        place.column = fault.column;
        let mut why = crate::report::short(&fault.message);
        if why.contains("\"@TTL\"") || fault.message.contains("@TTL") {
            why.push_str("; $TTL is written with a dollar sign");
        }
        return Err(ImportError::Content { place, why });
    }
    lines.extend(found.into_iter().map(|placed| ZoneLine {
        place: Place::line(&name_of(&placed.file), placed.line as usize),
        owner: placed.record.owner,
        ttl: placed.record.ttl,
        rtype: placed.record.rtype,
        rdata: placed.record.rdata,
    }));
    Ok(lines)
}
