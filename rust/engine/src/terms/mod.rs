//! Terms that change on a schedule and are known in advance: the scale of dynamic margin, and the indices of funding and borrow fees.
//!
//! Each market has one step series of all three. The instants at which any of them is looked at again are evaluation instants of the
//! accounts with a size there, whether or not it changes. Like feeds, terms are made window by window, by a maker that carries its state
//! to the next.

mod accruals;
mod make;
mod volatility;

pub use make::TermsMaker;

use crate::book::Outlook;
use crate::contract::MarketId;
use crate::margin::Scale;

/// The terms of a market at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Term {
    /// Scale of requirements.
    pub scale: Scale,
    /// Index of funding: what a long owes a unit of size.
    pub funding: i128,
    /// Index of borrow fees.
    pub borrow: i128,
}

/// The worst of several terms, for either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worst {
    /// The largest scale.
    pub scale: Scale,
    /// How far the indices go.
    pub indices: Outlook,
}

impl Worst {
    fn of(term: Term) -> Self {
        Self {
            scale: term.scale,
            indices: Outlook {
                funding_low: term.funding,
                funding_high: term.funding,
                borrow: term.borrow,
            },
        }
    }

    fn and(self, term: Term) -> Self {
        Self {
            scale: self.scale.max(term.scale),
            indices: Outlook {
                funding_low: self.indices.funding_low.min(term.funding),
                funding_high: self.indices.funding_high.max(term.funding),
                borrow: self.indices.borrow.max(term.borrow),
            },
        }
    }
}

/// The terms of one market over a window of the tape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarketTerms {
    /// Instants, in order, none twice.
    ts: Vec<i64>,
    /// From each instant on; the first entry stands before all of them.
    terms: Vec<Term>,
    /// The worst from each of `terms` on.
    worst: Vec<Worst>,
}

impl MarketTerms {
    /// Terms that begin with `before` and change at instants that ascend.
    pub(crate) fn new(before: Term, steps: Vec<(i64, Term)>) -> Self {
        let mut terms = vec![before];
        terms.extend(steps.iter().map(|s| s.1));
        let mut worst: Vec<Worst> = Vec::with_capacity(terms.len());
        for &term in terms.iter().rev() {
            worst.push(worst.last().map_or(Worst::of(term), |w| w.and(term)));
        }
        worst.reverse();
        Self {
            ts: steps.into_iter().map(|s| s.0).collect(),
            terms,
            worst,
        }
    }

    /// The instants.
    pub fn instants(&self) -> &[i64] {
        &self.ts
    }

    /// Number of instants up to `t`.
    fn count(&self, t: i64) -> usize {
        self.ts.partition_point(|&u| u <= t)
    }

    /// The terms at `t`.
    pub fn at(&self, t: i64) -> Term {
        self.terms[self.count(t)]
    }

    /// The worst terms from `t` to the end of the window.
    pub fn worst_from(&self, t: i64) -> Worst {
        self.worst[self.count(t)]
    }

    /// The last instant up to `t`, and the first after it.
    pub fn around(&self, t: i64) -> (Option<i64>, Option<i64>) {
        let n = self.count(t);
        (n.checked_sub(1).map(|k| self.ts[k]), self.ts.get(n).copied())
    }
}

/// The terms of all markets over a window of the tape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// By market.
    pub markets: Vec<MarketTerms>,
    /// Instants at which an index of funding or borrow fees is moved, in the order of (instant, market).
    pub accruals: Vec<(i64, MarketId)>,
}
