//! Unpacks gzip while it is read, with a limit on how much a small file may become.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// The bytes with which a gzip file begins.
const MAGIC: &[u8] = b"\x1f\x8b";
/// The most bytes of output for each byte of gzip input. Query logs are packed 10 to 40 times, the most repetitive
/// 100 times; gzip can reach 1030 times, with data that is nothing but repetition.
const MAX_RATIO: u64 = 300;
/// The output up to which the ratio does not count: a short log may be one line, many times.
const FREE_OUTPUT: u64 = 64 << 20;
/// The size of the buffer behind the decoder.
const BUFFER: usize = 256 << 10;

/// Why an unpacked log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// It is packed so often that it is no log.
    #[error(
        "the gzip data has become {output} bytes, more than {MAX_RATIO} times its size: this is no log; unpack it yourself if it is"
    )]
    Bomb {
        /// The bytes so far.
        output: u64,
    },
}

/// Counts the bytes that pass.
pub(crate) struct Counted<R> {
    input: R,
    passed: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.passed += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.passed += count as u64;
        self.input.consume(count);
    }
}

/// The output of gzip; an error once it is too much for its input.
pub(crate) struct Gunzip<R: BufRead> {
    decoder: MultiGzDecoder<Counted<R>>,
    output: u64,
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        self.output += read as u64;
        let input = self.decoder.get_ref().passed;
        if self.output > FREE_OUTPUT && self.output / MAX_RATIO > input {
            let bomb = UnpackError::Bomb {
                output: self.output,
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, bomb));
        }
        Ok(read)
    }
}

/// A log with what has been looked at put back in front.
pub(crate) type Resumed<R> = Chain<Cursor<Vec<u8>>, R>;

/// A log, unpacked if it is packed.
pub(crate) enum Unpacked<R: BufRead> {
    /// It is not packed.
    Plain(Resumed<R>),
    /// It is packed by gzip.
    Gzip(Box<BufReader<Gunzip<Resumed<R>>>>),
}

impl<R: BufRead> Unpacked<R> {
    /// Looks at the first bytes.
    pub(crate) fn of(mut log: R) -> io::Result<Self> {
        let mut start = Vec::new();
        log.by_ref()
            .take(MAGIC.len() as u64)
            .read_to_end(&mut start)?;
        let is_packed = start == MAGIC;
        let input = Cursor::new(start).chain(log);
        if !is_packed {
            return Ok(Self::Plain(input));
        }
        let counted = Counted { input, passed: 0 };
        let decoder = MultiGzDecoder::new(counted);
        let reader = BufReader::with_capacity(BUFFER, Gunzip { decoder, output: 0 });
        Ok(Self::Gzip(Box::new(reader)))
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(log) => log.read(buffer),
            Self::Gzip(log) => log.read(buffer),
        }
    }
}

impl<R: BufRead> BufRead for Unpacked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain(log) => log.fill_buf(),
            Self::Gzip(log) => log.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::Plain(log) => log.consume(count),
            Self::Gzip(log) => log.consume(count),
        }
    }
}
