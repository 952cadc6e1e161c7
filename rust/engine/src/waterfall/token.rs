//! The token backstop: new tokens are sold to the outside for what is missing (semantics, section 6).
//!
//! The tokens are no asset of the venue. Their holders are one entity, which goes negative by what its sales have raised: that is what
//! they have borne. A sale moves the price down by what earlier ones have left; how much must be sold is found by bisection.
//!
//! Source of the form: the debt auctions of Maker, and protocols that sell a token of theirs to recapitalise.

use crate::config::{SaleImpactConfig, SaleImpactKind, TokenConfig};
use crate::contract::{AssetId, MarketId};
use crate::error::{Error, Result};
use crate::impact::Decay;
use crate::market::Payoff;
use crate::state::{Moment, Setup, State};
use crate::units::{Amount, mul_div_ceil, mul_div_floor, product};

/// One, in displacements.
const ONE: i128 = 1_000_000_000_000;
const MILLION: i128 = 1_000_000;

/// The market whose price is the token's.
///
/// # Errors
/// [`Error::Config`] if it is not on the tape, or not quoted in dollars.
pub fn market(setup: &Setup) -> Result<Option<MarketId>> {
    let Some(name) = setup.protocol.token.as_ref().and_then(|t| t.market.as_ref()) else {
        return Ok(None);
    };
    let fail = |what: &str| Error::Config(format!("protocol: token.market: {what} {name:?}"));
    let market = setup
        .venue
        .market(name)
        .ok_or_else(|| fail("there is no market on the tape of the name"))?;
    let bound = &setup.venue.markets[market];
    if bound.payoff != Payoff::Linear || !setup.venue.assets[bound.settlement].is_dollar() {
        return Err(fail("expected a linear market that is settled in dollars, got"));
    }
    Ok(Some(market))
}

/// What has been sold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sales {
    /// Micro-dollars that still weigh on the price, and since when.
    weight: i128,
    since: i64,
    /// Millionths of tokens.
    pub minted: i128,
    /// Micro-dollars at the price of the token, and what they brought.
    pub nominal: i128,
    /// What they brought.
    pub raised: i128,
}

impl Sales {
    fn weighs(&self, config: &TokenConfig, t: i64) -> Result<i128> {
        let half_life = config.impact.as_ref().and_then(|i| i.half_life);
        Decay::new(half_life).left(self.weight, t.saturating_sub(self.since))
    }
}

fn displacement(impact: &SaleImpactConfig, weight: i128) -> Result<i128> {
    let depth = impact.depth;
    let scaled = |one| {
        mul_div_floor(
            weight,
            product(one, depth.den, "depth")?,
            depth.num,
            "displacement of a token",
        )
    };
    match impact.kind {
        SaleImpactKind::Linear => scaled(MILLION),
        SaleImpactKind::SquareRoot => Ok(scaled(ONE * MILLION)?.isqrt()),
    }
}

/// What a sale brings, after one of `before`.
fn proceeds(config: &TokenConfig, before: i128, nominal: i128) -> Result<i128> {
    let left = match &config.impact {
        None => nominal,
        Some(impact) => {
            let (a, b) = (displacement(impact, before)?, displacement(impact, before + nominal)?);
            let (num, den) = match impact.kind {
                SaleImpactKind::Linear => (a + b, 2),
                SaleImpactKind::SquareRoot if a == b => (a, 1),
                SaleImpactKind::SquareRoot => (2 * (b * b * b - a * a * a), 3 * (b * b - a * a)),
            };
            let one = product(ONE, den, "displacement of a token")?;
            mul_div_floor(nominal, (one - num).max(0), one, "proceeds of a sale")?
        }
    };
    let (num, den) = (config.discount.den - config.discount.num, config.discount.den);
    mul_div_floor(left, num, den, "proceeds of a sale")
}

/// What must be sold for `need`, and what that brings: less, if all that can be sold does not bring so much.
fn sale(state: &State, moment: &Moment<'_>, config: &TokenConfig, need: i128) -> Result<(i128, i128)> {
    if need <= 0 {
        return Ok((0, 0));
    }
    let before = state.sales.weighs(config, moment.ts)?;
    let most = match &config.impact {
        None => {
            let discount = config.discount;
            mul_div_ceil(need, discount.den, discount.den - discount.num, "sale of tokens")?
        }
        Some(impact) => (mul_div_floor(impact.depth.num, MILLION, impact.depth.den, "depth")? - before).max(0),
    };
    let brought = proceeds(config, before, most)?;
    if brought < need {
        return Ok((most, brought));
    }
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if proceeds(config, before, middle)? < need {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok((high, need))
}

/// What so much of an asset costs in the home asset.
///
/// # Errors
/// Overflow.
pub fn cost(moment: &Moment<'_>, asset: AssetId, amount: Amount) -> Result<Amount> {
    let venue = &moment.setup.venue;
    let (price, home_price) = (moment.reference_of_asset(asset), moment.reference_of_asset(venue.home));
    let cost = venue.assets[asset].in_units_of(amount, price, &venue.assets[venue.home], home_price)?;
    Ok(cost.ceil())
}

/// How much of `need` of an asset sales of tokens would bring now: own units of the home asset, or units that these buy.
///
/// # Errors
/// Overflow.
pub fn offer(state: &State, moment: &Moment<'_>, asset: AssetId, need: Amount) -> Result<(Amount, Amount)> {
    let Some(config) = &moment.setup.protocol.token else {
        return Ok((Amount::ZERO, Amount::ZERO));
    };
    let venue = &moment.setup.venue;
    let home = venue.home;
    if asset == home {
        let (_, brought) = sale(state, moment, config, need.0)?;
        return Ok((Amount(brought), Amount::ZERO));
    }
    let (price, home_price) = (moment.reference_of_asset(asset), moment.reference_of_asset(home));
    let (_, brought) = sale(state, moment, config, cost(moment, asset, need)?.0)?;
    let bought = venue.assets[home].in_units_of(Amount(brought), home_price, &venue.assets[asset], price)?;
    Ok((Amount::ZERO, bought.floor().min(need)))
}

/// Sells tokens for so much of the home asset, as [`offer`] has promised.
///
/// # Errors
/// Overflow.
pub fn sell(state: &mut State, moment: &Moment<'_>, cost: Amount) -> Result<()> {
    let Some(config) = &moment.setup.protocol.token else {
        return Ok(());
    };
    let (nominal, brought) = sale(state, moment, config, cost.0)?;
    if nominal == 0 {
        return Ok(());
    }
    let (unit, price) = match (market(moment.setup)?, config.price) {
        (Some(market), _) => {
            let unit = 10i128.pow(moment.setup.venue.markets[market].price_decimals);
            (unit, i128::from(moment.reference(market).0))
        }
        (None, price) => (MILLION, price.map_or(MILLION, |p| p.0)),
    };
    let minted = mul_div_ceil(nominal, unit, price, "minted tokens")?;
    let weight = state.sales.weighs(config, moment.ts)? + nominal;
    let sales = &mut state.sales;
    (sales.weight, sales.since) = (weight, moment.ts);
    sales.minted += minted;
    sales.nominal += nominal;
    sales.raised += brought;
    Ok(())
}
