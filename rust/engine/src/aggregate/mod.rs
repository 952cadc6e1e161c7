//! Aggregates: sums over all margin accounts that stand for them in a test, as long as every change of an account goes through them.
//!
//! The value of a size is linear in it, so that the summed size and entry value of a side of a market are all that its profit depends on
//! besides the price. A [`Claim`] is such a sum against what is there for it: a pseudo-account, which the search looks for as it looks
//! for accounts. The sums are kept by the ledger, which every change of a leg goes through, and counted again at the end.

mod claim;

pub use claim::{Claim, Standing, Summed};

use crate::book::{Book, Leg};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::units::{Amount, Size};

/// Summed positions of one side of a market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    /// Signed size.
    pub size: Size,
    /// What it cost.
    pub entry_value: Amount,
}

/// The sums by market: longs, then shorts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides(Vec<[Side; 2]>);

impl Sides {
    /// Sums the positions of a book.
    ///
    /// # Errors
    /// Overflow.
    pub fn of(book: &Book, markets: usize) -> Result<Self> {
        let mut sides = Self(vec![[Side::default(); 2]; markets]);
        for leg in book.all_legs() {
            sides.add(leg)?;
        }
        Ok(sides)
    }

    fn at(&mut self, leg: &Leg) -> &mut Side {
        &mut self.0[leg.market][usize::from(leg.size.0 < 0)]
    }

    fn add(&mut self, leg: &Leg) -> Result<()> {
        let side = self.at(leg);
        side.size = side.size.plus(leg.size)?;
        side.entry_value = side.entry_value.plus(leg.entry_value)?;
        Ok(())
    }

    /// A position has changed.
    ///
    /// # Errors
    /// Overflow.
    pub fn change(&mut self, before: &Leg, after: &Leg) -> Result<()> {
        let side = self.at(before);
        side.size = side.size.plus(before.size.negated())?;
        side.entry_value = side.entry_value.minus(before.entry_value)?;
        self.add(after)
    }

    /// One side of a market.
    pub fn side(&self, market: MarketId, long: bool) -> Side {
        self.0[market][usize::from(!long)]
    }

    /// What all positions in markets that settle in an asset have cost.
    ///
    /// # Errors
    /// Overflow.
    pub fn entry_values(&self, venue: &Venue, asset: AssetId) -> Result<Amount> {
        let settled = self.0.iter().zip(&venue.markets).filter(|(_, m)| m.settlement == asset);
        let sides = settled.flat_map(|(sides, _)| sides);
        sides.map(|s| s.entry_value).try_fold(Amount::ZERO, Amount::plus)
    }
}
