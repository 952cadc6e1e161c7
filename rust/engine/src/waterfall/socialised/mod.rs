//! Socialised loss: what the layer has paid is charged to other accounts, at the end of the session or at once.

pub mod deposits;
pub mod open_interest;
pub mod profit;
mod rest;

use crate::config::{Layer, SocialisedBy};
use crate::error::Result;
use crate::state::{Moment, State};
use crate::units::Usd;
use crate::waterfall::charges;

/// Settles everyone and charges at the end of the session. What those who are charged cannot bear is returned by payer (None: uncovered).
///
/// # Errors
/// Overflow.
pub fn settle(state: &mut State, moment: &Moment<'_>) -> Result<Vec<(Option<Layer>, Usd)>> {
    charges::settle_all(state, moment)?;
    match by(moment) {
        Some(SocialisedBy::OpenInterest) => Ok(Vec::new()),
        Some(SocialisedBy::Deposits) => rest::pass_on_all(state, moment),
        _ => profit::settle(state, moment),
    }
}

/// Whom the layer charges, if there is one.
pub fn by(moment: &Moment<'_>) -> Option<SocialisedBy> {
    moment.setup.protocol.socialised.map(|s| s.by)
}
