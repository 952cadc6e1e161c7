//! Account events: deposits, withdrawals and trades.

use super::event_loop::{Replayer, Session};
use crate::book::{AccountEvent, Holding, Request, Status};
use crate::config::{LateDeposits, Layer, SocialisedBy};
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind, released};
use crate::margin::{OpenInterest, Requirement, WithInterest};
use crate::payout::{Payouts, Unpaid};
use crate::records::RejectedRow;
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Size};
use crate::waterfall::{charges, house, socialised};

/// Lists an event that was turned down.
fn turn_down(state: &mut State, event: &AccountEvent, reason: &'static str) {
    let (kind, asset, amount, trade) = match event.request {
        Request::Deposit(asset, amount) => ("deposit", Some(asset), amount, None),
        Request::Withdrawal(asset, amount) => ("withdrawal", Some(asset), amount, None),
        Request::Trade { leg, size, .. } => {
            let market = state.book.legs(event.account)[leg].market;
            ("trade", None, Amount::ZERO, Some((market, size)))
        }
    };
    state.records.rejected.push(RejectedRow {
        ts: event.ts,
        account: event.account,
        kind,
        asset,
        amount,
        trade,
        reason,
    });
}

/// A movement of money into an account or out of it.
#[derive(Clone, Copy)]
struct Flow {
    ts: i64,
    account: usize,
    asset: AssetId,
    amount: Amount,
}

impl Session {
    /// Lists the events that come after the last tick, when nothing happens any more.
    pub fn turn_down_late_events(&mut self) {
        for event in self.events.split_off(self.next_event) {
            turn_down(&mut self.state, &event, "after the end of the tape");
        }
    }
}

impl Replayer<'_> {
    /// Applies the events of an instant, in row order. Returns the accounts that they touched, in order.
    pub(super) fn apply_events(&mut self, t: i64) -> Result<Vec<usize>> {
        let mut touched = Vec::new();
        while let Some(event) = self.events.get(self.next_event).copied().filter(|e| e.ts <= t) {
            self.next_event += 1;
            let flow = |asset, amount| Flow {
                ts: event.ts,
                account: event.account,
                asset,
                amount,
            };
            let reason = match event.request {
                _ if self.halted(&event) => Some("the venue is halted"),
                Request::Trade { leg, .. } if self.is_settled(&event, leg) => Some("the market is settled"),
                Request::Deposit(asset, amount) => self.deposit(&flow(asset, amount))?,
                Request::Withdrawal(asset, amount) => self.withdraw(&flow(asset, amount))?,
                Request::Trade { leg, size, price } => self.trade(event.ts, (event.account, leg), size, price)?,
            };
            match reason {
                None => {
                    self.queue
                        .forget_unless_queued(event.account, self.state.book.accounts[event.account].status);
                    touched.push(event.account);
                }
                Some(reason) => turn_down(&mut self.state, &event, reason),
            }
        }
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }

    /// True if the venue is down for an event: as a whole, or in the market of a trade or a market in which the account has a size.
    fn halted(&self, event: &AccountEvent) -> bool {
        if self.state.outages.stop(event.ts) {
            return true;
        }
        let Some(halts) = &self.board.feeds().halts else {
            return false;
        };
        let legs = self.state.book.legs(event.account);
        match event.request {
            Request::Trade { leg, .. } => halts.stop(Some(legs[leg].market), event.ts),
            Request::Deposit(..) | Request::Withdrawal(..) => {
                let mut held = legs.iter().filter(|leg| !leg.size.is_zero());
                halts.stop(None, event.ts) || held.any(|leg| halts.stop(Some(leg.market), event.ts))
            }
        }
    }

    fn is_settled(&self, event: &AccountEvent, leg: usize) -> bool {
        let market = self.state.book.legs(event.account)[leg].market;
        self.state.records.settled.contains_key(&market)
    }

    fn deposit(&mut self, event: &Flow) -> Result<Option<&'static str>> {
        let status = self.state.book.accounts[event.account].status;
        if status == Status::Rejected {
            return Ok(Some("the account was not admitted"));
        }
        if status == Status::Defaulted && self.setup.protocol.late_deposits == LateDeposits::Ignore {
            return Ok(Some("the account has defaulted"));
        }
        let (from, to) = (Holder::Entity(Entity::External), Holder::Account(event.account));
        let moment = Moment::new(self.setup, self.board, event.ts);
        charges::settle(&mut self.state, &moment, None, event.account)?;
        self.state
            .post(&moment, None, PostingKind::Deposit, from, to, event.asset, event.amount)?;
        self.note_flow(event, event.amount)?;
        if status == Status::Defaulted {
            self.recover(event)?;
        }
        Ok(None)
    }

    fn note_flow(&mut self, event: &Flow, amount: Amount) -> Result<()> {
        let usd = Moment::new(self.setup, self.board, event.ts).usd(event.asset, amount)?;
        let summary = &mut self.state.records.accounts[event.account];
        summary.deposits = summary.deposits.plus(usd)?;
        Ok(())
    }

    /// Pays a late deposit on to whoever covered the loss: first what nobody covered, then the layers from the last to the first.
    fn recover(&mut self, event: &Flow) -> Result<()> {
        let moment = Moment::new(self.setup, self.board, event.ts);
        let waterfall = &self.setup.protocol.waterfall;
        let order: Vec<Option<Layer>> = std::iter::once(None)
            .chain(waterfall.iter().rev().map(|l| Some(*l)))
            .collect();
        let mut left = event.amount;
        for layer in order {
            // Those whom it charged have made it good.
            let at_once = socialised::by(&moment).is_some_and(|by| by != SocialisedBy::Profit);
            if layer == Some(Layer::Socialised) && at_once {
                continue;
            }
            for k in 0..self.state.cover.get(&event.account).map_or(0, Vec::len) {
                let cover = self.state.cover[&event.account][k];
                if cover.layer != layer || cover.asset != event.asset || left.0 <= 0 {
                    continue;
                }
                let uncovered = Some(Holder::Entity(Entity::Uncovered));
                let Some(to) = layer.map_or(uncovered, |l| l.holder(cover.fund)) else {
                    continue;
                };
                let amount = cover.amount.min(left);
                let from = Holder::Account(event.account);
                self.state
                    .post(&moment, None, PostingKind::Recovery, from, to, event.asset, amount)?;
                if let Some(covers) = self.state.cover.get_mut(&event.account) {
                    covers[k].amount = cover.amount.minus(amount)?;
                }
                left = left.minus(amount)?;
                let usd = moment.usd(event.asset, amount)?;
                self.state
                    .records
                    .recovered
                    .entry(cover.row)
                    .or_default()
                    .push((layer, usd));
            }
        }
        Ok(())
    }

    fn withdraw(&mut self, event: &Flow) -> Result<Option<&'static str>> {
        if let Some(reason) = self.is_barred(event.account) {
            return Ok(Some(reason));
        }
        let setup = self.setup;
        let gate = setup.protocol.withdrawal_gate.zip(self.state.uncovered_at);
        if gate.is_some_and(|(window, uncovered)| event.ts.saturating_sub(uncovered) < window) {
            return Ok(Some("withdrawals are halted after an uncovered loss"));
        }
        let moment = Moment::new(setup, self.board, event.ts);
        let net = self.state.book.net_cash(event.account)?;
        let held = net.iter().find(|(asset, _)| *asset == event.asset);
        let mut balance = held.map_or(Amount::ZERO, |&(_, amount)| amount);
        for leg in self.state.book.legs(event.account).iter().filter(|l| !l.size.is_zero()) {
            let market = &setup.venue.markets[leg.market];
            if market.settlement == event.asset {
                balance = balance.plus(market.value(leg.size, moment.trigger(leg.market, leg.size))?)?;
            }
        }
        if balance < event.amount {
            return Ok(Some("more than the balance"));
        }
        let mut cash = net.into_owned();
        for (_, held) in cash.iter_mut().filter(|(asset, _)| *asset == event.asset) {
            *held = held.minus(event.amount)?;
        }
        let (legs, cash) = (self.state.book.legs(event.account), &cash);
        let open_interest = setup.margin.open_interest(&setup.venue, &self.state.book)?;
        if self.is_below_initial(&moment, Holding { legs, cash }, &open_interest)? {
            return Ok(Some("below the initial requirement"));
        }
        if !house::provide(&mut self.state, &moment, event.account, event.asset, event.amount)? {
            return Ok(Some("the clearing house does not have it"));
        }
        let (account, outside) = (Holder::Account(event.account), Holder::Entity(Entity::External));
        charges::settle(&mut self.state, &moment, None, event.account)?;
        self.state.post(
            &moment,
            None,
            PostingKind::Withdrawal,
            account,
            outside,
            event.asset,
            event.amount,
        )?;
        self.note_flow(event, event.amount.negated())?;
        Ok(None)
    }

    /// Why an account may not act now, if it may not.
    fn is_barred(&self, account: usize) -> Option<&'static str> {
        match self.state.book.accounts[account].status {
            Status::Open => None,
            Status::Queued => Some("the account is being liquidated"),
            Status::Rejected => Some("the account was not admitted"),
            Status::Liquidated | Status::Defaulted => Some("the account is closed"),
        }
    }

    fn is_below_initial(
        &self,
        moment: &Moment<'_>,
        holding: Holding<'_>,
        open_interest: &OpenInterest,
    ) -> Result<bool> {
        let setup = self.setup;
        let tested = WithInterest {
            prices: moment,
            open_interest,
        };
        let health = setup
            .margin
            .health_of(&setup.venue, holding, &tested, Requirement::Initial)?;
        Ok(health.fails())
    }

    /// Trades with the outside. Whoever ends with a larger position, or on the other side, must meet the initial requirement.
    fn trade(
        &mut self,
        t: i64,
        (account, leg): (usize, usize),
        size: Size,
        price: Option<Price>,
    ) -> Result<Option<&'static str>> {
        if let Some(reason) = self.is_barred(account) {
            return Ok(Some(reason));
        }
        let setup = self.setup;
        let moment = Moment::new(setup, self.board, t);
        let before = self.state.book.legs(account)[leg];
        // Who buys deals as one who closes a short does.
        let price = price.unwrap_or_else(|| moment.execution(before.market, size.negated()));
        let market = &setup.venue.markets[before.market];
        let received = market.value(size.negated(), price)?;
        let after = before.size.plus(size)?;
        let unpaid = self.unpaid(&moment, (account, leg), size, received)?;
        let same_side = (after.0 > 0) == (before.size.0 > 0);
        let reduces = after.is_zero() || (same_side && after.units() < before.size.units());
        if !reduces {
            let mut legs = self.state.book.legs(account).to_vec();
            legs[leg].take(size, received.negated())?;
            let mut cash = self.state.book.net_cash(account)?.into_owned();
            for (_, held) in cash.iter_mut().filter(|(asset, _)| *asset == market.settlement) {
                *held = held.plus(received)?.minus(unpaid.total()?)?;
            }
            let mut open_interest = setup.margin.open_interest(&setup.venue, &self.state.book)?;
            open_interest.remove(before.market, before.size)?;
            open_interest.add(before.market, after)?;
            let (legs, cash) = (&legs, &cash);
            if self.is_below_initial(&moment, Holding { legs, cash }, &open_interest)? {
                return Ok(Some("below the initial requirement"));
            }
        }
        charges::settle(&mut self.state, &moment, None, account)?;
        // Whoever pays profits is the other side.
        let other = match setup.payout {
            Some(_) => setup.protocol.counterparty.entity(),
            None => Entity::Outside,
        };
        let (from, to) = (Holder::Entity(other), Holder::Account(account));
        self.state
            .post(&moment, None, PostingKind::Trade, from, to, market.settlement, received)?;
        let State { book, ledger, .. } = &mut self.state;
        ledger.trade_leg(&mut book.legs_mut(account)[leg], size, received.negated())?;
        ledger.take(other, before.market, size.negated(), received)?;
        unpaid.book(&mut self.state, &moment, None, account, market.settlement)?;
        Ok(None)
    }

    /// What is not paid of the profit of a trade that brings a leg toward zero, or beyond it.
    fn unpaid(
        &self,
        moment: &Moment<'_>,
        (account, index): (usize, usize),
        size: Size,
        received: Amount,
    ) -> Result<Unpaid> {
        let leg = self.state.book.legs(account)[index];
        if leg.size.is_zero() || (leg.size.0 > 0) == (size.0 > 0) {
            return Ok(Unpaid::default());
        }
        let mut payouts = Payouts::at(&self.state, moment, account)?;
        if size.units() <= leg.size.units() {
            return payouts.fill(moment, (index, &leg), size.units(), received);
        }
        // The whole leg is closed; what it brings is its part of the cost, as where an inventory crosses zero.
        let brought = released(received.negated(), leg.size.units(), size.units())?.negated();
        payouts.close(moment, (index, &leg), leg.size.units(), (leg.entry_value, brought))
    }
}
