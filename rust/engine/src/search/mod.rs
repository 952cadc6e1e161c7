//! Trigger search: when does an account next fall below its requirement?
//!
//! The price path is known in advance, so this is a first-passage query, not a scan of all accounts at every instant. Floats prune,
//! integers decide: an implementation may skip an interval only if a proven lower bound of `equity - requirement` over it is
//! positive, and must decide every instant that it does not skip by [`Margin::health`](crate::margin::Margin::health).

mod aggregate;
mod certificate;
mod cursors;
mod displaced;
mod epochs;
mod grid;
mod index;
mod passage;
mod pyramid;
mod query;
mod ranges;
mod recovery;
mod walk;

#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Present};
pub use displaced::Band;
pub use index::Index;
pub use passage::{Scratch, Search};
pub use ranges::PriceRanges;

use crate::book::Book;
use crate::error::Result;
use crate::units::Price;

/// The instant at which an account fails its test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// When.
    pub ts: i64,
    /// The print at which it failed, where every print is a state.
    pub seen: Option<Price>,
}

/// Finds first passages. Queries of different accounts are independent.
pub trait TriggerSearch: Sync {
    /// The first instant strictly after `after` (or from the opening on, inclusive, if None) at which the account, as it now stands in
    /// the book, is liquidatable; None if there is none until the end of the window.
    ///
    /// # Errors
    /// Overflow in an exact evaluation.
    fn first<'s>(
        &'s self,
        book: &Book,
        account: usize,
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>>;
}
