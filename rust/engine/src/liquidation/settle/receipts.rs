//! What an action gives to insurance funds, and asks of the layers: where a venue has several funds, each for its own markets (semantics,
//! sections 5 and 6).

use super::Booking;
use crate::config::Sink;
use crate::contract::AssetId;
use crate::error::Result;
use crate::few::Few;
use crate::ledger::{Entity, FundId, Holder, PostingKind};
use crate::liquidation::close::{add, cumulated};
use crate::units::{Amount, Split};
use crate::waterfall::socialised::open_interest::ClosedLeg;
use crate::waterfall::{Claim, funds, house, pay};

impl Booking<'_, '_> {
    /// Penalty on what was closed in an asset, of one leg or (None) of all, at most `limit`, split over its receivers.
    pub(super) fn charge_penalty(
        &mut self,
        asset: AssetId,
        leg: Option<usize>,
        closed: Amount,
        limit: Amount,
    ) -> Result<()> {
        let rules = &self.moment.setup.protocol.penalty;
        let penalty = self.plan.terms.penalty(self.moment, asset, closed, limit)?;
        if penalty.is_zero() {
            return Ok(());
        }
        add(&mut self.penalties, asset, penalty)?;
        let mut given = Amount::ZERO;
        for (sink, share) in &rules.split {
            let part = Amount(share.floor_of(penalty.0, "share of a penalty")?);
            given = given.plus(part)?;
            if *sink == Sink::InsuranceFund && self.moment.setup.funds.any() {
                for (fund, part) in self.by_fund(asset, leg, part)? {
                    self.post(PostingKind::Penalty, self.me(), funds::holder(fund), asset, part)?;
                }
            } else if let Some(holder) = sink.holder(None) {
                self.post(PostingKind::Penalty, self.me(), holder, asset, part)?;
            }
        }
        let residue = penalty.minus(given)?;
        self.post(
            PostingKind::Penalty,
            self.me(),
            Holder::Entity(Entity::Rounding),
            asset,
            residue,
        )
    }

    /// A penalty of one leg goes to the fund of its market; of all, to those of the markets of the fills, by what they closed.
    fn by_fund(&self, asset: AssetId, leg: Option<usize>, amount: Amount) -> Result<Vec<(Option<FundId>, Amount)>> {
        let fund_of = |leg: usize| self.moment.setup.funds.of(self.plan.legs[leg].leg.market);
        if let Some(leg) = leg {
            return Ok(vec![(fund_of(leg), amount)]);
        }
        let mut split = Split::new(amount.0, self.closed_in(asset).0.max(1));
        let mut out: Vec<(Option<FundId>, Amount)> = Vec::new();
        for leg in 0..self.plan.legs.len() {
            let fills = self.fills.iter().filter(|f| f.leg == leg && f.asset == asset);
            let part = Amount(split.next(fills.map(|f| f.amount.0.abs()).sum())?);
            match out.iter_mut().find(|(fund, _)| *fund == fund_of(leg)) {
                Some((_, sum)) => *sum = sum.plus(part)?,
                None => out.push((fund_of(leg), part)),
            }
        }
        Ok(out)
    }

    /// The layers pay what an account lacks, each fund its portion. Returns what is left.
    pub(super) fn pay(&mut self, asset: AssetId, need: Amount) -> Result<Amount> {
        if !self.moment.setup.funds.any() {
            let legs = self.closed_legs.clone();
            return self.claim(None, &legs, asset, need);
        }
        if need.is_zero() {
            return Ok(need);
        }
        if self.plan.legs.is_empty() {
            // A market is settled, and all that is lost was in it.
            let legs = self.closed_legs.clone();
            let fund = legs.first().and_then(|l| self.moment.setup.funds.of(l.market));
            return self.claim(fund, &legs, asset, need);
        }
        let weights = self.plan.lacks(|k| self.brought(k))?;
        let mut left = Amount::ZERO;
        for p in funds::portions(self.moment, (&self.closed_legs, &weights), asset, need)? {
            left = left.plus(self.claim(p.fund, &p.legs, asset, p.amount)?)?;
        }
        Ok(left)
    }

    /// What the close of a leg has brought, in the market and by ADL.
    fn brought(&self, k: usize) -> Result<Amount> {
        let l = &self.plan.legs[k];
        let matched = l.matches.iter().map(|m| m.units).sum();
        let mut sum = cumulated(l.adl_amount, matched, l.leg.size.units())?;
        for f in self.fills.iter().filter(|f| f.leg == k) {
            sum = sum.plus(f.amount)?.minus(f.fee)?.minus(f.unpaid)?;
        }
        Ok(sum)
    }

    /// The same for a loss that was made in one leg.
    pub(super) fn pay_for(&mut self, leg: usize, asset: AssetId, need: Amount) -> Result<Amount> {
        let funds = &self.moment.setup.funds;
        let fund = funds.of(self.plan.legs[leg].leg.market);
        let of_fund = |l: &&ClosedLeg| funds.of(l.market) == fund;
        let legs: Few<ClosedLeg, 2> = self.closed_legs.iter().filter(of_fund).copied().collect();
        self.claim(fund, &legs, asset, need)
    }

    fn claim(&mut self, fund: Option<FundId>, legs: &[ClosedLeg], asset: AssetId, need: Amount) -> Result<Amount> {
        let prepaid = house::realise(self.state, self.moment, self.event, self.account, (asset, need))?;
        add(&mut self.prepaid, asset, prepaid)?;
        let need = need.minus(prepaid)?;
        let claim = Claim {
            event: self.event,
            account: self.account,
            legs,
            fund,
            asset,
            need,
        };
        pay(self.state, self.moment, claim, &mut self.payments)
    }
}
