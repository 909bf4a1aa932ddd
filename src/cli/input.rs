//! Bounded reading of inputs other than configurations, from a file or standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, ensure};

/// Opens a file for reading; `-` is standard input, which can serve only one argument.
pub(super) fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new(dnsgate_config::STDIN) {
        ensure!(
            !dnsgate_config::stdin_is_read(),
            "standard input is the configuration already; name a file for one of the two"
        );
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Box::new(file))
}

/// Reads the whole input; more than `most` bytes are an error.
pub(super) fn read_all(input: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it is larger than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_input_above_the_limit() {
        assert_eq!(read_all(&b"abc"[..], 3).expect("it fits"), b"abc");
        let error = read_all(&b"abcd"[..], 3).expect_err("too large");
        assert_eq!(error.to_string(), "it is larger than 3 bytes");
    }
}
