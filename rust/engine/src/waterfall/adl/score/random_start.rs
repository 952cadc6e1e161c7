//! No score: accounts in their order in the book, from a drawn one on.
//!
//! Source: dYdX v4, `protocol/x/clob/keeper/deleveraging.go`: counterparties are iterated from a pseudo-random start.

use crate::book::Book;
use crate::draws::{Purpose, bits};
use crate::ledger::Holder;
use crate::waterfall::adl::capacity::Demand;

/// The account that comes first.
pub fn of(book: &Book, demand: &Demand<'_>) -> usize {
    let wanted = &demand.wanted;
    let drawn_for = match wanted.loser {
        Holder::Account(account) => account,
        // The vault, whose legs are markets: a number that no account has.
        Holder::Fund(_) | Holder::Entity(_) => u32::MAX as usize,
    };
    let u = bits(demand.rules.seed, Purpose::Deleveraging, drawn_for, wanted.leg.into());
    ((u128::from(u) * book.len() as u128) >> 64) as usize
}
