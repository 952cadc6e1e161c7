//! Local futures: what becomes of an account as long as nobody else changes it.
//!
//! Without shared constraints the path of an account up to its first close depends on prices and on draws of its own only: it is seen to
//! fail, the keeper comes after the latency, it has recovered, it fails again, the keeper's attempt fails, and so on. All paths are
//! found in parallel; the event loop follows one for as long as its account has not been changed since, and the keeper comes on time.

use std::sync::Arc;

use crate::book::Book;
use crate::error::Result;
use crate::keeper::{Keeper, first_seen};
use crate::search::{Scratch, Search, Trigger};

/// A path is followed for so many visits of the keeper.
const VISITS: usize = 64;

/// What the keeper finds at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It still fails.
    Fails,
    /// It has recovered, and does not fail again in this window.
    Recovers,
    /// It is due after the window, or has not been followed so far.
    Unknown,
}

/// What the keeper finds at a visit before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    /// It still fails, and so does the attempt.
    InVain,
    /// It has recovered, and fails again.
    Recovers(Trigger),
}

/// What paths depend on besides prices.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub keeper: &'a Keeper,
    /// Per account: attempts so far; empty where nothing is drawn.
    pub attempts: &'a [u32],
    /// The end of the window.
    pub until: i64,
}

/// The path of one account through a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    account: u32,
    /// Version of the account in the book.
    version: u64,
    /// Its first trigger.
    pub first: Trigger,
    /// Visits before the last: where they begin, and how many there are.
    visits: (u32, u32),
    ending: Ending,
}

/// Paths of a batch of accounts.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    paths: Vec<Path>,
    visits: Vec<Visit>,
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
    /// Adds the path of an account from its first trigger on.
    pub fn follow<'s>(
        &mut self,
        search: &'s Search<'s>,
        book: &Book,
        account: usize,
        first: Trigger,
        terms: Terms<'_>,
        scratch: &mut Scratch<'s>,
    ) -> Result<()> {
        let Terms { keeper, until, .. } = terms;
        let from = self.visits.len();
        let mut attempt = terms.attempts.get(account).copied().unwrap_or(0);
        // The attempt, and the instant of the detection if it is the first since then.
        let (mut begun, mut detected) = (first.ts, Some(first.ts));
        let ending = loop {
            // A keeper waits while the account is blocked.
            let due = search.free_from(book, account, keeper.due(account, attempt, begun));
            let Some(due) = due.filter(|&due| due <= until && self.visits.len() - from < VISITS) else {
                break Ending::Unknown;
            };
            if detected == Some(due) || search.fails_at(book, account, due, scratch)? {
                let Some(again) = keeper.fails(account, attempt, due) else {
                    break Ending::Fails;
                };
                self.visits.push(Visit::InVain);
                (begun, detected) = (again, None);
            } else {
                let Some(next) = first_seen(keeper.polls, search, book, account, (Some(due), until), scratch)? else {
                    break Ending::Recovers;
                };
                self.visits.push(Visit::Recovers(next));
                (begun, detected) = (next.ts, Some(next.ts));
            }
            attempt = attempt.saturating_add(1);
        };
        self.paths.push(Path {
            account: account as u32,
            version: book.version(account),
            first,
            visits: (from as u32, (self.visits.len() - from) as u32),
            ending,
        });
        Ok(())
    }
}

/// The paths of all accounts through a window, as they were found.
#[derive(Debug, Default)]
pub(super) struct Futures {
    all: Paths,
    /// Per account: place of its path plus one, or zero.
    place: Vec<u32>,
}

impl Futures {
    /// Puts batches together, in their order.
    pub fn new(accounts: usize, batches: Vec<Paths>) -> Self {
        let mut all = Paths::default();
        let mut place = vec![0; accounts];
        for batch in batches {
            let shift = all.visits.len() as u32;
            for mut path in batch.paths {
                path.visits.0 += shift;
                all.paths.push(path);
                place[path.account as usize] = all.paths.len() as u32;
            }
            all.visits.extend(batch.visits);
        }
        Self { all, place }
    }

    /// The first trigger of every account that has one, in the order of the paths.
    pub fn firsts(&self) -> impl ExactSizeIterator<Item = (u32, Trigger)> + '_ {
        self.all.paths.iter().map(|path| (path.account, path.first))
    }

    /// Number of paths.
    pub fn len(&self) -> usize {
        self.all.paths.len()
    }
}

/// How far a run has followed the paths of a window.
#[derive(Debug, Default)]
pub(super) struct Followed {
    futures: Arc<Futures>,
    /// Per path: visits that were made; [`ABANDONED`] if the account goes another way.
    made: Vec<u8>,
}

/// Of a path that is not the one that was found.
const ABANDONED: u8 = u8::MAX;

impl Followed {
    /// From the beginning of these paths.
    pub fn new(futures: Arc<Futures>) -> Self {
        let made = vec![0; futures.len()];
        Self { futures, made }
    }

    fn place(&self, account: usize) -> Option<usize> {
        self.futures
            .place
            .get(account)?
            .checked_sub(1)
            .map(|place| place as usize)
    }

    /// The path of an account is not the one that was found.
    pub fn abandon(&mut self, account: usize) {
        if let Some(place) = self.place(account) {
            self.made[place] = ABANDONED;
        }
    }

    /// What the keeper finds who visits an account; None if that is not known, or the account has been changed. To be asked once for
    /// every visit.
    pub fn foretell(&mut self, book: &Book, account: usize) -> Option<Foretold> {
        let place = self.place(account)?;
        let path = &self.futures.all.paths[place];
        let made = &mut self.made[place];
        if *made == ABANDONED || path.version != book.version(account) {
            return None;
        }
        let (first, visits) = path.visits;
        if u32::from(*made) < visits {
            let visit = first as usize + usize::from(*made);
            // There are at most VISITS of them.
            *made += 1;
            return Some(match self.futures.all.visits[visit] {
                Visit::InVain => Foretold::Fails,
                Visit::Recovers(trigger) => Foretold::Recovers(Some(trigger)),
            });
        }
        match path.ending {
            Ending::Fails => Some(Foretold::Fails),
            Ending::Recovers => Some(Foretold::Recovers(None)),
            Ending::Unknown => None,
        }
    }
}
