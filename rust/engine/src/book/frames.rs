//! Frames of a book as the caller gives them: read once into exact columns, checked row by row and grouped to margin accounts; not yet
//! bound to markets.
//!
//! A book is replayed many times, on other ticks and through other protocols. All that does not depend on them happens here: names
//! become numbers, rows find their margin account, legs their order.

use std::sync::Arc;

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::Roster;
use super::columns::{Frame, row_error};
use super::decimals::{Cell, Decimals, reordered};
use super::group::{Groups, Rows, group};
use super::names::{Interner, NO_NAME, Names};
use crate::decimal::Decimal;
use crate::error::Result;
use crate::ledger::Entity;
use crate::progress::{Meter, POLL_ROWS, Progress, Silent};

/// Positions, in the order of the legs of the book.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    /// Row of the frame.
    pub row: Vec<u32>,
    /// In [`BookFrames::markets`].
    pub market: Vec<u32>,
    pub size: Decimals,
    pub entry: Decimals,
    /// Null for a cross position.
    pub collateral: Decimals,
    /// In [`BookFrames::assets`]; [`NO_NAME`] for the settlement asset.
    pub collateral_asset: Vec<u32>,
}

/// Cash of cross accounts, by margin account and row.
#[derive(Debug, Clone, Default)]
pub(super) struct Cash {
    /// Row of the frame.
    pub row: Vec<u32>,
    /// Where each margin account starts, and the end of the last.
    pub starts: Vec<u32>,
    /// In [`BookFrames::assets`].
    pub asset: Vec<u32>,
    pub amount: Decimals,
}

/// What a row of the events frame asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// Money comes in, or goes out.
    Move {
        deposit: bool,
        /// In [`BookFrames::assets`].
        asset: u32,
        amount: Decimal,
    },
    /// A signed size, at a price or at the execution feed.
    Trade {
        /// Place of the leg among those of all accounts; None if there is no such position.
        leg: Option<u32>,
        size: Decimal,
        price: Option<Decimal>,
    },
}

/// A row of the events frame.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub ts: i64,
    /// Name, for messages.
    pub name: u32,
    /// In [`BookFrames::markets`]; [`NO_NAME`] for money of a cross account.
    pub market: u32,
    /// Margin account; None if there is no such account.
    pub account: Option<u32>,
    pub asked: Asked,
}

/// The three frames of a book.
#[derive(Debug, Clone, Default)]
pub struct BookFrames {
    /// Who the margin accounts are.
    pub(super) roster: Arc<Roster>,
    /// Names of markets, in order.
    pub(super) markets: Names,
    /// Names of assets, in order.
    pub(super) assets: Names,
    pub(super) positions: Positions,
    pub(super) cash: Cash,
    pub(super) events: Vec<EventRow>,
    accounts: usize,
}

const POSITIONS: &str = "positions";
const ACCOUNTS: &str = "accounts";
const EVENTS: &str = "events";

impl BookFrames {
    /// Reads and checks the frames. Markets and assets are checked when the book meets the ticks.
    ///
    /// # Errors
    /// [`Error::Book`] naming frame, row and column, for the first row that is wrong: a missing, unknown or mistyped column; a null; an
    /// entry price that is not positive; negative collateral; an isolated position without collateral or a cross
    /// position with its own; a reserved name; two rows for one position; a cross position without a row of cash.
    pub fn read(positions: &[RecordBatch], accounts: &[RecordBatch], events: &[RecordBatch]) -> Result<Self> {
        Self::read_with(positions, accounts, events, &Silent)
    }

    /// [`Self::read`], telling `progress` of the cells that were read. [`Error::Interrupted`] if it asks to stop.
    pub fn read_with(
        positions: &[RecordBatch],
        accounts: &[RecordBatch],
        events: &[RecordBatch],
        progress: &dyn Progress,
    ) -> Result<Self> {
        let cells = |batches: &[RecordBatch]| -> usize { batches.iter().map(|b| b.num_rows() * b.num_columns()).sum() };
        let total = cells(positions) + cells(accounts) + cells(events);
        let meter = Meter::new(progress, "book", total as u64);
        let frame = |name, batches| Frame {
            name,
            batches,
            meter: &meter,
        };
        let frames = [
            frame(POSITIONS, positions),
            frame(ACCOUNTS, accounts),
            frame(EVENTS, events),
        ];
        Raw::read(&frames)?.check()?.build(&meter)
    }

    /// Number of different account names.
    pub fn accounts(&self) -> usize {
        self.accounts
    }

    /// Number of position rows.
    pub fn position_rows(&self) -> usize {
        self.positions.row.len()
    }
}

/// The columns of the three frames, in the order of their rows.
struct Raw {
    /// Names of accounts, then of owners, then unknown ones of events.
    names: Interner,
    /// Number of names of accounts.
    accounts: usize,
    markets: Names,
    assets: Names,
    /// Words of margin mode and kind of event.
    modes: Names,
    positions: RawPositions,
    cash: RawCash,
    events: RawEvents,
}

struct RawPositions {
    account: Vec<u32>,
    owner: Vec<u32>,
    market: Vec<u32>,
    size: Decimals,
    entry: Decimals,
    mode: Vec<u32>,
    collateral: Decimals,
    collateral_asset: Vec<u32>,
    key: Vec<u32>,
}

struct RawCash {
    account: Vec<u32>,
    owner: Vec<u32>,
    asset: Vec<u32>,
    amount: Decimals,
}

struct RawEvents {
    ts: Vec<Option<i64>>,
    account: Vec<u32>,
    market: Vec<u32>,
    key: Vec<u32>,
    kind: Vec<u32>,
    asset: Vec<u32>,
    amount: Decimals,
    size: Decimals,
    price: Decimals,
}

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
    fn read([positions, accounts, events]: &[Frame<'_>; 3]) -> Result<Self> {
        positions.check_columns(
            &["account", "market", "size", "entry_price"],
            &["margin_mode", "collateral", "collateral_asset", "position", "owner"],
        )?;
        accounts.check_columns(&["account", "asset", "collateral"], &["owner"])?;
        events.check_columns(
            &["ts", "account", "kind"],
            &["asset", "amount", "market", "position", "size", "price"],
        )?;

        // Long columns of different texts on one thread, all others on the other.
        let named = || {
            let mut names = Interner::default();
            let in_positions = positions.words("account", &mut names)?;
            let in_cash = accounts.words("account", &mut names)?;
            let own = names.names().len();
            let owners = positions.words("owner", &mut names)?;
            let cash_owners = accounts.words("owner", &mut names)?;
            let in_events = events.words("account", &mut names)?;
            Ok((names, own, in_positions, in_cash, owners, cash_owners, in_events))
        };
        let others = || {
            let [mut markets, mut assets, mut keys, mut modes] = [(); 4].map(|()| Interner::default());
            let mut traded = positions.words("market", &mut markets)?;
            let (size, entry) = (positions.numbers("size")?, positions.numbers("entry_price")?);
            let mode = positions.words("margin_mode", &mut modes)?;
            let collateral = positions.numbers("collateral")?;
            let mut collateral_asset = positions.words("collateral_asset", &mut assets)?;
            let key = positions.words("position", &mut keys)?;
            let mut asset = accounts.words("asset", &mut assets)?;
            let amount = accounts.numbers("collateral")?;
            let ts = events.timestamps("ts")?;
            let mut event_market = events.words("market", &mut markets)?;
            let event_key = events.words("position", &mut keys)?;
            let kind = events.words("kind", &mut modes)?;
            let mut event_asset = events.words("asset", &mut assets)?;
            let event_amount = events.numbers("amount")?;
            let traded_size = events.numbers("size")?;
            let traded_price = events.numbers("price")?;
            let markets = renumber(&markets.into_names(), [&mut traded, &mut event_market])?;
            let assets = renumber(
                &assets.into_names(),
                [&mut collateral_asset, &mut asset, &mut event_asset],
            )?;
            let positions = (traded, size, entry, mode, collateral, collateral_asset, key);
            let trades = (traded_size, traded_price);
            let events = (ts, event_market, event_key, kind, event_asset, event_amount, trades);
            Ok((markets, assets, modes.into_names(), positions, (asset, amount), events))
        };
        let (named, others): (Result<_>, Result<_>) = rayon::join(named, others);
        let (names, own, in_positions, in_cash, owner, cash_owner, in_events) = named?;
        let (markets, assets, modes, of_positions, (asset, amount), of_events) = others?;
        let (market, size, entry, mode, collateral, collateral_asset, key) = of_positions;
        let positions = RawPositions {
            account: in_positions,
            owner,
            market,
            size,
            entry,
            mode,
            collateral,
            collateral_asset,
            key,
        };
        let cash = RawCash {
            account: in_cash,
            owner: cash_owner,
            asset,
            amount,
        };
        let (ts, market, key, kind, asset, amount, (size, price)) = of_events;
        let events = RawEvents {
            ts,
            account: in_events,
            market,
            key,
            kind,
            asset,
            amount,
            size,
            price,
        };
        Ok(Self {
            names,
            accounts: own,
            markets,
            assets,
            modes,
            positions,
            cash,
            events,
        })
    }

    fn check(self) -> Result<Self> {
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
    fn is_isolated(&self, row: usize) -> std::result::Result<bool, &str> {
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

    /// Groups the rows, which have passed their checks.
    fn build(self, meter: &Meter<'_>) -> Result<BookFrames> {
        let isolated: Vec<bool> = (0..self.positions.account.len())
            .map(|row| self.is_isolated(row) == Ok(true))
            .collect();
        let rows = Rows {
            names: self.accounts,
            account: &self.positions.account,
            market: &self.positions.market,
            key: &self.positions.key,
            isolated: &isolated,
            cash_account: &self.cash.account,
        };
        meter.advance(0)?;
        let groups = group(&rows)?;
        meter.advance(0)?;
        self.check_groups(&groups, &rows)?;
        let owner = self.owners(&groups);
        let events = self.address_events(&groups, &rows);
        let Self {
            names,
            accounts,
            markets,
            assets,
            positions,
            cash,
            ..
        } = self;
        meter.advance(0)?;
        let (order, cash_order) = (groups.leg_rows, groups.cash_rows);
        Ok(BookFrames {
            roster: Arc::new(Roster {
                names: names.into_names(),
                name: groups.name,
                owner,
                isolated: groups.isolated,
                leg_starts: groups.leg_starts,
            }),
            markets,
            assets,
            positions: Positions {
                market: reordered(&positions.market, &order),
                size: positions.size.reordered(&order),
                entry: positions.entry.reordered(&order),
                collateral: positions.collateral.reordered(&order),
                collateral_asset: reordered(&positions.collateral_asset, &order),
                row: order,
            },
            cash: Cash {
                starts: groups.cash_starts,
                asset: reordered(&cash.asset, &cash_order),
                amount: cash.amount.reordered(&cash_order),
                row: cash_order,
            },
            events,
            accounts,
        })
    }

    /// Reserved names, two rows for one position, cross positions without cash.
    fn check_groups(&self, groups: &Groups, rows: &Rows<'_>) -> Result<()> {
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

    /// The owner of each margin account: the first that its rows name, else itself.
    fn owners(&self, groups: &Groups) -> Vec<u32> {
        let mut owner = vec![NO_NAME; groups.name.len()];
        let mut note = |account: u32, named: u32| {
            let owner = &mut owner[account as usize];
            if *owner == NO_NAME {
                *owner = named;
            }
        };
        for (&account, &named) in groups.account_of_row.iter().zip(&self.positions.owner) {
            note(account, named);
        }
        for (&own, &named) in self.cash.account.iter().zip(&self.cash.owner) {
            note(groups.cross[own as usize], named);
        }
        for (owner, &own) in owner.iter_mut().zip(&groups.name) {
            if *owner == NO_NAME {
                *owner = own;
            }
        }
        owner
    }

    fn address_events(&self, groups: &Groups, rows: &Rows<'_>) -> Vec<EventRow> {
        let e = &self.events;
        let addresses: Vec<(u32, u32, u32)> = (0..e.account.len())
            .map(|row| (e.account[row], e.market[row], e.key[row]))
            .collect();
        let legs = groups.legs_at(rows, &addresses);
        let cross = |name: u32| {
            let number = groups.cross.get(name as usize).copied();
            number.filter(|&number| number != NO_NAME)
        };
        let account_of = |leg: u32| groups.account_of_row[groups.leg_rows[leg as usize] as usize];
        addresses
            .iter()
            .zip(legs)
            .enumerate()
            .map(|(row, (&(name, market, _), leg))| {
                let own = leg.map(account_of);
                let (account, asked) = match self.modes.get(e.kind[row]) {
                    "trade" => {
                        let size = e.size.get(row);
                        let price = (!matches!(e.price.cell(row), Cell::Null)).then(|| e.price.get(row));
                        (own, Asked::Trade { leg, size, price })
                    }
                    kind => {
                        let alone = own.filter(|&account| groups.isolated[account as usize]);
                        let account = if market == NO_NAME { cross(name) } else { alone };
                        let asked = Asked::Move {
                            deposit: kind == "deposit",
                            asset: e.asset[row],
                            amount: e.amount.get(row),
                        };
                        (account, asked)
                    }
                };
                EventRow {
                    ts: e.ts[row].unwrap_or_default(),
                    name,
                    market,
                    account,
                    asked,
                }
            })
            .collect()
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

/// Puts names in order of text, and the columns that refer to them.
fn renumber<const N: usize>(names: &Names, columns: [&mut Vec<u32>; N]) -> Result<Names> {
    let (sorted, numbers) = names.sorted()?;
    for column in columns {
        column.par_iter_mut().with_min_len(POLL_ROWS).for_each(|number| {
            if *number != NO_NAME {
                *number = numbers[*number as usize];
            }
        });
    }
    Ok(sorted)
}
