//! Assessments: what legs owe for losses socialised by open interest (semantics, section 6).
//!
//! An index per market tells what one unit of size has been charged since the open; a leg owes what the index has risen since the leg
//! was last settled. Raising an index charges every leg of its market without touching any.
//!
//! Source of the form: socialised loss through the funding index, as in Mango and Drift.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Book, Leg};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::units::{Amount, ceil_div, product};

/// Steps of an index to one unit of the settlement asset for one unit of size.
pub const INDEX_SCALE: i128 = 1_000_000_000_000;

/// Positions and cash of an account, as a test looks at them.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// Positions.
    pub legs: &'a [Leg],
    /// Cash by asset, less what is owed.
    pub cash: &'a [(AssetId, Amount)],
}

impl<'a> Holding<'a> {
    /// An account without what it owes.
    pub fn gross(book: &'a Book, account: usize) -> Self {
        Self {
            legs: book.legs(account),
            cash: book.cash(account),
        }
    }
}

/// The indices, and where each leg stands.
#[derive(Debug, Clone)]
pub(super) struct Assessments {
    /// By market: the index, in units of the settlement asset a unit of size times [`INDEX_SCALE`].
    index: Vec<i128>,
    /// By market: no index has risen above this since the bounds of ADL were made.
    ceiling: Vec<i128>,
    /// By market: in what it settles.
    settlement: Vec<AssetId>,
    /// By leg: the index at which it was last settled.
    settled: Vec<i128>,
    /// Markets whose index was raised since the steps were last taken.
    stepped: BTreeSet<MarketId>,
}

/// An account's legs as they were before they were settled for a trial.
#[derive(Debug, Clone, Default)]
pub struct Unsettled(Vec<i128>, Vec<(AssetId, Amount)>);

/// What a leg owes at an index.
fn owed(leg: &Leg, settled: i128, index: i128) -> Result<Amount> {
    if index == settled || leg.size.is_zero() {
        return Ok(Amount::ZERO);
    }
    let scaled = product(i128::from(leg.size.units()), index - settled, "assessment")?;
    Ok(Amount(ceil_div(scaled, INDEX_SCALE)))
}

impl Book {
    /// From now on losses can be charged to open interest.
    pub fn open_assessments(&mut self, venue: &Venue) {
        let markets = venue.markets.len();
        self.assessments = Some(Box::new(Assessments {
            index: vec![0; markets],
            ceiling: vec![0; markets],
            settlement: venue.markets.iter().map(|m| m.settlement).collect(),
            settled: vec![0; self.legs.len()],
            stepped: BTreeSet::new(),
        }));
    }

    /// True if losses can be charged to open interest.
    pub fn is_assessed(&self) -> bool {
        self.assessments.is_some()
    }

    /// The indices by market; none if nothing can be charged.
    pub fn indices(&self) -> &[i128] {
        self.assessments.as_ref().map_or(&[], |a| &a.index)
    }

    /// Raises the index of a market by a step. True if it is now above what bounds of ADL allowed for: they are to be made anew.
    ///
    /// # Errors
    /// Overflow.
    pub fn raise_index(&mut self, market: MarketId, step: i128) -> Result<bool> {
        let Some(a) = self.assessments.as_deref_mut() else {
            return Err(Error::Invariant("there is no index of socialised loss".to_owned()));
        };
        let risen = a.index[market].checked_add(step);
        a.index[market] = risen.ok_or_else(|| Error::overflow("index of socialised loss"))?;
        a.stepped.insert(market);
        if a.index[market] <= a.ceiling[market] {
            return Ok(false);
        }
        // Twice as far: bounds are made anew only when what is charged has doubled.
        a.ceiling[market] = a.index[market].saturating_mul(2);
        Ok(true)
    }

    /// The markets whose index was raised since the last call.
    pub fn take_steps(&mut self) -> BTreeSet<MarketId> {
        self.assessments
            .as_deref_mut()
            .map(|a| std::mem::take(&mut a.stepped))
            .unwrap_or_default()
    }

    /// What a leg of an account owes, with its settlement asset.
    ///
    /// # Errors
    /// Overflow.
    pub fn owed(&self, account: usize, leg: usize) -> Result<Amount> {
        let Some(a) = self.assessments.as_deref() else {
            return Ok(Amount::ZERO);
        };
        let at = self.leg_range(account).start + leg;
        owed(&self.legs[at], a.settled[at], a.index[self.legs[at].market])
    }

    /// How far the index of a market may rise until the legs of an account in it owe more than `budget` above what they owe now. What a
    /// leg owes is rounded up, by less than a unit.
    pub fn index_within(&self, account: usize, market: MarketId, budget: Amount) -> i128 {
        let (mut units, mut legs) = (0, 0);
        for leg in self.legs(account).iter().filter(|l| l.market == market) {
            units += i128::from(leg.size.units());
            legs += 1;
        }
        let room = (budget.0 - legs).max(0).saturating_mul(INDEX_SCALE) / units.max(1);
        let index = self.indices().get(market).copied().unwrap_or(0);
        index.saturating_add(room)
    }

    /// Not less than what a leg owes as long as no bound of ADL is void; for bounds only.
    pub fn owed_at_most(&self, account: usize, leg: usize) -> f64 {
        let Some(a) = self.assessments.as_deref() else {
            return 0.0;
        };
        let at = self.leg_range(account).start + leg;
        let l = &self.legs[at];
        let steps = a.ceiling[l.market].saturating_sub(a.settled[at]);
        if steps == 0 || l.size.is_zero() {
            return 0.0;
        }
        l.size.units() as f64 * steps as f64 / INDEX_SCALE as f64 * (1.0 + 1e-12) + 1.0
    }

    /// Cash of an account by asset, less what it owes.
    ///
    /// # Errors
    /// Overflow.
    pub fn net_cash(&self, account: usize) -> Result<Cow<'_, [(AssetId, Amount)]>> {
        let mut cash = Cow::Borrowed(self.cash(account));
        let Some(a) = self.assessments.as_deref() else {
            return Ok(cash);
        };
        for at in self.leg_range(account) {
            let leg = &self.legs[at];
            let owed = owed(leg, a.settled[at], a.index[leg.market])?;
            if !owed.is_zero() {
                let asset = a.settlement[leg.market];
                if let Some(slot) = cash.to_mut().iter_mut().find(|(id, _)| *id == asset) {
                    slot.1 = slot.1.minus(owed)?;
                }
            }
        }
        Ok(cash)
    }

    /// A leg has paid what it owed.
    pub(crate) fn mark_settled(&mut self, account: usize, leg: usize) {
        let at = self.leg_range(account).start + leg;
        if let Some(a) = self.assessments.as_deref_mut() {
            a.settled[at] = a.index[self.legs[at].market];
        }
    }

    /// Takes what an account owes from its cash, while counterparties are tried; [`Book::unsettle`] puts it back.
    pub(crate) fn try_settle(&mut self, account: usize) -> Result<Unsettled> {
        if self.assessments.is_none() {
            return Ok(Unsettled::default());
        }
        let net = self.net_cash(account)?.into_owned();
        let taken = self.cash(account).iter().zip(net).map(|(gross, net)| {
            let taken = gross.1.minus(net.1)?;
            Ok((gross.0, taken))
        });
        let taken: Vec<(AssetId, Amount)> = taken.collect::<Result<_>>()?;
        for &(asset, amount) in taken.iter().filter(|t| !t.1.is_zero()) {
            self.credit(account, asset, amount.negated())?;
        }
        let range = self.leg_range(account);
        let before = self.assessments.as_ref().map(|a| a.settled[range].to_vec());
        for leg in 0..self.legs(account).len() {
            self.mark_settled(account, leg);
        }
        Ok(Unsettled(before.unwrap_or_default(), taken))
    }

    /// Undoes [`Book::try_settle`].
    pub(crate) fn unsettle(&mut self, account: usize, before: &Unsettled) -> Result<()> {
        let range = self.leg_range(account);
        if let Some(a) = self.assessments.as_deref_mut() {
            a.settled[range].copy_from_slice(&before.0);
        }
        for &(asset, amount) in before.1.iter().filter(|t| !t.1.is_zero()) {
            self.credit(account, asset, amount)?;
        }
        Ok(())
    }
}
