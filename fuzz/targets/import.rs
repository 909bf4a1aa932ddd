//! Any text as a file of any format that `dnsgate import` reads; the first byte chooses the format.
//!
//! Held: no panic; what is written is a configuration (the crate parses it itself, and an error of that kind is a fault here);
//! reading again gives the same; without an upstream of the operator or of the file nothing is forwarded; items of the
//! report have places in the file.

use dnsgate_import::{
    ImportError, ImportOptions, IncludeReader, SourceFile, SourceFormat, import_texts,
};

/// Files that an input can include.
struct Beside<'t>(&'t str);

impl IncludeReader for Beside<'_> {
    fn read(&mut self, _: &str, path: &str) -> Result<SourceFile, String> {
        let text = match path {
            "f" => "10.0.0.1 a.b\n",
            "itself" => self.0,
            _ => return Err("there is no such file".to_owned()),
        };
        SourceFile::new(path, text.as_bytes().to_vec()).map_err(|error| error.to_string())
    }
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let format = SourceFormat::ALL[usize::from(first) % SourceFormat::ALL.len()];
    let (Ok(file), Ok(list)) = (
        SourceFile::new("input", rest.to_vec()),
        SourceFile::new("list.txt", b"a.b\n*.c\n".to_vec()),
    ) else {
        return;
    };
    let text = file.text.clone();
    let sources = match format {
        SourceFormat::Route53Firewall => vec![file, list],
        _ => vec![file],
    };
    let options = ImportOptions {
        keep_default_allow: first >= 128,
        ..ImportOptions::default()
    };
    let run = || import_texts(format, &sources, &mut Beside(&text), &options);
    match run() {
        Ok(import) => {
            let again = run().map(|again| again.text).unwrap_or_default();
            assert_eq!(import.text, again, "reading again gives something else");
            let has_servers = matches!(
                format,
                SourceFormat::Auto
                    | SourceFormat::GcloudDns
                    | SourceFormat::Unbound
                    | SourceFormat::Corefile
            );
            assert!(
                has_servers || !import.text.contains("\n    forward:"),
                "forwarded to nobody:\n{}",
                import.text
            );
            let lines = text.split('\n').count() + 1;
            for item in &import.report.items {
                let inside = &*item.place.file != "input" || item.place.line as usize <= lines;
                assert!(inside && !item.what.is_empty(), "{item:?}");
            }
        }
        Err(ImportError::Invalid(why)) => {
            // Limits of a configuration are told so, and so is a missing file; anything else is a fault of the writer.
            let known = [
                "more than",
                "at most",
                "the most",
                "longer than",
                "no file was named",
                "dnsgate itself",
                "is there twice",
            ];
            assert!(known.iter().any(|known| why.contains(known)), "{why}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
