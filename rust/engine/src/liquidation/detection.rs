//! What an account looked like when it was detected: kept until its liquidation is over, for the records.

use crate::book::Book;
use crate::error::Result;
use crate::state::Moment;
use crate::units::{Amount, Price, Usd};

/// An account at its detection, at the trigger feed.
#[derive(Debug, Clone)]
pub struct Detection {
    /// Its equity, without weights.
    pub equity: Usd,
    /// Its notional.
    pub notional: Usd,
    /// Trigger price of its first leg.
    first: Price,
    /// Those of the others.
    others: Vec<Price>,
}

impl Detection {
    /// The account as it stands.
    ///
    /// # Errors
    /// Overflow.
    pub fn of(book: &Book, account: usize, moment: &Moment<'_>) -> Result<Self> {
        let venue = &moment.setup.venue;
        let legs = book.legs(account);
        let usd = |asset: usize, amount| venue.assets[asset].usd(amount, moment.collateral(asset));
        let mut prices = legs.iter().map(|l| moment.trigger(l.market, l.size));
        let mut seen = Self {
            equity: Usd::ZERO,
            notional: Usd::ZERO,
            first: prices.next().unwrap_or(Price(1)),
            others: prices.collect(),
        };
        for &(asset, cash) in &*book.net_cash(account)? {
            let mut balance = cash;
            for (k, leg) in legs.iter().enumerate().filter(|(_, l)| !l.size.is_zero()) {
                let market = &venue.markets[leg.market];
                if market.settlement == asset {
                    let value = market.value(leg.size, seen.price(k))?;
                    balance = balance.plus(value)?;
                    seen.notional = seen.notional.plus(usd(asset, Amount(value.0.abs()))?)?;
                }
            }
            seen.equity = seen.equity.plus(usd(asset, balance)?)?;
        }
        Ok(seen)
    }

    /// Trigger price of a leg.
    pub fn price(&self, leg: usize) -> Price {
        let other = leg.checked_sub(1).and_then(|k| self.others.get(k));
        other.copied().unwrap_or(self.first)
    }
}

/// The last detections of the accounts that are queued, in rows that are used again.
#[derive(Debug, Clone, Default)]
pub struct Detections {
    /// Per account, as far as any was detected: its row plus one, or zero.
    place: Vec<u32>,
    rows: Vec<Detection>,
    free: Vec<u32>,
}

impl Detections {
    /// An account was detected.
    pub fn note(&mut self, account: usize, detection: Detection) {
        if self.place.len() <= account {
            self.place.resize(account + 1, 0);
        }
        let place = &mut self.place[account];
        if *place == 0 {
            if let Some(row) = self.free.pop() {
                *place = row + 1;
            } else {
                self.rows.push(detection);
                // There are no more rows than accounts, whose numbers fit.
                *place = self.rows.len() as u32;
                return;
            }
        }
        self.rows[*place as usize - 1] = detection;
    }

    /// What was seen of a queued account.
    pub fn of(&self, account: usize) -> Option<&Detection> {
        let row = self.place.get(account)?.checked_sub(1)?;
        self.rows.get(row as usize)
    }

    /// The account leaves the queue.
    pub fn end(&mut self, account: usize) {
        let place = self.place.get_mut(account).map_or(0, std::mem::take);
        self.free.extend(place.checked_sub(1));
    }
}
