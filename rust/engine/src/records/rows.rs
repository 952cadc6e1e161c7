//! Rows as integers, for those that leave memory.

use super::spill::{Get, Put, Row};
use super::{AdlRow, BadDebtRow, LiquidationRow, TimelineRow};
use crate::config::Layer;
use crate::ledger::{Entity, FundId, Holder, Posting, PostingKind};
use crate::units::{Amount, Price, Size, Usd};

/// Number of the first fund of some markets as a holder: below those of all entities.
const FIRST_FUND: i64 = -1000;

impl Put {
    fn event(&mut self, event: Option<u32>) -> &mut Self {
        self.int(event.map_or(-1, i64::from))
    }

    fn entity(&mut self, entity: Entity) -> &mut Self {
        self.count(entity as usize)
    }

    fn holder(&mut self, holder: Holder) -> &mut Self {
        match holder {
            Holder::Account(account) => self.count(account),
            Holder::Fund(fund) => self.int(FIRST_FUND - fund.0 as i64),
            Holder::Entity(entity) => self.int(-1 - entity as i64),
        }
    }
}

impl Get<'_> {
    fn narrow<T: TryFrom<i64>>(&mut self) -> Option<T> {
        T::try_from(self.int()?).ok()
    }

    fn event(&mut self) -> Option<Option<u32>> {
        match self.int()? {
            -1 => Some(None),
            event => u32::try_from(event).ok().map(Some),
        }
    }

    fn entity(&mut self) -> Option<Entity> {
        Entity::ALL.get(self.count()?).copied()
    }

    fn holder(&mut self) -> Option<Holder> {
        let holder = self.int()?;
        if holder <= FIRST_FUND {
            let fund = usize::try_from(FIRST_FUND - holder).ok()?;
            return Some(Holder::Fund(FundId(fund)));
        }
        match usize::try_from(holder) {
            Ok(account) => Some(Holder::Account(account)),
            Err(_) => Entity::ALL
                .get(usize::try_from(-1 - holder).ok()?)
                .map(|&e| Holder::Entity(e)),
        }
    }

    fn usd(&mut self) -> Option<Usd> {
        self.wide().map(Usd)
    }
}

impl Row for LiquidationRow {
    fn put(&self, to: &mut Put) {
        to.int(self.ts).count(self.account).count(self.market);
        to.int(self.event.into()).int(self.trigger_ts).entity(self.counterparty);
        to.int(self.size.0).int(self.price.0).int(self.reference.0);
        to.count(self.asset).wide(self.amount.0).wide(self.notional.0);
        to.wide(self.equity.0).wide(self.price_subsidy.0);
        to.int(self.trigger_price.0);
        to.wide(self.trigger_equity.0).wide(self.trigger_notional.0);
    }

    fn get(from: &mut Get<'_>) -> Option<Self> {
        Some(Self {
            ts: from.int()?,
            account: from.count()?,
            market: from.count()?,
            event: from.narrow()?,
            trigger_ts: from.int()?,
            counterparty: from.entity()?,
            size: Size(from.int()?),
            price: Price(from.int()?),
            reference: Price(from.int()?),
            asset: from.count()?,
            amount: Amount(from.wide()?),
            notional: from.usd()?,
            equity: from.usd()?,
            price_subsidy: from.usd()?,
            trigger_price: Price(from.int()?),
            trigger_equity: from.usd()?,
            trigger_notional: from.usd()?,
        })
    }
}

impl Row for AdlRow {
    fn put(&self, to: &mut Put) {
        to.int(self.ts).holder(self.counterparty).count(self.market);
        to.int(self.event.into()).holder(self.loser).int(self.size.0);
        to.count(self.asset).wide(self.amount.0);
        to.int(self.mark.0).int(self.reference.0);
        to.wide(self.give_up.0).wide(self.forgone_profit.0);
        to.int(self.rank.into()).wide(self.score).wide(self.notional.0);
        to.int(self.equity.is_some().into())
            .wide(self.equity.map_or(0, |e| e.0));
        to.wide(self.pnl.0);
        to.int(self.trigger_ts);
        to.wide(self.trigger_equity.0).wide(self.trigger_notional.0);
        to.wide(self.loser_equity.0).wide(self.price_subsidy.0);
    }

    fn get(from: &mut Get<'_>) -> Option<Self> {
        Some(Self {
            ts: from.int()?,
            counterparty: from.holder()?,
            market: from.count()?,
            event: from.narrow()?,
            loser: from.holder()?,
            size: Size(from.int()?),
            asset: from.count()?,
            amount: Amount(from.wide()?),
            mark: Price(from.int()?),
            reference: Price(from.int()?),
            give_up: from.usd()?,
            forgone_profit: from.usd()?,
            rank: from.narrow()?,
            score: from.wide()?,
            notional: from.usd()?,
            equity: {
                let (known, equity) = (from.int()? != 0, from.usd()?);
                known.then_some(equity)
            },
            pnl: from.usd()?,
            trigger_ts: from.int()?,
            trigger_equity: from.usd()?,
            trigger_notional: from.usd()?,
            loser_equity: from.usd()?,
            price_subsidy: from.usd()?,
        })
    }
}

impl Row for BadDebtRow {
    fn put(&self, to: &mut Put) {
        to.int(self.ts).holder(self.debtor).event(self.event).count(self.asset);
        to.wide(self.amount.0)
            .wide(self.third_party_fees.0)
            .wide(self.assessments.0)
            .wide(self.funding_borrow.0);
        to.wide(self.waived.0).wide(self.give_up.0).wide(self.uncovered.0);
        to.wide(self.overshoot.0)
            .wide(self.subsidy.0)
            .wide(self.change_of_prepaid.0);
        for layer in Layer::ALL {
            to.wide(self.paid_by(layer).0);
        }
    }

    fn get(from: &mut Get<'_>) -> Option<Self> {
        let mut row = Self {
            ts: from.int()?,
            debtor: from.holder()?,
            event: from.event()?,
            asset: from.count()?,
            amount: Amount(from.wide()?),
            third_party_fees: from.usd()?,
            assessments: from.usd()?,
            funding_borrow: from.usd()?,
            waived: from.usd()?,
            paid: Vec::new(),
            give_up: from.usd()?,
            uncovered: from.usd()?,
            overshoot: from.usd()?,
            subsidy: from.usd()?,
            change_of_prepaid: from.usd()?,
        };
        for layer in Layer::ALL {
            let paid = from.usd()?;
            if !paid.is_zero() {
                row.paid.push((layer, paid));
            }
        }
        Some(row)
    }
}

impl Row for TimelineRow {
    fn put(&self, to: &mut Put) {
        to.int(self.ts).int(self.liquidations as i64).int(self.adl_fills as i64);
        to.wide(self.liquidated.0).wide(self.adl.0);
        to.wide(self.bad_debt.0).wide(self.uncovered.0);
        for layer in self.layers {
            to.wide(layer.0);
        }
        to.int(self.queue.into());
    }

    fn get(from: &mut Get<'_>) -> Option<Self> {
        Some(Self {
            ts: from.int()?,
            liquidations: from.narrow()?,
            adl_fills: from.narrow()?,
            liquidated: from.usd()?,
            adl: from.usd()?,
            bad_debt: from.usd()?,
            uncovered: from.usd()?,
            layers: [from.usd()?, from.usd()?, from.usd()?, from.usd()?, from.usd()?],
            queue: from.narrow()?,
        })
    }
}

impl Row for Posting {
    fn put(&self, to: &mut Put) {
        to.int(self.ts).event(self.event).count(self.kind as usize);
        to.holder(self.from).holder(self.to).count(self.asset);
        to.wide(self.amount.0).wide(self.usd.0);
    }

    fn get(from: &mut Get<'_>) -> Option<Self> {
        Some(Self {
            ts: from.int()?,
            event: from.event()?,
            kind: *PostingKind::ALL.get(from.count()?)?,
            from: from.holder()?,
            to: from.holder()?,
            asset: from.count()?,
            amount: Amount(from.wide()?),
            usd: from.usd()?,
        })
    }
}
