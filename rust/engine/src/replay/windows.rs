//! The tape as a replay takes it: whole, or window by window.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::tape::Tape;
use crate::ticks::{Columns, Selection, Source, Stream};
use crate::units::Price;

/// Ticks of a run in the order of time. No window splits an instant.
pub(super) trait Windows {
    /// Markets and assets with everything resolved; its ticks are not used.
    fn header(&self) -> &Tape;

    /// First and last timestamp of the whole tape.
    ///
    /// # Errors
    /// [`Error::Data`] if there are no ticks.
    fn span(&self) -> Result<(i64, i64)>;

    /// Number of ticks of the whole tape.
    fn ticks(&self) -> u64;

    /// Only the ticks of these markets are used, by their places in the header; others may be left out.
    fn keep(&mut self, markets: &[bool]);

    /// The first state of each market of the whole tape, of those that are used.
    ///
    /// # Errors
    /// Those of reading.
    fn first_states(&mut self, progress: &dyn Progress) -> Result<Vec<Price>>;

    /// The ticks of the next window; None at the end. The last window without ticks reaches to the end of the tape.
    ///
    /// # Errors
    /// Those of reading.
    fn next(&mut self, progress: &dyn Progress) -> Result<Option<Cow<'_, Tape>>>;
}

fn no_ticks() -> Error {
    Error::Data("the tape has no ticks".to_owned())
}

/// A tape in memory: one window.
pub(super) struct Whole<'a> {
    tape: &'a Tape,
    taken: bool,
}

impl<'a> Whole<'a> {
    pub fn new(tape: &'a Tape) -> Self {
        Self { tape, taken: false }
    }
}

impl Windows for Whole<'_> {
    fn header(&self) -> &Tape {
        self.tape
    }

    fn span(&self) -> Result<(i64, i64)> {
        self.tape.start().zip(self.tape.end()).ok_or_else(no_ticks)
    }

    fn ticks(&self) -> u64 {
        self.tape.rows() as u64
    }

    fn keep(&mut self, _markets: &[bool]) {}

    fn first_states(&mut self, _progress: &dyn Progress) -> Result<Vec<Price>> {
        let first = self.tape.first_states();
        Ok(first.into_iter().map(|p| p.unwrap_or(Price(1))).collect())
    }

    fn next(&mut self, _progress: &dyn Progress) -> Result<Option<Cow<'_, Tape>>> {
        let first = !std::mem::replace(&mut self.taken, true);
        Ok(first.then_some(Cow::Borrowed(self.tape)))
    }
}

/// A tape that is read chunk by chunk.
pub(super) struct Chunks {
    source: Source,
    chunk: usize,
    stream: Stream,
    /// Ticks of the whole tape.
    ticks: u64,
    /// Which markets are read.
    kept: Vec<bool>,
    /// The first chunk, once it was looked at.
    head: Option<Tape>,
    /// How far the windows have come.
    reached: Option<i64>,
}

impl Chunks {
    /// Opens a source, of which only times and prices are read, and sizes if they are wanted.
    pub fn open(source: &Source, chunk: usize, sizes: bool, progress: &dyn Progress) -> Result<Self> {
        let source = source.select(Selection {
            columns: Columns {
                size: sizes,
                side: false,
            },
            markets: None,
        });
        let stream = source.stream(chunk, progress)?;
        Ok(Self {
            source,
            chunk,
            ticks: stream.rows(),
            kept: vec![true; stream.header().markets.len()],
            stream,
            head: None,
            reached: None,
        })
    }
}

impl Windows for Chunks {
    fn header(&self) -> &Tape {
        self.stream.header()
    }

    fn span(&self) -> Result<(i64, i64)> {
        if self.ticks == 0 {
            return Err(no_ticks());
        }
        Ok((self.stream.start(), self.stream.end()))
    }

    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn keep(&mut self, markets: &[bool]) {
        self.stream.keep(markets);
        markets.clone_into(&mut self.kept);
    }

    fn first_states(&mut self, progress: &dyn Progress) -> Result<Vec<Price>> {
        self.head = self.stream.next(progress)?;
        let mut first = match &self.head {
            Some(head) => head.first_states(),
            None => vec![None; self.kept.len()],
        };
        // A market that begins later stands at its first state until then: read on to find it, on a stream of its own.
        let late: Vec<bool> = first.iter().zip(&self.kept).map(|(f, k)| *k && f.is_none()).collect();
        let mut missing = late.iter().filter(|late| **late).count();
        if missing > 0 {
            let mut ahead = self.source.stream(self.chunk, progress)?;
            ahead.keep(&late);
            while missing > 0
                && let Some(chunk) = ahead.next(progress)?
            {
                for (known, found) in first.iter_mut().zip(chunk.first_states()) {
                    missing -= usize::from(known.is_none() && found.is_some());
                    *known = known.or(found);
                }
            }
        }
        Ok(first.into_iter().map(|p| p.unwrap_or(Price(1))).collect())
    }

    fn next(&mut self, progress: &dyn Progress) -> Result<Option<Cow<'_, Tape>>> {
        let chunk = match self.head.take() {
            Some(head) => Some(head),
            None => self.stream.next(progress)?,
        };
        let end = self.stream.end();
        if let Some(chunk) = chunk {
            self.reached = chunk.end();
            return Ok(Some(Cow::Owned(chunk)));
        }
        // Ticks that were left out may be the last.
        let open = self.reached.is_none_or(|reached| reached < end);
        self.reached = Some(end);
        Ok(open.then(|| Cow::Borrowed(self.stream.header())))
    }
}
