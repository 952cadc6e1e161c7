//! Halts that failing layers set off, which no search knows in advance (semantics, section 6).
//!
//! While the venue is down nobody is tested, so nothing is expected of anybody; whatever was expected before it went down is dropped.
//! When it is up again everyone is looked at, exactly, and searched for from there on.

use super::event_loop::Replayer;
use super::futures::Followed;
use crate::book::Status;

impl Replayer<'_> {
    /// True if the venue is down from just after `after` on (None: from the opening on, when nothing has failed).
    pub(super) fn is_down_after(&self, after: Option<i64>) -> bool {
        after.is_some_and(|t| self.state.outages.stop(t.saturating_add(1)))
    }

    /// The venue goes down.
    pub(super) fn suspend(&mut self) {
        self.queue.forget_all();
        if !std::mem::replace(&mut self.suspended, true) {
            // What was foretold of accounts knows nothing of this.
            self.futures = Followed::default();
            self.void_all();
        }
    }

    /// The venue is up again: those who may be tested, in order.
    pub(super) fn resume(&mut self) -> Vec<usize> {
        self.suspended = false;
        let book = &self.state.book;
        let open = |a: usize| book.accounts[a].status == Status::Open && book.has_position(a);
        (0..book.len())
            .filter(|&a| open(a) || self.queue.parked.contains(a))
            .collect()
    }
}
