//! Auto-deleveraging: the position of a loser is matched with opposite positions of winners, ranked by profit times leverage.
//!
//! Only the opposite side is ever touched; the last counterparty is closed in part; nobody is asked for more than its capacity.
//! Source of the score: BitMEX and others, profit percentage times effective leverage (notional over equity of the account).

use crate::config::{AdlCapacity, OutsideInventory};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::{Entity, Holder, released};
use crate::margin::Prices;
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Size, Usd, floor_div, mul_div_floor, product};

/// Fixed point of the two factors of a score.
const SCORE_UNIT: i128 = 1_000_000_000;

/// What is to be matched.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Market.
    pub market: MarketId,
    /// The liquidated account.
    pub loser: usize,
    /// Signed size of the loser's position.
    pub position: Size,
    /// What the loser would receive for all of it at the ADL price.
    pub amount: Amount,
    /// Units to match.
    pub quantity: u64,
}

/// A match with one counterparty.
#[derive(Debug, Clone, Copy)]
pub struct Match {
    /// Whose position.
    pub holder: Holder,
    /// Leg of an account.
    pub leg: usize,
    /// Units.
    pub units: u64,
    /// Score.
    pub score: i128,
    /// Place in the queue, from 1.
    pub rank: u32,
    /// What the matched units had cost the counterparty.
    pub cost: Amount,
}

/// How many exact scores are computed at first; eight times as many whenever that was not enough.
const FIRST_CHOICE: usize = 32;

/// Marks of all markets and prices of all assets at a moment, looked up once.
struct Marks {
    market: Vec<Price>,
    asset: Vec<Price>,
}

impl Marks {
    fn of(moment: &Moment<'_>) -> Self {
        let venue = &moment.setup.venue;
        Self {
            market: (0..venue.markets.len()).map(|m| moment.trigger(m)).collect(),
            asset: (0..venue.assets.len()).map(|a| moment.collateral(a)).collect(),
        }
    }
}

impl Prices for Marks {
    fn market(&self, market: MarketId) -> Price {
        self.market[market]
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.asset[asset]
    }
}

/// Upper bound of the score of a leg.
struct Bound {
    score: f64,
    account: u32,
    leg: u32,
}

struct Candidate {
    account: usize,
    leg: usize,
    score: i128,
    /// Equity in units of the settlement asset, or dollars if the account holds several assets.
    equity: i128,
    pnl: Amount,
    entry_value: Amount,
    units: u64,
    several: bool,
}

/// Ranks the counterparties and takes from them in order until `wanted.quantity` is matched or nobody is left.
///
/// Equal to a full rank by (score, account, leg): an upper bound of every score, in floating point, chooses whose exact score is
/// computed, and a candidate is taken only once its exact score beats the bounds of all that were left out.
pub fn matches(state: &State, moment: &Moment<'_>, wanted: &Wanted) -> Result<Vec<Match>> {
    let marks = Marks::of(moment);
    let mut bounds = bounds(state, moment, &marks, wanted);
    let give_up = give_up_at_mark(moment, wanted)?;
    let mut chosen = FIRST_CHOICE.min(bounds.len());
    let out = loop {
        if chosen < bounds.len() {
            bounds.select_nth_unstable_by(chosen, |a, b| b.score.total_cmp(&a.score));
        }
        let (taken, rest) = bounds.split_at(chosen);
        let cutoff = rest.iter().map(|b| b.score).fold(f64::NEG_INFINITY, f64::max);
        let mut ranked = Vec::with_capacity(taken.len());
        for bound in taken {
            ranked.extend(candidate(state, moment, &marks, wanted, bound)?);
        }
        ranked.sort_unstable_by(|a, b| {
            b.score
                .cmp(&a.score)
                .then(a.account.cmp(&b.account))
                .then(a.leg.cmp(&b.leg))
        });
        if let Some(out) = take(moment, wanted, give_up, &ranked, cutoff)? {
            break out;
        }
        chosen = bounds.len().min(chosen * 8);
    };
    let mut out = out;
    let matched: u64 = out.iter().map(|m| m.units).sum();
    let left = wanted.quantity - matched;
    if left > 0 && moment.setup.protocol.outside == OutsideInventory::Keeps {
        let held = state.ledger.inventory(Entity::Outside, wanted.market);
        let value = moment.setup.venue.markets[wanted.market].value(held.size, moment.trigger(wanted.market))?;
        if opposite(held.size, wanted.position) && value > held.entry_value {
            let rank = out.last().map_or(0, |m| m.rank).saturating_add(1);
            let units = held.size.units().min(left);
            out.push(Match {
                holder: Holder::Entity(Entity::Outside),
                leg: 0,
                units,
                score: 0,
                rank,
                cost: released(held.entry_value, units, held.size.units())?,
            });
        }
    }
    Ok(out)
}

/// Takes from ranked candidates in order. None if the next in the order might be one that was left out.
fn take(
    moment: &Moment<'_>,
    wanted: &Wanted,
    give_up: Amount,
    ranked: &[Candidate],
    cutoff: f64,
) -> Result<Option<Vec<Match>>> {
    let mut left = wanted.quantity;
    let mut out = Vec::new();
    for (rank, c) in (1..).zip(ranked) {
        if left == 0 {
            break;
        }
        if c.score as f64 <= cutoff {
            return Ok(None);
        }
        let units = capacity(moment, wanted, give_up, c)?.min(left);
        if units > 0 {
            out.push(Match {
                holder: Holder::Account(c.account),
                leg: c.leg,
                units,
                score: c.score,
                rank,
                cost: released(c.entry_value, units, c.units)?,
            });
            left -= units;
        }
    }
    Ok((left == 0 || cutoff == f64::NEG_INFINITY).then_some(out))
}

fn opposite(a: Size, b: Size) -> bool {
    !a.is_zero() && (a.0 > 0) != (b.0 > 0)
}

/// What the counterparties of all wanted units together give up against the mark, in the settlement asset.
fn give_up_at_mark(moment: &Moment<'_>, wanted: &Wanted) -> Result<Amount> {
    let total = mul_div_floor(
        wanted.amount.0,
        i128::from(wanted.quantity),
        i128::from(wanted.position.units()),
        "ADL amount",
    )?;
    let market = &moment.setup.venue.markets[wanted.market];
    let at_mark = market.value(
        wanted.position.of_same_sign(wanted.quantity)?,
        moment.trigger(wanted.market),
    )?;
    Amount(total).minus(at_mark)
}

/// Upper bounds of the scores of all legs on the opposite side; those that cannot be in profit are left out.
fn bounds(state: &State, moment: &Moment<'_>, marks: &Marks, wanted: &Wanted) -> Vec<Bound> {
    let setup = moment.setup;
    let market = &setup.venue.markets[wanted.market];
    let schedule = setup.margin.schedule(wanted.market);
    let mark = marks.market[wanted.market].0 as f64;
    let unit = setup.venue.assets[market.settlement].dollars_f64(marks.asset[market.settlement]);
    let mut out = Vec::new();
    for &number in &state.holders[wanted.market] {
        let account = number as usize;
        if account == wanted.loser || state.book.accounts[account].status.is_closed() {
            continue;
        }
        for (leg, l) in state.book.legs(account).iter().enumerate() {
            if l.market != wanted.market || !opposite(l.size, wanted.position) {
                continue;
            }
            let (value, _) = schedule.health_f64(market, l.size, mark);
            let entry = l.entry_value.0 as f64;
            let slack = (value.abs() + entry.abs()) * 1e-12 + 2.0;
            let profit = value - entry + slack;
            if profit <= 0.0 {
                continue;
            }
            let (equity, error) = setup.margin.equity_f64(&setup.venue, &state.book, account, marks);
            if equity + error <= 0.0 {
                continue;
            }
            let several = state.book.cash(account).len() > 1;
            let notional = (value.abs() + slack) * if several { unit } else { 1.0 } + 1.0;
            let least = equity - error;
            let score = if least <= 0.0 {
                f64::INFINITY
            } else {
                (profit / entry.abs().max(1.0))
                    * (notional / least)
                    * (SCORE_UNIT as f64 * SCORE_UNIT as f64)
                    * (1.0 + 1e-9)
            };
            out.push(Bound {
                score,
                account: number,
                leg: leg as u32,
            });
        }
    }
    out
}

/// The exact candidate, or None if it is not in profit or has no equity.
fn candidate(
    state: &State,
    moment: &Moment<'_>,
    marks: &Marks,
    wanted: &Wanted,
    bound: &Bound,
) -> Result<Option<Candidate>> {
    let setup = moment.setup;
    let market = &setup.venue.markets[wanted.market];
    let (account, leg) = (bound.account as usize, bound.leg as usize);
    let l = state.book.legs(account)[leg];
    let value = market.value(l.size, marks.market[wanted.market])?;
    let pnl = value.minus(l.entry_value)?;
    let equity = setup.margin.plain_equity(&setup.venue, &state.book, account, marks)?;
    if pnl.0 <= 0 || equity <= 0 {
        return Ok(None);
    }
    let several = state.book.cash(account).len() > 1;
    let notional = if several {
        setup.venue.assets[market.settlement]
            .usd(Amount(value.0.abs()), marks.asset[market.settlement])?
            .0
    } else {
        value.0.abs()
    };
    let profit = floor_div(product(pnl.0, SCORE_UNIT, "ADL score")?, l.entry_value.0.abs().max(1));
    let leverage = floor_div(product(notional, SCORE_UNIT, "ADL score")?, equity);
    let score = product(profit, leverage, "ADL score")?;
    Ok(Some(Candidate {
        account,
        leg,
        score,
        equity,
        pnl,
        entry_value: l.entry_value,
        units: l.size.units(),
        several,
    }))
}

/// Units that a candidate can give up within its capacity.
fn capacity(moment: &Moment<'_>, wanted: &Wanted, give_up: Amount, c: &Candidate) -> Result<u64> {
    let policy = moment.setup.protocol.adl.unwrap_or_default().capacity;
    if policy == AdlCapacity::Position || give_up.0 <= 0 {
        return Ok(c.units);
    }
    let settlement = moment.setup.venue.markets[wanted.market].settlement;
    let dollars = |amount: Amount| -> Result<Usd> {
        moment.setup.venue.assets[settlement].usd(amount, moment.collateral(settlement))
    };
    let (means, cost) = match (policy, c.several) {
        (AdlCapacity::Profit, false) => (c.pnl.0, give_up.0),
        (AdlCapacity::Profit, true) => (dollars(c.pnl)?.0, dollars(give_up)?.0),
        (_, false) => (c.equity, give_up.0),
        (_, true) => (c.equity, dollars(give_up)?.0),
    };
    if cost <= 0 {
        return Ok(c.units);
    }
    let units = mul_div_floor(means, i128::from(wanted.quantity), cost, "ADL capacity")?;
    Ok(u64::try_from(units).unwrap_or(u64::MAX).min(c.units))
}
