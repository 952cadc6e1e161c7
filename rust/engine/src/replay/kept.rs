//! What runs on one tape leave for the next: feeds and indices, which depend on the tape and a few parameters only.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::feeds::{FeedPlan, Feeds, IndexPlan};
use crate::search::Index;

/// Of each kind so many are kept, the last that were used.
const KEPT: usize = 8;

/// Feeds and indices of a tape in memory. They are shared with the runs that use them, and a run finds what an earlier one made; the
/// result is the same.
#[derive(Debug, Default)]
pub struct Kept {
    feeds: Shelf<FeedPlan, Feeds>,
    indices: Shelf<(IndexPlan, usize), Index>,
}

/// The last few results, by what they were made from.
#[derive(Debug)]
struct Shelf<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<K: PartialEq, V> Shelf<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        // Nothing is left half done under this lock, so a poisoned one is still sound.
        let shelf = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = {
            let mut shelf = shelf();
            let place = shelf.iter().position(|(k, _)| *k == key);
            place.map(|place| {
                let entry = shelf.remove(place);
                let found = Arc::clone(&entry.1);
                shelf.push(entry);
                found
            })
        } {
            return Ok(found);
        }
        let made = Arc::new(make()?);
        let mut shelf = shelf();
        if shelf.len() == KEPT {
            shelf.remove(0);
        }
        shelf.push((key, Arc::clone(&made)));
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
}
