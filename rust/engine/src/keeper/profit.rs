//! What a liquidation brings the keeper.

use crate::contract::AssetId;
use crate::error::Result;
use crate::liquidation::close::{add, convert, get};
use crate::liquidation::execution::{Execution, Order};
use crate::margin::Requirement;
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};

/// The keeper's part of what an account would pay if it were closed at `moment`, all at market at the execution feed, in micro-dollars
/// at the collateral feed: its fee, and its share of the penalty if the account is solvent.
///
/// # Errors
/// Overflow.
pub fn reward(state: &State, moment: &Moment<'_>, account: usize) -> Result<i128> {
    let setup = moment.setup;
    let (venue, penalty) = (&setup.venue, &setup.protocol.penalty);
    let mut balances = state.book.net_cash(account)?.into_owned();
    let mut closed = Vec::new();
    let mut settle_asset = None;
    let (mut execution, mut health) = (Execution::at(moment), None);
    for leg in state.book.legs(account).iter().filter(|l| !l.size.is_zero()) {
        let market = &venue.markets[leg.market];
        settle_asset = settle_asset.or(Some(market.settlement));
        let order = Order {
            market: leg.market,
            position: leg.size,
            units: leg.size.units(),
            feed: moment.execution(leg.market),
            limit: execution.limit(leg, &mut health, || {
                setup
                    .margin
                    .health(venue, &state.book, account, moment, Requirement::Maintenance)
            })?,
        };
        for fill in execution.fills(order)? {
            let amount = market.value(leg.size.of_same_sign(fill.units)?, fill.price)?;
            add(&mut balances, market.settlement, amount)?;
            add(&mut closed, market.settlement, Amount(amount.0.abs()))?;
        }
    }
    convert(moment, &mut balances)?;
    let settle_asset = settle_asset.unwrap_or(venue.home);
    let in_dollars = |asset: AssetId, amount| venue.assets[asset].usd_floor(amount, moment.collateral(asset));
    let short = balances.iter().any(|(_, n)| n.0 < 0);
    let owed = venue.assets[settle_asset].from_usd_ceil(Usd(penalty.keeper_fee.0), moment.collateral(settle_asset))?;
    let fee = if short {
        Amount::ZERO
    } else {
        owed.min(get(&balances, settle_asset))
    };
    let unfunded = if penalty.paid_if_insolvent {
        owed.minus(fee)?
    } else {
        Amount::ZERO
    };
    let mut reward = in_dollars(settle_asset, fee.plus(unfunded)?)?;
    let share = setup.protocol.keepers_share();
    if short || !unfunded.is_zero() || share.num == 0 {
        return Ok(reward.0);
    }
    add(&mut balances, settle_asset, fee.negated())?;
    for (asset, amount) in closed {
        let charged = Amount(penalty.rate.floor_of(amount.0, "penalty")?).min(get(&balances, asset));
        let part = Amount(share.floor_of(charged.positive().0, "share of a penalty")?);
        reward = reward.plus(in_dollars(asset, part)?)?;
    }
    Ok(reward.0)
}
