//! What runs on one tape leave for the next: feeds and indices, which depend on the tape and a few parameters only; and of a book the
//! opening and the first triggers, which depend on what the protocol asks for up to then, and not on its layers.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::futures::Futures;
use super::opening::{Bound, Opened};
use crate::book::BookFrames;
use crate::config::{KeeperConfig, Layer, OpeningPolicy, Protocol};
use crate::error::Result;
use crate::feeds::{FeedPlan, Feeds, IndexPlan};
use crate::search::Index;

/// Of feeds and indices so many are kept, the last that were used.
const KEPT: usize = 8;
/// Of what is as large as a book, so many.
const BOOKS: usize = 2;

/// What was made of a tape in memory. It is shared with the runs that use it, and a run finds what an earlier one made; the result is
/// the same.
#[derive(Debug)]
pub struct Kept {
    feeds: Shelf<FeedPlan, Feeds>,
    indices: Shelf<(IndexPlan, usize), Index>,
    books: Shelf<BookKey, Bound>,
    openings: Shelf<OpeningKey, Opened>,
    futures: Shelf<FuturesKey, Futures>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            feeds: Shelf::new(KEPT),
            indices: Shelf::new(KEPT),
            books: Shelf::new(BOOKS),
            openings: Shelf::new(BOOKS),
            futures: Shelf::new(KEPT),
        }
    }
}

/// A book, by identity: as long as this is there, no other is at its address.
#[derive(Debug, Clone)]
pub(super) struct BookKey(Weak<BookFrames>);

impl BookKey {
    pub fn new(frames: &Arc<BookFrames>) -> Self {
        Self(Arc::downgrade(frames))
    }
}

impl PartialEq for BookKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

/// What an opening depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OpeningKey {
    book: BookKey,
    policy: OpeningPolicy,
    feeds: FeedPlan,
    protocol: Protocol,
}

impl OpeningKey {
    /// Of the protocol what is asked for before anything is closed: all that is not blanked here.
    pub fn new(book: BookKey, policy: OpeningPolicy, feeds: FeedPlan, protocol: &Protocol) -> Self {
        let assessed = protocol.assesses_open_interest();
        let blank = Protocol::default();
        let protocol = Protocol {
            name: blank.name,
            description: blank.description,
            keeper: blank.keeper,
            close: blank.close,
            penalty: blank.penalty,
            residual: blank.residual,
            settlement: blank.settlement,
            loss_unit: blank.loss_unit,
            attribution: blank.attribution,
            outside: blank.outside,
            late_deposits: blank.late_deposits,
            insurance_fund: None,
            pool: None,
            vault: None,
            treasury: None,
            token: None,
            adl: None,
            // Charges to open interest change what the search must grant.
            socialised: protocol.socialised.filter(|_| assessed),
            waterfall: if assessed { vec![Layer::Socialised] } else { Vec::new() },
            limits: blank.limits,
            withdrawal_gate: None,
            ..protocol.clone()
        };
        Self {
            book,
            policy,
            feeds,
            protocol,
        }
    }
}

/// What first triggers and the paths from there depend on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FuturesKey {
    pub opening: OpeningKey,
    pub keeper: KeeperConfig,
}

/// The last few results, by what they were made from.
#[derive(Debug)]
struct Shelf<K, V> {
    entries: Mutex<Vec<(K, Arc<V>)>>,
    room: usize,
}

impl<K, V> Shelf<K, V> {
    fn new(room: usize) -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
            room,
        }
    }

    /// The last one that fits.
    fn find(&self, fits: impl Fn(&K) -> bool) -> Option<Arc<V>> {
        // Nothing is left half done under this lock, so a poisoned one is still sound.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let place = entries.iter().rposition(|(key, _)| fits(key))?;
        let entry = entries.remove(place);
        let found = Arc::clone(&entry.1);
        entries.push(entry);
        Some(found)
    }

    fn put(&self, key: K, made: Arc<V>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == self.room {
            entries.remove(0);
        }
        entries.push((key, made));
    }
}

impl<K: PartialEq, V> Shelf<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        if let Some(found) = self.find(|k| *k == key) {
            return Ok(found);
        }
        let made = Arc::new(make()?);
        self.put(key, Arc::clone(&made));
        Ok(made)
    }
}

impl Kept {
    /// The feeds of a plan, made if they are not there.
    pub(super) fn feeds(&self, plan: FeedPlan, make: impl FnOnce() -> Result<Feeds>) -> Result<Arc<Feeds>> {
        self.feeds.get(plan, make)
    }

    /// The index over the feeds of a plan with blocks of so many ticks, made if it is not there.
    pub(super) fn index(
        &self,
        plan: IndexPlan,
        block: usize,
        make: impl FnOnce() -> Result<Index>,
    ) -> Result<Arc<Index>> {
        self.indices.get((plan, block), make)
    }

    /// The book bound to the markets of the tape.
    pub(super) fn book(&self, key: BookKey, make: impl FnOnce() -> Result<Bound>) -> Result<Arc<Bound>> {
        self.books.get(key, make)
    }

    /// The opening of a book.
    pub(super) fn opening(&self, key: OpeningKey, make: impl FnOnce() -> Result<Opened>) -> Result<Arc<Opened>> {
        self.openings.get(key, make)
    }

    /// The paths of all accounts of a book. `make` gets those under another keeper, if they are there: the first triggers are the same.
    pub(super) fn futures(
        &self,
        key: FuturesKey,
        make: impl FnOnce(Option<&Futures>) -> Result<Futures>,
    ) -> Result<Arc<Futures>> {
        let like = |k: &FuturesKey| k.opening == key.opening && k.keeper.poll == key.keeper.poll;
        match self.futures.find(|k| *k == key) {
            Some(found) => Ok(found),
            None => {
                let similar = self.futures.find(like);
                let made = Arc::new(make(similar.as_deref())?);
                self.futures.put(key, Arc::clone(&made));
                Ok(made)
            }
        }
    }
}
