//! Feeds: published price series with their own cadence, one per market.
//!
//! A feed is a step series: from each timestamp on it stands at a price. Before its first state it stands at its first state, so that
//! every account can be valued at every instant. A feed is computed once per run, in one pass over the ticks, and read by binary search.

mod push;

use std::sync::Arc;

use crate::config::{FeedConfig, Options, Prints, Protocol, Reference, Source};
use crate::contract::{MarketId, Venue};
use crate::error::{Error, Result};
use crate::tape::{MarketTicks, Tape};
use crate::units::Price;

/// A step series with strictly ascending timestamps (or, for prints, not descending ones).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// When the state becomes visible.
    pub ts: Vec<i64>,
    /// The state.
    pub price: Vec<i64>,
}

impl Series {
    /// State at `t`: the last one with a timestamp not after `t`, or the first one.
    pub fn at(&self, t: i64) -> Price {
        let after = self.ts.partition_point(|&u| u <= t);
        Price(self.price[after.max(1) - 1])
    }

    /// Number of the first state after `t`.
    pub fn after(&self, t: i64) -> usize {
        self.ts.partition_point(|&u| u <= t)
    }
}

/// The feed of one market.
#[derive(Debug, Clone)]
pub struct Feed {
    /// One state per instant.
    pub states: Arc<Series>,
    /// Every print, where the feed asks for them.
    pub prints: Option<Arc<Series>>,
}

/// The feeds of a run, one for each use and market.
#[derive(Debug, Clone)]
pub struct Feeds {
    /// Tests accounts; the mark of ADL.
    pub trigger: Vec<Feed>,
    /// Closes positions.
    pub execution: Vec<Feed>,
    /// Values assets.
    pub collateral: Vec<Feed>,
    /// Values losses.
    pub reference: Vec<Feed>,
    /// True if the execution feed is the trigger feed, so that a print just seen is also the price.
    pub execution_is_trigger: bool,
    /// Name of the reference, for reports.
    pub reference_name: String,
}

/// Collapses the prints of one instant to the last in file order, scaled by `scale`.
fn last_of_instant(ticks: &MarketTicks, scale: i64) -> Result<Series> {
    let mut series = Series {
        ts: Vec::with_capacity(ticks.ts.len()),
        price: Vec::with_capacity(ticks.ts.len()),
    };
    for (i, (&ts, &price)) in ticks.ts.iter().zip(&ticks.price).enumerate() {
        if ticks.ts.get(i + 1) != Some(&ts) {
            series.ts.push(ts);
            series.price.push(scaled(price, scale)?);
        }
    }
    Ok(series)
}

fn every_print(ticks: &MarketTicks, scale: i64) -> Result<Series> {
    Ok(Series {
        ts: ticks.ts.to_vec(),
        price: ticks.price.iter().map(|&p| scaled(p, scale)).collect::<Result<_>>()?,
    })
}

fn scaled(price: i64, scale: i64) -> Result<i64> {
    price
        .checked_mul(scale)
        .ok_or_else(|| Error::overflow("price in the decimals of its index market"))
}

/// Makes feeds on demand and shares equal ones.
pub struct FeedFactory<'a> {
    tape: &'a Tape,
    venue: &'a Venue,
    protocol: &'a Protocol,
    made: Vec<(FeedConfig, Vec<Feed>)>,
}

impl<'a> FeedFactory<'a> {
    /// A factory without feeds yet.
    pub fn new(tape: &'a Tape, venue: &'a Venue, protocol: &'a Protocol) -> Self {
        Self {
            tape,
            venue,
            protocol,
            made: Vec::new(),
        }
    }

    /// All feeds of a run.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field if a feed is unknown or needs an index that a market does not have.
    pub fn feeds(mut self, options: &Options) -> Result<Feeds> {
        let p = self.protocol;
        let trigger_config = self.named(&p.trigger_feed, "trigger_feed")?;
        let execution_config = self.named(&p.execution_feed, "execution_feed")?;
        let collateral_name = p.collateral_feed.as_ref().unwrap_or(&p.trigger_feed);
        let collateral_config = self.named(collateral_name, "collateral_feed")?;
        let (reference_name, reference_config) = match &options.reference {
            Reference::Named(name) => match name.as_str() {
                "last" => (
                    name.clone(),
                    FeedConfig::Last {
                        source: Source::Own,
                        prints: Prints::LastOfInstant,
                    },
                ),
                "index" => (
                    name.clone(),
                    FeedConfig::Last {
                        source: Source::Index,
                        prints: Prints::LastOfInstant,
                    },
                ),
                _ => {
                    return Err(Error::Config(format!(
                        "reference: expected last, index or a feed, got {name:?}"
                    )));
                }
            },
            Reference::Feed(config) => ("feed".to_owned(), config.clone()),
        };
        Ok(Feeds {
            trigger: self.make(&trigger_config, "trigger_feed")?,
            execution: self.make(&execution_config, "execution_feed")?,
            collateral: self.make(&collateral_config, "collateral_feed")?,
            reference: self.make(&reference_config, "reference")?,
            execution_is_trigger: execution_config == trigger_config,
            reference_name,
        })
    }

    fn named(&self, name: &str, field: &str) -> Result<FeedConfig> {
        if let Some(config) = self.protocol.feeds.get(name) {
            return Ok(config.clone());
        }
        match name {
            "last" => Ok(FeedConfig::Last {
                source: Source::Own,
                prints: Prints::LastOfInstant,
            }),
            "index" => Ok(FeedConfig::Last {
                source: Source::Index,
                prints: Prints::LastOfInstant,
            }),
            _ => Err(Error::Config(format!("protocol: {field}: there is no feed {name:?}"))),
        }
    }

    fn make(&mut self, config: &FeedConfig, field: &str) -> Result<Vec<Feed>> {
        if let Some((_, feeds)) = self.made.iter().find(|(c, _)| c == config) {
            return Ok(feeds.clone());
        }
        let feeds = match config {
            FeedConfig::Last { source, prints } => (0..self.venue.markets.len())
                .map(|m| self.last(m, *source, *prints))
                .collect::<Result<Vec<_>>>()?,
            FeedConfig::Push {
                source,
                deviation,
                heartbeat,
                latency,
            } => {
                if deviation.num < 0 || *heartbeat <= 0 || *latency < 0 {
                    return Err(Error::Config(format!(
                        "protocol: {field}: expected a deviation and a latency that are not negative and a positive heartbeat"
                    )));
                }
                let config = self.named(source, &format!("{field}.source"))?;
                if !matches!(config, FeedConfig::Last { .. }) {
                    return Err(Error::Config(format!(
                        "protocol: {field}: a push feed samples ticks, not {source:?}"
                    )));
                }
                let samples = self.make(&config, field)?;
                samples
                    .iter()
                    .map(|feed| {
                        let states = push::writes(&feed.states, *deviation, *heartbeat, *latency)?;
                        Ok(Feed {
                            states: Arc::new(states),
                            prints: None,
                        })
                    })
                    .collect::<Result<Vec<_>>>()?
            }
        };
        self.made.push((config.clone(), feeds.clone()));
        Ok(feeds)
    }

    fn last(&self, market: MarketId, source: Source, prints: Prints) -> Result<Feed> {
        let bound = &self.venue.markets[market];
        let from = match source {
            Source::Own => market,
            // A market without an index (an index itself, a collateral price) stands at its own price; the replay turns down a book
            // that trades it on an index.
            Source::Index => bound.index.unwrap_or(market),
        };
        let ticks = &self.tape.markets[from];
        let finer = bound.price_decimals - ticks.spec.price_decimals.unwrap_or(0);
        let scale = 10i64
            .checked_pow(finer)
            .ok_or_else(|| Error::overflow("price decimals"))?;
        let states = last_of_instant(ticks, scale)?;
        let prints = match prints {
            Prints::LastOfInstant => None,
            Prints::Each => Some(Arc::new(every_print(ticks, scale)?)),
        };
        Ok(Feed {
            states: Arc::new(states),
            prints,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stands_at_its_first_state_before_it() {
        let series = Series {
            ts: vec![10, 20],
            price: vec![1, 2],
        };
        let at = |t| series.at(t).0;
        assert_eq!((at(0), at(10), at(19), at(20), at(99)), (1, 1, 1, 2, 2));
    }
}
