//! The rows of a batch by market.

use arrow_array::{Array, StringArray};

use super::columns::Words;
use super::place::{Origin, Rows};
use crate::error::Result;

/// Numbers the markets of a chunk in the order in which they appear, and sorts the rows of its batches by them, stably.
#[derive(Debug, Default)]
pub(super) struct Groups {
    names: Vec<String>,
    /// The words of the last batch and the number of the market of each, or [`NONE`].
    words: Option<(StringArray, Vec<u32>)>,
    /// The market of each row of the last batch.
    markets: Vec<u32>,
    /// The number of rows of each market in the last batch.
    counts: Vec<usize>,
    /// The only market of the last batch.
    only: Option<usize>,
    /// The rows of the last batch by market; market `m` has those from `ends[m - 1]` to `ends[m]`.
    order: Vec<u32>,
    ends: Vec<usize>,
}

/// A word that has not appeared yet, or a key that is no word.
const NONE: u32 = u32::MAX;

impl Groups {
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes the next batch, which begins at row `first` of the origin.
    pub fn take(&mut self, origin: &Origin, column: &Words, first: u64) -> Result<()> {
        let words = column.words();
        // Batches of one dictionary share it.
        let same = self.words.as_ref().is_some_and(|(last, _)| {
            last.len() == words.len() && last.offsets().ptr_eq(words.offsets()) && last.values().ptr_eq(words.values())
        });
        if !same {
            self.words = Some((words.clone(), vec![NONE; words.len()]));
        }
        let (Some((words, known)), keys) = (&mut self.words, column.keys()) else {
            return Ok(());
        };
        self.markets.clear();
        // A negative key becomes one that is out of range.
        self.markets.extend(
            keys.iter()
                .map(|&key| known.get(key as u32 as usize).copied().unwrap_or(NONE)),
        );
        for ((market, &key), row) in self
            .markets
            .iter_mut()
            .zip(keys)
            .zip(first..)
            .filter(|((market, _), _)| **market == NONE)
        {
            let Some(slot) = known.get_mut(key as u32 as usize) else {
                return Err(origin.row("market", row, "a key outside the dictionary (the data is damaged)"));
            };
            if *slot == NONE {
                let name = words.value(key as usize);
                if name.is_empty() {
                    return Err(origin.row("market", row, "expected the name of a market, got an empty string"));
                }
                let number = self
                    .names
                    .iter()
                    .position(|known| known == name)
                    .unwrap_or(self.names.len());
                if number == self.names.len() {
                    self.names.push(name.to_owned());
                }
                *slot = number as u32;
            }
            *market = *slot;
        }
        self.counts.clear();
        self.counts.resize(self.names.len(), 0);
        for &market in &self.markets {
            self.counts[market as usize] += 1;
        }
        self.only = self.counts.iter().position(|&count| count == self.markets.len());
        Ok(())
    }

    /// The number of rows of each market in the last batch.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Sorts the rows of the last batch by market, for [`Groups::rows`].
    pub fn sort(&mut self) {
        if self.only.is_some() {
            return;
        }
        self.ends.clear();
        let mut next = Vec::with_capacity(self.counts.len());
        let mut end = 0;
        for count in &self.counts {
            next.push(end);
            end += count;
            self.ends.push(end);
        }
        self.order.clear();
        self.order.resize(self.markets.len(), 0);
        for (&market, row) in self.markets.iter().zip(0u32..) {
            let slot = &mut next[market as usize];
            self.order[*slot] = row;
            *slot += 1;
        }
    }

    /// The rows of a market in the last batch, which is sorted; None if it has none.
    pub fn rows(&self, market: usize) -> Option<Rows<'_>> {
        match self.only {
            Some(only) => (only == market && !self.markets.is_empty()).then_some(Rows::All),
            None => {
                let start = if market == 0 { 0 } else { self.ends[market - 1] };
                let rows = &self.order[start..self.ends[market]];
                (!rows.is_empty()).then_some(Rows::These(rows))
            }
        }
    }

    /// The row of the last batch at which the `nth` tick of a market stands, or how many it has.
    pub fn nth(&self, market: &str, nth: u64) -> std::result::Result<u64, u64> {
        let mut seen = 0;
        for (&number, row) in self.markets.iter().zip(0u64..) {
            if self.names[number as usize] == market {
                if seen == nth {
                    return Ok(row);
                }
                seen += 1;
            }
        }
        Err(seen)
    }
}
