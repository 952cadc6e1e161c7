//! Liquidation: an account is closed, and whatever it cannot pay goes to the waterfall.
//!
//! The steps are those of semantics, section 5: a hypothetical close of all legs at market tells whether the account is solvent; if it is
//! not, the layers before ADL say how much of it may be sold, ADL matches the rest, and the layers pay what is missing. The order of
//! what is booked: market fills, ADL fills, conversions, the keeper's fee, payments per loss unit, then penalty and residual or the
//! final payments.
//!
//! How much of which leg an action closes is the business of [`policy`]; what is remembered between the actions on one account, and
//! when they end, that of [`underway`]; what they cost the account, that of [`penalty`].

mod adl_fill;
pub mod close;
mod deleverage;
pub mod detection;
pub mod execution;
pub mod hypothesis;
pub mod part;
pub mod penalty;
mod policy;
mod settle;
pub mod takeover;
pub mod underway;
mod undo;
pub mod vault;

pub use close::{Close, LegPrice, LegPrices, Plan};
pub use settle::{Outcome, Settling, close, settle_account, settle_entities};
