//! What the pool has behind each side of a market, and what that side's positions have gained.

use crate::aggregate::{Claim, Summed};
use crate::config::{PayoutConfig, PoolSideConfig};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::ledger::Entity;
use crate::state::{Moment, Setup, State};
use crate::units::{Amount, Ratio, Size, Usd};

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
fn holdings(state: &State, venue: &Venue, asset: AssetId) -> Result<Amount> {
    let cost = match state.ledger.sides() {
        Some(sides) => sides.entry_values(venue, asset)?,
        None => Amount::ZERO,
    };
    state.ledger.balance(Entity::Pool, asset).minus(cost)
}

/// The same of all assets in dollars at the collateral feed, each rounded down.
pub(super) fn worth(state: &State, moment: &Moment<'_>) -> Result<Usd> {
    let venue = &moment.setup.venue;
    let mut total = Usd::ZERO;
    for asset in 0..venue.assets.len() {
        let held = holdings(state, venue, asset)?;
        total = total.plus(venue.assets[asset].usd_floor(held, moment.collateral(asset))?)?;
    }
    Ok(total)
}

/// The profit of a side of a market, against what the pool has for it.
///
/// # Errors
/// Overflow.
pub fn claim(state: &State, setup: &Setup, market: MarketId, long: bool) -> Result<Claim> {
    let (Some(rules), Some(sides)) = (&setup.payout, state.ledger.sides()) else {
        return Err(Error::Invariant("a pool without sides".to_owned()));
    };
    let behind = rules.sides.side(market, long);
    let mut held = Vec::new();
    for asset in 0..setup.venue.assets.len() {
        if behind.assets.as_ref().is_none_or(|named| named.contains(&asset)) {
            held.push((asset, holdings(state, &setup.venue, asset)?));
        }
    }
    Ok(Claim {
        positions: vec![Summed {
            market,
            side: sides.side(market, long),
            // The better of two prices is the one that the other side reads.
            reads: Size(if long { -1 } else { 1 }),
        }],
        amounts: Vec::new(),
        holdings: held,
        share: behind.share,
    })
}
