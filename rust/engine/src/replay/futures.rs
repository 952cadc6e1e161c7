//! Local futures: what becomes of an account as long as nobody else changes it.
//!
//! Without shared constraints the path of an account up to its first close depends on prices and on draws of its own only: it is seen to
//! fail, the keeper comes after the latency, it has recovered, it fails again, the keeper's attempt fails, and so on. All paths are
//! found in parallel; the event loop follows one for as long as its account has not been changed since, and the keeper comes on time.

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
    /// The last instant before the window; None: it begins with the opening.
    pub after: Option<i64>,
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
    /// Adds the path of an account from the beginning of the window.
    pub fn follow<'s>(
        &mut self,
        search: &'s Search<'s>,
        book: &Book,
        account: usize,
        terms: Terms<'_>,
        scratch: &mut Scratch<'s>,
    ) -> Result<()> {
        let span = (terms.after, terms.until);
        match first_seen(terms.keeper.polls, search, book, account, span, scratch)? {
            Some(first) => self.follow_from(search, book, account, first, terms, scratch),
            None => Ok(()),
        }
    }

    /// Adds the path of an account whose first trigger is known.
    pub fn follow_from<'s>(
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

/// The paths of all accounts through a window.
#[derive(Debug, Clone, Default)]
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

    /// The first trigger of every account that has one.
    pub fn firsts(&self) -> impl ExactSizeIterator<Item = (u32, Trigger)> + '_ {
        self.all.paths.iter().map(|path| (path.account, path.first))
    }

    /// The path of an account is not the one that was found.
    pub fn abandon(&mut self, account: usize) {
        if let Some(place) = self.place.get_mut(account) {
            *place = 0;
        }
    }

    /// What the keeper finds who visits an account; None if that is not known, or the account has been changed. To be asked once for
    /// every visit.
    pub fn foretell(&mut self, book: &Book, account: usize) -> Option<Foretold> {
        let place = self.place.get(account)?.checked_sub(1)?;
        let path = &mut self.all.paths[place as usize];
        if path.version != book.version(account) {
            return None;
        }
        let (next, left) = path.visits;
        if left > 0 {
            path.visits = (next + 1, left - 1);
            return Some(match self.all.visits[next as usize] {
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
