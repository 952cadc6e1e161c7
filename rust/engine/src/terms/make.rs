//! The making of terms, window by window.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::accruals::{Constant, Given, Premium, PremiumRules, step};
use super::volatility::Volatility;
use super::{MarketTerms, Term, Terms};
use crate::config::{FundingConfig, Protocol};
use crate::contract::Venue;
use crate::error::{Error, Result};
use crate::feeds::{Feed, FeedMaker};
use crate::tape::Tape;
use crate::units::{Price, Ratio};

/// How the funding of a market is made.
#[derive(Debug, Clone)]
enum Funding {
    Given(Given),
    Premium(Premium),
}

/// One market between two windows.
#[derive(Debug, Clone)]
struct Carried {
    volatility: Option<(String, Volatility)>,
    funding: Option<Funding>,
    borrow: Vec<Given>,
    constant: Option<Constant>,
    /// The terms after the last instant.
    term: Term,
}

/// Makes the terms of a run, window by window.
#[derive(Debug, Clone)]
pub struct TermsMaker {
    /// The feeds that terms are made from, by name.
    feeds: BTreeMap<String, FeedMaker>,
    /// Compared feeds of the premium, and the feeds of the notional of funding and of borrow fees.
    premium: Option<(String, String)>,
    notional: [String; 2],
    markets: Vec<Carried>,
    /// The last instant that was looked at.
    after: i64,
}

impl TermsMaker {
    /// Resolves what a protocol schedules; None if that is nothing. Nothing is scheduled up to the opening.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn new(tape: &Tape, venue: &Venue, protocol: &Protocol, opening: i64) -> Result<Option<Self>> {
        let margin = &protocol.margin;
        let mut named: Vec<(String, &str)> = Vec::new();
        let mut markets = Vec::with_capacity(venue.markets.len());
        let series = |rates: &crate::config::RateSeries, field: &str, market: &str| {
            rates.get(market).map(|points| Given::new(points, field)).transpose()
        };
        if let Some(FundingConfig::Series { rates, .. }) = &protocol.funding {
            known_markets(venue, rates.keys(), "funding.rates")?;
        }
        if let Some(borrow) = &protocol.borrow {
            known_markets(venue, borrow.rates.keys(), "borrow.rates")?;
            if borrow.rates.values().flatten().any(|p| p.rate.num < 0) {
                return Err(Error::Config(
                    "protocol: borrow.rates: expected rates that are not negative".to_owned(),
                ));
            }
        }
        for market in &venue.markets {
            let own = margin.markets.get(&market.name);
            let dynamic = own.map_or(&margin.dynamic, |own| &own.dynamic);
            let volatility = match dynamic {
                None => None,
                Some(config) => {
                    named.push((config.feed.clone(), "margin.dynamic.feed"));
                    Some((config.feed.clone(), Volatility::new(config)?))
                }
            };
            let funding = match &protocol.funding {
                None => None,
                Some(FundingConfig::Series { rates, .. }) => {
                    series(rates, "funding.rates", &market.name)?.map(Funding::Given)
                }
                Some(FundingConfig::Premium {
                    interval,
                    sample,
                    interest,
                    band,
                    cap,
                    share,
                    ..
                }) => Some(Funding::Premium(Premium::new(&PremiumRules {
                    interval: *interval,
                    sample: *sample,
                    interest: *interest,
                    band: *band,
                    cap: *cap,
                    share: *share,
                })?)),
            };
            let (borrow, constant) = match &protocol.borrow {
                None => (Vec::new(), None),
                Some(config) => (
                    series(&config.rates, "borrow.rates", &market.name)?
                        .into_iter()
                        .collect(),
                    Constant::new(config)?,
                ),
            };
            let term = Term {
                scale: volatility.as_ref().map_or_else(Default::default, |(_, v)| v.scale()),
                ..Term::default()
            };
            markets.push(Carried {
                volatility,
                funding,
                borrow,
                constant,
                term,
            });
        }
        let mut premium = None;
        let notional = |feed: &Option<String>| feed.clone().unwrap_or_else(|| protocol.trigger_feed.clone());
        let mut notionals = [protocol.trigger_feed.clone(), protocol.trigger_feed.clone()];
        match &protocol.funding {
            Some(FundingConfig::Series { feed, .. }) => notionals[0] = notional(feed),
            Some(FundingConfig::Premium { of, over, feed, .. }) => {
                notionals[0] = notional(feed);
                named.push((of.clone(), "funding.of"));
                named.push((over.clone(), "funding.over"));
                premium = Some((of.clone(), over.clone()));
            }
            None => {}
        }
        if protocol.funding.is_some() {
            named.push((notionals[0].clone(), "funding.feed"));
        }
        if let Some(borrow) = &protocol.borrow {
            notionals[1] = notional(&borrow.feed);
            named.push((notionals[1].clone(), "borrow.feed"));
        }
        if named.is_empty() {
            return Ok(None);
        }
        let mut feeds = BTreeMap::new();
        for (name, field) in named {
            let maker = FeedMaker::one_sided(tape, opening, venue, protocol, &name, &format!("protocol: {field}"))?;
            feeds.insert(name, maker);
        }
        Ok(Some(Self {
            feeds,
            premium,
            notional: notionals,
            markets,
            after: opening,
        }))
    }

    /// The terms over the next ticks of the tape, up to `until`. `first` is the first state of each market of the whole tape.
    ///
    /// # Errors
    /// Overflow.
    pub fn advance(&mut self, venue: &Venue, tape: &Tape, first: &[Price], until: i64) -> Result<Terms> {
        let mut feeds: BTreeMap<&str, Vec<Feed>> = BTreeMap::new();
        for (name, maker) in &mut self.feeds {
            feeds.insert(name, maker.advance(tape, first, until)?.trigger.feeds);
        }
        let feed = |name: &str, market: usize| -> Result<&crate::feeds::Series> {
            let found = feeds.get(name).map(|feeds| Arc::as_ref(&feeds[market].series));
            found.ok_or_else(|| Error::Invariant(format!("the feed {name:?} of the terms was not made")))
        };
        let after = self.after;
        let mut out = Terms::default();
        for (m, carried) in self.markets.iter_mut().enumerate() {
            let market = &venue.markets[m];
            let before = carried.term;
            let mut scales = Vec::new();
            if let Some((name, volatility)) = &mut carried.volatility {
                scales = volatility.advance(feed(name, m)?, after, until)?;
            }
            let rates = match (&mut carried.funding, &self.premium) {
                (Some(Funding::Given(given)), _) => given.advance(after, until),
                (Some(Funding::Premium(rule)), Some((of, over))) => {
                    rule.advance(feed(of, m)?, feed(over, m)?, after, until)?
                }
                _ => Vec::new(),
            };
            let mut borrowed: Vec<(i64, Ratio)> = Vec::new();
            for given in &mut carried.borrow {
                borrowed.extend(given.advance(after, until));
            }
            borrowed.extend(carried.constant.iter().flat_map(|c| c.advance(after, until)));

            let mut instants: Vec<i64> = scales.iter().map(|s| s.0).collect();
            instants.extend(rates.iter().chain(&borrowed).map(|r| r.0));
            instants.sort_unstable();
            instants.dedup();
            let (mut scales, mut rates) = (scales.into_iter().peekable(), rates.into_iter().peekable());
            borrowed.sort_by_key(|r| r.0);
            let mut borrowed = borrowed.into_iter().peekable();
            let mut steps = Vec::with_capacity(instants.len());
            for t in instants {
                let term = &mut carried.term;
                let mut accrued = false;
                if let Some((_, scale)) = scales.next_if(|s| s.0 == t) {
                    term.scale = scale;
                }
                while let Some((_, rate)) = rates.next_if(|r| r.0 == t) {
                    add(
                        &mut term.funding,
                        step(market, rate, feed(&self.notional[0], m)?.at(t))?,
                    )?;
                    accrued = true;
                }
                while let Some((_, rate)) = borrowed.next_if(|r| r.0 == t) {
                    add(&mut term.borrow, step(market, rate, feed(&self.notional[1], m)?.at(t))?)?;
                    accrued = true;
                }
                if accrued {
                    out.accruals.push((t, m));
                }
                steps.push((t, *term));
            }
            out.markets.push(MarketTerms::new(before, steps));
        }
        out.accruals.sort_unstable();
        self.after = until;
        Ok(out)
    }
}

fn add(index: &mut i128, step: i128) -> Result<()> {
    *index = index
        .checked_add(step)
        .ok_or_else(|| Error::overflow("index of an accrual"))?;
    Ok(())
}

fn known_markets<'a>(venue: &Venue, names: impl Iterator<Item = &'a String>, field: &str) -> Result<()> {
    for name in names {
        if venue.market(name).is_none() {
            return Err(Error::Config(format!(
                "protocol: {field}: there is no market {name:?} on the tape"
            )));
        }
    }
    Ok(())
}
