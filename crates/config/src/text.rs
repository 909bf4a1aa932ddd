//! Reads files as bounded text, and records their hashes so that later changes can be detected.

use std::{
    fs::File,
    hash::{DefaultHasher, Hasher as _},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use dnsgate_core::dns::NameRef;

/// The largest configuration file, in bytes: some hundred thousand names. Nobody reads a longer
/// file.
pub(super) const MAX_CONFIG: u64 = 16 << 20;
/// The largest zone file, in bytes: [`MAX_RECORDS`](dnsgate_core::zone::MAX_RECORDS) records take less.
pub(super) const MAX_ZONE: u64 = 256 << 20;

/// Means standard input wherever the command line takes a file.
pub const STDIN: &str = "-";

/// The contents of standard input, kept because a reload may need them again and they can be read only once.
static FROM_STDIN: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();

/// Whether standard input was read as part of a configuration.
#[must_use]
pub fn stdin_is_read() -> bool {
    FROM_STDIN.get().is_some()
}

/// Reads at most `most` bytes of standard input.
fn stdin(most: u64) -> Result<Vec<u8>, ReadError> {
    let read = FROM_STDIN.get_or_init(|| {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(most + 1).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    });
    match read {
        Ok(bytes) if bytes.len() as u64 > most => Err(ReadError::TooLarge(most)),
        Ok(bytes) => Ok(bytes.clone()),
        Err(error) => Err(ReadError::Io(io::Error::other(error.clone()))),
    }
}

/// A name without its final dot; the root is `.`.
pub(super) fn shown(name: NameRef<'_>) -> String {
    match name.is_root() {
        true => ".".to_owned(),
        false => name.to_string().trim_end_matches('.').to_owned(),
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not a file")]
    NoFile,
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    #[error("is not UTF-8 text (byte {0} is the first that is not)")]
    NotUtf8(usize),
}

/// A file that a configuration was read from, or would have been if it existed, and a hash of its
/// contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    path: PathBuf,
    /// The most bytes that it may have.
    most: u64,
    /// `None` if it could not be read or was too large.
    hash: Option<u64>,
}

impl ReadFile {
    /// The path with which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A configuration file that cannot be read; once it can be read, it counts as changed.
    #[must_use]
    pub fn unread(path: &Path) -> Self {
        Self::absent(path, MAX_CONFIG)
    }

    /// A file that would have been read if it existed.
    pub(super) fn absent(path: &Path, most: u64) -> Self {
        Self {
            path: path.to_owned(),
            most,
            hash: None,
        }
    }

    /// Whether the contents have changed since they were read. It reads the whole file in pieces, so
    /// that a large zone file costs no memory.
    #[must_use]
    pub fn differs(&self) -> bool {
        hash_of(&self.path, self.most).ok() != self.hash
    }
}

/// Reads a file that another file names, and adds it to `files` even if that fails. It refuses pipes
/// and devices, which might never end.
pub(super) fn read_named(
    path: &Path,
    most: u64,
    files: &mut Vec<ReadFile>,
) -> Result<String, ReadError> {
    let refused = match path.metadata() {
        Ok(metadata) if metadata.is_file() => return read(path, most, files),
        Ok(_) => ReadError::NoFile,
        Err(error) => error.into(),
    };
    files.push(ReadFile::absent(path, most));
    Err(refused)
}

/// Reads at most `most` bytes of a file that the operator named, which may be a pipe or [`STDIN`].
pub(super) fn read(path: &Path, most: u64, files: &mut Vec<ReadFile>) -> Result<String, ReadError> {
    if path == Path::new(STDIN) {
        return text(stdin(most)?);
    }
    let bytes = bytes(path, most);
    files.push(ReadFile {
        path: path.to_owned(),
        most,
        hash: bytes.as_ref().ok().map(|bytes| hash(bytes.as_slice()).0),
    });
    text(bytes?)
}

fn text(bytes: Vec<u8>) -> Result<String, ReadError> {
    String::from_utf8(bytes).map_err(|error| ReadError::NotUtf8(error.utf8_error().valid_up_to()))
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    if path.is_dir() {
        return Err(ReadError::NoFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(ReadError::TooLarge(most));
    }
    Ok(bytes)
}

fn hash_of(path: &Path, most: u64) -> Result<u64, ReadError> {
    if path.is_dir() {
        return Err(ReadError::NoFile);
    }
    let (hash, len) = match hash(File::open(path)?.take(most + 1)) {
        (_, Err(error)) => return Err(error.into()),
        (hash, Ok(len)) => (hash, len),
    };
    if len > most {
        return Err(ReadError::TooLarge(most));
    }
    Ok(hash)
}

/// The hash of the readable bytes, and their number.
fn hash(mut from: impl Read) -> (u64, io::Result<u64>) {
    let mut hasher = Hashing(DefaultHasher::new());
    let copied = io::copy(&mut from, &mut hasher);
    (hasher.0.finish(), copied)
}

/// A hasher that implements `Write`. [`DefaultHasher::write`](std::hash::Hasher::write) gives the
/// same hash however the bytes are split into pieces; a test checks that.
struct Hashing(DefaultHasher);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_file_is_told_apart() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("file");
        let told =
            |path: &Path| read_named(path, 4, &mut Vec::new()).map_err(|error| error.to_string());
        assert!(told(&file).is_err_and(|told| told.starts_with("cannot be read: ")));
        assert_eq!(told(dir.path()), Err("is not a file".to_owned()));
        std::fs::write(&file, "abcde").expect("written");
        assert_eq!(told(&file), Err("is larger than 4 bytes".to_owned()));
        std::fs::write(&file, b"ab\xff").expect("written");
        assert_eq!(
            told(&file),
            Err("is not UTF-8 text (byte 2 is the first that is not)".to_owned())
        );
        std::fs::write(&file, "abcd").expect("written");
        assert_eq!(told(&file), Ok("abcd".to_owned()));
    }

    #[test]
    fn a_file_differs_when_reading_it_would_give_something_else() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("file");
        let most = 3 << 20;
        let large: Vec<u8> = (0..2 << 20).map(|at| (at % 251) as u8).collect();
        let other = [&large[1..], b"x"].concat();
        let too_large = vec![b'x'; (most + 1) as usize];
        let states: [Option<&[u8]>; 6] = [
            None,
            Some(b""),
            Some(b"text"),
            Some(&large),
            Some(&other),
            Some(&too_large),
        ];
        let put = |state: Option<&[u8]>| match state {
            Some(bytes) => std::fs::write(&path, bytes).expect("written"),
            None => {
                let _ = std::fs::remove_file(&path);
            }
        };
        for (at, before) in states.into_iter().enumerate() {
            let mut files = Vec::new();
            put(before);
            let _ = read_named(&path, most, &mut files);
            let [file] = &files[..] else {
                panic!("{files:?}")
            };
            assert_eq!(file.path(), path);
            for (to, after) in states.into_iter().enumerate() {
                put(after);
                // All unusable files count as equal.
                let same = at == to || [at, to] == [0, 5] || [at, to] == [5, 0];
                assert_eq!(file.differs(), !same, "{at} to {to}");
            }
        }
    }
}
