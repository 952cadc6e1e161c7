//! Local futures: what becomes of an account as long as nobody else changes it.
//!
//! Without shared constraints the path of an account up to its first close depends on prices only: it fails, the keeper comes after
//! the latency, it has recovered, it fails again, and so on. All paths are found in parallel; the event loop follows one for as long
//! as its account has not been changed since.

use crate::book::Book;
use crate::error::Result;
use crate::search::{Scratch, Search, Trigger, TriggerSearch};

/// What the keeper finds at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It still fails.
    Fails,
    /// It has recovered, and does not fail again in this window.
    Recovers,
    /// It is due after the window.
    Unknown,
}

/// The path of one account through a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    account: u32,
    /// Version of the account in the book.
    version: u64,
    /// Its first trigger.
    pub first: Trigger,
    /// Triggers after a recovery: where they begin, and how many there are.
    later: (u32, u32),
    ending: Ending,
}

/// Paths of a batch of accounts.
#[derive(Debug, Default)]
pub(super) struct Paths {
    paths: Vec<Path>,
    later: Vec<Trigger>,
}

/// What a keeper that is due now will find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foretold {
    /// The account still fails.
    Fails,
    /// It has recovered; its next trigger in this window.
    Recovers(Option<Trigger>),
}

impl Paths {
    /// Adds the path of an account from the first instant after `after`.
    pub fn follow<'s>(
        &mut self,
        search: &'s Search<'s>,
        book: &Book,
        account: usize,
        (after, latency, until): (Option<i64>, i64, i64),
        scratch: &mut Scratch<'s>,
    ) -> Result<()> {
        let Some(first) = search.first(book, account, after, scratch)? else {
            return Ok(());
        };
        let from = self.later.len();
        let mut trigger = first;
        let ending = loop {
            if latency == 0 {
                break Ending::Fails;
            }
            // A keeper waits while the account is blocked.
            let due = trigger.ts.checked_add(latency);
            let due = due.and_then(|due| search.free_from(book, account, due));
            let Some(due) = due.filter(|&due| due <= until) else {
                break Ending::Unknown;
            };
            if search.fails_at(book, account, due, scratch)? {
                break Ending::Fails;
            }
            match search.first(book, account, Some(due), scratch)? {
                Some(next) => {
                    self.later.push(next);
                    trigger = next;
                }
                None => break Ending::Recovers,
            }
        };
        self.paths.push(Path {
            account: account as u32,
            version: book.version(account),
            first,
            later: (from as u32, (self.later.len() - from) as u32),
            ending,
        });
        Ok(())
    }
}

/// The paths of all accounts through a window.
#[derive(Debug, Default)]
pub(super) struct Futures {
    all: Paths,
    /// Per account: place of its path plus one, or zero.
    place: Vec<u32>,
}

impl Futures {
    /// Puts batches together, which come in the order of accounts.
    pub fn new(accounts: usize, batches: Vec<Paths>) -> Self {
        let mut all = Paths::default();
        let mut place = vec![0; accounts];
        for batch in batches {
            let shift = all.later.len() as u32;
            for mut path in batch.paths {
                path.later.0 += shift;
                all.paths.push(path);
                place[path.account as usize] = all.paths.len() as u32;
            }
            all.later.extend(batch.later);
        }
        Self { all, place }
    }

    /// The first trigger of every account that has one.
    pub fn firsts(&self) -> impl ExactSizeIterator<Item = (u32, Trigger)> + '_ {
        self.all.paths.iter().map(|path| (path.account, path.first))
    }

    /// What the keeper finds who is due at an account; None if that is not known, or the account has been changed. To be asked once
    /// for every trigger.
    pub fn foretell(&mut self, book: &Book, account: usize) -> Option<Foretold> {
        let place = self.place.get(account)?.checked_sub(1)?;
        let path = &mut self.all.paths[place as usize];
        if path.version != book.version(account) {
            return None;
        }
        let (next, left) = path.later;
        if left > 0 {
            path.later = (next + 1, left - 1);
            return Some(Foretold::Recovers(Some(self.all.later[next as usize])));
        }
        match path.ending {
            Ending::Fails => Some(Foretold::Fails),
            Ending::Recovers => Some(Foretold::Recovers(None)),
            Ending::Unknown => None,
        }
    }
}
