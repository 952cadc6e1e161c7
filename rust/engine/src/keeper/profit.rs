//! What a liquidation brings the keeper.

use crate::contract::AssetId;
use crate::error::Result;
use crate::liquidation::close::{add, get};
use crate::liquidation::execution::level;
use crate::liquidation::hypothesis::Hypothesis;
use crate::liquidation::penalty::{Terms, keeper_fee};
use crate::state::{Moment, State};
use crate::units::Amount;

/// The keeper's part of what an account, detected so long ago, would pay if the whole were closed at `moment`, all at market at the
/// prices of a close at once, in micro-dollars at the collateral feed: its fee, and its share of the penalty if the account is solvent.
///
/// # Errors
/// Overflow.
pub fn reward(state: &State, moment: &Moment<'_>, account: usize, elapsed: i64) -> Result<i128> {
    let setup = moment.setup;
    let venue = &setup.venue;
    let prices = level::prices(&state.book, moment, account)?;
    let hypothesis = Hypothesis::of(state, moment, account, &prices)?;
    let (settle_asset, short) = (hypothesis.settle_asset, hypothesis.short);
    let mut balances = hypothesis.balances;
    let in_dollars = |asset: AssetId, amount| venue.assets[asset].usd_floor(amount, moment.collateral(asset));
    let balance = get(&balances, settle_asset);
    let fee = keeper_fee(moment, settle_asset, hypothesis.closed, (short, balance))?;
    let mut reward = in_dollars(settle_asset, fee.paid.plus(fee.unfunded)?)?;
    let share = setup.protocol.keepers_share();
    if short || !fee.unfunded.is_zero() || share.num == 0 {
        return Ok(reward.0);
    }
    add(&mut balances, settle_asset, fee.paid.negated())?;
    let terms = Terms::of(state, moment, account, elapsed)?;
    for &(asset, amount) in &hypothesis.gross {
        let charged = terms.penalty(moment, asset, amount, get(&balances, asset))?;
        let part = Amount(share.floor_of(charged.0, "share of a penalty")?);
        reward = reward.plus(in_dollars(asset, part)?)?;
    }
    Ok(reward.0)
}
