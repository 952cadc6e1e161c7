//! Records: what happened, in the engine's own integers; [`frames`] turns them into Arrow.

mod columns;
mod frames;
mod hash;
mod log;
mod rows;
mod spill;
mod summary;
#[cfg(test)]
mod tests;
mod trial;
mod who_pays;

pub use frames::{FRAME_NAMES, frame, parts};
pub use hash::state_hash;
pub use log::Log;
pub use summary::summary;
pub use trial::RecordsAsTheyStood;
pub use who_pays::{Line, Section, who_pays};

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use crate::config::{Layer, SpillTo};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::{Entity, Holder, Posting};
use crate::units::{Amount, Price, Size, Usd};
use spill::SpillFile;

/// A fill in the market, against the pool, or a takeover by the vault.
#[derive(Debug, Clone, Copy)]
pub struct LiquidationRow {
    /// When it filled.
    pub ts: i64,
    /// Account.
    pub account: usize,
    /// Market.
    pub market: MarketId,
    /// Liquidation.
    pub event: u32,
    /// When the account was detected.
    pub trigger_ts: i64,
    /// Trigger price then.
    pub trigger_price: Price,
    /// Equity of the account then, at the trigger feed.
    pub trigger_equity: Usd,
    /// Notional of the account then, at the trigger feed.
    pub trigger_notional: Usd,
    /// Who took the position.
    pub counterparty: Entity,
    /// Signed size closed.
    pub size: Size,
    /// Price of the fill.
    pub price: Price,
    /// Reference price.
    pub reference: Price,
    /// Settlement asset.
    pub asset: AssetId,
    /// Cash that the account received.
    pub amount: Amount,
    /// Notional of the fill.
    pub notional: Usd,
    /// Equity of the account before the liquidation, at the reference.
    pub equity: Usd,
    /// Value at the fill less value at the reference, borne by the counterparty.
    pub price_subsidy: Usd,
}

/// An ADL fill.
#[derive(Debug, Clone, Copy)]
pub struct AdlRow {
    /// When.
    pub ts: i64,
    /// The deleveraged holder: an account or the outside.
    pub counterparty: Holder,
    /// Market.
    pub market: MarketId,
    /// Liquidation.
    pub event: u32,
    /// The liquidated account, the vault, or the pool, which owed too much.
    pub loser: Holder,
    /// When it was detected.
    pub trigger_ts: i64,
    /// Its equity then, at the trigger feed.
    pub trigger_equity: Usd,
    /// Its notional then, at the trigger feed.
    pub trigger_notional: Usd,
    /// Its equity before the liquidation, at the reference.
    pub loser_equity: Usd,
    /// Signed size that the counterparty gave up.
    pub size: Size,
    /// Settlement asset.
    pub asset: AssetId,
    /// Cash that the loser received.
    pub amount: Amount,
    /// Trigger feed.
    pub mark: Price,
    /// Reference.
    pub reference: Price,
    /// Amount less value at the reference: what the counterparty gave up.
    pub give_up: Usd,
    /// The part of it that was profit.
    pub forgone_profit: Usd,
    /// Place in the queue of this match, from 1.
    pub rank: u32,
    /// Score by which it was ranked.
    pub score: i128,
    /// Notional at the mark.
    pub notional: Usd,
    /// Equity of the counterparty before the fill, at the mark; None of the outside.
    pub equity: Option<Usd>,
    /// Profit of its position before the fill, at the mark.
    pub pnl: Usd,
    /// What it was paid above the reference, where the pool is the loser.
    pub price_subsidy: Usd,
}

/// Loss of a closed account in one asset, and who paid.
#[derive(Debug, Clone)]
pub struct BadDebtRow {
    /// When; the end of the tape for an open one.
    pub ts: i64,
    /// The account that lost it, or the vault.
    pub debtor: Holder,
    /// Liquidation; None if it never came.
    pub event: Option<u32>,
    /// Asset.
    pub asset: AssetId,
    /// Bad debt in the asset.
    pub amount: Amount,
    /// Fees of third parties in it.
    pub third_party_fees: Usd,
    /// Assessments in it: socialised losses that the account was charged and could not meet.
    pub assessments: Usd,
    /// Funding and borrow fees in it.
    pub funding_borrow: Usd,
    /// Penalty that was not charged.
    pub waived: Usd,
    /// What each layer paid, in the order of the waterfall.
    pub paid: Vec<(Layer, Usd)>,
    /// What counterparties of ADL gave up.
    pub give_up: Usd,
    /// What nobody paid.
    pub uncovered: Usd,
    /// Given up or paid beyond the loss.
    pub overshoot: Usd,
    /// Paid to an account that was not negative.
    pub subsidy: Usd,
    /// Paid ahead of losses; less what was used of that for this one.
    pub change_of_prepaid: Usd,
}

impl BadDebtRow {
    /// Nothing was lost, and nobody has paid.
    pub fn new(ts: i64, debtor: Holder, event: Option<u32>, asset: AssetId) -> Self {
        Self {
            ts,
            debtor,
            event,
            asset,
            amount: Amount::ZERO,
            third_party_fees: Usd::ZERO,
            assessments: Usd::ZERO,
            funding_borrow: Usd::ZERO,
            waived: Usd::ZERO,
            paid: Vec::new(),
            give_up: Usd::ZERO,
            uncovered: Usd::ZERO,
            overshoot: Usd::ZERO,
            subsidy: Usd::ZERO,
            change_of_prepaid: Usd::ZERO,
        }
    }

    /// What a layer paid.
    pub fn paid_by(&self, layer: Layer) -> Usd {
        Usd(self.paid.iter().filter(|(l, _)| *l == layer).map(|(_, n)| n.0).sum())
    }

    /// Bad debt in dollars: the sum of its parts, so that every row foots.
    pub fn total(&self) -> Usd {
        let paid: i128 = self.paid.iter().map(|(_, n)| n.0).sum();
        let beyond = self.overshoot.0 + self.subsidy.0 + self.change_of_prepaid.0;
        Usd(paid + self.give_up.0 + self.uncovered.0 - beyond)
    }
}

/// Cumulated figures after an instant in which something happened, or capital moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimelineRow {
    /// When.
    pub ts: i64,
    /// Fills so far.
    pub liquidations: u64,
    /// ADL fills so far.
    pub adl_fills: u64,
    /// Notional liquidated so far.
    pub liquidated: Usd,
    /// Notional deleveraged so far.
    pub adl: Usd,
    /// Realised bad debt so far.
    pub bad_debt: Usd,
    /// Uncovered so far.
    pub uncovered: Usd,
    /// Equity at the reference: fund, pool, treasury, vault, token.
    pub layers: [Usd; 5],
    /// Accounts waiting for a keeper.
    pub queue: u32,
}

/// A request that was turned down.
#[derive(Debug, Clone)]
pub struct RejectedRow {
    /// When.
    pub ts: i64,
    /// Account.
    pub account: usize,
    /// What was asked.
    pub kind: &'static str,
    /// Asset, if money was to move.
    pub asset: Option<AssetId>,
    /// How much.
    pub amount: Amount,
    /// Market and signed size of a trade.
    pub trade: Option<(MarketId, Size)>,
    /// Why not.
    pub reason: &'static str,
}

/// What layers have paid later of what a loss left uncovered.
#[derive(Debug, Clone, Default)]
pub struct CoveredLater {
    /// All in all, in the asset of the loss.
    pub amount: Amount,
    /// By which layer, when, and what that was worth when it was lost.
    pub payments: Vec<(Layer, i64, Usd)>,
}

/// What happened to an account.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountSummary {
    /// First trigger.
    pub trigger_ts: Option<i64>,
    /// When it was closed.
    pub closed_ts: Option<i64>,
    /// Deposits less withdrawals, at the reference of their time.
    pub deposits: Usd,
    /// Given up in ADL as a counterparty.
    pub adl_give_up: Usd,
    /// Charged for socialised losses.
    pub socialised: Usd,
    /// Its bad debt.
    pub bad_debt: Usd,
    /// Profit that it was not paid: capped or refused.
    pub unpaid_profit: Usd,
}

/// Summaries by account. One takes room once something happens to its account.
#[derive(Debug, Clone, Default)]
pub struct Summaries {
    /// Per account: place in `rows` plus one, or zero.
    place: Vec<u32>,
    rows: Vec<AccountSummary>,
}

impl Summaries {
    /// Nothing has happened to anyone.
    pub fn of(accounts: usize) -> Self {
        Self {
            place: vec![0; accounts],
            rows: Vec::new(),
        }
    }
}

impl Index<usize> for Summaries {
    type Output = AccountSummary;

    fn index(&self, account: usize) -> &AccountSummary {
        static NOTHING: AccountSummary = AccountSummary {
            trigger_ts: None,
            closed_ts: None,
            deposits: Usd::ZERO,
            adl_give_up: Usd::ZERO,
            socialised: Usd::ZERO,
            bad_debt: Usd::ZERO,
            unpaid_profit: Usd::ZERO,
        };
        let row = (self.place[account] as usize).checked_sub(1);
        row.map_or(&NOTHING, |row| &self.rows[row])
    }
}

impl IndexMut<usize> for Summaries {
    fn index_mut(&mut self, account: usize) -> &mut AccountSummary {
        let place = &mut self.place[account];
        if *place == 0 {
            self.rows.push(AccountSummary::default());
            // There are no more rows than accounts, whose numbers fit.
            *place = self.rows.len() as u32;
        }
        &mut self.rows[*place as usize - 1]
    }
}

/// Everything that a run records.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Fills of liquidations.
    pub liquidations: Log<LiquidationRow>,
    /// ADL fills.
    pub adl: Log<AdlRow>,
    /// Losses.
    pub bad_debt: Log<BadDebtRow>,
    /// Cumulated figures.
    pub timeline: Log<TimelineRow>,
    /// Movements of value.
    pub postings: Log<Posting>,
    /// Where rows go that do not stay in memory.
    pub(crate) file: Option<Arc<SpillFile>>,
    /// Requests turned down: no more than the book and its events ask for.
    pub rejected: Vec<RejectedRow>,
    /// By loss: paid on from late deposits, by whom it was paid on to (None: uncovered).
    pub recovered: BTreeMap<usize, Vec<(Option<Layer>, Usd)>>,
    /// By loss: what was paid later of what was uncovered.
    pub covered_later: BTreeMap<usize, CoveredLater>,
    /// By account.
    pub accounts: Summaries,
    /// What accounts paid at the end for socialised losses, and for funding and borrow fees if that was positive, in the order of
    /// accounts.
    pub charged_at_end: Vec<(usize, Usd, Usd)>,
    /// What accounts (None) and entities have gained by the prices of settlements, against the reference.
    pub settlement_gains: BTreeMap<Option<Entity>, Usd>,
    /// Markets that were settled, and at what price.
    pub settled: BTreeMap<MarketId, Price>,
    /// By account: equity at the reference at the open.
    pub opening_equity: Arc<Vec<Usd>>,
    /// By account: equity at the reference at the end.
    pub closing_equity: Vec<Usd>,
    /// Postings from or to whom losses are paid by.
    pub capital_moves: u64,
    /// Liquidations.
    pub events: u32,
    /// Those of them that left something open.
    pub partial: u64,
    /// Accounts that failed a test and were enqueued.
    pub detections: u64,
    /// Queued accounts that were healthy again when the keeper came.
    pub recoveries: u64,
    /// Attempts of keepers that failed.
    pub failed_attempts: u64,
    /// Actions that were not carried out because a layer failed.
    pub reverted: u64,
    /// Times that an action was put off because it did not pay.
    pub unprofitable_attempts: u64,
    /// The most actions that were waiting at the end of an instant.
    pub queue_peak: u32,
    /// Certificates made, where losses are charged at once.
    pub certificates: u64,
    /// Accounts flagged at the open.
    pub flagged: u64,
}

impl Records {
    /// From now on rows leave memory in groups; None: all stay.
    pub fn spill_to(&mut self, to: Option<SpillTo>) {
        self.file = to.map(|to| Arc::new(SpillFile::new(to)));
    }

    /// About so many more accounts are going to be closed: rows find their place without moving those before.
    pub(crate) fn expect(&mut self, closes: usize) {
        if self.file.is_none() {
            self.liquidations.reserve(closes);
            self.postings.reserve(2 * closes);
            self.accounts.rows.reserve(closes);
        }
    }

    /// Moves groups of rows out of memory, where there are so many.
    ///
    /// # Errors
    /// [`Error::Spill`](crate::error::Error::Spill) if they cannot be written.
    pub fn spill(&mut self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.liquidations.spill(file)?;
        self.adl.spill(file)?;
        self.bad_debt.spill(file)?;
        self.timeline.spill(file)?;
        self.postings.spill(file)
    }

    /// Adds a movement of value.
    ///
    /// # Errors
    /// Those of [`Self::spill`].
    pub fn post(&mut self, posting: Posting) -> Result<()> {
        self.postings.push(posting);
        self.file.as_ref().map_or(Ok(()), |file| self.postings.spill(file))
    }

    /// Adds a loss.
    ///
    /// # Errors
    /// Overflow.
    pub fn lose(&mut self, row: BadDebtRow) -> Result<()> {
        if let Holder::Account(account) = row.debtor {
            let account = &mut self.accounts[account];
            account.bad_debt = account.bad_debt.plus(row.total())?;
        }
        self.bad_debt.push(row);
        Ok(())
    }

    /// What was paid later of a loss: by which layer, when, and what that was worth when it was lost.
    pub fn covered_later(&self, row: usize) -> &[(Layer, i64, Usd)] {
        self.covered_later.get(&row).map_or(&[], |later| &later.payments)
    }

    /// What has been paid on from late deposits, of a loss.
    pub fn recovered(&self, row: usize) -> &[(Option<Layer>, Usd)] {
        self.recovered.get(&row).map_or(&[], Vec::as_slice)
    }
}
