//! A test of sums: what is claimed against what is held, at the prices of an instant.

use super::Side;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::margin::Prices;
use crate::units::{Amount, Ratio, Size, Usd, product};

/// Relative error of a factor that went through a handful of roundings, with room.
const ROUNDING: f64 = 1e-12;

/// Positions that are summed, at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summed {
    /// Market.
    pub market: MarketId,
    /// Their sums.
    pub side: Side,
    /// They are valued at the price that a position of this sign reads.
    pub reads: Size,
}

/// A pseudo-account: the profit of summed positions, and amounts of assets, against a share of holdings. It exceeds a factor as an
/// account falls below its requirement, and is searched for like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Positions, whose profit is claimed.
    pub positions: Vec<Summed>,
    /// Amounts of assets that are claimed besides: what is reserved or owed.
    pub amounts: Vec<(AssetId, Amount)>,
    /// Amounts that are there for it.
    pub holdings: Vec<(AssetId, Amount)>,
    /// A share of them.
    pub share: Ratio,
}

/// A claim at the prices of an instant, in dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What is claimed, rounded down.
    pub claimed: Usd,
    /// What is there, rounded down.
    pub held: Usd,
}

impl Standing {
    /// More is claimed than `factor` times what is there.
    ///
    /// # Errors
    /// Overflow.
    pub fn exceeds(self, factor: Ratio) -> Result<bool> {
        Ok(self.claimed.0 > 0 && self.against(factor)? > 0)
    }

    /// Not less is claimed than `factor` times what is there.
    ///
    /// # Errors
    /// Overflow.
    pub fn reaches(self, factor: Ratio) -> Result<bool> {
        Ok(self.against(factor)? >= 0)
    }

    fn against(self, factor: Ratio) -> Result<i128> {
        let claimed = product(self.claimed.0, factor.den, "factor")?;
        Ok(claimed.saturating_sub(product(self.held.0, factor.num, "factor")?))
    }

    /// The quotient is less than that of another; where nothing is held it is larger than any.
    ///
    /// # Errors
    /// Overflow.
    pub fn is_below(self, other: Self) -> Result<bool> {
        if self.held.0 <= 0 || other.held.0 <= 0 {
            return Ok(self.held.0 > 0);
        }
        let (own, its) = (
            product(self.claimed.0, other.held.0, "factor")?,
            product(other.claimed.0, self.held.0, "factor")?,
        );
        Ok(own < its)
    }
}

impl Claim {
    /// At the prices of an instant.
    ///
    /// # Errors
    /// Overflow.
    pub fn at(&self, venue: &Venue, prices: &impl Prices) -> Result<Standing> {
        let dollars = |asset: AssetId, amount| venue.assets[asset].usd_floor(amount, prices.asset(asset));
        let sum = |amounts: &[(AssetId, Amount)]| {
            let amounts = amounts.iter().map(|&(asset, amount)| dollars(asset, amount));
            amounts.into_iter().try_fold(Usd::ZERO, |sum, usd| sum.plus(usd?))
        };
        let mut claimed = sum(&self.amounts)?;
        for p in &self.positions {
            let market = &venue.markets[p.market];
            let profit = market
                .value(p.side.size, prices.market(p.market, p.reads))?
                .minus(p.side.entry_value)?;
            claimed = claimed.plus(dollars(market.settlement, profit)?)?;
        }
        let held = self.share.floor_of(sum(&self.holdings)?.0, "share of holdings")?;
        Ok(Standing {
            claimed,
            held: Usd(held),
        })
    }

    /// An upper bound of what is claimed, and of that less `factor` times what is there, at prices within the intervals (low, high) that
    /// `market` and `asset` give: where either is not positive the factor is exceeded nowhere. For pruning only.
    ///
    /// Values rise or fall with the price throughout, so that an interval has its largest at an end; what is rounded down is less than a
    /// unit more.
    pub fn most(
        &self,
        venue: &Venue,
        factor: Ratio,
        market: impl Fn(MarketId, Size) -> (f64, f64),
        asset: impl Fn(AssetId) -> (f64, f64),
    ) -> f64 {
        // Dollars of an amount within an interval: the least, the most, and how large the figures are.
        let dollars = |id: AssetId, (low, high): (f64, f64)| {
            let worth = &venue.assets[id];
            let (p, q) = if worth.price_market.is_some() {
                asset(id)
            } else {
                (1.0, 1.0)
            };
            let ends = [low * p, low * q, high * p, high * q].map(|x| x * worth.scale_f64());
            let (least, most) = (
                ends.into_iter().fold(f64::INFINITY, f64::min),
                ends.into_iter().fold(f64::NEG_INFINITY, f64::max),
            );
            (least, most, least.abs().max(most.abs()))
        };
        let (mut claimed, mut claims, mut units) = (0.0, 0.0, 2.0);
        for p in &self.positions {
            let bound = &venue.markets[p.market];
            let (low, high) = market(p.market, p.reads);
            let (a, b) = (bound.value_f64(p.side.size, low), bound.value_f64(p.side.size, high));
            let entry = p.side.entry_value.0 as f64;
            claimed += dollars(bound.settlement, (a.min(b) - entry, a.max(b) - entry)).1;
            // What cancels out is of the size of its parts.
            let parts = entry.abs() + a.abs().max(b.abs());
            claims += dollars(bound.settlement, (-parts, parts)).2;
            units += 1.0;
        }
        for &(id, amount) in &self.amounts {
            let (_, most, size) = dollars(id, (amount.0 as f64, amount.0 as f64));
            claimed += most;
            claims += size;
            units += 1.0;
        }
        let (mut held, mut size) = (0.0, 0.0);
        for &(id, amount) in &self.holdings {
            let (least, _, own) = dollars(id, (amount.0 as f64, amount.0 as f64));
            held += least;
            size += own;
        }
        let (share, factor) = (self.share.as_f64(), factor.as_f64());
        // Each amount that is held is rounded down by less than a unit, and so is the share.
        let lost = factor * (share * self.holdings.len() as f64 + 1.0);
        let most = claimed + claims * ROUNDING + units;
        most.min(most - factor * share * held + lost + factor * share * size * ROUNDING)
    }
}
