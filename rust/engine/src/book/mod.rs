//! The book: margin accounts, their positions and their cash.
//!
//! A margin account is one isolated position, or all cross positions and cash of an account. Cash includes minus what the positions
//! cost, so that equity = cash + value of the legs, and every fill simply moves cash and size.

mod bind;
mod charges;
mod columns;
mod costs;
mod decimals;
mod frames;
mod group;
mod names;
#[cfg(test)]
mod tests;

pub use bind::{AccountEvent, Request};
use charges::Charges;
pub use charges::{
    AccountAsItStood, Charge, Holding, INDEX_SCALE, Indices, IndicesAsTheyStood, Outlook, Unsettled, owed,
};
pub use costs::Paid;
pub use frames::BookFrames;
pub(crate) use group::SHARE;

use std::ops::Range;
use std::sync::Arc;

use names::Names;

use crate::contract::{AssetId, MarketId};
use crate::error::{Error, Result};
use crate::units::{Amount, Size};

/// A position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leg {
    /// Market.
    pub market: MarketId,
    /// Signed size.
    pub size: Size,
    /// What the present size cost, in settlement units; falls pro rata as the position is reduced.
    pub entry_value: Amount,
}

/// What has become of a margin account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// It lives.
    #[default]
    Open,
    /// Waiting for a keeper.
    Queued,
    /// Closed without loss to others.
    Liquidated,
    /// Closed, and someone else paid.
    Defaulted,
    /// Not admitted at the open.
    Rejected,
}

impl Status {
    /// Word used in frames.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Queued => "queued",
            Self::Liquidated => "liquidated",
            Self::Defaulted => "defaulted",
            Self::Rejected => "rejected",
        }
    }

    /// True once it has been closed or was never admitted.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Liquidated | Self::Defaulted | Self::Rejected)
    }
}

/// What may change of a margin account besides its legs and cash.
#[derive(Debug, Clone, Copy, Default)]
pub struct MarginAccount {
    /// State.
    pub status: Status,
    /// Below a requirement at the open.
    pub opening: bool,
    version: u64,
}

/// Who the margin accounts are: what no market and no run changes.
#[derive(Debug, Default)]
struct Roster {
    /// Names of accounts and owners.
    names: Names,
    /// Per account: number of its name.
    name: Vec<u32>,
    /// Per account: number of its owner's name.
    owner: Vec<u32>,
    /// Per account: true if it is one isolated position.
    isolated: Vec<bool>,
    /// Where the legs of each account start, and the end of the last.
    leg_starts: Vec<u32>,
}

/// All margin accounts. A clone copies legs and cash, and shares the rest.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Accounts; the number of an account breaks all ties.
    pub accounts: Vec<MarginAccount>,
    roster: Arc<Roster>,
    legs: Vec<Leg>,
    /// Where the cash of each account starts, and the end of the last.
    cash_starts: Arc<Vec<u32>>,
    cash: Vec<(AssetId, Amount)>,
    changes: Changes,
    /// What legs owe; None where nothing can be charged.
    charges: Option<Box<Charges>>,
}

/// Accounts whose legs or cash were changed, for whoever remembers something about them.
#[derive(Debug, Clone, Default)]
struct Changes {
    /// Since they were last drained, each once.
    accounts: Vec<u32>,
    /// The last version that was given.
    last: u64,
    /// The last version that was drained.
    drained: u64,
    /// The last version at the open.
    opened: u64,
}

impl Book {
    /// Where the positions of an account stand among those of all accounts.
    pub fn leg_range(&self, account: usize) -> Range<usize> {
        let starts = &self.roster.leg_starts;
        starts[account] as usize..starts[account + 1] as usize
    }

    /// Where the cash of an account stands among that of all accounts.
    pub fn cash_range(&self, account: usize) -> Range<usize> {
        self.cash_starts[account] as usize..self.cash_starts[account + 1] as usize
    }

    /// Market of an isolated position; None for a cross account.
    pub fn isolated(&self, account: usize) -> Option<MarketId> {
        let leg = self.legs(account).first().filter(|_| self.roster.isolated[account]);
        leg.map(|leg| leg.market)
    }

    /// Positions of an account, in order of market and row.
    pub fn legs(&self, account: usize) -> &[Leg] {
        &self.legs[self.leg_range(account)]
    }

    /// Positions of an account, to be changed by a fill.
    pub fn legs_mut(&mut self, account: usize) -> &mut [Leg] {
        self.note_change(account);
        let range = self.leg_range(account);
        &mut self.legs[range]
    }

    /// Cash of an account by asset, in order of asset.
    pub fn cash(&self, account: usize) -> &[(AssetId, Amount)] {
        &self.cash[self.cash_range(account)]
    }

    /// Cash of an account in one asset; nothing if it does not hold it.
    pub fn cash_of(&self, account: usize, asset: AssetId) -> Amount {
        self.cash(account)
            .iter()
            .find(|(a, _)| *a == asset)
            .map_or(Amount::ZERO, |&(_, n)| n)
    }

    /// Adds to an account's cash.
    pub(crate) fn credit(&mut self, account: usize, asset: AssetId, amount: Amount) -> Result<()> {
        self.note_change(account);
        let range = self.cash_range(account);
        match self.cash[range].iter_mut().find(|(a, _)| *a == asset) {
            Some((_, cash)) => {
                *cash = cash.plus(amount)?;
                Ok(())
            }
            None => Err(Error::Invariant(format!(
                "account {} does not hold asset {asset}",
                self.name(account)
            ))),
        }
    }

    /// `legs_mut` and `credit` are the only ways to an account's legs and cash, and both come here: no change can be forgotten.
    fn note_change(&mut self, account: usize) {
        let version = &mut self.accounts[account].version;
        if *version <= self.changes.drained {
            self.changes.last += 1;
            *version = self.changes.last;
            self.changes.accounts.push(account as u32);
        }
    }

    /// A number that is another one whenever the account's legs or cash were changed since the changes were last drained.
    pub fn version(&self, account: usize) -> u64 {
        self.accounts[account].version
    }

    /// Reads something of an account, of its legs and of its cash, so that they are near.
    pub(crate) fn peek(&self, account: usize) -> (u64, Option<Size>, Option<Amount>) {
        let leg = self.legs.get(self.leg_range(account).start).map(|leg| leg.size);
        let cash = self.cash.get(self.cash_range(account).start).map(|cash| cash.1);
        (self.version(account), leg, cash)
    }

    /// True if legs and cash of the account are as they were at the open.
    pub fn is_untouched(&self, account: usize) -> bool {
        self.accounts[account].version <= self.changes.opened
    }

    /// From here on a change of an account shows.
    pub(crate) fn open(&mut self) {
        self.drain_changes();
        self.changes.opened = self.changes.last;
    }

    /// The accounts that were changed since the last call, each once, in the order of their first change.
    pub(crate) fn drain_changes(&mut self) -> Vec<u32> {
        self.changes.drained = self.changes.last;
        std::mem::take(&mut self.changes.accounts)
    }

    /// Number of margin accounts.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// True without accounts.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Name of an account.
    pub fn name(&self, account: usize) -> &str {
        self.roster.names.get(self.roster.name[account])
    }

    /// Name of the owner of an account.
    pub fn owner(&self, account: usize) -> &str {
        self.roster.names.get(self.roster.owner[account])
    }

    /// True if any position is left.
    pub fn has_position(&self, account: usize) -> bool {
        self.legs(account).iter().any(|l| !l.size.is_zero())
    }
}
