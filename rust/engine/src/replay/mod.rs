//! The replay: ticks, book and protocol in, records out.
//!
//! Phases: feeds and index; the opening; the first trigger of every account (in parallel); the event loop (in the order of semantics,
//! section 3); the end of the tape. Results do not depend on the number of threads: a parallel phase only answers independent
//! queries, and the event loop is serial.

mod events;
mod opening;
mod queue;

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::book::{AccountEvent, Book, BookFrames, Status};
use crate::config::{ExecutionKind, FeedConfig, Options, Protocol, Reference, Settlement, Source};
use crate::contract::Venue;
use crate::error::{Error, Result};
use crate::feeds::FeedFactory;
use crate::ledger::{Entity, Ledger};
use crate::liquidation::{Close, LegPrice, close};
use crate::margin::{Margin, Requirement};
use crate::progress::Progress;
use crate::records::{BadDebtRow, TimelineRow};
use crate::search::{BlockScan, Trigger, TriggerSearch};
use crate::state::{Moment, Setup, State};
use crate::tape::Tape;
use crate::units::{Amount, Price, Usd};
use crate::waterfall::socialised;

use queue::{Action, Queue, Step};

/// A finished run.
pub struct Run {
    /// What did not change.
    pub setup: Setup,
    /// Book, ledger and records as they ended.
    pub state: State,
    /// Cash of the accounts after the opening, in the order of accounts and assets.
    pub opening_cash: Vec<Vec<(usize, Amount)>>,
    /// Sizes of the accounts after the opening.
    pub opening_sizes: Vec<Vec<i64>>,
    /// Ledger of the entities after the opening.
    pub opening_ledger: Ledger,
    /// Options of the run.
    pub options: Options,
    /// Ticks on the tape.
    pub ticks: usize,
    /// What the end of the session moved from the socialised layer to later ones (None: uncovered).
    pub passed_on: Vec<(Option<crate::config::Layer>, Usd)>,
    /// Negative equity of accounts never closed: (account, dollars).
    pub open: Vec<(usize, Usd)>,
    /// Result of the vault from takeover to the end of the tape.
    pub takeover_pnl: Usd,
}

/// Replays a tape through a protocol.
///
/// # Errors
/// [`Error::Config`], [`Error::Book`] or [`Error::Data`] for input that cannot be used, [`Error::Overflow`],
/// [`Error::Interrupted`] when `progress` asks to stop.
pub fn replay(
    tape: &Tape,
    frames: &BookFrames,
    protocol: Protocol,
    options: Options,
    progress: &dyn Progress,
) -> Result<Run> {
    let (Some(opening), Some(end)) = (tape.start(), tape.end()) else {
        return Err(Error::Data("the tape has no ticks".to_owned()));
    };
    if !progress.step("feeds", 0, 1) {
        return Err(Error::Interrupted);
    }
    let venue = Venue::bind(tape)?;
    for name in protocol.margin.markets.keys() {
        if venue.market(name).is_none() {
            return Err(Error::Config(format!(
                "protocol: margin.markets: there is no market {name:?} on the tape"
            )));
        }
    }
    let (book, events) = Book::bind(frames, &venue)?;
    check_indices(&venue, &book, &protocol, &options)?;
    if let Some(row) = events.iter().position(|e| e.ts < opening) {
        return Err(Error::Book(format!(
            "events frame, row {row}, column ts: the event comes before the first tick"
        )));
    }
    let feeds = FeedFactory::new(tape, &venue, &protocol).feeds(&options)?;
    let margin = Margin::bind(&protocol, &venue)?;
    let setup = Setup {
        venue,
        protocol,
        feeds,
        margin,
        opening,
        end,
    };

    let opened = opening::open(&setup, book, options.opening)?;
    let index = BlockScan::new(&setup.venue, &setup.margin, &setup.feeds, opening, end);
    let opening::Opened {
        state,
        cash,
        sizes,
        ledger,
    } = opened;
    let prints = PrintTape { tape, setup: &setup };
    let mut replayer = Replayer::new(&setup, state, &index, prints, events, progress);
    replayer.first_triggers()?;
    replayer.run()?;
    let mut state = replayer.state;

    let last = Moment::new(&setup, end);
    let passed_on = socialised::settle(&mut state, &last)?;
    state.ledger.check()?;
    state.ledger.recount(&state.book)?;
    let open = open_shortfalls(&mut state, &last)?;
    let vault = setup.protocol.vault.as_ref().map_or(Usd::ZERO, |v| Usd(v.balance.0));
    let takeover_pnl = last.entity_equity(&state.ledger, Entity::Vault)?.minus(vault)?;
    Ok(Run {
        setup,
        state,
        opening_cash: cash,
        opening_sizes: sizes,
        opening_ledger: ledger,
        options,
        ticks: tape.rows(),
        passed_on,
        open,
        takeover_pnl,
    })
}

/// A feed that needs an index needs it for every market in which the book has a position.
fn check_indices(venue: &Venue, book: &Book, protocol: &Protocol, options: &Options) -> Result<()> {
    let needs = |name: &str| -> bool {
        let mut config = protocol.feeds.get(name);
        if let Some(FeedConfig::Push { source, .. }) = config {
            if source == "index" && !protocol.feeds.contains_key("index") {
                return true;
            }
            config = protocol.feeds.get(source);
        }
        match config {
            Some(FeedConfig::Last { source, .. }) => *source == Source::Index,
            Some(FeedConfig::Push { .. }) => false,
            None => name == "index",
        }
    };
    let reference = match &options.reference {
        Reference::Named(name) => name == "index",
        Reference::Feed(FeedConfig::Last { source, .. }) => *source == Source::Index,
        Reference::Feed(FeedConfig::Push { source, .. }) => source == "index",
    };
    let uses = [
        ("protocol: trigger_feed", needs(&protocol.trigger_feed)),
        ("protocol: execution_feed", needs(&protocol.execution_feed)),
        ("reference", reference),
    ];
    for (field, needed) in uses {
        if !needed {
            continue;
        }
        for account in 0..book.len() {
            if let Some(leg) = book
                .legs(account)
                .iter()
                .find(|l| venue.markets[l.market].index.is_none())
            {
                return Err(Error::Config(format!(
                    "{field}: market {} has no index; name one in its definition",
                    venue.markets[leg.market].name
                )));
            }
        }
    }
    Ok(())
}

fn open_shortfalls(state: &mut State, last: &Moment<'_>) -> Result<Vec<(usize, Usd)>> {
    let mut open = Vec::new();
    for account in 0..state.book.len() {
        let equity = last.account_equity(&state.book, account)?;
        state.records.accounts[account].closing_equity = equity;
        if equity.0 >= 0 || state.book.accounts[account].status.is_closed() {
            continue;
        }
        let shortfall = equity.negated();
        open.push((account, shortfall));
        let assets = state.book.cash(account);
        state.records.bad_debt.push(BadDebtRow {
            ts: last.ts,
            account,
            event: None,
            asset: assets[0].0,
            amount: Amount::ZERO,
            third_party_fees: Usd::ZERO,
            waived: Usd::ZERO,
            paid: Vec::new(),
            give_up: Usd::ZERO,
            uncovered: shortfall,
            overshoot: Usd::ZERO,
            subsidy: Usd::ZERO,
            recovered: Vec::new(),
        });
    }
    Ok(open)
}

/// The prints of the tape, for orders that fill at the next one.
struct PrintTape<'a> {
    tape: &'a Tape,
    setup: &'a Setup,
}

impl PrintTape<'_> {
    /// The first print of a market after `t`, in file order.
    fn next(&self, market: usize, t: i64) -> Result<Option<(i64, Price)>> {
        let ticks = &self.tape.markets[market];
        let i = ticks.ts.partition_point(|&u| u <= t);
        let Some(&ts) = ticks.ts.get(i) else { return Ok(None) };
        let finer = self.setup.venue.markets[market].price_decimals - ticks.spec.price_decimals.unwrap_or(0);
        let price = ticks.price[i]
            .checked_mul(10i64.pow(finer))
            .ok_or_else(|| Error::overflow("price"))?;
        Ok(Some((ts, Price(price))))
    }
}

struct Replayer<'a> {
    setup: &'a Setup,
    state: State,
    search: &'a dyn TriggerSearch,
    prints: PrintTape<'a>,
    events: Vec<AccountEvent>,
    next_event: usize,
    queue: Queue,
    progress: &'a dyn Progress,
    totals: TimelineRow,
    seen_rows: (usize, usize, usize),
}

/// Accounts per parallel batch of first triggers.
const BATCH: usize = 2048;

impl<'a> Replayer<'a> {
    fn new(
        setup: &'a Setup,
        state: State,
        search: &'a dyn TriggerSearch,
        prints: PrintTape<'a>,
        events: Vec<AccountEvent>,
        progress: &'a dyn Progress,
    ) -> Self {
        let accounts = state.book.len();
        Self {
            setup,
            state,
            search,
            prints,
            events,
            next_event: 0,
            queue: Queue::new(accounts),
            progress,
            totals: TimelineRow::default(),
            seen_rows: (0, 0, 0),
        }
    }

    /// First trigger of every account, in parallel.
    fn first_triggers(&mut self) -> Result<()> {
        let accounts = self.state.book.len();
        let done = std::sync::atomic::AtomicU64::new(0);
        let (book, search, progress) = (&self.state.book, self.search, self.progress);
        let starts: Vec<usize> = (0..accounts).step_by(BATCH).collect();
        let found: Vec<Vec<Option<Trigger>>> = starts
            .into_par_iter()
            .map(|from| {
                let to = (from + BATCH).min(accounts);
                let before = done.fetch_add((to - from) as u64, std::sync::atomic::Ordering::Relaxed);
                if !progress.step("triggers", before, accounts as u64) {
                    return Err(Error::Interrupted);
                }
                (from..to)
                    .map(|a| {
                        if book.accounts[a].status.is_closed() {
                            Ok(None)
                        } else {
                            search.first(book, a, None)
                        }
                    })
                    .collect()
            })
            .collect::<Result<_>>()?;
        for (account, trigger) in found.into_iter().flatten().enumerate() {
            if let Some(t) = trigger {
                self.queue.expect(account, t);
            }
        }
        Ok(())
    }

    /// Processes every instant at which something is due, in order.
    fn run(&mut self) -> Result<()> {
        let mut count = 0u64;
        let span = (self.setup.end - self.setup.opening).max(1);
        loop {
            let event_ts = self.events.get(self.next_event).map(|e| e.ts);
            let next = [self.queue.next_ts(), event_ts].into_iter().flatten().min();
            let Some(t) = next.filter(|&t| t <= self.setup.end) else {
                self.turn_down_late_events();
                return Ok(());
            };
            self.instant(t)?;
            count += 1;
            if count.is_multiple_of(16)
                && !self
                    .progress
                    .step("replay", (t - self.setup.opening).max(0) as u64, span as u64)
            {
                return Err(Error::Interrupted);
            }
        }
    }

    fn instant(&mut self, t: i64) -> Result<()> {
        let touched = self.apply_events(t)?;
        self.detect(t, &touched)?;

        let mut to_search: BTreeSet<usize> = touched.into_iter().collect();
        for round in 0..=self.setup.protocol.keeper.rounds {
            let (changed, recovered) = self.act(t)?;
            to_search.extend(recovered);
            to_search.extend(&changed);
            if round == self.setup.protocol.keeper.rounds || !self.enqueue_failing(t, &changed)? {
                break;
            }
        }
        for account in to_search {
            let status = self.state.book.accounts[account].status;
            if status == Status::Open {
                let trigger = self.search.first(&self.state.book, account, Some(t))?;
                self.queue.forget(account);
                if let Some(trigger) = trigger {
                    self.queue.expect(account, trigger);
                }
            }
        }
        self.state.ledger.check()?;
        self.record_timeline(t)
    }

    /// Enqueues the accounts whose trigger is due, and those that an event touched and that fail now.
    fn detect(&mut self, t: i64, touched: &[usize]) -> Result<()> {
        let moment = Moment::new(self.setup, t);
        let mut found: Vec<(usize, Option<Price>)> = Vec::new();
        while let Some((account, seen)) = self.queue.pop_trigger(t) {
            if !touched.contains(&account) {
                found.push((account, seen));
            }
        }
        for &account in touched {
            if self.state.book.accounts[account].status != Status::Open {
                continue;
            }
            // As if the event had come before the prints of this instant; without prints, at the states as they stand.
            let again = self
                .search
                .first(&self.state.book, account, Some(t - 1))?
                .filter(|trigger| trigger.ts == t);
            match again {
                Some(trigger) => found.push((account, trigger.seen)),
                None if self.fails(&moment, account)? => found.push((account, None)),
                None => {}
            }
        }
        found.sort_unstable_by_key(|(account, _)| *account);
        found.dedup_by_key(|(account, _)| *account);
        for (account, seen) in found {
            self.enqueue(t, account, seen)?;
        }
        Ok(())
    }

    fn fails(&self, moment: &Moment<'_>, account: usize) -> Result<bool> {
        let setup = self.setup;
        Ok(self.state.book.has_position(account)
            && setup
                .margin
                .health(
                    &setup.venue,
                    &self.state.book,
                    account,
                    moment,
                    Requirement::Maintenance,
                )?
                .fails())
    }

    fn enqueue(&mut self, t: i64, account: usize, seen: Option<Price>) -> Result<()> {
        let due = t.checked_add(self.setup.protocol.keeper.latency).unwrap_or(i64::MAX);
        self.state.book.accounts[account].status = Status::Queued;
        self.state.records.detections += 1;
        let summary = &mut self.state.records.accounts[account];
        summary.trigger_ts = summary.trigger_ts.or(Some(t));
        let market = self
            .state
            .book
            .legs(account)
            .iter()
            .find(|l| !l.size.is_zero())
            .map(|l| l.market);
        let seen = seen.filter(|_| due == t).and_then(|p| Some((market?, p)));
        self.queue.push(Action {
            due,
            enqueued: t,
            account,
            step: Step::Decide { seen },
            trigger: t,
        });
        Ok(())
    }

    /// Tests what the last round changed; true if anything became due now.
    fn enqueue_failing(&mut self, t: i64, changed: &BTreeSet<usize>) -> Result<bool> {
        let moment = Moment::new(self.setup, t);
        let mut due = false;
        for &account in changed {
            if self.state.book.accounts[account].status == Status::Open && self.fails(&moment, account)? {
                self.queue.forget(account);
                self.enqueue(t, account, None)?;
                due |= self.setup.protocol.keeper.latency == 0;
            }
        }
        Ok(due)
    }

    /// Runs the due actions. Returns the accounts that they changed and those that had recovered.
    fn act(&mut self, t: i64) -> Result<(BTreeSet<usize>, Vec<usize>)> {
        let mut changed = BTreeSet::new();
        let mut recovered = Vec::new();
        let mut ready = Vec::new();
        while let Some(action) = self.queue.pop_due(t) {
            if let Some(order) = self.decide(t, action, &mut recovered)? {
                match self.setup.protocol.settlement {
                    Settlement::PerFill => changed.extend(self.close(t, &order)?),
                    Settlement::PerInstant => ready.push(order),
                }
            }
        }
        // All that need no payer first, then the others against the layers as they then stand.
        let mut waiting = Vec::new();
        for order in ready {
            let moment = order.moment(self.setup, t);
            let plan = Close {
                state: &mut self.state,
                moment: &moment,
                account: order.account,
                prices: &order.prices,
            }
            .plan()?;
            if plan.solvent {
                changed.extend(self.close(t, &order)?);
            } else {
                waiting.push(order);
            }
        }
        for order in waiting {
            changed.extend(self.close(t, &order)?);
        }
        changed.retain(|&a| !self.state.book.accounts[a].status.is_closed());
        Ok((changed, recovered))
    }

    /// Re-validates a due action; an order to close now, or None if it recovered, waits for a print, or has nothing to fill it.
    fn decide(&mut self, t: i64, action: Action, recovered: &mut Vec<usize>) -> Result<Option<Order>> {
        let account = action.account;
        let open_legs = |state: &State| -> Vec<(usize, usize)> {
            let legs = state.book.legs(account).iter().enumerate();
            legs.filter(|(_, l)| !l.size.is_zero())
                .map(|(i, l)| (i, l.market))
                .collect()
        };
        match action.step {
            Step::Decide { seen } => {
                let mut moment = Moment::new(self.setup, t);
                moment.seen = seen;
                if !self.fails(&moment, account)? {
                    self.state.book.accounts[account].status = Status::Open;
                    self.state.records.recoveries += 1;
                    recovered.push(account);
                    return Ok(None);
                }
                let legs = open_legs(&self.state);
                if self.setup.protocol.execution.kind == ExecutionKind::Feed {
                    let prices = legs
                        .iter()
                        .map(|&(leg, m)| LegPrice {
                            leg,
                            price: moment.execution(m),
                        })
                        .collect();
                    return Ok(Some(Order {
                        account,
                        trigger: action.trigger,
                        seen,
                        prices,
                    }));
                }
                let mut prices = Vec::with_capacity(legs.len());
                let mut last = t;
                for (leg, market) in legs {
                    let Some((ts, price)) = self.prints.next(market, t)? else {
                        return Ok(None);
                    };
                    prices.push(LegPrice { leg, price });
                    last = last.max(ts);
                }
                self.queue.push(Action {
                    due: last,
                    step: Step::Fill { prices },
                    ..action
                });
                Ok(None)
            }
            Step::Fill { mut prices } => {
                let legs = open_legs(&self.state);
                prices.retain(|p| legs.iter().any(|(leg, _)| *leg == p.leg));
                if prices.is_empty() {
                    self.state.book.accounts[account].status = Status::Open;
                    return Ok(None);
                }
                Ok(Some(Order {
                    account,
                    trigger: action.trigger,
                    seen: None,
                    prices,
                }))
            }
        }
    }

    fn close(&mut self, t: i64, order: &Order) -> Result<Vec<usize>> {
        let moment = order.moment(self.setup, t);
        self.queue.forget(order.account);
        // An earlier close of the same instant may have taken part of the account in ADL.
        let legs = self.state.book.legs(order.account);
        let prices: Vec<LegPrice> = order
            .prices
            .iter()
            .copied()
            .filter(|p| !legs[p.leg].size.is_zero())
            .collect();
        if prices.is_empty() {
            self.state.book.accounts[order.account].status = Status::Open;
            return Ok(vec![order.account]);
        }
        let changed = close(&mut self.state, &moment, order.account, order.trigger, &prices)?;
        self.state.ledger.check()?;
        Ok(changed)
    }

    fn record_timeline(&mut self, t: i64) -> Result<()> {
        let records = &self.state.records;
        let rows = (records.liquidations.len(), records.adl.len(), records.bad_debt.len());
        if rows == self.seen_rows {
            return Ok(());
        }
        let totals = &mut self.totals;
        for row in &records.liquidations[self.seen_rows.0..] {
            totals.liquidations += 1;
            totals.liquidated = totals.liquidated.plus(row.notional)?;
        }
        for row in &records.adl[self.seen_rows.1..] {
            totals.adl_fills += 1;
            totals.adl = totals.adl.plus(row.notional)?;
        }
        for row in &records.bad_debt[self.seen_rows.2..] {
            totals.bad_debt = totals.bad_debt.plus(row.total())?;
            totals.uncovered = totals.uncovered.plus(row.uncovered)?;
        }
        self.seen_rows = rows;
        let moment = Moment::new(self.setup, t);
        let equity = |entity| moment.entity_equity(&self.state.ledger, entity);
        totals.layers = [
            equity(Entity::InsuranceFund)?,
            equity(Entity::Pool)?,
            equity(Entity::Treasury)?,
            equity(Entity::Vault)?,
        ];
        totals.ts = t;
        totals.queue = self.queue.waiting();
        let row = *totals;
        self.state.records.timeline.push(row);
        Ok(())
    }
}

/// A close that is to be carried out now.
struct Order {
    account: usize,
    trigger: i64,
    seen: Option<(usize, Price)>,
    prices: Vec<LegPrice>,
}

impl Order {
    fn moment<'a>(&self, setup: &'a Setup, t: i64) -> Moment<'a> {
        Moment {
            setup,
            ts: t,
            seen: self.seen,
        }
    }
}
