//! The replay: ticks, book and protocol in, records out.
//!
//! Phases: feeds and index; the opening; the first trigger of every account (in parallel); the event loop (in the order of semantics,
//! section 3); the end of the tape. Results do not depend on the number of threads: a parallel phase only answers independent
//! queries, and the event loop is serial.

mod event_loop;
mod events;
mod marks;
mod opening;
mod queue;

use crate::book::{Book, BookFrames};
use crate::config::{FeedConfig, Layer, Options, Protocol, Reference, Source};
use crate::contract::Venue;
use crate::error::{Error, Result};
use crate::feeds::FeedFactory;
use crate::ledger::{Entity, Ledger};
use crate::margin::Margin;
use crate::progress::{Meter, Progress, Silent};
use crate::records::BadDebtRow;
use crate::search::BlockScan;
use crate::state::{Moment, Setup, State};
use crate::tape::Tape;
use crate::units::{Amount, Usd};
use crate::waterfall::socialised;

use event_loop::{PrintTape, Replayer};
use marks::Marks;

/// A finished run.
pub struct Run {
    /// What did not change.
    pub setup: Setup,
    /// Book, ledger and records as they ended.
    pub state: State,
    /// Cash of the accounts after the opening, in the order of the book's.
    pub opening_cash: Vec<Amount>,
    /// Sizes of the accounts after the opening, in the order of the book's legs.
    pub opening_sizes: Vec<i64>,
    /// Ledger of the entities after the opening.
    pub opening_ledger: Ledger,
    /// Options of the run.
    pub options: Options,
    /// Ticks on the tape.
    pub ticks: usize,
    /// What the end of the session moved from the socialised layer to later ones (None: uncovered).
    pub passed_on: Vec<(Option<Layer>, Usd)>,
    /// Negative equity of accounts never closed: (account, dollars).
    pub open: Vec<(usize, Usd)>,
    /// Result of the vault from takeover to the end of the tape.
    pub takeover_pnl: Usd,
}

/// Replays a tape through a protocol.
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
    let (Some(opening), Some(end)) = (tape.start(), tape.end()) else {
        return Err(Error::Data("the tape has no ticks".to_owned()));
    };
    if !progress.step("feeds", 0, 1) {
        return Err(Error::Interrupted);
    }
    let venue = Venue::bind(tape)?;
    for name in protocol.margin.markets.keys() {
        if venue.market(name).is_none() {
            return Err(Error::Config(format!(
                "protocol: margin.markets: there is no market {name:?} on the tape"
            )));
        }
    }
    let (book, events) = Book::bind(frames, &venue)?;
    check_indices(&venue, &book, &protocol, &options)?;
    if let Some(row) = events.iter().position(|e| e.ts < opening) {
        return Err(Error::Book(format!(
            "events frame, row {row}, column ts: the event comes before the first tick"
        )));
    }
    let feeds = FeedFactory::new(tape, &venue, &protocol).feeds(&options)?;
    let margin = Margin::bind(&protocol, &venue)?;
    let setup = Setup {
        venue,
        protocol,
        feeds,
        margin,
        opening,
        end,
    };

    let opened = opening::open(&setup, book, options.opening, progress)?;
    let index = BlockScan::new(&setup.venue, &setup.margin, &setup.feeds, opening, end);
    let opening::Opened {
        state,
        cash,
        sizes,
        ledger,
    } = opened;
    let prints = PrintTape { tape, setup: &setup };
    let mut replayer = Replayer::new(&setup, state, &index, prints, events, progress);
    replayer.first_triggers()?;
    replayer.run()?;
    let mut state = replayer.state;

    let last = Moment::new(&setup, end);
    let passed_on = socialised::settle(&mut state, &last)?;
    state.ledger.check()?;
    state.ledger.recount(&state.book)?;
    let open = open_shortfalls(&mut state, &last)?;
    let vault = setup.protocol.vault.as_ref().map_or(Usd::ZERO, |v| Usd(v.balance.0));
    let takeover_pnl = last.entity_equity(&state.ledger, Entity::Vault)?.minus(vault)?;
    Ok(Run {
        setup,
        state,
        opening_cash: cash,
        opening_sizes: sizes,
        opening_ledger: ledger,
        options,
        ticks: tape.rows(),
        passed_on,
        open,
        takeover_pnl,
    })
}

/// A feed that needs an index needs it for every market in which the book has a position.
fn check_indices(venue: &Venue, book: &Book, protocol: &Protocol, options: &Options) -> Result<()> {
    let needs = |name: &str| -> bool {
        let mut config = protocol.feeds.get(name);
        if let Some(FeedConfig::Push { source, .. }) = config {
            if source == "index" && !protocol.feeds.contains_key("index") {
                return true;
            }
            config = protocol.feeds.get(source);
        }
        match config {
            Some(FeedConfig::Last { source, .. }) => *source == Source::Index,
            Some(FeedConfig::Push { .. }) => false,
            None => name == "index",
        }
    };
    let reference = match &options.reference {
        Reference::Named(name) => name == "index",
        Reference::Feed(FeedConfig::Last { source, .. }) => *source == Source::Index,
        Reference::Feed(FeedConfig::Push { source, .. }) => source == "index",
    };
    let uses = [
        ("protocol: trigger_feed", needs(&protocol.trigger_feed)),
        ("protocol: execution_feed", needs(&protocol.execution_feed)),
        ("reference", reference),
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
    let equities = Marks::at(last).equities(&state.book, &Meter::new(&Silent, "closing", 0))?;
    for (account, &equity) in equities.iter().enumerate() {
        if equity.0 >= 0 || state.book.accounts[account].status.is_closed() {
            continue;
        }
        let shortfall = equity.negated();
        open.push((account, shortfall));
        let assets = state.book.cash(account);
        state.records.bad_debt.push(BadDebtRow {
            ts: last.ts,
            account,
            event: None,
            asset: assets[0].0,
            amount: Amount::ZERO,
            third_party_fees: Usd::ZERO,
            waived: Usd::ZERO,
            paid: Vec::new(),
            give_up: Usd::ZERO,
            uncovered: shortfall,
            overshoot: Usd::ZERO,
            subsidy: Usd::ZERO,
            recovered: Vec::new(),
        });
    }
    state.records.closing_equity = equities;
    Ok(open)
}
