//! Reads a frame stream: control frames and data frames, each behind its length.
//!
//! The format is that of farsightsec's fstrm, <https://farsightsec.github.io/fstrm/>: a length of 0 announces a control
//! frame, which has a length of its own. A file begins with START, whose field names the type of the content, and ends
//! with STOP.

use std::io::{self, BufRead, Read as _};

/// The content type of dnstap.
const DNSTAP: &[u8] = b"protobuf:dnstap.Dnstap";
/// The longest data frame that is read, in bytes: two DNS messages and what is said about them. A longer one is skipped.
const MAX_FRAME: u32 = 256 << 10;
/// The longest control frame, in bytes, as fstrm limits it.
const MAX_CONTROL: u32 = 512;
const START: u32 = 2;
const STOP: u32 = 3;
const CONTENT_TYPE: u32 = 1;

/// What is wrong with a frame stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The input cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It ends within a frame.
    #[error("the frame stream is cut within frame {0}")]
    Cut(u64),
    /// A control frame is too long, or has no type.
    #[error("frame {0} is not a valid control frame")]
    Control(u64),
    /// The stream holds something else.
    #[error("the frame stream holds {0:?}, not {dnstap:?}", dnstap = String::from_utf8_lossy(DNSTAP))]
    Content(String),
}

/// The data frames of a stream.
pub(crate) struct FrameReader<R> {
    log: R,
    frame: Vec<u8>,
    number: u64,
}

/// Whether a log with this beginning is a frame stream.
pub(crate) fn is_frame_stream(start: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = start.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    word(0) == Some(0) && word(4).is_some_and(|len| len <= MAX_CONTROL) && word(8) == Some(START)
}

impl<R: BufRead> FrameReader<R> {
    /// The frames of this stream.
    pub(crate) const fn new(log: R) -> Self {
        Self {
            log,
            frame: Vec::new(),
            number: 0,
        }
    }

    /// The next data frame; empty if it was too long. `None` after STOP, and at the end of the input.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, FrameError> {
        loop {
            if self.log.fill_buf()?.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            let len = self.word()?;
            if len == 0 {
                if self.control()? == STOP {
                    return Ok(None);
                }
                continue;
            }
            self.frame.clear();
            let wanted = if len > MAX_FRAME { 0 } else { len };
            self.take(wanted)?;
            self.skip(len - wanted)?;
            return Ok(Some(&self.frame));
        }
    }

    /// The type of a control frame. The content of START must be dnstap.
    fn control(&mut self) -> Result<u32, FrameError> {
        let len = self.word()?;
        if !(4..=MAX_CONTROL).contains(&len) {
            return Err(FrameError::Control(self.number));
        }
        let control = self.word()?;
        self.frame.clear();
        self.take(len - 4)?;
        let field = self.frame.split_first_chunk::<4>();
        if let Some((kind, rest)) = field
            && control == START
            && u32::from_be_bytes(*kind) == CONTENT_TYPE
        {
            let content = rest.get(4..).unwrap_or_default();
            if content != DNSTAP {
                let content = String::from_utf8_lossy(content).into_owned();
                return Err(FrameError::Content(content));
            }
        }
        Ok(control)
    }

    fn word(&mut self) -> Result<u32, FrameError> {
        let mut word = [0; 4];
        match self.log.read_exact(&mut word) {
            Ok(()) => Ok(u32::from_be_bytes(word)),
            Err(error) => Err(self.ended(error)),
        }
    }

    /// Appends this many bytes to the frame.
    fn take(&mut self, len: u32) -> Result<(), FrameError> {
        let read = (&mut self.log)
            .take(len.into())
            .read_to_end(&mut self.frame)?;
        if read as u64 == u64::from(len) {
            Ok(())
        } else {
            Err(FrameError::Cut(self.number))
        }
    }

    fn skip(&mut self, len: u32) -> Result<(), FrameError> {
        let skipped = io::copy(&mut (&mut self.log).take(len.into()), &mut io::sink())?;
        if skipped == u64::from(len) {
            Ok(())
        } else {
            Err(FrameError::Cut(self.number))
        }
    }

    fn ended(&self, error: io::Error) -> FrameError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => FrameError::Cut(self.number),
            _ => FrameError::Io(error),
        }
    }
}
