//! Orders that wait for prints: for the next one of each market, or for a share of the volume that trades.

use super::event_loop::Replayer;
use super::queue::{Action, Missing, Order, Step};
use crate::error::{Error, Result};
use crate::liquidation::LegPrice;
use crate::liquidation::execution::participation::{Filling, Prints};
use crate::units::{Price, Ratio};

impl Replayer<'_> {
    /// An error if orders wait for volume, or funds get a share of its fees, where the ticks have no sizes.
    pub(super) fn check_sizes(&self) -> Result<()> {
        let feeds = self.board.feeds();
        let lacks = |&m: &usize| feeds.sizes[m].is_none() && !feeds.prints[m].series.ts.is_empty();
        let mut traded = (0..self.setup.venue.markets.len()).filter(|&m| !self.state.holders[m].is_empty());
        if self.setup.protocol.needs_sizes()
            && let Some(market) = traded.find(lacks)
        {
            return Err(Error::Data(format!(
                "column size: market {} has none, and the protocol's {} in the volume",
                self.setup.venue.markets[market].name,
                if self.setup.protocol.execution.needs_sizes() {
                    "execution takes part"
                } else {
                    "insurance fund has a share"
                },
            )));
        }
        Ok(())
    }

    /// Places an order for legs of an account.
    pub(super) fn place(&mut self, t: i64, action: Action, legs: &[(usize, usize)]) -> Result<()> {
        let takes_part = self.setup.protocol.execution.needs_sizes();
        let missing = |&(leg, market): &(usize, usize)| {
            let position = self.state.book.legs(action.account)[leg].size;
            let filling = takes_part.then(|| Filling::new(position, t, self.share(market)?));
            Ok(Missing {
                leg,
                market,
                filling: filling.transpose()?,
            })
        };
        let missing = legs.iter().map(missing).collect::<Result<_>>()?;
        self.await_prints(Order {
            action: Action { due: t, ..action },
            placed: t,
            missing,
            prices: Vec::new(),
        })
    }

    /// The share of a market's volume that orders take.
    fn share(&self, market: usize) -> Result<Ratio> {
        let execution = &self.setup.protocol.execution;
        let share = execution
            .rate
            .times(execution.scale(&self.setup.venue.markets[market].name));
        share.ok_or_else(|| Error::overflow("share of the volume"))
    }

    /// Fills an order when the last of its prints comes; keeps it if some are not in this window.
    pub(super) fn await_prints(&mut self, mut order: Order) -> Result<()> {
        let feeds = self.board.feeds();
        let mut still = Vec::new();
        for mut missing in std::mem::take(&mut order.missing) {
            let market = missing.market;
            let prints = &feeds.prints[market].series;
            let filled = if let Some(filling) = &mut missing.filling {
                let prints = Prints {
                    ts: &prints.ts,
                    price: &prints.price,
                    size: feeds.sizes[market].as_deref().unwrap_or_default(),
                };
                let share = self.share(market)?;
                filling.fill(&mut self.used[market], prints, share)?
            } else {
                let next = prints.count(order.placed);
                prints.ts.get(next).map(|&ts| (ts, Price(prints.price[next])))
            };
            let Some((ts, price)) = filled else {
                still.push(missing);
                continue;
            };
            let leg = missing.leg;
            order.prices.push(LegPrice { leg, price });
            order.action.due = order.action.due.max(ts);
        }
        order.missing = still;
        if order.missing.is_empty() {
            order.prices.sort_by_key(|p| p.leg);
            self.queue.push(Action {
                step: Step::Fill { prices: order.prices },
                ..order.action
            });
        } else {
            self.queue.orders.push(order);
        }
        Ok(())
    }
}
