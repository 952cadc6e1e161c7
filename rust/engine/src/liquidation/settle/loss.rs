//! What an action costs others: the last payments of the layers, and its rows of bad debt (semantics, sections 5.8, 5a and 10).

use super::Booking;
use crate::config::{Layer, LossUnit};
use crate::contract::AssetId;
use crate::error::Result;
use crate::few::Few;
use crate::ledger::{Entity, FundId, Holder, PostingKind};
use crate::liquidation::close::get;
use crate::liquidation::underway::after_pause;
use crate::margin::Requirement;
use crate::records::BadDebtRow;
use crate::state::Cover;
use crate::units::{Amount, Usd};
use crate::waterfall::late::{self, Loss};

impl Booking<'_, '_> {
    /// The end of an action that leaves something open: penalties, and what loss units cost the layers.
    pub(super) fn leave_open(&mut self) -> Result<()> {
        let setup = self.moment.setup;
        let assets: Few<AssetId, 2> = self.state.book.cash(self.account).iter().map(|(a, _)| *a).collect();
        for &asset in &assets {
            if setup.protocol.loss_unit == LossUnit::Account && self.plan.solvent {
                let limit = self.plan.left(asset)?;
                self.charge_penalty(asset, None, self.closed_in(asset), limit)?;
            }
        }
        for &asset in &assets {
            let (paid, give_up) = (self.paid(asset)?, get(&self.give_up, asset));
            if paid.is_zero() && give_up.is_zero() {
                continue;
            }
            let left = self.plan.left(asset)?.minus(get(&self.penalties, asset))?;
            let of_layers = paid.min(left.deficit());
            let subsidy = paid.minus(of_layers)?;
            let relieved = if give_up.is_zero() {
                Amount::ZERO
            } else {
                self.relieved(asset, give_up)?
            };
            let debt = of_layers.plus(relieved)?;
            self.record_loss(asset, debt, Amount::ZERO, subsidy, give_up.minus(relieved)?)?;
        }
        let legs = self.state.book.legs(self.account).len();
        // What layers have charged to open interest for this account is not its own to pay.
        for leg in 0..legs {
            self.state.book.mark_settled(self.account, leg);
        }
        if setup.protocol.withdrawal_gate.is_some() && self.is_below_zero()? {
            self.state.uncovered_at = Some(self.moment.ts);
        }
        let closed = self.plan.legs.iter().map(|l| (l.index, l.market + l.matched()));
        let not_before = after_pause(setup, self.moment.ts)?;
        self.state.records.partial += 1;
        self.state.liquidations.note(self.account, legs, closed, not_before);
        Ok(())
    }

    /// By how much ADL has made a deficit smaller that stays open: what the account lacked at the reference, less what it still lacks.
    pub(super) fn relieved(&self, asset: AssetId, give_up: Amount) -> Result<Amount> {
        let mut equity = self.cash(asset);
        for leg in self.state.book.legs(self.account).iter().filter(|l| !l.size.is_zero()) {
            let market = &self.moment.setup.venue.markets[leg.market];
            if market.settlement == asset {
                equity = equity.plus(market.value(leg.size, self.moment.reference(leg.market))?)?;
            }
        }
        let lacked = give_up.minus(equity)?.positive();
        Ok(lacked.minus(equity.deficit())?.positive())
    }

    /// The account has negative equity as it stands.
    fn is_below_zero(&self) -> Result<bool> {
        let (setup, book) = (self.moment.setup, &self.state.book);
        let health = setup
            .margin
            .health(&setup.venue, book, self.account, self.moment, Requirement::Maintenance)?;
        Ok(health.equity < 0)
    }

    /// What layers have paid in an asset, now or ahead.
    fn paid(&self, asset: AssetId) -> Result<Amount> {
        let payments = self.payments.iter().filter(|p| p.asset == asset);
        payments
            .map(|p| p.amount)
            .try_fold(get(&self.prepaid, asset), Amount::plus)
    }

    /// Final payments in one asset, and its row of bad debt. True if there was a loss to others.
    pub(super) fn settle_asset(&mut self, asset: AssetId) -> Result<bool> {
        // The balance without any layer's payment.
        let own = self.cash(asset).minus(get(&self.group_paid, asset))?;
        let left = self.pay(asset, self.cash(asset).deficit())?;
        let (uncovered_holder, me) = (Holder::Entity(Entity::Uncovered), self.me());
        self.post(PostingKind::Uncovered, uncovered_holder, me, asset, left)?;
        if left.0 > 0 {
            self.state.uncovered_at = Some(self.moment.ts);
        }

        let give_up = get(&self.give_up, asset);
        let paid = self.paid(asset)?;
        let debt = give_up.minus(own)?.positive();
        if debt.is_zero() && give_up.is_zero() && paid.is_zero() && left.is_zero() {
            return Ok(false);
        }
        let subsidy = paid.plus(left)?.minus(own.deficit())?;
        let overshoot = paid.plus(left)?.plus(give_up)?.minus(debt)?.minus(subsidy)?;
        self.record_loss(asset, debt, left, subsidy, overshoot)?;
        Ok(debt.0 > 0 || paid.0 > 0 || left.0 > 0)
    }

    /// A row of bad debt in one asset.
    pub(super) fn record_loss(
        &mut self,
        asset: AssetId,
        debt: Amount,
        left: Amount,
        subsidy: Amount,
        overshoot: Amount,
    ) -> Result<()> {
        let mut trading = self.fills.iter().filter(|f| f.asset == asset).map(|f| f.fee);
        let mut fees = trading.try_fold(Amount::ZERO, Amount::plus)?;
        if asset == self.plan.settle_asset {
            fees = fees.plus(self.plan.unfunded_fee)?;
        }
        let fees = fees.min(debt);
        let assessments = get(&self.assessed, asset).min(debt.minus(fees)?);
        let rest = debt.minus(fees)?.minus(assessments)?;
        let accrued = get(&self.accrued, asset).positive().min(rest);
        let row = BadDebtRow {
            ts: self.moment.ts,
            debtor: self.me(),
            event: Some(self.event),
            asset,
            amount: debt,
            third_party_fees: self.moment.usd(asset, fees)?,
            assessments: self.moment.usd(asset, assessments)?,
            funding_borrow: self.moment.usd(asset, accrued)?,
            waived: self.moment.usd(asset, get(&self.waived, asset))?,
            paid: self
                .payments
                .iter()
                .filter(|p| p.asset == asset)
                .map(|p| (p.layer, p.usd))
                .collect(),
            give_up: Usd(get(&self.give_up_usd, asset).0),
            uncovered: self.moment.usd(asset, left)?,
            overshoot: self.moment.usd(asset, overshoot)?,
            subsidy: self.moment.usd(asset, subsidy)?,
            change_of_prepaid: self.moment.usd(asset, get(&self.prepaid, asset))?.negated(),
        };
        let number = self.state.records.bad_debt.len();
        let layers = self.moment.setup.protocol.waterfall.iter();
        for &layer in layers {
            let by_layer = self.payments.iter().filter(|p| p.asset == asset && p.layer == layer);
            let mut by_payer: Few<(Option<FundId>, Amount), 2> = Few::new();
            for p in by_layer {
                match by_payer.iter_mut().find(|(fund, _)| *fund == p.fund) {
                    Some((_, sum)) => *sum = sum.plus(p.amount)?,
                    None => by_payer.push((p.fund, p.amount)),
                }
            }
            for &(fund, amount) in &by_payer {
                self.note_cover(number, Some(layer), fund, asset, amount);
            }
        }
        self.note_cover(number, None, None, asset, left);
        let loss = Loss {
            event: self.event,
            account: self.account,
            row: number,
            asset,
            amount: left,
            usd: row.uncovered,
        };
        late::claim(self.state, self.moment, loss, &self.closed_legs);
        self.state.records.lose(row)?;
        Ok(())
    }

    /// Remembers what a late deposit could make good.
    fn note_cover(&mut self, row: usize, layer: Option<Layer>, fund: Option<FundId>, asset: AssetId, amount: Amount) {
        if amount.0 > 0 {
            self.state.cover.entry(self.account).or_default().push(Cover {
                row,
                layer,
                fund,
                asset,
                amount,
            });
        }
    }
}
