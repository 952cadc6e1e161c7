"""Hyperliquid: vectors of the documentation and of recorded fills (named HL-n), replayed.

Those named `derived` follow from its rules.
"""

from decimal import Decimal

import polars as pl
import pytest
from cases import closing, cross, dollars, isolated, only, run, size_at_end, status

import underwater as uw

CENT = Decimal("0.000001")


def hyperliquid(**changes):
    """The preset, whose mark is the last price of the instant unless it is changed."""
    return uw.protocols.hyperliquid(vault=0).with_(**{"trigger_feed": "last", **changes}).model_dump()


def one(market, size, entry, collateral, path, **changes):
    return run([isolated("a", size, entry, collateral, market=market)], {market: path}, **hyperliquid(**changes))


@pytest.mark.parametrize(
    ("market", "size", "price", "maintenance"),
    [
        ("BTC-PERP", 2_000, 100_000, 3_125_000),
        ("BTC-PERP", 1_500, 100_000, 1_875_000),
        ("ETHUSDT", 37_500, 4_000, Decimal("3666666.666667")),
        ("SOL/USD", 500_000, 200, 3_250_000),
        ("HYPE", 750_000, 40, 2_000_000),
    ],
)
def test_hl_1_derived_maintenance_by_tiers(market, size, price, maintenance):
    assert status(one(market, size, price, maintenance, [price, price])) == {"a": "open"}
    result = one(market, size, price, maintenance - CENT, [price, price])
    assert only(result.liquidations)["size"] == size / 5


@pytest.mark.parametrize(
    ("size", "entry", "collateral", "leverage", "price"),
    [
        ("0.015", "2458.5", "36.864593", 50, "0.86915825"),
        ("0.00077", "62739", "24.137992", 50, "31708.03843631"),
        ("0.33", "145.83", "24.045107", 20, "74.83696193"),
        ("-0.019", "2642.8", "25.091876", 50, "3924.18322043"),
        ("1", "350", "50", 10, "315.78947368"),
    ],
)
def test_hl_2_liquidation_prices_of_recorded_fills(size, entry, collateral, leverage, price):
    size, entry, collateral, price = map(Decimal, (size, entry, collateral, price))
    protocol = uw.protocols.hyperliquid(other_leverage=leverage, vault=0).with_(trigger_feed="last").model_dump()

    def replay(last):
        return run([isolated("a", size, entry, collateral, market="X")], {"X": [entry, last]}, **protocol)

    away = price / 10_000 * (1 if size > 0 else -1)  # a hundredth of a percent, as the recorded fills are
    assert status(replay(round(price + away, 6))) == {"a": "open"}
    assert status(replay(round(price - away, 6))) != {"a": "open"}


@pytest.mark.parametrize(
    ("collateral", "route"),
    [(1250, None), (1249, "market"), (Decimal("833.333334"), "market"), (Decimal("833.333333"), "vault")],
)
def test_hl_3_derived_the_vault_takes_over_below_two_thirds_of_maintenance(collateral, route):
    result = one("BTC", 1, 100_000, collateral, [100_000, 100_000])
    assert result.liquidations["route"].to_list() == ([] if route is None else [route])
    if route == "vault":
        # Maintenance margin is not returned: the vault keeps all that is left.
        assert closing(result, "a") == 0
        assert dollars(result) == {"takeover_pnl": collateral}
    elif route == "market":
        assert closing(result, "a") == collateral


def test_hl_3_derived_adl_below_zero():
    rows = [isolated("loser", 1, 100_000, 1_500, market="BTC"), isolated("winner", -1, 100_000, 50_000, market="BTC")]
    result = run(rows, {"BTC": [100_000, 98_000]}, **hyperliquid())
    assert (only(result.adl)["account"], len(result.liquidations)) == ("winner", 0)


@pytest.mark.parametrize(
    ("price", "orders"), [(99_999, [(0, 1)]), (100_001, [(0, Decimal("0.2")), (30, Decimal("0.8"))])]
)
def test_hl_4_derived_a_fifth_of_a_large_position_first(price, orders):
    result = one("BTC", 1, price, 900, [price] * 40)
    found = result.liquidations.select(pl.col("ts").dt.epoch("s"), "size").rows()
    assert found == orders
    if len(orders) == 2:
        assert result.liquidations["notional_usd"][0] == Decimal("20000.2")


def test_the_mark_is_the_median_of_the_oracle_with_its_basis_the_book_and_the_average_of_the_book():
    protocol = uw.protocols.hyperliquid(index=True).with_(execution_feed="mark").model_dump()
    # The book falls for a second, the index does not: two of three sources hardly move.
    path = {"BTC": [(0, 100.0), (298, 100.0), (300, 50.0), (303, 100.0), (600, 100.0)], "IDX": [100.0, (600, 100.0)]}
    markets = [{"name": "BTC", "index": "IDX"}]
    rows = [isolated("a", 1, 100, 20, market="BTC")]
    assert status(run(rows, path, markets=markets, **protocol)) == {"a": "open"}
    alone = uw.protocols.hyperliquid().model_dump()
    assert status(run(rows, path, markets=markets, **alone)) != {"a": "open"}


def test_a_vault_that_takes_over_a_short_before_the_price_quadruples_bears_the_loss():
    # As with JELLY: a short of 4 M at 0.0095, taken over, then four times the price.
    size = -421_052_631
    result = one("JELLY", size, Decimal("0.0095"), 800_000, [0.0095, 0.0107, 0.038], **{"vault.balance": 230_000_000})
    assert only(result.liquidations)["route"] == "vault"
    assert -13_500_000 < dollars(result)["takeover_pnl"] < -10_600_000
    assert len(result.bad_debt) == 0


@pytest.mark.parametrize(("floor", "routes"), [(None, ["vault", "vault"]), (0, ["vault", "market"])])
def test_a_vault_of_limited_capital_takes_nothing_over_once_it_is_gone(floor, routes):
    # The vault takes the first short over at 10,700 and has lost more than it had when the second comes to it.
    rows = [isolated("first", -1, 9_500, 1_800, market="BTC"), isolated("second", -1, 20_000, 4_900, market="BTC")]
    changes = {"margin.assets": {}, "execution.takeover.floor": floor, "vault.balance": 5_000}
    result = run(rows, {"BTC": [9_500, 10_700, 23_500]}, **hyperliquid(**changes))
    assert result.liquidations["route"].to_list() == routes


def test_hl_8_adl_at_the_mark_before_the_present_one():
    rows = [isolated("loser", 1, 100_000, 1_500, market="BTC"), isolated("winner", -1, 101_000, 50_000, market="BTC")]
    result = run(rows, {"BTC": [100_000, 99_900, 98_000]}, **hyperliquid())
    assert (only(result.adl)["amount"], only(result.adl)["mark_price"]) == (99_900, 98_000)


@pytest.mark.parametrize(("score", "first"), [("hyperliquid_docs", "x"), ("profit_leverage", "y")])
def test_the_two_ranks_of_adl_disagree(score, first):
    # x: mark / entry 1.1 with a leverage of 10; y: mark / entry 10 with a leverage of 1.
    rows = [
        isolated("loser", -2, 100, 5, market="X"),
        isolated("x", 1, 100, 1, market="X"),
        isolated("y", 1, 11, 21, market="X"),
    ]
    protocol = uw.protocols.hyperliquid(score=score, vault=0)
    changes = {"trigger_feed": "last", "margin.maintenance": uw.FlatMargin(rate="0.01")}
    result = run(rows, {"X": [100, 110]}, **protocol.with_(**changes).model_dump())
    assert result.adl["account"][0] == first


@pytest.mark.parametrize(("requirement", "admitted"), [(200_000, True), (200_000.01, False)])
def test_hl_5_tokens_count_half_where_a_position_is_opened(requirement, admitted):
    # 10,000 tokens at 40 dollars with a loan-to-value of a half: 200,000 dollars.
    assert (status(tokens(40, 40, requirement))["a"] == "open") == admitted


@pytest.mark.parametrize(("price", "safe"), [("13.34", True), ("13.33", False)])
def test_hl_5_and_three_quarters_where_it_is_liquidated(price, safe):
    # The position needs 100,000 dollars: three quarters of 133,333.
    assert (len(tokens(40, Decimal(price), 200_000).liquidations) == 0) == safe


def tokens(before, after, requirement):
    """10,000 HYPE as the collateral of a position in BTC whose initial requirement, a fortieth, is so many dollars."""
    protocol = uw.protocols.hyperliquid(vault=0, loan_to_value={"HYPE": "0.5"}).with_(trigger_feed="last")
    size = Decimal(str(requirement)) * 40 / 100_000
    return run(
        [cross("a", size, 100_000, market="BTC")],
        {"BTC": [100_000, 100_000], "HYPE-USD": [before, after]},
        cash=[("a", "HYPE", 10_000)],
        assets=[{"name": "HYPE", "decimals": 8, "price_market": "HYPE-USD"}],
        opening="reject",
        **protocol.model_dump(),
    )


def test_hl_6_one_loser_in_44_markets_against_as_many_winners_as_fills():
    markets = [f"M{k:02}" for k in range(44)]
    deficit = 10_925_707
    rows = [cross("loser", 10_000, 1_000, market=market) for market in markets]
    winners = [(5_000, 1_200), (3_000, 1_100), (2_000, 1_050), (4_000, 1_000)]
    rows += [
        isolated(f"{market} {k}", -size, entry, 10_000_000, market=market)
        for market in markets
        for k, (size, entry) in enumerate(winners)
    ]
    protocol = uw.protocols.hyperliquid(other_leverage=50, vault=0).with_(trigger_feed="last").model_dump()
    # Safe at 940; at 900 a hundred dollars are lost on each of 440,000 units.
    result = run(
        rows,
        {market: [1_000, 940, 900] for market in markets},
        cash=[("loser", "USD", 44_000_000 - deficit)],
        **protocol,
    )
    assert len(result.liquidations) == 0  # every fill of the loser is the fill of a winner
    assert result.adl["market"].n_unique() == 44
    assert result.adl.select("loser", "ts", "loser_equity_usd").unique().rows() == [
        ("loser", result.adl["ts"][0], -deficit)
    ]
    assert set(result.adl.group_by("market").agg(pl.col("size").sum())["size"]) == {10_000}
    assert set(result.adl["price"]) == {940}  # the mark before
    assert only(result.bad_debt)["bad_debt_usd"] == deficit


def test_hl_7_a_vault_of_205_millions_against_the_largest_short():
    # The mark before is 4,000; the largest short has a profit of 21.84 % and a leverage of 1.79.
    long, short = Decimal("204671086.94"), Decimal("174176486.12")
    profit = Decimal("0.2184")
    entry = round(4_000 * (1 + profit), 2)
    rows = [
        cross("whale", long / 4_000, 4_000, market="ETH"),
        isolated("largest", -short / 4_000, entry, round(short / Decimal("1.79") - short * profit, 6), market="ETH"),
        isolated("other", -10_000, 4_100, 40_000_000, market="ETH"),
    ]
    # The whale is near bankruptcy at the open, and is taken over by a vault of 14 millions.
    result = run(
        rows,
        {"ETH": [4_000, 4_000, 3_500]},
        cash=[("whale", "USD", 1_000_000)],
        **hyperliquid(**{"vault.balance": 14_000_000}),
    )
    assert only(result.liquidations)["route"] == "vault"
    fills = result.adl.sort("rank")
    assert set(fills.select("loser", "kind").rows()) == {("vault", "vault")}
    assert fills["account"].to_list() == ["largest", "other"]
    assert fills["amount"].sum() == long
    assert fills["amount"][0] == short
    largest = fills.row(0, named=True)
    assert round(largest["amount"] * profit / 10**6, 1) == 38  # millions of profit, as published
    assert size_at_end(result, "vault", "ETH") == 0
    assert closing(result, "vault") == 15_000_000  # it is closed where it took over


@pytest.mark.parametrize(
    ("market", "before", "gap"), [("AVAX", 20, "0.05"), ("LINK", 15, "0.087"), ("LTC", 90, "0.43")]
)
def test_hl_8_gaps_between_the_price_of_adl_and_the_mark(market, before, gap):
    after = before - Decimal(gap)
    # Bankrupt a hundredth above the mark of now, still well with the one before.
    rows = [
        isolated("loser", 1, before + 1, 1 + Decimal(gap) - Decimal("0.01"), market=market),
        isolated("winner", -1, before + 2, 50, market=market),
    ]
    rule = {"margin.assets": {}, "margin.maintenance": uw.FlatMargin(rate="0.0001")}
    row = only(run(rows, {market: [before, after]}, **hyperliquid(**rule)).adl)
    assert row["amount"] - row["mark_price"] == Decimal(gap)


def test_a_loan_to_value_is_a_share():
    with pytest.raises(uw.ConfigError, match=r"loan_to_value\.HYPE: expected a share from 0 to 1, got 2"):
        uw.protocols.hyperliquid(loan_to_value={"HYPE": 2})
