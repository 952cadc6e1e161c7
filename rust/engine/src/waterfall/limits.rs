//! Limits of layers: caps by event, market and window of time, and triggers that start and stop a layer (semantics, section 6).
//!
//! Triggers are tested, and capital is noted, at the begin of every action and once before the first; capital is noted at the end of
//! every action too. What a layer may pay is asked in planning and in booking alike, so that both agree.

use std::collections::{BTreeMap, VecDeque};

use super::{Claim, treasury};
use crate::config::{Capital, Layer, LayerTrigger, LimitsConfig};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::{Entity, FundId, Ledger};
use crate::state::{Moment, State};
use crate::units::{Amount, Usd, product};
use crate::waterfall::socialised::open_interest::ClosedLeg;

impl Capital {
    /// Its equity in dollars at the reference; of the insurance fund, that of one.
    fn level(self, moment: &Moment<'_>, ledger: &Ledger, fund: Option<FundId>) -> Result<Usd> {
        let entity = match self {
            Self::InsuranceFund => return moment.fund_equity(ledger, fund),
            Self::Pool => Entity::Pool,
            Self::Vault => Entity::Vault,
            Self::Treasury => Entity::Treasury,
        };
        moment.entity_equity(ledger, entity)
    }
}

/// Capital as it was noted, as far as it can still be a peak: falling from front to back, each with the time when it was next noted.
#[derive(Debug, Clone, Default)]
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

/// Whether a layer pays.
#[derive(Debug, Clone, Default)]
struct Switch {
    /// Since when it pays; None: it is off.
    on_from: Option<i64>,
    /// Of start and stop.
    peaks: [Peaks; 2],
}

/// What a layer has paid.
#[derive(Debug, Clone)]
struct Paid {
    /// By event, where it counts.
    events: BTreeMap<Option<u32>, Usd>,
    /// By cap: number of the window, and what was paid in it.
    windows: Vec<(i64, Usd)>,
    markets: BTreeMap<MarketId, Usd>,
}

/// How a layer with limits stands.
#[derive(Debug, Clone)]
struct Standing {
    layer: Layer,
    /// One, or one for each insurance fund, the general one first, where a trigger watches the fund of the loss.
    switches: Vec<Switch>,
    /// The same, of the insurance funds themselves.
    paid: Vec<Paid>,
}

impl Standing {
    fn new(layer: Layer, limits: &LimitsConfig, funds: usize) -> Self {
        let watches =
            |trigger: &Option<LayerTrigger>| trigger.as_ref().map(LayerTrigger::of) == Some(Capital::InsuranceFund);
        let by_fund = |own: bool| if own { funds } else { 1 };
        let paid = Paid {
            events: BTreeMap::new(),
            windows: vec![(0, Usd::ZERO); limits.periods.len()],
            markets: BTreeMap::new(),
        };
        Self {
            layer,
            switches: (0..by_fund(watches(&limits.start) || watches(&limits.stop)))
                .map(|_| Switch::default())
                .collect(),
            paid: vec![paid; by_fund(layer == Layer::InsuranceFund)],
        }
    }

    fn switch(&self, fund: Option<FundId>) -> &Switch {
        &self.switches[place(fund, self.switches.len())]
    }

    fn paid(&self, fund: Option<FundId>) -> &Paid {
        &self.paid[place(fund, self.paid.len())]
    }
}

/// Which of so many, one for all or one for each fund, is that of a fund.
fn place(fund: Option<FundId>, count: usize) -> usize {
    fund.map_or(0, |fund| (fund.0 + 1).min(count - 1))
}

/// The layers that have limits.
#[derive(Debug, Clone, Default)]
pub struct Standings(Vec<Standing>);

/// For what a layer pays.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// Of which event; None: of the end of the tape.
    event: Option<u32>,
    market: Option<MarketId>,
    fund: Option<FundId>,
}

impl Purpose {
    /// What is left at the end of the tape.
    pub const END: Self = Self {
        event: None,
        market: None,
        fund: None,
    };

    /// The loss of an account in an asset, in the market of the first of its legs that is settled in it, or of its first leg.
    pub fn of(moment: &Moment<'_>, event: u32, (fund, legs): (Option<FundId>, &[ClosedLeg]), asset: AssetId) -> Self {
        let markets = &moment.setup.venue.markets;
        let own = legs.iter().find(|l| markets[l.market].settlement == asset);
        Self {
            event: Some(event),
            market: own.or_else(|| legs.first()).map(|l| l.market),
            fund,
        }
    }

    /// Whose fund it is a matter of; None: the general one.
    pub fn fund(self) -> Option<FundId> {
        self.fund
    }

    /// That of a claim.
    pub fn of_claim(moment: &Moment<'_>, claim: &Claim<'_>) -> Self {
        Self::of(moment, claim.event, (claim.fund, claim.legs), claim.asset)
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
        for (fund, switch) in moment.setup.funds.all().zip(&mut standing.switches) {
            for (trigger, peaks) in [&limits.start, &limits.stop].into_iter().zip(&mut switch.peaks) {
                if let Some(LayerTrigger::Drawdown { of, .. }) = trigger {
                    peaks.note(moment.ts, of.level(moment, ledger, fund)?);
                }
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
        for (fund, switch) in moment.setup.funds.all().zip(&mut standing.switches) {
            let [start, stop] = &mut switch.peaks;
            let holds = |trigger: &LayerTrigger, peaks: &mut Peaks| -> Result<bool> {
                let level = trigger.of().level(moment, ledger, fund)?;
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
                switch.on_from = None;
            } else if switch.on_from.is_none() {
                let started = limits.start.as_ref().map_or(Ok(true), |t| holds(t, start))?;
                switch.on_from = started.then(|| moment.ts.saturating_add(limits.delay));
            }
        }
    }
    Ok(())
}

/// Begins with the layers as they stand at the open.
pub fn open(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    let limits = moment.setup.protocol.limits.iter();
    let funds = moment.setup.funds.all().count();
    state.standings = Standings(
        limits
            .map(|(layer, limits)| Standing::new(*layer, limits, funds))
            .collect(),
    );
    test(state, moment)
}

/// True if a layer is on, for the losses of a fund.
pub fn is_on(state: &State, moment: &Moment<'_>, layer: Layer, fund: Option<FundId>) -> bool {
    let standing = state.standings.0.iter().find(|s| s.layer == layer);
    standing.is_none_or(|s| s.switch(fund).on_from.is_some_and(|from| from <= moment.ts))
}

/// How much of `need` the limits of a layer let it pay.
pub fn allowed(
    state: &State,
    moment: &Moment<'_>,
    layer: Layer,
    purpose: Purpose,
    (asset, need): (AssetId, Amount),
) -> Result<Amount> {
    let need = if layer == Layer::Treasury {
        treasury::at_once(state, moment, (asset, need))?
    } else {
        need
    };
    let Some(standing) = state.standings.0.iter().find(|s| s.layer == layer) else {
        return Ok(need);
    };
    if !is_on(state, moment, layer, purpose.fund) {
        return Ok(Amount::ZERO);
    }
    let limits = &moment.setup.protocol.limits[&layer];
    let so_far = standing.paid(purpose.fund);
    let mut room: Option<Usd> = None;
    let mut cap = |amount: Amount, paid: Usd| -> Result<()> {
        let left = Usd(amount.0).minus(paid)?.positive();
        room = Some(room.map_or(left, |room| room.min(left)));
        Ok(())
    };
    if let Some(amount) = limits.per_event {
        cap(amount, so_far.events.get(&purpose.event).copied().unwrap_or(Usd::ZERO))?;
    }
    if let (Some(amount), Some(market)) = (limits.per_market, purpose.market) {
        cap(amount, so_far.markets.get(&market).copied().unwrap_or(Usd::ZERO))?;
    }
    for (period, (number, paid)) in limits.periods.iter().zip(&so_far.windows) {
        let this = *number == window(moment, period.every);
        cap(period.amount, if this { *paid } else { Usd::ZERO })?;
    }
    let Some(room) = room else { return Ok(need) };
    let price = moment.reference_of_asset(asset);
    Ok(need.min(moment.setup.venue.assets[asset].from_usd_floor(room, price)?))
}

/// Counts what a layer has paid against its limits.
pub fn count(state: &mut State, moment: &Moment<'_>, layer: Layer, purpose: Purpose, usd: Usd) -> Result<()> {
    if layer == Layer::Treasury {
        treasury::count(state, usd)?;
    }
    let Some(standing) = state.standings.0.iter_mut().find(|s| s.layer == layer) else {
        return Ok(());
    };
    let count = standing.paid.len();
    let so_far = &mut standing.paid[place(purpose.fund, count)];
    let limits = &moment.setup.protocol.limits[&layer];
    if limits.per_event.is_some() {
        let paid = so_far.events.entry(purpose.event).or_insert(Usd::ZERO);
        *paid = paid.plus(usd)?;
    }
    if let Some(market) = purpose.market {
        let paid = so_far.markets.entry(market).or_insert(Usd::ZERO);
        *paid = paid.plus(usd)?;
    }
    for (period, (number, paid)) in limits.periods.iter().zip(&mut so_far.windows) {
        let this = window(moment, period.every);
        if *number != this {
            (*number, *paid) = (this, Usd::ZERO);
        }
        *paid = paid.plus(usd)?;
    }
    Ok(())
}
