//! The engine of `underwater`: ticks of a crash day through a protocol's margin, liquidation and loss waterfall.
//!
//! Flow, one direction: `ticks -> feeds -> trigger search -> keeper -> liquidation -> waterfall -> ledger -> records`,
//! with the book of accounts beside it. `docs/semantics.md` states what is computed.

pub mod decimal;
pub mod error;
pub mod market;
pub mod reconstruct;
pub mod rng;
pub mod synthetic;
pub mod tape;
