"""GMX v2: what its contracts' tests say of payouts, the pool factor and liquidations (vectors V2.n), through the public API."""

from decimal import Decimal

import polars as pl
import pytest
from cases import audit, book, closing, day, dollars, flat, isolated, only

import underwater as uw

MARKET = "ETH-USD"


def pool(balance, policy=None, **payout):
    """A pool that is the other side of everything."""
    return {
        "pool": {"balance": balance},
        "counterparty": "pool",
        "execution": {"counterparty": "pool"},
        "payout": {"policy": policy or {"kind": "uncapped"}, **payout},
        "margin": flat("0.01"),
    }


def factor(share):
    return {"kind": "pool_factor", "factor": share}


def replay(positions, path, trades=(), **protocol):
    """The book with trades `(second, account, size)` at the feed. The result has been audited."""
    rows = [(second, account, MARKET, "trade", size) for second, account, size in trades]
    events = pl.DataFrame(rows, schema=["second", "account", "market", "kind", "size"], orient="row")
    events = events.select(pl.from_epoch("second").alias("ts"), "account", "market", "kind", "size")
    frame = pl.from_dicts(positions, infer_schema_length=None)
    both = uw.Book.from_frames(frame, None, events) if rows else book(positions)
    result = uw.replay(day({MARKET: path}), both, uw.Protocol.from_dict(protocol))
    audit(result)
    return result


TWO = [isolated(name, 50, 5000, 100_000, market=MARKET) for name in ("first", "second")]
"""V2.6: two longs of 250,000 dollars from 5,000, with 100,000 each behind them."""
RISE = [5000, 7500, 7500, 7500]


def leave(policy=None, path=RISE, **payout):
    """Both close, one after the other."""
    return replay(TWO, path, [(2, "first", -50), (3, "second", -50)], **pool(2_000_000, policy, **payout))


def test_v2_6_capped_payouts_are_borne_by_winners_outside_bad_debt():
    result = leave(factor("0.07"))
    assert [closing(result, name) for name in ("first", "second")] == [135_000, 168_775]
    assert closing(result, "pool") == 2_000_000 - 35_000 - 68_775
    assert dollars(result) == {"capped_payouts": 146_225}
    assert result.accounts.select("account", "unpaid_profit_usd").rows() == [("first", 90_000), ("second", 56_225)]
    assert result.summary()["user_borne_usd"] == "146225.000000"
    borne = uw.metrics.unpaid_profits(result).select("account", "market", "line", "amount_usd").rows()
    assert borne == [(name, MARKET, "capped_payouts", usd) for name, usd in (("first", 90_000), ("second", 56_225))]
    kept = result.postings.filter(kind="capped_payout").select("from", "to", "amount").rows()
    assert kept == [("first", "pool", 90_000), ("second", "pool", 56_225)]


def test_v2_6_without_a_cap():
    result = leave()
    assert [closing(result, name) for name in ("first", "second")] == [225_000, 225_000]
    assert dollars(result) == {}


def test_v2_6_the_other_way_round_the_other_one_gets_less():
    result = replay(TWO, RISE, [(2, "second", -50), (3, "first", -50)], **pool(2_000_000, factor("0.07")))
    assert [closing(result, name) for name in ("first", "second")] == [168_775, 135_000]


def test_losses_are_never_cut():
    result = leave(factor("0.07"), path=[5000, 4000, 4000, 4000])
    assert [closing(result, name) for name in ("first", "second")] == [50_000, 50_000]
    assert closing(result, "pool") == 2_100_000


def test_part_of_a_position_is_paid_at_the_factor_of_its_own_time():
    result = replay(TWO, RISE, [(2, "first", -10)], **pool(2_000_000, factor("0.07")))
    # 25,000 of 250,000 are closed, and cut to 7,000.
    assert dollars(result)["capped_payouts"] == 18_000


def test_at_the_end_positions_are_closed_in_order():
    result = replay(TWO, RISE, **pool(2_000_000, factor("0.07"), at_end=True))
    assert [closing(result, name) for name in ("first", "second")] == [135_000, 168_775]
    assert dollars(result)["capped_payouts"] == 146_225


@pytest.mark.parametrize(
    ("policy", "paid"),
    [
        ({"kind": "collateral_share", "share": "0.5"}, 50_000),  # of 100,000
        ({"kind": "collateral_share", "share": "9"}, 125_000),
        ({"kind": "reserved", "share": "0.1"}, 25_000),  # of 250,000
        ({"kind": "reserved"}, 125_000),
    ],
)
def test_other_caps(policy, paid):
    result = leave(policy)
    assert [closing(result, name) for name in ("first", "second")] == [100_000 + paid] * 2
    assert dollars(result).get("capped_payouts", 0) == 2 * (125_000 - paid)


def test_a_pool_that_is_short_refuses():
    def both(balance, when_short):
        trades = [(2, "first", -50), (3, "second", -50)]
        result = replay(TWO, RISE, trades, **pool(balance, when_short=when_short))
        return [closing(result, name) for name in ("first", "second", "pool")], dollars(result)

    # The pool has 200,000: the first gets all, the second what is left.
    assert both(200_000, "refuse") == ([225_000, 175_000, 0], {"refused_payouts": 50_000})
    assert both(200_000, "pay") == ([225_000, 225_000, -50_000], {})


def test_a_winner_of_a_liquidated_account_is_cut_too():
    """A cross account gains on one market and loses more on the other."""
    rows = [
        {"account": "a", "market": market, "size": size, "entry_price": 100, "margin_mode": "cross"}
        for market, size in (("UP", 10), ("DOWN", 10))
    ]
    cash = [("a", "USD", 300)]
    prices = {"UP": [100, 150, 150], "DOWN": [100, 100, 20]}
    protocol = pool(10_000, {"kind": "reserved", "share": "0.2"})
    result = uw.replay(day(prices), book(rows, cash), uw.Protocol.from_dict(protocol | {"margin": flat("0.1")}))
    audit(result)
    # 300 + 200 of 500 - 800: short of 300, of which the cap makes 300.
    assert dollars(result) == {"bad_debt": 300, "pool": 300, "gross": 300, "capped_payouts": 300}
    assert closing(result, "pool") == 10_000 + 300


@pytest.mark.parametrize(
    ("policy", "counts"),
    [
        ({"kind": "reserved", "share": "0.2"}, 200),
        (factor("0.05"), 250),
        ({"kind": "collateral_share", "share": "0.5"}, 300),
    ],
)
@pytest.mark.parametrize("in_margin", [False, True])
def test_the_margin_test_counts_what_would_be_paid(policy, counts, in_margin):
    """Of 500 of profit, against a loss that grows: 600 + counted - loss below a tenth of what is held."""
    rows = [
        {"account": "a", "market": market, "size": size, "entry_price": 100, "margin_mode": "cross"}
        for market, size in (("UP", 10), ("DOWN", 100))
    ]
    counted = counts if in_margin else 500
    # A tenth of 1,500 and of 100 p: 600 + counted - 100 (100 - p) < 150 + 10 p.
    prices = [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 90]
    first = next(p for p in prices if 600 + counted - 100 * (100 - p) < 150 + 10 * p)
    protocol = pool(10_000, policy, in_margin=in_margin) | {"margin": flat("0.1")}
    path = {"UP": [150] + [150] * 10, "DOWN": prices}
    result = uw.replay(day(path), book(rows, [("a", "USD", 600)]), uw.Protocol.from_dict(protocol))
    audit(result)
    # Where the account is opened nothing counts of a profit, which flags it; it is not liquidated for that.
    assert result.liquidations.filter(market="DOWN")["price"].to_list() == [first]


# --- auto-deleveraging by the pool factor

WHALE = isolated("whale", 100_000, 20, 200_000, market=MARKET)
"""V2.3: two million dollars long from 20."""


def deleverage(path, positions=(WHALE,), balance=5_000_000, policy=None, **adl):
    """A pool of which all stands behind either side, deleveraged above 10 %, down to 2 % at most."""
    sides = {"long": {"share": 1}, "short": {"share": 1}}
    adl = {"enable": "0.1", "minimum": "0.02", **adl}
    return replay(list(positions), path, **pool(balance, policy, sides=sides, adl=adl))


def closed(result):
    return result.adl.select("account", "size", "price").rows()


@pytest.mark.parametrize(("price", "size"), [(22, []), (25, []), (26, [50_000])])
def test_v2_3_above_the_factor_not_at_it(price, size):
    result = deleverage([20, price], share="0.5", stop="enable")
    assert result.adl["size"].to_list() == size
    if not size:
        return
    # 300,000 are realised, which leaves the pool 4.7 m against 300,000 to come: 6.383 %.
    assert closing(result, "pool") == 4_700_000 + 1_000_000  # with what the open half has cost
    assert closing(result, "whale") == 200_000 + 300_000 - 1_000_000
    row = only(result.adl)
    assert (row["kind"], row["loser"], row["side"], row["give_up_usd"]) == ("pool_factor", "pool", "long", 0)
    assert (row["price"], row["amount"], row["notional_usd"], row["pnl_usd"]) == (26, -1_300_000, 1_300_000, 600_000)
    assert dollars(result) == {}


def test_v2_3_down_to_the_minimum():
    """12 %, 6.383 %, 3.297 % and no further: the next half would leave 1.676 %."""
    result = deleverage([20, 26, 26], share="0.5")
    assert result.adl["size"].to_list() == [50_000, 25_000]
    assert result.adl["rank"].to_list() == [1, 2]


def test_v2_4_a_part_is_enough_to_lower_the_factor():
    """In dollars: two million of profit on ten of pool, of which 100,000 of four million are closed: 1.9 / 9.9."""
    row = isolated("whale", 400, 5000, 500_000, market=MARKET)
    result = deleverage([5000, 10_000], [row], 10_000_000, share="0.05", actions=1)
    assert closed(result) == [("whale", 20, 10_000)]
    assert closing(result, "whale") - 500_000 == -2_000_000 + 200_000


def test_an_overcorrection_does_not_take_place():
    assert closed(deleverage([20, 26])) == []
    # As much as may be: 4.4 m and 100,000 less than two per cent are never reached.
    size = only(deleverage([20, 26], fit=True).adl)["size"]
    left = (100_000 - size) * 6
    assert left / (5_000_000 - size * 6) >= 0.02 > (left - 6) / (5_000_000 - size * 6 - 6)


THREE = [
    isolated("small", 10_000, 10, 100_000, market=MARKET),  # 160,000 of profit at 26, which is 160 %
    isolated("large", 50_000, 20, 200_000, market=MARKET),  # 300,000
    isolated("wide", 60_000, 24, 400_000, market=MARKET),  # 120,000
]


@pytest.mark.parametrize(
    ("selector", "first"), [("largest_profit", "large"), ("largest_position", "wide"), ("highest_return", "small")]
)
def test_the_keeper_chooses(selector, first):
    result = deleverage([20, 26, 26], THREE, selector=selector, actions=1)
    assert closed(result)[0][0] == first


def test_a_draw_chooses():
    def first(seed):
        return closed(deleverage([20, 26, 26], THREE, selector="random", seed=seed, actions=1))[0][0]

    assert {first(seed) for seed in range(20)} == {"small", "large", "wide"}


def test_rounds_come_late_and_apart():
    result = deleverage([20] + [26] * 9, THREE, actions=1, latency="2s", pause="3s", stop="enable", share="0.1")
    assert result.adl["ts"].dt.epoch("s").to_list() == [3, 6, 9]
    assert result.adl["trigger_ts"].dt.epoch("s").to_list() == [1, 3, 6]


def test_a_round_that_comes_too_late_finds_nothing_to_do():
    assert closed(deleverage([20, 26, 20, 20, 20], THREE, latency="2s")) == []


def test_shorts_have_their_own_factor():
    row = isolated("short", -100_000, 20, 400_000, market=MARKET)
    result = deleverage([20, 14], [WHALE, row], share="0.5", stop="enable")
    assert closed(result) == [("short", 50_000, 14)]


def test_the_deleveraged_are_paid_what_caps_leave():
    """At a factor of 6 %, 300,000 of 600,000 are paid: of half of it, 150,000."""
    result = deleverage([20, 26], policy=factor("0.06"), share="0.5", actions=1, stop="enable")
    assert dollars(result) == {"capped_payouts": 150_000}


def test_v2_1_liquidated_where_the_collateral_is_used_up():
    assert [liquidated([5000, price], [40, 5000, 10])[0] for price in (4200, 4000)] == ["open", "liquidated"]


def liquidated(eth, position, sol=None, asset="ETH"):
    """Status of a trader, and what is left of the collateral: one per cent of the size at least."""
    size, entry, collateral = position
    market = MARKET if sol is None else "SOL-USD"
    row = isolated("trader", size, entry, collateral, market=market, collateral_asset=asset)
    protocol = pool(5_000_000)
    protocol["margin"] = {"maintenance": {"kind": "leverage", "max_leverage": 100}}
    prices = {MARKET: eth} if sol is None else {MARKET: eth, market: sol}
    ticks = day(prices, assets=[{"name": asset, "decimals": 8, "price_market": MARKET}])
    result = uw.replay(ticks, book([row]), uw.Protocol.from_dict(protocol))
    audit(result)
    return result.accounts["status"][0], closing(result, "trader", asset), result


@pytest.mark.parametrize(
    ("size", "eth", "sol", "left"),
    [
        (30_000, 2500, 15, "1"),
        (30_000, 2500, "14.99", "0.88"),  # 300 dollars are 0.12
        (-30_000, 4499, 15, "1"),
    ],
)
def test_v2_2_what_is_left_of_the_collateral_is_the_traders(size, eth, sol, left):
    status, rest, _ = liquidated([5000, eth], [size, 15, 1], [15, Decimal(sol)])
    assert (status, rest) == ("liquidated", Decimal(left))


def test_v2_2_not_yet():
    assert liquidated([5000, 4501], [-30_000, 15, 1], [15, 15])[0] == "open"


def test_v2_2_a_gap_falls_on_the_pool():
    status, rest, result = liquidated([5000, 5000], [30_000, 15, 1], [15, 1])
    assert (status, rest) == ("defaulted", 0)
    assert dollars(result) == dict.fromkeys(["bad_debt", "pool", "gross"], 415_000)
    assert closing(result, "pool") == 5_000_000 + 5000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counterparty": "outside"}, "payout: counterparty is outside; expected pool"),
        ({"execution.counterparty": "outside"}, "payout: execution.counterparty is outside; expected pool"),
        ({"payout.policy.factor": "-1"}, "payout.policy.factor: expected a rate of at least 0"),
        ({"payout.sides.long.share": "2"}, "payout.sides.long.share: expected a share from 0 to 1"),
        ({"payout.policy.kind": "none"}, "payout.policy: expected kind to be one of"),
        ({"payout.adl": {"enable": "0.1", "minimum": "0.2"}}, "payout.adl: minimum is above enable"),
        ({"payout.adl": {"enable": "0.1", "minimum": 0, "share": 0}}, "payout.adl.share: expected a share above 0"),
        (
            {"payout.adl": {"enable": "0.1", "minimum": 0, "pause": "0s"}},
            "payout.adl.pause: expected a duration above 0",
        ),
        (
            {"execution.takeover": {"below": "0.5"}, "vault.balance": 1},
            "payout: execution.takeover is set; expected none",
        ),
    ],
)
def test_bad_configuration_names_the_field(changes, message):
    protocol = uw.Protocol.from_dict(pool(100, factor("0.5")))
    with pytest.raises(uw.ConfigError, match=message):
        protocol.with_(**changes)


@pytest.mark.parametrize(
    ("payout", "message"),
    [
        ({"markets": {"BTC": {}}}, "payout.markets: there is no market"),
        ({"sides": {"short": {"assets": ["WBTC"]}}}, "payout.sides.short.assets: there is no asset"),
    ],
)
def test_names_that_the_tape_does_not_know(payout, message):
    with pytest.raises(uw.ConfigError, match=message):
        leave(**payout)
