//! Account events: deposits and withdrawals.

use super::event_loop::{Replayer, Session};
use crate::book::{AccountEvent, EventKind, Status};
use crate::config::{LateDeposits, Layer, SocialisedBy};
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::margin::Requirement;
use crate::records::RejectedRow;
use crate::state::{Moment, State};
use crate::units::Amount;
use crate::waterfall::socialised::{self, open_interest};

/// Lists an event that was turned down.
fn turn_down(state: &mut State, event: &AccountEvent, reason: &'static str) {
    let kind = match event.kind {
        EventKind::Deposit => "deposit",
        EventKind::Withdrawal => "withdrawal",
    };
    state.records.rejected.push(RejectedRow {
        ts: event.ts,
        account: event.account,
        kind,
        asset: Some(event.asset),
        amount: event.amount,
        reason,
    });
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
            let reason = match event.kind {
                EventKind::Deposit => self.deposit(&event)?,
                EventKind::Withdrawal => self.withdraw(&event)?,
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

    fn deposit(&mut self, event: &AccountEvent) -> Result<Option<&'static str>> {
        let status = self.state.book.accounts[event.account].status;
        if status == Status::Rejected {
            return Ok(Some("the account was not admitted"));
        }
        if status == Status::Defaulted && self.setup.protocol.late_deposits == LateDeposits::Ignore {
            return Ok(Some("the account has defaulted"));
        }
        let (from, to) = (Holder::Entity(Entity::External), Holder::Account(event.account));
        let moment = Moment::new(self.setup, self.board, event.ts);
        open_interest::settle(&mut self.state, &moment, None, event.account)?;
        self.state
            .post(&moment, None, PostingKind::Deposit, from, to, event.asset, event.amount)?;
        self.note_flow(event, event.amount)?;
        if status == Status::Defaulted {
            self.recover(event)?;
        }
        Ok(None)
    }

    fn note_flow(&mut self, event: &AccountEvent, amount: Amount) -> Result<()> {
        let usd = Moment::new(self.setup, self.board, event.ts).usd(event.asset, amount)?;
        let summary = &mut self.state.records.accounts[event.account];
        summary.deposits = summary.deposits.plus(usd)?;
        Ok(())
    }

    /// Pays a late deposit on to whoever covered the loss: first what nobody covered, then the layers from the last to the first.
    fn recover(&mut self, event: &AccountEvent) -> Result<()> {
        let moment = Moment::new(self.setup, self.board, event.ts);
        let waterfall = &self.setup.protocol.waterfall;
        let order: Vec<Option<Layer>> = std::iter::once(None)
            .chain(waterfall.iter().rev().map(|l| Some(*l)))
            .collect();
        let mut left = event.amount;
        for layer in order {
            let entity = layer.map_or(Some(Entity::Uncovered), Layer::entity);
            let Some(entity) = entity else { continue };
            // Those whom it charged have made it good.
            if layer == Some(Layer::Socialised) && socialised::by(&moment) == Some(SocialisedBy::OpenInterest) {
                continue;
            }
            for k in 0..self.state.cover.get(&event.account).map_or(0, Vec::len) {
                let cover = self.state.cover[&event.account][k];
                if cover.layer != layer || cover.asset != event.asset || left.0 <= 0 {
                    continue;
                }
                let amount = cover.amount.min(left);
                let (from, to) = (Holder::Account(event.account), Holder::Entity(entity));
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

    fn withdraw(&mut self, event: &AccountEvent) -> Result<Option<&'static str>> {
        match self.state.book.accounts[event.account].status {
            Status::Open => {}
            Status::Queued => return Ok(Some("the account is being liquidated")),
            _ => return Ok(Some("the account is closed")),
        }
        let setup = self.setup;
        let moment = Moment::new(setup, self.board, event.ts);
        let net = self.state.book.net_cash(event.account)?;
        let held = net.iter().find(|(asset, _)| *asset == event.asset);
        let mut balance = held.map_or(Amount::ZERO, |&(_, amount)| amount);
        for leg in self.state.book.legs(event.account).iter().filter(|l| !l.size.is_zero()) {
            let market = &setup.venue.markets[leg.market];
            if market.settlement == event.asset {
                balance = balance.plus(market.value(leg.size, moment.trigger(leg.market))?)?;
            }
        }
        if balance < event.amount {
            return Ok(Some("more than the balance"));
        }
        let (account, outside) = (Holder::Account(event.account), Holder::Entity(Entity::External));
        self.state
            .ledger
            .transfer(&mut self.state.book, account, outside, event.asset, event.amount)?;
        let after = setup.margin.health(
            &setup.venue,
            &self.state.book,
            event.account,
            &moment,
            Requirement::Initial,
        )?;
        self.state
            .ledger
            .transfer(&mut self.state.book, outside, account, event.asset, event.amount)?;
        if after.fails() {
            return Ok(Some("below the initial requirement"));
        }
        open_interest::settle(&mut self.state, &moment, None, event.account)?;
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
}
