"""Feeds and the guard, in small numbers, through the public API."""

from datetime import timedelta

import polars as pl
import pytest
from cases import ETH, LONG, SHORT, book, cross, only, run, status

import underwater as uw

PATH = [(0, 100), (1, 90), (2, 100), (5, 120), (9, 80)]


def shown(feed, at, size=1, path=PATH, **feeds):
    """What a feed shows a position at a second: the price at which it is closed when another market crashes."""
    result = run(
        [cross("a", size, 100), cross("a", 1000, 100, market="PROBE")],
        {ETH: path, "PROBE": [(0, 100), (at, 50)]},
        cash=[("a", "USD", 10_000)],
        feeds={"shown": feed, **feeds},
        execution_feed="shown",
    )
    return float(result.liquidations.filter(pl.col("market") == ETH)["price"].item())


def path_of(feed, seconds, **more):
    return [shown(feed, at, **more) for at in seconds]


def triggers(result):
    return result.liquidations.filter(pl.col("account") == "long")["ts"].dt.epoch("s").to_list()


CHAINLINK = {"kind": "push", "deviation": "0.005", "heartbeat": "3600s"}
WICK = [(0, 2000), (1800, 2000), (1801, 1700), (1803, 2000), (3000, 2000), (5000, 2000)]


def test_an_oracle_never_sees_a_wick_that_is_over_within_its_latency():
    def day(latency, observed="when_visible"):
        oracle = CHAINLINK | {"latency": latency, "observed": observed}
        feeds = {"feeds": {"oracle": oracle}, "trigger_feed": "oracle", "execution_feed": "oracle"}
        return run([LONG, SHORT], WICK, **feeds)

    # The wick lasts from 1801 to 1803.
    assert triggers(day("1s")) == [1802]
    assert triggers(day("2s")) == triggers(day("5s")) == []
    assert status(day("5s")) == {"long": "open", "short": "open"}
    # An oracle that carries the price at which a write was decided upon shows the wick, late, for as long as it lasted.
    late = day("5s", "at_write")
    assert triggers(late) == [1806]
    assert only(late.liquidations)["price"] == 1700


def test_an_oracle_writes_nothing_in_an_outage():
    oracle = CHAINLINK | {"outages": [{"start": "1s", "end": "5s"}]}
    assert path_of(oracle, [1, 2, 4, 5, 9]) == [100, 100, 100, 120, 80]
    assert path_of(CHAINLINK, [1, 2, 5]) == [90, 100, 120]


def test_the_latency_of_an_oracle_is_drawn_for_each_write_and_none_overtakes_another():
    steps = {"kind": "empirical", "values": [{"latency": "0s", "weight": 1}, {"latency": "4s", "weight": 1}]}
    oracle = {"kind": "push", "deviation": 0, "heartbeat": "1h", "latency": steps}
    path = [(t, 100 + t) for t in range(12)]

    def seen(seed):
        return [int(p) for p in path_of(oracle | {"seed": seed}, range(1, 12), path=path)]

    runs = [seen(seed) for seed in range(6)]
    assert seen(0) == runs[0]
    assert len({tuple(run) for run in runs}) > 1
    for run_of_prices in runs:
        assert run_of_prices == sorted(run_of_prices)
        # From 4 s on a write is seen at once, or at most 4 s late, or with a later one before it.
        assert all(96 + t <= p <= 100 + t for t, p in enumerate(run_of_prices, 1) if t > 4)


def test_a_periodic_feed_shows_its_source_at_the_points_of_its_cadence():
    feed = {"kind": "periodic", "every": "4s", "offset": "1s"}
    assert path_of(feed, [0, 1, 4, 5, 8, 9]) == [100, 90, 90, 120, 120, 80]


def test_a_twap_weighs_prices_by_time():
    feed = {"kind": "twap", "window": "4s", "every": "1s"}
    # at 2: 100 and 90; at 4: 100, 90, 100, 100; at 7: 100, 100, 120, 120; at 10: 120, 120, 120, 80
    assert path_of(feed, [0, 1, 2, 4, 7, 10]) == [100, 100, 95, 97, 110, 110]


def test_an_average_weighs_updates_by_the_time_since_the_one_before():
    feed = {"kind": "ema", "time_constant": "3s", "every": "1s"}
    # After the second update the first has no weight; e^(-1/3) = 0.7165; (90 * 0.7165 + 100) / 1.7165 = 95.8
    assert path_of(feed, [0, 1, 2, 3]) == [100, 90, 95, 95]
    # weights e^-1 of 1.7165 and 3: (95.83 * 0.6315 + 120 * 3) / 3.6315 = 115.8
    assert shown(feed, 5) == 115


def test_the_median_of_three_and_of_two():
    feeds = {
        "slow": {"kind": "periodic", "every": "5s"},
        "before": {"kind": "lagged"},
        "two": {"kind": "median", "sources": ["last", "slow"]},
    }
    three = {"kind": "median", "sources": ["last", "slow", "before"]}
    # last 90, slow 100, before 100; then 100, 100, 90; then 120, 120, 100; then 80, 120, 120
    assert path_of(three, [1, 2, 5, 9], **feeds) == [100, 100, 120, 120]
    assert path_of(feeds["two"], [1, 2, 5, 9], **feeds) == [95, 100, 120, 100]


def test_a_lagged_feed_shows_the_state_before():
    assert path_of({"kind": "lagged"}, [0, 1, 2, 5, 9]) == [100, 100, 90, 100, 120]


def test_the_worst_of_two_by_side():
    slow = {"kind": "periodic", "every": "5s"}
    feed = {"kind": "worst_of", "sources": ["last", "slow"]}
    assert path_of(feed, [1, 5, 9], slow=slow) == [90, 120, 80]
    assert path_of(feed, [1, 5, 9], slow=slow, size=-1) == [100, 120, 120]


def test_a_spread_opens_while_two_sources_disagree():
    feed = {"kind": "spread", "source": "slow", "reference": "last", "limit": "0.2"}
    slow = {"kind": "periodic", "every": "5s"}
    # 100 and 90 are 11 % apart: everyone sees the source; 120 and 80 are 50 % apart
    assert path_of(feed, [1, 9], slow=slow) == [100, 80]
    assert path_of(feed, [1, 9], slow=slow, size=-1) == [100, 120]


def test_longs_and_shorts_are_tested_at_the_price_of_their_side():
    feeds = {"slow": {"kind": "periodic", "every": "10s"}, "worst": {"kind": "worst_of", "sources": ["last", "slow"]}}
    more = {"feeds": feeds, "trigger_feed": "worst", "execution_feed": "worst", "collateral_feed": "last"}
    path = [(0, 2000), (3, 1700), (5, 2000), (13, 2300), (15, 2000)]
    result = run([LONG, SHORT], path, **more)
    fills = result.liquidations.select(pl.col("ts").dt.epoch("s"), "account", "price").rows()
    assert fills == [(3, "long", 1700), (13, "short", 2300)]
    # A hedge is worth what both of its sides are worth: at 3 the long 1,700 and the short 2,000.
    hedge = [cross("h", 5, 2000, position="a"), cross("h", -5, 2000, position="b")]
    assert status(run(hedge, path, cash=[("h", "USD", 1400)], **more)) == {"h": "defaulted"}
    assert status(run(hedge, path, cash=[("h", "USD", 1700)], **more)) == {"h": "open"}


TWAP = {"kind": "twap", "window": "10s", "every": "1s"}
DIVERGENCE = {"divergence": {"feed": "last", "reference": "twap", "limit": "0.1"}}


def test_a_guard_spares_those_who_would_be_liquidated_in_a_wick():
    path = [(0, 2000), (10, 1700), (12, 2000), (30, 2000)]
    assert triggers(run([LONG, SHORT], path)) == [10]
    assert triggers(run([LONG, SHORT], path, feeds={"twap": TWAP}, guard=DIVERGENCE)) == []


def test_an_account_is_tested_when_the_guard_lifts():
    path = [(0, 2000), (10, 1700), (30, 1600)]
    result = run([LONG, SHORT], path, feeds={"twap": TWAP}, guard=DIVERGENCE)
    # k seconds after the crash the average is 2,000 - 30 k; 1,700 is within a tenth of it from k = 4 on.
    assert triggers(result) == [14]
    assert only(result.liquidations)["price"] == 1700


def test_a_poll_does_not_see_who_is_blocked():
    path = [(0, 2000), (10, 1700), (30, 1600)]
    guarded = {"feeds": {"twap": TWAP}, "guard": DIVERGENCE}
    assert triggers(run([LONG, SHORT], path, keeper={"poll": "4s"})) == [12]
    assert triggers(run([LONG, SHORT], path, keeper={"poll": "4s"}, **guarded)) == [16]
    # The guard lifts at 14.
    assert triggers(run([LONG, SHORT], path, keeper={"poll": "7s"}, **guarded)) == [14]
    wick = [(0, 2000), (10, 1700), (13, 2000), (30, 2000)]
    assert triggers(run([LONG, SHORT], wick, keeper={"poll": "1s"}, **guarded)) == []


def test_the_guard_of_one_market_blocks_an_account_with_positions_in_several():
    legs = [cross("long", 5, 2000), cross("long", 1, 100, market="BTC-PERP")]
    prices = {ETH: [(0, 2000), (10, 1700)], "BTC-PERP": [(0, 100), (9, 50), (14, 51), (40, 51)]}
    more = {"cash": [("long", "USD", 1000)], "feeds": {"twap": TWAP}, "guard": DIVERGENCE}
    # BTC-PERP is blocked until its own average is below 51 / 0.9 = 56.7: at 17 it is 57, at 18 it is 52.
    assert set(triggers(run(legs, prices, **more))) == {18}
    assert triggers(run(legs[:1], prices, **more)) == [14]


def test_an_action_waits_while_the_trigger_feed_is_stale():
    path = [(0, 2000), (1, 1700), (20, 1690), (30, 1600)]
    more = {"keeper": {"latency": "8s"}}
    assert triggers(run([LONG, SHORT], path, **more)) == [9]
    late = run([LONG, SHORT], path, guard={"staleness": "7s"}, **more)
    assert triggers(late) == [20]
    assert only(late.liquidations)["price"] == 1690
    assert triggers(run([LONG, SHORT], path, guard={"staleness": "8s"}, **more)) == [9]
    # If the market prints no more, it waits for ever.
    silent = {ETH: path[:2], "BTC-PERP": [(0, 1), (60, 1)]}
    assert triggers(run([LONG, SHORT], silent, **more)) == [9]
    assert status(run([LONG, SHORT], silent, guard={"staleness": "7s"}, **more))["long"] == "queued"


def test_deleveraging_at_the_mark_before():
    feeds = {"before": {"kind": "lagged"}}
    path = [(0, 2000), (1, 1900), (2, 1700)]
    result = run([LONG, SHORT], path, adl={"price": "mark"}, feeds=feeds, adl_feed="before")
    row = only(result.adl)
    assert (row["ts"].timestamp(), row["mark_price"], row["price"]) == (2, 1900, 1900)


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_chunks_make_no_difference(chunk, tmp_path):
    """A chain of every kind, over chunks that cut windows, latencies and blocked stretches."""
    start = pl.datetime(2024, 1, 1, time_zone="UTC")
    prices = [2000, 2010, 1700, 1650, 1990, 2000, 1500, 1400, 1800, 2000, 900, 1000]
    frame = pl.DataFrame({"second": [7 * k for k in range(len(prices))], "price": [float(p) for p in prices]})
    frame.select(ts=start + pl.col("second") * timedelta(seconds=1), market=pl.lit(ETH), price="price").write_parquet(
        tmp_path / "day.parquet"
    )
    protocol = uw.Protocol(
        feeds={
            "oracle": uw.PushFeed(deviation="0.05", heartbeat="1h", latency="9s", observed="when_visible"),
            "smooth": uw.EmaFeed(time_constant="20s", every="3s"),
            "twap": uw.TwapFeed(window="25s", every="4s"),
            "mark": uw.MedianFeed(sources=["oracle", "smooth", "twap"]),
            "before": uw.LaggedFeed(source="mark"),
            "block": uw.PeriodicFeed(source="mark", every="2s"),
            "sides": uw.SpreadFeed(source="block", reference="last", limit="0.05"),
        },
        trigger_feed="sides",
        execution_feed="sides",
        collateral_feed="mark",
        adl_feed="before",
        guard=uw.Guard(divergence=uw.Divergence(feed="last", reference="smooth", limit="0.2"), staleness="1s"),
        keeper=uw.Keeper(latency="5s"),
    )
    accounts = book([LONG, SHORT])
    whole = uw.replay(uw.Ticks.scan(tmp_path / "day.parquet"), accounts, protocol)
    chunked = uw.replay(uw.Ticks.scan(tmp_path / "day.parquet"), accounts, protocol, chunk_ticks=chunk)
    assert len(whole.liquidations) > 0
    assert whole.state_hash == chunked.state_hash
