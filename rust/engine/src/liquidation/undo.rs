//! Undoing an action where a layer fails that reverts it (semantics, section 6).
//!
//! No more than the account itself, entities, indices of socialised loss and displaced prices can have changed: a configuration in which
//! other accounts have a part in an action is refused.

use std::collections::BTreeSet;

use crate::book::{AccountAsItStood, IndicesAsTheyStood};
use crate::contract::MarketId;
use crate::impact::{Impact, Volume};
use crate::ledger::Ledger;
use crate::payout::Deferred;
use crate::records::RecordsAsTheyStood;
use crate::state::{Moment, State};
use crate::units::Usd;
use crate::waterfall::failure::Outages;
use crate::waterfall::late::Claims;
use crate::waterfall::limits::Standings;
use crate::waterfall::token::Sales;

/// The state as an action found it.
pub struct Before {
    account: AccountAsItStood,
    indices: Option<IndicesAsTheyStood>,
    ledger: Ledger,
    records: RecordsAsTheyStood,
    covers: Option<usize>,
    standings: Standings,
    outages: Outages,
    treasury_paid: Usd,
    claims: Claims,
    sales: Sales,
    deferred: Deferred,
    uncovered_at: Option<i64>,
    volumes: Option<(Vec<Volume>, BTreeSet<MarketId>)>,
}

impl Before {
    /// Before an action on an account. Until it is over records stay in memory.
    pub fn of(state: &mut State, moment: &Moment<'_>, account: usize) -> Self {
        Self {
            account: state.book.as_it_stands(account),
            indices: state.book.indices_as_they_stand(),
            ledger: state.ledger.clone(),
            records: state.records.begin_trial(account),
            covers: state.cover.get(&account).map(Vec::len),
            standings: state.standings.clone(),
            outages: state.outages.clone(),
            treasury_paid: state.treasury_paid,
            claims: state.claims.clone(),
            sales: state.sales,
            deferred: state.deferred.clone(),
            uncovered_at: state.uncovered_at,
            volumes: moment.board.impact().map(Impact::as_it_stands),
        }
    }

    /// The action is carried out.
    pub fn keep(self, state: &mut State) {
        state.records.end_trial(self.records);
    }

    /// Nothing has happened.
    pub fn restore(self, state: &mut State, moment: &Moment<'_>, account: usize) {
        state.book.put_back(account, &self.account);
        if let Some(indices) = self.indices {
            state.book.put_indices_back(indices);
        }
        state.ledger = self.ledger;
        state.records.undo_trial(account, self.records);
        match self.covers {
            None => drop(state.cover.remove(&account)),
            Some(count) => state.cover.entry(account).or_default().truncate(count),
        }
        state.standings = self.standings;
        state.outages = self.outages;
        state.treasury_paid = self.treasury_paid;
        state.claims = self.claims;
        state.sales = self.sales;
        state.deferred = self.deferred;
        state.uncovered_at = self.uncovered_at;
        if let (Some(impact), Some(before)) = (moment.board.impact(), self.volumes) {
            impact.put_back(before);
        }
    }
}
