//! Names, definitions, and what is resolved from them.

use super::*;
use crate::market::{AssetSpec, Payoff};

#[test]
fn a_nameless_market_gets_the_name_that_is_left() {
    let dir = TempDir::new().unwrap();
    let stem = one_market().write(&dir, "ETH-PERP.parquet", 10);
    let meta = one_market()
        .defined(r#"{"markets":[{"name":"SOL"}]}"#)
        .write(&dir, "b.parquet", 10);
    let column = two_markets()
        .without("size")
        .without("side")
        .write(&dir, "c.parquet", 10);
    for (paths, definitions, expected) in [
        (vec![&stem], "{}", vec!["ETH-PERP"]),
        (vec![&meta], "{}", vec!["SOL"]),
        (vec![&stem], r#"{"markets":[{"name":"X"}]}"#, vec!["X"]),
        (vec![&meta], r#"{"markets":[{"name":"X"}]}"#, vec!["X"]),
        (
            vec![&stem, &meta],
            r#"{"markets":[{"name":"SOL"}]}"#,
            vec!["ETH-PERP", "SOL"],
        ),
        (
            vec![&stem, &meta],
            r#"{"markets":[{"name":"SOL"},{"name":"X"}]}"#,
            vec!["SOL", "X"],
        ),
        (vec![&stem, &column], "{}", vec!["A", "B", "ETH-PERP"]),
        (
            vec![&stem, &column],
            r#"{"markets":[{"name":"A"},{"name":"X"}]}"#,
            vec!["A", "B", "X"],
        ),
        (
            vec![&stem, &column],
            r#"{"markets":[{"name":"A"}]}"#,
            vec!["A", "B", "ETH-PERP"],
        ),
    ] {
        let paths: Vec<&Path> = paths.into_iter().map(PathBuf::as_path).collect();
        let tape = read_files(&paths, Some(definitions)).unwrap();
        assert_eq!(names(&tape), expected, "{definitions}");
    }
    let message = data_error(one_market().read(None));
    assert_eq!(
        message,
        "frame: expected a column `market`, or the definition of exactly one market"
    );
}

#[test]
fn the_callers_definitions_override_those_of_the_file() {
    let frame = two_markets().defined(
        r#"{"markets":[{"name":"A","contract_size":"5"},{"name":"B","kind":"inverse","settlement":"BCOIN"},
            {"name":"GONE","contract_size":"2"}],"assets":[{"name":"USD","decimals":2}]}"#,
    );
    let tape = frame
        .read(Some(
            r#"{"markets":[{"name":"A","size_decimals":4,"price_decimals":5}]}"#,
        ))
        .unwrap();
    let [a, b] = &tape.markets[..] else { panic!() };
    assert_eq!(
        (
            a.spec.contract_size.as_str(),
            a.spec.price_decimals,
            a.spec.size_decimals
        ),
        ("1", Some(5), Some(4))
    );
    assert_eq!(a.price[..], [700_000, 812_500]);
    assert_eq!(a.size.as_deref(), Some(&[0, 10][..]));
    assert_eq!(
        (b.spec.kind, b.spec.settlement.as_deref()),
        (Payoff::Inverse, Some("BCOIN"))
    );
    let asset = |name: &str, decimals, market: Option<&str>| AssetSpec {
        name: name.to_owned(),
        decimals,
        price_market: market.map(str::to_owned),
    };
    assert_eq!(tape.assets, [asset("BCOIN", 8, Some("B")), asset("USD", 2, None)]);
}

#[test]
fn assets_follow_from_the_markets() {
    let json = r#"{"markets":[{"name":"A","settlement":"USDC"},
        {"name":"B","kind":"inverse","settlement":"ETH","index":"A"}],"assets":[{"name":"X","decimals":0,"price_market":"A"}]}"#;
    let tape = two_markets().read(Some(json)).unwrap();
    let seen: Vec<_> = tape
        .assets
        .iter()
        .map(|asset| (asset.name.as_str(), asset.decimals, asset.price_market.as_deref()))
        .collect();
    assert_eq!(seen, [("ETH", 8, Some("B")), ("USDC", 6, None), ("X", 0, Some("A"))]);
    assert_eq!(
        Some(tape.definitions()),
        serde_json::from_str(&tape.definitions().to_json().unwrap()).ok()
    );
}

#[test]
fn days_of_one_market_may_need_different_decimals() {
    let dir = TempDir::new().unwrap();
    let day = |start: i64, price: f64, definition: &str| {
        Frame::default()
            .with("ts", ns(&[start]))
            .with("price", floats(&[price]))
            .defined(&format!(r#"{{"markets":[{definition}]}}"#))
            .write(&dir, &format!("{start}.parquet"), 10)
    };
    let first = day(1, 1.5, r#"{"name":"X","price_decimals":1,"contract_size":"1.0"}"#);
    let second = day(2, 1.25, r#"{"name":"X","price_decimals":2}"#);
    let third = day(3, 1.25, r#"{"name":"X","price_decimals":2,"contract_size":"10"}"#);
    let tape = read_files(&[&first, &second], None).unwrap();
    assert_eq!(tape.markets[0].price[..], [150, 125]);
    let message = data_error(read_files(&[&first, &third], None));
    assert!(
        message.contains("3.parquet: market X: contract_size differs from that in"),
        "{message}"
    );
    assert!(read_files(&[&first, &third], Some(r#"{"markets":[{"name":"X"}]}"#)).is_ok());
}

#[test]
fn wrong_definitions_name_the_field() {
    for (json, expected) in [
        (
            r#"{"markets":[{"name":"A"},{"name":"A"}]}"#,
            "definitions: market A: expected one definition, got several",
        ),
        (
            r#"{"markets":[{"name":"A","contract_size":"0"}]}"#,
            "market A: contract_size: expected a positive decimal",
        ),
        (r#"{"markets":[{"name":"A","contract_size":"-1"}]}"#, "contract_size"),
        (
            r#"{"markets":[{"name":"A","kind":"inverse"}]}"#,
            "settlement: an inverse market must name its coin",
        ),
        (
            r#"{"markets":[{"name":"A","kind":"quanto"}]}"#,
            "definitions: unknown variant `quanto`",
        ),
        (
            r#"{"markets":[{"name":"A","color":1}]}"#,
            "definitions: unknown field `color`",
        ),
        (
            r#"{"markets":[{"name":"A","price_decimals":19}]}"#,
            "market A: price_decimals: expected at most 18, got 19",
        ),
        (
            r#"{"markets":[{"name":"A","size_decimals":99}]}"#,
            "market A: size_decimals: expected at most 18, got 99",
        ),
        (r#"{"markets":[{"name":""}]}"#, "markets: expected a name"),
        (
            r#"{"markets":[{"name":"A","settlement":""}]}"#,
            "market A: settlement: expected the name of an asset",
        ),
        (
            r#"{"markets":[{"name":"A","index":"A"}]}"#,
            "market A: index: expected another market",
        ),
        (
            r#"{"markets":[{"name":"A","index":"Z"}]}"#,
            "market A: index: expected a market that has ticks (A, B), got Z",
        ),
        (
            r#"{"markets":[{"name":"Z"}]}"#,
            "definitions: market Z: expected a market that has ticks (A, B), got Z",
        ),
        (
            r#"{"assets":[{"name":"U","decimals":6},{"name":"U","decimals":6}]}"#,
            "asset U: expected one definition",
        ),
        (
            r#"{"assets":[{"name":"U","decimals":30}]}"#,
            "asset U: decimals: expected at most 18, got 30",
        ),
        (r#"{"assets":[{"name":"","decimals":3}]}"#, "assets: expected a name"),
        (
            r#"{"assets":[{"name":"U","decimals":3,"price_market":"Z"}]}"#,
            "asset U: price_market: expected a market that",
        ),
        ("1", "definitions: invalid type"),
    ] {
        let message = config_error(two_markets().read(Some(json)));
        assert!(message.contains(expected), "{json}: {message}");
    }
    let message = data_error(
        two_markets()
            .defined(r#"{"markets":[{"name":"A"},{"name":"A"}]}"#)
            .read(None),
    );
    assert!(
        message.starts_with("frame: schema metadata `underwater`: market A: expected one"),
        "{message}"
    );
    let message = data_error(two_markets().defined("{").read(None));
    assert!(
        message.starts_with("frame: schema metadata `underwater`: "),
        "{message}"
    );
}
