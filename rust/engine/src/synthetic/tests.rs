use arrow_array::Array as _;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use proptest::prelude::*;

use super::*;

fn linear(name: &str, opening: i64, price_decimals: u32, size_decimals: u32) -> BookMarket {
    let spec = MarketSpec {
        price_decimals: Some(price_decimals),
        size_decimals: Some(size_decimals),
        settlement: Some("USD".into()),
        ..MarketSpec::named(name)
    };
    BookMarket {
        spec,
        opening,
        weight: None,
    }
}

fn inverse(name: &str, coin: &str, contract: &str, opening: i64, price_decimals: u32) -> BookMarket {
    let spec = MarketSpec {
        kind: Payoff::Inverse,
        contract_size: contract.into(),
        settlement: Some(coin.into()),
        ..linear(name, 1, price_decimals, 0).spec
    };
    BookMarket {
        spec,
        opening,
        weight: None,
    }
}

fn some_markets() -> Vec<BookMarket> {
    vec![
        linear("ETH", 436_583, 2, 3),
        linear("DOGE", 24_843, 5, 0),
        linear("BTC", 1_217_184, 1, 4),
        inverse("XBTUSD", "XBT", "1", 79_390, 1),
        inverse("AVAXUSD", "AVAX", "10", 2_841, 2),
    ]
}

/// Floor and ceiling of the value, from the definition, without the code under test.
fn value(market: &MarketSpec, assets: &[AssetSpec], size: i64, price: i64) -> (i128, i128) {
    let asset = assets
        .iter()
        .find(|a| a.name == market.settlement.as_deref().unwrap())
        .unwrap();
    let contract = market.contract().unwrap();
    let (pd, sd) = (market.price_decimals.unwrap(), market.size_decimals.unwrap());
    let unit = i128::from(size) * contract.mantissa * 10i128.pow(asset.decimals);
    let (num, den) = match market.kind {
        Payoff::Linear => (unit * i128::from(price), 10i128.pow(pd + sd + contract.scale)),
        Payoff::Inverse => (
            -unit * 10i128.pow(pd),
            i128::from(price) * 10i128.pow(sd + contract.scale),
        ),
    };
    (num.div_euclid(den), -(-num).div_euclid(den))
}

fn check(book: &BookColumns, markets: &[BookMarket], options: &SyntheticOptions) {
    let rows = book.account.len();
    assert!(
        [
            book.market.len(),
            book.size.len(),
            book.entry.len(),
            book.cross.len(),
            book.collateral.len()
        ] == [rows; 5]
    );
    assert!(book.account.is_sorted());
    let mut sums = vec![0i128; book.markets.len()];
    let mut equities: BTreeMap<(u32, String), i128> = BTreeMap::new();
    for row in 0..rows {
        let market = &book.markets[book.market[row] as usize];
        let opening = markets.iter().find(|m| m.spec.name == market.name).unwrap().opening;
        sums[book.market[row] as usize] += i128::from(book.size[row]);
        assert!(book.size[row] != 0 && book.entry[row] > 0);
        assert_eq!(book.cross[row], book.collateral[row].is_none());
        let (now, _) = value(market, &book.assets, book.size[row], opening);
        let (_, cost) = value(market, &book.assets, book.size[row], book.entry[row]);
        if let Some(collateral) = book.collateral[row] {
            assert!(collateral > 0);
            let (equity, notional) = (collateral - cost + now, now.abs());
            assert!(equity >= 1);
            let least = (notional as f64 / options.max_leverage).floor() as i128;
            assert!(equity >= least, "leverage {} / {}", notional, equity);
        } else {
            let key = (book.account[row], market.settlement.clone().unwrap());
            *equities.entry(key).or_default() += now - cost;
        }
    }
    assert!(sums.iter().all(|&sum| sum == 0), "open interest {sums:?}");
    assert!(book.cash.is_sorted_by_key(|c| (c.account, c.asset)));
    for cash in &book.cash {
        assert!(cash.amount > 0);
        let asset = book.assets[cash.asset as usize].name.clone();
        let equity = equities.remove(&(cash.account, asset)).unwrap() + cash.amount;
        assert!(equity >= 1, "equity of a cross account");
    }
    assert!(equities.is_empty(), "a cross account without cash");
    let mut accounts = book.account.clone();
    accounts.dedup();
    assert_eq!(
        accounts.len(),
        options.accounts as usize,
        "every account has a position"
    );
}

#[test]
fn defaults_follow_the_documented_distributions() {
    let options = SyntheticOptions {
        accounts: 50_000,
        ..SyntheticOptions::default()
    };
    let markets = some_markets();
    let book = generate(&markets, &[], &options).unwrap();
    check(&book, &markets, &options);
    // Leverage is untouched by balancing: equity over notional of isolated accounts.
    let mut leverage: Vec<f64> = (0..book.account.len())
        .filter(|&row| !book.cross[row])
        .map(|row| {
            let market = &book.markets[book.market[row] as usize];
            let opening = markets.iter().find(|m| m.spec.name == market.name).unwrap().opening;
            let (now, _) = value(market, &book.assets, book.size[row], opening);
            let (_, cost) = value(market, &book.assets, book.size[row], book.entry[row]);
            now.abs() as f64 / (book.collateral[row].unwrap() - cost + now) as f64
        })
        .collect();
    leverage.sort_unstable_by(f64::total_cmp);
    let quantile = |q: f64| leverage[(leverage.len() as f64 * q) as usize];
    assert!((0.40..0.46).contains(&quantile(0.5)), "{}", quantile(0.5));
    assert!((5.8..7.2).contains(&quantile(0.95)), "{}", quantile(0.95));
    assert!(leverage[leverage.len() - 1] < 40.5);
    let longs = book.size.iter().filter(|&&s| s > 0).count() as f64 / book.size.len() as f64;
    assert!((0.48..0.52).contains(&longs), "{longs}");
    let mut cross: Vec<u32> = (0..book.account.len())
        .filter(|&r| book.cross[r])
        .map(|r| book.account[r])
        .collect();
    cross.dedup();
    assert!((9_500..10_500).contains(&cross.len()), "{}", cross.len());
}

#[test]
fn bytes_are_pinned() {
    let options = SyntheticOptions {
        accounts: 300,
        cross_assets: CrossAssets::Any,
        ..SyntheticOptions::default()
    };
    let book = generate(&some_markets(), &[], &options).unwrap();
    check(&book, &some_markets(), &options);
    let hash = blake3::hash(format!("{book:?}").as_bytes()).to_hex();
    assert_eq!(hash[..16], *"6f48b2dccf394ca7");
    let other = generate(&some_markets(), &[], &SyntheticOptions { seed: 8, ..options }).unwrap();
    assert_ne!(other, book);
}

#[test]
fn cross_accounts_keep_to_one_asset_unless_told() {
    let assets_per_account = |cross_assets| {
        let options = SyntheticOptions {
            accounts: 2_000,
            cross_share: 1.0,
            max_legs: 4,
            cross_assets,
            ..Default::default()
        };
        let book = generate(&some_markets(), &[], &options).unwrap();
        check(&book, &some_markets(), &options);
        let mut most = BTreeMap::new();
        book.cash.iter().for_each(|c| *most.entry(c.account).or_insert(0) += 1);
        most.into_values().max().unwrap()
    };
    assert_eq!(assets_per_account(CrossAssets::One), 1);
    assert!(assets_per_account(CrossAssets::Any) > 1);
}

#[test]
fn weights_and_sides() {
    let weights = Some([("ETH".to_owned(), 3.0), ("XBTUSD".to_owned(), 1.0)].into());
    let longs = SideOptions {
        leverage_median: Some(10.0),
        leverage_p95: Some(10.0),
        entry_dispersion: Some(0.0),
    };
    let options = SyntheticOptions {
        accounts: 4_000,
        cross_share: 0.0,
        weights,
        longs,
        ..Default::default()
    };
    let book = generate(&some_markets(), &[], &options).unwrap();
    check(&book, &some_markets(), &options);
    let eth = book
        .market
        .iter()
        .filter(|&&m| book.markets[m as usize].name == "ETH")
        .count();
    assert!((2_850..3_150).contains(&eth), "{eth}");
    let row = (0..book.size.len())
        .find(|&r| book.size[r] > 1_000 && book.markets[book.market[r] as usize].name == "ETH")
        .unwrap();
    assert_eq!(book.entry[row], 436_583);
    let (notional, _) = value(
        &book.markets[book.market[row] as usize],
        &book.assets,
        book.size[row],
        436_583,
    );
    assert_eq!(book.collateral[row], Some((notional as f64 / 10.0).round() as i128));
}

#[test]
fn lone_accounts_find_a_counterparty() {
    for accounts in 2..12 {
        for seed in 0..20 {
            for long_share in [0.0, 0.5, 1.0] {
                let options = SyntheticOptions {
                    accounts,
                    seed,
                    long_share,
                    cross_share: 0.5,
                    max_legs: 5,
                    ..Default::default()
                };
                let book = generate(&some_markets(), &[], &options).unwrap();
                check(&book, &some_markets(), &options);
            }
        }
    }
}

#[test]
fn frames() {
    let options = SyntheticOptions {
        accounts: 500,
        ..Default::default()
    };
    let book = generate(&some_markets(), &[], &options).unwrap();
    let (positions, accounts) = (positions_batch(&book).unwrap(), accounts_batch(&book).unwrap());
    let names: Vec<_> = positions.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(
        names,
        ["account", "market", "size", "entry_price", "margin_mode", "collateral"]
    );
    assert_eq!(positions.column(0).as_string::<i32>().value(0), "a0000001");
    let size = positions.column(2).as_primitive::<Decimal128Type>();
    assert_eq!((size.scale(), size.precision()), (4, 38));
    let row = (0..500)
        .find(|&r| book.markets[book.market[r] as usize].name == "XBTUSD")
        .unwrap();
    assert_eq!(size.value(row), i128::from(book.size[row]) * 10_000);
    assert_eq!(
        positions.column(5).null_count(),
        book.cross.iter().filter(|&&c| c).count()
    );
    assert_eq!(accounts.num_rows(), book.cash.len());
    let names = accounts.column(0).as_string::<i32>();
    for (row, cash) in book.cash.iter().enumerate() {
        assert_eq!(names.value(row), account_name(cash.account, 500));
    }
    assert_eq!(account_name(99_999_999, 100_000_000), "a100000000");
}

#[test]
fn bad_options_name_the_field() {
    let message = |json: &str| {
        SyntheticOptions::from_json(json)
            .and_then(|o| generate(&some_markets(), &[], &o))
            .unwrap_err()
            .to_string()
    };
    for (json, expected) in [
        (r#"{"accounts": 1}"#, "accounts: expected at least 2"),
        (r#"{"acounts": 10}"#, "unknown field `acounts`"),
        (r#"{"notional_p95": 3}"#, "notional_p95"),
        (r#"{"leverage_median": 0}"#, "leverage_median"),
        (r#"{"shorts": {"leverage_p95": -1}}"#, "leverage_p95"),
        (r#"{"long_share": 1.5}"#, "long_share"),
        (r#"{"max_legs": 0}"#, "max_legs"),
        (
            r#"{"seed": -1}"#,
            "book: seed: invalid value: integer `-1`, expected u64",
        ),
        (r#"{"notional_max": "nan"}"#, "book: notional_max: invalid type: string"),
        (r#"{"longs": {"leverage_p95": []}}"#, "book: longs.leverage_p95: "),
        (r#"{"weights": {"BTC": "inf"}}"#, "book: weights.BTC: "),
        (r#"{"entry_dispersion": -0.1}"#, "entry_dispersion"),
        (
            r#"{"weights": {"NOPE": 1}}"#,
            "no market \"NOPE\"; there are AVAXUSD, BTC",
        ),
        (r#"{"weights": {"BTC": 0}}"#, "at least one positive"),
    ] {
        assert!(message(json).contains(expected), "{json}: {}", message(json));
    }
    assert!(
        generate(&[linear("A", 0, 2, 2)], &[], &Default::default())
            .unwrap_err()
            .to_string()
            .contains("opening")
    );
    let twice = [linear("A", 5, 2, 2), linear("A", 5, 2, 2)];
    assert!(
        generate(&twice, &[], &Default::default())
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
}

#[test]
fn odds_come_from_the_tape() {
    let market = |mut m: BookMarket, size: Option<Vec<i64>>| {
        m.spec.settlement.get_or_insert("USD".into());
        MarketTicks {
            ts: vec![0, 1].into(),
            price: vec![m.opening, m.opening].into(),
            size: size.map(Into::into),
            side: None,
            spec: m.spec,
        }
    };
    let tape = Tape {
        markets: vec![
            market(linear("A", 20_000, 2, 1), Some(vec![10, 20])),
            market(inverse("B", "C", "10", 100, 0), Some(vec![30, 31])),
            market(linear("D", 500, 2, 1), None),
        ],
        ..Tape::default()
    };
    assert_eq!(traded_usd(&tape.markets[0]), Some(600.0));
    assert_eq!(traded_usd(&tape.markets[1]), Some(610.0));
    assert_eq!(traded_usd(&tape.markets[2]), None);
    let book = from_tape(
        &tape,
        &SyntheticOptions {
            accounts: 3_000,
            cross_share: 0.0,
            ..Default::default()
        },
    )
    .unwrap();
    for market in 0..3 {
        let count = book.market.iter().filter(|&&m| m == market).count();
        assert!((900..1_100).contains(&count), "{market}: {count}");
    }
}

prop_compose! {
    fn any_options()(
        accounts in 2u32..200,
        seed in any::<u64>(),
        shares in (0.0f64..=1.0, 0.0f64..=1.0),
        median in prop_oneof![Just(0.01), Just(481.0), Just(1e6)],
        max_leverage in prop_oneof![Just(0.5), Just(3.0), Just(40.0), Just(1000.0)],
        leverage in (0.1f64..50.0, 1.0f64..50.0),
        max_legs in 1u32..7,
        entry_dispersion in prop_oneof![Just(0.0), Just(0.02), Just(1.0)],
        any_assets in any::<bool>(),
    ) -> SyntheticOptions {
        SyntheticOptions {
            accounts, seed, max_leverage, max_legs, entry_dispersion,
            long_share: shares.0,
            cross_share: shares.1,
            notional_median: median,
            notional_p95: median * 200.0,
            leverage_median: leverage.0,
            leverage_p95: leverage.0 * leverage.1,
            cross_assets: if any_assets { CrossAssets::Any } else { CrossAssets::One },
            ..SyntheticOptions::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn promises_hold_for_any_options(options in any_options(), markets in prop::sample::subsequence(some_markets(), 1..=5)) {
        let book = generate(&markets, &[], &options).unwrap();
        check(&book, &markets, &options);
        prop_assert_eq!(generate(&markets, &[], &options).unwrap(), book);
    }
}
