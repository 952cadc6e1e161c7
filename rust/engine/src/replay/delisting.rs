//! Delistings: when markets are settled, and what follows (semantics, section 5f).

use super::displacement::Ranges;
use super::event_loop::Replayer;
use crate::config::{DelistingConfig, DelistingTrigger, LimitsConfig, NegativeAccounts, SettlementPrice};
use crate::contract::{Market, MarketId};
use crate::error::{Error, Result};
use crate::feeds::Halts;
use crate::ledger::Entity;
use crate::liquidation::{Settling, settle_account, settle_entities};
use crate::state::{Moment, Setup};
use crate::units::{Price, Ratio, Usd};
use crate::waterfall::adl;

/// One delisting.
#[derive(Debug, Clone)]
struct Watch {
    markets: Vec<MarketId>,
    /// The price that is stated.
    fixed: Option<Price>,
    due: Option<i64>,
    /// It has come.
    over: bool,
}

/// All delistings; none where no protocol asks for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Delistings(Vec<Watch>);

impl Delistings {
    /// At the opening.
    ///
    /// # Errors
    /// [`Error::Config`] for markets that there are not, prices that do not fit them, halts that never come.
    pub fn bind(setup: &Setup) -> Result<Self> {
        let delistings = &setup.protocol.delistings;
        let bind = |(k, delisting)| bind(setup, k, delisting);
        delistings.iter().enumerate().map(bind).collect::<Result<_>>().map(Self)
    }

    /// The next instant at which one is due.
    pub fn next(&self) -> Option<i64> {
        self.0.iter().filter(|w| !w.over).filter_map(|w| w.due).min()
    }
}

fn bind(setup: &Setup, k: usize, delisting: &DelistingConfig) -> Result<Watch> {
    let wrong = |what: String| Error::Config(format!("protocol: delistings.{k}.{what}"));
    let venue = &setup.venue;
    let market = match &delisting.market {
        None => None,
        Some(name) => {
            let found = venue.market(name);
            Some(found.ok_or_else(|| wrong(format!("market: there is no market {name:?} on the tape")))?)
        }
    };
    let due = match delisting.trigger {
        DelistingTrigger::Time { at } => Some(at.on(setup.opening).max(setup.opening)),
        DelistingTrigger::Uncovered { .. } => None,
        DelistingTrigger::Halt {} => {
            let halts = Halts::bind(&setup.protocol.halts, setup.opening, venue)?;
            let end = halts.first_end(market);
            if end.is_none() && !setup.protocol.limits.values().any(LimitsConfig::halts) {
                return Err(wrong("trigger: expected a halt that stops it".to_owned()));
            }
            end
        }
    };
    let fixed = match (&delisting.price, market) {
        (SettlementPrice::Fixed { price }, Some(market)) => {
            let market = &venue.markets[market];
            let fixed = in_units(*price, market);
            Some(fixed.ok_or_else(|| {
                wrong(format!(
                    "price.price: {price} does not fit the {} decimals of {}",
                    market.price_decimals, market.name
                ))
            })?)
        }
        _ => None,
    };
    Ok(Watch {
        markets: market.map_or_else(|| (0..venue.markets.len()).collect(), |m| vec![m]),
        fixed,
        due,
        over: false,
    })
}

/// A price in the decimals of a market, if it fits.
fn in_units(price: Ratio, market: &Market) -> Option<Price> {
    let units = Ratio::power_of_ten(market.price_decimals.into()).and_then(|unit| price.times(unit))?;
    let whole = units.den == 1 && units.num > 0;
    whole.then(|| i64::try_from(units.num).ok()).flatten().map(Price)
}

impl Replayer<'_> {
    /// Settles what is due. Returns the accounts that this changed, in order.
    pub(super) fn settle_delisted(&mut self, t: i64) -> Result<Vec<usize>> {
        let mut changed = Vec::new();
        for k in 0..self.delistings.0.len() {
            let watch = &mut self.delistings.0[k];
            if watch.over || watch.due.is_none_or(|due| due > t) {
                continue;
            }
            watch.over = true;
            let (fixed, markets) = (watch.fixed, watch.markets.clone());
            for market in markets {
                if !self.state.records.settled.contains_key(&market) {
                    let moment = Moment::new(self.setup, self.board, t);
                    let price = fixed.or_else(|| moment.settlement(k, market));
                    let price = price.unwrap_or_else(|| moment.adl_mark(market, crate::units::Size(1)));
                    let negative = self.setup.protocol.delistings[k].negative;
                    changed.extend(self.settle_market(&moment, market, price, negative)?);
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for &account in &changed {
            let status = self.state.book.accounts[account].status;
            self.queue.forget_unless_queued(account, status);
        }
        Ok(changed)
    }

    fn settle_market(
        &mut self,
        moment: &Moment<'_>,
        market: MarketId,
        price: Price,
        negative: NegativeAccounts,
    ) -> Result<Vec<usize>> {
        self.state.records.settled.insert(market, price);
        let by = match self.setup.payout {
            Some(_) => self.setup.protocol.counterparty.entity(),
            None => Entity::Outside,
        };
        let settling = Settling { market, price, by };
        settle_entities(&mut self.state, moment, settling)?;
        let mut changed = Vec::new();
        let holders = self.state.holders[market].clone();
        // Those who have less than nothing come first, while there is another side.
        for deleverages in [true, false] {
            if deleverages && negative != NegativeAccounts::Adl {
                continue;
            }
            for &account in &holders {
                let account = account as usize;
                let legs = self.state.book.legs(account);
                let Some(first) = legs.iter().position(|l| l.market == market && !l.size.is_zero()) else {
                    continue;
                };
                if deleverages && adl::underwater(&self.state.book, moment, (account, first))?.is_none() {
                    continue;
                }
                self.widen_ranges(moment.ts);
                let ranges = Ranges::new(self.search.ranges(), &self.displacement);
                changed.push(account);
                changed.extend(settle_account(
                    &mut self.state,
                    moment,
                    account,
                    settling,
                    deleverages,
                    &ranges,
                )?);
                self.state.ledger.check()?;
                self.tally()?;
            }
        }
        Ok(changed)
    }

    /// At the end of an instant: so much is uncovered, or layers have halted the venue, so that markets are to be settled.
    pub(super) fn expect_delistings(&mut self, t: i64) -> Result<()> {
        if self.delistings.0.is_empty() {
            return Ok(());
        }
        self.tally()?;
        let uncovered = self.uncovered();
        for (watch, config) in self.delistings.0.iter_mut().zip(&self.setup.protocol.delistings) {
            match config.trigger {
                DelistingTrigger::Uncovered { amount, delay } => {
                    if watch.due.is_none() && uncovered >= Usd(amount.0) {
                        watch.due = Some(t.saturating_add(delay.max(1)));
                    }
                }
                DelistingTrigger::Halt {} => {
                    let ends = [watch.due, self.state.outages.first_end()];
                    watch.due = ends.into_iter().flatten().min();
                }
                DelistingTrigger::Time { .. } => {}
            }
        }
        Ok(())
    }
}
