//! Where insurance funds get money from: shares of the fees on what trades on the tape, and injections, scheduled or whenever a fund is
//! low (semantics, section 6).
//!
//! Volume is summed as the replay goes, print after print, by market: a share is due at whole multiples of its cadence, and takes what
//! has traded since the last one. What a window of the tape leaves is carried to the next, so that the windows do not show.

use crate::config::{Giver, InjectionConfig, SourcesConfig};
use crate::contract::MarketId;
use crate::error::{Error, Result};
use crate::feeds::Feeds;
use crate::ledger::{Entity, FundId, Holder, PostingKind};
use crate::state::{Moment, Setup, State};
use crate::units::{Amount, Price, Ratio, Size};
use crate::waterfall::{funds, limits};

/// The fund's part of the fees of a market.
#[derive(Debug)]
struct FeeShare {
    market: MarketId,
    fund: Option<FundId>,
    /// Of what trades.
    part: Ratio,
    every: i64,
    due: i64,
    /// Traded since the last payment.
    turnover: Amount,
    /// First print of the window that is not in it.
    next: usize,
}

impl FeeShare {
    /// Adds what has traded up to `t`.
    fn follow(&mut self, setup: &Setup, feeds: &Feeds, t: i64) -> Result<()> {
        let (market, prints) = (&setup.venue.markets[self.market], &feeds.prints[self.market].series);
        let sizes = feeds.sizes[self.market].as_deref().unwrap_or_default();
        while let (Some(&ts), Some(&size)) = (prints.ts.get(self.next), sizes.get(self.next)) {
            if ts > t {
                break;
            }
            let worth = market.value(Size(size), Price(prints.price[self.next]))?;
            self.turnover = self.turnover.plus(Amount(worth.0.abs()))?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Money from a giver.
#[derive(Debug)]
struct Injection {
    fund: Option<FundId>,
    giver: Giver,
    amount: Amount,
    /// What is left of the total.
    left: Option<Amount>,
    /// When it comes, if it is under way.
    due: Option<i64>,
    /// Below which level it is set off, and how long it then takes; None: it is scheduled.
    refill: Option<(Amount, i64)>,
}

/// All sources of a run.
#[derive(Debug, Default)]
pub struct Sources {
    fees: Vec<FeeShare>,
    injections: Vec<Injection>,
    /// When the next of them is due.
    next: Option<i64>,
}

impl Sources {
    fn find_next(&mut self) {
        let fees = self.fees.iter().map(|f| f.due);
        self.next = fees.chain(self.injections.iter().filter_map(|i| i.due)).min();
    }
}

fn first_multiple(interval: i64, after: i64) -> i64 {
    let next = after.div_euclid(interval).checked_add(1);
    next.and_then(|n| n.checked_mul(interval)).unwrap_or(i64::MAX)
}

/// Begins with what is due after the opening.
///
/// # Errors
/// [`Error::Config`] if it is not said what part of a market's volume is the book's.
pub fn open(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    let setup = moment.setup;
    let mut sources = Sources::default();
    for (fund, config) in setup.funds.all().zip(setup.protocol.fund_sources()) {
        let SourcesConfig { fees, injections } = config;
        let traded = (0..setup.venue.markets.len()).filter(|&m| !state.holders[m].is_empty());
        for market in traded.filter(|&m| setup.funds.of(m) == fund) {
            let Some(fees) = fees else { break };
            let name = &setup.venue.markets[market].name;
            let Some(scale) = setup.protocol.execution.book_scale.get(name) else {
                return Err(Error::Config(format!(
                    "protocol: execution.book_scale: expected the part of the volume of {name} that is the book's (1: all of it), of \
                     which insurance_fund.fees is a share"
                )));
            };
            let part = fees.rate.times(fees.share).and_then(|part| part.times(*scale));
            sources.fees.push(FeeShare {
                market,
                fund,
                part: part.ok_or_else(|| Error::overflow("share of the fees"))?,
                every: fees.every,
                due: first_multiple(fees.every, setup.opening),
                turnover: Amount::ZERO,
                next: 0,
            });
        }
        sources
            .injections
            .extend(injections.iter().map(|injection| match injection {
                InjectionConfig::Scheduled { at, amount, giver } => {
                    let at = at.on(setup.opening);
                    Injection {
                        fund,
                        giver: *giver,
                        amount: *amount,
                        left: Some(*amount),
                        due: (at > setup.opening).then_some(at),
                        refill: None,
                    }
                }
                InjectionConfig::Refill {
                    below,
                    amount,
                    total,
                    delay,
                    giver,
                } => Injection {
                    fund,
                    giver: *giver,
                    amount: *amount,
                    left: *total,
                    due: None,
                    refill: Some((*below, *delay)),
                },
            }));
    }
    sources.fees.sort_by_key(|f| f.market);
    state.sources = sources;
    set_off(state, moment)
}

/// When the next money comes.
pub fn next(state: &State) -> Option<i64> {
    state.sources.next
}

/// Pays what is due: shares of fees by market, then injections by fund; then sets off refills.
///
/// # Errors
/// Overflow.
pub fn pay_due(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    if state.sources.next.is_none_or(|next| next > moment.ts) {
        return Ok(());
    }
    let feeds = moment.board.feeds();
    for k in 0..state.sources.fees.len() {
        let share = &mut state.sources.fees[k];
        if share.due > moment.ts {
            continue;
        }
        share.follow(moment.setup, feeds, moment.ts)?;
        let amount = Amount(share.part.floor_of(share.turnover.0, "share of the fees")?);
        share.turnover = Amount::ZERO;
        share.due = first_multiple(share.every, moment.ts);
        let (from, to) = (Holder::Entity(Entity::Outside), funds::holder(share.fund));
        let asset = moment.setup.venue.markets[share.market].settlement;
        state.post(moment, None, PostingKind::FeeShare, from, to, asset, amount)?;
    }
    for k in 0..state.sources.injections.len() {
        if state.sources.injections[k].due.is_some_and(|due| due <= moment.ts) {
            inject(state, moment, k)?;
        }
    }
    set_off(state, moment)
}

/// What an injection brings now.
fn brings(state: &State, moment: &Moment<'_>, injection: &Injection) -> Amount {
    let home = moment.setup.venue.home;
    let amount = injection
        .left
        .map_or(injection.amount, |left| left.min(injection.amount));
    match injection.giver {
        Giver::External => amount,
        Giver::Treasury => amount.min(state.ledger.balance(Entity::Treasury, home).positive()),
    }
}

fn inject(state: &mut State, moment: &Moment<'_>, k: usize) -> Result<()> {
    let amount = brings(state, moment, &state.sources.injections[k]);
    let injection = &mut state.sources.injections[k];
    injection.due = None;
    if let Some(left) = &mut injection.left {
        *left = left.minus(amount)?;
    }
    let from = Holder::Entity(match injection.giver {
        Giver::External => Entity::External,
        Giver::Treasury => Entity::Treasury,
    });
    let (to, home) = (funds::holder(injection.fund), moment.setup.venue.home);
    state.post(moment, None, PostingKind::Injection, from, to, home, amount)
}

/// Sets off the refills of funds that are low; those without a delay come at once. Notes the capital that limits watch.
///
/// # Errors
/// Overflow.
pub fn set_off(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    for k in 0..state.sources.injections.len() {
        let injection = &state.sources.injections[k];
        let Some((below, delay)) = injection.refill.filter(|_| injection.due.is_none()) else {
            continue;
        };
        let level = moment.fund_equity(&state.ledger, injection.fund)?;
        if level.0 < below.0 && brings(state, moment, injection).0 > 0 {
            state.sources.injections[k].due = Some(moment.ts.saturating_add(delay));
            if delay == 0 {
                inject(state, moment, k)?;
            }
        }
    }
    state.sources.find_next();
    limits::note(state, moment)
}

/// After an action: what it took from funds may set off refills.
///
/// # Errors
/// Overflow.
pub fn after_action(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    if state.sources.injections.is_empty() {
        return Ok(());
    }
    set_off(state, moment)
}

/// Takes the rest of a window of the tape, which ends at `until`, into what has traded.
///
/// # Errors
/// Overflow.
pub fn end_window(state: &mut State, setup: &Setup, feeds: &Feeds, until: i64) -> Result<()> {
    for share in &mut state.sources.fees {
        share.follow(setup, feeds, until)?;
        share.next = 0;
    }
    Ok(())
}
