//! Attempts of keepers: from detection to a close, an order, another attempt, or a place to wait.

use super::event_loop::{Ready, Replayer};
use super::futures::Foretold;
use super::queue::{Action, Step};
use crate::book::Status;
use crate::error::Result;
use crate::few::Few;
use crate::keeper::{first_recovered, reward};
use crate::liquidation::detection::Detection;
use crate::liquidation::execution::level;
use crate::liquidation::takeover;
use crate::search::Trigger;
use crate::state::Moment;
use crate::units::Price;

impl Replayer<'_> {
    /// Enqueues an account that was seen to fail; says when it is due.
    pub(super) fn enqueue(&mut self, t: i64, account: usize, seen: Option<Price>) -> Result<i64> {
        let due = self.begin_attempt(account, t);
        let due = self.state.liquidations.earliest(account, due);
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
        let seen = seen.and_then(|p| Some((market?, p)));
        let mut moment = Moment::new(self.setup, self.board, t);
        moment.seen = seen;
        let detection = Detection::of(&self.state.book, account, &moment)?;
        self.state.detections.note(account, detection);
        let seen = seen.filter(|_| due == t);
        self.queue.push(Action {
            due,
            enqueued: t,
            account,
            step: Step::Decide { seen },
            trigger: t,
        });
        Ok(due)
    }

    /// Begins the next attempt of an account; says when it is due.
    pub(super) fn begin_attempt(&mut self, account: usize, t: i64) -> i64 {
        let attempt = self.attempts.get(account).copied().unwrap_or(0);
        if let Some(attempts) = self.attempts.get_mut(account) {
            *attempts = attempt.saturating_add(1);
        }
        self.keeper.due(account, attempt, t)
    }

    /// Legs of an account that have a size, and their markets.
    fn open_legs(&self, account: usize) -> Few<(usize, usize), 6> {
        let legs = self.state.book.legs(account).iter().enumerate();
        legs.filter(|(_, l)| !l.size.is_zero())
            .map(|(i, l)| (i, l.market))
            .collect()
    }

    /// Carries out a due action; an order to close now, or None if it recovered, is not worth it, fails, waits for the guard or for a
    /// print, or has nothing to fill it.
    pub(super) fn decide(&mut self, t: i64, action: Action, to_search: &mut Vec<usize>) -> Result<Option<Ready>> {
        let account = action.account;
        if matches!(action.step, Step::Decide { .. }) && t != action.due {
            // It waited for a slot.
            self.futures.abandon(account);
        }
        match action.step {
            Step::Decide { .. } if self.blocked(account, t) => {
                let legs = self.state.book.legs(account).to_vec();
                let step = Step::Decide { seen: None };
                self.put_off(Action { due: t, step, ..action }, legs);
                Ok(None)
            }
            Step::Decide { seen } => {
                // What it saw may be gone while it waited for a slot.
                let seen = seen.filter(|_| t == action.enqueued);
                let caps = self.caps(t)?;
                let mut moment = Moment::new(self.setup, self.board, t);
                (moment.seen, moment.caps) = (seen, caps.as_ref());
                // What was foretold knows nothing of liquidations that have begun.
                let begun = self.state.liquidations.of(account).is_some();
                let foretold = (!begun).then(|| self.futures.foretell(&self.state.book, account));
                let foretold = foretold.flatten();
                let fails = match foretold {
                    Some(foretold) => foretold == Foretold::Fails,
                    None => self.is_due(&moment, account)?,
                };
                if !fails {
                    self.leave_queue(account);
                    self.state.records.recoveries += 1;
                    match foretold {
                        Some(Foretold::Recovers(Some(next))) => self.queue.expect(account, next),
                        Some(_) => {}
                        None => to_search.push(account),
                    }
                    return Ok(None);
                }
                let required = self.keeper.required(t);
                if required > 0 {
                    let reward = reward(&self.state, &moment, account, t.saturating_sub(action.trigger))?;
                    if reward < required {
                        self.park(t, action, reward)?;
                        return Ok(None);
                    }
                }
                self.slots.take();
                if self.fails_again(t, &action) {
                    return Ok(None);
                }
                let legs = self.open_legs(account);
                let at_once = !self.setup.protocol.execution.kind.waits();
                if at_once || self.setup.protocol.execution.takeover.is_some() {
                    let prices = level::prices(&self.state.book, &moment, account)?;
                    if at_once || takeover::is_due(&self.state, &moment, account, &prices)? {
                        return Ok(Some(Ready {
                            account,
                            trigger: action.trigger,
                            enqueued: action.enqueued,
                            seen,
                            prices,
                            at_once: true,
                        }));
                    }
                }
                self.place(t, action, &legs)?;
                Ok(None)
            }
            Step::Fill { mut prices } => {
                let legs = self.open_legs(account);
                prices.retain(|p| legs.iter().any(|(leg, _)| *leg == p.leg));
                if prices.is_empty() {
                    self.leave_queue(account);
                    return Ok(None);
                }
                Ok(Some(Ready {
                    account,
                    trigger: action.trigger,
                    enqueued: action.enqueued,
                    seen: None,
                    prices: prices.into_iter().collect(),
                    at_once: false,
                }))
            }
        }
    }

    /// True if the attempt fails; the next one is begun.
    fn fails_again(&mut self, t: i64, action: &Action) -> bool {
        let account = action.account;
        let attempt = self.attempts.get(account).map_or(0, |n| n.saturating_sub(1));
        let Some(begun) = self.keeper.fails(account, attempt, t) else {
            return false;
        };
        self.state.records.failed_attempts += 1;
        let due = self.begin_attempt(account, begun);
        self.queue.push(Action {
            due,
            step: Step::Decide { seen: None },
            ..*action
        });
        true
    }

    /// A layer has failed, so that an action was not carried out: the next attempt begins so long after.
    pub(super) fn try_again(&mut self, t: i64, order: &Ready, retry: i64) {
        self.futures.abandon(order.account);
        self.state.records.reverted += 1;
        let due = self.begin_attempt(order.account, t.saturating_add(retry));
        self.queue.push(Action {
            due,
            enqueued: order.enqueued,
            account: order.account,
            step: Step::Decide { seen: None },
            trigger: order.trigger,
        });
    }

    /// Parks an action whose reward is too little at `t`.
    fn park(&mut self, t: i64, action: Action, reward: i128) -> Result<()> {
        let account = action.account;
        self.futures.abandon(account);
        self.state.records.unprofitable_attempts += 1;
        let wake = self.keeper.enough_after(t, reward);
        self.queue.parked.insert(action, wake);
        self.expect_recovery(account, t)
    }

    /// Expects a parked account to recover at its next instant after `t` at which it does.
    pub(super) fn expect_recovery(&mut self, account: usize, t: i64) -> Result<()> {
        self.queue.forget(account);
        if self.is_down_after(Some(t)) {
            return Ok(());
        }
        let (polls, book) = (self.keeper.polls, &self.state.book);
        let span = (t, self.until());
        if self.board.feedback().is_some() || self.setup.margin.caps_profits() {
            // Its prices, or what of its profit counts, are not known in advance: it is looked at at each of its instants.
            let next = match polls {
                Some(polls) => t
                    .checked_add(1)
                    .and_then(|t| polls.seeing(self.search, book, account, t)),
                None => self.search.next_instant(book, account, t)?,
            };
            if let Some(ts) = next {
                self.queue.expect(account, Trigger { ts, seen: None });
            }
            return Ok(());
        }
        if let Some(ts) = first_recovered(polls, self.search, book, account, span, &mut self.scratch)? {
            self.queue.expect(account, Trigger { ts, seen: None });
        }
        Ok(())
    }

    /// A parked account leaves the queue if it has recovered.
    pub(super) fn wake_if_recovered(
        &mut self,
        moment: &Moment<'_>,
        account: usize,
        to_search: &mut Vec<usize>,
    ) -> Result<()> {
        to_search.push(account);
        // Who is blocked is not tested: that says nothing of a recovery.
        if !self.blocked(account, moment.ts) && !self.is_due(moment, account)? {
            self.queue.parked.remove(account);
            self.leave_queue(account);
            self.state.records.recoveries += 1;
        }
        Ok(())
    }
}
