//! The state of a run: the book, the ledger, the records, and the prices of a moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::book::Book;
use crate::config::{Layer, Protocol};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::{Feed, Feeds, Quotes};
use crate::impact::{Displacement, Impact};
use crate::ledger::{Entity, Holder, Ledger, Posting, PostingKind};
use crate::margin::{Margin, Prices};
use crate::records::Records;
use crate::search::Present;
use crate::units::{Amount, Price, Usd};
use crate::waterfall::adl::Queues;

/// What does not change during a run.
pub struct Setup {
    /// Markets and assets.
    pub venue: Venue,
    /// The protocol.
    pub protocol: Protocol,
    /// Its margin rules.
    pub margin: Margin,
    /// First timestamp of the tape.
    pub opening: i64,
    /// Last timestamp of the tape.
    pub end: i64,
}

/// The prices of a window of the tape, for one thread.
pub struct Board {
    feeds: Arc<Feeds>,
    quotes: Quotes,
    impact: Option<Impact>,
}

impl Board {
    /// The prices of these feeds.
    pub fn new(feeds: Arc<Feeds>) -> Self {
        Self::displaced(feeds, None)
    }

    /// The prices of these feeds, as closes have displaced them.
    pub fn displaced(feeds: Arc<Feeds>, impact: Option<Impact>) -> Self {
        let quotes = Quotes::new(feeds.slots);
        Self { feeds, quotes, impact }
    }

    /// What closes have done to prices, for the next window.
    pub fn into_impact(self) -> Option<Impact> {
        self.impact
    }

    /// What closes do to prices; None if nothing.
    pub fn impact(&self) -> Option<&Impact> {
        self.impact.as_ref()
    }

    /// The same, if they displace the trigger feed.
    pub fn feedback(&self) -> Option<&Impact> {
        self.impact().filter(|impact| impact.feeds_back())
    }

    /// The feeds.
    pub fn feeds(&self) -> &Feeds {
        &self.feeds
    }
}

/// What changes.
pub struct State {
    /// Accounts.
    pub book: Book,
    /// Entities.
    pub ledger: Ledger,
    /// What happened.
    pub records: Records,
    /// Accounts with a leg in each market.
    pub holders: Vec<Vec<u32>>,
    /// Who is next in auto-deleveraging.
    pub deleveraging: Queues,
    /// By account: what layers paid for it, for late deposits.
    pub cover: BTreeMap<usize, Vec<Cover>>,
}

/// A payment that a late deposit could make good.
#[derive(Debug, Clone, Copy)]
pub struct Cover {
    /// Row of the bad-debt record.
    pub row: usize,
    /// By whom; None: uncovered.
    pub layer: Option<Layer>,
    /// In which asset it reached the account.
    pub asset: AssetId,
    /// How much is still outstanding.
    pub amount: Amount,
}

impl State {
    /// Moves an amount and records it; nothing moves nothing. A negative amount moves, and is recorded, the other way.
    #[expect(clippy::too_many_arguments, reason = "a posting has that many parts")]
    pub fn post(
        &mut self,
        moment: &Moment<'_>,
        event: Option<u32>,
        kind: PostingKind,
        from: Holder,
        to: Holder,
        asset: AssetId,
        amount: Amount,
    ) -> Result<()> {
        if amount.is_zero() {
            return Ok(());
        }
        let (from, to, amount) = if amount.0 < 0 {
            (to, from, amount.negated())
        } else {
            (from, to, amount)
        };
        self.ledger.transfer(&mut self.book, from, to, asset, amount)?;
        let posting = Posting {
            ts: moment.ts,
            event,
            kind,
            from,
            to,
            asset,
            amount,
            usd: moment.usd(asset, amount)?,
        };
        self.records.post(posting)
    }
}

/// The prices of a moment.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Setup of the run.
    pub setup: &'a Setup,
    /// Prices.
    pub board: &'a Board,
    /// When.
    pub ts: i64,
    /// The print just seen, for an action without latency on a print-by-print feed.
    pub seen: Option<(MarketId, Price)>,
}

impl<'a> Moment<'a> {
    /// The moment `ts`, at the states of its instant.
    pub fn new(setup: &'a Setup, board: &'a Board, ts: i64) -> Self {
        Self {
            setup,
            board,
            ts,
            seen: None,
        }
    }

    fn at(&self, feeds: &[Feed], market: MarketId) -> Price {
        self.board.quotes.at(&feeds[market], self.ts)
    }

    fn seen_in(&self, market: MarketId) -> Option<Price> {
        self.seen.filter(|(m, _)| *m == market).map(|(_, p)| p)
    }

    /// Trigger price of a market, which is the mark.
    pub fn trigger(&self, market: MarketId) -> Price {
        let published = self.published_trigger(market);
        let feedback = self.board.feedback();
        feedback.map_or(published, |impact| impact.now(market, self.ts).of(published))
    }

    /// Trigger price of a market before closes displace it.
    pub fn published_trigger(&self, market: MarketId) -> Price {
        self.seen_in(market)
            .unwrap_or_else(|| self.at(&self.board.feeds.trigger, market))
    }

    /// Execution price of a market, before closes displace it.
    pub fn execution(&self, market: MarketId) -> Price {
        let seen = if self.board.feeds.execution_is_trigger {
            self.seen_in(market)
        } else {
            None
        };
        seen.unwrap_or_else(|| self.at(&self.board.feeds.execution, market))
    }

    /// Reference price of a market.
    pub fn reference(&self, market: MarketId) -> Price {
        self.at(&self.board.feeds.reference, market)
    }

    /// Price of an asset at the protocol's collateral feed.
    pub fn collateral(&self, asset: AssetId) -> Price {
        let market = self.setup.venue.assets[asset].price_market;
        market.map_or(Price(1), |m| self.at(&self.board.feeds.collateral, m))
    }

    /// Price of an asset at the reference.
    pub fn reference_of_asset(&self, asset: AssetId) -> Price {
        self.setup.venue.assets[asset]
            .price_market
            .map_or(Price(1), |m| self.reference(m))
    }

    /// Dollars at the reference.
    pub fn usd(&self, asset: AssetId, amount: Amount) -> Result<Usd> {
        self.setup.venue.assets[asset].usd(amount, self.reference_of_asset(asset))
    }

    /// Equity of an account in dollars at the reference, each asset truncated.
    pub fn account_equity(&self, book: &Book, account: usize) -> Result<Usd> {
        let mut total = Usd::ZERO;
        for &(asset, cash) in &*book.net_cash(account)? {
            let mut balance = cash;
            for leg in book.legs(account).iter().filter(|l| !l.size.is_zero()) {
                let market = &self.setup.venue.markets[leg.market];
                if market.settlement == asset {
                    balance = balance.plus(market.value(leg.size, self.reference(leg.market))?)?;
                }
            }
            total = total.plus(self.usd(asset, balance)?)?;
        }
        Ok(total)
    }

    /// Balance of an entity in an asset, its inventory at the reference included.
    pub fn entity_balance(&self, ledger: &Ledger, entity: Entity, asset: AssetId) -> Result<Amount> {
        let mut balance = ledger.balance(entity, asset);
        for &m in ledger.traded(entity) {
            let (market, held) = (&self.setup.venue.markets[m], ledger.inventory(entity, m));
            if market.settlement == asset && !held.size.is_zero() {
                balance = balance.plus(market.value(held.size, self.reference(m))?)?;
            }
        }
        Ok(balance)
    }

    /// Equity of an entity in dollars at the reference.
    pub fn entity_equity(&self, ledger: &Ledger, entity: Entity) -> Result<Usd> {
        let mut total = Usd::ZERO;
        for asset in 0..self.setup.venue.assets.len() {
            total = total.plus(self.usd(asset, self.entity_balance(ledger, entity, asset)?)?)?;
        }
        Ok(total)
    }
}

impl Present for Moment<'_> {
    fn published(&self, market: MarketId) -> Price {
        self.published_trigger(market)
    }

    fn displacement(&self, market: MarketId) -> Option<Displacement> {
        self.board.feedback().map(|impact| impact.now(market, self.ts))
    }
}

impl Prices for Moment<'_> {
    fn market(&self, market: MarketId) -> Price {
        self.trigger(market)
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.collateral(asset)
    }
}
