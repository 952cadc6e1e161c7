//! What the treasury pays at once (semantics, section 6).

use crate::contract::AssetId;
use crate::error::Result;
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};

/// How much of `need` the treasury may pay at once.
///
/// # Errors
/// Overflow.
pub fn at_once(state: &State, moment: &Moment<'_>, (asset, need): (AssetId, Amount)) -> Result<Amount> {
    let treasury = moment.setup.protocol.treasury.as_ref();
    let Some(real_time) = treasury.and_then(|t| t.real_time) else {
        return Ok(need);
    };
    let room = Usd(real_time.0).minus(state.treasury_paid)?.positive();
    let price = moment.reference_of_asset(asset);
    Ok(need.min(moment.setup.venue.assets[asset].from_usd_floor(room, price)?))
}

/// Counts what it has paid at once.
///
/// # Errors
/// Overflow.
pub fn count(state: &mut State, usd: Usd) -> Result<()> {
    state.treasury_paid = state.treasury_paid.plus(usd)?;
    Ok(())
}
