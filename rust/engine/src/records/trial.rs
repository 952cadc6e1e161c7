//! What an action has recorded that is not carried out is recorded of nobody.

use std::sync::Arc;

use super::spill::SpillFile;
use super::{AccountSummary, Records};

/// Records before an action that may be undone.
pub struct RecordsAsTheyStood {
    file: Option<Arc<SpillFile>>,
    rows: [usize; 4],
    capital_moves: u64,
    events: u32,
    partial: u64,
    account: AccountSummary,
}

impl Records {
    /// From here on no row leaves memory, until the trial is over.
    pub(crate) fn begin_trial(&mut self, account: usize) -> RecordsAsTheyStood {
        RecordsAsTheyStood {
            file: self.file.take(),
            rows: [
                self.liquidations.len(),
                self.adl.len(),
                self.bad_debt.len(),
                self.postings.len(),
            ],
            capital_moves: self.capital_moves,
            events: self.events,
            partial: self.partial,
            account: self.accounts[account],
        }
    }

    /// What was recorded stays.
    pub(crate) fn end_trial(&mut self, before: RecordsAsTheyStood) {
        self.file = before.file;
    }

    /// What was recorded is gone.
    pub(crate) fn undo_trial(&mut self, account: usize, before: RecordsAsTheyStood) {
        let [liquidations, adl, bad_debt, postings] = before.rows;
        self.liquidations.truncate(liquidations);
        self.adl.truncate(adl);
        self.bad_debt.truncate(bad_debt);
        self.postings.truncate(postings);
        self.capital_moves = before.capital_moves;
        (self.events, self.partial) = (before.events, before.partial);
        self.accounts[account] = before.account;
        self.file = before.file;
    }
}
