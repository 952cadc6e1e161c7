//! The queues of all markets and sides, and how they learn of changes.

use std::collections::BTreeMap;

use super::Match;
use super::capacity::Demand;
use super::levels::{Levels, View};
use super::outlook::Question;
use super::rank::Rank;
use crate::book::Book;
use crate::contract::MarketId;
use crate::error::Result;
use crate::search::PriceRanges;
use crate::state::Moment;

/// Ranks of one instant that are kept, one for each print that was seen.
const RANKS: usize = 32;

/// The ADL queue of one market and side.
#[derive(Default)]
struct Queue {
    /// Holders that were changed, in the order of their changes.
    log: Vec<u32>,
    levels: Levels,
    /// Instant of the ranks.
    ts: Option<i64>,
    ranks: Vec<Rank>,
}

/// The ADL queues of a run; made when they are first needed.
#[derive(Default)]
pub struct Queues {
    /// Closes that asked for ADL in the last instant in which any did.
    attempts: (i64, u32),
    queues: BTreeMap<(MarketId, bool), Queue>,
}

impl Queues {
    /// Forgets all queues. To be called whenever the ranges change, as they do with a new window of a tape.
    pub fn clear(&mut self) {
        self.queues.clear();
    }

    /// True if as many closes as this had ADL at `ts` already.
    pub fn exhausted(&self, ts: i64, limit: Option<u32>) -> bool {
        let (at, attempts) = self.attempts;
        limit.is_some_and(|limit| (if at == ts { attempts } else { 0 }) >= limit)
    }

    /// A close had ADL at `ts`.
    pub fn note_attempt(&mut self, ts: i64) {
        let (at, attempts) = self.attempts;
        self.attempts = (ts, if at == ts { attempts.saturating_add(1) } else { 1 });
    }

    /// An index of charges has moved, or closes have displaced a price, which changes equities without changing accounts: exact scores
    /// are void; so are bounds that this has outgrown.
    pub fn reprice(&mut self, outgrown: bool) {
        if outgrown {
            self.queues.clear();
        }
        for queue in self.queues.values_mut() {
            queue.ranks.clear();
        }
    }

    /// Takes counterparties from the queue opposite to what is wanted.
    pub(super) fn take(
        &mut self,
        book: &mut Book,
        holders: &[u32],
        moment: &Moment<'_>,
        ranges: &dyn PriceRanges,
        demand: &Demand<'_>,
    ) -> Result<Vec<Match>> {
        self.note_changes(book);
        let (market, long) = (demand.wanted.market, demand.wanted.position.0 < 0);
        let queue = self.queues.entry((market, long)).or_default();
        let view = View {
            venue: &moment.setup.venue,
            book,
            ranges,
            market,
            long,
            score: demand.rules.score,
            question: Question::of(demand.rules),
        };
        queue.take(&view, holders, moment, demand)
    }

    /// Tells the queues of the accounts that were changed.
    fn note_changes(&mut self, book: &mut Book) {
        for account in book.drain_changes() {
            for leg in book.legs(account as usize) {
                for long in [true, false] {
                    // A leg that is gone may have been on either side.
                    let concerned = leg.size.is_zero() || (leg.size.0 > 0) == long;
                    if concerned && let Some(queue) = self.queues.get_mut(&(leg.market, long)) {
                        queue.log.push(account);
                    }
                }
            }
        }
    }
}

impl Queue {
    fn take(
        &mut self,
        view: &View<'_>,
        holders: &[u32],
        moment: &Moment<'_>,
        demand: &Demand<'_>,
    ) -> Result<Vec<Match>> {
        if self.ts != Some(moment.ts) {
            self.ts = Some(moment.ts);
            self.ranks.clear();
            self.levels.descend(view, moment.ts, holders, &self.log);
        }
        let found = self.ranks.iter().position(|rank| rank.seen == moment.seen);
        let at = found.unwrap_or_else(|| {
            if self.ranks.len() == RANKS {
                self.ranks.clear();
            }
            self.ranks.push(Rank::new(moment.seen, self.levels.log()));
            self.ranks.len() - 1
        });
        self.ranks[at].take(view, &mut self.levels, &self.log, moment, demand)
    }
}
