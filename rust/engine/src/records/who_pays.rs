//! Who pays: the table that a run is for. Losses and payers foot to the last unit; what stands beside them is never netted in.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Layer;
use crate::error::{Error, Result};
use crate::ledger::{Entity, Holder, PostingKind};
use crate::replay::Run;
use crate::units::Usd;
use crate::waterfall::late;

/// Part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What was lost.
    Loss,
    /// Who bore it.
    Payer,
    /// What is reported beside it.
    Beside,
}

/// A line of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// Part.
    pub section: Section,
    /// Name.
    pub name: String,
    /// Dollars.
    pub amount: Usd,
    /// Share of the payers' sum.
    pub share: Option<f64>,
    /// Accounts touched.
    pub accounts: Option<u32>,
    /// First time.
    pub first_ts: Option<i64>,
}

/// A line while it is gathered.
#[derive(Default)]
struct Tally {
    amount: Usd,
    accounts: BTreeSet<Holder>,
    first_ts: Option<i64>,
}

impl Tally {
    fn add(&mut self, amount: Usd, who: Holder, ts: i64) -> Result<()> {
        if amount.is_zero() {
            return Ok(());
        }
        self.amount = self.amount.plus(amount)?;
        self.accounts.insert(who);
        self.first_ts = Some(self.first_ts.map_or(ts, |t| t.min(ts)));
        Ok(())
    }

    fn line(&self, section: Section, name: &str) -> Line {
        Line {
            section,
            name: name.to_owned(),
            amount: self.amount,
            share: None,
            accounts: u32::try_from(self.accounts.len()).ok(),
            first_ts: self.first_ts,
        }
    }
}

/// The table of a run.
///
/// # Errors
/// [`Error::Invariant`] if losses and payers differ.
pub fn who_pays(run: &Run) -> Result<Vec<Line>> {
    let records = &run.state.records;
    let protocol = &run.setup.protocol;
    let end = run.setup.end;
    let (mut crash, mut opening, mut overshoot, mut subsidy, mut recovered, mut prepaid) = (
        Tally::default(),
        Tally::default(),
        Tally::default(),
        Tally::default(),
        Tally::default(),
        Tally::default(),
    );
    let mut payers: BTreeMap<Layer, Tally> = protocol.waterfall.iter().map(|l| (*l, Tally::default())).collect();
    let (mut uncovered, mut open) = (Tally::default(), Tally::default());

    records.bad_debt.each(|number, row| {
        let who = row.debtor;
        if row.event.is_none() {
            return open.add(row.uncovered, who, row.ts);
        }
        let total = match who {
            Holder::Account(account) if run.state.book.accounts[account].opening => &mut opening,
            _ => &mut crash,
        };
        total.add(row.total(), who, row.ts)?;
        overshoot.add(row.overshoot, who, row.ts)?;
        subsidy.add(row.subsidy, who, row.ts)?;
        prepaid.add(row.change_of_prepaid, who, row.ts)?;
        uncovered.add(row.uncovered, who, row.ts)?;
        for &(layer, amount) in &row.paid {
            payers.entry(layer).or_default().add(amount, who, row.ts)?;
        }
        for &(layer, ts, later) in records.covered_later(number) {
            payers.entry(layer).or_default().add(later, who, ts)?;
            uncovered.amount = uncovered.amount.minus(later)?;
        }
        for &(layer, amount) in records.recovered(number) {
            recovered.add(amount.negated(), who, row.ts)?;
            let payer = layer.map_or(&mut uncovered, |l| payers.entry(l).or_default());
            payer.amount = payer.amount.minus(amount)?;
        }
        Ok(())
    })?;
    records.adl.each(|_, row| {
        let adl = payers.entry(Layer::Adl).or_default();
        adl.add(row.give_up, row.counterparty, row.ts)
    })?;
    for &(layer, amount) in &run.passed_on {
        let socialised = payers.entry(Layer::Socialised).or_default();
        socialised.amount = socialised.amount.minus(amount)?;
        let payer = layer.map_or(&mut uncovered, |l| payers.entry(l).or_default());
        payer.amount = payer.amount.plus(amount)?;
        payer.first_ts = payer.first_ts.or(Some(end));
    }

    let mut lines = vec![
        crash.line(Section::Loss, "bad_debt"),
        opening.line(Section::Loss, "opening"),
        overshoot.line(Section::Loss, "adl_overshoot"),
        subsidy.line(Section::Loss, "subsidy"),
        recovered.line(Section::Loss, "recovered"),
    ];
    if protocol.clearing_house.is_some() {
        lines.push(prepaid.line(Section::Loss, "change_of_prepaid"));
    }
    let lost: i128 = lines.iter().map(|l| l.amount.0).sum();
    // What a bound leaves is deleveraged wherever ADL stands in the waterfall.
    let apart = (!protocol.waterfall.contains(&Layer::Adl)).then_some(&Layer::Adl);
    let mut payer_lines: Vec<Line> = protocol
        .waterfall
        .iter()
        .chain(apart)
        .filter_map(|l| payers.get(l).map(|t| t.line(Section::Payer, l.name())))
        .collect();
    payer_lines.push(uncovered.line(Section::Payer, "uncovered"));
    let paid: i128 = payer_lines.iter().map(|l| l.amount.0).sum();
    if lost != paid {
        return Err(Error::Invariant(format!(
            "who_pays: losses of {lost} and payers of {paid} micro-dollars differ"
        )));
    }
    if paid != 0 {
        for line in &mut payer_lines {
            line.share = Some(line.amount.0 as f64 / paid as f64);
        }
    }
    lines.append(&mut payer_lines);
    lines.append(&mut beside(run, &crash, &opening, &open)?);
    Ok(lines)
}

fn beside(run: &Run, crash: &Tally, opening: &Tally, open: &Tally) -> Result<Vec<Line>> {
    let figure = |name: &str, amount: Usd| Line {
        section: Section::Beside,
        name: name.to_owned(),
        amount,
        share: None,
        accounts: None,
        first_ts: None,
    };
    // An assessment that was not met is part of the loss for which it was charged.
    let records = &run.state.records;
    let mut twice = Usd::ZERO;
    records.bad_debt.each(|_, row| {
        twice = twice.plus(row.assessments)?;
        Ok(())
    })?;
    let gross = crash.amount.plus(opening.amount)?.plus(open.amount)?.minus(twice)?;
    let mut lines = vec![open.line(Section::Beside, "open"), figure("gross", gross)];
    if run.setup.protocol.vault.is_some() || !run.takeover_pnl.is_zero() {
        lines.push(figure("takeover_pnl", run.takeover_pnl));
    }
    for &(taker, made) in &run.taken {
        lines.push(figure(&format!("takeover_pnl:{}", taker.name()), made));
    }
    let mut subsidies: BTreeMap<Entity, Tally> = BTreeMap::new();
    records.liquidations.each(|_, row| {
        let tally = subsidies.entry(row.counterparty).or_default();
        tally.add(row.price_subsidy, Holder::Account(row.account), row.ts)
    })?;
    records.adl.each(|_, row| match row.loser {
        Holder::Entity(Entity::Pool) => {
            subsidies
                .entry(Entity::Pool)
                .or_default()
                .add(row.price_subsidy, row.counterparty, row.ts)
        }
        _ => Ok(()),
    })?;
    for (bearer, tally) in subsidies.iter().filter(|(_, t)| t.first_ts.is_some()) {
        lines.push(tally.line(Section::Beside, &format!("price_subsidy:{}", bearer.name())));
    }
    for (who, gain) in &records.settlement_gains {
        let who = who.map_or("accounts", Entity::name);
        lines.push(figure(&format!("settlement:{who}"), *gain));
    }
    if run.setup.payout.is_some() {
        let kinds = [
            (PostingKind::CappedPayout, "capped_payouts"),
            (PostingKind::RefusedPayout, "refused_payouts"),
            (PostingKind::DeferredPayout, "deferred_payouts"),
        ];
        let mut unpaid = kinds.map(|_| Tally::default());
        records
            .postings
            .each(|_, p| match kinds.iter().position(|(kind, _)| *kind == p.kind) {
                // Paid after all.
                Some(at) if p.from == Holder::Entity(Entity::Pool) => unpaid[at].add(p.usd.negated(), p.to, p.ts),
                Some(at) => unpaid[at].add(p.usd, p.from, p.ts),
                None => Ok(()),
            })?;
        for ((_, name), tally) in kinds.iter().zip(&unpaid) {
            lines.push(tally.line(Section::Beside, name));
        }
    }
    for layer in late::payers(&run.setup.protocol) {
        let all = records.covered_later.values().flat_map(|l| &l.payments);
        let mut own = all.filter(|(l, ..)| *l == layer);
        let later = own.try_fold(Usd::ZERO, |sum, (.., usd)| sum.plus(*usd))?;
        lines.push(figure(&format!("{}_later", layer.name()), later));
    }
    if late::payers(&run.setup.protocol).next().is_some() {
        lines.push(figure("pending", late::pending(&run.state)?));
    }
    if run.setup.protocol.token.is_some() {
        let sales = &run.state.sales;
        lines.push(figure("token_sale_cost", Usd(sales.nominal - sales.raised)));
    }
    let sources: Vec<_> = run.setup.protocol.fund_sources().collect();
    let kinds = [
        (
            PostingKind::FeeShare,
            "fee_shares",
            sources.iter().any(|s| s.fees.is_some()),
        ),
        (
            PostingKind::Injection,
            "injections",
            sources.iter().any(|s| !s.injections.is_empty()),
        ),
    ];
    for (kind, name, _) in kinds.into_iter().filter(|(_, _, configured)| *configured) {
        let mut received = Tally::default();
        records.postings.each(|_, p| match p.kind == kind {
            true => received.add(p.usd, p.to, p.ts),
            false => Ok(()),
        })?;
        let line = received.line(Section::Beside, name);
        lines.push(Line { accounts: None, ..line });
    }
    lines.push(figure("rounding", run.rounding));
    Ok(lines)
}
