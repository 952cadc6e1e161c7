//! The rows of a batch by market.

use arrow_array::{Array, StringArray};

use super::columns::Words;
use super::place::{Origin, Rows};
use crate::error::Result;

/// Numbers the markets of a chunk in the order in which they appear, and sorts the rows of its batches by them, stably.
#[derive(Debug, Default)]
pub(super) struct Groups {
    names: Vec<String>,
    /// The words of the last batch and the market of each, if it has appeared.
    words: Option<(StringArray, Vec<Option<usize>>)>,
    /// The rows of the last batch by market; market `m` has those from `ends[m - 1]` to `ends[m]`.
    order: Vec<u32>,
    ends: Vec<usize>,
    /// The only market of the last batch.
    only: Option<usize>,
    markets: Vec<u32>,
}

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
            self.words = Some((words.clone(), vec![None; words.len()]));
        }
        let Some((_, known)) = &mut self.words else {
            return Ok(());
        };
        self.markets.clear();
        let mut counts = vec![0usize; self.names.len()];
        for (&key, row) in column.keys().iter().zip(0u64..) {
            let slot = usize::try_from(key)
                .ok()
                .and_then(|key| known.get_mut(key).map(|slot| (key, slot)));
            let Some((key, slot)) = slot else {
                return Err(origin.row(
                    "market",
                    first + row,
                    "a key outside the dictionary (the data is damaged)",
                ));
            };
            let market = match *slot {
                Some(market) => market,
                None => {
                    let name = words.value(key);
                    if name.is_empty() {
                        return Err(origin.row(
                            "market",
                            first + row,
                            "expected the name of a market, got an empty string",
                        ));
                    }
                    let market = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
                        self.names.push(name.to_owned());
                        counts.push(0);
                        counts.len() - 1
                    });
                    *slot = Some(market);
                    market
                }
            };
            counts[market] += 1;
            self.markets.push(market as u32);
        }
        self.only = counts.iter().position(|&count| count == self.markets.len());
        if self.only.is_none() {
            self.sort(&counts);
        }
        Ok(())
    }

    fn sort(&mut self, counts: &[usize]) {
        self.ends.clear();
        let mut next = Vec::with_capacity(counts.len());
        let mut end = 0;
        for count in counts {
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

    /// The rows of a market in the last batch; None if it has none.
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
