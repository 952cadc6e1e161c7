//! Limits of layers: caps by event, market and window of time, and triggers that start and stop a layer (semantics, section 6).
//!
//! Triggers are tested, and capital is noted, at the begin of every action and once before the first; capital is noted at the end of
//! every action too. What a layer may pay is asked in planning and in booking alike, so that both agree.

use std::collections::{BTreeMap, VecDeque};

use super::Claim;
use crate::config::{Capital, Layer, LayerTrigger, LimitsConfig};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::Entity;
use crate::state::{Moment, State};
use crate::units::{Amount, Usd, product};
use crate::waterfall::socialised::open_interest::ClosedLeg;

impl Capital {
    /// Its ledger account.
    fn entity(self) -> Entity {
        match self {
            Self::InsuranceFund => Entity::InsuranceFund,
            Self::Pool => Entity::Pool,
            Self::Vault => Entity::Vault,
            Self::Treasury => Entity::Treasury,
        }
    }
}

/// Capital as it was noted, as far as it can still be a peak: falling from front to back, each with the time when it was next noted.
#[derive(Debug, Default)]
struct Peaks(VecDeque<(i64, Usd)>);

impl Peaks {
    fn note(&mut self, ts: i64, level: Usd) {
        if let Some(last) = self.0.back_mut() {
            last.0 = ts;
        }
        while self.0.back().is_some_and(|(_, earlier)| *earlier <= level) {
            self.0.pop_back();
        }
        self.0.push_back((i64::MAX, level));
    }

    /// The largest that stood at some time after `since`.
    fn peak(&mut self, since: i64) -> Option<Usd> {
        while self.0.front().is_some_and(|(until, _)| *until <= since) {
            self.0.pop_front();
        }
        self.0.front().map(|(_, level)| *level)
    }
}

/// How a layer with limits stands.
#[derive(Debug)]
struct Standing {
    layer: Layer,
    /// Since when it pays; None: it is off.
    on_from: Option<i64>,
    event: Option<u32>,
    in_event: Usd,
    /// By cap: number of the window, and what was paid in it.
    windows: Vec<(i64, Usd)>,
    markets: BTreeMap<MarketId, Usd>,
    /// Of start and stop.
    peaks: [Peaks; 2],
}

impl Standing {
    fn new(layer: Layer, limits: &LimitsConfig) -> Self {
        Self {
            layer,
            on_from: None,
            event: None,
            in_event: Usd::ZERO,
            windows: vec![(0, Usd::ZERO); limits.periods.len()],
            markets: BTreeMap::new(),
            peaks: Default::default(),
        }
    }
}

/// The layers that have limits.
#[derive(Debug, Default)]
pub struct Standings(Vec<Standing>);

/// For what a layer pays.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// Of which event; None: of the end of the tape.
    event: Option<u32>,
    market: Option<MarketId>,
}

impl Purpose {
    /// What is left at the end of the tape.
    pub const END: Self = Self {
        event: None,
        market: None,
    };

    /// The loss of an account in an asset, in the market of the first of its legs that is settled in it, or of its first leg.
    pub fn of(moment: &Moment<'_>, event: u32, legs: &[ClosedLeg], asset: AssetId) -> Self {
        let markets = &moment.setup.venue.markets;
        let own = legs.iter().find(|l| markets[l.market].settlement == asset);
        Self {
            event: Some(event),
            market: own.or_else(|| legs.first()).map(|l| l.market),
        }
    }

    /// That of a claim.
    pub fn of_claim(moment: &Moment<'_>, claim: &Claim<'_>) -> Self {
        Self::of(moment, claim.event, claim.legs, claim.asset)
    }
}

fn window(moment: &Moment<'_>, every: i64) -> i64 {
    moment.ts.saturating_sub(moment.setup.opening) / every
}

/// Notes the capital that triggers watch.
pub fn note(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    let State { standings, ledger, .. } = state;
    for standing in &mut standings.0 {
        let limits = &moment.setup.protocol.limits[&standing.layer];
        for (trigger, peaks) in [&limits.start, &limits.stop].into_iter().zip(&mut standing.peaks) {
            if let Some(LayerTrigger::Drawdown { of, .. }) = trigger {
                peaks.note(moment.ts, moment.entity_equity(ledger, of.entity())?);
            }
        }
    }
    Ok(())
}

/// Notes capital and tests the triggers, before an action.
pub fn test(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    note(state, moment)?;
    let State { standings, ledger, .. } = state;
    for standing in &mut standings.0 {
        let limits = &moment.setup.protocol.limits[&standing.layer];
        let [start, stop] = &mut standing.peaks;
        let holds = |trigger: &LayerTrigger, peaks: &mut Peaks| -> Result<bool> {
            let level = moment.entity_equity(ledger, trigger.of().entity())?;
            match trigger {
                LayerTrigger::Below { amount, .. } => Ok(level.0 <= amount.0),
                LayerTrigger::Drawdown { share, window, .. } => {
                    let peak = peaks.peak(moment.ts.saturating_sub(*window)).unwrap_or(level);
                    let fallen = product(peak.minus(level)?.0, share.den, "drawdown")?;
                    Ok(peak.0 > 0 && fallen >= product(peak.0, share.num, "drawdown")?)
                }
            }
        };
        let stopped = limits.stop.as_ref().map_or(Ok(false), |t| holds(t, stop))?;
        if stopped {
            standing.on_from = None;
        } else if standing.on_from.is_none() {
            let started = limits.start.as_ref().map_or(Ok(true), |t| holds(t, start))?;
            standing.on_from = started.then(|| moment.ts.saturating_add(limits.delay));
        }
    }
    Ok(())
}

/// Begins with the layers as they stand at the open.
pub fn open(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    let limits = moment.setup.protocol.limits.iter();
    state.standings = Standings(limits.map(|(layer, limits)| Standing::new(*layer, limits)).collect());
    test(state, moment)
}

/// True if a layer is on.
pub fn is_on(state: &State, moment: &Moment<'_>, layer: Layer) -> bool {
    let standing = state.standings.0.iter().find(|s| s.layer == layer);
    standing.is_none_or(|s| s.on_from.is_some_and(|from| from <= moment.ts))
}

/// How much of `need` the limits of a layer let it pay.
pub fn allowed(
    state: &State,
    moment: &Moment<'_>,
    layer: Layer,
    purpose: Purpose,
    (asset, need): (AssetId, Amount),
) -> Result<Amount> {
    let Some(standing) = state.standings.0.iter().find(|s| s.layer == layer) else {
        return Ok(need);
    };
    if !is_on(state, moment, layer) {
        return Ok(Amount::ZERO);
    }
    let limits = &moment.setup.protocol.limits[&layer];
    let mut room: Option<Usd> = None;
    let mut cap = |amount: Amount, paid: Usd| -> Result<()> {
        let left = Usd(amount.0).minus(paid)?.positive();
        room = Some(room.map_or(left, |room| room.min(left)));
        Ok(())
    };
    if let Some(amount) = limits.per_event {
        let this = standing.event == purpose.event;
        cap(amount, if this { standing.in_event } else { Usd::ZERO })?;
    }
    if let (Some(amount), Some(market)) = (limits.per_market, purpose.market) {
        cap(amount, standing.markets.get(&market).copied().unwrap_or(Usd::ZERO))?;
    }
    for (period, (number, paid)) in limits.periods.iter().zip(&standing.windows) {
        let this = *number == window(moment, period.every);
        cap(period.amount, if this { *paid } else { Usd::ZERO })?;
    }
    let Some(room) = room else { return Ok(need) };
    let price = moment.reference_of_asset(asset);
    Ok(need.min(moment.setup.venue.assets[asset].from_usd_floor(room, price)?))
}

/// Counts what a layer has paid against its limits.
pub fn count(state: &mut State, moment: &Moment<'_>, layer: Layer, purpose: Purpose, usd: Usd) -> Result<()> {
    let Some(standing) = state.standings.0.iter_mut().find(|s| s.layer == layer) else {
        return Ok(());
    };
    if standing.event != purpose.event {
        (standing.event, standing.in_event) = (purpose.event, Usd::ZERO);
    }
    standing.in_event = standing.in_event.plus(usd)?;
    if let Some(market) = purpose.market {
        let paid = standing.markets.entry(market).or_insert(Usd::ZERO);
        *paid = paid.plus(usd)?;
    }
    let periods = &moment.setup.protocol.limits[&layer].periods;
    for (period, (number, paid)) in periods.iter().zip(&mut standing.windows) {
        let this = window(moment, period.every);
        if *number != this {
            (*number, *paid) = (this, Usd::ZERO);
        }
        *paid = paid.plus(usd)?;
    }
    Ok(())
}
