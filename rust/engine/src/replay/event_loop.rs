//! The event loop: every instant at which something is due, in the order of semantics, section 3.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::displacement::Displacement;
use super::futures::{Foretold, Futures, Paths};
use super::queue::{Action, Order, Queue, Step};
use crate::book::{AccountEvent, Leg, Status};
use crate::config::{ExecutionKind, Settlement};
use crate::error::Result;
use crate::ledger::Entity;
use crate::liquidation::{Close, LegPrice, close};
use crate::margin::Requirement;
use crate::progress::Progress;
use crate::records::TimelineRow;
use crate::search::{Scratch, Search, TriggerSearch};
use crate::state::{Board, Moment, Setup, State};
use crate::units::Price;

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
        // From here on a change of an account shows in its version.
        self.state.book.drain_changes();
        if let Some(certified) = self.certify_all(after)? {
            self.queue.expect_all(certified.into_iter());
        } else {
            self.futures = self.follow_all(after, until)?;
            self.queue.expect_all(self.futures.firsts());
        }
        for order in std::mem::take(&mut self.queue.orders) {
            self.await_prints(order);
        }
        for (action, legs) in std::mem::take(&mut self.queue.parked) {
            let since = after.map_or(action.due, |t| t.saturating_add(1));
            self.park(Action { due: since, ..action }, legs);
        }
        Ok(())
    }

    /// Puts an action off until no market of these legs is blocked; keeps it if that is not in this window.
    fn park(&mut self, action: Action, legs: Vec<Leg>) {
        match self.board.feeds().masks.free_from(&legs, action.due) {
            Some(due) => self.queue.push(Action { due, ..action }),
            None => self.queue.parked.push((action, legs)),
        }
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

    /// Fills an order when the last of its prints comes; keeps it if some are not in this window.
    fn await_prints(&mut self, mut order: Order) {
        let feeds = self.board.feeds();
        order.missing.retain(|&(leg, market)| {
            let prints = &feeds.prints[market].series;
            let next = prints.count(order.placed);
            let Some(&ts) = prints.ts.get(next) else { return true };
            order.prices.push(LegPrice {
                leg,
                price: Price(prints.price[next]),
            });
            order.action.due = order.action.due.max(ts);
            false
        });
        if order.missing.is_empty() {
            order.prices.sort_by_key(|p| p.leg);
            self.queue.push(Action {
                step: Step::Fill { prices: order.prices },
                ..order.action
            });
        } else {
            self.queue.orders.push(order);
        }
    }

    /// Processes every instant of the window at which something is due, in order.
    pub(super) fn run(&mut self, until: i64) -> Result<()> {
        loop {
            let event_ts = self.events.get(self.next_event).map(|e| e.ts);
            let next = [self.queue.next_ts(), event_ts].into_iter().flatten().min();
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
        let touched = self.apply_events(t)?;
        let mut to_search = touched.clone();
        self.detect(t, &touched, &mut to_search)?;

        for round in 0..=self.setup.protocol.keeper.rounds {
            let changed = self.act(t, &mut to_search)?;
            to_search.extend(&changed);
            let changed = self.charged(changed, &mut to_search);
            if round == self.setup.protocol.keeper.rounds || !self.enqueue_failing(t, &changed)? {
                break;
            }
        }
        to_search.sort_unstable();
        to_search.dedup();
        for account in to_search {
            let status = self.state.book.accounts[account].status;
            if status == Status::Open {
                let trigger = self.next_trigger(account, t)?;
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
    fn detect(&mut self, t: i64, touched: &[usize], to_search: &mut Vec<usize>) -> Result<()> {
        let moment = Moment::new(self.setup, self.board, t);
        let mut found: Vec<(usize, Option<Price>)> = Vec::new();
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
            let again = self
                .search
                .first(&self.state.book, account, Some(t - 1), &mut self.scratch)?
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
            && !self.blocked(account, moment.ts)
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

    /// True if the guard forbids that the account is tested at `t`.
    fn blocked(&self, account: usize, t: i64) -> bool {
        self.board.feeds().masks.block(self.state.book.legs(account), t)
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
            let plan = Close {
                state: &mut self.state,
                moment: &moment,
                account: order.account,
                prices: &order.prices,
                ranges: self.search.ranges(),
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
            Step::Decide { .. } if self.blocked(account, t) => {
                let legs = self.state.book.legs(account).to_vec();
                let step = Step::Decide { seen: None };
                self.park(Action { due: t, step, ..action }, legs);
                Ok(None)
            }
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
                if self.setup.protocol.execution.kind == ExecutionKind::Feed {
                    let sizes = self.state.book.legs(account);
                    let prices = legs
                        .iter()
                        .map(|&(leg, m)| LegPrice {
                            leg,
                            price: moment.execution(m, sizes[leg].size),
                        })
                        .collect();
                    return Ok(Some(Ready {
                        account,
                        trigger: action.trigger,
                        seen,
                        prices,
                    }));
                }
                self.await_prints(Order {
                    action: Action { due: t, ..action },
                    placed: t,
                    missing: legs,
                    prices: Vec::new(),
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
                Ok(Some(Ready {
                    account,
                    trigger: action.trigger,
                    seen: None,
                    prices,
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
        let changed = close(
            &mut self.state,
            &moment,
            order.account,
            order.trigger,
            &prices,
            self.search.ranges(),
        )?;
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
