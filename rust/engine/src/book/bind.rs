//! Binding a book to the markets and assets of a tape: names become numbers, decimals become units.

use std::collections::BTreeMap;

use super::frames::BookFrames;
use super::{Book, Leg, MarginAccount, Status};
use crate::contract::{AssetId, Market, Venue};
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::ledger::Entity;
use crate::units::{Amount, Size};

/// What an account event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Money comes in.
    Deposit,
    /// Money goes out.
    Withdrawal,
}

/// A deposit or a withdrawal.
#[derive(Debug, Clone, Copy)]
pub struct AccountEvent {
    /// When.
    pub ts: i64,
    /// Which margin account.
    pub account: usize,
    /// What.
    pub kind: EventKind,
    /// In which asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
}

/// What entering a leg of `size` at `entry` costs: the entry value.
pub fn opening_cost(market: &Market, size: Size, entry: Decimal) -> Result<Amount> {
    market.cost(size, entry)
}

/// A margin account while the rows are gathered.
#[derive(Default)]
struct Draft {
    name: u32,
    owner: Option<String>,
    isolated: Option<usize>,
    legs: Vec<Leg>,
    cash: BTreeMap<AssetId, Amount>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Cross,
    Isolated(usize, Option<String>),
}

struct Names {
    list: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> Result<u32> {
        if let Some(&n) = self.numbers.get(name) {
            return Ok(n);
        }
        let n = u32::try_from(self.list.len()).map_err(|_| Error::overflow("number of accounts"))?;
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), n);
        Ok(n)
    }
}

impl Book {
    /// Binds the frames to a venue. Legs hold what they cost; cash holds the collateral, from which the run takes that cost.
    ///
    /// # Errors
    /// [`Error::Book`] naming frame, row and what is wrong: an unknown market or asset, a figure that does not fit the decimals, a
    /// reserved name, two rows for one position, a cross position without a row of cash.
    pub fn bind(frames: &BookFrames, venue: &Venue) -> Result<(Self, Vec<AccountEvent>)> {
        let mut names = Names {
            list: Vec::new(),
            numbers: BTreeMap::new(),
        };
        let mut numbers: BTreeMap<(u32, Scope), usize> = BTreeMap::new();
        let mut drafts: Vec<Draft> = Vec::new();
        let mut legs_seen: BTreeMap<(usize, usize, Option<String>), ()> = BTreeMap::new();

        for (row, p) in frames.positions.iter().enumerate() {
            let fail = |column: &str, what: String| {
                Err(Error::Book(format!(
                    "positions frame, row {row}, column {column}: {what}"
                )))
            };
            let Some(id) = venue.market(&p.market) else {
                return fail("market", format!("there is no market {:?} on the tape", p.market));
            };
            if Entity::named(&p.account).is_some() {
                return fail("account", format!("{:?} is a reserved name", p.account));
            }
            let market = &venue.markets[id];
            let Some(size) = p
                .size
                .to_integer(market.size_decimals)
                .and_then(|s| i64::try_from(s).ok())
                .map(Size)
            else {
                return fail(
                    "size",
                    format!(
                        "{} does not fit the {} decimals of market {}",
                        p.size, market.size_decimals, market.name
                    ),
                );
            };
            let name = names.number(&p.account)?;
            let scope = if p.isolated {
                Scope::Isolated(id, p.key.clone())
            } else {
                Scope::Cross
            };
            let number = match numbers.entry((name, scope)) {
                std::collections::btree_map::Entry::Occupied(known) => *known.get(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(drafts.len());
                    drafts.push(Draft {
                        name,
                        isolated: p.isolated.then_some(id),
                        ..Draft::default()
                    });
                    drafts.len() - 1
                }
            };
            if legs_seen.insert((number, id, p.key.clone()), ()).is_some() {
                return fail(
                    "market",
                    format!("account {} has two rows for one position in {}", p.account, p.market),
                );
            }
            let draft = &mut drafts[number];
            draft.owner = draft.owner.take().or_else(|| p.owner.clone());
            draft.legs.push(Leg {
                market: id,
                size,
                entry_value: opening_cost(market, size, p.entry)?,
            });
            draft.cash.entry(market.settlement).or_default();
            if let Some(collateral) = p.collateral {
                let asset = match &p.collateral_asset {
                    None => market.settlement,
                    Some(asset) => match venue.asset(asset) {
                        Some(a) => a,
                        None => return fail("collateral_asset", format!("unknown asset {asset:?}")),
                    },
                };
                let Some(amount) = collateral.to_integer(venue.assets[asset].decimals) else {
                    let a = &venue.assets[asset];
                    return fail(
                        "collateral",
                        format!("{collateral} does not fit the {} decimals of {}", a.decimals, a.name),
                    );
                };
                draft.cash.insert(asset, Amount(amount));
            }
        }

        for (row, c) in frames.accounts.iter().enumerate() {
            let fail = |column: &str, what: String| {
                Err(Error::Book(format!(
                    "accounts frame, row {row}, column {column}: {what}"
                )))
            };
            if Entity::named(&c.account).is_some() {
                return fail("account", format!("{:?} is a reserved name", c.account));
            }
            let Some(asset) = venue.asset(&c.asset) else {
                return fail(
                    "asset",
                    format!("unknown asset {:?}; there are {}", c.asset, asset_names(venue)),
                );
            };
            let a = &venue.assets[asset];
            let Some(amount) = c.collateral.to_integer(a.decimals) else {
                return fail(
                    "collateral",
                    format!(
                        "{} does not fit the {} decimals of {}",
                        c.collateral, a.decimals, a.name
                    ),
                );
            };
            let name = names.number(&c.account)?;
            let number = *numbers.entry((name, Scope::Cross)).or_insert_with(|| {
                drafts.push(Draft {
                    name,
                    ..Draft::default()
                });
                drafts.len() - 1
            });
            let draft = &mut drafts[number];
            draft.owner = draft.owner.take().or_else(|| c.owner.clone());
            let slot = draft.cash.entry(asset).or_default();
            *slot = slot.plus(Amount(amount))?;
        }
        let mut funded = vec![false; names.list.len()];
        for c in &frames.accounts {
            funded[names.number(&c.account)? as usize] = true;
        }
        for (row, p) in frames.positions.iter().enumerate() {
            if !p.isolated && !funded[names.number(&p.account)? as usize] {
                return Err(Error::Book(format!(
                    "positions frame, row {row}: cross account {} has no row in the accounts frame",
                    p.account
                )));
            }
        }

        let mut events = Vec::with_capacity(frames.events.len());
        for (row, e) in frames.events.iter().enumerate() {
            let fail = |column: &str, what: String| {
                Err(Error::Book(format!("events frame, row {row}, column {column}: {what}")))
            };
            let Some(asset) = venue.asset(&e.asset) else {
                return fail(
                    "asset",
                    format!("unknown asset {:?}; there are {}", e.asset, asset_names(venue)),
                );
            };
            let a = &venue.assets[asset];
            let Some(amount) = e.amount.to_integer(a.decimals) else {
                return fail(
                    "amount",
                    format!("{} does not fit the {} decimals of {}", e.amount, a.decimals, a.name),
                );
            };
            let scope = match &e.market {
                None => Scope::Cross,
                Some(market) => match venue.market(market) {
                    Some(id) => Scope::Isolated(id, None),
                    None => return fail("market", format!("there is no market {market:?} on the tape")),
                },
            };
            let known = names
                .numbers
                .get(&e.account)
                .and_then(|&name| numbers.get(&(name, scope)));
            let Some(&account) = known else {
                return fail(
                    "account",
                    format!("there is no such margin account {:?} in the book", e.account),
                );
            };
            drafts[account].cash.entry(asset).or_default();
            let kind = if e.deposit {
                EventKind::Deposit
            } else {
                EventKind::Withdrawal
            };
            events.push(AccountEvent {
                ts: e.ts,
                account,
                kind,
                asset,
                amount: Amount(amount),
            });
        }

        let mut book = Self::default();
        for mut draft in drafts {
            draft.legs.sort_by_key(|l| l.market);
            let from = (book.legs.len(), book.cash.len());
            book.legs.append(&mut draft.legs);
            book.cash.extend(draft.cash);
            let to = (book.legs.len(), book.cash.len());
            let owner = match &draft.owner {
                Some(owner) => names.number(owner)?,
                None => draft.name,
            };
            let short = |n: usize| u32::try_from(n).map_err(|_| Error::overflow("size of the book"));
            book.accounts.push(MarginAccount {
                name: draft.name,
                owner,
                isolated: draft.isolated,
                legs: (short(from.0)?, short(to.0)?),
                cash: (short(from.1)?, short(to.1)?),
                status: Status::Open,
                opening: false,
                version: 0,
            });
        }
        book.names = names.list;
        Ok((book, events))
    }
}

fn asset_names(venue: &Venue) -> String {
    venue
        .assets
        .iter()
        .map(|a| a.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
