use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::market::{MarketSpec, Payoff};

const SECOND: i64 = 1_000_000_000;

fn spec(name: &str, kind: Payoff) -> MarketSpec {
    MarketSpec {
        kind,
        contract_size: if kind == Payoff::Inverse { "10" } else { "1" }.into(),
        price_decimals: Some(2),
        size_decimals: Some(if kind == Payoff::Inverse { 0 } else { 3 }),
        settlement: Some(if kind == Payoff::Inverse { "COIN" } else { "USD" }.into()),
        ..MarketSpec::named(name)
    }
}

fn market(name: &str, kind: Payoff, anchors: &[(i64, &str, Option<f64>)]) -> MarketRequest {
    MarketRequest {
        spec: spec(name, kind),
        series: Series::Trades,
        price_step: None,
        typical_trade_usd: 200.0,
        stamp_ns: 1_000_000,
        quiet: vec![],
        anchors: anchors
            .iter()
            .map(|&(ts, price, volume)| (ts, price.to_owned(), volume))
            .collect(),
        counts: None,
        roughness: None,
    }
}

fn day(markets: Vec<MarketRequest>) -> Request {
    Request {
        day: "a day".into(),
        seed: 1,
        ticks_per_market: 5_000,
        markets,
    }
}

fn crash(name: &str, kind: Payoff) -> MarketRequest {
    market(
        name,
        kind,
        &[
            (0, "100", Some(1_000.0)),
            (3600 * SECOND, "101.5", Some(300_000.0)),
            (3660 * SECOND, "62.25", Some(900_000.0)),
            (3660 * SECOND, "61", Some(500.0)),
            (3661 * SECOND, "75.12", Some(10.0)),
            (3661 * SECOND, "75.12", Some(50_000.0)),
            (7200 * SECOND, "80", Some(250_000.0)),
        ],
    )
}

#[test]
fn known_numbers_of_ticks_are_honoured() {
    let counts = vec![0, 7, 1, 2, 1, 300, 5];
    let known = MarketRequest {
        counts: Some(counts.clone()),
        ..crash("A", Payoff::Linear)
    };
    let ticks = &run(&day(vec![known.clone()]))[0];
    assert_eq!(ticks.ts.len(), 317);
    let (mut at, anchors) = (0, &known.anchors);
    for (ticks_since, (ts, price, _)) in counts.iter().zip(anchors) {
        at += *ticks_since as usize;
        assert_eq!(ticks.ts[at], *ts);
        assert_eq!(ticks.price[at], (price.parse::<f64>().unwrap() * 100.0).round() as i64);
    }
    for wrong in [vec![1; 6], vec![1, 1, 1, 0, 1, 1, 1]] {
        let market = MarketRequest {
            counts: Some(wrong),
            ..known.clone()
        };
        let error = reconstruct(&day(vec![market]), &|_, _| true).unwrap_err();
        assert_eq!(error.to_string(), "market A: counts: expected 7 numbers of at least 1");
    }
}

fn run(request: &Request) -> Vec<MarketTicks> {
    reconstruct(request, &|_, _| true).unwrap().markets
}

fn columns(ticks: &MarketTicks) -> (&[i64], &[i64], &[i64], &[i8]) {
    (
        &ticks.ts,
        &ticks.price,
        ticks.size.as_deref().unwrap_or(&[]),
        ticks.side.as_deref().unwrap_or(&[]),
    )
}

/// Where each anchor is in the ticks: the segments' ends.
fn check(request: &MarketRequest, ticks: &MarketTicks) {
    let prepared = request.prepare().unwrap();
    let (ts, price, size, side) = columns(ticks);
    let traded = if request.series == Series::Trades { ts.len() } else { 0 };
    assert_eq!([price.len(), size.len(), side.len()], [ts.len(), traded, traded]);
    assert!(ts.is_sorted());
    assert_eq!((ts[0], price[0]), (prepared.anchors[0].ts, prepared.anchors[0].price));
    let mut row = 1;
    for (pair, count) in prepared.anchors.windows(2).zip(allocate(&prepared, 5_000)) {
        let (from, to) = (pair[0], pair[1]);
        let end = row + count;
        assert_eq!((ts[end - 1], price[end - 1]), (to.ts, to.price), "anchor");
        let (low, high) = (from.price.min(to.price), from.price.max(to.price));
        assert!(price[row..end].iter().all(|p| (low..=high).contains(p)), "range");
        assert!(
            ts[row..end]
                .iter()
                .all(|&t| (t > from.ts || from.ts == to.ts) && t <= to.ts),
            "time"
        );
        if let (Series::Trades, Some(volume)) = (request.series, to.volume_usd) {
            let traded: f64 = (row..end).map(|i| size[i] as f64 * prepared.unit_usd(price[i])).sum();
            let lots: f64 = (row..end).map(|i| prepared.unit_usd(price[i])).sum();
            assert!(
                (traded - volume).abs() <= lots * 1.000_001,
                "volume {volume}, traded {traded}, {count} ticks"
            );
            assert!(size[row..end].iter().all(|&s| s >= 1));
        }
        let quiet = |t: i64| request.quiet.iter().any(|&(a, b)| (a..b).contains(&t));
        assert!(ts[row..end].iter().all(|&t| t == to.ts || !quiet(t)), "quiet");
        row = end;
    }
    assert_eq!(row, ts.len(), "no tick beyond the last anchor");
}

fn hash(ticks: &[MarketTicks]) -> String {
    let mut hasher = blake3::Hasher::new();
    for market in ticks {
        let (ts, price, size, side) = columns(market);
        for x in [ts, price, size].concat() {
            hasher.update(&x.to_le_bytes());
        }
        for x in side {
            hasher.update(&x.to_le_bytes());
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[test]
fn keeps_its_promises_and_its_bytes() {
    let mut index = market(
        "C",
        Payoff::Linear,
        &[
            (0, "100", None),
            (60 * SECOND, "90", None),
            (300 * SECOND, "95.5", None),
        ],
    );
    index.series = Series::Index;
    let unknown = market(
        "D",
        Payoff::Inverse,
        &[(0, "3", None), (60 * SECOND, "2.5", None), (61 * SECOND, "4", None)],
    );
    let request = day(vec![
        crash("A", Payoff::Inverse),
        crash("B", Payoff::Linear),
        index,
        unknown,
    ]);
    let ticks = run(&request);
    for (market, ticks) in request.markets.iter().zip(&ticks) {
        check(market, ticks);
    }
    assert_eq!(ticks[2].ts.len(), 301, "an index prints about once a second");
    assert!(ticks[2].size.is_none() && ticks[2].side.is_none());
    assert_eq!(hash(&ticks), "e8a6a2cbf8236d07");
    assert_eq!(hash(&run(&request)), hash(&ticks));
    let other = run(&Request { seed: 2, ..request });
    assert_ne!(hash(&other), hash(&ticks));
}

#[test]
fn a_market_disturbs_no_other() {
    let alone = run(&day(vec![crash("B", Payoff::Linear)]));
    let both = run(&day(vec![crash("A", Payoff::Inverse), crash("B", Payoff::Linear)]));
    assert_eq!(alone[0], both[1]);
}

#[test]
fn bursts_look_like_the_real_ones() {
    let mut request = day(vec![market(
        "A",
        Payoff::Inverse,
        &[(0, "100", None), (86_400 * SECOND, "90", None)],
    )]);
    request.ticks_per_market = 50_000;
    let ticks = &run(&request)[0];
    let (ts, price, size, side) = columns(ticks);
    let shares = |i: usize| (i > 0 && ts[i - 1] == ts[i]) || ts.get(i + 1) == Some(&ts[i]);
    let shared = (0..ts.len()).filter(|&i| shares(i)).count() as f64 / ts.len() as f64;
    assert!((0.58..0.78).contains(&shared), "{shared}");
    let same = price.windows(2).filter(|w| w[0] == w[1]).count() as f64 / ts.len() as f64;
    assert!((0.2..0.7).contains(&same), "{same}");
    let agrees = (1..ts.len())
        .filter(|&i| (price[i] - price[i - 1]).signum() == i64::from(side[i]))
        .count();
    let moves = price.windows(2).filter(|w| w[0] != w[1]).count();
    assert!(agrees as f64 > 0.8 * moves as f64, "{agrees} of {moves}");
    let mut sorted = size.to_vec();
    sorted.sort_unstable();
    let (median, mean) = (
        sorted[sorted.len() / 2] as f64,
        size.iter().sum::<i64>() as f64 / size.len() as f64,
    );
    assert!((2.0..6.0).contains(&(mean / median)), "{mean} {median}");
}

#[test]
fn nothing_is_printed_in_an_outage() {
    let mut request = crash("A", Payoff::Inverse);
    request.quiet = vec![
        (600 * SECOND, 1200 * SECOND),
        (3000 * SECOND, 3640 * SECOND),
        (7000 * SECOND, 9000 * SECOND),
    ];
    let ticks = run(&day(vec![request.clone()]));
    check(&request, &ticks[0]);
    assert!(ticks[0].ts.len() > 1_000);
}

#[test]
fn reports_and_stops() {
    let request = day(vec![crash("A", Payoff::Linear)]);
    let most = std::sync::atomic::AtomicU64::new(0);
    let step = |done, total| {
        most.fetch_max(done, std::sync::atomic::Ordering::Relaxed);
        total == 7
    };
    reconstruct(&request, &step).unwrap();
    assert_eq!(most.into_inner(), 7);
    assert!(matches!(
        reconstruct(&request, &|done, _| done < 3),
        Err(Error::Interrupted)
    ));
    let twice = day(vec![crash("A", Payoff::Linear), crash("A", Payoff::Linear)]);
    assert!(
        reconstruct(&twice, &|_, _| true)
            .unwrap_err()
            .to_string()
            .contains("given twice")
    );
    assert_eq!(
        Request::from_json(&serde_json::to_string(&request).unwrap()).unwrap(),
        request
    );
    assert!(
        Request::from_json("{}")
            .unwrap_err()
            .to_string()
            .contains("missing field `day`")
    );
}

#[test]
fn bad_requests_name_the_field() {
    let message = |change: fn(&mut MarketRequest)| {
        let mut market = crash("A", Payoff::Linear);
        change(&mut market);
        reconstruct(&day(vec![market]), &|_, _| true).unwrap_err().to_string()
    };
    assert!(
        message(|m| m.anchors[2].1 = "62.255".into())
            .contains("anchor 2: price: expected a positive price of at most 2")
    );
    assert!(message(|m| m.anchors[2].0 = 5).contains("anchor 2: ts"));
    assert!(message(|m| m.anchors[1].2 = Some(-1.0)).contains("anchor 1: volume_usd"));
    assert!(message(|m| m.anchors.clear()).contains("anchors: expected at least one"));
    assert!(message(|m| m.price_step = Some("0.001".into())).contains("price_step"));
    assert!(message(|m| m.typical_trade_usd = 0.0).contains("typical_trade_usd"));
    assert!(message(|m| m.stamp_ns = 0).contains("stamp_ns"));
    assert!(message(|m| m.roughness = Some(-0.5)).contains("roughness: expected a number from 0 to 10"));
    assert!(message(|m| m.quiet = vec![(5, 5)]).contains("quiet"));
    let mut market = crash("A", Payoff::Linear);
    market.spec.size_decimals = None;
    assert!(matches!(
        reconstruct(&day(vec![market]), &|_, _| true),
        Err(Error::Config(_))
    ));
}

prop_compose! {
    fn any_market()(
        inverse in any::<bool>(),
        known in any::<bool>(),
        step in prop_oneof![Just("0.01"), Just("0.05"), Just("1")],
        start in 100i64..10_000,
        moves in prop::collection::vec((prop_oneof![Just(0i64), 1i64..50, 1i64..2_000_000], 1i64..50_000, 0.0f64..200_000.0), 1..12),
        quiet in prop::option::of((0i64..1_000_000, 1i64..1_000_000)),
    ) -> MarketRequest {
        let mut ts = 1_584_000_000_000;
        let mut anchors = vec![(ts * 1_000_000, format!("{start}"), known.then_some(50.0))];
        for (wait, price, volume) in moves {
            ts += wait;
            anchors.push((ts * 1_000_000, format!("{}.{:02}", price / 100, price % 100), known.then_some(volume)));
        }
        let mut request = market("A", if inverse { Payoff::Inverse } else { Payoff::Linear }, &[]);
        request.anchors = anchors;
        request.price_step = Some(step.to_owned());
        request.quiet = quiet.iter().map(|&(at, long)| (1_584_000_000_000 + at, 1_584_000_000_000 + at + long))
            .map(|(a, b)| (a * 1_000_000, b * 1_000_000)).collect();
        request
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn promises_hold_for_any_anchors(market in any_market(), seed in any::<u64>()) {
        let request = Request { seed, ..day(vec![market]) };
        let ticks = run(&request);
        check(&request.markets[0], &ticks[0]);
        prop_assert_eq!(run(&request), ticks);
    }
}
