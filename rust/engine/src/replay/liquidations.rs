//! Liquidations of several actions: when the next one comes, and when they are over (semantics, section 5a).
//!
//! As long as one is going on its account stays queued, so that nothing searches for it: each action is due at a known time, and looks
//! then whether it is still wanted.

use super::event_loop::{Ready, Replayer};
use super::queue::{Action, Step};
use crate::book::Status;
use crate::error::Result;
use crate::liquidation::underway::account_is_healthy;
use crate::state::Moment;

impl Replayer<'_> {
    /// True if an action on a queued account is still wanted: it is liquidatable, or its liquidation is going on and it is not healthy.
    pub(super) fn is_due(&self, moment: &Moment<'_>, account: usize) -> Result<bool> {
        if self.state.liquidations.going_on(account) {
            return Ok(!account_is_healthy(&self.state, moment, account)?);
        }
        self.fails(moment, account)
    }

    /// An account leaves the queue without having been closed.
    pub(super) fn leave_queue(&mut self, account: usize) {
        // A settlement may have closed it while it waited.
        let status = &mut self.state.book.accounts[account].status;
        if *status == Status::Queued {
            *status = Status::Open;
        }
        self.state.liquidations.end(account);
        self.state.detections.end(account);
    }

    /// What follows an action that left something open: another one after the pause, or the end of the liquidation, then true.
    pub(super) fn go_on(&mut self, moment: &Moment<'_>, order: &Ready) -> Result<bool> {
        let account = order.account;
        if account_is_healthy(&self.state, moment, account)? {
            self.leave_queue(account);
            return Ok(true);
        }
        let due = self.begin_attempt(account, moment.ts);
        let due = self.state.liquidations.earliest(account, due);
        self.queue.push(Action {
            due,
            enqueued: moment.ts,
            account,
            step: Step::Decide { seen: None },
            trigger: order.trigger,
        });
        Ok(false)
    }
}
