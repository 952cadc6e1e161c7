//! The engine of `underwater`: ticks of a crash day through a protocol's margin, liquidation and loss waterfall.
//!
//! Flow, one direction: `ticks -> feeds -> trigger search -> keeper -> liquidation -> waterfall -> ledger -> records`,
//! with the book of accounts beside it. `docs/semantics.md` states what is computed.

pub mod aggregate;
pub mod book;
pub mod column;
pub mod config;
pub mod contract;
pub mod decimal;
mod draws;
pub mod error;
pub mod feeds;
mod few;
pub mod impact;
pub mod keeper;
pub mod ledger;
pub mod liquidation;
mod listed;
pub mod margin;
pub mod market;
pub mod payout;
pub mod progress;
pub mod reconstruct;
pub mod records;
pub mod replay;
pub mod rng;
pub mod search;
pub mod state;
pub mod synthetic;
pub mod tape;
pub mod terms;
#[cfg(test)]
mod testing;
pub mod ticks;
pub mod units;
pub mod waterfall;
