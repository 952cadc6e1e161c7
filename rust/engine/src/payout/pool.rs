//! What the pool has behind each side of a market, and what that side's positions have gained.

use crate::config::{PayoutConfig, PoolSideConfig};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::ledger::Entity;
use crate::state::{Moment, State};
use crate::units::{Amount, Ratio, Usd};

/// What of the pool stands behind one side of a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSide {
    /// Share of the holdings.
    pub share: Ratio,
    /// Of these assets; None: all.
    pub assets: Option<Vec<AssetId>>,
}

/// The same by market: longs, then shorts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSides(Vec<[PoolSide; 2]>);

impl PoolSides {
    /// Binds the names to a venue.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn bind(config: &PayoutConfig, venue: &Venue) -> Result<Self> {
        if let Some(name) = config.markets.keys().find(|name| venue.market(name).is_none()) {
            return Err(Error::Config(format!(
                "protocol: payout.markets: there is no market {name:?} on the tape"
            )));
        }
        let bind = |field: &str, side: &PoolSideConfig| -> Result<PoolSide> {
            let number = |name: &String| {
                venue.asset(name).ok_or_else(|| {
                    Error::Config(format!("protocol: payout.{field}.assets: there is no asset {name:?}"))
                })
            };
            Ok(PoolSide {
                share: side.share,
                assets: side
                    .assets
                    .as_ref()
                    .map(|names| names.iter().map(number).collect())
                    .transpose()?,
            })
        };
        let markets = venue.markets.iter().map(|market| {
            let (path, sides) = match config.markets.get(&market.name) {
                Some(own) => (format!("markets.{}", market.name), own),
                None => ("sides".to_owned(), &config.sides),
            };
            Ok([
                bind(&format!("{path}.long"), &sides.long)?,
                bind(&format!("{path}.short"), &sides.short)?,
            ])
        });
        Ok(Self(markets.collect::<Result<_>>()?))
    }

    /// One side of a market.
    pub fn side(&self, market: MarketId, long: bool) -> &PoolSide {
        &self.0[market][usize::from(!long)]
    }
}

/// What the pool has of an asset, were all positions closed at what they cost.
pub(super) fn holdings(state: &State, moment: &Moment<'_>, asset: AssetId) -> Result<Amount> {
    let cost = match state.ledger.sides() {
        Some(sides) => sides.entry_values(&moment.setup.venue, asset)?,
        None => Amount::ZERO,
    };
    state.ledger.balance(Entity::Pool, asset).minus(cost)
}

/// The same in dollars at the collateral feed, each asset rounded down; of these assets, or of all.
pub(super) fn worth(state: &State, moment: &Moment<'_>, assets: Option<&[AssetId]>) -> Result<Usd> {
    let venue = &moment.setup.venue;
    let mut total = Usd::ZERO;
    for asset in 0..venue.assets.len() {
        if assets.is_none_or(|named| named.contains(&asset)) {
            let held = holdings(state, moment, asset)?;
            total = total.plus(venue.assets[asset].usd_floor(held, moment.collateral(asset))?)?;
        }
    }
    Ok(total)
}

/// A side of a market against the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Profit of all its positions at the better of the two trigger prices, rounded down.
    pub profit: Usd,
    /// What the pool has for it, rounded down.
    pub value: Usd,
}

impl Standing {
    /// As of a moment, at the states of its instant.
    ///
    /// # Errors
    /// Overflow.
    pub fn of(state: &State, moment: &Moment<'_>, market: MarketId, long: bool) -> Result<Self> {
        let venue = &moment.setup.venue;
        let none = Self {
            profit: Usd::ZERO,
            value: Usd::ZERO,
        };
        let (Some(rules), Some(sides)) = (&moment.setup.payout, state.ledger.sides()) else {
            return Ok(none);
        };
        let (own, behind) = (sides.side(market, long), rules.sides.side(market, long));
        let asset = venue.markets[market].settlement;
        let value = venue.markets[market].value(own.size, moment.better_trigger(market, long))?;
        let profit = value.minus(own.entry_value)?;
        let worth = worth(state, moment, behind.assets.as_deref())?;
        Ok(Self {
            profit: venue.assets[asset].usd_floor(profit, moment.collateral(asset))?,
            value: Usd(behind.share.floor_of(worth.0, "value of a side of the pool")?),
        })
    }
}
