//! The opening: collateral comes in, positions are entered against the counterparty, and every account is tested once.

use super::Opening;
use crate::book::{Book, Status};
use crate::config::OpeningPolicy;
use crate::error::Result;
use crate::ledger::{Entity, Holder, Ledger, PostingKind};
use crate::margin::{Health, Requirement};
use crate::progress::Progress;
use crate::records::{AccountSummary, Records, RejectedRow};
use crate::state::{Board, Moment, Setup, State};
use crate::units::{Amount, Size, mul_div_floor};
use crate::waterfall::adl::Queues;

/// Accounts between two looks at the progress.
const POLL: usize = 4096;

/// Opens the book: the state with which the run starts, and what all held then.
pub fn open(
    setup: &Setup,
    board: &Board,
    book: Book,
    policy: OpeningPolicy,
    progress: &dyn Progress,
) -> Result<(State, Opening)> {
    let accounts = book.len();
    let mut holders: Vec<Vec<u32>> = vec![Vec::new(); setup.venue.markets.len()];
    for account in 0..accounts {
        for leg in book.legs(account) {
            let list = &mut holders[leg.market];
            let number = account as u32;
            if list.last() != Some(&number) {
                list.push(number);
            }
        }
    }
    let records = Records {
        accounts: vec![AccountSummary::default(); accounts],
        ..Records::default()
    };
    let mut state = State {
        book,
        ledger: Ledger::new(&setup.venue),
        records,
        holders,
        deleveraging: Queues::default(),
        cover: Vec::new(),
    };
    fund_layers(setup, &mut state)?;
    let moment = Moment::new(setup, board, setup.opening);
    for account in 0..accounts {
        if account.is_multiple_of(POLL) {
            progress.check("opening", account as u64, accounts as u64)?;
        }
        // Tested as it would stand, before anyone else is touched.
        charge_costs(setup, &mut state, account, true)?;
        let flagged = is_flagged(setup, &state, &moment, account)?;
        let refused = match policy {
            OpeningPolicy::Keep => false,
            OpeningPolicy::Reject => flagged,
            OpeningPolicy::Rescale => flagged && hopeless(setup, &state, &moment, account)?,
        };
        charge_costs(setup, &mut state, account, false)?;
        if refused {
            reject(setup, &mut state, account)?;
        } else {
            enter(setup, &mut state, account)?;
        }
        state.records.flagged += u64::from(flagged);
        state.book.accounts[account].opening = flagged;
    }
    state.ledger.check()?;
    let cash = (0..accounts).map(|a| state.book.cash(a).to_vec()).collect();
    let sizes = (0..accounts)
        .map(|a| state.book.legs(a).iter().map(|l| l.size.0).collect())
        .collect();
    let ledger = state.ledger.clone();
    if policy == OpeningPolicy::Rescale {
        for account in 0..accounts {
            if state.book.accounts[account].opening && state.book.accounts[account].status == Status::Open {
                rescale(setup, &mut state, &moment, account)?;
            }
        }
    }
    for account in 0..accounts {
        state.records.accounts[account].opening_equity = moment.account_equity(&state.book, account)?;
        if policy != OpeningPolicy::Keep {
            state.book.accounts[account].opening = false;
        }
    }
    Ok((state, Opening { cash, sizes, ledger }))
}

fn fund_layers(setup: &Setup, state: &mut State) -> Result<()> {
    let p = &setup.protocol;
    let layers = [
        (Entity::InsuranceFund, p.insurance_fund.as_ref().map(|l| l.balance)),
        (Entity::Pool, p.pool.as_ref().map(|l| l.balance)),
        (Entity::Vault, p.vault.as_ref().map(|l| l.balance)),
        (Entity::Treasury, p.treasury.as_ref().map(|l| l.balance)),
    ];
    for (entity, balance) in layers {
        let amount = balance.unwrap_or(Amount::ZERO);
        let (from, to) = (Holder::Entity(Entity::External), Holder::Entity(entity));
        state
            .ledger
            .transfer(&mut state.book, from, to, setup.venue.home, amount)?;
    }
    Ok(())
}

/// Collateral from outside, cost of the positions to the counterparty. The book as bound already holds the collateral as cash.
fn enter(setup: &Setup, state: &mut State, account: usize) -> Result<()> {
    let counterparty = setup.protocol.counterparty.entity();
    let collateral = state.book.cash(account).to_vec();
    for (asset, amount) in collateral {
        // The account's side is there already: take it out, and let it come in as a transfer.
        state.book.credit(account, asset, amount.negated())?;
        let (from, to) = (Holder::Entity(Entity::External), Holder::Account(account));
        state.ledger.transfer(&mut state.book, from, to, asset, amount)?;
    }
    for leg in state.book.legs(account).to_vec() {
        let asset = setup.venue.markets[leg.market].settlement;
        let (from, to) = (Holder::Account(account), Holder::Entity(counterparty));
        state
            .ledger
            .transfer(&mut state.book, from, to, asset, leg.entry_value)?;
        state.ledger.open_leg(&leg, counterparty)?;
    }
    Ok(())
}

/// Takes what the positions cost from the account's cash, or gives it back; nobody else is touched.
fn charge_costs(setup: &Setup, state: &mut State, account: usize, take: bool) -> Result<()> {
    for leg in state.book.legs(account).to_vec() {
        let cost = if take {
            leg.entry_value.negated()
        } else {
            leg.entry_value
        };
        state
            .book
            .credit(account, setup.venue.markets[leg.market].settlement, cost)?;
    }
    Ok(())
}

/// Empties an account that was not entered.
fn reject(setup: &Setup, state: &mut State, account: usize) -> Result<()> {
    for leg in state.book.legs_mut(account) {
        (leg.size, leg.entry_value) = (Size::ZERO, Amount::ZERO);
    }
    for (asset, amount) in state.book.cash(account).to_vec() {
        state.book.credit(account, asset, amount.negated())?;
    }
    state.book.accounts[account].status = Status::Rejected;
    state.records.rejected.push(RejectedRow {
        ts: setup.opening,
        account,
        kind: "opening",
        asset: None,
        amount: Amount::ZERO,
        reason: "below a requirement at the open",
    });
    Ok(())
}

fn initial(setup: &Setup, state: &State, moment: &Moment<'_>, account: usize) -> Result<Health> {
    setup
        .margin
        .health(&setup.venue, &state.book, account, moment, Requirement::Initial)
}

fn is_flagged(setup: &Setup, state: &State, moment: &Moment<'_>, account: usize) -> Result<bool> {
    if !state.book.has_position(account) {
        return Ok(false);
    }
    let maintenance = setup
        .margin
        .health(&setup.venue, &state.book, account, moment, Requirement::Maintenance)?;
    Ok(maintenance.fails() || initial(setup, state, moment, account)?.fails())
}

fn hopeless(setup: &Setup, state: &State, moment: &Moment<'_>, account: usize) -> Result<bool> {
    Ok(initial(setup, state, moment, account)?.equity <= 0)
}

/// Cuts every leg to what the equity carries, at the trigger price, against the counterparty.
fn rescale(setup: &Setup, state: &mut State, moment: &Moment<'_>, account: usize) -> Result<()> {
    let health = initial(setup, state, moment, account)?;
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
        let amount = market.value(size, moment.trigger(leg.market))?;
        let (from, to) = (Holder::Entity(counterparty), Holder::Account(account));
        state.post(moment, None, PostingKind::Rescale, from, to, market.settlement, amount)?;
        state
            .ledger
            .reduce_leg(&mut state.book.legs_mut(account)[index], size)?;
        state.ledger.take(counterparty, leg.market, size, amount)?;
    }
    Ok(())
}
