//! A record of one kind: rows are added at the end and read from the beginning; the earlier ones may have left memory.

use std::borrow::Cow;
use std::sync::Arc;

use super::spill::{Group, Row, SpillFile};
use crate::error::Result;

/// The most rows in memory that are read as one part.
const PART: usize = 1 << 16;

/// Rows in the order in which they were added. The last ones are in memory.
#[derive(Debug, Clone)]
pub struct Log<T> {
    groups: Vec<Group>,
    spilled: usize,
    tail: Vec<T>,
    last: Option<T>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            spilled: 0,
            tail: Vec::new(),
            last: None,
        }
    }
}

impl<T: Row + Clone> Log<T> {
    /// Adds a row.
    pub fn push(&mut self, row: T) {
        self.tail.push(row);
    }

    /// Drops the rows from this one on, which are in memory.
    pub fn truncate(&mut self, rows: usize) {
        self.tail.truncate(rows.saturating_sub(self.spilled));
    }

    /// Takes room for more rows.
    pub fn reserve(&mut self, rows: usize) {
        self.tail.reserve(rows);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.spilled + self.tail.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last row.
    pub fn last(&self) -> Option<&T> {
        self.tail.last().or(self.last.as_ref())
    }

    /// The rows from this one on, of those that are in memory.
    pub fn since(&self, row: usize) -> &[T] {
        &self.tail[row.saturating_sub(self.spilled).min(self.tail.len())..]
    }

    /// Number of parts in which the rows are read, at least one.
    pub fn parts(&self) -> usize {
        self.groups.len() + self.tail.len().div_ceil(PART).max(1)
    }

    /// The rows of a part: first those of the file, then those in memory.
    ///
    /// # Errors
    /// [`Error::Spill`](crate::error::Error::Spill) if they cannot be read.
    pub fn part(&self, part: usize) -> Result<Cow<'_, [T]>> {
        match self.groups.get(part) {
            Some(group) => group.read().map(Cow::Owned),
            None => {
                let from = ((part - self.groups.len()) * PART).min(self.tail.len());
                Ok(Cow::Borrowed(&self.tail[from..self.tail.len().min(from + PART)]))
            }
        }
    }

    /// Number of the first row of a part.
    pub fn first_of(&self, part: usize) -> usize {
        let spilled: usize = self.groups.iter().take(part).map(|group| group.rows).sum();
        spilled + part.saturating_sub(self.groups.len()) * PART
    }

    /// Shows every row to `look`, with its number.
    ///
    /// # Errors
    /// Those of [`Self::part`], and of `look`.
    pub fn each(&self, mut look: impl FnMut(usize, &T) -> Result<()>) -> Result<()> {
        let mut number = 0;
        for part in 0..self.parts() {
            for row in &*self.part(part)? {
                look(number, row)?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Moves whole groups of rows to the file, if there are so many.
    ///
    /// # Errors
    /// [`Error::Spill`](crate::error::Error::Spill) if they cannot be written.
    pub fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        let group = file.rows();
        while self.tail.len() >= group {
            self.groups.push(file.write(&self.tail[..group])?);
            self.last = self.tail.drain(..group).next_back();
            self.spilled += group;
        }
        Ok(())
    }
}
