//! Reads the files as bounded text, and the files that they include.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{ImportError, report::short};

/// The largest file, in bytes. The largest published block lists have a third of that.
const MAX_FILE: u64 = 64 << 20;
/// The most bytes of all included files together.
const MAX_INCLUDED: usize = 64 << 20;
/// The most included files.
const MAX_INCLUDES: usize = 1_000;
/// How deep files may include each other; it also ends a file that includes itself.
pub(crate) const MAX_DEPTH: usize = 10;

/// A file in memory.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name in messages; for included files also the path.
    pub name: Arc<str>,
    /// Its text, with line feeds as line ends and without a byte order mark.
    pub text: String,
}

impl SourceFile {
    /// Makes text of the bytes of a file.
    ///
    /// # Errors
    /// The bytes are not text in UTF-8; the message says what they look like.
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<Self, ImportError> {
        text_of(bytes)
            .map(|text| Self {
                name: name.into(),
                text,
            })
            .map_err(|why| unreadable(name, why))
    }

    /// The lines, numbered from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.split('\n').enumerate();
        lines.map(|(at, line)| (at + 1, line))
    }
}

/// Reads the files that other files include.
pub trait IncludeReader {
    /// Reads `path` as it stands in the file `from`.
    ///
    /// # Errors
    /// Why it is not read.
    fn read(&mut self, from: &str, path: &str) -> Result<SourceFile, String>;
}

/// Refuses every include, for texts without a place in the file system.
#[derive(Clone, Copy, Debug)]
pub struct NoIncludes;

impl IncludeReader for NoIncludes {
    fn read(&mut self, _: &str, _: &str) -> Result<SourceFile, String> {
        Err("files are not included here".to_owned())
    }
}

/// Reads included files from the directory of the file that the operator named, or from everywhere.
pub(crate) struct FileIncludes {
    anywhere: bool,
    /// The directory that the includes of an included file must stay in.
    roots: HashMap<Arc<str>, PathBuf>,
    files: usize,
    bytes: usize,
}

impl FileIncludes {
    pub(crate) fn new(anywhere: bool) -> Self {
        Self {
            anywhere,
            roots: HashMap::new(),
            files: 0,
            bytes: 0,
        }
    }
}

impl IncludeReader for FileIncludes {
    fn read(&mut self, from: &str, path: &str) -> Result<SourceFile, String> {
        if from == dnsgate_config::STDIN && !self.anywhere {
            return Err("standard input has no directory; name the file itself".to_owned());
        }
        let directory = Path::new(from).parent().unwrap_or(Path::new(""));
        let directory = match directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => directory,
        };
        let joined = directory.join(path);
        let root = match self.roots.get(from) {
            Some(root) => root.clone(),
            None => directory
                .canonicalize()
                .map_err(|error| error.to_string())?,
        };
        let real = joined.canonicalize().map_err(|error| error.to_string())?;
        if !self.anywhere && !real.starts_with(&root) {
            return Err(
                "it is outside the directory of the file that includes it; pass --allow-includes if that is meant".to_owned(),
            );
        }
        if !real.is_file() {
            return Err("it is not a file".to_owned());
        }
        self.files += 1;
        if self.files > MAX_INCLUDES {
            return Err(format!("more than {MAX_INCLUDES} files are included"));
        }
        let bytes = bytes(&real)?;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_INCLUDED {
            let most = MAX_INCLUDED >> 20;
            return Err(format!(
                "the included files have more than {most} MiB together"
            ));
        }
        let name: Arc<str> = joined.to_string_lossy().into();
        self.roots.insert(Arc::clone(&name), root);
        Ok(SourceFile {
            name,
            text: text_of(bytes)?,
        })
    }
}

/// Reads a file that the operator named; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<SourceFile, ImportError> {
    let name = path.to_string_lossy();
    let bytes = if path == Path::new(dnsgate_config::STDIN) {
        limited(io::stdin().lock())
    } else {
        bytes(path)
    };
    SourceFile::new(&name, bytes.map_err(|why| unreadable(&name, why))?)
}

fn unreadable(name: &str, why: String) -> ImportError {
    let file = match name {
        dnsgate_config::STDIN => "standard input".to_owned(),
        name => short(name),
    };
    ImportError::Unreadable { file, why }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    if path.is_dir() {
        return Err("this is a directory; name the files in it".to_owned());
    }
    limited(File::open(path).map_err(|error| format!("it cannot be read: {error}"))?)
}

fn limited(input: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        let most = MAX_FILE >> 20;
        return Err(format!(
            "it is larger than {most} MiB; a policy is smaller. A long list of names needs no import: name it under domains_file of a rule"
        ));
    }
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    let looks = match bytes.get(..4).unwrap_or(&bytes) {
        [0x1f, 0x8b, ..] => Some("gzip; unpack it with gunzip"),
        [b'P', b'K', 3, 4] => Some("a zip archive; unpack it"),
        [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd; unpack it with unzstd"),
        [b'B', b'Z', b'h', _] => Some("bzip2; unpack it with bunzip2"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("text in UTF-16; save it as UTF-8"),
        _ => None,
    };
    if let Some(looks) = looks {
        return Err(format!("it looks like {looks}"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("it is not UTF-8 text (byte {at} is the first that is not)")
    })?;
    if let Some(at) = text.find('\0') {
        return Err(format!("it is not text: byte {at} is zero"));
    }
    let text = text
        .strip_prefix('\u{feff}')
        .map_or_else(|| text.clone(), str::to_owned);
    Ok(if text.contains('\r') {
        text.replace("\r\n", "\n")
    } else {
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_told_by_what_they_look_like() {
        for (bytes, told) in [
            (&b"\x1f\x8b\x08\0"[..], "gunzip"),
            (b"PK\x03\x04abc", "zip"),
            (b"\xff\xfea\0", "UTF-16"),
            (b"a\xff", "byte 1"),
            (b"a\0b", "byte 1 is zero"),
        ] {
            let error = SourceFile::new("f", bytes.to_vec()).expect_err(told);
            assert!(error.to_string().contains(told), "{error}");
        }
        let text = SourceFile::new("f", b"\xef\xbb\xbfa\r\nb".to_vec()).expect("text");
        assert_eq!(text.text, "a\nb");
    }

    #[test]
    fn includes_stay_in_the_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).expect("a directory");
        std::fs::write(dir.path().join("outside"), "o").expect("written");
        std::fs::write(sub.join("inside"), "i").expect("written");
        std::os::unix::fs::symlink(dir.path().join("outside"), sub.join("link")).expect("linked");
        let main = sub.join("main");
        let main = main.to_str().expect("letters");
        for (path, allowed) in [("inside", true), ("../outside", false), ("link", false)] {
            let read = FileIncludes::new(false).read(main, path);
            assert_eq!(read.is_ok(), allowed, "{path}: {read:?}");
            assert!(FileIncludes::new(true).read(main, path).is_ok(), "{path}");
        }
        assert!(FileIncludes::new(true).read(main, "absent").is_err());
    }
}
