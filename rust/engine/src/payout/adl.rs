//! Auto-deleveraging by the pool factor (semantics, section 7a; GMX v2): while the profit of a side of a market is too large for its part
//! of the pool, positions of that side are closed in profit. It stops the profit from growing, and pays for no loss.
//!
//! An action is tried on the sums before it is booked: it may bring the factor down only, and not below the minimum.

use super::select::{Candidate, ranked};
use super::{Payouts, Unpaid, pool};
use crate::aggregate::{Claim, Standing};
use crate::config::{PoolAdlConfig, PoolAdlStop};
use crate::contract::MarketId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind, released};
use crate::records::AdlRow;
use crate::state::{Moment, Published, State};
use crate::units::{Amount, Usd};
use crate::waterfall::adl::{self, Match};
use crate::waterfall::charges;

/// One side of a market, and when its factor was seen to be too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Market.
    pub market: MarketId,
    /// Its longs.
    pub long: bool,
    /// When.
    pub ts: i64,
}

fn standing(state: &State, moment: &Moment<'_>, market: MarketId, long: bool) -> Result<(Claim, Standing)> {
    let claim = pool::claim(state, moment.setup, market, long)?;
    let standing = claim.at(&moment.setup.venue, &Published(moment))?;
    Ok((claim, standing))
}

/// True if the factor of a side is too large at a moment, and its market not blocked.
///
/// # Errors
/// Overflow.
pub fn is_enabled(
    state: &State,
    moment: &Moment<'_>,
    rules: &PoolAdlConfig,
    (market, long): (MarketId, bool),
) -> Result<bool> {
    if state.outages.stop(moment.ts) || moment.board.feeds().masks.of(market).blocks(moment.ts) {
        return Ok(false);
    }
    standing(state, moment, market, long)?.1.exceeds(rules.enable)
}

/// An action that may be booked.
struct Action {
    units: u64,
    amount: Amount,
    cost: Amount,
    unpaid: Unpaid,
}

/// A round of actions.
struct Round<'a, 'm> {
    state: &'a mut State,
    moment: &'a Moment<'m>,
    rules: &'a PoolAdlConfig,
    seen: Seen,
    /// Actions so far.
    done: u32,
    changed: Vec<usize>,
}

/// Closes positions of a side until its factor is low enough, nothing more may be closed, or a round has had its actions. Returns the
/// accounts that it changed.
///
/// # Errors
/// Overflow.
pub fn deleverage(state: &mut State, moment: &Moment<'_>, rules: &PoolAdlConfig, seen: Seen) -> Result<Vec<usize>> {
    let mut round = Round {
        state,
        moment,
        rules,
        seen,
        done: 0,
        changed: Vec::new(),
    };
    while round.pass()? {}
    Ok(round.changed)
}

impl Round<'_, '_> {
    /// Asks every position once, in order. True if that has closed anything and more is wanted.
    fn pass(&mut self) -> Result<bool> {
        let before = self.done;
        for candidate in ranked(self.state, self.moment, self.rules, (self.seen.market, self.seen.long))? {
            if !self.goes_on()? {
                return Ok(false);
            }
            if let Some(action) = self.plan(&candidate)? {
                self.book(&candidate, action)?;
            }
        }
        Ok(self.done > before)
    }

    fn goes_on(&self) -> Result<bool> {
        if self.rules.actions.is_some_and(|most| self.done >= most) {
            return Ok(false);
        }
        let limit = match self.rules.stop {
            PoolAdlStop::Minimum if self.done > 0 => self.rules.minimum,
            _ => self.rules.enable,
        };
        standing(self.state, self.moment, self.seen.market, self.seen.long)?
            .1
            .exceeds(limit)
    }

    /// How much of a position may be closed; None: nothing.
    fn plan(&self, candidate: &Candidate) -> Result<Option<Action>> {
        let units = candidate.leg.size.units();
        let share = self.rules.share.ceil_of(units.into(), "share of a position")?;
        let most = u64::try_from(share).unwrap_or(units).min(units);
        if let Some(action) = self.attempt(candidate, most)? {
            return Ok(Some(action));
        }
        if !self.rules.fit {
            return Ok(None);
        }
        let (mut fits, mut fails, mut found) = (0, most, None);
        while fails - fits > 1 {
            let middle = fits + (fails - fits) / 2;
            match self.attempt(candidate, middle)? {
                Some(action) => (fits, found) = (middle, Some(action)),
                None => fails = middle,
            }
        }
        Ok(found)
    }

    /// The action that closes so much, if the factor would be lower, and not too low.
    fn attempt(&self, candidate: &Candidate, units: u64) -> Result<Option<Action>> {
        let (market, leg) = (&self.moment.setup.venue.markets[self.seen.market], &candidate.leg);
        let size = leg.size.of_same_sign(units)?;
        let amount = market.value(size, candidate.price)?;
        let cost = released(leg.entry_value, units, leg.size.units())?;
        let mut payouts = Payouts::at(self.state, self.moment, candidate.account)?;
        let unpaid = payouts.fill(self.moment, (candidate.index, leg), units, amount)?;
        let (mut claim, before) = standing(self.state, self.moment, self.seen.market, self.seen.long)?;
        for summed in &mut claim.positions {
            summed.side.size = summed.side.size.plus(size.negated())?;
            summed.side.entry_value = summed.side.entry_value.minus(cost)?;
        }
        let paid = amount.minus(cost)?.minus(unpaid.total()?)?;
        for (_, held) in claim.holdings.iter_mut().filter(|(a, _)| *a == market.settlement) {
            *held = held.minus(paid)?;
        }
        let after = claim.at(&self.moment.setup.venue, &Published(self.moment))?;
        let allowed = after.is_below(before)? && after.reaches(self.rules.minimum)?;
        Ok(allowed.then_some(Action {
            units,
            amount,
            cost,
            unpaid,
        }))
    }

    fn book(&mut self, candidate: &Candidate, action: Action) -> Result<()> {
        let (moment, market) = (self.moment, self.seen.market);
        let bound = &moment.setup.venue.markets[market];
        let (account, asset) = (candidate.account, bound.settlement);
        let size = candidate.leg.size.of_same_sign(action.units)?;
        let event = self.state.records.events;
        self.state.records.events += 1;
        self.done += 1;
        let matched = Match {
            holder: Holder::Account(account),
            leg: candidate.index,
            units: action.units,
            score: candidate.score,
            rank: self.done,
            cost: action.cost,
        };
        let (equity, pnl) = adl::figures(self.state, moment, market, &matched)?;
        charges::settle(self.state, moment, Some(event), account)?;
        let (me, its) = (Holder::Account(account), Holder::Entity(Entity::Pool));
        self.state
            .post(moment, Some(event), PostingKind::Adl, its, me, asset, action.amount)?;
        let legs = self.state.book.legs_mut(account);
        self.state.ledger.reduce_leg(&mut legs[candidate.index], size)?;
        self.state.ledger.take(Entity::Pool, market, size, action.amount)?;
        action.unpaid.book(self.state, moment, Some(event), account, asset)?;
        let (mark, reference) = (moment.adl_mark(market, size), moment.reference(market));
        let above = action.amount.minus(bound.value(size, reference)?)?;
        self.state.records.adl.push(AdlRow {
            ts: moment.ts,
            counterparty: me,
            market,
            event,
            loser: its,
            trigger_ts: self.seen.ts,
            trigger_equity: Usd::ZERO,
            trigger_notional: Usd::ZERO,
            loser_equity: Usd::ZERO,
            size,
            asset,
            amount: action.amount.negated(),
            mark,
            reference,
            give_up: Usd::ZERO,
            forgone_profit: Usd::ZERO,
            rank: matched.rank,
            score: matched.score,
            notional: moment.usd(asset, Amount(bound.value(size, mark)?.0.abs()))?,
            equity,
            pnl,
            price_subsidy: moment.usd(asset, above)?,
        });
        self.changed.push(account);
        self.state.ledger.check()
    }
}
