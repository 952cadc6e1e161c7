//! The states of an account's inputs in a block of time, walked instant by instant.

use crate::contract::{AssetId, MarketId};
use crate::feeds::{Channel, Sides};
use crate::margin::Prices;
use crate::units::{Price, Size};

/// One input of an account's test while the states of a block are walked.
pub(super) struct Cursor<'a> {
    pub ts: &'a [i64],
    pub prices: &'a [i64],
    pub next: usize,
    end: usize,
    /// Timestamp of the next state; the largest of all at the end.
    due: i64,
    pub price: Price,
    /// What the term of this series adds at `price`.
    pub adds: f64,
    pub input: Input,
}

/// What a cursor walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Input {
    /// A series of the trigger feed.
    Market(Channel),
    /// The price market of an asset.
    Asset(AssetId),
    /// The moments at which a market stops being blocked; it has no price.
    Lifts(MarketId),
}

impl<'a> Cursor<'a> {
    /// Before the states of a series, which begins at `price`.
    pub fn new(ts: &'a [i64], prices: &'a [i64], price: Price, input: Input) -> Self {
        Self {
            ts,
            prices,
            next: 0,
            end: 0,
            due: i64::MAX,
            price,
            adds: 0.0,
            input,
        }
    }

    /// Goes to a stretch of states, which begins at `price`.
    pub fn enter(&mut self, (next, end): (usize, usize), price: Price) {
        (self.next, self.end, self.price) = (next, end, price);
        self.due = self.ts[next..end].first().copied().unwrap_or(i64::MAX);
    }

    /// Takes the state that is due; of several at one timestamp the last, or with `each_print` the first.
    fn take(&mut self, each_print: bool) {
        let states = &self.ts[self.next..self.end];
        let more = if each_print {
            1
        } else {
            1 + states[1..].iter().take_while(|&&t| t == self.due).count()
        };
        self.due = states.get(more).copied().unwrap_or(i64::MAX);
        self.next += more;
        self.price = Price(self.prices[self.next - 1]);
    }
}

/// The cursors that have states in their block, and when the next of each is due: an account in many markets has states in few of them,
/// and a step looks at no other.
#[derive(Default)]
pub(super) struct Live(Vec<(i64, usize)>);

impl Live {
    /// The cursors stand at the beginning of a block.
    pub fn begin(&mut self, cursors: &[Cursor<'_>]) {
        self.0.clear();
        let live = cursors.iter().enumerate().filter(|(_, c)| c.next < c.end);
        self.0.extend(live.map(|(k, c)| (c.due, k)));
    }

    /// Takes the next instant (or the next print) of the block, and tells `moved` which cursors it moves; None at the end.
    pub fn step<'s>(
        &mut self,
        cursors: &mut [Cursor<'s>],
        each_print: bool,
        mut moved: impl FnMut(usize, &mut Cursor<'s>),
    ) -> Option<i64> {
        let t = self.0.iter().map(|&(due, _)| due).min()?;
        let ended = |&(_, k): &(i64, usize)| cursors[k].next == cursors[k].end;
        if t == i64::MAX && self.0.iter().all(ended) {
            return None;
        }
        for (due, k) in self.0.iter_mut().filter(|(due, _)| *due == t) {
            let c = &mut cursors[*k];
            if c.next < c.end {
                c.take(each_print);
                *due = c.due;
                moved(*k, c);
            }
        }
        Some(t)
    }
}

/// Prices at the cursors.
pub(super) struct At<'c, 's> {
    cursors: &'c [Cursor<'s>],
    sides: Sides,
}

impl<'c, 's> At<'c, 's> {
    /// The cursors stand in the order of their inputs.
    pub fn new(cursors: &'c [Cursor<'s>], sides: Sides) -> Self {
        debug_assert!(cursors.is_sorted_by_key(|c| c.input));
        Self { cursors, sides }
    }

    /// Price of a series of the trigger feed.
    pub fn channel(&self, channel: Channel) -> Price {
        self.find(Input::Market(channel))
    }

    fn find(&self, input: Input) -> Price {
        let place = self.cursors.binary_search_by_key(&input, |c| c.input);
        place.map_or(Price(1), |k| self.cursors[k].price)
    }
}

impl Prices for At<'_, '_> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        self.find(Input::Market(self.sides.channel(market, size)))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.find(Input::Asset(asset))
    }
}
