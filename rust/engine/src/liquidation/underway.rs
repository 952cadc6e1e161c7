//! What is remembered of an account between the actions of its liquidation (semantics, section 5a).

use std::collections::BTreeMap;

use crate::book::{Book, Holding};
use crate::config::StopRequirement;
use crate::error::{Error, Result};
use crate::margin::{OpenInterest, Prices, Requirement, WithInterest};
use crate::state::{Moment, Setup, State};
use crate::units::product;

/// An account of which an action has closed a part.
#[derive(Debug, Clone, Default)]
pub struct Underway {
    /// Its liquidation is still going on.
    pub going_on: bool,
    /// By leg: what this liquidation has closed so far.
    pub closed: Vec<u64>,
    /// No action is due earlier.
    pub not_before: i64,
}

/// The accounts of which an action has closed a part.
#[derive(Debug, Clone, Default)]
pub struct Liquidations(BTreeMap<usize, Underway>);

impl Liquidations {
    /// What is remembered of an account.
    pub fn of(&self, account: usize) -> Option<&Underway> {
        self.0.get(&account)
    }

    /// True if the liquidation of the account is going on.
    pub fn going_on(&self, account: usize) -> bool {
        self.of(account).is_some_and(|u| u.going_on)
    }

    /// The first instant from `ts` on at which an action on the account may be due.
    pub fn earliest(&self, account: usize, ts: i64) -> i64 {
        self.of(account).map_or(ts, |u| u.not_before.max(ts))
    }

    /// An action has closed `units` of the legs `indices` of an account that has so many.
    pub fn note(&mut self, account: usize, legs: usize, units: impl Iterator<Item = (usize, u64)>, not_before: i64) {
        let underway = self.0.entry(account).or_default();
        underway.going_on = true;
        underway.not_before = not_before;
        underway.closed.resize(legs, 0);
        for (leg, units) in units {
            underway.closed[leg] += units;
        }
    }

    /// The liquidation of the account is over; what follows is another one.
    pub fn end(&mut self, account: usize) {
        if let Some(underway) = self.0.get_mut(&account) {
            underway.going_on = false;
            underway.closed.fill(0);
        }
    }
}

/// True if positions and cash are such that their liquidation ends.
///
/// # Errors
/// Overflow.
pub fn is_healthy(setup: &Setup, holding: Holding<'_>, prices: &impl Prices) -> Result<bool> {
    if holding.legs.iter().all(|l| l.size.is_zero()) {
        return Ok(true);
    }
    let stop = &setup.protocol.close.stop;
    let maintenance = setup
        .margin
        .health_of(&setup.venue, holding, prices, Requirement::Maintenance)?;
    if maintenance.fails() {
        return Ok(false);
    }
    let health = match stop.requirement {
        StopRequirement::Maintenance => maintenance,
        StopRequirement::Initial => setup
            .margin
            .health_of(&setup.venue, holding, prices, Requirement::Initial)?,
    };
    let equity = product(health.equity, stop.factor.den, "stop of a liquidation")?;
    Ok(equity >= product(health.requirement, stop.factor.num, "stop of a liquidation")?)
}

/// The open interest, as far as the stop of a liquidation depends on it.
///
/// # Errors
/// Overflow.
pub fn open_interest_of_stop(setup: &Setup, book: &Book) -> Result<OpenInterest> {
    match setup.protocol.close.stop.requirement {
        StopRequirement::Maintenance => Ok(OpenInterest::default()),
        StopRequirement::Initial => setup.margin.open_interest(&setup.venue, book),
    }
}

/// [`is_healthy`] of an account as it stands.
///
/// # Errors
/// Overflow.
pub fn account_is_healthy(state: &State, moment: &Moment<'_>, account: usize) -> Result<bool> {
    let cash = &state.book.net_cash(account)?;
    let legs = state.book.legs(account);
    let open_interest = &open_interest_of_stop(moment.setup, &state.book)?;
    let prices = WithInterest {
        prices: moment,
        open_interest,
    };
    is_healthy(moment.setup, Holding { legs, cash }, &prices)
}

/// When the next action after a partial one at `ts` may be due at the earliest.
///
/// # Errors
/// Overflow.
pub fn after_pause(setup: &Setup, ts: i64) -> Result<i64> {
    ts.checked_add(setup.protocol.close.pause)
        .ok_or_else(|| Error::overflow("pause of a liquidation"))
}
