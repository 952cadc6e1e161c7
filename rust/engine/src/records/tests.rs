//! Rows that leave memory come back as they were.

use std::sync::Arc;

use proptest::prelude::*;

use super::spill::{Row, SpillFile};
use super::*;
use crate::config::SpillTo;
use crate::error::Error;
use crate::ledger::{Entity, Posting, PostingKind};

fn file(rows: usize) -> Arc<SpillFile> {
    let directory = std::env::temp_dir();
    Arc::new(SpillFile::new(SpillTo { directory, rows }))
}

fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![
        (0usize..1 << 40).prop_map(Holder::Account),
        proptest::sample::select(&Entity::ALL[..]).prop_map(Holder::Entity),
    ]
}

prop_compose! {
    fn posting()(ts: i64, event: Option<u32>, kind in proptest::sample::select(&PostingKind::ALL[..]), from in holder(), to in holder(),
        asset in 0usize..9, amount: i128, usd: i128) -> Posting {
        Posting { ts, event: event.map(|e| e & !(1 << 31)), kind, from, to, asset, amount: Amount(amount), usd: Usd(usd) }
    }
}

prop_compose! {
    fn adl()(ts: i64, counterparty in holder(), market in 0usize..9, event: u32, loser in holder(), size: i64, amount: i128, mark: i64,
        score: i128, rank: u32) -> AdlRow {
        let (asset, reference) = (market + 1, Price(mark ^ 1));
        AdlRow { ts, counterparty, market, event, loser, size: Size(size), asset, amount: Amount(amount), mark: Price(mark), reference,
            give_up: Usd(!amount), forgone_profit: Usd(amount ^ 7), rank, score, notional: Usd(score ^ 3),
            equity: (rank % 2 == 0).then_some(Usd(score ^ 4)), pnl: Usd(score ^ 5),
            trigger_ts: !ts, trigger_equity: Usd(amount ^ 8), trigger_notional: Usd(amount ^ 9), loser_equity: Usd(!score), price_subsidy: Usd(amount ^ 7) }
    }
}

prop_compose! {
    fn liquidation()(ts: i64, account in 0usize..99, counterparty in proptest::sample::select(&Entity::ALL[..]), event: u32, size: i64,
        price: i64, amount: i128) -> LiquidationRow {
        LiquidationRow { ts, account, market: account + 1, event, trigger_ts: !ts, counterparty, size: Size(size), price: Price(price),
            reference: Price(!price), asset: account + 2, amount: Amount(amount), notional: Usd(!amount), equity: Usd(amount ^ 1),
            price_subsidy: Usd(amount ^ 2),
            trigger_price: Price(price ^ 3), trigger_equity: Usd(amount ^ 4), trigger_notional: Usd(amount ^ 5) }
    }
}

prop_compose! {
    fn bad_debt()(ts: i64, debtor in holder(), asset in 0usize..99, event: Option<u32>, amount: i128, figures: [i64; 9], paid: [i64; 5]) -> BadDebtRow {
        let usd = |k: usize| Usd(figures[k].into());
        let paid = Layer::ALL.into_iter().zip(paid).map(|(l, n)| (l, Usd(n.into()))).filter(|(_, n)| !n.is_zero());
        BadDebtRow { ts, debtor, event, asset, amount: Amount(amount), third_party_fees: usd(0), assessments: usd(1), funding_borrow: usd(7),
            waived: usd(2), paid: paid.collect(), give_up: usd(3), uncovered: usd(4), overshoot: usd(5), subsidy: usd(6), change_of_prepaid: usd(8) }
    }
}

prop_compose! {
    fn timeline()(ts: i64, counts: (u32, u32), figures: [i128; 9], queue: u32) -> TimelineRow {
        let usd = |k: usize| Usd(figures[k]);
        TimelineRow { ts, liquidations: counts.0.into(), adl_fills: counts.1.into(), liquidated: usd(0), adl: usd(1), bad_debt: usd(2),
            uncovered: usd(3), layers: [4, 5, 6, 7, 8].map(usd), queue }
    }
}

/// The rows of a log, some of which have left memory.
fn round_trip<T: Row + Clone + std::fmt::Debug>(rows: &[T], group: usize) -> (usize, Vec<T>) {
    let (file, mut log) = (file(group), Log::default());
    for row in rows {
        log.push(row.clone());
        log.spill(&file).unwrap();
        assert!(log.since(0).len() < group);
    }
    assert_eq!(log.len(), rows.len());
    assert_eq!(
        log.last().map(|r| format!("{r:?}")),
        rows.last().map(|r| format!("{r:?}"))
    );
    let mut back = Vec::new();
    log.each(|number, row| {
        assert_eq!(number, back.len());
        back.push(row.clone());
        Ok(())
    })
    .unwrap();
    (log.parts(), back)
}

fn same<T: Row + Clone + std::fmt::Debug>(rows: &[T], group: usize) {
    let (parts, back) = round_trip(rows, group);
    assert_eq!(parts, rows.len() / group + 1);
    assert_eq!(format!("{back:?}"), format!("{rows:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rows_come_back_as_they_were(
        postings in prop::collection::vec(posting(), 0..40), adl in prop::collection::vec(adl(), 0..20),
        liquidations in prop::collection::vec(liquidation(), 0..20), bad_debt in prop::collection::vec(bad_debt(), 0..20),
        timeline in prop::collection::vec(timeline(), 0..20), group in 1usize..9,
    ) {
        same(&postings, group);
        same(&adl, group);
        same(&liquidations, group);
        same(&bad_debt, group);
        same(&timeline, group);
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = std::env::temp_dir().join("there/is/no/such/directory");
    let mut records = Records::default();
    records.spill_to(Some(SpillTo {
        directory: directory.clone(),
        rows: 1,
    }));
    records.timeline.push(TimelineRow::default());
    let error = records.spill().unwrap_err();
    assert!(matches!(error, Error::Spill { .. }));
    let text = error.to_string();
    assert!(text.contains(&directory.display().to_string()), "{text}");
    assert!(
        text.starts_with("records cannot be written to a temporary file in "),
        "{text}"
    );
}
