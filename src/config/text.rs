//! Files as text, within bounds.

use std::{fs::File, io::Read, path::Path};

/// The largest configuration file, in bytes: some hundred thousand names. Longer lists are no
/// longer read by people.
pub(super) const MAX_CONFIG: u64 = 16 << 20;
/// The largest zone file, in bytes: [`MAX_RECORDS`](crate::zone::MAX_RECORDS) of them take less.
pub(super) const MAX_ZONE: u64 = 256 << 20;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("is not a file")]
    NoFile,
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    #[error("is not UTF-8 text (byte {0} is the first that is not)")]
    NotUtf8(usize),
}

/// Reads a file that another one names. Pipes and devices are refused: they might never end.
pub(super) fn read_named(path: &Path, most: u64) -> Result<String, ReadError> {
    if !path.metadata()?.is_file() {
        return Err(ReadError::NoFile);
    }
    read(path, most)
}

/// Reads at most `most` bytes of a file, which may be a pipe: the operator named it just now.
pub(super) fn read(path: &Path, most: u64) -> Result<String, ReadError> {
    if path.is_dir() {
        return Err(ReadError::NoFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(ReadError::TooLarge(most));
    }
    String::from_utf8(bytes).map_err(|error| ReadError::NotUtf8(error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_file_is_told_apart() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("file");
        let told = |path: &Path| read_named(path, 4).map_err(|error| error.to_string());
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
}
