//! What a liquidation brings the keeper.

use crate::contract::AssetId;
use crate::error::Result;
use crate::liquidation::close::{add, convert, get, market_fills};
use crate::liquidation::part::notional;
use crate::liquidation::penalty::{Closed, Terms, keeper_fee};
use crate::state::{Moment, State};
use crate::units::Amount;

/// The keeper's part of what an account, detected so long ago, would pay if the whole were closed at `moment`, all at market at the
/// execution feed, in micro-dollars at the collateral feed: its fee, and its share of the penalty if the account is solvent.
///
/// # Errors
/// Overflow.
pub fn reward(state: &State, moment: &Moment<'_>, account: usize, elapsed: i64) -> Result<i128> {
    let setup = moment.setup;
    let venue = &setup.venue;
    let mut balances = state.book.net_cash(account)?.into_owned();
    let mut closed = Vec::new();
    let mut extent = Closed::default();
    let mut settle_asset = None;
    for leg in state.book.legs(account).iter().filter(|l| !l.size.is_zero()) {
        let market = &venue.markets[leg.market];
        settle_asset = settle_asset.or(Some(market.settlement));
        for (units, price) in market_fills(
            moment,
            leg.size,
            leg.size.units(),
            moment.execution(leg.market, leg.size),
        )? {
            let amount = market.value(leg.size.of_same_sign(units)?, price)?;
            add(&mut balances, market.settlement, amount)?;
            add(&mut closed, market.settlement, Amount(amount.0.abs()))?;
            extent.fills += 1;
        }
        if setup.protocol.penalty.keeper_rate.num > 0 {
            let notional = notional(moment, leg, moment.execution(leg.market, leg.size))?;
            extent.notional = extent.notional.plus(notional)?;
        }
    }
    convert(moment, &mut balances)?;
    let settle_asset = settle_asset.unwrap_or(venue.home);
    let in_dollars = |asset: AssetId, amount| venue.assets[asset].usd_floor(amount, moment.collateral(asset));
    let short = balances.iter().any(|(_, n)| n.0 < 0);
    let balance = get(&balances, settle_asset);
    let fee = keeper_fee(moment, settle_asset, extent, (short, balance))?;
    let mut reward = in_dollars(settle_asset, fee.paid.plus(fee.unfunded)?)?;
    let share = setup.protocol.keepers_share();
    if short || !fee.unfunded.is_zero() || share.num == 0 {
        return Ok(reward.0);
    }
    add(&mut balances, settle_asset, fee.paid.negated())?;
    let terms = Terms::of(state, moment, account, elapsed)?;
    for (asset, amount) in closed {
        let charged = terms.penalty(moment, asset, amount, get(&balances, asset))?;
        let part = Amount(share.floor_of(charged.0, "share of a penalty")?);
        reward = reward.plus(in_dollars(asset, part)?)?;
    }
    Ok(reward.0)
}
