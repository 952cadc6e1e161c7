//! The replay: ticks, book and protocol in, records out.
//!
//! Phases: feeds and index; the opening; the first trigger of every account (in parallel); the event loop (in the order of semantics,
//! section 3); the end of the tape. Results do not depend on the number of threads: a parallel phase only answers independent
//! queries, and the event loop is serial.

mod accrual;
mod attempts;
mod delisting;
mod displacement;
mod event_loop;
mod events;
mod firsts;
mod futures;
mod kept;
mod liquidations;
mod marks;
mod opening;
mod orders;
mod outage;
mod parked;
mod pool_adl;
mod queue;
#[cfg(test)]
mod tests;
mod vault_adl;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::book::{Book, BookFrames};
use crate::config::{Counterparty, Layer, Options, Protocol};
use crate::contract::Venue;
use crate::error::{Error, Result};
use crate::feeds::{FeedMaker, FeedPlan, FeedUse};
use crate::impact::Impact;
use crate::keeper::Keeper;
use crate::ledger::{Entity, Holder, Ledger};
use crate::margin::Margin;
use crate::payout::{self, Payout};
use crate::progress::{Meter, Progress};
use crate::records::BadDebtRow;
use crate::search::{Index, Search};
use crate::state::{Board, Moment, Setup, State};
use crate::tape::Tape;
use crate::terms::TermsMaker;
use crate::ticks::Source;
use crate::units::{Amount, Size, Usd};
use crate::waterfall::funds::Funds;
use crate::waterfall::{socialised, token};

use event_loop::{Replayer, Session};
pub use kept::Kept;
use kept::{BookKey, FuturesKey, OpeningKey};
pub use opening::Held;
use opening::{Bound, Opened};
use windows::{Chunks, Whole, Windows};

/// What accounts and entities held after the opening.
pub struct Opening {
    /// Those of the accounts.
    pub held: Arc<Held>,
    /// Balances and inventories of the entities.
    pub ledger: Ledger,
    /// Equity at the reference: fund, pool, treasury, vault, token.
    pub layers: [Usd; 5],
    /// Equity of each insurance fund, the general one first.
    pub funds: Vec<Usd>,
}

/// A finished run.
pub struct Run {
    /// What did not change.
    pub setup: Setup,
    /// Book, ledger and records as they ended.
    pub state: State,
    /// As it was after the opening.
    pub opening: Opening,
    /// Options of the run.
    pub options: Options,
    /// Ticks on the tape.
    pub ticks: u64,
    /// What the end of the session moved from the socialised layer to later ones (None: uncovered).
    pub passed_on: Vec<(Option<Layer>, Usd)>,
    /// Negative equity of accounts never closed: (account, dollars).
    pub open: Vec<(usize, Usd)>,
    /// Result of the vault from takeover to the end of the tape.
    pub takeover_pnl: Usd,
    /// What keepers, and a pool that is not the book's counterparty, made of the positions that they took over.
    pub taken: Vec<(Entity, Usd)>,
    /// Equity at the reference at the end: fund, pool, treasury, vault, token.
    pub layers: [Usd; 5],
    /// The same of each insurance fund, the general one first.
    pub funds: Vec<Usd>,
    /// What roundings left over.
    pub rounding: Usd,
}

/// Replays a tape in memory through a protocol.
///
/// # Errors
/// [`Error::Config`], [`Error::Book`] or [`Error::Data`] for input that cannot be used, [`Error::Overflow`],
/// [`Error::Interrupted`] when `progress` asks to stop.
pub fn replay(
    tape: &Tape,
    frames: &BookFrames,
    protocol: Protocol,
    options: Options,
    progress: &dyn Progress,
) -> Result<Run> {
    run(Whole::new(tape), None, frames, protocol, options, progress)
}

/// [`replay`], with what earlier runs on the same tape have kept. A book is known by its `Arc`.
///
/// # Errors
/// Those of [`replay`].
pub fn replay_kept(
    tape: &Tape,
    kept: &Kept,
    frames: &Arc<BookFrames>,
    protocol: Protocol,
    options: Options,
    progress: &dyn Progress,
) -> Result<Run> {
    let reuse = Reuse {
        kept,
        book: BookKey::new(frames),
    };
    run(Whole::new(tape), Some(&reuse), frames, protocol, options, progress)
}

/// What earlier runs kept, and the book for which it may be used.
struct Reuse<'a> {
    kept: &'a Kept,
    book: BookKey,
}

/// Replays a source chunk by chunk, about `chunk` ticks at a time: the tape need not fit in memory. The run is the same as
/// [`replay`]'s, to the last unit.
///
/// # Errors
/// Those of [`replay`] and of reading.
pub fn replay_stream(
    source: &Source,
    chunk: usize,
    frames: &BookFrames,
    protocol: Protocol,
    options: Options,
    progress: &dyn Progress,
) -> Result<Run> {
    let windows = Chunks::open(source, chunk, protocol.needs_sizes(), progress)?;
    run(windows, None, frames, protocol, options, progress)
}

/// The run over all windows. What is kept for `reuse` is of a tape that is one window.
fn run(
    mut windows: impl Windows,
    reuse: Option<&Reuse<'_>>,
    frames: &BookFrames,
    protocol: Protocol,
    options: Options,
    progress: &dyn Progress,
) -> Result<Run> {
    let (opening, end) = windows.span()?;
    progress.check("feeds", 0, 1)?;
    let venue = Venue::bind(windows.header())?;
    for name in protocol.margin.markets.keys() {
        if venue.market(name).is_none() {
            return Err(Error::Config(format!(
                "protocol: margin.markets: there is no market {name:?} on the tape"
            )));
        }
    }
    let bind = || Bound::new(frames, &venue, progress);
    let bound = match reuse {
        Some(reuse) => reuse.kept.book(reuse.book.clone(), bind)?,
        None => Arc::new(bind()?),
    };
    if let Some(row) = bound.events.iter().position(|e| e.ts < opening) {
        return Err(Error::Book(format!(
            "events frame, row {row}, column ts: the event comes before the first tick"
        )));
    }
    let mut maker = FeedMaker::new(windows.header(), opening, &venue, &protocol, &options)?;
    check_indices(&venue, bound.book(), &protocol, maker.plan())?;
    let mut terms_maker = TermsMaker::new(windows.header(), &venue, &protocol, opening)?;
    let margin = Margin::bind(&protocol, &venue)?;
    let payout = Payout::bind(&protocol, &venue)?;
    let funds = Funds::bind(&protocol, &venue)?;
    let keeper = Keeper::bind(&protocol.keeper, opening)?;
    let setup = Setup {
        venue,
        protocol,
        margin,
        payout,
        funds,
        opening,
        end,
    };
    let mut used = bound.used.clone();
    if let Some(market) = token::market(&setup)? {
        used[market] = true;
        if let Some(index) = setup.venue.markets[market].index {
            used[index] = true;
        }
    }
    windows.keep(&used);
    let first = windows.first_states(progress)?;
    let ticks = windows.ticks();

    // What the windows before left: nothing, before the opening.
    let mut unopened = Some(bound);
    let mut carried: Option<(Session, Opening)> = None;
    let mut after = None;
    let mut board: Option<Board> = None;
    let mut begun: Option<Arc<Opened>> = None;
    let mut impact = Impact::bind(&setup.protocol, &setup.venue)?;
    while let Some(tape) = windows.next(progress)? {
        let until = tape.end().unwrap_or(end);
        let plan = maker.plan().clone();
        let index_plan = plan.index();
        let mut make = || maker.advance(&tape, &first, until);
        let feeds = match reuse {
            Some(reuse) => reuse.kept.feeds(plan.clone(), make)?,
            None => Arc::new(make()?),
        };
        let terms = match &mut terms_maker {
            None => None,
            Some(maker) => Some(Arc::new(maker.advance(&setup.venue, &tape, &first, until)?)),
        };
        let before = board.take().and_then(Board::into_impact);
        let here = Board::new(Arc::clone(&feeds))
            .with_terms(terms.clone())
            .with_impact(before.or_else(|| impact.take()));
        let mut known = None;
        if let Some(bound) = unopened.take() {
            let policy = options.opening;
            let make = || Opened::new(&setup, &here, &bound, policy, progress);
            let opened = match reuse {
                Some(reuse) => {
                    let key = OpeningKey::new(reuse.book.clone(), policy, plan, &setup.protocol);
                    let keeper = setup.protocol.keeper.clone();
                    known = Some((
                        reuse.kept,
                        FuturesKey {
                            opening: key.clone(),
                            keeper,
                        },
                    ));
                    reuse.kept.opening(key, make)?
                }
                None => Arc::new(make()?),
            };
            let (mut state, opening) = opened.begin(&setup, &here, &bound, policy, progress)?;
            begun = Some(opened);
            state.records.spill_to(options.spill.clone());
            carried = Some((Session::new(state, bound.events.clone(), &keeper, &setup)?, opening));
        }
        let Some((session, opened)) = carried.take() else { break };
        let since = after.map_or(Some(opening), |t: i64| t.checked_add(1)).unwrap_or(until);
        let block = options.block_ticks;
        let make = || Index::new(&setup.venue, &feeds, (since, until), block, progress);
        let index = match reuse {
            Some(reuse) => reuse.kept.index(index_plan, block, make)?,
            None => Arc::new(make()?),
        };
        let search = Search::new(&setup.venue, &setup.margin, &index).with_terms(terms.as_deref());
        let mut replayer = Replayer::new(session, &setup, &keeper, &here, &search, (since, until), progress);
        replayer.first_triggers(after, known)?;
        replayer.run()?;
        carried = Some((replayer.into_session(), opened));
        after = Some(until);
        board = Some(here);
    }
    let (Some((mut session, opened)), Some(board), Some(begun)) = (carried, board, begun) else {
        return Err(Error::Invariant("a tape with ticks has no window".to_owned()));
    };
    session.turn_down_late_events();
    let mut state = session.state;

    let last = Moment::new(&setup, &board, end);
    payout::close_all(&mut state, &last)?;
    let passed_on = socialised::settle(&mut state, &last)?;
    state.ledger.check()?;
    state.ledger.recount(&state.book)?;
    let meter = Meter::new(progress, "closing", state.book.len() as u64);
    state.records.closing_equity = begun.closing_equities(&state.book, &last, &meter)?;
    let open = open_shortfalls(&mut state, &last)?;
    let vault = setup.protocol.vault.as_ref().map_or(Usd::ZERO, |v| Usd(v.balance.0));
    let takeover_pnl = last.entity_equity(&state.ledger, Entity::Vault)?.minus(vault)?;
    let taken = taken_over(&state, &last)?;
    let rounding = last.entity_equity(&state.ledger, Entity::Rounding)?;
    let layers = last.layer_equities(&state.ledger)?;
    let funds = last.fund_equities(&state.ledger)?;
    Ok(Run {
        setup,
        state,
        opening: opened,
        options,
        ticks,
        passed_on,
        open,
        takeover_pnl,
        taken,
        layers,
        funds,
        rounding,
    })
}

/// What those who take positions over beside the vault made of them: worth at the end, at the reference, less what they paid.
fn taken_over(state: &State, last: &Moment<'_>) -> Result<Vec<(Entity, Usd)>> {
    let setup = last.setup;
    let protocol = &setup.protocol;
    let takes = |taker: Counterparty| match taker {
        Counterparty::Keepers => true,
        Counterparty::Pool => protocol.counterparty != Counterparty::Pool,
        Counterparty::Outside | Counterparty::Vault => false,
    };
    let remainder = protocol.execution.bound.and_then(|bound| bound.remainder.taker());
    let takers: Vec<Entity> = [Some(protocol.execution.counterparty), remainder]
        .into_iter()
        .flatten()
        .filter(|&taker| takes(taker))
        .map(Counterparty::entity)
        .collect();
    if takers.is_empty() {
        return Ok(Vec::new());
    }
    let mut held: BTreeMap<(Entity, usize), (Size, Amount)> = BTreeMap::new();
    state.records.liquidations.each(|_, row| {
        if takers.contains(&row.counterparty) {
            let (size, paid) = held
                .entry((row.counterparty, row.market))
                .or_insert((Size(0), Amount::ZERO));
            (*size, *paid) = (size.plus(row.size)?, paid.plus(row.amount)?);
        }
        Ok(())
    })?;
    let mut results: BTreeMap<Entity, Usd> = BTreeMap::new();
    for ((entity, market), (size, paid)) in held {
        let terms = &setup.venue.markets[market];
        let settled = state.records.settled.get(&market).copied();
        let price = settled.unwrap_or_else(|| last.reference(market));
        let made = terms.value(size, price)?.minus(paid)?;
        let result = results.entry(entity).or_default();
        *result = result.plus(last.usd(terms.settlement, made)?)?;
    }
    Ok(results.into_iter().collect())
}

/// Markets whose prices can matter: those in which the book has positions, those that price what it holds, and their indices.
/// Whatever feeds are made from, those of a market read its own ticks and those of its index only.
fn used_markets(venue: &Venue, book: &Book) -> Vec<bool> {
    let mut assets = vec![false; venue.assets.len()];
    let mut used = vec![false; venue.markets.len()];
    assets[venue.home] = true;
    for &(asset, _) in book.all_cash() {
        assets[asset] = true;
    }
    for leg in book.all_legs() {
        used[leg.market] = true;
        assets[venue.markets[leg.market].settlement] = true;
    }
    for market in assets
        .iter()
        .zip(&venue.assets)
        .filter_map(|(held, a)| a.price_market.filter(|_| *held))
    {
        used[market] = true;
    }
    let mut next: Vec<usize> = (0..used.len()).filter(|&market| used[market]).collect();
    while let Some(market) = next.pop() {
        if let Some(index) = venue.markets[market].index.filter(|&index| !used[index]) {
            used[index] = true;
            next.push(index);
        }
    }
    used
}

/// A feed that needs an index needs it for every market in which the book has a position.
fn check_indices(venue: &Venue, book: &Book, protocol: &Protocol, plan: &FeedPlan) -> Result<()> {
    let adl = protocol
        .adl_feed
        .as_ref()
        .map_or("protocol: trigger_feed", |_| "protocol: adl_feed");
    let uses = [
        ("protocol: trigger_feed", plan.needs_index(FeedUse::Trigger)),
        ("protocol: execution_feed", plan.needs_index(FeedUse::Execution)),
        (adl, plan.needs_index(FeedUse::Adl)),
        ("protocol: adl.price_feed", plan.needs_index(FeedUse::AdlPrice)),
        ("reference", plan.needs_index(FeedUse::Reference)),
        ("protocol: delistings.price.feed", plan.needs_index(FeedUse::Settlement)),
        ("protocol: guard", plan.needs_index(FeedUse::Guard)),
    ];
    for (field, needed) in uses {
        if !needed {
            continue;
        }
        for account in 0..book.len() {
            if let Some(leg) = book
                .legs(account)
                .iter()
                .find(|l| venue.markets[l.market].index.is_none())
            {
                return Err(Error::Config(format!(
                    "{field}: market {} has no index; name one in its definition",
                    venue.markets[leg.market].name
                )));
            }
        }
    }
    Ok(())
}

fn open_shortfalls(state: &mut State, last: &Moment<'_>) -> Result<Vec<(usize, Usd)>> {
    let mut open = Vec::new();
    for account in 0..state.book.len() {
        let equity = state.records.closing_equity[account];
        if equity.0 >= 0 || state.book.accounts[account].status.is_closed() {
            continue;
        }
        let shortfall = equity.negated();
        let charged = &state.records.charged_at_end;
        let (assessed, accrued) = charged
            .binary_search_by_key(&account, |c| c.0)
            .map_or((Usd::ZERO, Usd::ZERO), |at| (charged[at].1, charged[at].2));
        let assessments = shortfall.min(assessed);
        open.push((account, shortfall));
        let assets = state.book.cash(account);
        state.records.lose(BadDebtRow {
            assessments,
            funding_borrow: shortfall.minus(assessments)?.min(accrued),
            uncovered: shortfall,
            ..BadDebtRow::new(last.ts, Holder::Account(account), None, assets[0].0)
        })?;
        state.records.spill()?;
    }
    Ok(open)
}
