//! The event loop: every instant at which something is due, in the order of semantics, section 3.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::displacement::{Displacement, Ranges};
use super::futures::{Foretold, Futures, Paths};
use super::queue::{Action, Missing, Order, Queue, Step};
use crate::book::{AccountEvent, Status};
use crate::config::{ExecutionKind, Settlement};
use crate::error::{Error, Result};
use crate::ledger::Entity;
use crate::liquidation::execution::participation::{Cursor, Filling, Prints};
use crate::liquidation::{Close, LegPrice, close, takeover};
use crate::margin::Requirement;
use crate::progress::Progress;
use crate::records::TimelineRow;
use crate::search::{Scratch, Search};
use crate::state::{Board, Moment, Setup, State};
use crate::units::{Price, Ratio};

/// What a replay carries from one window of the tape to the next.
pub(super) struct Session {
    pub state: State,
    pub events: Vec<AccountEvent>,
    pub next_event: usize,
    pub queue: Queue,
    pub totals: TimelineRow,
    pub seen_rows: (usize, usize, usize),
}

impl Session {
    /// At the opening.
    pub fn new(state: State, events: Vec<AccountEvent>) -> Self {
        let accounts = state.book.len();
        Self {
            state,
            events,
            next_event: 0,
            queue: Queue::new(accounts),
            totals: TimelineRow::default(),
            seen_rows: (0, 0, 0),
        }
    }
}

/// The serial part of a replay, over one window of the tape.
pub(super) struct Replayer<'a> {
    pub(super) setup: &'a Setup,
    pub(super) board: &'a Board,
    pub(super) state: State,
    pub(super) search: &'a Search<'a>,
    pub(super) scratch: Scratch<'a>,
    futures: Futures,
    pub(super) displacement: Displacement,
    pub(super) events: Vec<AccountEvent>,
    pub(super) next_event: usize,
    pub(super) queue: Queue,
    pub(super) progress: &'a dyn Progress,
    /// The last instant that was processed.
    pub(super) now: i64,
    /// By market: how far orders have used up the volume of this window.
    used: Vec<Cursor>,
    totals: TimelineRow,
    seen_rows: (usize, usize, usize),
}

/// Accounts per parallel batch of first triggers.
pub(super) const BATCH: usize = 2048;

impl<'a> Replayer<'a> {
    pub(super) fn new(
        mut session: Session,
        setup: &'a Setup,
        board: &'a Board,
        search: &'a Search<'a>,
        progress: &'a dyn Progress,
    ) -> Self {
        // What was known of the prices of the last window does not hold in this one.
        session.state.deleveraging.clear();
        Self {
            setup,
            board,
            state: session.state,
            search,
            scratch: Scratch::default(),
            futures: Futures::default(),
            displacement: Displacement::default(),
            events: session.events,
            next_event: session.next_event,
            queue: session.queue,
            progress,
            now: setup.opening,
            used: vec![Cursor::default(); setup.venue.markets.len()],
            totals: session.totals,
            seen_rows: session.seen_rows,
        }
    }

    pub(super) fn into_session(self) -> Session {
        Session {
            state: self.state,
            events: self.events,
            next_event: self.next_event,
            queue: self.queue,
            totals: self.totals,
            seen_rows: self.seen_rows,
        }
    }

    /// What is expected of every account that is open from the first instant after `after` (None: from the opening) on; fills what waits
    /// for prints.
    pub(super) fn first_triggers(&mut self, after: Option<i64>, until: i64) -> Result<()> {
        self.check_sizes()?;
        self.now = after.unwrap_or(self.setup.opening);
        // From here on a change of an account shows in its version.
        self.state.book.drain_changes();
        if let Some(certified) = self.certify_all(after)? {
            self.queue.expect_all(certified.into_iter());
        } else {
            self.futures = self.follow_all(after, until)?;
            self.queue.expect_all(self.futures.firsts());
        }
        for order in std::mem::take(&mut self.queue.orders) {
            self.await_prints(order)?;
        }
        Ok(())
    }

    /// An error if orders wait for volume where the ticks have no sizes.
    fn check_sizes(&self) -> Result<()> {
        let feeds = self.board.feeds();
        let lacks = |&m: &usize| feeds.sizes[m].is_none() && !feeds.prints[m].series.ts.is_empty();
        let mut traded = (0..self.setup.venue.markets.len()).filter(|&m| !self.state.holders[m].is_empty());
        if self.setup.protocol.execution.needs_sizes()
            && let Some(market) = traded.find(lacks)
        {
            return Err(Error::Data(format!(
                "column size: market {} has none, and the protocol's execution takes part in the volume",
                self.setup.venue.markets[market].name
            )));
        }
        Ok(())
    }

    /// The paths of all accounts that are open, in parallel.
    fn follow_all(&self, after: Option<i64>, until: i64) -> Result<Futures> {
        let accounts = self.state.book.len();
        let done = AtomicU64::new(0);
        let (book, search, progress) = (&self.state.book, self.search, self.progress);
        let span = (after, self.setup.protocol.keeper.latency, until);
        let starts: Vec<usize> = (0..accounts).step_by(BATCH).collect();
        let batches: Vec<Paths> = starts
            .into_par_iter()
            .map_init(Scratch::default, |scratch, from| {
                let to = (from + BATCH).min(accounts);
                let before = done.fetch_add((to - from) as u64, Ordering::Relaxed);
                progress.check("triggers", before, accounts as u64)?;
                let mut paths = Paths::default();
                for account in (from..to).filter(|&a| book.accounts[a].status == Status::Open) {
                    paths.follow(search, book, account, span, scratch)?;
                }
                Ok(paths)
            })
            .collect::<Result<_>>()?;
        Ok(Futures::new(accounts, batches))
    }

    /// Places an order for legs of an account.
    fn place(&mut self, t: i64, action: Action, legs: &[(usize, usize)]) -> Result<()> {
        let takes_part = self.setup.protocol.execution.needs_sizes();
        let missing = |&(leg, market): &(usize, usize)| {
            let position = self.state.book.legs(action.account)[leg].size;
            let filling = takes_part.then(|| Filling::new(position, t, self.share(market)?));
            Ok(Missing {
                leg,
                market,
                filling: filling.transpose()?,
            })
        };
        let missing = legs.iter().map(missing).collect::<Result<_>>()?;
        self.await_prints(Order {
            action: Action { due: t, ..action },
            placed: t,
            missing,
            prices: Vec::new(),
        })
    }

    /// The share of a market's volume that orders take.
    fn share(&self, market: usize) -> Result<Ratio> {
        let execution = &self.setup.protocol.execution;
        let share = execution.rate.times(execution.scale(&self.setup.venue.markets[market].name));
        share.ok_or_else(|| Error::overflow("share of the volume"))
    }

    /// Fills an order when the last of its prints comes; keeps it if some are not in this window.
    fn await_prints(&mut self, mut order: Order) -> Result<()> {
        let feeds = self.board.feeds();
        let mut still = Vec::new();
        for mut missing in std::mem::take(&mut order.missing) {
            let market = missing.market;
            let prints = &feeds.prints[market].series;
            let filled = if let Some(filling) = &mut missing.filling {
                let prints = Prints {
                    ts: &prints.ts,
                    price: &prints.price,
                    size: feeds.sizes[market].as_deref().unwrap_or_default(),
                };
                let share = self.share(market)?;
                filling.fill(&mut self.used[market], prints, share)?
            } else {
                let next = prints.count(order.placed);
                prints.ts.get(next).map(|&ts| (ts, Price(prints.price[next])))
            };
            let Some((ts, price)) = filled else {
                still.push(missing);
                continue;
            };
            let leg = missing.leg;
            order.prices.push(LegPrice { leg, price });
            order.action.due = order.action.due.max(ts);
        }
        order.missing = still;
        if order.missing.is_empty() {
            order.prices.sort_by_key(|p| p.leg);
            self.queue.push(Action {
                step: Step::Fill { prices: order.prices },
                ..order.action
            });
        } else {
            self.queue.orders.push(order);
        }
        Ok(())
    }

    /// Processes every instant of the window at which something is due, in order.
    pub(super) fn run(&mut self, until: i64) -> Result<()> {
        loop {
            let event_ts = self.events.get(self.next_event).map(|e| e.ts);
            let next = [self.queue.next_ts(), event_ts, self.next_drift()];
            let next = next.into_iter().flatten().min();
            let Some(t) = next.filter(|&t| t <= until) else {
                return Ok(());
            };
            self.report(t)?;
            self.instant(t)?;
        }
    }

    /// Tells where the replay is; an error if it is to stop.
    fn report(&self, t: i64) -> Result<()> {
        let span = self.setup.end.saturating_sub(self.setup.opening).max(1);
        self.progress.check(
            "replay",
            t.saturating_sub(self.setup.opening).max(0) as u64,
            span as u64,
        )
    }

    fn instant(&mut self, t: i64) -> Result<()> {
        self.now = t;
        let touched = self.apply_events(t)?;
        let mut to_search = touched.clone();
        self.detect(t, &touched, &mut to_search)?;

        for round in 0..=self.setup.protocol.keeper.rounds {
            let changed = self.act(t, &mut to_search)?;
            to_search.extend(&changed);
            let changed = self.charged(t, changed, &mut to_search);
            if round == self.setup.protocol.keeper.rounds || !self.enqueue_failing(t, &changed)? {
                break;
            }
        }
        self.expect_next(t, to_search)?;
        self.state.ledger.check()?;
        self.record_timeline(t)
    }

    /// Enqueues the accounts whose trigger is due, and those that an event touched and that fail now.
    fn detect(&mut self, t: i64, touched: &[usize], to_search: &mut Vec<usize>) -> Result<()> {
        let moment = Moment::new(self.setup, self.board, t);
        let mut found: Vec<(usize, Option<Price>)> = Vec::new();
        for account in self.drifted(t) {
            self.queue.forget(account);
            if !touched.contains(&account) {
                found.push((account, None));
            }
        }
        while let Some((account, seen)) = self.queue.pop_trigger(t) {
            if !touched.contains(&account) {
                found.push((account, seen));
            }
        }
        self.confirm(t, &mut found, to_search)?;
        for &account in touched {
            if self.state.book.accounts[account].status != Status::Open {
                continue;
            }
            // As if the event had come before the prints of this instant; without prints, at the states as they stand.
            match self.fails_at(account, t, false)? {
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
    fn enqueue_failing(&mut self, t: i64, changed: &[usize]) -> Result<bool> {
        let moment = Moment::new(self.setup, self.board, t);
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

    /// Runs the due actions. Returns the accounts that they changed, in order; those that had recovered are `to_search`.
    fn act(&mut self, t: i64, to_search: &mut Vec<usize>) -> Result<Vec<usize>> {
        let mut changed = Vec::new();
        let mut ready = Vec::new();
        while let Some(action) = self.queue.pop_due(t) {
            if let Some(order) = self.decide(t, action, to_search)? {
                match self.setup.protocol.settlement {
                    Settlement::PerFill => changed.extend(self.close(t, &order)?),
                    Settlement::PerInstant => ready.push(order),
                }
            }
        }
        // All that need no payer first, then the others against the layers as they then stand.
        let mut waiting = Vec::new();
        for order in ready {
            let moment = order.moment(self.setup, self.board, t);
            self.widen_ranges(t);
            let plan = Close {
                state: &mut self.state,
                moment: &moment,
                account: order.account,
                prices: &order.prices,
                may_be_taken_over: order.at_once,
                ranges: &Ranges::new(self.search.ranges(), &self.displacement),
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
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// Re-validates a due action; an order to close now, or None if it recovered, waits for a print, or has nothing to fill it.
    fn decide(&mut self, t: i64, action: Action, to_search: &mut Vec<usize>) -> Result<Option<Ready>> {
        let account = action.account;
        let open_legs = |state: &State| -> Vec<(usize, usize)> {
            let legs = state.book.legs(account).iter().enumerate();
            legs.filter(|(_, l)| !l.size.is_zero())
                .map(|(i, l)| (i, l.market))
                .collect()
        };
        match action.step {
            Step::Decide { seen } => {
                let mut moment = Moment::new(self.setup, self.board, t);
                moment.seen = seen;
                let foretold = self.futures.foretell(&self.state.book, account);
                let fails = match foretold {
                    Some(foretold) => foretold == Foretold::Fails,
                    None => self.fails(&moment, account)?,
                };
                if !fails {
                    self.state.book.accounts[account].status = Status::Open;
                    self.state.records.recoveries += 1;
                    match foretold {
                        Some(Foretold::Recovers(Some(next))) => self.queue.expect(account, next),
                        Some(_) => {}
                        None => to_search.push(account),
                    }
                    return Ok(None);
                }
                let legs = open_legs(&self.state);
                let price = |&(leg, m): &(usize, usize)| LegPrice {
                    leg,
                    price: moment.execution(m),
                };
                let at_once = self.setup.protocol.execution.kind == ExecutionKind::Feed;
                if at_once || self.setup.protocol.execution.takeover.is_some() {
                    let prices: Vec<LegPrice> = legs.iter().map(price).collect();
                    if !at_once && !takeover::is_due(&self.state, &moment, account, &prices)? {
                        self.place(t, action, &legs)?;
                        return Ok(None);
                    }
                    return Ok(Some(Ready {
                        account,
                        trigger: action.trigger,
                        seen,
                        prices,
                        at_once: true,
                    }));
                }
                self.place(t, action, &legs)?;
                Ok(None)
            }
            Step::Fill { mut prices } => {
                let legs = open_legs(&self.state);
                prices.retain(|p| legs.iter().any(|(leg, _)| *leg == p.leg));
                if prices.is_empty() {
                    self.state.book.accounts[account].status = Status::Open;
                    return Ok(None);
                }
                Ok(Some(Ready {
                    account,
                    trigger: action.trigger,
                    seen: None,
                    prices,
                    at_once: false,
                }))
            }
        }
    }

    fn close(&mut self, t: i64, order: &Ready) -> Result<Vec<usize>> {
        self.report(t)?;
        let moment = order.moment(self.setup, self.board, t);
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
        self.widen_ranges(t);
        let changed = close(
            &mut self.state,
            &moment,
            order.account,
            order.trigger,
            (&prices, order.at_once),
            &Ranges::new(self.search.ranges(), &self.displacement),
        )?;
        if self.board.feedback().is_some() {
            self.state.deleveraging.reprice(false);
        }
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
        let moment = Moment::new(self.setup, self.board, t);
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
struct Ready {
    account: usize,
    trigger: i64,
    seen: Option<(usize, Price)>,
    prices: Vec<LegPrice>,
    /// It did not wait for prints.
    at_once: bool,
}

impl Ready {
    fn moment<'a>(&self, setup: &'a Setup, board: &'a Board, t: i64) -> Moment<'a> {
        Moment {
            setup,
            board,
            ts: t,
            seen: self.seen,
        }
    }
}
