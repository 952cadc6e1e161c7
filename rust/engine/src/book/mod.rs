//! The book: margin accounts, their positions and their cash.
//!
//! A margin account is one isolated position, or all cross positions and cash of an account. Cash includes minus what the positions
//! cost, so that equity = cash + value of the legs, and every fill simply moves cash and size.

mod bind;
mod frames;

pub use bind::{AccountEvent, EventKind, opening_cost};
pub use frames::BookFrames;

use crate::contract::{AssetId, MarketId};
use crate::error::{Error, Result};
use crate::units::{Amount, Size};

/// A position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// One margin account.
#[derive(Debug, Clone)]
pub struct MarginAccount {
    /// Number of the account's name.
    pub name: u32,
    /// Number of the owner's name.
    pub owner: u32,
    /// Market of an isolated position; None for a cross account.
    pub isolated: Option<MarketId>,
    legs: (u32, u32),
    cash: (u32, u32),
    /// State.
    pub status: Status,
    /// Below a requirement at the open.
    pub opening: bool,
    version: u64,
}

/// All margin accounts.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Accounts; the number of an account breaks all ties.
    pub accounts: Vec<MarginAccount>,
    /// Names of accounts and owners.
    pub names: Vec<String>,
    legs: Vec<Leg>,
    cash: Vec<(AssetId, Amount)>,
    changes: Changes,
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
}

impl Book {
    /// Positions of an account, in order of market and row.
    pub fn legs(&self, account: usize) -> &[Leg] {
        let (from, to) = self.accounts[account].legs;
        &self.legs[from as usize..to as usize]
    }

    /// Positions of an account, to be changed by a fill.
    pub fn legs_mut(&mut self, account: usize) -> &mut [Leg] {
        self.note_change(account);
        let (from, to) = self.accounts[account].legs;
        &mut self.legs[from as usize..to as usize]
    }

    /// Cash of an account by asset, in order of asset.
    pub fn cash(&self, account: usize) -> &[(AssetId, Amount)] {
        let (from, to) = self.accounts[account].cash;
        &self.cash[from as usize..to as usize]
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
        let (from, to) = self.accounts[account].cash;
        let slot = self.cash[from as usize..to as usize]
            .iter_mut()
            .find(|(a, _)| *a == asset)
            .ok_or_else(|| {
                Error::Invariant(format!(
                    "account {} does not hold asset {asset}",
                    self.names[self.accounts[account].name as usize]
                ))
            })?;
        slot.1 = slot.1.plus(amount)?;
        Ok(())
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
        &self.names[self.accounts[account].name as usize]
    }

    /// Name of the owner of an account.
    pub fn owner(&self, account: usize) -> &str {
        &self.names[self.accounts[account].owner as usize]
    }

    /// True if any position is left.
    pub fn has_position(&self, account: usize) -> bool {
        self.legs(account).iter().any(|l| !l.size.is_zero())
    }
}
