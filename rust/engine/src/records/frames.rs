//! Records as Arrow record batches: the frames of a result. Column names and units are the contract of `docs/semantics.md`, section 11.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Float64Array, RecordBatch};

use super::columns::{Frame, batch, counts, flags, numbers, optional_usd, side, text, times, usd};
use super::{AdlRow, BadDebtRow, LiquidationRow, Section, TimelineRow, who_pays};
use crate::config::Layer;
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, Ledger, Posting};
use crate::replay::Run;
use crate::units::{Amount, Usd};

/// Names of the frames of a run.
pub const FRAME_NAMES: [&str; 10] = [
    "who_pays",
    "liquidations",
    "adl",
    "bad_debt",
    "timeline",
    "accounts",
    "balances",
    "positions",
    "postings",
    "rejected_events",
];

/// Accounts in a part of the frames that have rows for each of them.
const ACCOUNTS: usize = 1 << 16;

/// Number of parts in which the frame of this name comes; None if there is none.
pub fn parts(run: &Run, name: &str) -> Option<usize> {
    let records = &run.state.records;
    Some(match name {
        "liquidations" => records.liquidations.parts(),
        "adl" => records.adl.parts(),
        "bad_debt" => records.bad_debt.parts(),
        "timeline" => records.timeline.parts(),
        "postings" => records.postings.parts(),
        "accounts" | "balances" | "positions" => run.state.book.len().div_ceil(ACCOUNTS).max(1),
        _ if FRAME_NAMES.contains(&name) => 1,
        _ => return None,
    })
}

/// A part of the frame of this name; None if there is none. A part has so few rows that it is made at once, and rows that have left
/// memory come in parts of their own.
///
/// # Errors
/// [`Error::Overflow`] if a figure has more than 38 digits, [`Error::Spill`] if records cannot be read back.
pub fn frame(run: &Run, name: &str, part: usize) -> Option<Result<RecordBatch>> {
    if part >= parts(run, name)? {
        return None;
    }
    let (frame, records) = (Frame::new(run), &run.state.records);
    let accounts = run.state.book.len();
    let accounts = (part * ACCOUNTS).min(accounts)..((part + 1) * ACCOUNTS).min(accounts);
    Some(match name {
        "who_pays" => frame.who_pays(),
        "liquidations" => records
            .liquidations
            .part(part)
            .and_then(|rows| frame.liquidations(&rows)),
        "adl" => records.adl.part(part).and_then(|rows| frame.adl(&rows)),
        "bad_debt" => {
            let first = records.bad_debt.first_of(part);
            records
                .bad_debt
                .part(part)
                .and_then(|rows| frame.bad_debt(&rows, first))
        }
        "timeline" => records.timeline.part(part).and_then(|rows| frame.timeline(&rows)),
        "accounts" => frame.accounts(accounts),
        "balances" => frame.balances(accounts),
        "positions" => frame.positions(accounts),
        "postings" => records.postings.part(part).and_then(|rows| frame.postings(&rows)),
        "rejected_events" => frame.rejected(),
        _ => return None,
    })
}

impl Frame<'_> {
    fn who_pays(&self) -> Result<RecordBatch> {
        let lines = who_pays(self.run)?;
        let word = |s: Section| match s {
            Section::Loss => "loss",
            Section::Payer => "payer",
            Section::Beside => "beside",
        };
        batch(vec![
            ("section", text(lines.iter().map(|l| Some(word(l.section))))),
            ("line", text(lines.iter().map(|l| Some(l.name.as_str())))),
            ("amount_usd", usd(lines.iter().map(|l| l.amount))?),
            (
                "share",
                Arc::new(lines.iter().map(|l| l.share).collect::<Float64Array>()),
            ),
            ("accounts", numbers(lines.iter().map(|l| l.accounts))),
            ("first_ts", times(lines.iter().map(|l| l.first_ts))),
        ])
    }

    fn liquidations(&self, rows: &[LiquidationRow]) -> Result<RecordBatch> {
        let route = |e: Entity| match e {
            Entity::Pool => "pool",
            Entity::Vault => "vault",
            Entity::Keepers => "keeper",
            _ => "market",
        };
        batch(vec![
            ("ts", times(rows.iter().map(|r| Some(r.ts)))),
            ("account", text(rows.iter().map(|r| Some(self.account(r.account))))),
            ("market", text(rows.iter().map(|r| Some(self.market(r.market))))),
            ("event", numbers(rows.iter().map(|r| Some(r.event)))),
            ("trigger_ts", times(rows.iter().map(|r| Some(r.trigger_ts)))),
            (
                "trigger_price",
                self.prices(rows.iter().map(|r| (r.market, r.trigger_price.0)))?,
            ),
            ("trigger_equity_usd", usd(rows.iter().map(|r| r.trigger_equity))?),
            ("trigger_notional_usd", usd(rows.iter().map(|r| r.trigger_notional))?),
            ("route", text(rows.iter().map(|r| Some(route(r.counterparty))))),
            ("side", text(rows.iter().map(|r| Some(side(r.size))))),
            (
                "size",
                self.sizes(rows.iter().map(|r| (r.market, i128::from(r.size.units()))))?,
            ),
            ("price", self.prices(rows.iter().map(|r| (r.market, r.price.0)))?),
            (
                "reference_price",
                self.prices(rows.iter().map(|r| (r.market, r.reference.0)))?,
            ),
            ("asset", text(rows.iter().map(|r| Some(self.asset(r.asset))))),
            (
                "amount",
                self.amounts(rows.iter().map(|r| (Some(r.asset), r.amount.0)))?,
            ),
            ("notional_usd", usd(rows.iter().map(|r| r.notional))?),
            ("equity_usd", usd(rows.iter().map(|r| r.equity))?),
            ("price_subsidy_usd", usd(rows.iter().map(|r| r.price_subsidy))?),
            ("opening", flags(rows.iter().map(|r| self.opening(r.account)))),
        ])
    }

    fn adl(&self, rows: &[AdlRow]) -> Result<RecordBatch> {
        let venue = &self.run.setup.venue;
        // A display figure: the price that gives the amount.
        let price = |r: &AdlRow| {
            let m = &venue.markets[r.market];
            let raw = match m.payoff {
                crate::market::Payoff::Linear => r.amount.0 as f64 / (m.slope() * -r.size.0 as f64),
                crate::market::Payoff::Inverse => -(m.slope() * -r.size.0 as f64) / r.amount.0 as f64,
            };
            raw / 10f64.powi(m.price_decimals as i32)
        };
        let principal = |r: &AdlRow| Usd(r.give_up.0 - r.forgone_profit.0);
        batch(vec![
            ("ts", times(rows.iter().map(|r| Some(r.ts)))),
            ("account", text(rows.iter().map(|r| Some(self.holder(r.counterparty))))),
            ("market", text(rows.iter().map(|r| Some(self.market(r.market))))),
            ("event", numbers(rows.iter().map(|r| Some(r.event)))),
            ("loser", text(rows.iter().map(|r| Some(self.holder(r.loser))))),
            ("trigger_ts", times(rows.iter().map(|r| Some(r.trigger_ts)))),
            ("trigger_equity_usd", usd(rows.iter().map(|r| r.trigger_equity))?),
            ("trigger_notional_usd", usd(rows.iter().map(|r| r.trigger_notional))?),
            ("loser_equity_usd", usd(rows.iter().map(|r| r.loser_equity))?),
            ("side", text(rows.iter().map(|r| Some(side(r.size))))),
            (
                "size",
                self.sizes(rows.iter().map(|r| (r.market, i128::from(r.size.units()))))?,
            ),
            ("asset", text(rows.iter().map(|r| Some(self.asset(r.asset))))),
            (
                "amount",
                self.amounts(rows.iter().map(|r| (Some(r.asset), r.amount.0)))?,
            ),
            (
                "price",
                Arc::new(rows.iter().map(|r| Some(price(r))).collect::<Float64Array>()),
            ),
            ("mark_price", self.prices(rows.iter().map(|r| (r.market, r.mark.0)))?),
            (
                "reference_price",
                self.prices(rows.iter().map(|r| (r.market, r.reference.0)))?,
            ),
            ("notional_usd", usd(rows.iter().map(|r| r.notional))?),
            ("give_up_usd", usd(rows.iter().map(|r| r.give_up))?),
            ("forgone_profit_usd", usd(rows.iter().map(|r| r.forgone_profit))?),
            ("principal_usd", usd(rows.iter().map(principal))?),
            ("equity_usd", optional_usd(rows.iter().map(|r| r.equity))?),
            ("pnl_usd", usd(rows.iter().map(|r| r.pnl))?),
            ("kind", text(rows.iter().map(|r| Some(kind_of_adl(r))))),
            ("rank", numbers(rows.iter().map(|r| Some(r.rank)))),
            (
                "score",
                Arc::new(
                    rows.iter()
                        .map(|r| Some(r.score as f64 / 1e18))
                        .collect::<Float64Array>(),
                ),
            ),
        ])
    }

    /// The first of the rows has the number `first`.
    fn bad_debt(&self, rows: &[BadDebtRow], first: usize) -> Result<RecordBatch> {
        let records = &self.run.state.records;
        let recovered = |number: usize| Usd(records.recovered(number).iter().map(|(_, n)| n.0).sum());
        let column = |f: &dyn Fn(&BadDebtRow) -> Usd| usd(rows.iter().map(f));
        let paid = |layer: Layer| usd(rows.iter().map(move |r| r.paid_by(layer)));
        let opening = |r: &BadDebtRow| matches!(r.debtor, Holder::Account(a) if self.opening(a));
        // By layer, or by all of them, what was paid later.
        let later = |k: usize, layer: Option<Layer>| -> i128 {
            let payments = records.covered_later(first + k).iter();
            let own = payments.filter(|(l, ..)| layer.is_none_or(|layer| layer == *l));
            own.map(|(.., usd)| usd.0).sum()
        };
        let with_later = |layer: Option<Layer>, figure: &dyn Fn(&BadDebtRow, i128) -> i128| {
            usd(rows.iter().enumerate().map(|(k, r)| Usd(figure(r, later(k, layer)))))
        };
        let in_all = |layer: Layer| with_later(Some(layer), &move |r, later| r.paid_by(layer).0 + later);
        let only_later = |layer: Layer| with_later(Some(layer), &|_, later| later);
        batch(vec![
            ("ts", times(rows.iter().map(|r| Some(r.ts)))),
            ("account", text(rows.iter().map(|r| Some(self.holder(r.debtor))))),
            ("market", text(rows.iter().map(|r| self.holder_market(r.debtor)))),
            ("event", numbers(rows.iter().map(|r| r.event))),
            ("asset", text(rows.iter().map(|r| Some(self.asset(r.asset))))),
            (
                "amount",
                self.amounts(rows.iter().map(|r| (r.event.map(|_| r.asset), r.amount.0)))?,
            ),
            ("bad_debt_usd", column(&BadDebtRow::total)?),
            (
                "principal_usd",
                column(&|r| Usd(r.total().0 - r.third_party_fees.0 - r.assessments.0 - r.funding_borrow.0))?,
            ),
            ("funding_borrow_usd", column(&|r| r.funding_borrow)?),
            ("third_party_fees_usd", column(&|r| r.third_party_fees)?),
            ("assessments_usd", column(&|r| r.assessments)?),
            ("waived_usd", column(&|r| r.waived)?),
            ("insurance_fund_usd", paid(Layer::InsuranceFund)?),
            ("pool_usd", paid(Layer::Pool)?),
            ("adl_give_up_usd", column(&|r| r.give_up)?),
            ("socialised_usd", paid(Layer::Socialised)?),
            ("treasury_usd", in_all(Layer::Treasury)?),
            ("token_usd", in_all(Layer::Token)?),
            ("treasury_later_usd", only_later(Layer::Treasury)?),
            ("token_later_usd", only_later(Layer::Token)?),
            ("uncovered_usd", with_later(None, &|r, later| r.uncovered.0 - later)?),
            ("adl_overshoot_usd", column(&|r| r.overshoot)?),
            ("subsidy_usd", column(&|r| r.subsidy)?),
            ("change_of_prepaid_usd", column(&|r| r.change_of_prepaid)?),
            ("recovered_usd", usd((first..).take(rows.len()).map(recovered))?),
            ("opening", flags(rows.iter().map(opening))),
            (
                "status",
                text(
                    rows.iter()
                        .map(|r| Some(if r.event.is_some() { "realised" } else { "open" })),
                ),
            ),
        ])
    }

    fn timeline(&self, rows: &[TimelineRow]) -> Result<RecordBatch> {
        let layer = |k: usize| usd(rows.iter().map(move |r| r.layers[k]));
        batch(vec![
            ("ts", times(rows.iter().map(|r| Some(r.ts)))),
            ("liquidations", counts(rows.iter().map(|r| r.liquidations))),
            ("adl_fills", counts(rows.iter().map(|r| r.adl_fills))),
            ("liquidated_usd", usd(rows.iter().map(|r| r.liquidated))?),
            ("adl_usd", usd(rows.iter().map(|r| r.adl))?),
            ("bad_debt_usd", usd(rows.iter().map(|r| r.bad_debt))?),
            ("uncovered_usd", usd(rows.iter().map(|r| r.uncovered))?),
            ("insurance_fund_usd", layer(0)?),
            ("pool_usd", layer(1)?),
            ("treasury_usd", layer(2)?),
            ("vault_usd", layer(3)?),
            ("token_usd", layer(4)?),
            ("queue", numbers(rows.iter().map(|r| Some(r.queue)))),
        ])
    }

    fn accounts(&self, accounts: Range<usize>) -> Result<RecordBatch> {
        let book = &self.run.state.book;
        let records = &self.run.state.records;
        let all = || accounts.clone();
        let rows = || all().map(|a| &records.accounts[a]);
        batch(vec![
            ("account", text(all().map(|a| Some(self.account(a))))),
            ("market", text(all().map(|a| self.account_market(a)))),
            (
                "margin_mode",
                text(all().map(|a| {
                    Some(if book.isolated(a).is_some() {
                        "isolated"
                    } else {
                        "cross"
                    })
                })),
            ),
            ("owner", text(all().map(|a| Some(book.owner(a))))),
            ("status", text(all().map(|a| Some(book.accounts[a].status.word())))),
            ("trigger_ts", times(rows().map(|r| r.trigger_ts))),
            ("closed_ts", times(rows().map(|r| r.closed_ts))),
            (
                "opening_equity_usd",
                usd(records.opening_equity[all()].iter().copied())?,
            ),
            (
                "closing_equity_usd",
                usd(records.closing_equity[all()].iter().copied())?,
            ),
            ("deposits_usd", usd(rows().map(|r| r.deposits))?),
            ("bad_debt_usd", usd(rows().map(|r| r.bad_debt))?),
            ("adl_give_up_usd", usd(rows().map(|r| r.adl_give_up))?),
            ("socialised_usd", usd(rows().map(|r| r.socialised))?),
            ("unpaid_profit_usd", usd(rows().map(|r| r.unpaid_profit))?),
            ("opening", flags(all().map(|a| self.opening(a)))),
        ])
    }

    /// The entities come after the last account.
    fn balances(&self, accounts: Range<usize>) -> Result<RecordBatch> {
        let (run, state) = (self.run, &self.run.state);
        let mut rows: Vec<(Holder, AssetId, i128, i128)> = Vec::new();
        let last = accounts.end == state.book.len();
        for account in accounts {
            let opening = &run.opening.held.cash[state.book.cash_range(account)];
            for (&(asset, now), then) in state.book.cash(account).iter().zip(opening) {
                rows.push((Holder::Account(account), asset, then.0, now.0));
            }
        }
        let entities = Entity::ALL.into_iter().map(Holder::Entity);
        for holder in entities.chain(run.setup.funds.own().map(Holder::Fund)).filter(|_| last) {
            for asset in 0..run.setup.venue.assets.len() {
                let balance = |ledger: &Ledger| match holder {
                    Holder::Entity(entity) => ledger.balance(entity, asset),
                    Holder::Fund(fund) => ledger.fund_balance(fund, asset),
                    Holder::Account(_) => Amount::ZERO,
                };
                let (then, now) = (balance(&run.opening.ledger), balance(&state.ledger));
                rows.push((holder, asset, then.0, now.0));
            }
        }
        rows.retain(|(_, _, then, now)| *then != 0 || *now != 0);
        batch(vec![
            ("holder", text(rows.iter().map(|r| Some(self.holder(r.0))))),
            ("market", text(rows.iter().map(|r| self.holder_market(r.0)))),
            ("asset", text(rows.iter().map(|r| Some(self.asset(r.1))))),
            ("opening", self.amounts(rows.iter().map(|r| (Some(r.1), r.2)))?),
            ("closing", self.amounts(rows.iter().map(|r| (Some(r.1), r.3)))?),
        ])
    }

    /// The entities come after the last account.
    fn positions(&self, accounts: Range<usize>) -> Result<RecordBatch> {
        let (run, state) = (self.run, &self.run.state);
        let mut rows: Vec<(Holder, usize, i64, i64, i128)> = Vec::new();
        let entities = if accounts.end == state.book.len() {
            &Entity::ALL[..]
        } else {
            &[]
        };
        for account in accounts {
            let opening = &run.opening.held.sizes[state.book.leg_range(account)];
            for (leg, &then) in state.book.legs(account).iter().zip(opening) {
                rows.push((
                    Holder::Account(account),
                    leg.market,
                    then,
                    leg.size.0,
                    leg.entry_value.0,
                ));
            }
        }
        for &entity in entities {
            for market in 0..run.setup.venue.markets.len() {
                let (then, now) = (
                    run.opening.ledger.inventory(entity, market),
                    state.ledger.inventory(entity, market),
                );
                rows.push((
                    Holder::Entity(entity),
                    market,
                    then.size.0,
                    now.size.0,
                    now.entry_value.0,
                ));
            }
        }
        rows.retain(|r| r.2 != 0 || r.3 != 0);
        let settlement = |m: usize| Some(run.setup.venue.markets[m].settlement);
        batch(vec![
            ("holder", text(rows.iter().map(|r| Some(self.holder(r.0))))),
            ("market", text(rows.iter().map(|r| Some(self.market(r.1))))),
            ("opening_size", self.sizes(rows.iter().map(|r| (r.1, i128::from(r.2))))?),
            ("closing_size", self.sizes(rows.iter().map(|r| (r.1, i128::from(r.3))))?),
            (
                "closing_entry_value",
                self.amounts(rows.iter().map(|r| (settlement(r.1), r.4)))?,
            ),
        ])
    }

    fn postings(&self, rows: &[Posting]) -> Result<RecordBatch> {
        batch(vec![
            ("ts", times(rows.iter().map(|r| Some(r.ts)))),
            ("event", numbers(rows.iter().map(|r| r.event))),
            ("kind", text(rows.iter().map(|r| Some(r.kind.word())))),
            ("from", text(rows.iter().map(|r| Some(self.holder(r.from))))),
            ("from_market", text(rows.iter().map(|r| self.holder_market(r.from)))),
            ("to", text(rows.iter().map(|r| Some(self.holder(r.to))))),
            ("to_market", text(rows.iter().map(|r| self.holder_market(r.to)))),
            ("asset", text(rows.iter().map(|r| Some(self.asset(r.asset))))),
            (
                "amount",
                self.amounts(rows.iter().map(|r| (Some(r.asset), r.amount.0)))?,
            ),
            ("amount_usd", usd(rows.iter().map(|r| r.usd))?),
        ])
    }

    fn rejected(&self) -> Result<RecordBatch> {
        let rows = &self.run.state.records.rejected;
        batch(vec![
            ("ts", times(rows.iter().map(|r| Some(r.ts)))),
            ("account", text(rows.iter().map(|r| Some(self.account(r.account))))),
            (
                "market",
                text(rows.iter().map(|r| match r.trade {
                    Some((market, _)) => Some(self.market(market)),
                    None => self.account_market(r.account),
                })),
            ),
            ("kind", text(rows.iter().map(|r| Some(r.kind)))),
            ("asset", text(rows.iter().map(|r| r.asset.map(|a| self.asset(a))))),
            ("amount", self.amounts(rows.iter().map(|r| (r.asset, r.amount.0)))?),
            ("size", self.sizes_or_none(rows.iter().map(|r| r.trade))?),
            ("reason", text(rows.iter().map(|r| Some(r.reason)))),
        ])
    }
}

fn kind_of_adl(row: &AdlRow) -> &'static str {
    match row.loser {
        Holder::Entity(Entity::Pool) => "pool_factor",
        Holder::Entity(Entity::Vault) => "vault",
        _ => "bankruptcy",
    }
}
