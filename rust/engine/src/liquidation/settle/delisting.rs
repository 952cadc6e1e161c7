//! Settling a delisted market: every position in it is closed at one price, of whomever it is (semantics, section 5f).
//!
//! All sell what they hold to one counterparty, which is left with nothing, since sizes sum to zero. There are no fees and no penalty.
//! Accounts that have no position left and less than nothing are a loss like any other.
//!
//! Sources: Hyperliquid settled JELLY at 0.0095 on 2025-03-26, by a vote of its validators; dYdX v4, final settlement: accounts with
//! negative equity at their bankruptcy price against the other side, the others at the oracle's.

use super::{Booking, settle_charges};
use crate::book::Status;
use crate::contract::MarketId;
use crate::error::Result;
use crate::few::Few;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::liquidation::close::{Balances, LegPlan, Plan};
use crate::liquidation::detection::Detection;
use crate::liquidation::penalty::Terms;
use crate::search::PriceRanges;
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Size};
use crate::waterfall::adl::{self, Wanted};
use crate::waterfall::{end_action, limits};

/// A market that is being settled.
#[derive(Debug, Clone, Copy)]
pub struct Settling {
    /// Which.
    pub market: MarketId,
    /// At what price.
    pub price: Price,
    /// Who takes everything.
    pub by: Entity,
}

/// Settles what entities hold.
///
/// # Errors
/// Overflow.
pub fn settle_entities(state: &mut State, moment: &Moment<'_>, settling: Settling) -> Result<()> {
    let market = &moment.setup.venue.markets[settling.market];
    for entity in Entity::ALL {
        let held = state.ledger.inventory(entity, settling.market).size;
        if entity == settling.by || held.is_zero() {
            continue;
        }
        let amount = market.value(held, settling.price)?;
        let (by, to) = (Holder::Entity(settling.by), Holder::Entity(entity));
        state.post(moment, None, PostingKind::Settlement, by, to, market.settlement, amount)?;
        state
            .ledger
            .take(entity, settling.market, held.negated(), amount.negated())?;
        state.ledger.take(settling.by, settling.market, held, amount)?;
        note_gain(state, moment, settling, Some(entity), (held, amount))?;
    }
    Ok(())
}

/// What a holder has gained by the price of the settlement, against the reference, the counterparty has lost.
fn note_gain(
    state: &mut State,
    moment: &Moment<'_>,
    settling: Settling,
    who: Option<Entity>,
    (size, amount): (Size, Amount),
) -> Result<()> {
    let market = &moment.setup.venue.markets[settling.market];
    let worth = market.value(size, moment.reference(settling.market))?;
    let gain = moment.usd(market.settlement, amount.minus(worth)?)?;
    let gains = &mut state.records.settlement_gains;
    for (who, gain) in [(who, gain), (Some(settling.by), gain.negated())] {
        let sum = gains.entry(who).or_default();
        *sum = sum.plus(gain)?;
    }
    Ok(())
}

/// Settles the positions of an account in a market; those that are to be matched by ADL at the bankruptcy amounts `owed`, by leg, first.
/// Returns the other accounts that it changed.
///
/// # Errors
/// Overflow.
pub fn settle_account(
    state: &mut State,
    moment: &Moment<'_>,
    account: usize,
    settling: Settling,
    deleverages: bool,
    ranges: &dyn PriceRanges,
) -> Result<Vec<usize>> {
    limits::test(state, moment)?;
    let charged = settle_charges(state, moment, account)?;
    let plan = plan(state, moment, account, settling, deleverages)?;
    // ADL tells of its loser what was seen of it: here, as it stands.
    let seen = state.detections.of(account).cloned();
    let now = Detection::of(&state.book, account, moment)?;
    state.detections.note(account, now);
    let mut booking = Booking::begin(state, moment, (account, moment.ts), plan, charged)?;
    for leg in std::mem::take(&mut booking.plan.legs) {
        booking.settle_leg(leg, settling, deleverages, ranges)?;
    }
    let lost = booking.end_settlement()?;
    let changed = std::mem::take(&mut booking.changed);
    state.detections.end(account);
    if lost {
        state.liquidations.end(account);
        state.book.accounts[account].status = Status::Defaulted;
        state.records.accounts[account].closed_ts = Some(moment.ts);
    } else if let Some(seen) = seen {
        state.detections.note(account, seen);
    }
    end_action(state, moment)?;
    Ok(changed)
}

/// The legs that are settled, and their bankruptcy amounts, where they matter.
fn plan(state: &State, moment: &Moment<'_>, account: usize, settling: Settling, deleverages: bool) -> Result<Plan> {
    let mut legs = Vec::new();
    for (index, leg) in state.book.legs(account).iter().enumerate() {
        if leg.market != settling.market || leg.size.is_zero() {
            continue;
        }
        let bankruptcy = if deleverages {
            adl::underwater(&state.book, moment, (account, index))?.unwrap_or_default()
        } else {
            Amount::ZERO
        };
        legs.push(LegPlan {
            index,
            leg: *leg,
            feed: settling.price,
            base: settling.price,
            limit: None,
            brought: Amount::ZERO,
            market: leg.size.units(),
            matches: Vec::new(),
            bankruptcy,
            adl_amount: bankruptcy,
        });
    }
    Ok(Plan {
        legs,
        settle_asset: moment.setup.venue.markets[settling.market].settlement,
        fee: Amount::ZERO,
        unfunded_fee: Amount::ZERO,
        fund_fee: Amount::ZERO,
        terms: Terms::of(state, moment, account, 0)?,
        solvent: true,
        partial: false,
        deleverages,
        balances: Balances::new(),
        taken_over: false,
    })
}

impl Booking<'_, '_> {
    fn settle_leg(
        &mut self,
        mut leg: LegPlan,
        settling: Settling,
        deleverages: bool,
        ranges: &dyn PriceRanges,
    ) -> Result<()> {
        let market = &self.moment.setup.venue.markets[settling.market];
        let index = leg.index;
        if deleverages {
            let wanted = Wanted {
                market: settling.market,
                loser: self.me(),
                leg: index as u32,
                position: leg.leg.size,
                amount: leg.adl_amount,
                quantity: leg.leg.size.units(),
            };
            leg.matches = adl::matches(self.state, self.moment, ranges, &wanted)?;
            self.plan.legs = vec![leg];
            self.book_adl()?;
            self.plan.legs.clear();
        }
        let size = self.state.book.legs(self.account)[index].size;
        if size.is_zero() {
            return Ok(());
        }
        let amount = market.value(size, settling.price)?;
        let (by, asset) = (Holder::Entity(settling.by), market.settlement);
        self.post(PostingKind::Settlement, by, self.me(), asset, amount)?;
        let unpaid = self.unpaid(index, size.units(), amount)?;
        let legs = self.state.book.legs_mut(self.account);
        self.state.ledger.reduce_leg(&mut legs[index], size)?;
        self.state.ledger.take(settling.by, settling.market, size, amount)?;
        unpaid.book(self.state, self.moment, Some(self.event), self.account, asset)?;
        note_gain(self.state, self.moment, settling, None, (size, amount))
    }

    /// Whoever has no position left and less than nothing is a loss. True if others have lost by the account.
    fn end_settlement(&mut self) -> Result<bool> {
        if self.state.book.has_position(self.account) {
            let given_up: Few<_, 2> = self.give_up.iter().copied().collect();
            for &(asset, give_up) in &given_up {
                if !give_up.is_zero() {
                    let debt = self.relieved(asset, give_up)?;
                    self.record_loss(asset, debt, Amount::ZERO, Amount::ZERO, give_up.minus(debt)?)?;
                }
            }
            return Ok(false);
        }
        self.book_conversions()?;
        let assets: Few<_, 2> = self.state.book.cash(self.account).iter().map(|(a, _)| *a).collect();
        let mut lost = false;
        for &asset in &assets {
            lost |= self.settle_asset(asset)?;
        }
        Ok(lost)
    }
}
