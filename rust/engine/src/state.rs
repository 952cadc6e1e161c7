//! The state of a run: the book, the ledger, the records, and the prices of a moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::book::{Book, Holding, Leg};
use crate::config::{Layer, Protocol};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::{Channel, Feed, Feeds, Quotes, Sided};
use crate::impact::{Displacement, Impact};
use crate::ledger::{Entity, FundId, Holder, Ledger, Posting, PostingKind};
use crate::liquidation::detection::Detections;
use crate::liquidation::underway::Liquidations;
use crate::margin::{Margin, Prices, Scale};
use crate::payout::{Caps, Deferred, Payout};
use crate::records::Records;
use crate::search::Present;
use crate::terms::Terms;
use crate::units::{Amount, Price, Size, Usd};
use crate::waterfall::adl::Queues;
use crate::waterfall::failure::Outages;
use crate::waterfall::funds::Funds;
use crate::waterfall::late::Claims;
use crate::waterfall::limits::Standings;
use crate::waterfall::sources::Sources;
use crate::waterfall::token::Sales;

/// What does not change during a run.
pub struct Setup {
    /// Markets and assets.
    pub venue: Venue,
    /// The protocol.
    pub protocol: Protocol,
    /// Its margin rules.
    pub margin: Margin,
    /// What of their profit winners are paid.
    pub payout: Option<Payout>,
    /// Insurance funds of some markets.
    pub funds: Funds,
    /// First timestamp of the tape.
    pub opening: i64,
    /// Last timestamp of the tape.
    pub end: i64,
}

/// The prices of a window of the tape, for one thread.
pub struct Board {
    feeds: Arc<Feeds>,
    quotes: Quotes,
    terms: Option<Arc<Terms>>,
    impact: Option<Impact>,
}

impl Board {
    /// The prices of these feeds.
    pub fn new(feeds: Arc<Feeds>) -> Self {
        let quotes = Quotes::new(Arc::clone(&feeds.places));
        Self {
            feeds,
            quotes,
            terms: None,
            impact: None,
        }
    }

    /// The same prices under terms that change on a schedule.
    #[must_use]
    pub fn with_terms(self, terms: Option<Arc<Terms>>) -> Self {
        Self { terms, ..self }
    }

    /// The same prices as closes displace them.
    #[must_use]
    pub fn with_impact(self, impact: Option<Impact>) -> Self {
        Self { impact, ..self }
    }

    /// The terms, if they change.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_deref()
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
    pub holders: Arc<Vec<Vec<u32>>>,
    /// Who is next in auto-deleveraging.
    pub deleveraging: Queues,
    /// By account: what layers paid for it, for late deposits.
    pub cover: BTreeMap<usize, Vec<Cover>>,
    /// Accounts of which an action has closed a part.
    pub liquidations: Liquidations,
    /// What queued accounts looked like when they were detected.
    pub detections: Detections,
    /// What layers with limits may still pay.
    pub standings: Standings,
    /// When failing layers have halted the venue.
    pub outages: Outages,
    /// Where insurance funds get money from.
    pub sources: Sources,
    /// What the treasury has paid at once.
    pub treasury_paid: Usd,
    /// What layers pay later.
    pub claims: Claims,
    /// What tokens have been sold.
    pub sales: Sales,
    /// What the pool owes of profits that it did not have.
    pub deferred: Deferred,
    /// When something was last uncovered.
    pub uncovered_at: Option<i64>,
}

/// A payment that a late deposit could make good.
#[derive(Debug, Clone, Copy)]
pub struct Cover {
    /// Row of the bad-debt record.
    pub row: usize,
    /// By whom; None: uncovered.
    pub layer: Option<Layer>,
    /// By which insurance fund, if one did; None: the general one.
    pub fund: Option<FundId>,
    /// In which asset it reached the account.
    pub asset: AssetId,
    /// How much is still outstanding.
    pub amount: Amount,
}

impl State {
    /// At the opening: nothing has happened yet.
    pub fn new(book: Book, ledger: Ledger, records: Records, holders: Arc<Vec<Vec<u32>>>) -> Self {
        Self {
            book,
            ledger,
            records,
            holders,
            deleveraging: Queues::default(),
            cover: BTreeMap::new(),
            liquidations: Liquidations::default(),
            detections: Detections::default(),
            standings: Standings::default(),
            outages: Outages::default(),
            sources: Sources::default(),
            treasury_paid: Usd::ZERO,
            claims: Claims::default(),
            sales: Sales::default(),
            deferred: Deferred::default(),
            uncovered_at: None,
        }
    }

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
        self.records.capital_moves += u64::from(from.is_capital() || to.is_capital());
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
    /// What counts of profits, where no more counts than is paid.
    pub caps: Option<&'a Caps<'a>>,
}

impl<'a> Moment<'a> {
    /// The moment `ts`, at the states of its instant.
    pub fn new(setup: &'a Setup, board: &'a Board, ts: i64) -> Self {
        Self {
            setup,
            board,
            ts,
            seen: None,
            caps: None,
        }
    }

    fn at(&self, feed: &Feed) -> Price {
        self.board.quotes.at(feed, self.ts)
    }

    fn of(&self, feed: &Sided, is_trigger: bool, market: MarketId, size: Size) -> Price {
        let seen = if is_trigger { self.seen_in(market) } else { None };
        seen.unwrap_or_else(|| self.at(feed.of(market, size)))
    }

    fn seen_in(&self, market: MarketId) -> Option<Price> {
        self.seen.filter(|(m, _)| *m == market).map(|(_, p)| p)
    }

    /// As closes have displaced the trigger feed of a market.
    fn displaced(&self, market: MarketId, published: Price) -> Price {
        let feedback = self.board.feedback();
        feedback.map_or(published, |impact| impact.now(market, self.ts).of(published))
    }

    /// Trigger price of a market for a position of this sign.
    pub fn trigger(&self, market: MarketId, size: Size) -> Price {
        self.displaced(market, self.published_trigger(market, size))
    }

    /// Trigger price of a market for a position of this sign, before closes displace it.
    pub fn published_trigger(&self, market: MarketId, size: Size) -> Price {
        self.of(&self.board.feeds.trigger, true, market, size)
    }

    /// Trigger prices by channel, before closes displace them.
    pub fn published_triggers(&self) -> Vec<Price> {
        let channels = 0..self.board.feeds.trigger.feeds.len();
        channels.map(|channel| self.published(channel)).collect()
    }

    /// Execution price of a market for a position of this sign, before closes displace it.
    pub fn execution(&self, market: MarketId, size: Size) -> Price {
        let feeds = &self.board.feeds;
        self.of(&feeds.execution, feeds.execution_is_trigger, market, size)
    }

    /// Mark of ADL of a market for a position of this sign.
    pub fn adl_mark(&self, market: MarketId, size: Size) -> Price {
        let feeds = &self.board.feeds;
        let published = self.of(&feeds.adl, feeds.adl_is_trigger, market, size);
        if feeds.adl_is_trigger {
            self.displaced(market, published)
        } else {
            published
        }
    }

    /// Price of ADL of a market for a position of this sign: that of its own feed, or the mark.
    pub fn adl_price(&self, market: MarketId, size: Size) -> Price {
        let feeds = &self.board.feeds;
        match &feeds.adl_price {
            Some(own) if feeds.adl_price_is_trigger => self.displaced(market, self.of(own, true, market, size)),
            Some(own) => self.of(own, false, market, size),
            None => self.adl_mark(market, size),
        }
    }

    /// Reference price of a market.
    pub fn reference(&self, market: MarketId) -> Price {
        self.at(&self.board.feeds.reference[market])
    }

    /// Price of the feed at which a delisting settles a market; None: it has none.
    pub fn settlement(&self, delisting: usize, market: MarketId) -> Option<Price> {
        let feeds = self.board.feeds.settlement.get(delisting)?.as_ref()?;
        Some(self.at(&feeds[market]))
    }

    /// Scale of dynamic margin in a market.
    pub fn scale(&self, market: MarketId) -> Scale {
        let terms = self.board.terms.as_ref();
        terms.map_or(Scale::ONE, |terms| terms.markets[market].at(self.ts).scale)
    }

    /// Price of an asset at the protocol's collateral feed.
    pub fn collateral(&self, asset: AssetId) -> Price {
        let market = self.setup.venue.assets[asset].price_market;
        market.map_or(Price(1), |m| self.at(&self.board.feeds.collateral[m]))
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

    /// Equity of fund, pool, treasury, vault and token in dollars at the reference.
    pub fn layer_equities(&self, ledger: &Ledger) -> Result<[Usd; 5]> {
        let equity = |entity| self.entity_equity(ledger, entity);
        Ok([
            self.funds_equity(ledger)?,
            equity(Entity::Pool)?,
            equity(Entity::Treasury)?,
            equity(Entity::Vault)?,
            equity(Entity::Token)?,
        ])
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
    fn published(&self, channel: Channel) -> Price {
        let seen = self.seen_in(channel % self.setup.venue.markets.len());
        seen.unwrap_or_else(|| self.at(&self.board.feeds.trigger.feeds[channel]))
    }

    fn displacement(&self, market: MarketId) -> Option<Displacement> {
        self.board.feedback().map(|impact| impact.now(market, self.ts))
    }
}

impl Prices for Moment<'_> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        self.trigger(market, size)
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.collateral(asset)
    }

    fn scale(&self, market: MarketId) -> Scale {
        self.scale(market)
    }

    fn payable(&self, holding: Holding<'_>, leg: &Leg, profit: Amount) -> Result<Amount> {
        self.caps
            .map_or(Ok(Amount::ZERO), |caps| caps.payable(holding, leg, profit))
    }
}

/// The prices of a moment as they were published: closes have not displaced them, and a print just seen does not count.
pub struct Published<'a, 'm>(pub &'a Moment<'m>);

impl Prices for Published<'_, '_> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        self.0.at(self.0.board.feeds.trigger.of(market, size))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.0.collateral(asset)
    }
}
