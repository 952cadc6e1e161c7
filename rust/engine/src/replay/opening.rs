//! The opening: collateral comes in, positions are entered against the counterparty, and every account is tested once.
//!
//! Accounts do not see each other here, so costs and tests run in parallel. What the counterparty takes averages in the order of
//! accounts (semantics, section 2), but market by market: markets are shared out among the threads.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::Opening;
use super::marks::{Marks, each_account};
use crate::book::{AccountEvent, Book, BookFrames, Leg, Paid, SHARE, Status};
use crate::config::OpeningPolicy;
use crate::contract::{MarketId, Venue};
use crate::error::{Error, Result};
use crate::ledger::{Entity, Holder, Inventory, Ledger, PostingKind};
use crate::margin::{Health, Prices, Requirement, WithInterest};
use crate::progress::{Meter, Progress};
use crate::records::{Records, RejectedRow, Summaries};
use crate::state::{Board, Moment, Setup, State};
use crate::units::{Amount, Size, Usd, mul_div_floor};
use crate::waterfall::{funds, limits, sources};

/// What the test at the open says of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Verdict {
    #[default]
    Fine,
    /// Below a requirement.
    Flagged,
    /// Below a requirement, and not let in.
    Refused,
}

/// A book bound to the markets of a tape, and what was found of it whatever the protocol.
#[derive(Debug)]
pub struct Bound {
    /// The accounts, the cost of their positions paid.
    book: Book,
    paid: Paid,
    /// Deposits and withdrawals, in order.
    pub events: Vec<AccountEvent>,
    /// Per market: whether its prices can matter.
    pub used: Vec<bool>,
}

impl Bound {
    /// Binds a book, and lets its accounts pay for their positions.
    ///
    /// # Errors
    /// [`Error::Book`](crate::error::Error::Book) if it does not fit the markets, overflow, a wish to stop.
    pub fn new(frames: &BookFrames, venue: &Venue, progress: &dyn Progress) -> Result<Self> {
        let (mut book, events) = Book::bind(frames, venue)?;
        let meter = Meter::new(progress, "book", book.len() as u64);
        let paid = book.pay_costs(venue, &meter)?;
        let used = super::used_markets(venue, &book);
        Ok(Self {
            book,
            paid,
            events,
            used,
        })
    }

    /// The accounts.
    pub fn book(&self) -> &Book {
        &self.book
    }
}

/// What the tests at the open found, and what was entered: a book can be opened from it again under another protocol, as long as that
/// differs in nothing that the opening asks for.
#[derive(Debug)]
pub struct Opened {
    verdicts: Vec<Verdict>,
    /// Without the capital of layers.
    ledger: Ledger,
    /// By market: accounts with a leg there.
    holders: Arc<Vec<Vec<u32>>>,
    /// By account: equity at the reference.
    equity: Arc<Vec<Usd>>,
    /// What accounts held, without those that are turned down.
    held: Arc<Held>,
    /// How the first run from here ended.
    ended: OnceLock<Ended>,
}

/// What accounts held at the open.
#[derive(Debug, Default)]
pub struct Held {
    /// Cash, in the order of the book's.
    pub cash: Vec<Amount>,
    /// Sizes, in the order of the book's legs.
    pub sizes: Vec<i64>,
}

impl Held {
    fn of(book: &Book) -> Self {
        let mut held = Self::default();
        let cash = book.all_cash().par_iter().with_min_len(SHARE);
        cash.map(|&(_, amount)| amount).collect_into_vec(&mut held.cash);
        let legs = book.all_legs().par_iter().with_min_len(SHARE);
        legs.map(|leg| leg.size.0).collect_into_vec(&mut held.sizes);
        held
    }
}

/// Equities at the end of a run: what nothing has touched is worth the same at the end of another.
#[derive(Debug)]
struct Ended {
    equity: Vec<Usd>,
    /// By account: whether nothing has touched it.
    untouched: Vec<bool>,
}

impl Opened {
    /// Tests every account, and enters the positions against the counterparty.
    ///
    /// # Errors
    /// Overflow, a wish to stop.
    pub fn new(
        setup: &Setup,
        board: &Board,
        bound: &Bound,
        policy: OpeningPolicy,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let accounts = bound.book.len();
        // Tests, positions, equities.
        let meter = Meter::new(progress, "opening", 3 * accounts as u64);
        let moment = Moment::new(setup, board, setup.opening);
        let marks = Marks::at(&moment);
        let open_interest = setup.margin.open_interest(&setup.venue, &bound.book)?;
        let tested = WithInterest {
            prices: &marks,
            open_interest: &open_interest,
        };
        // Each as it stands alone: nobody else has been touched.
        let verdicts = each_account(accounts, &meter, |account| {
            test(setup, &bound.book, &tested, account, policy)
        })?;
        let mut refused = None;
        let book = if verdicts.contains(&Verdict::Refused) {
            let without = refused.insert((bound.book.clone(), bound.paid.clone()));
            for account in all(&verdicts, Verdict::Refused) {
                without.0.dismiss(account, &setup.venue, &mut without.1)?;
            }
            (&without.0, &without.1)
        } else {
            (&bound.book, &bound.paid)
        };
        let (ledger, holders) = enter(setup, book.0, book.1, &meter)?;
        ledger.check()?;
        Ok(Self {
            verdicts,
            ledger,
            holders: Arc::new(holders),
            equity: Arc::new(marks.equities(book.0, &meter)?),
            held: Arc::new(Held::of(book.0)),
            ended: OnceLock::new(),
        })
    }

    /// The state with which a run starts, and what all held then.
    ///
    /// # Errors
    /// Overflow, a wish to stop.
    pub fn begin(
        &self,
        setup: &Setup,
        board: &Board,
        bound: &Bound,
        policy: OpeningPolicy,
        progress: &dyn Progress,
    ) -> Result<(State, Opening)> {
        let records = Records {
            accounts: Summaries::of(bound.book.len()),
            opening_equity: Arc::clone(&self.equity),
            ..Records::default()
        };
        let (ledger, holders) = (self.ledger.clone(), Arc::clone(&self.holders));
        let mut state = State::new(bound.book.clone(), ledger, records, holders);
        fund_layers(setup, &mut state)?;
        let mut paid = bound.paid.clone();
        for account in all(&self.verdicts, Verdict::Refused) {
            refuse(setup, &mut state, account, &mut paid)?;
        }
        for (account, _) in self.verdicts.iter().enumerate().filter(|(_, v)| **v != Verdict::Fine) {
            state.records.flagged += 1;
            // Where flagged accounts are turned down or cut, what is left opens like any other.
            state.book.accounts[account].opening = policy == OpeningPolicy::Keep;
        }
        state.ledger.check()?;

        let ledger = state.ledger.clone();
        if policy == OpeningPolicy::Rescale {
            self.rescale(setup, board, bound, &mut state, progress)?;
        }
        let assessed = setup.protocol.assesses_open_interest();
        let accrued = setup.protocol.funding.is_some() || setup.protocol.borrow.is_some();
        state.book.open_charges(&setup.venue, assessed, accrued);
        if assessed {
            state.ledger.count_open_interest(&state.book);
        }
        if setup.payout.is_some() {
            state.ledger.sum_sides(&state.book)?;
        }
        let moment = Moment::new(setup, board, setup.opening);
        limits::open(&mut state, &moment)?;
        sources::open(&mut state, &moment)?;
        let layers = moment.layer_equities(&state.ledger)?;
        let funds = moment.fund_equities(&state.ledger)?;
        let opening = Opening {
            held: Arc::clone(&self.held),
            ledger,
            layers,
            funds,
        };
        Ok((state, opening))
    }

    /// Cuts the accounts that were flagged to what their equity carries, by the open interest of the whole book.
    fn rescale(
        &self,
        setup: &Setup,
        board: &Board,
        bound: &Bound,
        state: &mut State,
        progress: &dyn Progress,
    ) -> Result<()> {
        let meter = Meter::new(progress, "rescaling", 2 * state.book.len() as u64);
        let moment = Moment::new(setup, board, setup.opening);
        let marks = Marks::at(&moment);
        let open_interest = setup.margin.open_interest(&setup.venue, &bound.book)?;
        let tested = WithInterest {
            prices: &marks,
            open_interest: &open_interest,
        };
        for (share, verdicts) in self.verdicts.chunks(SHARE).enumerate() {
            for account in all(verdicts, Verdict::Flagged) {
                rescale(&moment, state, &tested, share * SHARE + account)?;
            }
            meter.advance(verdicts.len() as u64)?;
        }
        state.records.opening_equity = Arc::new(marks.equities(&state.book, &meter)?);
        Ok(())
    }

    /// Equity at the reference of every account at the end of a run from here.
    ///
    /// # Errors
    /// Overflow, a wish to stop.
    pub fn closing_equities(&self, book: &Book, last: &Moment<'_>, meter: &Meter<'_>) -> Result<Vec<Usd>> {
        let marks = Marks::at(last);
        if let Some(ended) = self.ended.get() {
            return each_account(book.len(), meter, |account| {
                if ended.untouched[account] && book.is_untouched(account) {
                    Ok(ended.equity[account])
                } else {
                    marks.equity(book, account)
                }
            });
        }
        let equity = marks.equities(book, meter)?;
        // Another run may have come first: its equities are the same.
        let _ = self.ended.set(Ended {
            equity: equity.clone(),
            untouched: (0..book.len()).map(|account| book.is_untouched(account)).collect(),
        });
        Ok(equity)
    }
}

fn all(verdicts: &[Verdict], wanted: Verdict) -> impl Iterator<Item = usize> + '_ {
    let found = move |(account, verdict): (usize, &Verdict)| (*verdict == wanted).then_some(account);
    verdicts.iter().enumerate().filter_map(found)
}

fn fund_layers(setup: &Setup, state: &mut State) -> Result<()> {
    let p = &setup.protocol;
    let layers = [
        (Entity::Pool, p.pool.as_ref().map(|l| l.balance)),
        (Entity::Vault, p.vault.as_ref().map(|l| l.balance)),
        (Entity::Treasury, p.treasury.as_ref().map(|l| l.balance)),
    ];
    let layers = layers.map(|(entity, balance)| (Holder::Entity(entity), balance.unwrap_or(Amount::ZERO)));
    state.ledger.open_funds(setup.funds.own().count());
    let all_funds = setup.funds.all();
    let all_funds = all_funds.map(|fund| (funds::holder(fund), setup.funds.opening(p, fund)));
    for (to, amount) in all_funds.chain(layers) {
        let from = Holder::Entity(Entity::External);
        state
            .ledger
            .transfer(&mut state.book, from, to, setup.venue.home, amount)?;
    }
    // That the names of entities are taken is known when the book is read, without a protocol; those of its funds are not.
    let taken = |account: &usize| {
        setup
            .funds
            .own()
            .any(|f| setup.funds.name(f) == state.book.name(*account))
    };
    if setup.funds.any()
        && let Some(account) = (0..state.book.len()).find(taken)
    {
        let name = state.book.name(account);
        return Err(Error::Book(format!(
            "account {name:?} bears the name of an insurance fund"
        )));
    }
    Ok(())
}

fn health(setup: &Setup, book: &Book, marks: &impl Prices, account: usize, which: Requirement) -> Result<Health> {
    setup.margin.health(&setup.venue, book, account, marks, which)
}

fn test(setup: &Setup, book: &Book, marks: &impl Prices, account: usize, policy: OpeningPolicy) -> Result<Verdict> {
    if !book.has_position(account) {
        return Ok(Verdict::Fine);
    }
    let maintenance = health(setup, book, marks, account, Requirement::Maintenance)?;
    let initial = if setup.margin.has_initial() {
        health(setup, book, marks, account, Requirement::Initial)?
    } else {
        maintenance
    };
    let flagged = maintenance.fails() || initial.fails();
    let refused = match policy {
        OpeningPolicy::Keep => false,
        OpeningPolicy::Reject => flagged,
        OpeningPolicy::Rescale => flagged && initial.equity <= 0,
    };
    Ok(match (flagged, refused) {
        (_, true) => Verdict::Refused,
        (true, false) => Verdict::Flagged,
        (false, false) => Verdict::Fine,
    })
}

/// Empties an account that is not let in.
fn refuse(setup: &Setup, state: &mut State, account: usize, paid: &mut Paid) -> Result<()> {
    state.book.dismiss(account, &setup.venue, paid)?;
    state.book.accounts[account].status = Status::Rejected;
    state.records.rejected.push(RejectedRow {
        ts: setup.opening,
        account,
        kind: "opening",
        asset: None,
        amount: Amount::ZERO,
        trade: None,
        reason: "below a requirement at the open",
    });
    Ok(())
}

/// Collateral comes from outside, costs go to the counterparty, which takes the other side of the positions. The accounts' own side
/// is in the book already. Lists the holders of each market.
fn enter(setup: &Setup, book: &Book, paid: &Paid, meter: &Meter<'_>) -> Result<(Ledger, Vec<Vec<u32>>)> {
    let counterparty = setup.protocol.counterparty.entity();
    let mut ledger = Ledger::new(&setup.venue);
    for (asset, (&collateral, &cost)) in paid.collateral.iter().zip(&paid.cost).enumerate() {
        ledger.open_cash(counterparty, asset, collateral, cost)?;
    }
    let before = &ledger;
    let sides: Vec<Result<Vec<Side>>> = share_out(book, setup.venue.markets.len())
        .into_par_iter()
        .enumerate()
        .map(|(lot, markets)| {
            let sides = markets
                .into_iter()
                .map(|market| Side::new(before, counterparty, market));
            take_sides(book, sides.collect(), |accounts| {
                // All lots pass over the same accounts: one tells how far it is, the others ask whether to go on.
                meter.advance(if lot == 0 { accounts } else { 0 })
            })
        })
        .collect();
    let mut holders = vec![Vec::new(); setup.venue.markets.len()];
    for side in sides.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        ledger.open_market(counterparty, side.market, side.sizes, side.inventory)?;
        holders[side.market] = side.holders;
    }
    Ok((ledger, holders))
}

/// The counterparty's side of a market.
struct Side {
    market: MarketId,
    inventory: Inventory,
    /// Sum of the accounts' sizes.
    sizes: Size,
    /// Accounts with a leg here, in order.
    holders: Vec<u32>,
}

impl Side {
    fn new(ledger: &Ledger, counterparty: Entity, market: MarketId) -> Self {
        Self {
            market,
            inventory: ledger.inventory(counterparty, market),
            sizes: Size::ZERO,
            holders: Vec::new(),
        }
    }

    fn take(&mut self, account: u32, leg: &Leg) -> Result<()> {
        if self.holders.last() != Some(&account) {
            self.holders.push(account);
        }
        // An account that was refused has no size.
        if !leg.size.is_zero() {
            self.inventory.take(leg.size.negated(), leg.entry_value.negated())?;
            self.sizes = self.sizes.plus(leg.size)?;
        }
        Ok(())
    }
}

/// Gives the legs in these markets to their sides, in order of accounts.
fn take_sides(book: &Book, mut sides: Vec<Side>, progress: impl Fn(u64) -> Result<()>) -> Result<Vec<Side>> {
    let mut of_market: Vec<Option<usize>> = Vec::new();
    for (at, side) in sides.iter().enumerate() {
        of_market.resize(of_market.len().max(side.market + 1), None);
        of_market[side.market] = Some(at);
    }
    for start in (0..book.len()).step_by(SHARE) {
        let end = book.len().min(start + SHARE);
        for account in start..end {
            for leg in book.legs(account) {
                if let Some(&Some(at)) = of_market.get(leg.market) {
                    sides[at].take(account as u32, leg)?;
                }
            }
        }
        progress((end - start) as u64)?;
    }
    Ok(sides)
}

/// Markets in as many lots as there are threads, with about as many legs in each.
fn share_out(book: &Book, markets: usize) -> Vec<Vec<MarketId>> {
    let mut counts = vec![0usize; markets];
    for leg in book.all_legs() {
        counts[leg.market] += 1;
    }
    let mut order: Vec<MarketId> = (0..markets).collect();
    order.sort_by_key(|&market| std::cmp::Reverse(counts[market]));
    let mut lots = vec![(0, Vec::new()); rayon::current_num_threads().clamp(1, markets.max(1))];
    for market in order {
        if let Some(lot) = lots.iter_mut().min_by_key(|lot| lot.0) {
            lot.0 += counts[market];
            lot.1.push(market);
        }
    }
    lots.into_iter().map(|(_, lot)| lot).collect()
}

/// Cuts every leg to what the equity carries, at the trigger price, against the counterparty.
fn rescale(moment: &Moment<'_>, state: &mut State, marks: &impl Prices, account: usize) -> Result<()> {
    let setup = moment.setup;
    let health = health(setup, &state.book, marks, account, Requirement::Initial)?;
    let counterparty = setup.protocol.counterparty.entity();
    for index in 0..state.book.legs(account).len() {
        let leg = state.book.legs(account)[index];
        let units = i128::from(leg.size.units());
        let keep = mul_div_floor(units, health.equity, health.requirement.max(1), "size at the open")?.min(units);
        let cut = u64::try_from(units - keep).unwrap_or(0);
        if cut == 0 {
            continue;
        }
        let size: Size = leg.size.of_same_sign(cut)?;
        let market = &setup.venue.markets[leg.market];
        let amount = market.value(size, marks.market(leg.market, leg.size))?;
        let (from, to) = (Holder::Entity(counterparty), Holder::Account(account));
        state.post(moment, None, PostingKind::Rescale, from, to, market.settlement, amount)?;
        state
            .ledger
            .reduce_leg(&mut state.book.legs_mut(account)[index], size)?;
        state.ledger.take(counterparty, leg.market, size, amount)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
