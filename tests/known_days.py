"""Days on which two implementations once differed, and tapes of awkward shape, each named after what it is about."""

from collections.abc import Sequence
from random import Random

from strategies_days import Scenario


def market(name: str = "A", **more: object) -> dict:
    spec = {"name": name, "kind": "linear", "contract_size": "1", "price_decimals": 0, "size_decimals": 0}
    return {**spec, "settlement": "USD", "index": None, **more}


def asset(name: str, decimals: int = 6, price_market: str | None = None) -> dict:
    return {"name": name, "decimals": decimals, "price_market": price_market}


def leg(
    account: str, size: int, entry: int = 100, collateral: int | None = None, market: str = "A", key: object = None
):
    """A cross leg, or an isolated position if it has collateral."""
    return {
        "account": account,
        "market": market,
        "size": str(size),
        "entry_price": str(entry),
        "margin_mode": "cross" if collateral is None else "isolated",
        "collateral": None if collateral is None else str(collateral),
        "collateral_asset": None,
        "position": key,
        "owner": None,
    }


def day(prices: list[int], positions: list[dict], cash=(), events=(), assets=(), options=None, **protocol) -> Scenario:
    """One market; cash as (account, asset, amount)."""
    return Scenario(
        {"markets": [market()], "assets": [asset("USD"), *assets]},
        [(ts, "A", price) for ts, price in enumerate(prices)],
        positions,
        [{"account": a, "asset": b, "collateral": str(n), "owner": None} for a, b, n in cash],
        list(events),
        protocol,
        options or {},
    )


FUND = {"balance": "10"}
TWO_LONGS = [leg("loser", 4, key="1"), leg("loser", 6, key="2")]
WINNERS = [leg("w1", -5, 100, 50), leg("w2", -9, 100, 90)]
CASH = [("loser", "USD", 100)]


def a_claim_over_instants_at_which_nothing_happens() -> Scenario:
    """The pool owes a coin from the first instant on; the coin's price alone moves before its next ADL."""
    adl = {"enable": "0.1", "minimum": "0", "selector": "largest_profit", "fit": False, "latency": 0, "pause": 1}
    scenario = day(
        [100, 100, 96],
        [leg("a", 2, 99, market="B", key="0"), leg("a", -1, 100, market="B", key="1")],
        pool={"balance": "100"},
        counterparty="pool",
        execution={"kind": "feed", "counterparty": "pool"},
        payout={
            "policy": {"kind": "uncapped"},
            "when_short": "defer",
            "at_end": False,
            "sides": {"long": {"assets": ["USD"]}},
            "adl": adl,
        },
    )
    scenario.definitions = {
        "markets": [market("B", settlement="BTC")],
        "assets": [asset("USD"), asset("BTC", 8, "B")],
    }
    scenario.rows = [(ts, "B", price) for ts, _, price in scenario.rows]
    scenario.accounts = [{"account": "a", "asset": "BTC", "collateral": "27.92", "owner": None}]
    return scenario


def nothing_left_at_initial_weights() -> Scenario:
    """Its equity is above zero, but not at the weights of the initial test: there is nothing to cut it to."""
    options, weights = {"opening": "rescale"}, {"BTC": {"weight": "1", "initial_weight": "0.5"}}
    scenario = day([100, 100], [leg("a", 10, 160), leg("b", -10, 160)], options=options, collateral=weights)
    scenario.definitions = {"markets": [market("A"), market("B")], "assets": [asset("USD"), asset("BTC", 8, "B")]}
    scenario.accounts = [
        {"account": "a", "asset": "BTC", "collateral": "10", "owner": None},
        {"account": "b", "asset": "USD", "collateral": "1000", "owner": None},
    ]
    scenario.rows += [(0, "B", 100), (1, "B", 100)]
    return scenario


def two_assets_lost() -> Scenario:
    """What is waived is listed where it would have been paid."""
    markets = [market("A"), market("B", kind="inverse", settlement="BTC", contract_size="100")]
    scenario = day([100, 50], [leg("a", 10), leg("a", 2, market="B")], penalty={"rate": "0.01"}, insurance_fund=FUND)
    scenario.definitions = {"markets": markets, "assets": [asset("USD"), asset("BTC", 8, "B")]}
    scenario.accounts = [
        {"account": "a", "asset": "USD", "collateral": "100", "owner": None},
        {"account": "a", "asset": "BTC", "collateral": "1", "owner": None},
    ]
    scenario.rows += [(0, "B", 100), (1, "B", 50)]
    scenario.rows.sort(key=lambda row: row[0])
    return scenario


def late_deposits() -> list[dict]:
    one = {"ts": 2, "account": "a", "market": "A", "kind": "deposit", "asset": "USD"}
    return [one | {"amount": "7"}, one | {"amount": "1000"}]


def equal_scores() -> Scenario:
    """Nothing but their numbers ranks the winners; some are drained at the first price and stay on top of the rank."""
    losers = [leg(f"loser {n}", 20 + 3 * n, 100, 150 + 60 * (n % 5)) for n in range(15)]
    winners = [leg(f"winner {n}", -1 - n % 2, 100, 4 + 46 * (n % 3)) for n in range(2000)]
    return day([100, 85, 85, 80, 101, 60], [*winners[:900], *losers, *winners[900:]], adl={}, waterfall=["adl"])


HOUR = 3600 * 10**9


def uneven(
    seed: int, counts: dict[str, int], times: dict[str, Sequence[int]], each: bool = False, latency: int = 3
) -> Scenario:
    """Cross accounts that hedge across markets, and isolated ones, on walks; so many prints of each market at its times."""
    random, names = Random(seed), list(counts)  # noqa: S311
    rows = []
    for name, count in counts.items():
        price = 1000
        for ts in sorted(random.choice(times[name]) for _ in range(count)):
            price = max(1, price + random.randint(-25, 24))
            rows.append((ts, name, price))
    rows.sort(key=lambda row: row[0])
    first = {name: next(price for _, market, price in rows if market == name) for name in names}
    positions, cash = [], []
    for n in range(24):
        chosen = random.sample(names, random.randint(1, len(names)))
        for name in chosen:
            positions.append(
                leg(f"cross {n:02}", random.choice([-9, -4, 5, 8]), first[name] + random.randint(-9, 9), market=name)
            )
        cash.append(
            {"account": f"cross {n:02}", "asset": "USD", "collateral": str(random.randint(50, 3000)), "owner": None}
        )
        name = random.choice(names)
        positions.append(leg(f"alone {n:02}", random.choice([-7, 6]), first[name], random.randint(20, 2500), name))
    protocol = {"adl": {}, "insurance_fund": {"balance": "500"}, "keeper": {"latency": latency}}
    if each:
        protocol["feeds"] = {"last": {"kind": "last", "source": "own", "prints": "each"}}
    return Scenario(
        {"markets": [market(name) for name in names], "assets": [asset("USD")]}, rows, positions, cash, [], protocol
    )


SHAPES = {
    "one market has nearly all the ticks": uneven(1, {"A": 1500, "B": 12, "C": 1}, dict.fromkeys("ABC", range(9000))),
    "one market is silent for hours": uneven(
        2, {"A": 300, "B": 60}, {"A": range(0, 5 * HOUR, HOUR // 60), "B": range(4 * HOUR, 4 * HOUR + 2000)}
    ),
    "a gap that all markets have": uneven(
        3, {"A": 200, "B": 200}, dict.fromkeys("AB", (*range(500), *range(6 * HOUR, 6 * HOUR + 500)))
    ),
    "many prints of many markets in few instants": uneven(
        4, {"A": 400, "B": 300, "C": 250, "D": 80}, dict.fromkeys("ABCD", range(0, 70, 10))
    ),
    "the same, print by print": uneven(
        4, {"A": 400, "B": 300, "C": 250, "D": 80}, dict.fromkeys("ABCD", range(0, 70, 10)), each=True
    ),
    "triggers in the first and in the last instant": uneven(
        5, {"A": 90, "B": 90}, dict.fromkeys("AB", (0, 7)), latency=0
    ),
}

DAYS = {
    "a claim over instants at which nothing happens": a_claim_over_instants_at_which_nothing_happens(),
    "nothing left at initial weights": nothing_left_at_initial_weights(),
    "two legs against two winners": day([100, 80], [*TWO_LONGS, *WINNERS], CASH, adl={}),
    "two legs against two winners, up to their profit": day(
        [100, 80], [*TWO_LONGS, *WINNERS], CASH, adl={"capacity": "profit"}
    ),
    "two legs against one winner, who is used up by the first": day(
        [100, 80], [*TWO_LONGS, leg("w", -4, 100, 50)], CASH, adl={}
    ),
    "two legs against the outside": day([100, 80], TWO_LONGS, CASH, adl={}),
    "sold to the outside, then matched with it": day([100, 80], TWO_LONGS, CASH, adl={}, insurance_fund=FUND),
    "an account that is not admitted leaves no trace": day(
        [100, 80],
        [leg("a", 3, 90, 60), leg("poor", 2, 140, 1), leg("b", -2, 110, 100)],
        options={"opening": "reject"},
        adl={},
    ),
    "what winners cannot pay, and a fund that pays all or nothing": day(
        [100, 50],
        [leg("a", 10, 100, 100)],
        socialised={},
        insurance_fund={"balance": "10", "coverage": "all_or_none"},
        waterfall=["socialised", "insurance_fund"],
    ),
    "a loss charged to open interest brings others down, round after round": day(
        [100, 84, 84],
        [
            leg("a", 10, 100, 100),
            *[leg(f"thin {n}", -1 - n, 100, 1 + 5 * n) for n in range(6)],
            leg("rich", 20, 100, 900),
        ],
        socialised={"by": "open_interest"},
        margin={"maintenance": {"kind": "flat", "rate": "0.05"}},
        keeper={"rounds": 3},
    ),
    "a loss charged to open interest, before ADL and after it": day(
        [100, 80, 95, 70],
        [leg("a", 10, 100, 100), leg("b", 10, 100, 190), *WINNERS, leg("rich", 4, 100, 900)],
        socialised={"by": "open_interest"},
        adl={},
        waterfall=["socialised", "adl"],
        events=[{"ts": 2, "account": "w1", "market": "A", "kind": "withdrawal", "asset": "USD", "amount": "20"}],
    ),
    "penalties waived in two assets": two_assets_lost(),
    "equal scores in thousands": equal_scores(),
    "two late deposits": day(
        [100, 50, 50],
        [leg("a", 10, 100, 100)],
        events=late_deposits(),
        insurance_fund=FUND,
        late_deposits="recover",
        loss_unit="fill",
        execution={"ladder": [{"share": "0.5", "offset": "0"}, {"share": "0.5", "offset": "-0.1"}]},
    ),
}
