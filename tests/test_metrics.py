"""Metrics against worked examples, and what holds of them for all inputs."""

import math
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest
from cases import ETH, LONG, SHORT, cross, fund, isolated, run, textbook
from hypothesis import given
from hypothesis import strategies as st

import underwater as uw
from underwater import metrics as m

# --- a winner's profit w, what is seized x, of two losers (example T1)

EQUITY, PNL = [10, 5, 1, -3, -12], [8, 4, 0.5, -3, -12]
PROFITS, SHORTFALLS, DEFICIT = [8, 4, 0.5], [3, 12], 15
QUEUE, PRO_RATA, LARGEST_FIRST = [3.5, 4, 0], [4.8, 2.4, 0.3], [7.5, 0, 0]


@pytest.mark.parametrize(
    ("seized", "survivor", "ptsr", "pmr"),
    [(QUEUE, 4.5, 0.6, 0.75), (PRO_RATA, 3.2, 0.426667, 0.533333), (LARGEST_FIRST, 4, 0.533333, 0.666667)],
    ids=["queue", "pro-rata", "largest first"],
)
def test_survivors_of_three_policies(seized, survivor, ptsr, pmr):
    assert m.largest_survivor(PROFITS, seized) == pytest.approx(survivor)
    assert m.ptsr(PROFITS, seized, DEFICIT) == pytest.approx(ptsr, abs=1e-6)
    assert m.pmr(PROFITS, seized, SHORTFALLS) == pytest.approx(pmr, abs=1e-6)


def test_the_published_code_divides_by_what_was_not_seized():
    # 12.5 of 15 seized: 3 of the largest profit are left over 12.5, or over 2.5
    seized = [5, 4, 0.5]
    assert m.ptsr(PROFITS, seized, DEFICIT) == pytest.approx(3 / 9.5)
    assert m.ptsr(PROFITS, seized, DEFICIT, definition="published_code") == pytest.approx(3 / 5.5)
    assert m.pmr(PROFITS, seized, SHORTFALLS, definition="published_code") == pytest.approx(3 / (12 * 5.5 / 15))
    assert m.ptsr([8], [8], 8, definition="published_code") == 0
    assert m.ptsr([8], [0], 8) == math.inf


def test_what_the_largest_winner_keeps_under_another_rule():
    # its survivor under largest-first against pro rata: H (1 - w1 / U)
    gap = (PROFITS[0] - PRO_RATA[0]) - (PROFITS[0] - LARGEST_FIRST[0])
    assert gap == pytest.approx(7.5 * (1 - 8 / 12.5)) == pytest.approx(2.7)


def test_solvent_but_infeasible():
    half, whole = m.feasibility(EQUITY, PNL, 0.5), m.feasibility(EQUITY, PNL)
    assert (half.deficit, half.wealth, half.capacity, half.needed, half.residual) == (15, 16, 12.5, 7.5, 7.5)
    assert half.feasible
    assert not half.solvent_but_infeasible
    assert whole.solvent_but_infeasible
    assert (whole.solvency, whole.uncovered) == (1, 2.5)


def test_regrets():
    assert m.overshoot(QUEUE, 7) == 0.5
    assert m.overshoot_regret([(7.5, 7), (3, 4)]) == 1.5
    assert m.fairness_regret([(0.5, 0.2, 10), (0.1, 0.1, 99)]) == pytest.approx(3)


# --- a book through two steps of funding (example T2): (size, collateral), entry 1

BOOK = {"A": (1, 2), "B": (1, 2 / 3), "C": (-4, 8 / 3), "D": (1, 2 / 19), "E": (-1, 10 / 99)}


def state_of_the_book():
    """Equity and notional by account after two payments of funding."""
    mark, gammas = 1.3, [0.6 - 1.4 / 1.5, 0.6 - 1.3 / 1.25]
    paid = 1.4 * gammas[0] + 1.3 * gammas[1]
    equity = {name: c + q * (mark - 1) + q * paid for name, (q, c) in BOOK.items()}
    return equity, {name: abs(q) * mark for name, (q, _) in BOOK.items()}


def test_book_after_two_steps():
    equity, notional = state_of_the_book()
    assert equity == pytest.approx({"A": 1.2613, "B": -0.0720, "C": 5.6213, "D": -0.6334, "E": 0.8397}, abs=1e-4)
    leverage = {name: m.leverage(notional[name], equity[name]) for name in equity}
    assert leverage == pytest.approx({"A": 1.0307, "B": 18.056, "C": 0.9250, "D": 2.052, "E": 1.5482}, abs=2e-3)
    state = m.feasibility(equity.values(), equity.values())
    assert state.deficit == pytest.approx(0.705404, abs=1e-5)
    assert state.wealth == pytest.approx(7.722343, abs=1e-5)
    assert state.needed / state.wealth == pytest.approx(0.091346, abs=1e-6)
    assert state.solvency == pytest.approx(7.016940, abs=1e-5)
    prices = [m.liquidation_price(q, 1, c, 0.1) for q, c in BOOK.values()]
    assert prices == pytest.approx([0, 0.370370, 1.515152, 0.994152, 1.000918], abs=1e-6)


def test_risk_aware_shares():
    equity, notional = state_of_the_book()
    weights = [equity[name] for name in "ACE"]
    leverages = [m.leverage(notional[name], equity[name]) for name in "ACE"]
    assert m.shares(weights) == pytest.approx([0.1633, 0.7279, 0.1087], abs=1e-4)
    assert m.risk_aware_shares(weights, leverages) == pytest.approx([0.1641, 0.5893, 0.2466], abs=1e-4)
    tail = m.risk_aware_shares(weights, leverages, g=lambda x: max(0.0, x - 1.5))
    assert tail == pytest.approx([0, 0, 1])


# --- a walk of the book, impact, markouts (example T3)


def test_walk_and_impact():
    asks = [(1.0, 1), (1.1, 3), (1.2, 10)]
    assert m.vwap(asks, 5) == pytest.approx(1.1)
    with pytest.raises(ValueError, match="levels: expected a size of 15 in all, got 14"):
        m.vwap(asks, 15)
    assert m.linear_impact(1.30, -0.5, 1) == pytest.approx(1.05)
    assert m.linear_impact(1.05, 0.4, 1) == pytest.approx(1.25)


def test_markouts():
    assert m.markout(-10, 5, 5.2, 6) == pytest.approx((-2, -8, -10))
    assert m.markout(10, 6, 6, 5)[2] == -10


# --- concentration


def test_concentration_by_hand():
    # 1, 2, 3 of 6: mean absolute difference 8/9 over twice the mean 2
    assert m.gini([3, 1, 2]) == pytest.approx(2 / 9)
    assert m.hhi([3, 1, 2]) == pytest.approx(14 / 36)
    assert m.top_share([3, 1, 2], 2) == pytest.approx(5 / 6)
    assert m.lorenz([3, 1, 2]).rows() == [
        (0, 0),
        (pytest.approx(1 / 3), pytest.approx(1 / 6)),
        (pytest.approx(2 / 3), pytest.approx(1 / 2)),
        (1, 1),
    ]
    assert (m.gini([]), m.hhi([0]), m.top_share([])) == (None, None, None)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        m.gini([1, -1])


AMOUNTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=30).filter(any)


@given(AMOUNTS, st.integers(1, 1000))
def test_concentration_knows_no_unit_and_no_order(values, scale):
    n = len(values)
    gini = m.gini(values)
    assert -1e-12 <= gini <= (n - 1) / n + 1e-12
    assert 1 / n - 1e-12 <= m.hhi(values) <= 1 + 1e-12
    assert m.gini([scale * v for v in reversed(values)]) == pytest.approx(gini, abs=1e-9)
    assert m.gini(values * 2) == pytest.approx(gini, abs=1e-9)
    curve = m.lorenz(values)
    area = sum((a + b) / 2 for a, b in zip(curve["share"], curve["share"][1:], strict=False)) / n
    assert gini == pytest.approx(1 - 2 * area, abs=1e-9)
    assert m.top_share(values, n) == pytest.approx(1)


@given(AMOUNTS, st.floats(0.01, 0.99))
def test_pro_rata_leaves_everyone_the_same_part(profits, share):
    seized = [share * w for w in profits]
    assert m.overshoot(seized, share * sum(profits)) == pytest.approx(0, abs=1e-9 * sum(profits))
    assert m.largest_survivor(profits, seized) == pytest.approx((1 - share) * max(profits))
    ptsr = m.ptsr(profits, seized, sum(profits))
    assert ptsr == pytest.approx((1 - share) / share * m.top_share(profits))
    assert m.gini([w - x for w, x in zip(profits, seized, strict=True)]) == pytest.approx(m.gini(profits), abs=1e-9)


@given(st.floats(-5, 5), st.floats(1, 9), st.floats(1, 9), st.floats(1, 9))
def test_markouts_add_up(size, price, mark, later):
    immediate, opportunity, total = m.markout(size, price, mark, later)
    assert immediate + opportunity == pytest.approx(total, abs=1e-9)


# --- accounts below zero are counted once

TEN = isolated("long", 10, 2000, 2000)


@pytest.fixture
def piecemeal():
    """A long of 10 from 2,000 with 2,000, at 1,700: below zero by 1,000, closed in four actions."""
    close = {"policy": {"kind": "fraction", "share": "0.5"}, "pause": "1s", "when_insolvent": "policy"}
    whole = {"name": ETH, "size_decimals": 0}
    return run([TEN], [2000, *[1700] * 9], markets=[whole], close=close, insurance_fund=fund(5000))


def test_an_account_below_zero_in_many_waves_is_counted_once(piecemeal):
    assert piecemeal.liquidations["equity_usd"].to_list() == [-1000] * 4
    seen = m.waves(piecemeal).row(0, named=True)
    assert seen["waves"] == 4
    assert (seen["summed_usd"], seen["worst_usd"], seen["terminal_usd"]) == (4000, 1000, 1000)
    losses = m.bad_debt_by_account(piecemeal).row(0, named=True)
    assert (losses["account"], losses["bad_debt_usd"], losses["open_usd"]) == ("long", 1000, 0)
    assert m.coverage(piecemeal).deficit_usd == 1000


def test_deficits_of_observations():
    rows = [(1, "vault", -100), (2, "vault", -150), (2, "ann", -7), (3, "vault", -120), (4, "bob", 5), (5, "ann", 3)]
    seen = pl.DataFrame(rows, schema=["ts", "account", "equity_usd"], orient="row")
    found = {name: rest for name, *rest in m.deficits(seen).rows()}
    assert found == {"vault": [120, 150, 370, 3], "ann": [0, 7, 7, 1]}


# --- the textbook case


@pytest.fixture
def textbook_result():
    """5 ETH from 2,000 with 1,000, at 1,700 a loss of 500: the fund pays 300, ADL gives up 200."""
    return textbook(insurance_fund=fund(300), adl={})


def test_payers_and_coverage(textbook_result):
    rows = {row["layer"]: row for row in m.payers(textbook_result).rows(named=True)}
    assert {layer: row["amount_usd"] for layer, row in rows.items()} == {
        "insurance_fund": 300,
        "adl": 200,
        "uncovered": 0,
    }
    found = m.coverage(textbook_result)
    assert (found.deficit_usd, found.fund_usd, found.residual_usd) == (500, 300, 200)
    assert (found.coverage, found.paid_share, found.severity) == (0.6, 0.6, 0.4)
    bearers = m.bearers(textbook_result).select("layer", "bearer", "kind", "amount_usd", "share").rows()
    assert bearers == [
        ("insurance_fund", "insurance_fund", "fund", 300, 0.6),
        ("adl", "short", "deleveraged", 200, 0.4),
    ]


def test_solvency_and_identities(textbook_result):
    opening, closing = m.solvency(textbook_result).rows(named=True)
    assert (opening["wealth_usd"], opening["deficit_usd"], opening["layers_usd"]) == (2000, 0, 300)
    # the short: 1,000 and 1,500 of profit, less the 200
    assert (closing["solvency_usd"], closing["layers_usd"]) == (2300, 0)
    assert m.identities(textbook_result)["holds"].all()
    state = m.session_feasibility(textbook_result)
    assert (state.needed, state.capacity, state.feasible) == (200, 1500, True)


def test_gap_at_trigger_and_at_close():
    # the keeper is a second late: 100 at the detection, -150 when it closes
    late = textbook([LONG], (2000, 1820, 1770), keeper={"latency": "1s"}, margin=flat_margin("0.1"))
    gap = m.gaps(late).row(0, named=True)
    assert (gap["trigger_gap"], gap["close_gap"]) == (pytest.approx(100 / 9100), pytest.approx(-150 / 9100))
    at_close = dict(m.equity_gap(late, "close").rows())
    assert at_close["p_below_zero"] == 1
    assert at_close["loss_given_breach"] == pytest.approx(150 / 9100)
    assert dict(m.equity_gap(late).rows())["loss_given_breach"] is None

    fill = m.slippage(late).row(0, named=True)
    assert fill["slippage"] == pytest.approx(50 / 1820)
    assert fill["beyond_usd"] == pytest.approx(150)
    times = m.time_to_liquidation(late)
    assert (times["at_once_share"], times["one_action_share"]) == (0, 1)
    assert times["to_flat"]["p50"] == timedelta(seconds=1)
    assert times["first_liquidation_to_first_adl"] is None


def test_what_adl_met_whole_is_seen_too():
    """Nothing is sold where no fund could pay; the keeper is a second late."""
    result = textbook(path=(2000, 1820, 1770), keeper={"latency": "1s"}, margin=flat_margin("0.1"), adl={})
    assert result.liquidations.is_empty()
    gap = m.gaps(result).row(0, named=True)
    assert (gap["account"], gap["trigger_gap"], gap["close_gap"]) == (
        "long",
        pytest.approx(1 / 91),
        pytest.approx(-15 / 910),
    )
    assert m.liquidation_times(result)["to_flat"].to_list() == [timedelta(seconds=1)]
    assert m.waves(result)["worst_usd"].to_list() == [150]


def flat_margin(rate):
    return {"maintenance": {"kind": "flat", "rate": rate}}


def test_slippage_of_inverse_contracts():
    market = {"name": "XBTUSD", "kind": "inverse", "settlement": "XBT", "index": None}
    asset = {"name": "XBT", "decimals": 8, "price_market": "XBTUSD"}
    long = isolated("long", 10_000, 10_000, 0.1, market="XBTUSD")
    late = run(
        [long],
        {"XBTUSD": [10_000, 9_250, 8_800]},
        markets=[market],
        assets=[asset],
        keeper={"latency": "1s"},
        margin=flat_margin("0.03"),
    )
    # 1 coin at 10,000: 1 / 8,800 - 1 / 9,250 of a dollar more than at the detection
    fill = m.slippage(late).row(0, named=True)
    assert fill["slippage"] == pytest.approx(9250 / 8800 - 1)
    # bankrupt where 10,000 / x = 1.1: the gap is equity over notional, both in coins
    assert fill["gap"] == pytest.approx((1.1 - 10_000 / 9250) / (10_000 / 9250), rel=1e-6)
    coins = 10_000 / 8800 - 1.1
    assert fill["beyond_usd"] == pytest.approx(coins * 8800, rel=1e-3)


def test_time_counts_every_action_of_a_liquidation(piecemeal):
    row = m.liquidation_times(piecemeal).row(0, named=True)
    assert (row["actions"], row["fills"], row["at_once"]) == (4, 4, False)
    assert (row["to_first_fill"], row["to_flat"]) == (timedelta(0), timedelta(seconds=3))


def test_path_of_the_fund():
    """Two losers, a penalty between them: the fund falls from 300 to 100, and to 0."""
    late = {"positions": [LONG, isolated("late", 5, 2000, 1400)], "path": (2000, 1760, 1760, 1600)}
    result = run(**late, insurance_fund=fund(300), margin=flat_margin("0.01"))
    assert m.path(result)["level_usd"].to_list() == [300, 100, 0, 0]
    fall = m.max_drawdown(m.path(result))
    assert (fall.drawdown, fall.relative, fall.recovered_ts) == (300, 1, None)
    assert fall.duration == timedelta(seconds=3)
    assert m.time_to_depletion(m.path(result)) == timedelta(seconds=3)
    lines = dict(m.layer_result(result, "insurance_fund").rows())
    assert (lines["absorption"], lines["trading"], lines["closing"]) == (-300, 0, 0)
    assert result.summary()["metrics"]["fund_depleted_ns"] == 3 * 10**9


def test_drawdown_that_ends():
    path = pl.DataFrame({"ts": pl.from_epoch([0, 1, 2, 3, 4, 5], "s"), "level_usd": [10, 12, 6, 9, 12, 11]})
    fall = m.max_drawdown(path)
    assert (fall.drawdown, fall.relative) == (6, 0.5)
    assert fall.duration == timedelta(seconds=3)
    assert m.max_drawdown(path[:2]).peak_ts is None
    assert m.time_to_depletion(path, below=6) == timedelta(seconds=2)
    assert m.time_to_depletion(path) is None


def test_penalties_replenish_the_fund():
    penalty = {"rate": "0.01", "split": {"insurance_fund": 1}}
    result = textbook([LONG], (2000, 1850), margin=flat_margin("0.05"), insurance_fund=fund(0), penalty=penalty)
    row = m.replenishment(result).row(0, named=True)
    assert (row["kind"], row["amount_usd"]) == ("penalty", Decimal("92.5"))


def test_trading_of_the_pool_stands_apart_from_what_it_absorbs():
    """The pool is the counterparty: it wins 1,500 from the long, of which 500 are not there."""
    result = textbook(
        [LONG],
        pool={"balance": 10_000},
        counterparty="pool",
        execution={"kind": "feed", "counterparty": "pool"},
        waterfall=["pool"],
    )
    lines = dict(m.layer_result(result).rows())
    assert (lines["opening"], lines["absorption"], lines["trading"]) == (10_000, -500, 1500)
    assert lines["closing"] == 11_000
    assert m.loss_to_equity(result) == 0.05


# --- auto-deleveraging


def test_adl_in_figures(textbook_result):
    found = m.adl(textbook_result)
    assert (found["fills"], found["accounts"], found["notional_usd"]) == (1, 1, 3400)
    assert (found["taken_usd"], found["needed_usd"], found["overshoot_usd"]) == (200, 200, 0)
    assert (found["forgone_profit_usd"], found["principal_usd"]) == (200, 0)
    assert (found["gini"], found["hhi"], found["top_1_share"]) == (0, 1, 1)


def test_haircuts_where_the_frame_tells_profit_and_equity(textbook_result):
    """2 ETH are matched at 1,800 instead of 1,700, of a short with 1,500 of profit and 2,500 of equity."""
    profit = {"pnl_usd": pl.lit(1500).cast(pl.Decimal(38, 6)), "equity_usd": pl.lit(2500).cast(pl.Decimal(38, 6))}
    frames = {"adl": textbook_result.adl.with_columns(**profit), "bad_debt": textbook_result.bad_debt}
    found = m.adl(frames)
    assert found["max_haircut"] == pytest.approx(200 / 1500)
    assert found["max_haircut_per_equity"] == pytest.approx(200 / 1500 / 2500)
    assert found["ptsr"] == pytest.approx(1300 / 200)
    assert found["pmr"] == pytest.approx(1300 / (0.4 * 500))


def test_markouts_against_the_ticks(ticks, book):
    """The short of 5 buys 5 back at 1,800 when the mark is 1,700, and the last price is 1,600."""
    frame = pl.DataFrame(
        {"ts": pl.from_epoch([0, 1, 31, 90]), "market": ETH, "price": [2000.0, 1700.0, 1600.0, 2500.0]}
    )
    later = uw.Ticks(frame)
    result = uw.replay(later, book, uw.Protocol(adl=uw.Adl()))
    row = m.markouts(result, later, "1m").row(0, named=True)
    assert (row["size"], row["price"], row["mark"], row["later"]) == (5, 1800, 1700, 1600)
    assert (row["immediate"], row["opportunity"], row["total"]) == (-500, -500, -1000)


def test_splitting_an_account(ticks):
    positions = {
        "account": ["ann", "bob", "cid"],
        "market": ETH,
        "size": [5.0, -3.0, -2.0],
        "entry_price": [2000, 2100, 2000],
        "collateral": [1000, 1000, 1000],
    }
    book = uw.Book.from_frames(pl.DataFrame(positions))
    parts = m.split_account(book, "bob", 2).positions
    assert parts.filter(pl.col("account").str.starts_with("bob")).select("account", "size", "owner").rows() == [
        ("bob/1", -1.0, "bob"),
        ("bob/2", -2.0, "bob"),
    ]
    assert parts["size"].sum() == 0
    found = m.sybil(ticks, book, uw.Protocol(adl=uw.Adl()), "bob")
    assert {row[0]: row[1] for row in found.rows()}["adl_give_up_usd"] == 500
    assert found.filter(figure="adl_give_up_usd")["difference"].item() == 0
    with pytest.raises(uw.BookError, match="account: expected one of the book, got 'zoe'"):
        m.split_account(book, "zoe")


# --- many scenarios


def test_tail_of_a_loss():
    assert m.value_at_risk([5, 1, 4, 2, 3], 0.8) == 4
    assert m.value_at_risk([5, 1, 4, 2, 3], 0.81) == 5
    assert m.expected_shortfall([5, 1, 4, 2, 3], 0.6) == pytest.approx(4.5)
    # half of the fourth, and the fifth
    assert m.expected_shortfall([5, 1, 4, 2, 3], 0.7) == pytest.approx((5 + 0.5 * 4) / 1.5)
    with pytest.raises(ValueError, match="level: expected a number between 0 and 1, got 1"):
        m.value_at_risk([1], 1)
    assert m.newsvendor_fund([5, 1, 4, 2, 3], cost=0.2, penalty=1) == 4
    assert m.newsvendor_fund([5], cost=1, penalty=1) == 0


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_es_is_no_less_than_var(losses, level):
    var, es = m.value_at_risk(losses, level), m.expected_shortfall(losses, level)
    assert min(losses) <= var <= es <= max(losses) * (1 + 1e-9)
    assert sum(x <= var for x in losses) >= level * len(losses) - 1e-6


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_the_newsvendor_fund_is_cheapest(losses, cost):
    def price(fund):
        return cost * fund + sum(max(0, x - fund) for x in losses) / len(losses)

    best = m.newsvendor_fund(losses, cost=cost, penalty=1)
    assert all(price(best) <= price(other) + 1e-6 for other in range(101))


def test_intervals_are_seeded():
    scenarios = pl.DataFrame({"bad_debt_usd": [Decimal(x) for x in range(1, 51)], "fund": [1.0] * 50})
    first = m.tail(scenarios, ["bad_debt_usd", "fund"], [0.9], samples=200)
    assert first.equals(m.tail(scenarios, ["bad_debt_usd", "fund"], [0.9], samples=200))
    row = first.row(0, named=True)
    assert (row["var"], row["es"], row["mean"]) == (45, 48, 25.5)
    assert row["var_low"] < 45 < row["var_high"]
    assert row["es_low"] < 48 < row["es_high"] <= 50
    assert first.row(1, named=True)["es_high"] == 1
    other = m.tail(scenarios, ["bad_debt_usd"], [0.9], samples=200, seed=8)
    assert other["var"][0] == 45


def test_cover_k():
    assert [m.cover_k([100, 50, 30], [20, 45, 30], k) for k in (1, 2, 5)] == [80, 85, 85]
    result = textbook([LONG, isolated("other", 1, 2000, 200, owner="long"), SHORT], insurance_fund=fund(300))
    # the owner of both: 500 and 100
    assert m.cover(result, ks=[1, 2]).rows() == [(1, 600.0, 0.5), (2, 600.0, 0.5)]


def test_tornado():
    rows = [(0, 1, 100), (5, 1, 150), (30, 1, 400), (5, 2, 140), (5, 0.5, 155), (30, 2, 999)]
    scenarios = pl.DataFrame(rows, schema=["latency", "fund", "debt"], orient="row")
    found = m.sensitivities(scenarios, ["fund", "latency"], "debt", {"latency": 5, "fund": 1})
    assert found["parameter"].to_list() == ["latency", "fund"]
    latency, reserve = found.rows(named=True)
    assert (latency["swing"], latency["derivative"]) == (300, 10)
    assert (reserve["swing"], reserve["derivative"]) == (15, -10)
    with pytest.raises(ValueError, match="base: expected a scenario with"):
        m.sensitivities(scenarios, ["fund"], "debt", {"fund": 3})


# --- what the figures rest on


def test_data_quality(ticks, result):
    block = m.data_quality(result, ticks)
    assert (block["reference"], block["trigger_feed"], block["reconstructed"]) == ("last", "last", False)
    assert block["markets"][ETH]["market"] == ETH
    assert block["provenance"] == {"real": "nothing"}


def test_headline(textbook_result):
    found = textbook_result.summary()["metrics"]
    assert (found["coverage"], found["severity"], found["residual_usd"]) == (0.6, 0.4, "200.000000")
    assert (found["adl_accounts"], found["adl_hhi"], found["at_once_share"]) == (1, 1, 1)
    # sold at 1,700, bankrupt at 1,800: 3 of them, 300 beyond
    assert found["beyond_usd"] == "300.000000"
    assert found["first_adl_delay_ns"] == 0
    nothing = run([SHORT], (2000, 2000)).summary()["metrics"]
    assert (nothing["coverage"], nothing["slippage"], nothing["adl_gini"]) == (None, None, None)


def test_frames_alone_will_do(textbook_result):
    frames = {"who_pays": textbook_result.who_pays()}
    assert m.coverage(frames, fund_usd=Decimal(300)) == m.coverage(textbook_result)
    with pytest.raises(ValueError, match="frames: expected 'adl' among them, got 'who_pays'"):
        m.adl(frames)


def test_a_result_that_was_read_says_the_same(textbook_result, tmp_path):
    read = uw.Result.read(textbook_result.write(tmp_path / "run"))
    assert read.summary() == textbook_result.summary()
    assert m.path(read).equals(m.path(textbook_result))
    assert m.attribution(read).equals(m.attribution(textbook_result))


def test_a_cross_account_is_one_account():
    """Both legs in one market account: one debtor, whose event closed two markets."""
    result = run(
        [cross("x", 5, 2000), cross("x", 10, 100, market="SOL-PERP"), SHORT],
        {ETH: [2000, 1700], "SOL-PERP": [100, 80]},
        cash=[("x", "USD", 1000)],
        insurance_fund=fund(10_000),
    )
    rows = m.attribution(result)
    assert rows.select("account", "market", "layer", "amount_usd").rows() == [("x", None, "insurance_fund", 700)]
