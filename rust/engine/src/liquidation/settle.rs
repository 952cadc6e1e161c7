//! Booking a planned close.

mod delisting;
mod loss;
mod receipts;

pub use delisting::{Settling, settle_account, settle_entities};

use super::adl_fill::{self, GivenUp, Loser};
use super::close::{Balances, Close, LegPlan, LegPrice, Plan, add, convert, cumulated};
use super::execution::{Execution, Filled, Fills};
use crate::book::{Charge, Status};
use crate::config::{LimitsConfig, LossUnit, Sink};
use crate::contract::{AssetId, MarketId};
use crate::error::{Error, Result};
use crate::few::Few;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::liquidation::detection::Detection;
use crate::liquidation::undo::Before;
use crate::payout::{Payouts, Unpaid};
use crate::records::LiquidationRow;
use crate::search::PriceRanges;
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Size, Usd};
use crate::waterfall::socialised::open_interest::ClosedLeg;
use crate::waterfall::{Payment, charges, end_action, funds, limits};

/// A market fill as booked.
#[derive(Clone, Copy)]
struct MarketFill {
    leg: usize,
    asset: AssetId,
    units: u64,
    amount: Amount,
    fee: Amount,
    /// Of a profit, what is not paid.
    unpaid: Amount,
}

/// A close while it is booked.
struct Booking<'a, 'm> {
    state: &'a mut State,
    moment: &'a Moment<'m>,
    account: usize,
    event: u32,
    trigger_ts: i64,
    equity: Usd,
    plan: Plan,
    payouts: Payouts,
    fills: Few<MarketFill, 2>,
    give_up: Balances,
    give_up_usd: Balances,
    payments: Vec<Payment>,
    /// What of them was paid ahead.
    prepaid: Balances,
    group_paid: Balances,
    penalties: Balances,
    waived: Balances,
    assessed: Balances,
    accrued: Balances,
    closed_legs: Few<ClosedLeg, 2>,
    changed: Vec<usize>,
}

/// What an action has done.
pub struct Outcome {
    /// The other accounts that it changed.
    pub changed: Vec<usize>,
    /// Something was left open.
    pub partial: bool,
    /// A layer has failed: nothing has happened, and so long after it is tried again.
    pub reverted: Option<i64>,
}

/// Closes an account, or as much of it as the close policy says, at the given base prices: plans against the layers as they stand,
/// books everything and records it.
///
/// # Errors
/// Overflow.
pub fn close(
    state: &mut State,
    moment: &Moment<'_>,
    account: usize,
    trigger_ts: i64,
    (prices, may_be_taken_over): (&[LegPrice], bool),
    ranges: &dyn PriceRanges,
) -> Result<Outcome> {
    let may_be_undone = moment.setup.protocol.limits.values().any(LimitsConfig::reverts);
    let before = may_be_undone.then(|| Before::of(state, moment, account));
    state.outages.reverts = None;
    limits::test(state, moment)?;
    let (assessed, accrued) = settle_charges(state, moment, account)?;
    let plan = Close {
        state,
        moment,
        account,
        trigger: trigger_ts,
        prices,
        may_be_taken_over,
        ranges,
    }
    .plan()?;
    if plan.deleverages {
        state.deleveraging.note_attempt(moment.ts);
    }
    let partial = plan.partial;
    let mut booking = Booking::begin(state, moment, (account, trigger_ts), plan, (assessed, accrued))?;
    booking.book_market()?;
    booking.book_adl()?;
    if !partial {
        booking.book_conversions()?;
    }
    booking.book_fee()?;
    booking.settle_groups()?;
    if partial {
        booking.leave_open()?;
    } else {
        booking.finish()?;
    }
    booking.book_fee_of_fund()?;
    let changed = booking.changed;
    let reverted = state.outages.reverts;
    match before {
        Some(before) if reverted.is_some() => {
            before.restore(state, moment, account);
            return Ok(Outcome {
                changed: Vec::new(),
                partial: false,
                reverted,
            });
        }
        Some(before) => before.keep(state),
        None => {}
    }
    end_action(state, moment)?;
    Ok(Outcome {
        changed,
        partial,
        reverted: None,
    })
}

/// Settles what an account owes in the event that begins: assessments, and the rest, by asset.
fn settle_charges(state: &mut State, moment: &Moment<'_>, account: usize) -> Result<(Balances, Balances)> {
    let (mut assessed, mut accrued) = (Balances::new(), Balances::new());
    for settled in charges::settle(state, moment, Some(state.records.events), account)? {
        let sum = match settled.charge {
            Charge::Socialised => &mut assessed,
            Charge::Funding | Charge::Borrow => &mut accrued,
        };
        add(sum, settled.asset, settled.amount)?;
    }
    Ok((assessed, accrued))
}

impl<'a, 'm> Booking<'a, 'm> {
    /// An event begins: nothing is booked yet but what the account owed.
    fn begin(
        state: &'a mut State,
        moment: &'a Moment<'m>,
        (account, trigger_ts): (usize, i64),
        plan: Plan,
        (assessed, accrued): (Balances, Balances),
    ) -> Result<Self> {
        let equity = moment.account_equity(&state.book, account)?;
        let payouts = Payouts::at(state, moment, account)?;
        let event = state.records.events;
        state.records.events += 1;
        Ok(Self {
            state,
            moment,
            account,
            event,
            trigger_ts,
            equity,
            closed_legs: plan.closed_legs(),
            plan,
            payouts,
            fills: Few::new(),
            give_up: Balances::new(),
            give_up_usd: Balances::new(),
            payments: Vec::new(),
            prepaid: Balances::new(),
            group_paid: Balances::new(),
            penalties: Balances::new(),
            waived: Balances::new(),
            assessed,
            accrued,
            changed: Vec::new(),
        })
    }
}

impl Booking<'_, '_> {
    fn post(&mut self, kind: PostingKind, from: Holder, to: Holder, asset: AssetId, amount: Amount) -> Result<()> {
        self.state
            .post(self.moment, Some(self.event), kind, from, to, asset, amount)
    }

    fn me(&self) -> Holder {
        Holder::Account(self.account)
    }

    fn cash(&self, asset: AssetId) -> Amount {
        self.state.book.cash_of(self.account, asset)
    }

    fn book_market(&mut self) -> Result<()> {
        let setup = self.moment.setup;
        let mut execution = Execution::at(self.moment);
        for k in 0..self.plan.legs.len() {
            let l = self.plan.legs[k].clone();
            let market = &setup.venue.markets[l.leg.market];
            let fills = if self.plan.taken_over {
                let (units, price, taker) = (l.market, l.feed, Entity::Vault);
                Fills::from_iter([Filled { units, price, taker }])
            } else {
                execution.fills(l.order(l.market))?
            };
            for &Filled { units, price, taker } in &fills {
                let size = l.leg.size.of_same_sign(units)?;
                let amount = market.value(size, price)?;
                self.post(
                    PostingKind::Fill,
                    Holder::Entity(taker),
                    self.me(),
                    market.settlement,
                    amount,
                )?;
                let unpaid = self.unpaid(l.index, units, amount)?;
                self.state
                    .ledger
                    .reduce_leg(&mut self.state.book.legs_mut(self.account)[l.index], size)?;
                self.state.ledger.take(taker, l.leg.market, size, amount)?;
                self.record_fill(&l, taker, size, price, amount)?;
                let fee = if self.plan.taken_over {
                    Amount::ZERO
                } else {
                    execution.fee(&l.leg, units, amount)?
                };
                self.book_trading_fee(l.leg.market, market.settlement, fee)?;
                unpaid.book(
                    self.state,
                    self.moment,
                    Some(self.event),
                    self.account,
                    market.settlement,
                )?;
                self.fills.push(MarketFill {
                    leg: k,
                    asset: market.settlement,
                    units,
                    amount,
                    fee,
                    unpaid: unpaid.total()?,
                });
            }
        }
        execution.keep();
        Ok(())
    }

    /// What is not paid of a profit: of units of a leg as it now stands.
    fn unpaid(&mut self, index: usize, units: u64, amount: Amount) -> Result<Unpaid> {
        let leg = &self.state.book.legs(self.account)[index];
        self.payouts.fill(self.moment, (index, leg), units, amount)
    }

    fn book_trading_fee(&mut self, market: MarketId, asset: AssetId, fee: Amount) -> Result<()> {
        let setup = self.moment.setup;
        let receiver = setup.protocol.execution.fee.map(|fee| fee.receiver);
        match receiver.and_then(|to| to.holder(setup.funds.of(market))) {
            Some(holder) => self.post(PostingKind::TradingFee, self.me(), holder, asset, fee),
            None => Ok(()),
        }
    }

    /// What was seen of the account when it was detected.
    fn detection(&self) -> Result<&Detection> {
        let seen = self.state.detections.of(self.account);
        seen.ok_or_else(|| Error::Invariant("a liquidation without a detection".to_owned()))
    }

    fn record_fill(&mut self, l: &LegPlan, taker: Entity, size: Size, price: Price, amount: Amount) -> Result<()> {
        let m = l.leg.market;
        let seen = self.detection()?;
        let market = &self.moment.setup.venue.markets[m];
        let asset = market.settlement;
        let reference = self.moment.reference(m);
        let at_reference = market.value(size, reference)?;
        let row = LiquidationRow {
            ts: self.moment.ts,
            account: self.account,
            market: m,
            event: self.event,
            trigger_ts: self.trigger_ts,
            trigger_price: seen.price(l.index),
            trigger_equity: seen.equity,
            trigger_notional: seen.notional,
            counterparty: taker,
            size,
            price,
            reference,
            asset,
            amount,
            notional: self.moment.usd(asset, Amount(amount.0.abs()))?,
            equity: self.equity,
            price_subsidy: self.moment.usd(asset, amount.minus(at_reference)?)?,
        };
        self.state.records.liquidations.push(row);
        Ok(())
    }

    fn book_adl(&mut self) -> Result<()> {
        for k in 0..self.plan.legs.len() {
            let l = self.plan.legs[k].clone();
            if l.matches.is_empty() {
                continue;
            }
            let seen = self.detection()?;
            let loser = Loser {
                holder: self.me(),
                leg: l.index,
                market: l.leg.market,
                position: l.leg.size,
                event: self.event,
                trigger_ts: self.trigger_ts,
                trigger_equity: seen.equity,
                trigger_notional: seen.notional,
                equity: self.equity,
            };
            for matched in adl_fill::amounts(l.adl_amount, l.leg.size.units(), &l.matches) {
                let (m, amount) = matched?;
                let GivenUp { asset, amount, usd } = adl_fill::book(self.state, self.moment, &loser, m, amount)?;
                add(&mut self.give_up, asset, amount)?;
                add(&mut self.give_up_usd, asset, Amount(usd.0))?;
                if let Holder::Account(other) = m.holder {
                    self.changed.push(other);
                }
            }
        }
        Ok(())
    }

    fn book_conversions(&mut self) -> Result<()> {
        let mut balances: Balances = self.state.book.cash(self.account).iter().copied().collect();
        let outside = Holder::Entity(Entity::Outside);
        for c in convert(self.moment, &mut balances)? {
            self.post(PostingKind::Conversion, self.me(), outside, c.from, c.gives)?;
            self.post(PostingKind::Conversion, outside, self.me(), c.to, c.gets)?;
        }
        Ok(())
    }

    fn book_fee(&mut self) -> Result<()> {
        let fee = self.plan.fee.plus(self.plan.unfunded_fee)?;
        self.post(
            PostingKind::KeeperFee,
            self.me(),
            Holder::Entity(Entity::Keepers),
            self.plan.settle_asset,
            fee,
        )
    }

    /// What the insurance fund pays of the keeper's fee, once everything else is paid.
    fn book_fee_of_fund(&mut self) -> Result<()> {
        let asset = self.plan.settle_asset;
        let first = self.plan.legs.first();
        let fund = funds::holder(first.and_then(|l| self.moment.setup.funds.of(l.leg.market)));
        let has = self.moment.payer_balance(&self.state.ledger, fund, asset)?.positive();
        let keepers = Holder::Entity(Entity::Keepers);
        let amount = self.plan.fund_fee.min(has);
        self.post(PostingKind::KeeperFee, fund, keepers, asset, amount)
    }

    /// Loss units smaller than the account: each group of fills settles against its part of the bankruptcy amount.
    fn settle_groups(&mut self) -> Result<()> {
        let protocol = &self.moment.setup.protocol;
        if protocol.loss_unit == LossUnit::Account || self.plan.taken_over {
            return Ok(());
        }
        let fills = std::mem::take(&mut self.fills);
        let mut start = 0;
        let mut leg_units = 0;
        while start < fills.len() {
            let leg = fills[start].leg;
            let by_fill = protocol.loss_unit == LossUnit::Fill;
            let end = if by_fill {
                start + 1
            } else {
                start + fills[start..].iter().take_while(|f| f.leg == leg).count()
            };
            let group = &fills[start..end];
            if start == 0 || fills[start - 1].leg != leg {
                leg_units = 0;
            }
            let l = &self.plan.legs[leg];
            let whole = l.leg.size.units();
            let before = cumulated(l.bankruptcy, leg_units, whole)?;
            leg_units += group.iter().map(|f| f.units).sum::<u64>();
            let due = cumulated(l.bankruptcy, leg_units, whole)?.minus(before)?;
            let (mut amount, mut closed) = (Amount::ZERO, Amount::ZERO);
            for f in group {
                amount = amount.plus(f.amount)?.minus(f.fee)?.minus(f.unpaid)?;
                closed = closed.plus(Amount(f.amount.0.abs()))?;
            }
            let asset = group[0].asset;
            let delta = amount.minus(due)?;
            if delta.0 < 0 {
                let need = delta.negated();
                let left = self.pay_for(leg, asset, need)?;
                add(&mut self.group_paid, asset, need.minus(left)?)?;
            } else {
                self.charge_penalty(asset, Some(leg), closed, delta)?;
            }
            start = end;
        }
        self.fills = fills;
        Ok(())
    }

    /// What was sold in the market, in an asset.
    fn closed_in(&self, asset: AssetId) -> Amount {
        let fills = self.fills.iter().filter(|f| f.asset == asset);
        Amount(fills.map(|f| f.amount.0.abs()).sum())
    }

    fn finish(&mut self) -> Result<()> {
        let protocol = &self.moment.setup.protocol;
        let assets: Few<AssetId, 2> = self.state.book.cash(self.account).iter().map(|(a, _)| *a).collect();
        if protocol.loss_unit == LossUnit::Account && !self.plan.taken_over {
            for &asset in &assets {
                let closed = self.closed_in(asset);
                if self.plan.solvent {
                    let limit = self.cash(asset);
                    self.charge_penalty(asset, None, closed, limit)?;
                } else {
                    let waived = self.plan.terms.full_penalty(self.moment, asset, closed)?;
                    add(&mut self.waived, asset, waived)?;
                }
            }
        }
        let mut lost = false;
        for &asset in &assets {
            lost |= self.settle_asset(asset)?;
        }
        let residual = if self.plan.taken_over {
            Sink::Vault
        } else {
            protocol.residual
        };
        if residual != Sink::Account {
            for &asset in &assets {
                let left = self.cash(asset).positive();
                if residual == Sink::InsuranceFund && self.moment.setup.funds.any() {
                    let weights = funds::by_notional(self.moment, &self.closed_legs)?;
                    for p in funds::portions(self.moment, (&self.closed_legs, &weights), asset, left)? {
                        let to = funds::holder(p.fund);
                        self.post(PostingKind::Residual, self.me(), to, asset, p.amount)?;
                    }
                } else if let Some(holder) = residual.holder(None) {
                    self.post(PostingKind::Residual, self.me(), holder, asset, left)?;
                }
            }
        }
        self.state.book.accounts[self.account].status = if lost { Status::Defaulted } else { Status::Liquidated };
        self.state.records.accounts[self.account].closed_ts = Some(self.moment.ts);
        Ok(())
    }
}
