//! Which feeds a run needs, and their making, window by window.

use std::sync::Arc;

use rayon::prelude::*;

use super::push::{Oracle, Rules};
use super::{Feed, Feeds, Series};
use crate::column::Column;
use crate::config::{FeedConfig, Options, Prints, Protocol, Reference, Source};
use crate::contract::{MarketId, Venue};
use crate::error::{Error, Result};
use crate::tape::Tape;
use crate::units::Price;

/// What determines the series of a feed: equal kinds share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesKind {
    source: Source,
    push: Option<Rules>,
}

/// A feed as a use names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    kind: usize,
    prints: Prints,
}

/// One market of one kind of series between two windows.
#[derive(Debug, Clone)]
struct Carried {
    /// Market whose ticks it reads.
    from: MarketId,
    /// Its prices in the decimals of the market it is for.
    scale: i64,
    /// The last print.
    print: Option<Price>,
    /// The last visible state.
    state: Option<Price>,
    oracle: Oracle,
}

/// Which series a run needs and what for: equal plans make equal feeds of a tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPlan {
    kinds: Vec<SeriesKind>,
    trigger: Use,
    execution: Use,
    collateral: Use,
    reference: Use,
    execution_is_trigger: bool,
    sizes: bool,
}

/// What an index is made of: the trigger feed and the collateral feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexPlan([(SeriesKind, Prints); 2]);

/// Makes the feeds of a run, window by window, each series once.
#[derive(Debug, Clone)]
pub struct FeedMaker {
    plan: FeedPlan,
    /// By kind and market.
    carried: Vec<Vec<Carried>>,
}

impl FeedMaker {
    /// Resolves the feeds that a protocol and a run name, for the markets of a tape (which may be without ticks yet).
    ///
    /// # Errors
    /// [`Error::Config`] naming the field if a feed is unknown or its parameters make no sense.
    pub fn new(tape: &Tape, venue: &Venue, protocol: &Protocol, options: &Options) -> Result<Self> {
        let named = |name: &str, field: &str| named(protocol, name, field);
        let reference = match &options.reference {
            Reference::Feed(config) => config.clone(),
            Reference::Named(name) => predefined(name)
                .ok_or_else(|| Error::Config(format!("reference: expected last, index or a feed, got {name:?}")))?,
        };
        let collateral = protocol.collateral_feed.as_ref().unwrap_or(&protocol.trigger_feed);
        let uses = [
            (named(&protocol.trigger_feed, "trigger_feed")?, "trigger_feed"),
            (named(&protocol.execution_feed, "execution_feed")?, "execution_feed"),
            (named(collateral, "collateral_feed")?, "collateral_feed"),
            (reference, "reference"),
        ];
        let execution_is_trigger = uses[0].0 == uses[1].0;
        // Prints are at hand whatever the feeds are: an order may fill at the next one.
        let mut kinds = vec![SeriesKind {
            source: Source::Own,
            push: None,
        }];
        let mut bound = Vec::with_capacity(uses.len());
        for (config, field) in &uses {
            let (kind, prints) = kind(protocol, config, field)?;
            let number = kinds.iter().position(|k| *k == kind).unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            });
            bound.push(Use { kind: number, prints });
        }
        let carried = kinds
            .iter()
            .map(|kind| {
                (0..venue.markets.len())
                    .map(|m| carried(tape, venue, kind, m))
                    .collect()
            })
            .collect::<Result<_>>()?;
        let plan = FeedPlan {
            kinds,
            trigger: bound[0],
            execution: bound[1],
            collateral: bound[2],
            reference: bound[3],
            execution_is_trigger,
            sizes: protocol.execution.needs_sizes(),
        };
        Ok(Self { plan, carried })
    }

    /// What is made.
    pub fn plan(&self) -> &FeedPlan {
        &self.plan
    }

    /// The feeds over the next ticks of the tape, up to `until`. `first` is the first state of each market of the whole tape, where a
    /// feed stands before it.
    ///
    /// # Errors
    /// Overflow.
    pub fn advance(&mut self, tape: &Tape, first: &[Price], until: i64) -> Result<Feeds> {
        let markets = first.len();
        let mut series: Vec<Vec<Arc<Series>>> = Vec::with_capacity(self.plan.kinds.len());
        for (kind, carried) in self.plan.kinds.iter().zip(&mut self.carried) {
            let made = carried
                .par_iter_mut()
                .map(|c| c.advance(kind, tape, first[c.from], until).map(Arc::new))
                .collect::<Result<_>>()?;
            series.push(made);
        }
        let feeds = |used: Use| -> Vec<Feed> {
            let one = |(m, series): (usize, &Arc<Series>)| Feed {
                series: Arc::clone(series),
                slot: used.kind * markets + m,
                each_print: used.prints == Prints::Each,
            };
            series[used.kind].iter().enumerate().map(one).collect()
        };
        Ok(Feeds {
            trigger: feeds(self.plan.trigger),
            execution: feeds(self.plan.execution),
            collateral: feeds(self.plan.collateral),
            reference: feeds(self.plan.reference),
            prints: feeds(Use {
                kind: 0,
                prints: Prints::Each,
            }),
            sizes: tape
                .markets
                .iter()
                .map(|m| m.size.clone().filter(|_| self.plan.sizes))
                .collect(),
            execution_is_trigger: self.plan.execution_is_trigger,
            slots: series.len() * markets,
        })
    }
}

impl FeedPlan {
    /// What an index over these feeds is made of.
    pub fn index(&self) -> IndexPlan {
        IndexPlan([self.trigger, self.collateral].map(|used| (self.kinds[used.kind], used.prints)))
    }
}

impl Carried {
    fn advance(&mut self, kind: &SeriesKind, tape: &Tape, first: Price, until: i64) -> Result<Series> {
        let ticks = &tape.markets[self.from];
        let scaled = |price: i64| price.checked_mul(self.scale).ok_or_else(overflow);
        let price: Column<i64> = if self.scale == 1 {
            ticks.price.clone()
        } else {
            ticks
                .price
                .iter()
                .map(|&p| scaled(p))
                .collect::<Result<Vec<_>>>()?
                .into()
        };
        let first = Price(scaled(first.0)?);
        let prints = Series {
            ts: ticks.ts.clone(),
            price,
            before: self.print.unwrap_or(first),
        };
        self.print = Some(prints.after_states(prints.ts.len()));
        let Some(rules) = &kind.push else { return Ok(prints) };
        let (ts, price) = self.oracle.advance(rules, &prints, until)?;
        // The first write is the first state of the source.
        let states = Series {
            ts: ts.into(),
            price: price.into(),
            before: self.state.unwrap_or(first),
        };
        self.state = Some(states.after_states(states.ts.len()));
        Ok(states)
    }
}

fn overflow() -> Error {
    Error::overflow("price in the decimals of its index market")
}

fn predefined(name: &str) -> Option<FeedConfig> {
    let source = match name {
        "last" => Source::Own,
        "index" => Source::Index,
        _ => return None,
    };
    Some(FeedConfig::Last {
        source,
        prints: Prints::LastOfInstant,
    })
}

fn named(protocol: &Protocol, name: &str, field: &str) -> Result<FeedConfig> {
    let config = protocol.feeds.get(name).cloned().or_else(|| predefined(name));
    config.ok_or_else(|| Error::Config(format!("protocol: {field}: there is no feed {name:?}")))
}

fn kind(protocol: &Protocol, config: &FeedConfig, field: &str) -> Result<(SeriesKind, Prints)> {
    match config {
        FeedConfig::Last { source, prints } => Ok((
            SeriesKind {
                source: *source,
                push: None,
            },
            *prints,
        )),
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
            let FeedConfig::Last { source, .. } = named(protocol, source, &format!("{field}.source"))? else {
                return Err(Error::Config(format!(
                    "protocol: {field}: a push feed samples ticks, not {source:?}"
                )));
            };
            let push = Some(Rules {
                deviation: *deviation,
                heartbeat: *heartbeat,
                latency: *latency,
            });
            Ok((SeriesKind { source, push }, Prints::LastOfInstant))
        }
    }
}

fn carried(tape: &Tape, venue: &Venue, kind: &SeriesKind, market: MarketId) -> Result<Carried> {
    let bound = &venue.markets[market];
    let from = match kind.source {
        Source::Own => market,
        // A market without an index (an index itself, a collateral price) stands at its own price; the replay turns down a book that
        // trades it on an index.
        Source::Index => bound.index.unwrap_or(market),
    };
    let finer = bound.price_decimals - tape.markets[from].spec.price_decimals.unwrap_or(0);
    Ok(Carried {
        from,
        scale: 10i64.checked_pow(finer).ok_or_else(overflow)?,
        print: None,
        state: None,
        oracle: Oracle::default(),
    })
}
