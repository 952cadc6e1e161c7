//! What closing costs the account: the penalty, and the keeper's fee (semantics, section 5b).
//!
//! Source of the forms: a rate with a cap and a share of the equity (dYdX v4, Drift v2), a rate that rises with the time since the
//! detection (Drift v2) or with the shortfall, as in a Dutch auction.

use crate::config::{EscalationConfig, FeeIf, FeePer};
use crate::contract::AssetId;
use crate::error::{Error, Result};
use crate::margin::Requirement;
use crate::state::{Moment, State};
use crate::units::{Amount, Ratio, Usd, product};

/// Steps of a rate that rises with the shortfall.
const PARTS: i128 = 1_000_000_000;

/// The terms of one action.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    rate: Ratio,
}

/// What an action closes, for the keeper's fee.
#[derive(Debug, Clone, Copy, Default)]
pub struct Closed {
    /// Fills in the market.
    pub fills: usize,
    /// Micro-dollars of notional; only where a fee depends on it.
    pub notional: Usd,
}

/// The keeper's fee: who pays it.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeeperFee {
    /// The account.
    pub paid: Amount,
    /// The account, which does not have it: the layers make it good.
    pub unfunded: Amount,
    /// The insurance fund, as far as it can.
    pub by_fund: Amount,
}

impl Terms {
    /// The terms of an action on an account, so long after its detection.
    ///
    /// # Errors
    /// Overflow.
    pub fn of(state: &State, moment: &Moment<'_>, account: usize, elapsed: i64) -> Result<Self> {
        let config = &moment.setup.protocol.penalty;
        let rate = match &config.escalation {
            None => config.rate,
            Some(escalation) => escalated(config.rate, escalation, state, moment, account, elapsed)?,
        };
        Ok(Self { rate })
    }

    /// The penalty for a closed amount as far as neither equity nor limit matter.
    ///
    /// # Errors
    /// Overflow.
    pub fn full_penalty(&self, moment: &Moment<'_>, asset: AssetId, closed: Amount) -> Result<Amount> {
        let penalty = Amount(self.rate.floor_of(closed.0, "penalty")?);
        let Some(cap) = moment.setup.protocol.penalty.cap else {
            return Ok(penalty);
        };
        let asset_of_cap = &moment.setup.venue.assets[asset];
        let cap = asset_of_cap.from_usd_floor(Usd(cap.0), moment.collateral(asset))?;
        Ok(penalty.min(cap))
    }

    /// The penalty for a closed amount, of which there is not more than a limit.
    ///
    /// # Errors
    /// Overflow.
    pub fn penalty(&self, moment: &Moment<'_>, asset: AssetId, closed: Amount, limit: Amount) -> Result<Amount> {
        let share = moment.setup.protocol.penalty.equity_share;
        let limit = Amount(share.floor_of(limit.positive().0, "limit of a penalty")?);
        Ok(self.full_penalty(moment, asset, closed)?.min(limit))
    }
}

/// The keeper's fee for a close by an account that has `balance` after it, or lacks something if it is `short`.
///
/// # Errors
/// Overflow.
pub fn keeper_fee(
    moment: &Moment<'_>,
    asset: AssetId,
    closed: Closed,
    (short, balance): (bool, Amount),
) -> Result<KeeperFee> {
    let config = &moment.setup.protocol.penalty;
    let times = match config.fee_per {
        FeePer::Account => i128::from(closed.fills > 0),
        FeePer::Fill => closed.fills as i128,
    };
    let fixed = Usd(product(config.keeper_fee.0, times, "fee of the keeper")?);
    let by_notional = Usd(config.keeper_rate.ceil_of(closed.notional.0, "fee of the keeper")?);
    let fee = moment.setup.venue.assets[asset].from_usd_ceil(fixed.plus(by_notional)?, moment.collateral(asset))?;
    if config.fee_if == FeeIf::Short && !short && balance >= fee {
        return Ok(KeeperFee::default());
    }
    let paid = if short { Amount::ZERO } else { fee.min(balance) };
    let rest = fee.minus(paid)?;
    let part = |applies: bool| if applies { rest } else { Amount::ZERO };
    Ok(KeeperFee {
        paid,
        unfunded: part(config.paid_if_insolvent),
        by_fund: part(config.fund_pays_keeper),
    })
}

fn escalated(
    rate: Ratio,
    config: &EscalationConfig,
    state: &State,
    moment: &Moment<'_>,
    account: usize,
    elapsed: i64,
) -> Result<Ratio> {
    let range = || Error::overflow("rate of a penalty");
    let steps = (elapsed - config.after).max(0) / config.every;
    let step = Ratio::new(steps.into(), 1).and_then(|n| n.times(config.step));
    let mut rate = step.and_then(|step| rate.plus(step)).ok_or_else(range)?;
    if config.shortfall.num > 0 {
        let setup = moment.setup;
        let health = setup
            .margin
            .health(&setup.venue, &state.book, account, moment, Requirement::Maintenance)?;
        let required = health.requirement;
        if required > 0 {
            let missing = required.saturating_sub(health.equity).clamp(0, required);
            let slope = config.shortfall.times(Ratio { num: PARTS, den: 1 }).ok_or_else(range)?;
            let scaled = product(slope.num, missing, "rate of a penalty")?;
            let parts = scaled / product(slope.den, required, "rate of a penalty")?;
            rate = Ratio::new(parts, PARTS).and_then(|r| rate.plus(r)).ok_or_else(range)?;
        }
    }
    let Some(maximum) = config.maximum else { return Ok(rate) };
    let above = rate.minus(maximum).ok_or_else(range)?;
    Ok(if above.num > 0 { maximum } else { rate })
}
