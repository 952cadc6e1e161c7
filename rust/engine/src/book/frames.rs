//! Frames of a book as the caller gives them: read once into exact columns, checked row by row and grouped to margin accounts; not yet
//! bound to markets.
//!
//! A book is replayed many times, on other ticks and through other protocols. All that does not depend on them happens here: names
//! become numbers, rows find their margin account, legs their order.

mod faults;

use std::sync::Arc;

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::Roster;
use super::columns::Frame;
use super::decimals::{Cell, Decimals, reordered};
use super::group::{Groups, Rows, group};
use super::names::{Interner, NO_NAME, Names};
use crate::decimal::Decimal;
use crate::error::Result;
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
