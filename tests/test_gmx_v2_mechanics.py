"""GMX v2: what its contracts' tests say of payouts, the pool factor and liquidations (vectors V2.n), through the public API."""

import polars as pl
import pytest
from cases import audit, book, closing, day, dollars, flat, isolated

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
    ("changes", "message"),
    [
        ({"counterparty": "outside"}, "payout: counterparty is outside; expected pool"),
        ({"execution.counterparty": "outside"}, "payout: execution.counterparty is outside; expected pool"),
        ({"payout.policy.factor": "-1"}, "payout.policy.factor: expected a rate of at least 0"),
        ({"payout.sides.long.share": "2"}, "payout.sides.long.share: expected a share from 0 to 1"),
        ({"payout.policy.kind": "none"}, "payout.policy: expected kind to be one of"),
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
