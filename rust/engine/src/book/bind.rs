//! Binding a book to the markets and assets of a tape: names become their numbers, decimals become units.
//!
//! Two passes over flat columns, parallel over legs and over accounts; nothing is allocated for a single account.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::columns::row_error;
use super::decimals::Cell;
use super::frames::{Asked, BookFrames, EventRow};
use super::group::{SHARE, shares, within};
use super::names::NO_NAME;
use super::{Book, Changes, Leg, MarginAccount};
use crate::contract::{AssetId, Market, MarketId, Venue};
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::units::{Amount, Price, Size};

/// What an account asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Money comes in.
    Deposit(AssetId, Amount),
    /// Money goes out.
    Withdrawal(AssetId, Amount),
    /// It trades with the outside.
    Trade {
        /// Leg of the account.
        leg: usize,
        /// Signed size.
        size: Size,
        /// Price; None: the execution feed.
        price: Option<Price>,
    },
}

/// A deposit, a withdrawal or a trade.
#[derive(Debug, Clone, Copy)]
pub struct AccountEvent {
    /// When.
    pub ts: i64,
    /// Which margin account.
    pub account: usize,
    /// What.
    pub request: Request,
}

/// The smallest row that any thread complains about.
struct FirstRow(AtomicU32);

impl FirstRow {
    fn new() -> Self {
        Self(AtomicU32::new(u32::MAX))
    }

    fn note(&self, row: u32) {
        self.0.fetch_min(row, Relaxed);
    }

    fn get(&self) -> Option<u32> {
        Some(self.0.load(Relaxed)).filter(|&row| row != u32::MAX)
    }
}

impl Book {
    /// Binds the frames to a venue. Legs hold what they cost; cash holds the collateral, from which the run takes that cost.
    ///
    /// # Errors
    /// [`Error::Book`] naming frame, column and row, for the first row that is wrong: an unknown market or asset, a figure that does not
    /// fit the decimals, a cost beyond all range, an event for an account that does not exist.
    pub fn bind(frames: &BookFrames, venue: &Venue) -> Result<(Self, Vec<AccountEvent>)> {
        let binder = Binder {
            frames,
            venue,
            markets: frames.markets.iter().map(|name| venue.market(name)).collect(),
            assets: frames.assets.iter().map(|name| venue.asset(name)).collect(),
        };
        let legs = binder.legs()?;
        binder.check_cash()?;
        let events = binder.events()?;
        let (cash_starts, cash) = binder.cash(&legs, &events)?;
        let roster = Arc::clone(&frames.roster);
        let book = Self {
            accounts: vec![MarginAccount::default(); roster.name.len()],
            roster,
            legs,
            cash_starts: Arc::new(cash_starts),
            cash,
            changes: Changes::default(),
            charges: None,
        };
        Ok((book, events))
    }
}

/// Cash in an asset.
type Balance = (AssetId, Amount);

struct Binder<'a> {
    frames: &'a BookFrames,
    venue: &'a Venue,
    /// Names of the frames to markets and assets of the venue.
    markets: Vec<Option<MarketId>>,
    assets: Vec<Option<AssetId>>,
}

impl Binder<'_> {
    fn legs(&self) -> Result<Vec<Leg>> {
        let (count, first) = (self.frames.position_rows(), FirstRow::new());
        let mut legs = Vec::new();
        (0..count)
            .into_par_iter()
            .with_min_len(SHARE)
            .map(|leg| {
                self.leg(leg).unwrap_or_else(|| {
                    first.note(self.frames.positions.row[leg]);
                    Leg::default()
                })
            })
            .collect_into_vec(&mut legs);
        match first.get() {
            None => Ok(legs),
            Some(row) => Err(self.position_error(row)),
        }
    }

    /// None if anything is wrong.
    fn leg(&self, leg: usize) -> Option<Leg> {
        let p = &self.frames.positions;
        let id = self.markets[p.market[leg] as usize]?;
        let market = &self.venue.markets[id];
        let size = self.size(leg, market)?;
        if !matches!(p.collateral.cell(leg), Cell::Null) {
            self.collateral(leg, id)?;
        }
        Some(Leg {
            market: id,
            size,
            entry_value: market.cost(size, p.entry.get(leg)).ok()?,
        })
    }

    fn size(&self, leg: usize, market: &Market) -> Option<Size> {
        let units = self.frames.positions.size.units(leg, market.size_decimals)?;
        i64::try_from(units).ok().map(Size)
    }

    fn collateral_asset(&self, leg: usize, market: MarketId) -> Option<AssetId> {
        match self.frames.positions.collateral_asset[leg] {
            NO_NAME => Some(self.venue.markets[market].settlement),
            named => self.assets[named as usize],
        }
    }

    /// Collateral of an isolated leg; nothing for a cross one. None if anything is wrong.
    fn collateral(&self, leg: usize, market: MarketId) -> Option<(AssetId, Amount)> {
        let asset = self.collateral_asset(leg, market)?;
        let decimals = self.venue.assets[asset].decimals;
        let amount = self.frames.positions.collateral.units(leg, decimals)?;
        Some((asset, Amount(amount)))
    }

    fn position_error(&self, row: u32) -> Error {
        let (p, venue) = (&self.frames.positions, self.venue);
        let fail = |column: &str, what: String| row_error("positions", row as usize, column, what);
        let Some(leg) = p.row.iter().position(|&known| known == row) else {
            return Error::Invariant(format!("positions frame, row {row}: no leg"));
        };
        let Some(id) = self.markets[p.market[leg] as usize] else {
            return fail("market", no_market(self.frames.markets.get(p.market[leg])));
        };
        let market = &venue.markets[id];
        let unfit = |value: Decimal, decimals: u32, of: &str| {
            format!("{} does not fit the {decimals} decimals of {of}", value.stripped())
        };
        let Some(size) = self.size(leg, market) else {
            let of = format!("market {}", market.name);
            return fail("size", unfit(p.size.get(leg), market.size_decimals, &of));
        };
        let entry = p.entry.get(leg);
        if market.cost(size, entry).is_err() {
            let (size, entry) = (p.size.get(leg).stripped(), entry.stripped());
            return fail(
                "entry_price",
                format!("the cost of {size} at {entry} has too many digits"),
            );
        }
        let Some(asset) = self.collateral_asset(leg, id) else {
            return fail("collateral_asset", self.no_asset(p.collateral_asset[leg]));
        };
        let asset = &venue.assets[asset];
        fail("collateral", unfit(p.collateral.get(leg), asset.decimals, &asset.name))
    }

    /// The amount of a row of cash, in account order. None if anything is wrong.
    fn cash_row(&self, at: usize) -> Option<(AssetId, Amount)> {
        let c = &self.frames.cash;
        let asset = self.assets[c.asset[at] as usize]?;
        let amount = c.amount.units(at, self.venue.assets[asset].decimals)?;
        Some((asset, Amount(amount)))
    }

    fn check_cash(&self) -> Result<()> {
        let (c, first) = (&self.frames.cash, FirstRow::new());
        (0..c.row.len())
            .into_par_iter()
            .with_min_len(SHARE)
            .filter(|&at| self.cash_row(at).is_none())
            .for_each(|at| first.note(c.row[at]));
        match first.get() {
            None => Ok(()),
            Some(row) => Err(self.cash_error(row)),
        }
    }

    fn cash_error(&self, row: u32) -> Error {
        let c = &self.frames.cash;
        let fail = |column: &str, what: String| row_error("accounts", row as usize, column, what);
        let Some(at) = c.row.iter().position(|&known| known == row) else {
            return Error::Invariant(format!("accounts frame, row {row}: no cash"));
        };
        let Some(asset) = self.assets[c.asset[at] as usize] else {
            return fail("asset", self.no_asset(c.asset[at]));
        };
        let (asset, amount) = (&self.venue.assets[asset], c.amount.get(at).stripped());
        if amount.to_integer(asset.decimals).is_some() {
            return fail("collateral", format!("the account's {} add up to too much", asset.name));
        }
        let (decimals, name) = (asset.decimals, &asset.name);
        fail(
            "collateral",
            format!("{amount} does not fit the {decimals} decimals of {name}"),
        )
    }

    fn no_asset(&self, named: u32) -> String {
        let known: Vec<&str> = self.venue.assets.iter().map(|a| a.name.as_str()).collect();
        format!(
            "unknown asset {:?}; there are {}",
            self.frames.assets.get(named),
            known.join(", ")
        )
    }

    fn events(&self) -> Result<Vec<AccountEvent>> {
        let rows = self.frames.events.iter().enumerate();
        rows.map(|(row, event)| self.event(row, event)).collect()
    }

    fn event(&self, row: usize, event: &EventRow) -> Result<AccountEvent> {
        let fail = |column: &str, what: String| Err(row_error("events", row, column, what));
        let market = match event.market {
            NO_NAME => None,
            named => match self.markets[named as usize] {
                None => return fail("market", no_market(self.frames.markets.get(named))),
                market => market,
            },
        };
        let name = self.frames.roster.names.get(event.name);
        let Some(account) = event.account.map(|account| account as usize) else {
            return match event.asked {
                Asked::Move { .. } => fail(
                    "account",
                    format!("there is no such margin account {name:?} in the book"),
                ),
                Asked::Trade { .. } => {
                    let market = self.frames.markets.get(event.market);
                    let what = "the book has no such position; add it to the positions frame with a size of 0";
                    fail("account", format!("account {name:?} in market {market:?}: {what}"))
                }
            };
        };
        let unfit = |value: Decimal, decimals: u32, of: &str| {
            format!("{} does not fit the {decimals} decimals of {of}", value.stripped())
        };
        let request = match event.asked {
            Asked::Move { deposit, asset, amount } => {
                let Some(id) = self.assets[asset as usize] else {
                    return fail("asset", self.no_asset(asset));
                };
                let asset = &self.venue.assets[id];
                let Some(amount) = amount.to_integer(asset.decimals).map(Amount) else {
                    return fail("amount", unfit(amount, asset.decimals, &asset.name));
                };
                if deposit {
                    Request::Deposit(id, amount)
                } else {
                    Request::Withdrawal(id, amount)
                }
            }
            Asked::Trade { leg, size, price } => {
                let (Some(leg), Some(market)) = (leg, market.map(|id| &self.venue.markets[id])) else {
                    return Err(Error::Invariant("a trade without a leg or a market".to_owned()));
                };
                let of = format!("market {}", market.name);
                let units = size.to_integer(market.size_decimals);
                let Some(units) = units.and_then(|units| i64::try_from(units).ok()) else {
                    return fail("size", unfit(size, market.size_decimals, &of));
                };
                let in_units = |price: Decimal| {
                    let units = price.to_integer(market.price_decimals)?;
                    i64::try_from(units).ok().map(Price)
                };
                let price = match price.map(|price| (price, in_units(price))) {
                    None => None,
                    Some((_, Some(price))) => Some(price),
                    Some((price, None)) => return fail("price", unfit(price, market.price_decimals, &of)),
                };
                Request::Trade {
                    leg: (leg - self.frames.roster.leg_starts[account]) as usize,
                    size: Size(units),
                    price,
                }
            }
        };
        Ok(AccountEvent {
            ts: event.ts,
            account,
            request,
        })
    }

    /// Where the cash of each account starts, and the cash by account and asset.
    fn cash(&self, legs: &[Leg], events: &[AccountEvent]) -> Result<(Vec<u32>, Vec<Balance>)> {
        // Assets that events bring or take, by account.
        let asset = |event: &AccountEvent| match event.request {
            Request::Deposit(asset, _) | Request::Withdrawal(asset, _) => Some((event.account, asset)),
            Request::Trade { .. } => None,
        };
        let mut moved: Vec<(usize, AssetId)> = events.iter().filter_map(asset).collect();
        moved.sort_unstable();
        let accounts = self.frames.roster.name.len();
        let mut starts = vec![0; accounts + 1];
        starts[1..]
            .par_iter_mut()
            .enumerate()
            .with_min_len(SHARE)
            .for_each_init(Vec::new, |assets, (account, count)| {
                *count = self.count_assets(account, legs, &moved, assets);
            });
        let mut total = 0u32;
        for start in &mut starts {
            total = total
                .checked_add(*start)
                .ok_or_else(|| Error::overflow("size of the book"))?;
            *start = total;
        }

        let (mut cash, first) = (Vec::new(), FirstRow::new());
        let fill = |account, own: &mut [_]| {
            if let Some(row) = self.fill_cash(account, legs, &moved, own) {
                first.note(row);
            }
        };
        if total as usize == accounts {
            // Each has one asset: it is written where it stays.
            let only = |account| {
                let mut own = [(0, Amount::ZERO)];
                fill(account, &mut own);
                own[0]
            };
            let each = (0..accounts).into_par_iter().with_min_len(SHARE);
            each.map(only).collect_into_vec(&mut cash);
        } else {
            // Every page is touched in parallel once, then filled.
            rayon::iter::repeat_n((0, Amount::ZERO), total as usize)
                .with_min_len(SHARE)
                .collect_into_vec(&mut cash);
            shares(&mut cash, &starts).into_par_iter().for_each(|(range, share)| {
                for (account, (from, to)) in range.clone().zip(within(&starts, range)) {
                    fill(account, &mut share[from..to]);
                }
            });
        }
        match first.get() {
            None => Ok((starts, cash)),
            Some(row) => Err(self.cash_error(row)),
        }
    }

    /// Number of assets of an account (semantics, section 4). `seen` is room to work in.
    fn count_assets(&self, account: usize, legs: &[Leg], moved: &[(usize, AssetId)], seen: &mut Vec<AssetId>) -> u32 {
        let (of_legs, of_cash) = self.rows(account);
        if self.frames.roster.isolated[account] && moved.is_empty() {
            let market = legs[of_legs.start].market;
            let own = self.collateral_asset(of_legs.start, market);
            return if own == Some(self.venue.markets[market].settlement) {
                1
            } else {
                2
            };
        }
        seen.clear();
        let mut note = |asset: AssetId| {
            if seen.first() == Some(&asset) {
                return;
            }
            if let Err(at) = seen.binary_search(&asset) {
                seen.insert(at, asset);
            }
        };
        for leg in of_legs {
            let market = legs[leg].market;
            note(self.venue.markets[market].settlement);
            if self.frames.roster.isolated[account] {
                self.collateral_asset(leg, market).into_iter().for_each(&mut note);
            }
        }
        for at in of_cash {
            self.assets[self.frames.cash.asset[at] as usize]
                .into_iter()
                .for_each(&mut note);
        }
        moved_of(moved, account).for_each(note);
        seen.len() as u32
    }

    /// Fills in the cash of an account, by asset. Returns the row at which a sum leaves all range.
    fn fill_cash(&self, account: usize, legs: &[Leg], moved: &[(usize, AssetId)], cash: &mut [Balance]) -> Option<u32> {
        let (of_legs, of_cash) = self.rows(account);
        if let ([only], true) = (&mut *cash, self.frames.roster.isolated[account]) {
            if let Some(collateral) = self.collateral(of_legs.start, legs[of_legs.start].market) {
                *only = collateral;
            }
            return None;
        }
        let mut held = 0;
        let mut add = |(asset, amount): Balance| {
            // Mostly there is one.
            let known = if held > 0 && cash[0].0 == asset {
                Ok(0)
            } else {
                cash[..held].binary_search_by_key(&asset, |&(known, _)| known)
            };
            match known {
                Ok(at) => cash[at].1 = cash[at].1.plus(amount).ok()?,
                Err(at) => {
                    cash[at..=held].rotate_right(1);
                    cash[at] = (asset, amount);
                    held += 1;
                }
            }
            Some(())
        };
        // All that is bound here has been bound before: nothing is missing but what `add` refuses.
        for leg in of_legs {
            let market = legs[leg].market;
            add((self.venue.markets[market].settlement, Amount::ZERO));
            if self.frames.roster.isolated[account] {
                self.collateral(leg, market).and_then(&mut add);
            }
        }
        for at in of_cash {
            if self.cash_row(at).and_then(&mut add).is_none() {
                return Some(self.frames.cash.row[at]);
            }
        }
        for asset in moved_of(moved, account) {
            add((asset, Amount::ZERO));
        }
        None
    }

    /// Legs of an account, and its rows of cash.
    fn rows(&self, account: usize) -> (Range<usize>, Range<usize>) {
        let range = |starts: &[u32]| starts[account] as usize..starts[account + 1] as usize;
        (range(&self.frames.roster.leg_starts), range(&self.frames.cash.starts))
    }
}

/// Assets that events move for an account.
fn moved_of(moved: &[(usize, AssetId)], account: usize) -> impl Iterator<Item = AssetId> {
    let from = moved.partition_point(|&(a, _)| a < account);
    let own = moved[from..].iter().take_while(move |&&(a, _)| a == account);
    own.map(|&(_, asset)| asset)
}

fn no_market(name: &str) -> String {
    format!("there is no market {name:?} on the tape")
}
