//! Which units of a close are for ADL: what the layers before it do not cover, and what the market does not take within its bound.
//!
//! Leg after leg: a counterparty of one leg is tried on, so that the next leg finds it as it will then stand; then all is put back.

use super::adl_fill;
use super::close::{Balances, Close, LegPlan, Plan, add, cumulated, get};
use super::execution::Execution;
use super::part::Whole;
use crate::book::{Leg, Unsettled};
use crate::config::{AdlLeftover, Coverage, Layer, Sink};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::few::Few;
use crate::ledger::{Entity, FundId, Holder, Inventory, released};
use crate::margin::Requirement;
use crate::state::State;
use crate::units::{Amount, Size, mul_div_floor};
use crate::waterfall::adl::{self, Match, Wanted};
use crate::waterfall::socialised::open_interest::ClosedLeg;
use crate::waterfall::{cover_before_adl, funds, house, limits};

impl Close<'_, '_> {
    /// Splits the legs between market and ADL. Of each leg the market is to fill at most as much as `within` says, if it
    /// says anything.
    pub(super) fn plan_adl(&mut self, plan: &mut Plan, balances: &Balances, within: &[u64]) -> Result<()> {
        let mut tried = Vec::new();
        let planned = self.match_legs(plan, balances, within, &mut tried);
        for trial in tried.into_iter().rev() {
            trial.undo(self.state)?;
        }
        planned
    }

    fn match_legs(
        &mut self,
        plan: &mut Plan,
        balances: &Balances,
        within: &[u64],
        tried: &mut Vec<Trial>,
    ) -> Result<()> {
        let setup = self.moment.setup;
        for &(asset, balance) in balances {
            let covered = self.covered(plan, asset, balance)?;
            let funds = &setup.funds;
            for (k, l) in plan.legs.iter_mut().enumerate() {
                if setup.venue.markets[l.leg.market].settlement != asset {
                    continue;
                }
                let units = l.leg.size.units();
                let fund = funds.of(l.leg.market);
                let sold = match covered.iter().find(|c| c.fund == fund) {
                    Some(&NotCovered { for_legs, loss, .. }) => {
                        let sold = mul_div_floor(i128::from(units), for_legs.0, loss.0, "part sold")?;
                        u64::try_from(sold).unwrap_or(units).min(units)
                    }
                    None => units,
                };
                let quantity = units - within.get(k).map_or(sold, |&within| sold.min(within));
                plan.deleverages |= quantity > 0;
                self.match_leg(l, quantity, tried)?;
                if quantity > 0 && setup.protocol.deleveraging().leftover == AdlLeftover::Open {
                    l.market = units - quantity;
                }
            }
        }
        Ok(())
    }

    /// Asks ADL for units of a leg; the market gets the rest.
    fn match_leg(&mut self, l: &mut LegPlan, quantity: u64, tried: &mut Vec<Trial>) -> Result<()> {
        let attempts = self.moment.setup.protocol.deleveraging().attempts;
        if quantity == 0 || self.state.deleveraging.exhausted(self.moment.ts, attempts) {
            return Ok(());
        }
        let units = l.leg.size.units();
        let asset = self.moment.setup.venue.markets[l.leg.market].settlement;
        let wanted = Wanted {
            market: l.leg.market,
            loser: Holder::Account(self.account),
            leg: l.index as u32,
            position: l.leg.size,
            amount: l.adl_amount,
            quantity,
        };
        l.matches = adl::matches(self.state, self.moment, self.ranges, &wanted)?;
        for matched in adl_fill::amounts(l.adl_amount, units, &l.matches) {
            let (m, amount) = matched?;
            let size = l.leg.size.of_same_sign(m.units)?;
            tried.push(Trial::of(self.state, m, l.leg.market, asset, size, amount)?);
        }
        l.market = units - l.matched();
        Ok(())
    }

    /// With the remainder `deleverage`: the market takes of each leg what it takes within its limit, up to the first fill that the payers
    /// refuse; the rest stays open. Where nothing fills and the account is below zero, ADL is asked for whole legs.
    ///
    /// Source: dYdX v4, protocol/x/clob/keeper/liquidations.go and deleveraging.go.
    pub(super) fn fill_or_deleverage(&mut self, plan: &mut Plan, whole: Whole<'_>) -> Result<()> {
        let funds = &self.moment.setup.funds;
        let is_on = |l: &LegPlan| limits::is_on(self.state, self.moment, Layer::Adl, funds.of(l.leg.market));
        let chosen: Vec<bool> = plan.legs.iter().map(|l| l.market > 0 && is_on(l)).collect();
        let units = self.units_covered(plan)?;
        self.keep_to(plan, whole, &units)?;
        let setup = self.moment.setup;
        let asked = setup.protocol.waterfall.contains(&Layer::Adl)
            && chosen.contains(&true)
            && units.iter().all(|&filled| filled == 0);
        let health = setup.margin.health(
            &setup.venue,
            &self.state.book,
            self.account,
            self.moment,
            Requirement::Maintenance,
        )?;
        if !asked || health.equity >= 0 {
            return Ok(());
        }
        plan.deleverages = true;
        let mut tried = Vec::new();
        let matched = self.match_whole(plan, &chosen, &mut tried);
        for trial in tried.into_iter().rev() {
            trial.undo(self.state)?;
        }
        matched?;
        for l in &mut plan.legs {
            l.market = 0;
        }
        plan.partial = plan.legs.iter().any(|l| l.matched() < l.leg.size.units());
        Ok(())
    }

    /// Asks ADL for the whole of the chosen legs, asset after asset.
    fn match_whole(&mut self, plan: &mut Plan, chosen: &[bool], tried: &mut Vec<Trial>) -> Result<()> {
        let venue = &self.moment.setup.venue;
        let assets: Vec<AssetId> = self.state.book.cash(self.account).iter().map(|(a, _)| *a).collect();
        for asset in assets {
            let of_asset = |l: &LegPlan| venue.markets[l.leg.market].settlement == asset;
            for (l, _) in plan.legs.iter_mut().zip(chosen).filter(|(l, c)| **c && of_asset(l)) {
                self.match_leg(l, l.leg.size.units(), tried)?;
            }
        }
        Ok(())
    }

    /// What the market takes of each leg within its limit, leg after leg, up to its first fill whose loss the layers before ADL would not
    /// pay, with what earlier fills of this action have cost and brought the insurance fund.
    fn units_covered(&self, plan: &Plan) -> Result<Vec<u64>> {
        let mut execution = Execution::at(self.moment);
        let (all, funds) = (plan.closed_legs(), &self.moment.setup.funds);
        let mut needs: Vec<(Option<FundId>, Balances)> = Vec::new();
        let mut out = Vec::with_capacity(plan.legs.len());
        for l in &plan.legs {
            let fund = funds.of(l.leg.market);
            let legs: Few<ClosedLeg, 2> = all.iter().filter(|c| funds.of(c.market) == fund).copied().collect();
            if !needs.iter().any(|(f, _)| *f == fund) {
                needs.push((fund, Balances::new()));
            }
            let Some((_, needed)) = needs.iter_mut().find(|(f, _)| *f == fund) else {
                continue;
            };
            let market = &self.moment.setup.venue.markets[l.leg.market];
            let asset = market.settlement;
            let mut taken = 0;
            for fill in &execution.within(l.order(l.market))? {
                let units = l.leg.size.units();
                let before = cumulated(l.bankruptcy, taken, units)?;
                let due = cumulated(l.bankruptcy, taken + fill.units, units)?.minus(before)?;
                let amount = market.value(l.leg.size.of_same_sign(fill.units)?, fill.price)?;
                let fee = execution.fee(&l.leg, fill.units, amount)?;
                let delta = amount.minus(fee)?.minus(due)?;
                if delta.0 < 0 {
                    let need = get(needed, asset).minus(delta)?;
                    let asked = need.positive();
                    if self.cover((fund, &legs), asset, asked)? < asked {
                        break;
                    }
                    add(needed, asset, delta.negated())?;
                } else {
                    let closed = Amount(amount.0.abs());
                    let penalty = plan.terms.penalty(self.moment, asset, closed, delta)?;
                    add(needed, asset, self.fund_share(penalty)?.negated())?;
                }
                taken += fill.units;
            }
            out.push(taken);
        }
        Ok(out)
    }

    /// What the insurance fund receives of a penalty.
    fn fund_share(&self, penalty: Amount) -> Result<Amount> {
        let shares = self.moment.setup.protocol.penalty.split.iter();
        let mut sum = Amount::ZERO;
        for (_, share) in shares.filter(|(sink, _)| **sink == Sink::InsuranceFund) {
            sum = sum.plus(Amount(share.floor_of(penalty.0, "share of a penalty")?))?;
        }
        Ok(sum)
    }

    /// How much of a need what was paid ahead, and the layers before ADL, would cover: of the matter of one fund.
    fn cover(&self, of: (Option<FundId>, &[ClosedLeg]), asset: AssetId, need: Amount) -> Result<Amount> {
        let prepaid = house::prepaid(self.state, asset, need);
        let rest = (asset, need.minus(prepaid)?);
        prepaid.plus(cover_before_adl(self.state, self.moment, self.account, of, rest)?)
    }

    /// What the layers before ADL leave for the legs settled in an asset; nothing if they cover all of it, or ADL does not stand among
    /// them. By fund.
    fn covered(&self, plan: &Plan, asset: AssetId, balance: Amount) -> Result<Vec<NotCovered>> {
        let protocol = &self.moment.setup.protocol;
        let waterfall = &protocol.waterfall;
        if balance.0 >= 0 || !waterfall.contains(&Layer::Adl) {
            return Ok(Vec::new());
        }
        let exhausts = protocol
            .insurance_fund
            .as_ref()
            .is_some_and(|f| f.coverage == Coverage::Exhaust)
            && waterfall
                .iter()
                .take_while(|l| **l != Layer::Adl)
                .any(|l| *l == Layer::InsuranceFund);
        if exhausts {
            return Ok(Vec::new());
        }
        let loss = balance.negated();
        let fee = if asset == plan.settle_asset {
            plan.unfunded_fee
        } else {
            Amount::ZERO
        };
        let legs = plan.closed_legs();
        let mut out = Vec::new();
        if !self.moment.setup.funds.any() {
            out.extend(self.not_covered((None, &legs), asset, loss, fee)?);
            return Ok(out);
        }
        let weights = plan.lacks(|k| Ok(plan.legs[k].brought))?;
        let losses = funds::portions(self.moment, (&legs, &weights), asset, loss)?;
        let fees = funds::portions(self.moment, (&legs, &weights), asset, fee)?;
        for (loss, fee) in losses.iter().zip(&fees).filter(|(loss, _)| !loss.amount.is_zero()) {
            out.extend(self.not_covered((loss.fund, &loss.legs), asset, loss.amount, fee.amount)?);
        }
        Ok(out)
    }

    /// What the layers before ADL leave of the portion of a fund; None if they cover it.
    fn not_covered(
        &self,
        (fund, legs): (Option<FundId>, &[ClosedLeg]),
        asset: AssetId,
        loss: Amount,
        fee: Amount,
    ) -> Result<Option<NotCovered>> {
        if !limits::is_on(self.state, self.moment, Layer::Adl, fund) {
            return Ok(None);
        }
        let need = loss.plus(fee)?;
        let cover = self.cover((fund, legs), asset, need)?;
        Ok((cover < need).then_some(NotCovered {
            fund,
            for_legs: cover.minus(fee)?.positive(),
            loss,
        }))
    }
}

/// A loss that the layers before ADL do not cover.
struct NotCovered {
    /// Of which fund.
    fund: Option<FundId>,
    /// What they leave for the legs.
    for_legs: Amount,
    /// The loss that selling the legs whole would make.
    loss: Amount,
}

/// A match that was tried on, and how its counterparty stood before.
enum Trial {
    Account {
        account: usize,
        index: usize,
        before: Leg,
        asset: AssetId,
        paid: Amount,
        unsettled: Unsettled,
    },
    Entity {
        entity: Entity,
        market: MarketId,
        before: Inventory,
    },
}

impl Trial {
    /// Tries a match on: the counterparty takes `size` of the loser's position and pays `amount`.
    fn of(state: &mut State, m: &Match, market: MarketId, asset: AssetId, size: Size, amount: Amount) -> Result<Self> {
        match m.holder {
            Holder::Account(account) => {
                let unsettled = state.book.try_settle(account)?;
                let leg = &mut state.book.legs_mut(account)[m.leg];
                let before = *leg;
                leg.entry_value = leg
                    .entry_value
                    .minus(released(leg.entry_value, m.units, leg.size.units())?)?;
                leg.size = leg.size.plus(size)?;
                state.book.credit(account, asset, amount.negated())?;
                Ok(Self::Account {
                    account,
                    index: m.leg,
                    before,
                    asset,
                    paid: amount,
                    unsettled,
                })
            }
            Holder::Fund(_) => Err(adl::holds_nothing()),
            Holder::Entity(entity) => {
                let before = state.ledger.inventory(entity, market);
                let mut after = before;
                after.take(size, amount)?;
                state.ledger.try_inventory(entity, market, after);
                Ok(Self::Entity { entity, market, before })
            }
        }
    }

    fn undo(self, state: &mut State) -> Result<()> {
        match self {
            Self::Account {
                account,
                index,
                before,
                asset,
                paid,
                unsettled,
            } => {
                state.book.legs_mut(account)[index] = before;
                state.book.credit(account, asset, paid)?;
                state.book.unsettle(account, &unsettled)
            }
            Self::Entity { entity, market, before } => {
                state.ledger.try_inventory(entity, market, before);
                Ok(())
            }
        }
    }
}
