//! From rows to margin accounts: numbered in order of first appearance, each with its rows in order.

use std::ops::Range;

use rayon::prelude::*;

use super::names::NO_NAME;
use crate::error::{Error, Result};

/// Accounts that one thread handles together.
pub(crate) const SHARE: usize = 1 << 13;

/// What grouping needs of the frames: per row, numbers of names.
pub(super) struct Rows<'a> {
    /// Number of names of accounts.
    pub names: usize,
    /// Positions: account.
    pub account: &'a [u32],
    /// Positions: market, numbered in order of name.
    pub market: &'a [u32],
    /// Positions: key.
    pub key: &'a [u32],
    /// Positions: true for an isolated one.
    pub isolated: &'a [bool],
    /// Cash: account.
    pub cash_account: &'a [u32],
}

/// The margin accounts and their rows.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Per margin account: name.
    pub name: Vec<u32>,
    /// Per margin account: true if it is one isolated position.
    pub isolated: Vec<bool>,
    /// Rows of the positions frame by margin account, market and row.
    pub leg_rows: Vec<u32>,
    /// Where the legs of each margin account start, and the end of the last.
    pub leg_starts: Vec<u32>,
    /// Rows of the accounts frame by margin account and row.
    pub cash_rows: Vec<u32>,
    /// Where the cash of each margin account starts, and the end of the last.
    pub cash_starts: Vec<u32>,
    /// Row of the positions frame to margin account.
    pub account_of_row: Vec<u32>,
    /// Name to cross margin account, or [`NO_NAME`].
    pub cross: Vec<u32>,
    /// The first row that repeats an earlier one's position.
    pub repeated: Option<usize>,
}

/// Groups the rows.
///
/// An isolated row is a margin account of its own: it has the only leg of (account, market, key), or it is refused. The cross rows
/// and the cash of a name are one margin account.
///
/// # Errors
/// Overflow for more rows than fit in 32 bits.
pub(super) fn group(rows: &Rows<'_>) -> Result<Groups> {
    if rows.account.len() + rows.cash_account.len() >= NO_NAME as usize {
        return Err(Error::overflow("number of rows of the book"));
    }
    let mut groups = Groups {
        cross: vec![NO_NAME; rows.names],
        ..Groups::default()
    };
    let Groups {
        name, isolated, cross, ..
    } = &mut groups;
    let mut new = |own: u32, alone: bool| {
        name.push(own);
        isolated.push(alone);
        name.len() as u32 - 1
    };
    let mut shared = |own: u32, new: &mut dyn FnMut(u32, bool) -> u32| {
        let known = &mut cross[own as usize];
        if *known == NO_NAME {
            *known = new(own, false);
        }
        *known
    };
    let account_of = |(&own, &alone): (&u32, &bool)| {
        if alone { new(own, true) } else { shared(own, &mut new) }
    };
    let account_of_row: Vec<u32> = rows.account.iter().zip(rows.isolated).map(account_of).collect();
    let cash_account: Vec<u32> = rows.cash_account.iter().map(|&own| shared(own, &mut new)).collect();

    let accounts = groups.name.len();
    (groups.leg_starts, groups.leg_rows) = by_account(accounts, &account_of_row);
    (groups.cash_starts, groups.cash_rows) = by_account(accounts, &cash_account);
    groups.account_of_row = account_of_row;
    let repeated = order_legs(&mut groups.leg_rows, &groups.leg_starts, rows);
    groups.repeated = repeated.into_iter().chain(repeated_alone(rows)).min();
    Ok(groups)
}

/// Where the rows of each account start, and the rows by account and row.
fn by_account(accounts: usize, account_of_row: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; accounts + 1];
    for &account in account_of_row {
        starts[account as usize + 1] += 1;
    }
    for account in 0..accounts {
        starts[account + 1] += starts[account];
    }
    let mut next = starts.clone();
    let mut rows = vec![0; account_of_row.len()];
    for (row, &account) in (0..).zip(account_of_row) {
        let at = &mut next[account as usize];
        rows[*at as usize] = row;
        *at += 1;
    }
    (starts, rows)
}

/// Orders the legs of each account by (market, row). Returns the first row that repeats an earlier position of its account.
fn order_legs(leg_rows: &mut [u32], starts: &[u32], rows: &Rows<'_>) -> Option<usize> {
    let market = |row: u32| rows.market[row as usize];
    shares(leg_rows, starts)
        .into_par_iter()
        .filter_map(|(accounts, share)| {
            let mut first = None;
            for (from, to) in within(starts, accounts) {
                let legs = &mut share[from..to];
                if legs.is_sorted_by(|&a, &b| market(a) < market(b)) {
                    continue;
                }
                legs.sort_unstable_by_key(|&row| (market(row), rows.key[row as usize], row));
                let same = |pair: &&[u32]| {
                    market(pair[0]) == market(pair[1]) && rows.key[pair[0] as usize] == rows.key[pair[1] as usize]
                };
                let repeated = legs.windows(2).filter(same).map(|pair| pair[1]).min();
                first = first.into_iter().chain(repeated).min();
                legs.sort_unstable_by_key(|&row| (market(row), row));
            }
            first
        })
        .min()
        .map(|row| row as usize)
}

/// The first isolated row with the account, market and key of an earlier one.
fn repeated_alone(rows: &Rows<'_>) -> Option<usize> {
    let mut seen = vec![0u8; rows.names];
    let alone = || (0..).zip(rows.account).zip(rows.isolated).filter(|(_, alone)| **alone);
    for ((_, &own), _) in alone() {
        let seen = &mut seen[own as usize];
        *seen = seen.saturating_add(1);
    }
    let mut several: Vec<(u32, u32, u32, u32)> = alone()
        .filter(|((_, own), _)| seen[**own as usize] > 1)
        .map(|((row, &own), _)| (own, rows.market[row as usize], rows.key[row as usize], row))
        .collect();
    several.par_sort_unstable();
    let same = |pair: &&[(u32, u32, u32, u32)]| {
        let [(a, b, c, _), (x, y, z, _)] = [pair[0], pair[1]];
        (a, b, c) == (x, y, z)
    };
    several.windows(2).filter(same).map(|pair| pair[1].3 as usize).min()
}

impl Groups {
    /// The legs addressed by (account, market, key), by their place among those of all accounts. An isolated position comes before one of
    /// the cross account.
    pub fn legs_at(&self, rows: &Rows<'_>, wanted: &[(u32, u32, u32)]) -> Vec<Option<u32>> {
        let mut asked = vec![false; rows.names];
        for &(own, ..) in wanted {
            if let Some(asked) = asked.get_mut(own as usize) {
                *asked = true;
            }
        }
        let mut index: Vec<((u32, u32, u32), bool, u32)> = (0..)
            .zip(&self.leg_rows)
            .map(|(leg, &row)| (leg, row as usize))
            .filter(|&(_, row)| asked[rows.account[row] as usize])
            .map(|(leg, row)| {
                let address = (rows.account[row], rows.market[row], rows.key[row]);
                (address, !rows.isolated[row], leg)
            })
            .collect();
        index.sort_unstable();
        let find = |address: &(u32, u32, u32)| {
            let at = index.partition_point(|(known, ..)| known < address);
            index
                .get(at)
                .filter(|(known, ..)| known == address)
                .map(|&(.., leg)| leg)
        };
        wanted.iter().map(find).collect()
    }
}

/// Cuts what belongs to the accounts into shares of [`SHARE`] accounts.
pub(super) fn shares<'a, T>(mut data: &'a mut [T], starts: &[u32]) -> Vec<(Range<usize>, &'a mut [T])> {
    let accounts = starts.len().saturating_sub(1);
    let mut shares = Vec::with_capacity(accounts.div_ceil(SHARE));
    for first in (0..accounts).step_by(SHARE) {
        let end = accounts.min(first + SHARE);
        let share = data
            .split_off_mut(..(starts[end] - starts[first]) as usize)
            .unwrap_or_default();
        shares.push((first..end, share));
    }
    shares
}

/// Start and end of each account of a share, counted from the start of the share.
pub(super) fn within(starts: &[u32], accounts: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let base = starts[accounts.start];
    starts[accounts.start..=accounts.end]
        .windows(2)
        .map(move |w| ((w[0] - base) as usize, (w[1] - base) as usize))
}
