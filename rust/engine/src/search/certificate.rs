//! Certificates: first passages that hold while what is not known in advance stays within a budget.
//!
//! What an account owes for socialised losses grows by steps that nobody knows beforehand, always against it; and closes displace the
//! trigger feed. A certificate tells the first instant at which the account could fail as long as each of its markets costs it no more
//! than a budget and is displaced no further than a band, both of them shares of its present slack.
//!
//! Budgets are a search with less cash: equity rises with cash, and no requirement rises faster, so an account that does not fail
//! without the budget does not fail as long as less than the budget is gone. Bands are a search with prices that are known only within
//! them. Who has no slack has no budget and no band, and a certificate that any step voids.

use super::displaced::{displacement, point};
use super::{Band, Scratch, Search, Trigger};
use crate::book::{Book, Holding, Indices};
use crate::contract::MarketId;
use crate::error::Result;
use crate::feeds::Channel;
use crate::impact::{Displacement, ONE};
use crate::margin::{Prices, Reach, Requirement};
use crate::units::{Amount, Price, Usd};

/// One in so many parts of the slack is the budget, over all markets: a large one is used up by prices, a small one by steps.
const PART: i128 = 4;

/// The share of the slack that the bands may use up, over all markets.
const BAND: f64 = 0.5;

/// No band goes further than this share of the displaced price.
const WIDEST: f64 = 0.5;

/// A displacement that does an account good may go this far before its certificate is void, as a share of the price.
const HARMLESS: f64 = 0.25;

/// How often bands are cut to a quarter, until an account is clear within them.
const CUTS: u32 = 3;

/// What a certificate allows for in the markets of an account.
#[derive(Debug, Clone, Default)]
pub struct Certificate {
    /// What each may cost, in settlement units.
    pub budgets: Vec<(MarketId, Amount)>,
    /// How far each may be displaced; empty where closes do not displace the trigger feed.
    pub bands: Vec<Band>,
}

/// The present: displaced prices, and what they come from.
pub trait Present: Prices {
    /// Price of a series of the trigger feed as it was published.
    fn published(&self, channel: Channel) -> Price;
    /// How closes have displaced it; None where they do not displace the trigger feed.
    fn displacement(&self, market: MarketId) -> Option<Displacement>;
}

/// An account as a certificate takes it.
#[derive(Clone, Copy)]
struct Taken<'h> {
    /// As it stands now.
    now: Holding<'h>,
    /// Without what accrues, which a search takes off by itself.
    bare: Holding<'h>,
    settled: &'h [Indices],
}

impl Search<'_> {
    /// The first instant strictly after `after` (or from the opening on, if None) at which the account could be liquidatable as long as
    /// each of its markets keeps to the certificate that is written to `certificate`. It does not fail at the prices `now` either, as
    /// long as that holds, unless its budgets are zero and its bands without width. Where the trigger feed is displaced it may not fail
    /// at that instant.
    ///
    /// # Errors
    /// Overflow in an exact evaluation.
    pub fn certify<'s>(
        &'s self,
        book: &Book,
        account: usize,
        after: Option<i64>,
        now: &impl Present,
        scratch: &mut Scratch<'s>,
        certificate: &mut Certificate,
    ) -> Result<Option<Trigger>> {
        let Certificate { budgets, bands } = certificate;
        budgets.clear();
        bands.clear();
        // What accrues is known in advance: a search takes it off by itself.
        let (cash, bare) = (&book.net_cash(account)?, &book.assessed_cash(account)?);
        let settled = book.settled(account);
        let legs = book.legs(account);
        for leg in legs.iter().filter(|l| !l.size.is_zero()) {
            if budgets.last().is_none_or(|b| b.0 != leg.market) {
                budgets.push((leg.market, Amount::ZERO));
                if let Some(x) = now.displacement(leg.market) {
                    bands.push(Band {
                        market: leg.market,
                        low: x,
                        high: x,
                    });
                }
            }
        }
        if budgets.is_empty() {
            return Ok(None);
        }
        let holding = Holding { legs, cash };
        let health = self
            .margin
            .health_of(self.venue, holding, now, Requirement::Maintenance)?;
        let slack = health.equity.saturating_sub(health.requirement).max(0);
        let share = slack / PART / budgets.len() as i128;
        let taken = |now, bare| Taken { now, bare, settled };
        let whole = taken(holding, Holding { legs, cash: bare });
        if share == 0 || !book.is_assessed() {
            return self.first_as_displaced(whole, after, now, slack, scratch, bands);
        }
        let (mut less, mut bare_less) = (cash.to_vec(), bare.to_vec());
        for budget in budgets.iter_mut() {
            let asset = self.venue.markets[budget.0].settlement;
            budget.1 = if cash.len() == 1 {
                Amount(share)
            } else {
                // A share of dollars, in the asset at its present price.
                let dollar = &self.venue.assets[asset];
                Amount(dollar.from_usd_ceil(Usd(share), now.asset(asset))?.0 - 1).positive()
            };
            for cash in [&mut less, &mut bare_less] {
                if let Some(slot) = cash.iter_mut().find(|(id, _)| *id == asset) {
                    slot.1 = slot.1.minus(budget.1)?;
                }
            }
        }
        let less = Holding { legs, cash: &less };
        let health = self.margin.health_of(self.venue, less, now, Requirement::Maintenance)?;
        if health.fails() {
            // By roundings of several assets.
            budgets.iter_mut().for_each(|b| b.1 = Amount::ZERO);
            return self.first_as_displaced(whole, after, now, slack, scratch, bands);
        }
        let slack = health.equity.saturating_sub(health.requirement).max(0);
        let less = taken(less, Holding { legs, cash: &bare_less });
        self.first_as_displaced(less, after, now, slack, scratch, bands)
    }

    /// The first passage of an account with this slack; where closes displace the trigger feed, the first that its bands allow for. The
    /// bands are given without width.
    fn first_as_displaced<'s>(
        &'s self,
        taken: Taken<'_>,
        after: Option<i64>,
        now: &impl Present,
        slack: i128,
        scratch: &mut Scratch<'s>,
        bands: &mut [Band],
    ) -> Result<Option<Trigger>> {
        let Taken {
            now: holding,
            bare,
            settled,
        } = taken;
        if bands.is_empty() {
            return self.first_of(bare, settled, after, scratch);
        }
        let reach = self.widen(holding, now, slack, scratch, bands);
        let since = match after {
            Some(after) => after.checked_add(1),
            None => Some(self.index.first),
        };
        let Some(since) = since else { return Ok(None) };
        // The opening is an instant of everyone's who is not blocked.
        let opens = after.is_none() && !self.index.masks.block(holding.legs, since);
        if opens && !self.clears_now(now, reach, bands, scratch) {
            return Ok(Some(Trigger { ts: since, seen: None }));
        }
        let found = self.first_within(bare, settled, bands, since, scratch)?;
        Ok(found.map(|ts| Trigger { ts, seen: None }))
    }

    fn clears_now(&self, now: &impl Present, reach: Reach, bands: &[Band], scratch: &Scratch<'_>) -> bool {
        let published = |channel| point(now.published(channel));
        self.clears(&scratch.bound, reach, bands, published, |a| point(now.asset(a)))
    }

    /// Gives the bands a width that the holding can bear at the prices `now`, and takes it for bounds within them.
    fn widen<'s>(
        &'s self,
        holding: Holding<'_>,
        now: &impl Present,
        slack: i128,
        scratch: &mut Scratch<'s>,
        bands: &mut [Band],
    ) -> Reach {
        let several = holding.cash.len() > 1;
        let exposure = |band: &Band| -> f64 {
            let market = &self.venue.markets[band.market];
            let legs = holding.legs.iter().filter(|l| l.market == band.market);
            let value = legs.map(|l| {
                let price = now.market(band.market, l.size);
                market.value_f64(l.size, price.0 as f64).abs()
            });
            let value: f64 = value.sum();
            let settlement = market.settlement;
            if several {
                value * self.venue.assets[settlement].dollars_f64(now.asset(settlement))
            } else {
                value
            }
        };
        let mut share = BAND * slack as f64 / bands.len() as f64;
        let mut cut = 0;
        loop {
            for band in bands.iter_mut() {
                let x = now.displacement(band.market).unwrap_or_default();
                // The displaced price moves by the width over what it is displaced to.
                let width = (share / exposure(band).max(1.0)).min(WIDEST) * (1.0 + x.as_f64());
                let width = if cut == CUTS {
                    Displacement::ZERO
                } else {
                    displacement(width)
                };
                (band.low, band.high) = (Displacement(x.0 - width.0), Displacement(x.0 + width.0));
            }
            let reach = self.take_within(holding, &room(bands), |m| now.scale(m), scratch);
            // What does it good may go on.
            for band in bands.iter_mut() {
                let x = now.displacement(band.market).unwrap_or_default();
                let far = (HARMLESS * ONE as f64) as i128;
                let hurt = match reach {
                    Reach::Below(..) => Some(true),
                    Reach::Above(..) => Some(false),
                    Reach::Never | Reach::Assets => None,
                    Reach::Markets => {
                        let terms = scratch.bound.terms().iter();
                        let mut ends = terms
                            .filter(|t| self.market(t.channel) == band.market)
                            .map(|t| t.least_at_low());
                        let first = ends.next().flatten();
                        first.filter(|_| ends.all(|end| end == first))
                    }
                };
                match hurt {
                    Some(true) => band.high = band.high.max(Displacement(x.0 + far)),
                    Some(false) => band.low = band.low.min(Displacement(x.0 - far)),
                    None => {}
                }
            }
            if cut == CUTS || self.clears_now(now, reach, bands, scratch) {
                return reach;
            }
            share /= 4.0;
            cut += 1;
        }
    }
}

/// Bands with the room in which bounds are to hold: whatever a band may become.
fn room(bands: &[Band]) -> Vec<Band> {
    let far = (HARMLESS * ONE as f64) as i128;
    let wider = |b: &Band| Band {
        market: b.market,
        low: Displacement(b.low.0 - far),
        high: Displacement(b.high.0 + far),
    };
    bands.iter().map(wider).collect()
}

#[cfg(test)]
mod tests;
