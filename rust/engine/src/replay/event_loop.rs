//! The event loop: every instant at which something is due, in the order of semantics, section 3.

use super::delisting::Delistings;
use super::displacement::{Displacement, Ranges};
use super::futures::Followed;
use super::pool_adl::PoolAdl;
use super::queue::Queue;
use super::vault_adl::VaultAdl;
use crate::book::{AccountEvent, Book, Status};
use crate::config::{ExecutionKind, Settlement, SocialisedBy};
use crate::error::Result;
use crate::keeper::{Keeper, Slots};
use crate::liquidation::execution::level;
use crate::liquidation::execution::participation::Cursor;
use crate::liquidation::{Close, LegPrices, close};
use crate::margin::{Prices, Requirement};
use crate::payout::{self, Caps};
use crate::progress::Progress;
use crate::records::TimelineRow;
use crate::search::{Scratch, Search};
use crate::state::{Board, Moment, Setup, State};
use crate::units::{Price, Usd};
use crate::waterfall::{self, socialised};

/// What a replay carries from one window of the tape to the next.
pub(super) struct Session {
    pub state: State,
    pub events: Vec<AccountEvent>,
    pub next_event: usize,
    pub queue: Queue,
    /// Per account: attempts of keepers; empty where nothing is drawn.
    pub attempts: Vec<u32>,
    pub slots: Slots,
    pub pool_adl: PoolAdl,
    pub delistings: Delistings,
    pub vault_adl: VaultAdl,
    pub totals: TimelineRow,
    pub tallied: [usize; 3],
    pub shown: ([usize; 3], u64),
}

impl Session {
    /// At the opening.
    ///
    /// # Errors
    /// Those of [`Delistings::bind`].
    pub fn new(state: State, events: Vec<AccountEvent>, keeper: &Keeper, setup: &Setup) -> Result<Self> {
        let accounts = state.book.len();
        Ok(Self {
            state,
            events,
            next_event: 0,
            queue: Queue::new(accounts),
            attempts: vec![0; if keeper.draws() { accounts } else { 0 }],
            slots: Slots::default(),
            pool_adl: PoolAdl::new(setup),
            delistings: Delistings::bind(setup)?,
            vault_adl: VaultAdl::default(),
            totals: TimelineRow::default(),
            tallied: [0; 3],
            shown: Default::default(),
        })
    }
}

/// The serial part of a replay, over one window of the tape.
pub(super) struct Replayer<'a> {
    pub(super) setup: &'a Setup,
    pub(super) keeper: &'a Keeper,
    pub(super) board: &'a Board,
    pub(super) state: State,
    pub(super) search: &'a Search<'a>,
    pub(super) scratch: Scratch<'a>,
    pub(super) futures: Followed,
    pub(super) displacement: Displacement,
    pub(super) events: Vec<AccountEvent>,
    pub(super) next_event: usize,
    pub(super) queue: Queue,
    pub(super) attempts: Vec<u32>,
    pub(super) slots: Slots,
    pub(super) pool_adl: PoolAdl,
    pub(super) delistings: Delistings,
    pub(super) vault_adl: VaultAdl,
    /// First and last instant of the window.
    pub(super) span: (i64, i64),
    pub(super) progress: &'a dyn Progress,
    /// The last instant that was processed.
    pub(super) now: i64,
    /// By market: how far orders have used up the volume of this window.
    pub(super) used: Vec<Cursor>,
    /// The venue is down and nothing is expected of anybody.
    pub(super) suspended: bool,
    /// In this instant it is up again.
    pub(super) lifted: bool,
    totals: TimelineRow,
    /// Rows of liquidations, ADL and bad debt that are in the totals; and these, and the moves of capital, when the last row of the
    /// timeline was made.
    tallied: [usize; 3],
    shown: ([usize; 3], u64),
    /// Place of the next accrual among those of the window.
    pub(super) accruals: usize,
}

impl<'a> Replayer<'a> {
    pub(super) fn new(
        mut session: Session,
        setup: &'a Setup,
        keeper: &'a Keeper,
        board: &'a Board,
        search: &'a Search<'a>,
        span: (i64, i64),
        progress: &'a dyn Progress,
    ) -> Self {
        session.queue.begin();
        // What was known of the prices of the last window does not hold in this one.
        session.state.deleveraging.clear();
        if let Some(terms) = board.terms() {
            for (market, terms) in terms.markets.iter().enumerate() {
                let worst = terms.worst_from(i64::MIN);
                session.state.book.expect_accruals(market, worst.indices);
            }
        }
        Self {
            setup,
            keeper,
            board,
            state: session.state,
            search,
            scratch: Scratch::default(),
            futures: Followed::default(),
            displacement: Displacement::default(),
            events: session.events,
            next_event: session.next_event,
            queue: session.queue,
            attempts: session.attempts,
            slots: session.slots,
            pool_adl: session.pool_adl,
            delistings: session.delistings,
            vault_adl: session.vault_adl,
            span,
            progress,
            now: setup.opening,
            used: vec![Cursor::default(); setup.venue.markets.len()],
            suspended: false,
            lifted: false,
            totals: session.totals,
            tallied: session.tallied,
            shown: session.shown,
            accruals: 0,
        }
    }

    /// The end of the window.
    pub(super) fn until(&self) -> i64 {
        self.span.1
    }

    pub(super) fn into_session(self) -> Session {
        Session {
            state: self.state,
            events: self.events,
            next_event: self.next_event,
            queue: self.queue,
            attempts: self.attempts,
            slots: self.slots,
            pool_adl: self.pool_adl,
            delistings: self.delistings,
            vault_adl: self.vault_adl,
            totals: self.totals,
            tallied: self.tallied,
            shown: self.shown,
        }
    }

    /// Processes every instant of the window at which something is due, in order.
    pub(super) fn run(&mut self) -> Result<()> {
        let (_, until) = self.span;
        loop {
            let event_ts = self.events.get(self.next_event).map(|e| e.ts);
            let queued = self.queue.next_ts(&self.slots);
            let due = [
                queued,
                event_ts,
                self.next_accrual(),
                self.next_drift(),
                self.pool_adl.next(),
                self.delistings.next(),
                self.vault_adl.next(),
                waterfall::next_due(&self.state),
                self.state.outages.next_lift(self.now),
            ];
            let next = due.into_iter().flatten().min();
            let Some(t) = next.filter(|&t| t <= until) else {
                return waterfall::sources::end_window(&mut self.state, self.setup, self.board.feeds(), until);
            };
            self.report(t)?;
            self.fetch_coming();
            self.instant(t)?;
        }
    }

    /// Reads what the accounts whose triggers come next will need: nothing depends on it but the time that it takes.
    fn fetch_coming(&mut self) {
        let (book, records) = (&self.state.book, &self.state.records);
        for account in self.queue.coming() {
            std::hint::black_box((book.peek(account), records.accounts[account].closed_ts));
        }
    }

    /// Tells where the replay is; an error if it is to stop. Of a window, half is its time and half what was expected or has waited
    /// and is done: many accounts may fail in one instant.
    fn report(&self, t: i64) -> Result<()> {
        let opening = self.setup.opening;
        let (from, until) = self.span;
        let (time, width) = (i128::from(t) - i128::from(from), i128::from(until) - i128::from(from));
        let (done, open) = (self.queue.done() as i128, self.queue.open() as i128);
        let worked = if done + open == 0 {
            time
        } else {
            width * done / (done + open)
        };
        let done = i128::from(from) - i128::from(opening) + (time + worked) / 2;
        let span = (i128::from(self.setup.end) - i128::from(opening)).max(1);
        self.progress.check("replay", done.clamp(0, span) as u64, span as u64)
    }

    fn instant(&mut self, t: i64) -> Result<()> {
        self.now = t;
        self.accrue(t)?;
        waterfall::pay_due(&mut self.state, &Moment::new(self.setup, self.board, t))?;
        let mut touched = self.settle_delisted(t)?;
        touched.extend(self.apply_events(t)?);
        self.lifted = self.state.outages.lift(t);
        if self.lifted {
            touched.extend(self.resume());
        }
        touched.sort_unstable();
        touched.dedup();
        let mut to_search = touched.clone();
        self.detect(t, &touched, &mut to_search)?;

        for round in 0..=self.setup.protocol.keeper.rounds {
            let mut changed = self.act(t, &mut to_search)?;
            self.charge_deposits(t, &mut changed)?;
            to_search.extend(&changed);
            let changed = self.charged(t, changed, &mut to_search);
            if round == self.setup.protocol.keeper.rounds || !self.enqueue_failing(t, &changed)? {
                break;
            }
        }
        for &account in &to_search {
            if self.queue.parked.contains(account) {
                self.expect_recovery(account, t)?;
            }
        }
        to_search.extend(payout::pay_if_changed(
            &mut self.state,
            &Moment::new(self.setup, self.board, t),
        )?);
        to_search.extend(self.deleverage_pool(t)?);
        to_search.extend(self.deleverage_vault(t)?);
        if self.setup.payout.is_some() {
            payout::note_cash(&mut self.state, &Moment::new(self.setup, self.board, t));
        }
        self.expect_delistings(t)?;
        if self.is_down_after(Some(t)) {
            self.suspend();
        } else {
            self.expect_next(t, to_search)?;
        }
        self.state.ledger.check()?;
        let peak = &mut self.state.records.queue_peak;
        *peak = self.queue.waiting().max(*peak);
        self.record_timeline(t)
    }

    /// Enqueues the accounts whose trigger is due, and those that an event touched and that fail now.
    fn detect(&mut self, t: i64, touched: &[usize], to_search: &mut Vec<usize>) -> Result<()> {
        let caps = self.caps(t)?;
        let mut moment = Moment::new(self.setup, self.board, t);
        moment.caps = caps.as_ref();
        let mut found: Vec<(usize, Option<Price>)> = Vec::new();
        for account in self.drifted(t) {
            self.queue.forget(account);
            if !touched.contains(&account) {
                found.push((account, None));
            }
        }
        while let Some((account, seen)) = self.queue.pop_trigger(t) {
            if touched.binary_search(&account).is_ok() {
                continue;
            }
            if self.queue.parked.contains(account) {
                self.wake_if_recovered(&moment, account, to_search)?;
            } else {
                found.push((account, seen));
            }
        }
        self.confirm(t, &mut found, to_search)?;
        for &account in touched.iter().filter(|_| self.keeper.tests_at(t)) {
            if self.queue.parked.contains(account) {
                self.wake_if_recovered(&moment, account, to_search)?;
                continue;
            }
            if self.state.book.accounts[account].status != Status::Open || self.blocked(account, t) {
                continue;
            }
            // As if the event had come before the prints of this instant; without prints, at the states as they stand.
            let again = if self.keeper.polls.is_some() {
                None
            } else {
                self.fails_at(account, t, false)?
            };
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

    /// True if an account is tested at a moment, and is liquidatable.
    pub(super) fn fails(&self, moment: &Moment<'_>, account: usize) -> Result<bool> {
        Ok(!self.blocked(account, moment.ts) && fails(self.setup, &self.state.book, account, moment)?)
    }

    /// The caps of profits as they are now; None where they do not count.
    pub(super) fn caps(&self, t: i64) -> Result<Option<Caps<'a>>> {
        Caps::at(&self.state, &Moment::new(self.setup, self.board, t))
    }

    /// True if the guard forbids that the account is tested at `t`.
    pub(super) fn blocked(&self, account: usize, t: i64) -> bool {
        let legs = self.state.book.legs(account);
        let down = self.state.outages.stop(t) && legs.iter().any(|leg| !leg.size.is_zero());
        down || self.board.feeds().masks.block(legs, t)
    }

    /// Tests what the last round changed; true if anything became due now.
    fn enqueue_failing(&mut self, t: i64, changed: &[usize]) -> Result<bool> {
        if !self.keeper.tests_at(t) {
            return Ok(false);
        }
        let caps = self.caps(t)?;
        let mut moment = Moment::new(self.setup, self.board, t);
        moment.caps = caps.as_ref();
        let mut due = false;
        for &account in changed {
            if self.state.book.accounts[account].status == Status::Open && self.fails(&moment, account)? {
                self.queue.forget(account);
                due |= self.enqueue(t, account, None)? == t;
            }
        }
        Ok(due)
    }

    /// Runs the due actions. Returns the accounts that they changed, in order; those that had recovered are `to_search`.
    fn act(&mut self, t: i64, to_search: &mut Vec<usize>) -> Result<Vec<usize>> {
        let mut changed = Vec::new();
        let mut ready = Vec::new();
        while let Some(action) = self.queue.parked.pop_wake(t) {
            self.queue.forget(action.account);
            self.queue.push(action);
        }
        while let Some(action) = self.queue.pop_due(t, self.slots.is_free(self.keeper, t)) {
            if let Some(order) = self.decide(t, action, to_search)? {
                match self.setup.protocol.settlement {
                    Settlement::PerFill => changed.extend(self.close(t, order)?),
                    Settlement::PerInstant => ready.push(order),
                }
            }
        }
        // All that need no payer first, then the others against the layers as they then stand.
        let mut waiting = Vec::new();
        for mut order in ready {
            let caps = self.caps(t)?;
            let moment = order.moment(self.setup, self.board, t, caps.as_ref());
            order.reprice(&self.state.book, &moment)?;
            self.widen_ranges(t);
            let plan = Close {
                state: &mut self.state,
                moment: &moment,
                account: order.account,
                trigger: order.trigger,
                prices: &order.prices,
                may_be_taken_over: order.at_once,
                ranges: &Ranges::new(self.search.ranges(), &self.displacement),
            }
            .plan()?;
            if plan.solvent && !plan.deleverages {
                changed.extend(self.close(t, order)?);
            } else {
                waiting.push(order);
            }
        }
        for order in waiting {
            changed.extend(self.close(t, order)?);
        }
        changed.retain(|&a| !self.state.book.accounts[a].status.is_closed());
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// What was socialised by deposits in this round is charged to everyone.
    fn charge_deposits(&mut self, t: i64, changed: &mut Vec<usize>) -> Result<()> {
        let moment = Moment::new(self.setup, self.board, t);
        if socialised::by(&moment) != Some(SocialisedBy::Deposits) {
            return Ok(());
        }
        let charged = socialised::deposits::charge(&mut self.state, &moment)?;
        changed.extend(
            charged
                .iter()
                .filter(|&&a| !self.state.book.accounts[a].status.is_closed()),
        );
        changed.sort_unstable();
        changed.dedup();
        Ok(())
    }

    fn close(&mut self, t: i64, mut order: Ready) -> Result<Vec<usize>> {
        self.report(t)?;
        let caps = self.caps(t)?;
        let moment = order.moment(self.setup, self.board, t, caps.as_ref());
        self.queue.forget(order.account);
        order.reprice(&self.state.book, &moment)?;
        // An earlier close of the same instant may have taken part of the account in ADL.
        let legs = self.state.book.legs(order.account);
        order.prices.retain(|p| !legs[p.leg].size.is_zero());
        if order.prices.is_empty() {
            self.leave_queue(order.account);
            return Ok(vec![order.account]);
        }
        self.widen_ranges(t);
        let outcome = close(
            &mut self.state,
            &moment,
            order.account,
            order.trigger,
            (&order.prices, order.at_once),
            &Ranges::new(self.search.ranges(), &self.displacement),
        )?;
        if self.board.feedback().is_some() {
            self.state.deleveraging.reprice(false);
        }
        self.state.ledger.check()?;
        self.tally()?;
        if let Some(retry) = outcome.reverted {
            self.try_again(t, &order, retry);
            return Ok(Vec::new());
        }
        let mut changed = outcome.changed;
        if !outcome.partial {
            self.state.detections.end(order.account);
        } else if self.go_on(&moment, &order)? {
            changed.push(order.account);
        }
        Ok(changed)
    }

    /// What nobody has covered so far.
    pub(super) fn uncovered(&self) -> Usd {
        self.totals.uncovered
    }

    /// Adds the rows that are new to the totals; they may leave memory then.
    pub(super) fn tally(&mut self) -> Result<()> {
        let records = &mut self.state.records;
        let totals = &mut self.totals;
        for row in records.liquidations.since(self.tallied[0]) {
            totals.liquidations += 1;
            totals.liquidated = totals.liquidated.plus(row.notional)?;
        }
        for row in records.adl.since(self.tallied[1]) {
            totals.adl_fills += 1;
            totals.adl = totals.adl.plus(row.notional)?;
        }
        for row in records.bad_debt.since(self.tallied[2]) {
            totals.bad_debt = totals.bad_debt.plus(row.total())?;
            totals.uncovered = totals.uncovered.plus(row.uncovered)?;
        }
        self.tallied = [records.liquidations.len(), records.adl.len(), records.bad_debt.len()];
        records.spill()
    }

    fn record_timeline(&mut self, t: i64) -> Result<()> {
        self.tally()?;
        let now = (self.tallied, self.state.records.capital_moves);
        if now == self.shown {
            return Ok(());
        }
        self.shown = now;
        let moment = Moment::new(self.setup, self.board, t);
        self.totals.layers = moment.layer_equities(&self.state.ledger)?;
        self.totals.ts = t;
        self.totals.queue = self.queue.waiting();
        self.state.records.timeline.push(self.totals);
        Ok(())
    }
}

/// True if an account is liquidatable at these prices.
pub(super) fn fails(setup: &Setup, book: &Book, account: usize, prices: &impl Prices) -> Result<bool> {
    Ok(book.has_position(account)
        && setup
            .margin
            .health(&setup.venue, book, account, prices, Requirement::Maintenance)?
            .fails())
}

/// A close that is to be carried out now.
pub(super) struct Ready {
    pub account: usize,
    pub trigger: i64,
    pub enqueued: i64,
    pub seen: Option<(usize, Price)>,
    pub prices: LegPrices,
    /// It did not wait for prints.
    pub at_once: bool,
}

impl Ready {
    /// At its turn a close at the level may find another one: earlier closes of the instant may have changed the account.
    fn reprice(&mut self, book: &Book, moment: &Moment<'_>) -> Result<()> {
        if moment.setup.protocol.execution.kind == ExecutionKind::Level {
            self.prices = level::prices(book, moment, self.account)?;
        }
        Ok(())
    }

    fn moment<'a>(&self, setup: &'a Setup, board: &'a Board, t: i64, caps: Option<&'a Caps<'a>>) -> Moment<'a> {
        Moment {
            setup,
            board,
            ts: t,
            seen: self.seen,
            caps,
        }
    }
}
