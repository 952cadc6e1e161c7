//! Charges: what legs owe for socialised losses, funding and borrow fees (semantics, sections 4 and 6).
//!
//! Indices per market tell what one unit of size has been charged since the open; a leg owes what an index has risen since the leg was
//! last settled. Moving an index charges every leg of its market without touching any. That of funding moves either way, and what
//! longs owe shorts receive.
//!
//! Source of the form: funding indices, and socialised loss through them, as in Mango and Drift.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Book, Leg, Status};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::units::{Amount, ceil_div, product};

/// Steps of an index to one unit of the settlement asset for one unit of size.
pub const INDEX_SCALE: i128 = 1_000_000_000_000;

/// What legs are charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Charge {
    /// Losses socialised by open interest.
    Socialised,
    /// Funding: what longs pay, shorts receive.
    Funding,
    /// Borrow fees.
    Borrow,
}

impl Charge {
    /// All of them, in the order in which they are settled.
    pub const ALL: [Self; 3] = [Self::Socialised, Self::Funding, Self::Borrow];

    /// Those that are known in advance.
    pub const ACCRUED: [Self; 2] = [Self::Funding, Self::Borrow];
}

/// The index of each charge, in units of the settlement asset a unit of size times [`INDEX_SCALE`].
pub type Indices = [i128; Charge::ALL.len()];

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
pub(super) struct Charges {
    /// Losses can be charged to open interest.
    socialised: bool,
    /// Funding or borrow fees accrue.
    accrued: bool,
    /// By market.
    index: Vec<Indices>,
    /// By market: no index of socialised loss has risen above this since the bounds of ADL were made.
    ceiling: Vec<i128>,
    /// By market: how far funding falls and rises, and borrow fees rise, in the window of the tape.
    outlook: Vec<Outlook>,
    /// By market: in what it settles.
    settlement: Vec<AssetId>,
    /// By leg: the indices at which it was last settled.
    settled: Vec<Indices>,
    /// Markets whose index of socialised loss was raised since the steps were last taken.
    stepped: BTreeSet<MarketId>,
}

/// How far the indices that are known in advance go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Least index of funding.
    pub funding_low: i128,
    /// Greatest index of funding.
    pub funding_high: i128,
    /// Greatest index of borrow fees.
    pub borrow: i128,
}

/// An account's legs as they were before they were settled for a trial.
#[derive(Debug, Clone, Default)]
pub struct Unsettled(Vec<Indices>, Vec<(AssetId, Amount)>);

/// An account before an action that may be undone.
#[derive(Debug, Clone)]
pub struct AccountAsItStood {
    status: Status,
    legs: Vec<Leg>,
    cash: Vec<(AssetId, Amount)>,
    settled: Vec<Indices>,
}

/// All indices before an action that may be undone.
#[derive(Debug, Clone)]
pub struct IndicesAsTheyStood {
    index: Vec<Indices>,
    stepped: BTreeSet<MarketId>,
}

/// What a leg owes when an index has moved by `steps`; negative if it is owed.
pub fn owed(leg: &Leg, charge: Charge, steps: i128) -> Result<Amount> {
    if steps == 0 || leg.size.is_zero() {
        return Ok(Amount::ZERO);
    }
    let units = match charge {
        Charge::Funding => i128::from(leg.size.0),
        Charge::Socialised | Charge::Borrow => i128::from(leg.size.units()),
    };
    Ok(Amount(ceil_div(product(units, steps, "charge")?, INDEX_SCALE)))
}

impl Book {
    /// From now on legs can be charged for socialised losses, for funding and borrow fees, or for both.
    pub fn open_charges(&mut self, venue: &Venue, socialised: bool, accrued: bool) {
        if !socialised && !accrued {
            return;
        }
        let markets = venue.markets.len();
        self.charges = Some(Box::new(Charges {
            socialised,
            accrued,
            index: vec![Indices::default(); markets],
            ceiling: vec![0; markets],
            outlook: vec![Outlook::default(); markets],
            settlement: venue.markets.iter().map(|m| m.settlement).collect(),
            settled: vec![Indices::default(); self.legs.len()],
            stepped: BTreeSet::new(),
        }));
    }

    /// True if legs can owe anything.
    pub fn is_charged(&self) -> bool {
        self.charges.is_some()
    }

    /// True if losses can be charged to open interest.
    pub fn is_assessed(&self) -> bool {
        self.charges.as_ref().is_some_and(|c| c.socialised)
    }

    /// True if funding or borrow fees accrue.
    pub fn accrues(&self) -> bool {
        self.charges.as_ref().is_some_and(|c| c.accrued)
    }

    /// The indices of a market; zero if nothing can be charged.
    pub fn indices(&self, market: MarketId) -> Indices {
        self.charges.as_ref().map_or([0; 3], |c| c.index[market])
    }

    /// Where each leg of an account was last settled; none if nothing can be charged.
    pub fn settled(&self, account: usize) -> &[Indices] {
        let range = self.leg_range(account);
        self.charges.as_ref().map_or(&[], |c| &c.settled[range])
    }

    /// Raises the index of socialised loss of a market by a step. True if it is now above what bounds of ADL allowed for: they are to be
    /// made anew.
    ///
    /// # Errors
    /// Overflow.
    pub fn raise_index(&mut self, market: MarketId, step: i128) -> Result<bool> {
        let Some(c) = self.charges.as_deref_mut().filter(|c| c.socialised) else {
            return Err(Error::Invariant("there is no index of socialised loss".to_owned()));
        };
        let index = &mut c.index[market][Charge::Socialised as usize];
        let risen = index.checked_add(step);
        *index = risen.ok_or_else(|| Error::overflow("index of socialised loss"))?;
        c.stepped.insert(market);
        if *index <= c.ceiling[market] {
            return Ok(false);
        }
        // Twice as far: bounds are made anew only when what is charged has doubled.
        c.ceiling[market] = index.saturating_mul(2);
        Ok(true)
    }

    /// Sets the indices of funding and borrow fees of a market.
    pub fn accrue(&mut self, market: MarketId, funding: i128, borrow: i128) {
        if let Some(c) = self.charges.as_deref_mut() {
            c.index[market][Charge::Funding as usize] = funding;
            c.index[market][Charge::Borrow as usize] = borrow;
        }
    }

    /// How far the indices of a market go in a window of the tape, for the bounds of ADL.
    pub fn expect_accruals(&mut self, market: MarketId, outlook: Outlook) {
        if let Some(c) = self.charges.as_deref_mut() {
            c.outlook[market] = outlook;
        }
    }

    /// The markets whose index of socialised loss was raised since the last call.
    pub fn take_steps(&mut self) -> BTreeSet<MarketId> {
        self.charges
            .as_deref_mut()
            .map(|c| std::mem::take(&mut c.stepped))
            .unwrap_or_default()
    }

    /// What a leg of an account owes, in its settlement asset; negative if it is owed.
    ///
    /// # Errors
    /// Overflow.
    pub fn owed(&self, account: usize, leg: usize, charge: Charge) -> Result<Amount> {
        let Some(c) = self.charges.as_deref() else {
            return Ok(Amount::ZERO);
        };
        let at = self.leg_range(account).start + leg;
        c.owed(&self.legs[at], at, charge)
    }

    /// How far the index of socialised loss of a market may rise until the legs of an account in it owe more than `budget` above what
    /// they owe now. What a leg owes is rounded up, by less than a unit.
    pub fn index_within(&self, account: usize, market: MarketId, budget: Amount) -> i128 {
        let (mut units, mut legs) = (0, 0);
        for leg in self.legs(account).iter().filter(|l| l.market == market) {
            units += i128::from(leg.size.units());
            legs += 1;
        }
        let room = (budget.0 - legs).max(0).saturating_mul(INDEX_SCALE) / units.max(1);
        self.indices(market)[Charge::Socialised as usize].saturating_add(room)
    }

    /// Not less than what a leg owes as long as no bound of ADL is void; for bounds only.
    pub fn owed_at_most(&self, account: usize, leg: usize) -> f64 {
        let Some(c) = self.charges.as_deref() else {
            return 0.0;
        };
        let at = self.leg_range(account).start + leg;
        let (l, settled) = (&self.legs[at], &c.settled[at]);
        if l.size.is_zero() {
            return 0.0;
        }
        let outlook = &c.outlook[l.market];
        let dearest = if l.size.0 > 0 {
            outlook.funding_high.saturating_sub(settled[Charge::Funding as usize])
        } else {
            settled[Charge::Funding as usize].saturating_sub(outlook.funding_low)
        };
        let steps = [
            c.ceiling[l.market].saturating_sub(settled[Charge::Socialised as usize]),
            dearest,
            outlook.borrow.saturating_sub(settled[Charge::Borrow as usize]),
        ];
        let most = |steps: i128| {
            let owed = l.size.units() as f64 * steps as f64 / INDEX_SCALE as f64;
            if steps == 0 {
                0.0
            } else {
                owed + owed.abs() * 1e-12 + 1.0
            }
        };
        steps.into_iter().map(most).sum()
    }

    /// Cash of an account by asset, less what it owes.
    ///
    /// # Errors
    /// Overflow.
    pub fn net_cash(&self, account: usize) -> Result<Cow<'_, [(AssetId, Amount)]>> {
        self.cash_less(account, &Charge::ALL)
    }

    /// Cash of an account by asset, less what it owes for socialised losses: what accrues is known in advance, and is a search's matter.
    ///
    /// # Errors
    /// Overflow.
    pub fn assessed_cash(&self, account: usize) -> Result<Cow<'_, [(AssetId, Amount)]>> {
        self.cash_less(account, &[Charge::Socialised])
    }

    fn cash_less(&self, account: usize, charges: &[Charge]) -> Result<Cow<'_, [(AssetId, Amount)]>> {
        let mut cash = Cow::Borrowed(self.cash(account));
        let Some(c) = self.charges.as_deref() else {
            return Ok(cash);
        };
        for at in self.leg_range(account) {
            let leg = &self.legs[at];
            for &charge in charges {
                let owed = c.owed(leg, at, charge)?;
                if owed.is_zero() {
                    continue;
                }
                let asset = c.settlement[leg.market];
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
        if let Some(c) = self.charges.as_deref_mut() {
            c.settled[at] = c.index[self.legs[at].market];
        }
    }

    /// Takes what an account owes from its cash, while counterparties are tried; [`Book::unsettle`] puts it back.
    pub(crate) fn try_settle(&mut self, account: usize) -> Result<Unsettled> {
        if self.charges.is_none() {
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
        let before = self.settled(account).to_vec();
        for leg in 0..self.legs(account).len() {
            self.mark_settled(account, leg);
        }
        Ok(Unsettled(before, taken))
    }

    /// What an action can change of an account.
    pub(crate) fn as_it_stands(&self, account: usize) -> AccountAsItStood {
        AccountAsItStood {
            status: self.accounts[account].status,
            legs: self.legs(account).to_vec(),
            cash: self.cash(account).to_vec(),
            settled: self.settled(account).to_vec(),
        }
    }

    /// Undoes what has happened to an account since.
    pub(crate) fn put_back(&mut self, account: usize, before: &AccountAsItStood) {
        self.accounts[account].status = before.status;
        self.legs_mut(account).copy_from_slice(&before.legs);
        let cash = self.cash_range(account);
        self.cash[cash].copy_from_slice(&before.cash);
        let legs = self.leg_range(account);
        if let Some(c) = self.charges.as_deref_mut() {
            c.settled[legs].copy_from_slice(&before.settled);
        }
    }

    /// The indices, if legs can be charged.
    pub(crate) fn indices_as_they_stand(&self) -> Option<IndicesAsTheyStood> {
        self.charges.as_deref().map(|c| IndicesAsTheyStood {
            index: c.index.clone(),
            stepped: c.stepped.clone(),
        })
    }

    /// Undoes what has been charged since.
    pub(crate) fn put_indices_back(&mut self, before: IndicesAsTheyStood) {
        if let Some(c) = self.charges.as_deref_mut() {
            (c.index, c.stepped) = (before.index, before.stepped);
        }
    }

    /// Undoes [`Book::try_settle`].
    pub(crate) fn unsettle(&mut self, account: usize, before: &Unsettled) -> Result<()> {
        let range = self.leg_range(account);
        if let Some(c) = self.charges.as_deref_mut() {
            c.settled[range].copy_from_slice(&before.0);
        }
        for &(asset, amount) in before.1.iter().filter(|t| !t.1.is_zero()) {
            self.credit(account, asset, amount)?;
        }
        Ok(())
    }
}

impl Charges {
    /// What leg number `at` of all owes.
    fn owed(&self, leg: &Leg, at: usize, charge: Charge) -> Result<Amount> {
        let k = charge as usize;
        owed(leg, charge, self.index[leg.market][k] - self.settled[at][k])
    }
}
