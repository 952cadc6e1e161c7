//! What an account looked like when it was detected: kept until its liquidation is over, for the records.

use std::collections::BTreeMap;

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

/// The last detections of the accounts that are queued.
#[derive(Debug, Clone, Default)]
pub struct Detections(BTreeMap<usize, Detection>);

impl Detections {
    /// An account was detected.
    pub fn note(&mut self, account: usize, detection: Detection) {
        self.0.insert(account, detection);
    }

    /// What was seen of a queued account.
    pub fn of(&self, account: usize) -> Option<&Detection> {
        self.0.get(&account)
    }

    /// The account leaves the queue.
    pub fn end(&mut self, account: usize) {
        self.0.remove(&account);
    }
}
