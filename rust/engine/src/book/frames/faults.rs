//! What can be wrong with a row of a book: faults name the column, errors the first row that has one.

use rayon::prelude::*;

use super::{ACCOUNTS, EVENTS, POSITIONS, Raw};
use crate::book::columns::row_error;
use crate::book::decimals::Cell;
use crate::book::group::{Groups, Rows};
use crate::book::names::{NO_NAME, Names};
use crate::decimal::Decimal;
use crate::error::Result;
use crate::ledger::Entity;
use crate::progress::POLL_ROWS;

/// What is wrong with a row: column and message.
type Fault = Option<(&'static str, String)>;

/// What is wrong with a required text.
fn text_fault(word: u32, names: &Names) -> Option<String> {
    (word == NO_NAME || names.get(word).is_empty()).then(|| "expected text, got null or nothing".to_owned())
}

/// The decimal of a cell, None for a null, or what is wrong with it.
fn decimal(cell: Cell) -> std::result::Result<Option<Decimal>, String> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Bad(x) if x.is_finite() => Err(format!("{x} has too many digits")),
        Cell::Bad(x) => Err(format!("expected a finite number, got {x}")),
        Cell::Number(value) => Ok(Some(value)),
    }
}

/// What is wrong with a required number that must pass `test`; `expected` says what it tests.
fn number_fault(cell: Cell, test: impl Fn(i128) -> bool, expected: &str) -> Option<String> {
    match decimal(cell) {
        Err(what) => Some(what),
        Ok(None) => Some("expected a number, got null".to_owned()),
        Ok(Some(value)) if test(value.mantissa) => None,
        Ok(Some(value)) => Some(format!("expected {expected}, got {}", value.stripped())),
    }
}

/// The first row with a fault, as an error.
fn refuse(frame: &str, rows: usize, fault: impl Fn(usize) -> Fault + Sync) -> Result<()> {
    let first = (0..rows)
        .into_par_iter()
        .with_min_len(POLL_ROWS)
        .find_map_first(|row| fault(row).map(|(column, what)| (row, column, what)));
    match first {
        None => Ok(()),
        Some((row, column, what)) => Err(row_error(frame, row, column, what)),
    }
}

impl Raw {
    /// The rows, once nothing is wrong with any.
    pub(super) fn check(self) -> Result<Self> {
        refuse(POSITIONS, self.positions.account.len(), |row| self.position_fault(row))?;
        refuse(ACCOUNTS, self.cash.account.len(), |row| self.cash_fault(row))?;
        refuse(EVENTS, self.events.account.len(), |row| self.event_fault(row))?;
        Ok(self)
    }

    fn position_fault(&self, row: usize) -> Fault {
        let p = &self.positions;
        let fault = |column, what: Option<String>| what.map(|what| (column, what));
        fault("account", text_fault(p.account[row], self.names.names()))
            .or_else(|| fault("market", text_fault(p.market[row], &self.markets)))
            .or_else(|| fault("size", number_fault(p.size.cell(row), |_| true, "a size")))
            .or_else(|| {
                let expected = "a positive price";
                fault("entry_price", number_fault(p.entry.cell(row), |m| m > 0, expected))
            })
            .or_else(|| match self.is_isolated(row) {
                Err(other) => fault(
                    "margin_mode",
                    Some(format!("expected isolated or cross, got {other:?}")),
                ),
                Ok(isolated) => fault("collateral", collateral_fault(p.collateral.cell(row), isolated)),
            })
    }

    /// True for an isolated position; an error with the word for anything but a margin mode.
    pub(super) fn is_isolated(&self, row: usize) -> std::result::Result<bool, &str> {
        match self.positions.mode[row] {
            NO_NAME => Ok(true),
            mode => match self.modes.get(mode) {
                "isolated" => Ok(true),
                "cross" => Ok(false),
                other => Err(other),
            },
        }
    }

    fn cash_fault(&self, row: usize) -> Fault {
        let c = &self.cash;
        let fault = |column, what: Option<String>| what.map(|what| (column, what));
        fault("account", text_fault(c.account[row], self.names.names()))
            .or_else(|| fault("asset", text_fault(c.asset[row], &self.assets)))
            .or_else(|| {
                let expected = "an amount that is not negative";
                fault("collateral", number_fault(c.amount.cell(row), |m| m >= 0, expected))
            })
    }

    fn event_fault(&self, row: usize) -> Fault {
        let e = &self.events;
        let fault = |column, what: Option<String>| what.map(|what| (column, what));
        let some = |column, what: String| Some((column, what));
        let Some(ts) = e.ts[row] else {
            return some("ts", "expected a timestamp, got null".to_owned());
        };
        if row > 0 && e.ts[row - 1].is_some_and(|before| before > ts) {
            return some("ts", "events are not sorted by time".to_owned());
        }
        if e.key[row] != NO_NAME && e.market[row] == NO_NAME {
            return some(
                "position",
                "the position of no market; expected one in column market".to_owned(),
            );
        }
        let is_null = |cell: Cell| matches!(cell, Cell::Null);
        let absent = |column, is_absent: bool| {
            let what = || format!("expected null for a {}", self.modes.get(e.kind[row]));
            (!is_absent).then(|| (column, what()))
        };
        let head = fault("account", text_fault(e.account[row], self.names.names()))
            .or_else(|| fault("kind", text_fault(e.kind[row], &self.modes)));
        if head.is_some() {
            return head;
        }
        match self.modes.get(e.kind[row]) {
            "deposit" | "withdrawal" => fault("asset", text_fault(e.asset[row], &self.assets))
                .or_else(|| {
                    let expected = "a positive amount";
                    fault("amount", number_fault(e.amount.cell(row), |m| m > 0, expected))
                })
                .or_else(|| absent("size", is_null(e.size.cell(row))))
                .or_else(|| absent("price", is_null(e.price.cell(row)))),
            "trade" => fault("market", text_fault(e.market[row], &self.markets))
                .or_else(|| {
                    let expected = "a size that is not 0";
                    fault("size", number_fault(e.size.cell(row), |m| m != 0, expected))
                })
                .or_else(|| match e.price.cell(row) {
                    Cell::Null => None,
                    cell => fault("price", number_fault(cell, |m| m > 0, "a positive price")),
                })
                .or_else(|| absent("asset", e.asset[row] == NO_NAME))
                .or_else(|| absent("amount", is_null(e.amount.cell(row)))),
            other => some("kind", format!("expected deposit, withdrawal or trade, got {other:?}")),
        }
    }

    /// Reserved names, two rows for one position, cross positions without cash.
    pub(super) fn check_groups(&self, groups: &Groups, rows: &Rows<'_>) -> Result<()> {
        let names = self.names.names();
        let mut reserved: Vec<u32> = Entity::ALL
            .iter()
            .filter_map(|entity| self.names.find(entity.name()))
            .collect();
        reserved.sort_unstable();
        let bears_one = |own: &u32| !reserved.is_empty() && reserved.binary_search(own).is_ok();
        let reserved = |own: u32| Some(("account", format!("{:?} is a reserved name", names.get(own))));
        let first = rows.account.iter().position(bears_one);
        let first = first.into_iter().chain(groups.repeated).min();
        refuse(POSITIONS, first.map_or(0, |row| row + 1), |row| {
            let own = rows.account[row];
            if Some(row) != first {
                None
            } else if bears_one(&own) {
                reserved(own)
            } else {
                let (own, market) = (names.get(own), self.markets.get(rows.market[row]));
                Some((
                    "market",
                    format!("account {own} has two rows for one position in {market}"),
                ))
            }
        })?;
        refuse(ACCOUNTS, rows.cash_account.len(), |row| {
            let own = rows.cash_account[row];
            bears_one(&own).then(|| reserved(own)).flatten()
        })?;
        refuse(POSITIONS, rows.account.len(), |row| {
            let account = groups.account_of_row[row] as usize;
            let funded = rows.isolated[row] || groups.cash_starts[account] < groups.cash_starts[account + 1];
            let own = || names.get(rows.account[row]);
            let what = || format!("cross account {} has no row in the accounts frame", own());
            (!funded).then(|| ("account", what()))
        })
    }
}

fn collateral_fault(cell: Cell, isolated: bool) -> Option<String> {
    match (decimal(cell), isolated) {
        (Err(what), _) => Some(what),
        (Ok(Some(c)), true) if c.mantissa < 0 => {
            Some(format!("expected an amount that is not negative, got {}", c.stripped()))
        }
        (Ok(None), true) => Some("an isolated position needs its collateral".to_owned()),
        (Ok(Some(_)), false) => Some("the collateral of a cross position stands in the accounts frame".to_owned()),
        _ => None,
    }
}
