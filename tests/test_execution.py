"""At what price closes fill, what that does to the price, and who takes what: in small numbers, through the public API.

The textbook: a long of 5 ETH from 2,000 with a margin of 1,000 is closed at 1,700, where it is worth 8,500.
"""

import polars as pl
import pytest
from cases import ETH, LONG, SHORT, audit, book, closing, day, dollars, flat, isolated, only, run, size_at_end, status

import underwater as uw

RICH = 1_000_000


def prices(result, account=None):
    rows = result.liquidations
    if account is not None:
        rows = rows.filter(account=account)
    return [float(price) for price in rows["price"]]


def impact(kind="linear", depth=85_000, **more):
    return {"execution": {"impact": {"kind": kind, "depth": depth, **more}}}


# --- impact


@pytest.mark.parametrize(
    ("rules", "price"),
    [
        # 8,500 of 85,000 displaces by 10 %, on average by 5 %.
        (impact(), 1615),
        # sqrt(8,500 / 8,500) * 0.3 is 30 %, on average two thirds of it.
        (impact("square_root", 8_500, coefficient="0.3"), 1360),
        # 1,700 / (1 + 8,500 / 34,000)
        (impact("constant_product", 34_000), 1360),
        # 1,700 at 5 %, 6,800 at 20 %: 17 % on average.
        (
            impact("ladder", 3_400, rungs=[{"share": "0.5", "offset": "-0.05"}, {"share": "0.5", "offset": "-0.2"}]),
            1411,
        ),
        # The displacement is cut at 4 %, and the average is taken between displacements.
        (impact(limit="0.04"), 1666),
    ],
)
def test_a_close_moves_the_price_that_it_gets(rules, price):
    result = run([LONG, SHORT], [2000, 1700], **rules)
    assert prices(result) == [price]
    assert dollars(result)["bad_debt"] == 5 * (2000 - price) - 1000


def test_a_short_moves_the_price_up():
    # 2,300 * 5 of 115,000 is 10 %.
    result = run([LONG, SHORT], [2000, 2300], **impact(depth=115_000))
    assert prices(result, "short") == [2415]


def test_closes_in_a_row_move_the_price_as_one_would():
    small = [isolated(f"long {n}", 1, 2000, 200) for n in range(5)]
    result = run([*small, SHORT], [2000, 1700], **impact())
    # Each moves it by 2 %: 1 %, 3 %, ... below 1,700.
    assert prices(result) == [1683, 1649, 1615, 1581, 1547]
    assert sum(prices(result)) == 5 * 1615


def test_two_legs_of_one_account_see_each_other():
    account = [
        {"account": "a", "market": ETH, "size": size, "entry_price": 2000, "margin_mode": "cross", "position": key}
        for size, key in ((5, "long"), (-4, "short"))
    ]
    result = run(account, [2000, 1700], cash=[("a", "USD", 200)], **impact())
    # The long sells 8,500 down to 10 %; the short buys 6,800 back up to 2 %, at 6 % on average.
    assert prices(result) == [1615, 1598]


@pytest.mark.parametrize(
    ("memory", "displaced"),
    [
        # What the first has displaced, by 10 %, is halved in ten seconds.
        ({"half_life": "10s"}, 0.05),
        ({}, 0.1),
        # Half stays, the other half is halved.
        ({"half_life": "10s", "permanent": "0.5"}, 0.075),
        ({"half_life": "0s"}, 0),
    ],
)
def test_a_displacement_is_forgotten(memory, displaced):
    later = isolated("later", 5, 2000, 1800)
    path = {ETH: [(0, 2000), (1, 1700), (11, 1600)]}
    result = run([LONG, later, SHORT], path, margin=flat("0"), **impact(**memory))
    # Another 8,000 of 85,000, on average half of it.
    assert prices(result) == pytest.approx([1615, 1600 * (1 - displaced - 4 / 85)], abs=1)


def test_depth_of_a_market_and_scale_of_the_book():
    by_market = impact(depth=1, markets={ETH: 42_500})
    assert prices(run([LONG, SHORT], [2000, 1700], **by_market)) == [1530]
    scaled = {"execution": {"impact": {"kind": "linear", "depth": 42_500}, "book_scale": {ETH: 2}}}
    assert prices(run([LONG, SHORT], [2000, 1700], **scaled)) == [1615]
    with pytest.raises(uw.ConfigError, match=r"book_scale.*BTC"):
        run([LONG], [2000, 1700], execution={"book_scale": {"BTC": 2}})


# --- cascades

START, STEP = 10_000, 1e-4
CROWD = [isolated(f"long {n:03}", 1, START, n, market=ETH) for n in range(1, 401)]
"""Longs of 10,000 each, one for every 0.01 % that the price can fall: forced sales of 10^8 per unit of relative drop."""


def cascade(strength, path=(START, START * 0.99), rounds=400, **more):
    """A fall of 1 %, where what a sale displaces is `strength` of what calls it forth."""
    depth = START * 0.99 * 0.99 / STEP / strength
    feedback = {"kind": "linear", "depth": depth, "feedback": True}
    keeper = {"rounds": rounds}
    return run(CROWD, list(path), margin=flat("0"), keeper=keeper, execution={"impact": feedback}, **more)


def closed(result):
    return len(set(result.liquidations["account"]))


@pytest.mark.parametrize(("strength", "multiplier"), [(1e-9, 1), (0.25, 4 / 3), (0.5, 2), (0.7, 1 / 0.3)])
def test_a_minimal_cascade(strength, multiplier):
    """Forced sales f per unit of relative drop and an impact of lam per dollar: the drop is x0 / (1 - lam f)."""
    result = cascade(strength)
    # The drop is the number of those whose margin it used up, in steps of 0.01 %.
    assert closed(result) == pytest.approx(100 * multiplier, rel=0.02)
    assert result.liquidations["ts"].n_unique() == 1


def test_a_cascade_goes_on_at_the_next_instant_when_rounds_are_up():
    path = [START, *[START * 0.99] * 12]
    slow = cascade(0.5, path, rounds=0)
    assert closed(slow) == closed(cascade(0.5)) == pytest.approx(200, abs=2)
    assert slow.liquidations["ts"].n_unique() > 5


def test_a_cascade_that_diverges_ends():
    assert closed(cascade(1.2)) == len(CROWD)
    # Down to the least price that there is.
    wild = cascade(1_000)
    assert closed(wild) == len(CROWD)
    assert min(prices(wild)) == 1
    # ADL at the bankruptcy price sells nothing, so nobody follows.
    shorts = [isolated(f"short {n}", -100, START, RICH) for n in range(4)]
    execution = {"impact": {"kind": "linear", "depth": 400_000, "feedback": True}}
    matched = run([*CROWD, *shorts], [START, START * 0.99], margin=flat("0"), adl={}, execution=execution)
    assert matched.liquidations.is_empty()
    assert len(matched.adl) == 99


def test_without_feedback_nobody_follows():
    rules = {"impact": {"kind": "linear", "depth": 1e8}}
    assert closed(run(CROWD, [START, START * 0.99], margin=flat("0"), keeper={"rounds": 400}, execution=rules)) == 99


def test_windows_blocks_and_threads_do_not_matter():
    ticks = uw.crash_days.load("2025-10-10")
    everyone = uw.Book.synthetic(ticks, accounts=2_000, seed=7)
    feedback = {"kind": "square_root", "depth": 1e9, "half_life": "5m", "permanent": "0.2", "feedback": True}
    protocol = uw.Protocol.from_dict({"keeper": {"latency": "10s"}, "adl": {}, "execution": {"impact": feedback}})
    whole = uw.replay(ticks, everyone, protocol)
    calm = uw.replay(ticks, everyone, protocol.with_(**{"execution.impact.feedback": False}))
    assert len(whole.liquidations) > len(calm.liquidations) > 0
    for tuning in ({"block_ticks": 8}, {"chunk_ticks": 400_000}):
        assert uw.replay(ticks, everyone, protocol, **tuning).state_hash == whole.state_hash


# --- participation


def with_sizes(rows):
    """Ticks of (second, price, size)."""
    frame = pl.DataFrame(rows, schema=["second", "price", "size"], orient="row")
    return uw.Ticks(
        frame.select(
            pl.from_epoch("second").alias("ts"),
            pl.lit(ETH).alias("market"),
            pl.col("price").cast(pl.Float64),
            pl.col("size").cast(pl.Float64),
        )
    )


def participation(rows, positions, **more):
    execution = {"kind": "participation", **more}
    result = uw.replay(with_sizes(rows), book(positions), uw.Protocol.from_dict({"execution": execution}))
    audit(result)
    return result


TRADES = [(0, 2000, 9), (1, 1700, 90), (2, 1690, 8), (2, 1650, 4), (3, 1600, 40)]


def test_an_order_takes_its_share_of_what_trades_next():
    result = participation(TRADES, [LONG, SHORT], rate="0.5")
    row = only(result.liquidations)
    # Four at 1,690 and one at 1,650.
    assert (row["price"], row["ts"].second) == (1682, 2)


def test_orders_share_the_volume_first_in_first_out():
    other = isolated("other", 2, 2000, 400)
    result = participation(TRADES, [LONG, other, SHORT], rate="0.5")
    # The other gets one more at 1,650, and one at 1,600.
    assert prices(result) == [1682, 1625]
    assert result.liquidations["ts"].dt.second().to_list() == [2, 3]


def test_an_order_that_the_volume_does_not_fill_stays():
    result = participation(TRADES[:-1], [LONG, SHORT], rate="1/3")
    assert result.liquidations.is_empty()
    assert status(result)["long"] == "queued"
    # As many units of the book's as of the venue's: three times the volume.
    assert prices(participation(TRADES[:-1], [LONG, SHORT], rate="1/3", book_scale={ETH: 3})) == [1690]


def test_participation_needs_sizes():
    with pytest.raises(uw.DataError, match="size"):
        uw.replay(day({ETH: [2000, 1700]}), book([LONG]), uw.Protocol(execution=uw.Execution(kind="participation")))


# --- takeovers and bounds


def test_keepers_take_over_at_a_discount():
    result = run(
        [LONG, SHORT], [2000, 1810], margin=flat("0.1"), execution={"counterparty": "keepers", "discount": 0.05}
    )
    row = only(result.liquidations)
    assert (row["route"], row["price"]) == ("keeper", 1719)
    assert size_at_end(result, "keepers") == 5
    assert closing(result, "keepers") == -5 * row["price"]


BTC = isolated("long", 1, 100_000, 2_500)
BACKSTOP = {"margin": flat("0.0125"), "vault": {"balance": RICH}, "execution": {"takeover": {"below": "2/3"}}}


@pytest.mark.parametrize(("price", "route"), [(98_700, "market"), (98_300, "vault"), (97_400, "market")])
def test_the_vault_takes_over_below_two_thirds_of_maintenance(price, route):
    # Equity 1,200 of 1,234: the market. 800 of 1,229: the vault. -100: bankrupt.
    result = run([BTC, isolated("short", -1, 100_000, RICH)], [100_000, price], **BACKSTOP)
    assert only(result.liquidations)["route"] == route
    if route == "vault":
        assert size_at_end(result, "vault") == 1
        # It paid the price of the position and got what was left; so it has gained that.
        assert closing(result, "vault") == RICH - price + 800
        assert dollars(result)["takeover_pnl"] == 800
        assert status(result)["long"] == "liquidated"


def test_a_takeover_waits_for_no_print():
    more = {**BACKSTOP, "execution": {"kind": "next_tick", "takeover": {"below": "2/3"}}}
    result = run([BTC], [100_000, 98_300, 90_000], **more)
    row = only(result.liquidations)
    assert (row["route"], row["price"], row["ts"].second) == ("vault", 98_300, 1)


@pytest.mark.parametrize(
    ("size", "collateral", "rules", "price"),
    [
        # dYdX v4, TestGetFillablePrice: 0.1 BTC at 50,000, a requirement of 500, and what is left of the account.
        (0.1, 499, {}, 49_999),
        (0.1, 499, {"adjustment": 2}, 49_998),
        (0.1, 499, {"spread": "0.2"}, 49_998),
        (0.1, 499, {"spread": 1}, 49_990),
        (-0.1, 499, {}, 50_001),
        (0.1, 0, {}, 49_500),
        (-0.1, 0, {}, 50_500),
        # Its bankruptcy price: 4,501 for 0.1 BTC.
        (0.1, 499, {"kind": "bankruptcy"}, 45_010),
    ],
)
def test_nothing_fills_beyond_the_fillable_price(size, collateral, rules, price):
    bound = {"kind": "fillable", "spread": "0.1", **rules}
    result = run(
        [isolated("a", size, 50_000, collateral), isolated("b", -size, 50_000, RICH)],
        [50_000, 50_000],
        margin=flat("0.1"),
        vault={"balance": RICH},
        # A market that offers next to nothing.
        execution={"discount": "0.9", "bound": bound},
    )
    row = only(result.liquidations)
    assert (row["route"], row["price"]) == ("vault", price)


def test_the_market_takes_what_it_can_within_the_bound():
    # At 1,875 the account has 375 of 937.5: bankrupt at 1,800, which is 4 % lower.
    bound = {"kind": "bankruptcy"}

    def closing_at(depth):
        execution = {"impact": {"kind": "linear", "depth": depth}, "bound": bound}
        rules = {"margin": flat("0.1"), "vault": {"balance": RICH}, "execution": execution}
        result = run([LONG, SHORT], [2000, 1875], **rules)
        return [(row["route"], float(row["size"]), float(row["price"])) for row in result.liquidations.rows(named=True)]

    # 5 * 1,875 of the depth is 4 %, on average 2 %.
    assert closing_at(234_375) == [("market", 5, 1837)]
    assert closing_at(117_187.5) == [("market", 2.5, 1837), ("vault", 2.5, 1800)]


def test_what_the_bound_leaves_is_tried_again():
    bound = {"kind": "bankruptcy", "remainder": "retry"}
    execution = {"impact": {"kind": "linear", "depth": 117_187.5}, "bound": bound}

    def after(*later):
        return run([LONG, SHORT], [2000, 1875, *later], margin=flat("0.1"), execution=execution)

    # As above, 2.5 fill at 1,837 on average; nobody takes the others.
    first = after()
    assert [(float(row["size"]), float(row["price"])) for row in first.liquidations.rows(named=True)] == [(2.5, 1837)]
    assert (status(first)["long"], size_at_end(first, "long")) == ("queued", 2.5)
    # At 1,990 it has 567.5 of 497.5: healthy again.
    assert (status(after(1990))["long"], len(after(1990).liquidations)) == ("open", 1)
    # At 1,600 it is bankrupt, and the bound is above the market: nothing fills any more, and the end finds 407.5 missing.
    last = after(1600, 1600)
    assert len(last.liquidations) == 1
    assert dollars(last)["open"] == 407.5


def test_what_the_bound_leaves_is_deleveraged():
    # As above, 2.5 fill at 1,837 on average, within a bound of 1,800. ADL is no layer, the account not bankrupt.
    bound = {"kind": "bankruptcy", "remainder": "adl"}
    execution = {"impact": {"kind": "linear", "depth": 117_187.5}, "bound": bound}
    rules = {"margin": flat("0.1"), "execution": execution, "adl": {}, "waterfall": ()}
    result = run([LONG, SHORT], [2000, 1875], **rules)
    fill, match = only(result.liquidations), only(result.adl)
    assert (float(fill["size"]), float(fill["price"])) == (2.5, 1837)
    # At its bankruptcy price: the counterparty gains 2.5 * 75.
    assert (match["account"], float(match["size"]), float(match["give_up_usd"])) == ("short", 2.5, -187.5)
    assert (size_at_end(result, "long"), size_at_end(result, "short")) == (0, -2.5)
    assert closing(result, "long") == 1000 - 2.5 * (163 + 200)
    # Nobody stands against it: what is left fills at the bound.
    alone = run([LONG], [2000, 1875], **rules, outside="hedges")
    rows = alone.liquidations.rows(named=True)
    assert [(float(row["size"]), float(row["price"])) for row in rows] == [(2.5, 1837), (2.5, 1800)]


def test_what_keepers_make_of_what_they_take_over():
    execution = {"counterparty": "keepers", "discount": 0.05}
    result = run([LONG, SHORT], [2000, 1810, 1500], margin=flat("0.1"), execution=execution)
    # 5 bought at 1,719; at the end they are worth 1,500.
    assert dollars(result)["takeover_pnl:keepers"] == 5 * (1500 - 1719)


# --- parts


def parts(policy, prices, **execution):
    more = {"margin": flat("0.1"), "close": {"policy": policy}, "execution": execution}
    rows = run([LONG, SHORT], prices, **more).liquidations
    return [(float(row["size"]), float(row["price"])) for row in rows.rows(named=True)]


def test_parts_find_the_market_where_the_parts_before_have_left_it():
    depth = {"kind": "linear", "depth": 187_500}
    # 2.5 * 1,875 is 2.5 %, on average half of it; half of the rest goes on from 2.5 % to 3.75 %.
    found = parts({"kind": "fraction", "share": "0.5"}, [2000, 1875, 1875], impact=depth)
    assert found == [(2.5, 1851), (1.25, 1816)]


def test_a_part_that_would_heal_may_not_if_it_displaces_the_mark():
    depth = {"kind": "linear", "depth": 1_000_000}
    assert len(parts({"kind": "target"}, [2000, 1875, 1875], impact=depth)) == 1
    assert len(parts({"kind": "target"}, [2000, 1875, 1875], impact={**depth, "feedback": True})) == 2


# --- configuration


@pytest.mark.parametrize(
    "execution",
    [
        uw.Execution(impact=uw.Impact(kind="square_root", depth="1e9", half_life="5m", feedback=True, permanent=0.2)),
        uw.Execution(kind="participation", rate=0.1, book_scale={ETH: "0.03"}),
        uw.Execution(discount=0.05, counterparty="keepers", bound=uw.Bound(kind="bankruptcy", remainder="outside")),
        uw.Execution(bound=uw.Bound(kind="fillable", remainder="retry")),
    ],
)
def test_configuration_makes_the_round_trip(execution):
    protocol = uw.Protocol(execution=execution)
    assert uw.Protocol.from_toml(protocol.to_toml()) == uw.Protocol.from_json(protocol.to_json()) == protocol


@pytest.mark.parametrize(
    ("field", "execution"),
    [
        ("execution.impact.depth", {"impact": {"kind": "linear", "depth": 0}}),
        ("rungs", {"impact": {"kind": "ladder", "depth": 1}}),
        ("rungs", {"impact": {"kind": "linear", "depth": 1, "rungs": [{"share": 1, "offset": -0.1}]}}),
        ("execution.impact.limit", {"impact": {"kind": "linear", "depth": 1, "limit": 2}}),
        ("at most one of", {"impact": {"kind": "linear", "depth": 1}, "discount": 0.1}),
        ("execution.rate", {"kind": "participation", "rate": 0}),
        ("execution.takeover: vault", {"takeover": {"below": "2/3"}}),
        ("execution.bound.remainder: vault", {"bound": {"kind": "fillable"}}),
    ],
)
def test_errors_name_the_field(field, execution):
    with pytest.raises(uw.ConfigError, match=field):
        uw.Protocol.from_dict({"execution": execution})
