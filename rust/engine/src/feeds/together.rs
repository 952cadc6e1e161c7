//! Several series side by side, instant by instant.

use super::Series;

/// Walks the instants at which any of some series has a state.
pub(super) struct Together<'a> {
    sources: &'a [&'a Series],
    next: Vec<usize>,
    prices: Vec<i64>,
}

impl<'a> Together<'a> {
    /// Before the first instant, where each stands at what it was left at.
    pub fn new(sources: &'a [&'a Series]) -> Self {
        Self {
            sources,
            next: vec![0; sources.len()],
            prices: sources.iter().map(|s| s.before.0).collect(),
        }
    }

    /// Where they stand.
    pub fn prices(&self) -> &[i64] {
        &self.prices
    }

    /// Goes to the next instant.
    pub fn step(&mut self) -> Option<i64> {
        let due = |(source, &next): (&&Series, &usize)| source.ts.get(next).copied();
        let t = self.sources.iter().zip(&self.next).filter_map(due).min()?;
        for ((source, next), price) in self.sources.iter().zip(&mut self.next).zip(&mut self.prices) {
            while source.ts.get(*next) == Some(&t) {
                *price = source.price[*next];
                *next += 1;
            }
        }
        Some(t)
    }
}
