"""Keepers, in small numbers, through the public API.

The textbook: a long of 5 ETH from 2,000 with a margin of 1,000 falls below 0.5 % maintenance at 1,809, and is bankrupt
at 1,800. Ticks come once a second.
"""

import polars as pl
import pytest
from cases import LONG, book, day, dollars, isolated, only, run, status
from hypothesis import given, settings
from hypothesis import strategies as st

import underwater as uw

SECOND = 10**9


def times(result, column="closed_ts"):
    """In seconds, by account."""
    rows = result.accounts.select("account", pl.col(column).dt.epoch("ns") / SECOND).rows()
    return {account: at for account, at in rows if at is not None}


def longs(count):
    return [isolated(f"long {n}", 5, 2000, 1000) for n in range(count)]


def flat_path(price, seconds, *first):
    """The first prices, then one price to the end."""
    return [*first, *[price] * (seconds + 1 - len(first))]


# --- polls


def test_what_happens_between_polls_is_unseen():
    wick = [2000, 1700, 1900, 1900]
    assert times(run([LONG], wick)) == {"long": 1}
    assert status(run([LONG], wick, keeper={"poll": "2s"})) == {"long": "open"}


def test_the_first_poll_after_the_trigger_sees_it():
    result = run([LONG], [2000, 1700, 1690, 1680, 1670], keeper={"poll": "3s", "latency": "1s"})
    assert times(result, "trigger_ts") == {"long": 3}
    fill = only(result.liquidations)
    assert (fill["price"], times(result)) == (1670, {"long": 4})


def test_an_account_that_an_event_brings_down_is_seen_at_the_next_poll():
    # 1,000 + 5 * (1,900 - 2,000) = 500 are there; 0.5 % of 9,500 must stay.
    taken = (1, "long", "ETH-PERP", "withdrawal", 450)
    falls = [2000, 1900, 1898, 1898, 1898]
    assert times(run([LONG], falls, events=[taken])) == {"long": 2}
    assert times(run([LONG], falls, events=[taken], keeper={"poll": "4s"})) == {"long": 4}


# --- capacity


def test_a_queue_saturates_and_recovers():
    result = run(longs(5), flat_path(1700, 40, 2000), keeper={"capacity": {"limit": 2, "window": "10s"}})
    assert times(result) == {"long 0": 1, "long 1": 1, "long 2": 10, "long 3": 10, "long 4": 20}
    assert result.timeline["queue"].to_list() == [3, 1, 0]
    assert result.summary()["queue_peak"] == 3
    assert result.summary()["time_to_close_ns"] == {"p50": 9e9, "p90": 19e9, "p99": 19e9, "max": 19e9}


def test_who_recovers_while_waiting_takes_no_slot():
    rich = isolated("rich", 5, 2000, 1300)  # falls below at 1,748
    path = flat_path(1800, 30, 2000, 1700)
    result = run([LONG, rich, *longs(1)], path, keeper={"capacity": {"limit": 1, "window": "10s"}})
    assert times(result) == {"long": 1, "long 0": 10}
    assert status(result)["rich"] == "open"
    assert result.summary()["recovered"] == 1


def test_an_outage_is_a_capacity_of_nothing():
    outage = {"start": "1s", "end": "7s", "capacity": {"limit": 0, "window": "1s"}}
    assert times(run([LONG], flat_path(1700, 9, 2000), keeper={"regimes": [outage]})) == {"long": 7}


# --- failures


def test_a_failed_attempt_is_repeated_until_it_works():
    keeper = {"regimes": [{"end": "5s", "failure": {"probability": 1, "retry": "2s"}}]}
    result = run([LONG], flat_path(1700, 9, 2000), keeper=keeper)
    assert times(result) == {"long": 5}  # in vain at 1 and 3
    assert result.summary()["failed_attempts"] == 2


def test_about_the_given_share_of_attempts_fails():
    keeper = {"failure": {"probability": 0.25, "retry": "1s"}, "seed": 3}
    result = run(longs(400), flat_path(1700, 40, 2000), keeper=keeper)
    closed = list(times(result).values())
    assert len(closed) == 400
    assert 270 < closed.count(1) < 330
    assert result.summary()["failed_attempts"] == sum(at - 1 for at in closed)


# --- latency


def test_latency_changes_for_a_while():
    regime = {"start": "2s", "end": "1970-01-01T00:00:04Z", "latency": "5s"}
    keeper = {"latency": "1s", "regimes": [regime]}
    path = flat_path(1700, 20, 2000, 2000)
    assert times(run([LONG], path, keeper=keeper)) == {"long": 7}
    assert times(run([LONG], [2000, *path], keeper=keeper)) == {"long": 8}
    assert times(run([LONG], [2000, 2000, *path], keeper=keeper)) == {"long": 5}


@pytest.mark.parametrize(
    "latency",
    [
        uw.UniformLatency(low="2s", high="6s"),
        uw.LognormalLatency(median="3s", sigma=0.5, maximum="6s"),
        uw.EmpiricalLatency(values=({"latency": "2s"}, {"latency": "6s", "weight": 2})),
    ],
)
def test_latencies_are_drawn_for_each_account(latency):
    keeper = uw.Keeper(latency=latency, seed=5)
    closed = times(run(longs(300), flat_path(1700, 9, 2000), keeper=keeper.model_dump()))
    waited = sorted(at - 1 for at in closed.values())
    assert len(waited) == 300
    assert waited[-1] <= 6
    assert 2.2 < sum(waited) / 300 < 5
    if isinstance(latency, uw.EmpiricalLatency):
        assert set(waited) == {2, 6}
        assert 75 < waited.count(2) < 125
    # Whoever else is there: the number of the account and of its attempt count.
    few = times(run(longs(10), flat_path(1700, 9, 2000), keeper=keeper.model_dump()))
    assert few == {account: closed[account] for account in few}


# --- profit

FEE = {"penalty": {"keeper_fee": 5}}
SOLVENT = 1805  # equity 25, requirement 45


def test_a_keeper_waits_until_gas_is_worth_its_fee():
    gas = {"base": 1, "series": [{"at": "2s", "factor": 6}, {"at": "4s", "factor": 8}, {"at": "6s", "factor": 2}]}
    path = flat_path(SOLVENT, 9, 2000, 2000, 2000)
    result = run([LONG], path, keeper={"gas": gas}, **FEE)
    assert times(result) == {"long": 6}
    assert result.summary()["unprofitable_attempts"] == 1
    assert times(run([LONG], path, keeper={"gas": gas, "minimum_profit": 3}, **FEE)) == {"long": 6}
    assert times(run([LONG], path, keeper={"gas": gas, "minimum_profit": "3.000001"}, **FEE)) == {}


def test_a_share_of_the_penalty_pays_too():
    # 1 % of 9,025 is more than what is left, 25, of which keepers get a half.
    penalty = {"penalty": {"rate": "0.01", "split": {"keepers": "0.5", "fees": "0.5"}}}
    path = flat_path(SOLVENT, 3, 2000)
    assert times(run([LONG], path, keeper={"minimum_profit": "12.5"}, **penalty)) == {"long": 1}
    assert times(run([LONG], path, keeper={"minimum_profit": "12.500001"}, **penalty)) == {}


def test_nobody_closes_an_insolvent_account_for_nothing():
    path = flat_path(1700, 9, 2000)
    left = run([LONG], path, keeper={"minimum_profit": 1}, **FEE)
    assert status(left) == {"long": "queued"}
    assert dollars(left) == {"open": 500, "gross": 500}
    paid = run([LONG], path, keeper={"minimum_profit": 1}, penalty={"keeper_fee": 5, "paid_if_insolvent": True})
    assert times(paid) == {"long": 1}


def test_a_parked_account_leaves_when_it_recovers():
    # Too dear at 1,700, where it is insolvent; healthy at 1,900; taken at 1,805.
    path = [2000, 1700, 1750, 1900, 1900, SOLVENT, SOLVENT]
    result = run([LONG], path, keeper={"minimum_profit": 1}, **FEE)
    assert times(result) == {"long": 5}
    assert (result.summary()["detections"], result.summary()["recovered"]) == (2, 1)
    # With polls only a recovery that lasts until one is seen.
    assert times(run([LONG], path, keeper={"minimum_profit": 1, "poll": "4s"}, **FEE)) == {}
    assert times(run([LONG], path, keeper={"minimum_profit": 1, "poll": "1s"}, **FEE)) == {"long": 5}


def test_a_deposit_brings_a_parked_account_back():
    path = flat_path(1700, 6, 2000)
    deposit = (3, "long", "ETH-PERP", "deposit", 800)
    result = run([LONG], path, events=[deposit], keeper={"minimum_profit": 1}, **FEE)
    assert status(result) == {"long": "open"}
    assert result.summary()["recovered"] == 1


# --- bad configurations


@pytest.mark.parametrize(
    ("keeper", "expected"),
    [
        ({"poll": 0}, "keeper.poll: "),
        ({"poll": "soon"}, "keeper.poll: expected a duration"),
        ({"latency": {"kind": "unifrom"}}, "keeper.latency: expected kind to be one of"),
        ({"latency": {"kind": "uniform", "low": "2s", "high": "1s"}}, "keeper.latency: expected high of at least low"),
        ({"latency": {"kind": "uniform"}}, "keeper.latency.high: missing"),
        ({"latency": {"kind": "lognormal", "median": "1s", "sigma": 16}}, "keeper.latency.sigma: expected a number"),
        ({"latency": {"kind": "empirical", "values": []}}, "keeper.latency.values: "),
        (
            {"latency": {"kind": "empirical", "values": [{"latency": 1, "weight": 0}]}},
            "keeper.latency.values: expected a weight that is not 0",
        ),
        ({"capacity": {"limit": 5}}, "keeper.capacity.window: missing"),
        ({"capacity": {"limit": 5, "window": 0}}, "keeper.capacity.window: "),
        ({"failure": {"probability": 2, "retry": "1s"}}, "keeper.failure.probability: expected a share"),
        ({"failure": {"probability": 1, "retry": 0}}, "keeper.failure.retry: "),
        ({"minimum_profit": -1}, "keeper.minimum_profit: expected dollars of at least 0"),
        ({"regimes": [{"start": "noon"}]}, "keeper.regimes.0.start: expected a time such as"),
        ({"regimes": [{"gas_factor": 2}]}, "keeper: regimes.0.gas_factor: there is no gas to multiply"),
        ({"regimes": [{"start": "5s", "end": "5s"}]}, "keeper.regimes.0.end: expected a time after the start"),
        (
            {"gas": {"base": 1, "series": [{"at": "5s", "factor": 1}, {"at": "5s", "factor": 2}]}},
            "keeper.gas.series.1.at: expected times that rise",
        ),
        ({"seed": -1}, "keeper.seed: "),
    ],
)
def test_keepers_that_cannot_be_used(keeper, expected):
    with pytest.raises(uw.ConfigError) as error:
        run([LONG], [2000, 1700], keeper=keeper)
    assert expected in str(error.value)


# --- what must hold

ROWS = [isolated(f"a{n}", n % 5 + 1, 2000, (n % 5 + 1) * (100 + 23 * n)) for n in range(12)]
BOOK = book(ROWS)


def lost(path, keeper):
    """What is lost, realised or open, when nobody is charged anything and nobody pays."""
    result = uw.replay(day({"ETH-PERP": path}), BOOK, uw.Protocol(keeper=uw.Keeper.from_dict(keeper)))
    return dollars(result).get("gross", 0)


falls = st.lists(st.integers(0, 120), min_size=5, max_size=25).map(
    lambda steps: [2000 - sum(steps[:n]) if sum(steps[:n]) < 1900 else 100 for n in range(len(steps))]
)
polls = st.sampled_from([None, SECOND, 2 * SECOND])
unhurried = st.fixed_dictionaries(
    {
        "poll": polls,
        "latency": st.sampled_from([0, 2 * SECOND, {"kind": "uniform", "low": 0, "high": 4 * SECOND}]),
        "failure": st.sampled_from([None, {"probability": "0.5", "retry": SECOND}]),
    }
)


@settings(max_examples=60, deadline=None)
@given(falls, unhurried, st.sampled_from(["poll", "latency", "failure"]), st.integers(2, 4))
def test_while_prices_fall_a_slower_keeper_never_loses_less(path, keeper, what, by):
    """Each long is worth less the later it is closed, and each of these changes closes none earlier."""
    if what == "latency":
        keeper |= {"latency": 0}
    slower = {
        "poll": (keeper["poll"] or SECOND // 1000) * by,
        "latency": SECOND * by,
        "failure": {"probability": "0.9", "retry": SECOND},
    }
    assert lost(path, keeper | {what: slower[what]}) >= lost(path, keeper)


@settings(max_examples=40, deadline=None)
@given(falls, polls, st.sampled_from([0, SECOND]), st.sampled_from([SECOND, 5 * SECOND]), st.integers(1, 4))
def test_while_prices_fall_fewer_slots_never_lose_less(path, poll, latency, window, limit):
    """First come, first served: with fewer slots nobody is served earlier."""
    keeper = {"poll": poll, "latency": latency}
    losses = [lost(path, keeper | {"capacity": {"limit": n, "window": window}}) for n in (limit - 1, limit)]
    assert losses[0] >= losses[1] >= lost(path, keeper)
