//! Auto-deleveraging: the position of a loser is matched with opposite positions of winners, ranked by profit times leverage.
//!
//! Only the opposite side is ever touched; the last counterparty is closed in part; nobody is asked for more than its capacity.
//! Source of the score: BitMEX and others, profit percentage times effective leverage (notional over equity of the account).

use crate::config::{AdlCapacity, OutsideInventory};
use crate::contract::MarketId;
use crate::error::Result;
use crate::ledger::{Entity, Holder};
use crate::state::{Moment, State};
use crate::units::{Amount, Size, Usd, floor_div, mul_div_floor, product};

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
}

struct Candidate {
    account: usize,
    leg: usize,
    score: i128,
    /// Equity in units of the settlement asset, or dollars if the account holds several assets.
    equity: i128,
    pnl: Amount,
    units: u64,
    several: bool,
}

/// Ranks the counterparties and takes from them in order until `wanted.quantity` is matched or nobody is left.
pub fn matches(state: &State, moment: &Moment<'_>, wanted: &Wanted) -> Result<Vec<Match>> {
    let mut candidates = candidates(state, moment, wanted)?;
    candidates.sort_unstable_by(|a, b| b.score.cmp(&a.score).then(a.account.cmp(&b.account)).then(a.leg.cmp(&b.leg)));
    let give_up = give_up_at_mark(moment, wanted)?;
    let mut left = wanted.quantity;
    let mut out = Vec::new();
    for (rank, c) in (1..).zip(&candidates) {
        if left == 0 {
            break;
        }
        let units = capacity(moment, wanted, give_up, c)?.min(left);
        if units > 0 {
            out.push(Match { holder: Holder::Account(c.account), leg: c.leg, units, score: c.score, rank });
            left -= units;
        }
    }
    if left > 0 && moment.setup.protocol.outside == OutsideInventory::Keeps {
        let held = state.ledger.inventory(Entity::Outside, wanted.market);
        let value = moment.setup.venue.markets[wanted.market].value(held.size, moment.trigger(wanted.market))?;
        if opposite(held.size, wanted.position) && value > held.entry_value {
            let rank = u32::try_from(candidates.len()).unwrap_or(u32::MAX).saturating_add(1);
            out.push(Match { holder: Holder::Entity(Entity::Outside), leg: 0, units: held.size.units().min(left), score: 0, rank });
        }
    }
    Ok(out)
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
    let at_mark = market.value(wanted.position.of_same_sign(wanted.quantity)?, moment.trigger(wanted.market))?;
    Amount(total).minus(at_mark)
}

fn candidates(state: &State, moment: &Moment<'_>, wanted: &Wanted) -> Result<Vec<Candidate>> {
    let setup = moment.setup;
    let market = &setup.venue.markets[wanted.market];
    let asset = &setup.venue.assets[market.settlement];
    let mark = moment.trigger(wanted.market);
    let mut out = Vec::new();
    for &account in &state.holders[wanted.market] {
        let account = account as usize;
        if account == wanted.loser || state.book.accounts[account].status.is_closed() {
            continue;
        }
        for (leg, l) in state.book.legs(account).iter().enumerate() {
            if l.market != wanted.market || !opposite(l.size, wanted.position) {
                continue;
            }
            let value = market.value(l.size, mark)?;
            let pnl = value.minus(l.entry_value)?;
            if pnl.0 <= 0 {
                continue;
            }
            let equity = setup.margin.plain_equity(&setup.venue, &state.book, account, moment)?;
            if equity <= 0 {
                continue;
            }
            let several = state.book.cash(account).len() > 1;
            let notional = if several {
                asset.usd(Amount(value.0.abs()), moment.collateral(market.settlement))?.0
            } else {
                value.0.abs()
            };
            let profit = floor_div(product(pnl.0, SCORE_UNIT, "ADL score")?, l.entry_value.0.abs().max(1));
            let leverage = floor_div(product(notional, SCORE_UNIT, "ADL score")?, equity);
            let score = product(profit, leverage, "ADL score")?;
            out.push(Candidate { account, leg, score, equity, pnl, units: l.size.units(), several });
        }
    }
    Ok(out)
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
