//! First passage under terms that change on a schedule: the scale of dynamic margin, funding, borrow fees.
//!
//! Between two instants of the terms of its markets, an epoch, an account has constant terms: it is searched like any other, with its
//! cash less what it owes then. Epochs are not searched one by one. First the account is searched under the worst terms of all that are
//! left: the largest scale, and the indices that cost each leg most. Equity and requirement are monotone in each of them, roundings
//! included (what is owed rises with its index, equity with cash, and a requirement that is positive with its scale; one that is not
//! is not scaled), so an account that fails nowhere under the worst terms fails nowhere, and before the first failure under them there is
//! none. Only the epoch of that failure is searched under its own terms; if that finds nothing, the rest is searched in the same way.
//!
//! An instant of the terms is an evaluation instant without a state of a feed. Prices at it are those of the last state before, so a
//! search under the worst terms that also looks at the prices with which it begins has seen them. So it is under a guard: if the account
//! is not blocked at the instant, but was at that state, then a market was freed in between, which is an instant of the search. Whether it
//! is blocked does not depend on the terms: what the search suspects is free under its own terms too.

use super::Trigger;
use super::passage::{Scratch, Search};
use crate::book::{Charge, Holding, Indices, Leg, owed};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::margin::{Prices, Scale};
use crate::terms::{Terms, Worst};
use crate::units::{Amount, Price, Size};

/// Scales by market; all one where there are none.
#[derive(Debug, Clone, Copy)]
pub struct Scales<'a>(&'a [Scale]);

impl Scales<'_> {
    /// Requirements as they are.
    pub const ONE: Self = Self(&[]);

    /// The scale of a market.
    #[inline]
    pub fn of(self, market: MarketId) -> Scale {
        self.0.get(market).copied().unwrap_or(Scale::ONE)
    }
}

/// Prices under scales.
pub struct Under<'p, P> {
    /// The prices.
    pub prices: &'p P,
    /// The scales.
    pub scales: Scales<'p>,
}

impl<P: Prices> Prices for Under<'_, P> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        self.prices.market(market, size)
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.prices.asset(asset)
    }

    fn scale(&self, market: MarketId) -> Scale {
        self.scales.of(market)
    }

    fn payable(&self, holding: Holding<'_>, leg: &Leg, profit: Amount) -> Result<Amount> {
        self.prices.payable(holding, leg, profit)
    }
}

/// An account under some terms. Memory that queries use again and again.
#[derive(Debug, Default)]
pub struct Epoch {
    cash: Vec<(AssetId, Amount)>,
    scales: Vec<Scale>,
}

/// Which terms.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// Those of a time.
    Time(i64),
    /// The worst from a time on.
    WorstFrom(i64),
}

impl Epoch {
    /// The account.
    pub(super) fn holding<'h>(&'h self, legs: &'h [Leg]) -> Holding<'h> {
        Holding { legs, cash: &self.cash }
    }

    /// Scales of its markets.
    pub(super) fn scales(&self) -> Scales<'_> {
        Scales(&self.scales)
    }

    /// Takes an account under terms.
    pub(super) fn take(
        &mut self,
        search: &Search<'_>,
        terms: &Terms,
        holding: Holding<'_>,
        settled: &[Indices],
        of: Of,
    ) -> Result<()> {
        self.cash.clear();
        self.cash.extend_from_slice(holding.cash);
        self.scales.resize(search.venue.markets.len(), Scale::ONE);
        for (k, leg) in holding.legs.iter().enumerate().filter(|(_, l)| !l.size.is_zero()) {
            let market = &terms.markets[leg.market];
            let (scale, funding, borrow) = match of {
                Of::Time(t) => {
                    let term = market.at(t);
                    (term.scale, term.funding, term.borrow)
                }
                Of::WorstFrom(t) => {
                    let Worst { scale, indices } = market.worst_from(t);
                    let funding = if leg.size.0 > 0 {
                        indices.funding_high
                    } else {
                        indices.funding_low
                    };
                    (scale, funding, indices.borrow)
                }
            };
            self.scales[leg.market] = scale;
            let Some(settled) = settled.get(k) else { continue };
            let asset = search.venue.markets[leg.market].settlement;
            for (charge, index) in [(Charge::Funding, funding), (Charge::Borrow, borrow)] {
                let owed = owed(leg, charge, index - settled[charge as usize])?;
                if let Some(slot) = self.cash.iter_mut().find(|(id, _)| *id == asset) {
                    slot.1 = slot.1.minus(owed)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the terms of an account are looked at again at `t`, and when next.
pub(super) fn around(terms: &Terms, legs: &[Leg], t: i64) -> (bool, Option<i64>) {
    let markets = || legs.iter().filter(|l| !l.size.is_zero()).map(|l| l.market);
    let around = || markets().map(|m| terms.markets[m].around(t));
    let changed = around().any(|(last, _)| last == Some(t));
    (changed, around().filter_map(|(_, next)| next).min())
}

impl Search<'_> {
    /// [`Search::fails_at`] under the terms of `t`.
    pub(super) fn fails_at_terms<'s>(
        &'s self,
        terms: &Terms,
        holding: Holding<'_>,
        settled: &[Indices],
        t: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<bool> {
        let mut epoch = std::mem::take(&mut scratch.epoch);
        let fails = epoch
            .take(self, terms, holding, settled, Of::Time(t))
            .and_then(|()| self.fails_in(&epoch, holding, t, scratch));
        scratch.epoch = epoch;
        fails
    }

    /// The first trigger strictly after `after` (or from the opening on) under terms that change.
    pub(super) fn first_over_terms<'s>(
        &'s self,
        terms: &Terms,
        holding: Holding<'_>,
        settled: &[Indices],
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        if holding.legs.iter().all(|l| l.size.is_zero()) {
            return Ok(None);
        }
        let mut epoch = std::mem::take(&mut scratch.epoch);
        let found = self.over_terms(&mut epoch, terms, holding, settled, after, scratch);
        scratch.epoch = epoch;
        found
    }

    /// True if a market of the account is blocked at `t`.
    fn blocks(&self, holding: Holding<'_>, t: i64) -> bool {
        self.index.masks.block(holding.legs, t)
    }

    fn fails_in<'s>(&'s self, epoch: &Epoch, holding: Holding<'_>, t: i64, scratch: &mut Scratch<'s>) -> Result<bool> {
        self.fails_under(epoch.holding(holding.legs), epoch.scales(), t, scratch)
    }

    fn first_in<'s>(
        &'s self,
        epoch: &Epoch,
        holding: Holding<'_>,
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        self.first_under(epoch.holding(holding.legs), epoch.scales(), after, scratch)
    }

    fn over_terms<'s>(
        &'s self,
        epoch: &mut Epoch,
        terms: &Terms,
        holding: Holding<'_>,
        settled: &[Indices],
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        // `since` is the first instant that counts, `after` says the same to a search.
        let mut after = after;
        let since = after.map_or(Some(self.index.first), |t| t.checked_add(1));
        let Some(mut since) = since else { return Ok(None) };
        loop {
            epoch.take(self, terms, holding, settled, Of::WorstFrom(since))?;
            let suspect = if !self.blocks(holding, since) && self.fails_in(epoch, holding, since, scratch)? {
                since
            } else {
                match self.first_in(epoch, holding, after, scratch)? {
                    Some(found) => found.ts,
                    None => return Ok(None),
                }
            };
            let (changed, end) = around(terms, holding.legs, suspect);
            epoch.take(self, terms, holding, settled, Of::Time(suspect))?;
            let from = if suspect > since { Some(suspect - 1) } else { after };
            let found = self.first_in(epoch, holding, from, scratch)?;
            if found.is_some_and(|trigger| trigger.ts == suspect) {
                return Ok(found);
            }
            if changed && self.fails_in(epoch, holding, suspect, scratch)? {
                return Ok(Some(Trigger {
                    ts: suspect,
                    seen: None,
                }));
            }
            if found.is_some_and(|trigger| end.is_none_or(|end| trigger.ts < end)) {
                return Ok(found);
            }
            let Some(end) = end else { return Ok(None) };
            (since, after) = (end, Some(end - 1));
        }
    }

    /// The first recovery from `since` on under terms that change: epoch after epoch, as an account that waits for it waits for little
    /// else.
    pub(super) fn recovery_over_terms<'s>(
        &'s self,
        terms: &Terms,
        holding: Holding<'_>,
        settled: &[Indices],
        since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let mut epoch = std::mem::take(&mut scratch.epoch);
        let found = self.recovery_by_epochs(&mut epoch, terms, holding, settled, since, scratch);
        scratch.epoch = epoch;
        found
    }

    fn recovery_by_epochs<'s>(
        &'s self,
        epoch: &mut Epoch,
        terms: &Terms,
        holding: Holding<'_>,
        settled: &[Indices],
        mut since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        loop {
            let (changed, end) = around(terms, holding.legs, since);
            epoch.take(self, terms, holding, settled, Of::Time(since))?;
            if changed && !self.blocks(holding, since) && !self.fails_in(epoch, holding, since, scratch)? {
                return Ok(Some(since));
            }
            let found = self.recovery_under(epoch.holding(holding.legs), epoch.scales(), since, scratch)?;
            match (found, end) {
                (Some(t), Some(end)) if t >= end => since = end,
                (None, Some(end)) => since = end,
                (found, _) => return Ok(found),
            }
        }
    }
}
