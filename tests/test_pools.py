"""Shares of pools and vaults: by hand, and what must hold of any day."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from cases import ETH, SHORT, dollars, isolated, run
from hypothesis import given, settings
from hypothesis import strategies as st

import underwater as uw

START = datetime(2025, 10, 10, tzinfo=UTC)


def levels(*rows):
    """Net asset values at seconds: `(second, nav)` or `(second, lower, higher)`."""
    data = [(START + timedelta(seconds=row[0]), Decimal(row[1]), Decimal(row[-1])) for row in rows]
    return pl.DataFrame(data, schema=["ts", "nav_usd", "nav_max_usd"], orient="row")


def flow(second, lp, kind, amount):
    return {"ts": START + timedelta(seconds=second), "lp": lp, "kind": kind, "amount": Decimal(amount)}


def outcomes(found):
    return found.requests.select("lp", "status", "reason").rows()


def prices(found):
    return [None if price is None else float(price) for price in found.path["price"]]


# --- at once


def test_price_of_a_share_follows_net_asset_value():
    found = uw.pools.share_accounting(levels((0, 100), (1, 120), (2, 60)))
    assert prices(found) == [1, 1.2, 0.6]
    fall = uw.metrics.max_drawdown(found.path, "price")
    assert (round(fall.drawdown, 9), fall.relative) == (0.6, 0.5)


def test_minted_at_the_higher_value_and_redeemed_at_the_lower():
    flows = [flow(1, "ann", "deposit", 50), flow(1, "ann", "withdrawal", 40)]
    found = uw.pools.share_accounting(levels((0, 100), (1, 100, 125)), flows)
    first, second = found.requests.rows(named=True)
    assert first["shares"] == 40  # 50 at 1.25
    assert second["amount_usd"] == Decimal("42.857142")  # 40 of 140 shares of 150
    rows = {row["lp"]: row for row in found.holders.rows(named=True)}
    assert rows["ann"]["result_usd"] == Decimal("-7.142858")
    assert rows["others"]["result_usd"] == Decimal("7.142858")


def test_a_fee_leaves_the_pool():
    found = uw.pools.share_accounting(
        levels((0, 100), (1, 100)), [flow(1, "ann", "deposit", 100)], uw.pools.Shares(fee="0.003")
    )
    assert found.path.row(-1, named=True)["nav_usd"] == Decimal("199.7")
    assert found.requests["shares"][0] == Decimal("99.7")
    assert found.holders["fees_usd"].sum() == Decimal("0.3")


def test_withdrawals_are_refused():
    rules = uw.pools.Shares(supply=10, holders={"ann": 4}, minimum_usd=70)
    flows = [
        flow(1, "ann", "withdrawal", 5),
        flow(1, "ann", "withdrawal", 4),
        flow(1, "ann", "withdrawal", 3),
        flow(1, "bob", "withdrawal", 1),
    ]
    found = uw.pools.share_accounting(levels((0, 100), (1, 100)), flows, rules)
    assert outcomes(found) == [
        ("ann", "refused", "more than it holds"),
        ("ann", "refused", "below the minimum"),
        ("ann", "done", None),
        ("bob", "refused", "more than it holds"),
    ]
    assert found.path.row(-1, named=True)["shares"] == 7


def test_nobody_joins_a_pool_that_has_nothing():
    found = uw.pools.share_accounting(levels((0, 100), (1, -5)), [flow(1, "ann", "deposit", 10)])
    assert outcomes(found) == [("ann", "refused", "nothing is left")]
    assert prices(found) == [1, 0]


def test_the_first_share_of_an_empty_pool_costs_a_dollar():
    found = uw.pools.share_accounting(levels((0, 0), (1, 0), (2, 5)), [flow(1, "ann", "deposit", 10)])
    assert prices(found) == [None, None, 1, 1.5]


# --- by epochs (gTrade)


GTRADE = uw.pools.Shares(supply=100_000, par=1, epochs=uw.pools.Epochs("1h"))
HOUR = 3600


def test_v3_16_derived_a_buffer_pays_before_the_price_falls():
    nav = levels(
        (0, 100_000),
        (10, 120_000),
        (HOUR, 120_000),
        (HOUR + 10, 80_000),
        (2 * HOUR, 80_000),
        (2 * HOUR + 1, 100_000),
        (3 * HOUR, 100_000),
    )
    path = uw.pools.share_accounting(nav, (), GTRADE).path
    at = {
        (ts - START).total_seconds(): (float(price), over)
        for ts, price, over in path.select("ts", "price", "collateralisation").rows()
    }
    # A surplus is not paid out; a loss of 40,000 takes it first, and lowers the price at the next epoch only.
    assert at[HOUR] == (1, 1.2)
    assert at[HOUR + 10] == (1, 0.8)
    assert at[2 * HOUR] == (0.8, 0.8)
    assert at[2 * HOUR + 1] == (0.8, 1)
    assert at[3 * HOUR] == (1, 1)


@pytest.mark.parametrize(("nav", "epochs"), [(121_000, 1), (120_000, 2), (111_000, 2), (110_000, 3), (90_000, 3)])
def test_a_withdrawal_waits_by_collateralisation(nav, epochs):
    day = levels((0, nav), (5 * HOUR, nav))
    rules = uw.pools.Shares(supply=100_000, par=1, holders={"ann": 1000}, epochs=uw.pools.Epochs("1h"))
    found = uw.pools.share_accounting(day, [flow(10, "ann", "withdrawal", 1000)], rules)
    row = found.requests.row(0, named=True)
    assert row["executed_ts"] == START + timedelta(hours=epochs)
    assert row["amount_usd"] == min(1000, nav // 100)


def test_a_withdrawal_that_is_not_yet_due_stays_pending():
    rules = uw.pools.Shares(supply=10, holders={"ann": 1}, epochs=uw.pools.Epochs("1h"))
    found = uw.pools.share_accounting(levels((0, 10), (HOUR, 10)), [flow(0, "ann", "withdrawal", 1)], rules)
    assert outcomes(found) == [("ann", "pending", None)]


def test_between_epochs_deposits_are_at_the_price_of_the_start():
    nav = levels((0, 100_000), (HOUR, 80_000), (HOUR + 5, 90_000))
    found = uw.pools.share_accounting(
        nav, [flow(10, "ann", "deposit", 80), flow(HOUR + 6, "bob", "deposit", 80)], GTRADE
    )
    assert found.requests["shares"].to_list()[0] == 80
    # 80,080 dollars for 100,080 shares
    assert float(found.requests["shares"][1]) == pytest.approx(80 * 100_080 / 80_080)


# --- what must hold


amounts = st.integers(1, 10**9)
days = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), min_size=1, max_size=8)
requests = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(["ann", "bob"]), st.sampled_from(["deposit", "withdrawal"]), amounts),
    max_size=12,
)
rules = st.builds(
    uw.pools.Shares,
    fee=st.sampled_from([0, "0.003", "0.5"]),
    par=st.sampled_from([None, 1]),
    epochs=st.sampled_from([None, uw.pools.Epochs("2s"), uw.pools.Epochs("1s", (uw.pools.Lag(0, 1),))]),
    minimum_usd=st.sampled_from([0, 500]),
)


@settings(deadline=None)
@given(days, requests, rules)
def test_what_providers_gain_is_what_the_entity_gains(day, asked, terms):
    nav = levels(*[(at, Decimal(low).scaleb(-6), Decimal(low + more).scaleb(-6)) for at, (low, more) in enumerate(day)])
    flows = [flow(at, lp, kind, Decimal(amount).scaleb(-6)) for at, lp, kind, amount in asked]
    found = uw.pools.share_accounting(nav, flows, terms)
    holders = {name: sum(map(Fraction, found.holders[name])) for name in found.holders.columns if name != "lp"}
    last = found.path.row(-1, named=True)
    gained = Fraction(day[-1][0] - day[0][0], 10**6)
    if holders["opening_shares"] and last["shares"]:
        assert holders["result_usd"] + holders["fees_usd"] == gained
        assert holders["closing_usd"] == Fraction(last["nav_usd"])
    # Net asset value is what the replay says and what came less what went; shares are those of the holders.
    assert Fraction(last["nav_usd"]) == Fraction(day[-1][0], 10**6) + Fraction(last["deposits_usd"]) - Fraction(
        last["withdrawals_usd"]
    )
    assert holders["closing_shares"] == Fraction(last["shares"])
    assert len(found.requests) == len(flows)


@settings(deadline=None)
@given(days, requests)
def test_executing_requests_never_lowers_the_price(day, asked):
    """Rounding is in favour of those who stay, and so is the spread between the two values."""
    nav = levels(*[(at, Decimal(low).scaleb(-6), Decimal(low + more).scaleb(-6)) for at, (low, more) in enumerate(day)])
    path = uw.pools.share_accounting(nav, [flow(at, lp, kind, amount) for at, lp, kind, amount in asked]).path
    seen = None
    for ts, price in path.select("ts", "price").rows():
        if seen is not None and seen[0] == ts and seen[1] is not None and price is not None:
            assert price >= seen[1]
        seen = ts, price


def test_losses_are_borne_by_those_who_held_shares_before():
    rules = uw.pools.Shares(supply=3, holders={"ann": 1})
    found = uw.pools.share_accounting(levels((0, 3), (1, 3)), [flow(5, "bob", "deposit", 3)], rules)
    at = START + timedelta(seconds=5)
    losses = pl.DataFrame({"ts": [at, at + timedelta(seconds=1)], "amount_usd": [Decimal("0.00001"), Decimal(6)]})
    assert found.attribute(losses).select("lp", "amount_usd").rows() == [
        ("ann", Decimal("0.000003")),
        ("others", Decimal("0.000007")),
        ("ann", 1),
        ("bob", 3),
        ("others", 2),
    ]


# --- from a replay


def counterparty(path, **more):
    """A long that goes bankrupt against the pool, and a short that stays."""
    rows = [isolated("long", 5, 2000, 1000), isolated("short", -2, 2000, 1000)]
    return run(
        rows,
        path,
        counterparty="pool",
        execution={"counterparty": "pool"},
        pool={"balance": 10_000},
        waterfall=["pool"],
        **more,
    )


def quotes(path, spread=0):
    return pl.DataFrame(
        [(at, ETH, Decimal(price - spread), Decimal(price + spread)) for at, price in enumerate(path)],
        schema=["second", "market", "low", "high"],
        orient="row",
    ).with_columns(ts=pl.from_epoch("second"))


@pytest.mark.parametrize("path", [[2000, 1950, 1700, 1750], [2000, 2100, 1990], [2000, 2600, 1500, 2200]])
def test_a_pool_gains_what_it_trades_and_earns_less_what_it_absorbs(path):
    result = counterparty(path, penalty={"rate": "0.01", "split": {"pool": 1}})
    worth = uw.pools.valuation(result, quotes(path))
    lines = dict(uw.metrics.layer_result(result).rows())
    assert worth["nav_usd"][-1] == lines["closing"]
    # Trading, mirrored: what accounts have lost at the full claim, below zero too, before anybody paid for them.
    ends = result.accounts
    gained = sum(Fraction(a) - Fraction(b) for a, b in ends.select("closing_equity_usd", "opening_equity_usd").rows())
    mirrored = -(gained + Fraction(lines["absorption"]) + Fraction(lines["fees"]))
    assert Fraction(lines["trading"]) == mirrored
    change = Fraction(worth["nav_usd"][-1]) - 10_000
    assert change == mirrored + Fraction(lines["absorption"]) + Fraction(lines["fees"])


def test_the_claim_on_losers_counts_until_they_are_closed():
    path = [2000, 1900, 1700]
    result = counterparty(path)
    worth = uw.pools.valuation(result, quotes(path))["nav_usd"].to_list()
    # 5 longs less 2 shorts: 3 a dollar; at 1,700 the loser owes 500 more than it has, which goes.
    assert worth == [10_000, 10_300, 10_400]
    assert dollars(result)["pool"] == 500
    found = result.shares(prices=quotes(path))
    assert prices(found) == [1, 1.03, 1.04]
    low, high = uw.pools.valuation(result, quotes(path, spread=10)).select("nav_usd", "nav_max_usd").row(0)
    assert (low, high) == (9_970, 10_030)


def test_figures_of_the_providers():
    result = counterparty([2000, 2100, 1700])
    figures = uw.metrics.share_figures(result.shares(prices=quotes([2000, 2100, 1700])).path, dollars(result)["pool"])
    assert (figures.opening_price, figures.closing_price) == (1, Decimal("1.04"))
    assert figures.change == pytest.approx(0.04)
    assert (figures.drawdown.relative, figures.loss_to_tvl) == (pytest.approx(0.03), 0.05)
    nothing = uw.metrics.share_figures(uw.pools.share_accounting(levels((0, 0)), ()).path)
    assert (nothing.opening_price, nothing.change, nothing.loss_to_tvl) == (None, None, None)


def test_shares_of_a_result_at_the_instants_of_its_timeline():
    result = counterparty([2000, 1900, 1700])
    found = result.shares(flows=[{"ts": result.timeline["ts"][-1], "lp": "ann", "kind": "deposit", "amount": 104}])
    assert float(found.path["price"][-1]) == 1.04
    assert found.holders["closing_usd"].to_list() == [104, 10_400]


def test_what_cannot_be_followed_is_refused():
    result = run([SHORT], [2000, 2000])
    with pytest.raises(uw.DataError, match="entity: expected one of pool, vault, got 'treasury'"):
        uw.pools.valuation(result, quotes([2000]), "treasury")
    result = counterparty([2000, 2000])
    with pytest.raises(uw.DataError, match="'ETH-PERP' has no price when it is held"):
        uw.pools.valuation(result, quotes([2000]).with_columns(market=pl.lit("BTC-PERP")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fee": 1}, "fee: expected less than 1"),
        ({"fee": "much"}, "fee: expected a number"),
        ({"par": 0}, "par: expected more than 0"),
        ({"supply": 1, "holders": {"ann": 2}}, "holders: expected at most"),
        ({"minimum_usd": -1}, "minimum_usd: expected at least 0"),
        ({"epochs": uw.pools.Epochs("soon")}, "epochs.length: expected a duration"),
        ({"epochs": uw.pools.Epochs("0s")}, "epochs.length: expected more than 0"),
        ({"epochs": uw.pools.Epochs("1h", (uw.pools.Lag(1, 1),))}, "epochs.lags: expected"),
    ],
)
def test_rules_that_cannot_be_read(change, message):
    with pytest.raises(uw.ConfigError, match=message):
        uw.pools.share_accounting(levels((0, 1)), (), uw.pools.Shares(**change))


@pytest.mark.parametrize(
    ("flows", "message"),
    [
        ([{"ts": START, "lp": "ann", "kind": "deposit"}], "column 'amount' is missing"),
        ([flow(0, "ann", "gift", 1)], "row 0, kind: expected 'deposit' or 'withdrawal', got 'gift'"),
        ([flow(0, "ann", "deposit", 0)], "row 0: expected a time, a provider and an amount above 0"),
        ([flow(-1, "ann", "deposit", 1)], "expected nothing before the first valuation"),
    ],
)
def test_flows_that_cannot_be_read(flows, message):
    with pytest.raises(uw.DataError, match=message):
        uw.pools.share_accounting(levels((0, 1)), flows)
