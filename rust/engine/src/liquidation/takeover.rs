//! Takeover: the vault takes an account that is near bankruptcy over as it stands, positions and all that is left.
//!
//! Source: Hyperliquid's backstop (equity below two thirds of the maintenance requirement).

use super::close::{Balances, Close, LegPlan, LegPrice, Plan, add, convert};
use super::penalty::Terms;
use crate::error::Result;
use crate::ledger::Entity;
use crate::margin::Requirement;
use crate::state::{Moment, State};
use crate::units::{Amount, product};

/// True if the vault takes an account over as it stands, at the prices of its legs: its equity is below the share of its requirement, it
/// would not be short of anything, and the vault has not lost too much.
///
/// # Errors
/// Overflow.
pub fn is_due(state: &State, moment: &Moment<'_>, account: usize, prices: &[LegPrice]) -> Result<bool> {
    let setup = moment.setup;
    let Some(rule) = setup.protocol.execution.takeover else {
        return Ok(false);
    };
    let book = &state.book;
    let health = setup
        .margin
        .health(&setup.venue, book, account, moment, Requirement::Maintenance)?;
    let equity = product(health.equity, rule.below.den, "threshold of a takeover")?;
    if equity >= product(health.requirement, rule.below.num, "threshold of a takeover")? {
        return Ok(false);
    }
    if let Some(floor) = rule.floor
        && moment.entity_equity(&state.ledger, Entity::Vault)?.0 < floor.0
    {
        return Ok(false);
    }
    let mut balances: Balances = book.net_cash(account)?.iter().copied().collect();
    for p in prices {
        let leg = book.legs(account)[p.leg];
        let market = &setup.venue.markets[leg.market];
        add(&mut balances, market.settlement, market.value(leg.size, p.price)?)?;
    }
    convert(moment, &mut balances)?;
    Ok(balances.iter().all(|(_, n)| n.0 >= 0))
}

impl Close<'_, '_> {
    /// The plan of a takeover.
    pub(super) fn takeover(&self) -> Result<Plan> {
        let venue = &self.moment.setup.venue;
        let leg = |&LegPrice { leg: index, price }: &LegPrice| {
            let leg = self.state.book.legs(self.account)[index];
            LegPlan {
                index,
                leg,
                feed: price,
                base: price,
                limit: None,
                market: leg.size.units(),
                matches: Vec::new(),
                bankruptcy: Amount::ZERO,
                adl_amount: Amount::ZERO,
                brought: Amount::ZERO,
            }
        };
        let legs: Vec<LegPlan> = self.prices.iter().map(leg).collect();
        let settle_asset = legs
            .first()
            .map_or(venue.home, |l| venue.markets[l.leg.market].settlement);
        Ok(Plan {
            legs,
            settle_asset,
            fee: Amount::ZERO,
            unfunded_fee: Amount::ZERO,
            fund_fee: Amount::ZERO,
            terms: Terms::of(self.state, self.moment, self.account, self.elapsed())?,
            solvent: true,
            partial: false,
            balances: Balances::new(),
            taken_over: true,
            deleverages: false,
        })
    }
}
