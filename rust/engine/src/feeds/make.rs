//! The making of the feeds of a run, window by window.

use std::sync::Arc;

use rayon::prelude::*;

use super::basis::Basis;
use super::ema::Ema;
use super::graph::{FeedPlan, Grower, GuardPlan, Node, Rule, Use};
use super::guard::Watch;
use super::halts::Halts;
use super::lagged::Lagged;
use super::paused::{self, Paused};
use super::periodic::Latest;
use super::push::{Oracle, Rules};
use super::sampled::Sampled;
use super::twap::Window;
use super::{Feed, Feeds, Mask, Masks, Places, Series, Sided, Sides, States, median, spread, worst_of};
use crate::column::Column;
use crate::config::{AdlPrice, Options, Prints, Protocol, Reference, SettlementPrice, Source};
use crate::contract::{MarketId, Venue};
use crate::error::{Error, Result};
use crate::tape::Tape;
use crate::units::{Price, Ratio};

/// A feed of one market as its positions read it: two series, which are one where both sides see the same.
#[derive(Debug, Clone)]
struct Made {
    long: Arc<Series>,
    short: Arc<Series>,
}

/// The way of one feed of one market, with what it remembers between windows.
#[derive(Debug, Clone)]
enum Machine {
    Ticks(Ticks),
    Push(Rules, Oracle),
    Paused(paused::Rules, Paused),
    Periodic(Sampled<Latest>),
    Ema(Box<Sampled<Ema>>),
    Twap(Sampled<Window>),
    Basis(Box<Sampled<Basis>>),
    Lagged(Lagged),
    Median,
    WorstOf,
    Spread(Ratio),
}

/// Prints of a market in the decimals of the market that reads them.
#[derive(Debug, Clone)]
struct Ticks {
    /// Market whose ticks are read.
    from: MarketId,
    scale: i64,
}

/// One market of one feed between two windows.
#[derive(Debug, Clone)]
struct Carried {
    machine: Machine,
    /// The last visible state, for longs and for shorts; None before the first window.
    state: Option<(Price, Price)>,
}

/// Makes the feeds of a run, window by window, each series once.
#[derive(Debug, Clone)]
pub struct FeedMaker {
    plan: FeedPlan,
    /// By node and market.
    carried: Vec<Vec<Carried>>,
    /// By market, if there is a guard.
    watches: Vec<Watch>,
    /// The end of the last window.
    since: i64,
}

impl FeedMaker {
    /// Resolves the feeds that a protocol and a run name, for the markets of a tape (which may be without ticks yet) that begins at
    /// `opening`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field if a feed is unknown, its parameters make no sense, or it is made from itself.
    pub fn new(tape: &Tape, opening: i64, venue: &Venue, protocol: &Protocol, options: &Options) -> Result<Self> {
        Self::of(tape, venue, plan(opening, venue, protocol, options)?)
    }

    /// Makes one named feed of a protocol, for whatever use; it must have one price for everyone.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn one_sided(
        tape: &Tape,
        opening: i64,
        venue: &Venue,
        protocol: &Protocol,
        name: &str,
        field: &str,
    ) -> Result<Self> {
        let mut grower = Grower::with_prints(opening);
        grower.protocol = Some(protocol);
        let used = grower.one_sided(name, field)?;
        let plan = FeedPlan {
            nodes: grower.nodes,
            trigger: used,
            execution: used,
            adl: used,
            adl_price: None,
            adl_price_is_trigger: false,
            collateral: used,
            settlement: Vec::new(),
            reference: used,
            guard: None,
            sizes: false,
        };
        Self::of(tape, venue, plan)
    }

    fn of(tape: &Tape, venue: &Venue, plan: FeedPlan) -> Result<Self> {
        let carried = plan
            .nodes
            .iter()
            .map(|node| {
                (0..venue.markets.len())
                    .map(|m| {
                        Ok(Carried {
                            machine: machine(tape, venue, &node.rule, m)?,
                            state: None,
                        })
                    })
                    .collect()
            })
            .collect::<Result<_>>()?;
        let watches = plan
            .guard
            .iter()
            .flat_map(|_| vec![Watch::default(); venue.markets.len()]);
        let watches = watches.collect();
        Ok(Self {
            plan,
            carried,
            watches,
            since: i64::MIN,
        })
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
        let mut made: Vec<Vec<Made>> = Vec::with_capacity(self.plan.nodes.len());
        for (Node { sources, .. }, carried) in self.plan.nodes.iter().zip(&mut self.carried) {
            let next = carried
                .par_iter_mut()
                .enumerate()
                .map(|(m, carried)| {
                    let sources: Vec<&Series> = sources.iter().map(|&node| &*made[node][m].long).collect();
                    carried.advance(tape, first, &sources, until)
                })
                .collect::<Result<_>>()?;
            made.push(next);
        }
        let masks = self.masks(&made, until)?;
        let plan = &self.plan;
        let sided = |used: Use| {
            let two = plan.nodes[used.node].rule.two_sided();
            let one = |side: usize| {
                let made = made[used.node].iter().enumerate();
                made.map(move |(m, made)| Feed {
                    series: Arc::clone(if side == 0 { &made.long } else { &made.short }),
                    slot: (2 * used.node + side) * markets + m,
                    each_print: used.prints == Prints::Each,
                })
            };
            Sided {
                feeds: (0..=usize::from(two)).flat_map(one).collect(),
                sides: Sides::new(two, markets),
            }
        };
        let feeds = Feeds {
            trigger: sided(plan.trigger),
            execution: sided(plan.execution),
            adl: sided(plan.adl),
            adl_price: plan.adl_price.map(sided),
            collateral: sided(plan.collateral).feeds,
            settlement: plan
                .settlement
                .iter()
                .map(|used| used.map(|used| sided(used).feeds))
                .collect(),
            reference: sided(plan.reference).feeds,
            prints: sided(Use {
                node: 0,
                prints: Prints::Each,
            })
            .feeds,
            sizes: tape
                .markets
                .iter()
                .map(|m| m.size.clone().filter(|_| plan.sizes))
                .collect(),
            execution_is_trigger: plan.execution == plan.trigger,
            adl_is_trigger: plan.adl == plan.trigger,
            adl_price_is_trigger: plan.adl_price_is_trigger,
            masks: Arc::new(Masks(masks)),
            halts: plan.guard.as_ref().map(|guard| Arc::clone(&guard.halts)),
            places: Arc::default(),
        };
        let places = Places::of(2 * made.len() * markets, feeds.all());
        Ok(Feeds {
            places: Arc::new(places),
            ..feeds
        })
    }

    /// When each market is blocked; nothing without a guard.
    fn masks(&mut self, made: &[Vec<Made>], until: i64) -> Result<Vec<Mask>> {
        let since = std::mem::replace(&mut self.since, until);
        let Some(GuardPlan {
            divergence,
            staleness,
            halts,
        }) = &self.plan.guard
        else {
            return Ok(Vec::new());
        };
        let trigger = self.plan.trigger.node;
        let watches = self.watches.par_iter_mut().enumerate();
        watches
            .map(|(m, watch)| {
                let feeds = divergence.map(|(feeds, limit)| (feeds.map(|node| &*made[node][m].long), limit));
                let trigger = staleness.map(|limit| (&*made[trigger][m].long, limit));
                Ok(watch
                    .advance(feeds, trigger, until)?
                    .union(&halts.mask(m, since, until)))
            })
            .collect()
    }
}

fn plan(opening: i64, venue: &Venue, protocol: &Protocol, options: &Options) -> Result<FeedPlan> {
    let mut grower = Grower::with_prints(opening);
    let reference = match &options.reference {
        Reference::Named(name) if name == "last" || name == "index" => grower.named(name, "reference")?,
        Reference::Named(name) => {
            return Err(Error::Config(format!(
                "reference: expected last, index or a feed, got {name:?}"
            )));
        }
        Reference::Feed(config) => grower.feed(config, "reference")?,
    };
    let reference = grower.check_one_sided(reference, "reference")?;
    grower.protocol = Some(protocol);
    let trigger = grower.named(&protocol.trigger_feed, "protocol: trigger_feed")?;
    let execution = grower.named(&protocol.execution_feed, "protocol: execution_feed")?;
    let adl = match &protocol.adl_feed {
        Some(name) => grower.named(name, "protocol: adl_feed")?,
        None => trigger,
    };
    let rules = protocol.deleveraging();
    let adl_price = match (rules.price, &rules.price_feed) {
        (AdlPrice::PreviousMark, _) => {
            let mark = grower.check_one_sided(adl, "protocol: adl.price")?;
            Some(grower.lagged(mark))
        }
        (AdlPrice::Oracle, Some(name)) => Some(grower.named(name, "protocol: adl.price_feed")?),
        _ => None,
    };
    let collateral = protocol.collateral_feed.as_ref().unwrap_or(&protocol.trigger_feed);
    let collateral = grower.one_sided(collateral, "protocol: collateral_feed")?;
    let settlement = (protocol.delistings.iter().enumerate())
        .map(|(k, delisting)| match &delisting.price {
            SettlementPrice::Fixed { .. } => Ok(None),
            SettlementPrice::Feed { feed } => {
                let field = format!("protocol: delistings.{k}.price.feed");
                grower.one_sided(feed, &field).map(Some)
            }
            SettlementPrice::Mark {} => {
                grower.check_one_sided(adl, &format!("protocol: delistings.{k}.price"))?;
                Ok(None)
            }
        })
        .collect::<Result<_>>()?;
    let guarded = protocol.guard.is_some() || !protocol.halts.is_empty();
    let guard = guarded
        .then(|| {
            let guard = protocol.guard.as_ref();
            let divergence = guard.and_then(|guard| guard.divergence.as_ref()).map(|d| {
                let feed = grower.one_sided(&d.feed, "protocol: guard.divergence.feed")?;
                let reference = grower.one_sided(&d.reference, "protocol: guard.divergence.reference")?;
                Ok(([feed.node, reference.node], d.limit))
            });
            Ok(GuardPlan {
                divergence: divergence.transpose()?,
                staleness: guard.and_then(|guard| guard.staleness),
                halts: Arc::new(Halts::bind(&protocol.halts, opening, venue)?),
            })
        })
        .transpose()?;
    Ok(FeedPlan {
        nodes: grower.nodes,
        trigger,
        execution,
        adl,
        adl_price,
        adl_price_is_trigger: rules.price == AdlPrice::Oracle && adl_price == Some(trigger),
        collateral,
        settlement,
        reference,
        guard,
        sizes: protocol.needs_sizes(),
    })
}

fn machine(tape: &Tape, venue: &Venue, rule: &Rule, market: MarketId) -> Result<Machine> {
    Ok(match rule {
        Rule::Ticks(source) => {
            let bound = &venue.markets[market];
            let from = match source {
                Source::Own => market,
                // A market without an index (an index itself, a collateral price) stands at its own price; the replay turns down a
                // book that trades it on an index.
                Source::Index => bound.index.unwrap_or(market),
            };
            let finer = bound.price_decimals - tape.markets[from].spec.price_decimals.unwrap_or(0);
            let scale = 10i64.checked_pow(finer).ok_or_else(overflow)?;
            Machine::Ticks(Ticks { from, scale })
        }
        Rule::Push(rules) => Machine::Push(rules.clone(), Oracle::new(market)),
        Rule::Paused(rules) => Machine::Paused(rules.clone(), Paused::default()),
        Rule::Periodic(cadence) => Machine::Periodic(Sampled::new(*cadence, Latest::default())),
        Rule::Ema { time_constant, cadence } => {
            Machine::Ema(Box::new(Sampled::new(*cadence, Ema::new(*time_constant))))
        }
        Rule::Twap { window, cadence } => Machine::Twap(Sampled::new(*cadence, Window::new(*window))),
        Rule::Basis { time_constant, cadence } => {
            Machine::Basis(Box::new(Sampled::new(*cadence, Basis::new(*time_constant))))
        }
        Rule::Lagged => Machine::Lagged(Lagged::default()),
        Rule::Median => Machine::Median,
        Rule::WorstOf => Machine::WorstOf,
        Rule::Spread(limit) => Machine::Spread(*limit),
    })
}

impl Machine {
    /// The states that become visible up to `until`.
    fn advance(&mut self, sources: &[&Series], until: i64) -> Result<States> {
        match self {
            Self::Ticks(_) => Ok(States::default()),
            Self::Push(rules, oracle) => oracle.advance(rules, sources[0], until),
            Self::Paused(rules, feed) => Ok(feed.advance(rules, sources[0], until)),
            Self::Periodic(feed) => feed.advance(sources[0], until),
            Self::Ema(feed) => feed.advance(sources[0], until),
            Self::Twap(feed) => feed.advance(sources[0], until),
            Self::Basis(feed) => feed.between(sources, until),
            Self::Lagged(feed) => Ok(feed.advance(sources[0])),
            Self::Median => Ok(median::states(sources)),
            Self::WorstOf => Ok(worst_of::states(sources)),
            Self::Spread(limit) => spread::states(sources, *limit),
        }
    }

    /// Where it stands as long as its sources stand at their first states.
    fn first(&self, sources: &[&Series]) -> Result<(Price, Price)> {
        let mut prices: Vec<i64> = sources.iter().map(|s| s.before.0).collect();
        let (long, short) = match self {
            Self::Median => {
                let middle = median::median(&mut prices);
                (middle, middle)
            }
            Self::WorstOf => worst_of::worst(&prices),
            Self::Spread(limit) => spread::spread(prices[0], prices[1], *limit)?,
            // The first state of the source is the first of the feed.
            _ => (prices[0], prices[0]),
        };
        Ok((Price(long), Price(short)))
    }
}

impl Carried {
    fn advance(&mut self, tape: &Tape, first: &[Price], sources: &[&Series], until: i64) -> Result<Made> {
        if let Machine::Ticks(ticks) = &self.machine {
            let series = Arc::new(ticks.prints(tape, first, self.state)?);
            let last = series.after_states(series.ts.len());
            self.state = Some((last, last));
            return Ok(Made {
                short: Arc::clone(&series),
                long: series,
            });
        }
        let before = match self.state {
            Some(state) => state,
            None => self.machine.first(sources)?,
        };
        let states = self.machine.advance(sources, until)?;
        let ts: Column<i64> = states.ts.into();
        let short = (!states.short.is_empty() || before.0 != before.1).then(|| Series {
            ts: ts.clone(),
            price: states.short.into(),
            before: before.1,
        });
        let long = Arc::new(Series {
            ts,
            price: states.price.into(),
            before: before.0,
        });
        let short = short.map_or_else(|| Arc::clone(&long), Arc::new);
        let last = |series: &Series| series.after_states(series.ts.len());
        self.state = Some((last(&long), last(&short)));
        Ok(Made { long, short })
    }
}

impl Ticks {
    fn prints(&self, tape: &Tape, first: &[Price], state: Option<(Price, Price)>) -> Result<Series> {
        let ticks = &tape.markets[self.from];
        let scaled = |price: i64| price.checked_mul(self.scale).ok_or_else(overflow);
        let price: Column<i64> = if self.scale == 1 {
            ticks.price.clone()
        } else {
            let scaled: Result<Vec<_>> = ticks.price.iter().map(|&p| scaled(p)).collect();
            scaled?.into()
        };
        let before = match state {
            Some((last, _)) => last,
            None => Price(scaled(first[self.from].0)?),
        };
        Ok(Series {
            ts: ticks.ts.clone(),
            price,
            before,
        })
    }
}

fn overflow() -> Error {
    Error::overflow("price in the decimals of its index market")
}
