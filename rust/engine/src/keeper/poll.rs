//! When accounts are looked at: at every update, or at polls.

use crate::book::Book;
use crate::error::Result;
use crate::search::{Scratch, Search, Trigger, TriggerSearch};

/// Times at which accounts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polls {
    start: i64,
    interval: i64,
}

impl Polls {
    /// Polls at `start`, and so much later again and again; `interval` is positive.
    pub fn new(start: i64, interval: i64) -> Self {
        Self { start, interval }
    }

    /// True if `t` is a poll.
    pub fn includes(self, t: i64) -> bool {
        self.at_or_after(t) == Some(t)
    }

    /// The first poll at or after `t`.
    pub fn at_or_after(self, t: i64) -> Option<i64> {
        let (interval, since) = (i128::from(self.interval), i128::from(t) - i128::from(self.start));
        let number = (since.max(0) + interval - 1) / interval;
        i64::try_from(i128::from(self.start) + number * interval).ok()
    }

    /// The first poll after `t`.
    pub fn after(self, t: i64) -> Option<i64> {
        self.at_or_after(t.checked_add(1)?)
    }
}

/// The first time after `after` (None: from the opening on) and until `until` at which an account is seen to fail.
///
/// # Errors
/// Those of the search.
pub fn first_seen<'s>(
    polls: Option<Polls>,
    search: &'s Search<'s>,
    book: &Book,
    account: usize,
    (after, until): (Option<i64>, i64),
    scratch: &mut Scratch<'s>,
) -> Result<Option<Trigger>> {
    let Some(polls) = polls else {
        return search.first(book, account, after, scratch);
    };
    let mut poll = after.map_or(Some(polls.start), |t| polls.after(t));
    // Polls between one that finds the account healthy and its next failure find it healthy too.
    while let Some(ts) = poll.filter(|&ts| ts <= until) {
        if search.fails_at(book, account, ts, scratch)? {
            return Ok(Some(Trigger { ts, seen: None }));
        }
        let failure = search.first(book, account, Some(ts), scratch)?;
        poll = failure.and_then(|trigger| polls.at_or_after(trigger.ts));
    }
    Ok(None)
}

/// The first time after `after` and until `until` at which an account that fails is seen to have recovered.
///
/// # Errors
/// Those of the search.
pub fn first_recovered<'s>(
    polls: Option<Polls>,
    search: &'s Search<'s>,
    book: &Book,
    account: usize,
    (after, until): (i64, i64),
    scratch: &mut Scratch<'s>,
) -> Result<Option<i64>> {
    let Some(polls) = polls else {
        return search.recovery(book, account, after, scratch);
    };
    let mut poll = polls.after(after);
    while let Some(ts) = poll.filter(|&ts| ts <= until) {
        if !search.fails_at(book, account, ts, scratch)? {
            return Ok(Some(ts));
        }
        let recovery = search.recovery(book, account, ts, scratch)?;
        poll = recovery.and_then(|t| polls.at_or_after(t));
    }
    Ok(None)
}
