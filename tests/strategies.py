"""Random small days: tapes, books and protocols over every option, for comparing two implementations.

Everything is small on purpose: a handful of accounts, some dozen prints, nanoseconds counted from 0, so that what
hypothesis shrinks to can be worked through by hand. Prices move by whole per cent, leverage is high, winners stand
beside losers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st
from strategies_settlement import can_match, clearing_houses, delistings
from strategies_waterfall import deciding, fund_sources, own_funds, tokens


@dataclass
class Scenario:
    definitions: dict
    rows: list[tuple[int, str, int]]  # (ts, market, price) in file order
    positions: list[dict]
    accounts: list[dict]
    events: list[dict]
    protocol: dict
    options: dict = field(default_factory=dict)
    sizes: list[int] | None = None  # of the rows

    @property
    def ticks(self) -> dict[str, list[tuple[int, int, int | None]]]:
        by_market: dict[str, list] = {m["name"]: [] for m in self.definitions["markets"]}
        for (ts, market, price), size in zip(self.rows, self.sizes or [None] * len(self.rows), strict=True):
            by_market[market].append((ts, price, size))
        return by_market


@dataclass
class Day:
    """A tape, and what a book needs to know of it."""

    markets: dict[str, dict]
    assets: dict[str, dict]
    rows: list[tuple[int, str, int]]
    traded: list[str]  # markets that positions are in

    def first_price(self, market: str) -> int:
        return next(price for _, name, price in self.rows if name == market)

    def exact_price(self, market: str) -> Fraction:
        return Fraction(self.first_price(market), 10 ** self.markets[market]["price_decimals"])

    def dollars(self, asset: str) -> Fraction:
        market = self.assets[asset]["price_market"]
        return Fraction(1) if market is None else self.exact_price(market)

    @property
    def has_index(self) -> bool:
        return any(m.get("index") for m in self.markets.values())


def text(exact: Fraction, decimals: int, up: bool = False) -> str:
    """A decimal of at most so many decimals, cut down (or up)."""
    n = exact * 10**decimals
    n = -(-n.numerator // n.denominator) if up else n.numerator // n.denominator
    return f"{Decimal(n).scaleb(-decimals):.{decimals}f}"


def rarely(strategy: st.SearchStrategy, otherwise: object = None, one_in: int = 4) -> st.SearchStrategy:
    return st.integers(0, one_in - 1).flatmap(lambda k: strategy if k == one_in - 1 else st.just(otherwise))


# --- tape

MOVES = {
    "fall": [-4, -1, -2, 2, -10, -25, 6, -50, -80],
    "rise": [4, 1, -2, 10, -5, 25, 70],
    "wick": [-10, 0, 8, -20, 25, -40, 65, 3],  # from the first price, not from the last
    "calm": [0, -1, 1, -2, 2],
}


@st.composite
def days(draw: st.DrawFn) -> Day:
    assets = {"USD": {"name": "USD", "decimals": 6, "price_market": None}}
    markets: dict[str, dict] = {}

    def add(name: str, **more: object) -> dict:
        spec = {"name": name, "kind": "linear", "contract_size": "1", "price_decimals": 0, "size_decimals": 0}
        markets[name] = {**spec, "settlement": "USD", "index": None, **more}
        return markets[name]

    starts: dict[str, int] = {}
    traded = ["A", "B", "C"][: draw(st.sampled_from([1, 1, 2, 2, 2, 3]))]
    for name in traded:
        kind = draw(st.sampled_from(["usd", "usd", "usd", "coin", "coin", "usdt", "quanto"]))
        m = add(
            name, price_decimals=draw(st.sampled_from([0, 0, 1, 2])), size_decimals=draw(st.sampled_from([0, 0, 1]))
        )
        starts[name] = draw(st.sampled_from([100, 100, 1000, 37, 2])) * 10 ** m["price_decimals"]
        m["contract_size"] = draw(st.sampled_from(["1", "1", "1", "10", "0.1"]))
        if kind == "coin":
            m.update(kind="inverse", settlement="BTC", contract_size=draw(st.sampled_from(["100", "1", "10"])))
        elif kind == "usdt":
            m["settlement"] = "USDT"
            assets["USDT"] = {"name": "USDT", "decimals": 6, "price_market": None}
        elif kind == "quanto":
            m["settlement"] = "BTC"
        if m["settlement"] == "BTC":
            assets.setdefault("BTC", {"name": "BTC", "decimals": draw(st.sampled_from([8, 4])), "price_market": name})
    if "BTC" not in assets and draw(st.booleans()):
        assets["BTC"] = {"name": "BTC", "decimals": 4, "price_market": draw(st.sampled_from(traded))}
    if len(traded) < 3 and draw(st.booleans()):
        add("U", price_decimals=2)
        starts["U"] = 100
        assets["USDE"] = {"name": "USDE", "decimals": 6, "price_market": "U"}
    if len(markets) < 3 and draw(st.sampled_from([False, True, True])):
        for name in list(markets):  # an index for every market, or for none
            decimals = draw(st.sampled_from([0, 1, 2]))
            add(f"I{name}", price_decimals=decimals)
            markets[name]["index"] = f"I{name}"
            own = Fraction(starts[name], 10 ** markets[name]["price_decimals"])
            starts[f"I{name}"] = max(1, int(own * 10**decimals))

    mood = draw(
        st.sampled_from(["fall", "fall", "fall", "fall", "rise", "rise", "wick", "wick", "wick", "wick", "calm"])
    )
    names = sorted(markets)
    price = dict(starts)
    rows = []
    for name in names:  # a market may begin late
        rows.append((draw(st.sampled_from([0, 0, 0, 0, 0, 4])), name, price[name]))
    ts = 0
    steps = st.tuples(st.sampled_from([0, 1, 1, 0, 2, 7]), st.sampled_from(names), st.sampled_from(MOVES[mood]))
    many = draw(st.sampled_from([1, 3, 6, 10, 14, 18, 22, 26, 30]))
    for gap, name, move in draw(st.lists(steps, min_size=many, max_size=many)):
        ts += gap
        if name not in traded and abs(move) > 25:
            move //= 3
        before = starts[name] if mood == "wick" else price[name]
        price[name] = max(1, before * (100 + move) // 100)
        if ts >= rows[names.index(name)][0]:
            rows.append((ts, name, price[name]))
    rows.sort(key=lambda row: row[0])
    return Day(markets, assets, rows, traded)


# --- book

MARGINS = ["1/10", "1/20", "1/5", "1/5", "1/3", "1/3", "1/2", "2", "1/60"]


@st.composite
def leg(draw: st.DrawFn, day: Day, market: str, side: int) -> tuple[dict, Fraction, Fraction]:
    """A position without its account, its notional in dollars, and roughly its loss at the open."""
    m = day.markets[market]
    size = Fraction(draw(st.integers(1, 20)), 10 ** m["size_decimals"])
    away = draw(st.sampled_from([0, 0, 1, -1, 10, -10, 40, -30]))
    entry = Fraction(max(1, day.first_price(market) * (100 + away) // 100), 10 ** m["price_decimals"])
    contract = Fraction(m["contract_size"])
    notional = size * contract if m["kind"] == "inverse" else size * contract * entry
    if m["kind"] == "linear":
        notional *= day.dollars(m["settlement"])
    row = {
        "market": market,
        "size": text(side * size, m["size_decimals"]),
        "entry_price": text(entry, m["price_decimals"]),
    }
    return row, notional, notional * (side * away) / 100


@st.composite
def books(draw: st.DrawFn, day: Day) -> tuple[list[dict], list[dict], list[dict]]:
    positions: list[dict] = []
    accounts: list[dict] = []
    holders: list[tuple[str, str | None, str | None, list[str], Fraction]] = []  # what events may be addressed to
    idle = draw(rarely(st.just(True), False, 3))  # positions of size 0, for trades to come

    def collateral(asset: str, dollars: Fraction) -> str:
        return text(dollars / day.dollars(asset), day.assets[asset]["decimals"], up=True)

    def needed(money: Fraction, loss: Fraction) -> Fraction:
        """Mostly enough not to be underwater at the open."""
        return max(money / 4, money + loss) if draw(rarely(st.just(True), False, 8)) is False else money

    for number in range(draw(st.integers(1, 10))):
        name = f"a{number}"
        owner = f"o{number % 2}"
        margin = Fraction(draw(st.sampled_from(MARGINS)))
        mode = draw(st.sampled_from(["isolated", "cross", "cross", "cross", "hedged", "both", "two sides"]))
        own = []

        def side(number: int = number) -> int:
            return draw(st.sampled_from([1, 1, -1])) * (-1) ** number

        if mode in ("isolated", "both", "two sides"):
            market = draw(st.sampled_from(day.traded))
            settlement = day.markets[market]["settlement"]
            sides = [1, -1] if mode == "two sides" else [side()]
            for key, sign in enumerate(sides):
                row, notional, loss = draw(leg(day, market, sign))
                money = needed(notional * margin, loss)
                asset = draw(rarely(st.sampled_from(sorted(day.assets)), settlement))
                row |= {"account": name, "margin_mode": "isolated", "collateral": collateral(asset, money)}
                row |= {"collateral_asset": asset, "position": str(key) if mode == "two sides" else None}
                own.append(row | {"owner": owner})
                holders.append((name, market, row["position"], [asset, settlement], money))
        if mode in ("cross", "hedged", "both"):
            count = draw(st.sampled_from([1, 2, 2, 3]))
            markets = draw(st.lists(st.sampled_from(day.traded), min_size=count, max_size=count))
            total, lost, sides = Fraction(0), Fraction(0), [side() for _ in markets]
            if mode == "hedged":
                markets, sides = [markets[0], markets[-1]], [1, -1]
            for market, sign in zip(markets, sides, strict=True):
                row, notional, loss = draw(leg(day, market, sign))
                row |= {"account": name, "margin_mode": "cross", "collateral": None, "collateral_asset": None}
                key = str(len(own)) if markets.count(market) > 1 else None
                own.append(row | {"position": key, "owner": owner})
                total, lost = total + notional, lost + loss
            money = needed(total * margin, lost)
            settlements = [day.markets[market]["settlement"] for market in markets]
            assets = [settlements[0]]
            if draw(st.booleans()):
                assets = draw(st.lists(st.sampled_from(sorted(day.assets)), min_size=1, max_size=3, unique=True))
            for asset in assets:
                amount = collateral(asset, money / len(assets))
                accounts.append({"account": name, "asset": asset, "collateral": amount, "owner": owner})
            holders.append((name, None, None, [*assets, *settlements], money))
        positions += own
    if draw(rarely(st.just(True), False, 8)):
        accounts.append({"account": "cash", "asset": "USD", "collateral": "100.000000", "owner": None})
        holders.append(("cash", None, None, ["USD"], Fraction(100)))

    if idle:
        for row in positions[::3]:
            row["size"] = "0"
    events: list[dict] = []
    if holders:
        last = day.rows[-1][0]
        for _ in range(draw(st.sampled_from([0, 1, 2, 6]))):
            name, market, key, assets, dollars = draw(st.sampled_from(holders))
            asset = draw(st.sampled_from([*assets, *assets, *sorted(day.assets)]))
            share = Fraction(draw(st.sampled_from(["1/10", "1/3", "4/5", "1", "2"])))
            ts = draw(st.one_of(st.just(last), st.integers(day.rows[0][0], last + 2)))
            kind, amount = draw(st.sampled_from(["withdrawal", "deposit"])), collateral(asset, dollars * share)
            event = {"ts": ts, "account": name, "market": market, "position": key}
            events.append(event | {"kind": kind, "asset": asset, "amount": amount})
        for row in draw(st.lists(st.sampled_from(positions), max_size=6)) if positions else []:
            events.append(draw(trades(day, row)))
    events.sort(key=lambda event: event["ts"])
    return positions, accounts, events


@st.composite
def trades(draw: st.DrawFn, day: Day, row: dict) -> dict:
    """An account adds to a position, reduces it, closes it or turns it over."""
    market = day.markets[row["market"]]
    held = Fraction(row["size"]) or Fraction(draw(leg(day, row["market"], 1))[0]["size"])
    share = Fraction(draw(st.sampled_from(["-1", "-1/3", "-2", "1/2", "-1/2", "3", "-1"])))
    size = Fraction(text(held * share, market["size_decimals"])) or Fraction(1, 10 ** market["size_decimals"])
    last = day.rows[-1][0]
    event = {
        "ts": draw(st.one_of(st.just(last), st.integers(day.rows[0][0], last + 2))),
        "account": row["account"],
        "market": row["market"],
        "position": row["position"],
        "kind": "trade",
        "size": text(size, market["size_decimals"]),
        "asset": None,
        "amount": None,
    }
    own = [price for _, name, price in day.rows if name == row["market"]]
    price = draw(rarely(st.sampled_from(own), None, 2))
    decimals = market["price_decimals"]
    return event | {"price": None if price is None else text(Fraction(price, 10**decimals), decimals)}


# --- protocol

BALANCES = ["100", "0", "5", "2000", "2000", "1e5"]
LATENCIES = [0, 0, 0, 1, 3, 5, 8, 1000]


def push_feeds(source: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries(
        {
            "kind": st.just("push"),
            "source": source,
            "deviation": st.sampled_from(["0.05", "0", "0.01", "0.3"]),
            "heartbeat": st.sampled_from([10, 2, 1000]),
            "latency": st.one_of(st.sampled_from([0, 0, 1, 3]), latencies()),
        },
        optional={
            "seed": st.sampled_from([1, 2**64 - 1]),
            "outages": st.lists(outages(), min_size=1, max_size=2),
            "observed": st.sampled_from(["at_write", "when_visible"]),
        },
    )


def outages() -> st.SearchStrategy:
    return st.tuples(st.integers(0, 20), st.integers(1, 15)).map(lambda o: {"start": o[0], "end": o[0] + o[1]})


def halts(day: Day) -> st.SearchStrategy:
    names = st.lists(st.sampled_from(day.traded), min_size=1, max_size=2, unique=True)
    ends = outages().map(lambda o: {"start": ("offset", o["start"]), "end": ("offset", o["end"])})
    return st.builds(lambda halt, markets: halt | {"markets": markets}, ends, rarely(names, one_in=2))


TWO_SIDED = ("worst_of", "spread")


@st.composite
def derived_feed(draw: st.DrawFn, sources: list[str]) -> dict:
    """A feed that is made from some of these."""
    kind = draw(
        st.sampled_from(
            ["periodic", "ema", "twap", "basis", "median", "lagged", "worst_of", "spread", "push", "paused"]
        )
    )
    source = draw(st.sampled_from(sources))
    cadence = {"source": source, "every": draw(st.sampled_from([1, 2, 5, 9])), "offset": draw(st.sampled_from([0, 3]))}
    if kind == "push":
        return draw(push_feeds(st.just(source)))
    if kind == "paused":
        stretches = st.lists(outages(), min_size=1, max_size=2)
        return {"kind": kind, "source": source, "outages": draw(stretches), "catch_up": draw(st.booleans())}
    if kind == "periodic":
        return {"kind": kind, **cadence}
    if kind == "ema":
        return {"kind": kind, **cadence, "time_constant": draw(st.sampled_from([1, 4, 10, 1000]))}
    if kind == "basis":
        average = {
            "time_constant": draw(st.sampled_from([1, 4, 10, 1000])),
            "reference": draw(st.sampled_from(sources)),
        }
        return {"kind": kind, **cadence, **average}
    if kind == "twap":
        return {"kind": kind, **cadence, "window": draw(st.sampled_from([1, 3, 10, 50]))}
    if kind in ("median", "worst_of"):
        return {"kind": kind, "sources": draw(st.lists(st.sampled_from(sources), min_size=1, max_size=4))}
    if kind == "spread":
        limit = draw(st.sampled_from(["0", "0.02", "0.1"]))
        return {"kind": kind, "source": source, "reference": draw(st.sampled_from(sources)), "limit": limit}
    return {"kind": kind, "source": source}


@st.composite
def derived_feeds(draw: st.DrawFn, p: dict, names: list[str]) -> None:
    """Adds feeds that are made from others, a mark of ADL and a guard to a protocol, and has them used."""
    feeds = p["feeds"]
    one_sided = list(names)
    for number in range(draw(st.sampled_from([1, 2, 4]))):
        feed = draw(derived_feed(one_sided))
        feeds[f"f{number}"] = feed
        if feed["kind"] not in TWO_SIDED:
            one_sided.append(f"f{number}")
    names = [*names, *[name for name in feeds if name not in names]]
    last = names[-1]
    p["trigger_feed"] = draw(st.sampled_from([last, last, *names]))
    p["execution_feed"] = draw(st.sampled_from([p["trigger_feed"], *names]))
    p["adl_feed"] = draw(rarely(st.sampled_from(names), one_in=2))
    if p["trigger_feed"] not in one_sided:
        p["collateral_feed"] = draw(st.sampled_from(one_sided))
    if draw(st.booleans()):
        feed, reference = draw(st.sampled_from(one_sided)), draw(st.sampled_from(one_sided))
        limit = draw(st.sampled_from(["0", "0.03", "0.2"]))
        divergence = draw(rarely(st.just({"feed": feed, "reference": reference, "limit": limit}), one_in=2))
        staleness = draw(st.sampled_from([0, 1, 4, 10]))
        p["guard"] = {"divergence": divergence, "staleness": draw(rarely(st.just(staleness), one_in=2))}
        if p["guard"] == {"divergence": None, "staleness": None}:
            p["guard"]["staleness"] = staleness


def maintenance() -> st.SearchStrategy:
    rates = st.sampled_from(["0.05", "0.1", "0.2", "0.01", "1/30", "0"])
    flat = st.fixed_dictionaries({"kind": st.just("flat"), "rate": rates})
    tiers = st.lists(st.sampled_from([50, 200, 1000, 5000]), unique=True, max_size=3).flatmap(
        lambda bounds: st.tuples(
            *[
                st.fixed_dictionaries(
                    {
                        "lower": st.just(str(lower)),
                        "rate": st.just(f"0.{2 * k + 1:02}5"),
                        "deduction": st.just(None) if k == 0 else rarely(st.sampled_from(["0", "1", "0.7"])),
                    }
                )
                for k, lower in enumerate([0, *sorted(bounds)])
            ]
        ).map(lambda tiers: {"kind": "brackets", "tiers": list(tiers)})
    )
    return st.one_of(flat, flat, tiers)


# --- margin beyond rates and brackets, and what is scheduled


def size_rules() -> st.SearchStrategy:
    rates = st.sampled_from(["0.05", "0.1", "0.02", "1/30"])
    steps = st.tuples(rates, st.sampled_from(["3", "0.5", "10"]), st.sampled_from(["0.15", "0.3", "0.01"])).map(
        lambda s: {"kind": "size_steps", "steps": [{"lower": "0", "rate": s[0]}, {"lower": s[1], "rate": s[2]}]}
    )
    linear = st.fixed_dictionaries(
        {"kind": st.just("linear_size"), "base": rates, "slope": st.sampled_from(["0.01", "1/300", "0.1"])},
        optional={"above": st.sampled_from(["2", "0.5"]), "cap": st.sampled_from(["0.3", "1"])},
    )
    root = st.fixed_dictionaries(
        {"kind": st.just("root_size"), "base": rates, "factor": st.sampled_from(["0.01", "1/30", "0.1"])},
        optional={"share": st.sampled_from(["0", "1"]), "cap": st.sampled_from(["0.2", "1"])},
    )
    leverage = st.fixed_dictionaries(
        {"kind": st.just("leverage"), "max_leverage": st.sampled_from(["50", "10", "7/2"])},
        optional={"fee": st.sampled_from(["5", "0.5"]), "fee_rate": st.sampled_from(["0.001", "0.03"])},
    )
    share = st.fixed_dictionaries(
        {"kind": st.just("collateral_share")},
        optional={"lost": st.sampled_from(["0.75", "1", "1/3"]), "fee_rate": st.sampled_from(["0.001", "0.02"])},
    )
    nested = st.fixed_dictionaries(
        {"kind": st.just("initial_share"), "rate": rates, "share": st.sampled_from(["0.6", "1/3", "1"])}
    )
    return st.one_of(steps, linear, root, leverage, share, nested)


def ramps() -> st.SearchStrategy:
    figures = {"kind": st.just("open_interest"), "base": st.sampled_from(["0.05", "0.1"])}
    figures |= {"lower": st.sampled_from(["0", "500"]), "upper": st.sampled_from(["2000", "50000"])}
    return st.fixed_dictionaries(figures, optional={"cap": st.sampled_from(["0.5"])})


def dynamics(names: list[str]) -> st.SearchStrategy:
    sample = st.sampled_from([1, 2, 3])
    return sample.flatmap(
        lambda sample: st.fixed_dictionaries(
            {
                "feed": st.sampled_from(names),
                "sample": st.just(sample),
                "look_back": st.sampled_from([sample, 2 * sample, 5 * sample]),
                "cadence": st.sampled_from([sample, 3 * sample]),
                "base": st.sampled_from(["0.02", "0.1", "1/7"]),
                "cap": st.sampled_from(["3", "8", "1.5"]),
            },
            optional={
                "floor": st.sampled_from(["0.5", "0", "1.2"]),
                "max_rise": st.sampled_from(["0.5", "1/3"]),
                "max_fall": st.sampled_from(["0.1", "1"]),
                "initial": st.booleans(),
            },
        )
    )


def rate_series(day: Day, rates: list[str]) -> st.SearchStrategy:
    points = st.lists(st.tuples(st.integers(0, day.rows[-1][0] + 1), st.sampled_from(rates)), max_size=5)
    series = points.map(lambda points: [{"ts": ts, "rate": rate} for ts, rate in sorted(dict(points).items())])
    return st.dictionaries(st.sampled_from(day.traded), series, min_size=1)


def fundings(day: Day, names: list[str]) -> st.SearchStrategy:
    given = {"kind": st.just("series"), "rates": rate_series(day, ["0.01", "-0.01", "0.1", "-0.2", "1/300", "0"])}
    interval = st.sampled_from([(1, 1), (4, 2), (6, 1)])
    premium = interval.flatmap(
        lambda i: st.fixed_dictionaries(
            {
                "kind": st.just("premium"),
                "of": st.sampled_from(names),
                "over": st.sampled_from(names),
                "interval": st.just(i[0]),
                "sample": st.just(i[1]),
            },
            optional={
                "interest": st.sampled_from(["0.02", "-0.01"]),
                "band": st.sampled_from(["0", "0.05"]),
                "cap": st.sampled_from(["0.02", "0.1"]),
                "share": st.sampled_from(["1/8", "0.5"]),
                "feed": st.sampled_from(names),
            },
        )
    )
    feed = {"feed": st.sampled_from(names)}
    return st.one_of(st.fixed_dictionaries(given, optional=feed), premium)


def borrows(day: Day, names: list[str], receivers: list[str]) -> st.SearchStrategy:
    # An hour is long: such rates tell within nanoseconds.
    return st.fixed_dictionaries(
        {
            "rate_per_hour": st.sampled_from(["0", "3600000000", "30000000000"]),
            "interval": st.sampled_from([1, 4]),
            "receiver": st.sampled_from(receivers),
        },
        optional={"rates": rate_series(day, ["0.01", "0.1", "0"]), "feed": st.sampled_from(names)},
    )


@st.composite
def margin_policies(draw: st.DrawFn, day: Day, p: dict) -> dict:
    """What changes of a protocol that has feeds, margin and collateral weights: rules by size, leverage and collateral,
    scales, funding, borrow fees."""
    often = draw(st.sampled_from([2, 2, 3, 6]))
    one_sided = [name for name, feed in p["feeds"].items() if feed["kind"] not in TWO_SIDED]
    names = ["last", *one_sided, *(["index"] if day.has_index else [])]
    margin = dict(p["margin"])
    if draw(rarely(st.just(True), False, often)):
        margin["maintenance"] = draw(size_rules())
    if margin["initial_rate"] is None:
        margin["initial"] = draw(rarely(st.one_of(size_rules(), ramps(), ramps())))
    margin["minimum"] = draw(rarely(st.sampled_from(["1", "20", "0.003"])))
    margin["dynamic"] = draw(rarely(dynamics(names), one_in=often))
    if draw(rarely(st.just(True), False)):
        own = {"maintenance": draw(size_rules()), "dynamic": draw(rarely(dynamics(names), one_in=2))}
        own |= {"minimum": draw(rarely(st.just("10"), one_in=2)), "initial": draw(rarely(ramps(), one_in=2))}
        margin["markets"] = {draw(st.sampled_from(day.traded)): own}
    changed: dict = {"margin": margin}
    if draw(rarely(st.just(True), False)):
        shares = st.sampled_from(["0.5", "0.9", "0", "1/3"])
        optional = {"initial_weight": shares, "profit_weight": shares, "sale_cost": shares}
        one = st.fixed_dictionaries({"weight": st.sampled_from(["1", "0.8"])}, optional=optional)
        changed["collateral"] = draw(st.dictionaries(st.sampled_from(sorted(day.assets)), one, min_size=1))
    changed["funding"] = draw(rarely(fundings(day, names), one_in=often))
    changed["borrow"] = draw(rarely(borrows(day, names, ["fees", "keepers", "insurance_fund"]), one_in=often))
    for accrual in (changed["funding"], changed["borrow"]):
        if accrual is not None and p["trigger_feed"] not in names:
            accrual.setdefault("feed", draw(st.sampled_from(names)))
    return {key: value for key, value in changed.items() if value is not None}


# --- ADL


def adl_policies() -> st.SearchStrategy:
    shares = st.sampled_from(["0.5", "0.1", "1/3", "1"])

    def policy(kind: str, needed: dict | None = None, **optional: st.SearchStrategy) -> st.SearchStrategy:
        return st.fixed_dictionaries({"kind": st.just(kind)} | (needed or {}), optional=optional)

    risk = {"power": st.sampled_from([1, 2, 3]), "threshold": st.sampled_from(["0", "2", "1/3", "8"]), "cap": shares}
    return st.one_of(
        policy("queue"),
        st.sampled_from(["queue", "queue", "pro_rata", "min_max"]),
        policy("pro_rata"),
        policy("contracts_pro_rata"),
        policy("capped_pro_rata", {"cap": shares}),
        policy("risk_aware", {"weight": st.sampled_from(["linear", "power", "cvar"])}, **risk),
        policy("min_max"),
        policy("mirror_descent", start=shares, step=st.sampled_from(["0.01", "0", "1/7"])),
    )


ADL_SCORES = [
    "profit_leverage", "bitmex", "hyperliquid_docs", "hyperliquid_docs_literal", "binance", "leverage", "profit", "position",
    "random_start",
]  # fmt: skip


@st.composite
def deleveraging(draw: st.DrawFn, p: dict, has_index: bool) -> dict:
    """Fields of `adl` for a protocol that has its feeds and its fund."""
    policy = draw(adl_policies())
    queue = policy in ("queue", {"kind": "queue"})
    adl: dict = {"policy": policy, "score": draw(st.sampled_from(ADL_SCORES))}
    adl["eligibility"] = draw(st.sampled_from(["in_profit", "in_profit", "overlap", "any", "any"]))
    feeds = p.get("feeds", {})
    mark = feeds.get(p.get("adl_feed") or p.get("trigger_feed"), {})
    prices = ["oracle"] if mark.get("kind") in TWO_SIDED else ["oracle", "previous_mark", "previous_mark"]
    prices += ["mark_then_bankruptcy"] * 2 if "insurance_fund" in p else []
    adl |= draw(rarely(st.sampled_from(prices).map(lambda price: {"price": price}), {}, 2))
    if adl.get("price") == "oracle":
        adl["price_feed"] = draw(st.sampled_from(["last", *feeds, *(["index"] if has_index else [])]))
    if adl.get("price") == "mark_then_bankruptcy":
        adl["threshold"] = draw(st.sampled_from(["0.5", "0", "1", "1/3"]))
    if adl["score"] == "random_start":
        adl["seed"] = draw(st.sampled_from([0, 1, 7, 2**64 - 1]))
    adl |= draw(rarely(some(counterparties=st.sampled_from([1, 2, 3]), attempts=st.sampled_from([1, 2, 1, 0])), {}, 2))
    adl |= draw(rarely(st.just({"leftover": "open"}), {}, 3))
    if queue:
        adl["partial_last"] = draw(st.sampled_from([True, True, False]))
    return adl


@st.composite
def protocols(draw: st.DrawFn, day: Day) -> dict:
    p: dict = {}
    sources = st.sampled_from(["own", "index"] if day.has_index else ["own"])
    feeds: dict[str, dict] = {}
    if draw(rarely(st.just(True), False)):
        feeds["last"] = {"kind": "last", "source": "own", "prints": "each"}
    if draw(rarely(st.just(True), False)):
        feeds["each"] = {"kind": "last", "source": draw(sources), "prints": "each"}
    if draw(st.booleans()):
        feeds["oracle"] = draw(push_feeds(st.sampled_from(["last", "index"] if day.has_index else ["last"])))
    p["feeds"] = feeds
    names = ["last", *feeds, *(["index"] if day.has_index else [])]
    p["trigger_feed"] = draw(st.sampled_from(names))
    p["execution_feed"] = draw(st.sampled_from([p["trigger_feed"], *names]))
    p["collateral_feed"] = draw(rarely(st.sampled_from(names)))
    if draw(rarely(st.just(True), False, 2)):
        draw(derived_feeds(p, names))
    if draw(rarely(st.just(True), False)):
        p["halts"] = draw(st.lists(halts(day), min_size=1, max_size=2))

    p["margin"] = {
        "maintenance": draw(maintenance()),
        "initial_rate": draw(rarely(st.sampled_from(["0.1", "0.02", "0.3"]))),
    }
    if draw(rarely(st.just(True), False)):
        own = {"maintenance": draw(rarely(maintenance(), one_in=2)), "initial_rate": draw(rarely(st.just("0.2")))}
        p["margin"]["markets"] = {draw(st.sampled_from(day.traded)): own}
    weighted = draw(rarely(st.lists(st.sampled_from(sorted(day.assets)), unique=True), []))
    if weighted:
        p["collateral"] = {a: {"weight": draw(st.sampled_from(["0.8", "0.5", "0", "1/3"]))} for a in weighted}

    p |= draw(margin_policies(day, p))

    for name in ("pool", "vault", "treasury"):
        if draw(st.sampled_from([False, False, False, True, True])):
            p[name] = {"balance": draw(st.sampled_from(BALANCES))}
            p[name] |= draw(deciding()) if name == "treasury" else {}
    if draw(st.sampled_from([False, True, True])):
        coverage = draw(st.sampled_from(["slices", "slices", "exhaust", "all_or_none"]))
        p["insurance_fund"] = {"balance": draw(st.sampled_from(BALANCES)), "coverage": coverage}
        if draw(rarely(st.just(True), False, 3)):
            p["insurance_fund"]["funds"] = draw(own_funds(day.traded, BALANCES))
    if draw(st.sampled_from([False, True, True])):
        capacity = draw(st.sampled_from(["equity", "position", "position", "profit"]))
        p["adl"] = {"price": draw(st.sampled_from(["bankruptcy", "bankruptcy", "mark"])), "capacity": capacity}
        p["adl"] |= draw(rarely(deleveraging(p, day.has_index), {}, 2))
    if draw(st.sampled_from([False, False, True])):
        p["socialised"] = draw(
            st.sampled_from([{}, {"by": "open_interest"}, {"by": "open_interest"}, {"by": "deposits"}])
        )
    if draw(rarely(st.just(True), False)):
        dollars = [
            m["name"] for m in day.markets.values() if m["kind"] == "linear" and m["settlement"] in ("USD", "USDT")
        ]
        p["token"] = draw(tokens(dollars))
    layers = [n for n in ("insurance_fund", "pool", "adl", "socialised", "treasury", "token") if n in p]
    if draw(rarely(st.just(True), False, 3)):
        layers = draw(st.permutations(layers))
        p["waterfall"] = layers[: draw(st.integers(0, len(layers)))] if draw(st.booleans()) else layers

    if layers and draw(st.booleans()):
        p["limits"] = draw(layer_limits(p, p.get("waterfall", layers)))
    p["withdrawal_gate"] = draw(rarely(st.sampled_from([1, 3, 10, 100]), one_in=3))

    entities = ["keepers", "fees", *[n for n in ("insurance_fund", "pool", "treasury", "vault") if n in p]]
    if "pool" in p:
        p["counterparty"] = draw(st.sampled_from(["outside", "pool"]))
    takers = ["outside", *[n for n in ("pool", "vault") if n in p]]
    p["execution"] = draw(executions(day, takers, "adl" in p, [n for n in ("insurance_fund",) if n in p]))
    if "insurance_fund" in p and draw(rarely(st.just(True), False, 3)):
        draw(fund_sources(p, sorted(day.markets)))
    p["keeper"] = {"latency": draw(st.sampled_from(LATENCIES)), "rounds": draw(st.sampled_from([1, 1, 0, 3]))}
    p["keeper"] |= draw(rarely(keepers(), {}, 3))
    if draw(st.sampled_from([False, True, True])):
        p["penalty"] = {
            "rate": draw(st.sampled_from(["0.01", "0.1", "1/30", "0", "0.004"])),
            "split": draw(splits(entities)),
            "keeper_fee": draw(st.sampled_from(["0", "5", "0.01"])),
            "paid_if_insolvent": draw(st.booleans()),
        }
        p["penalty"] |= draw(rarely(charges(p["penalty"]), {}, 2))
    p |= draw(st.one_of(st.just({}), closes().map(lambda close: {"close": close})))
    draw(payouts(day, p))
    p["residual"] = draw(st.sampled_from(["account", *entities]))
    p["settlement"] = draw(st.sampled_from(["per_fill", "per_fill", "per_instant"]))
    p["loss_unit"] = draw(st.sampled_from(["account", "fill", "position", "fill"]))
    if p["execution"].get("bound", {}).get("remainder") == "deleverage":
        p["loss_unit"] = "fill"
    p["attribution"] = draw(st.sampled_from(["notional", "maintenance", "account"]))
    p["clearing_house"] = draw(rarely(clearing_houses(p), one_in=4))
    takes_over = "takeover" in p["execution"] or p["execution"]["counterparty"] == "vault"
    if draw(rarely(st.just(True), False, 2 if takes_over else 5)):
        p["delistings"] = draw(delistings(day, p))
    p["outside"] = draw(st.sampled_from(["keeps", "hedges"]))
    p["late_deposits"] = draw(st.sampled_from(["ignore", "recover", "recover"]))
    return without_defaults(p)


@st.composite
def layer_limits(draw: st.DrawFn, p: dict, layers: list[str]) -> dict[str, dict]:
    """Caps and triggers of some layers."""
    amounts = st.sampled_from(["1", "30", "400", "0", "5000", "0.5"])
    capital = [name for name in ("insurance_fund", "pool", "treasury", "vault") if name in p]
    triggers = st.nothing()
    for of in capital:
        fallen = st.fixed_dictionaries(
            {"kind": st.just("drawdown"), "of": st.just(of), "share": st.sampled_from(["0.3", "0.01", "1", "1/30"])},
            optional={"window": st.sampled_from([1, 4, 20])},
        )
        low = st.fixed_dictionaries({"kind": st.just("below"), "of": st.just(of)}, optional={"amount": amounts})
        triggers = st.one_of(triggers, fallen, fallen, low)
    period = st.fixed_dictionaries({"every": st.sampled_from([1, 3, 10, 100]), "amount": amounts})
    caps = {"per_event": amounts, "per_market": amounts, "periods": st.lists(period, min_size=1, max_size=2)}
    limits = {}
    for layer in layers:
        optional = {"delay": st.sampled_from([1, 3, 10])} | (caps if layer != "adl" else {})
        if capital:
            optional |= {"start": triggers, "stop": triggers}
        own = draw(rarely(some(**optional), one_in=2))
        if own:
            limits[layer] = own
    return limits


@st.composite
def payouts(draw: st.DrawFn, day: Day, p: dict) -> None:
    """What the pool pays, where it is the other side of everything."""
    bound = p["execution"].get("bound") or {}
    pool = p.get("counterparty") == p["execution"]["counterparty"] == "pool"
    if not pool or "takeover" in p["execution"] or bound.get("remainder", "pool") not in ("pool", "retry"):
        return
    p["payout"] = draw(rarely(payout_rules(day), one_in=2))
    if p["payout"] is None:
        del p["payout"]


def pool_adls() -> st.SearchStrategy:
    return st.fixed_dictionaries(
        {
            "enable": st.sampled_from(["0.1", "0.02", "0.5", "0.05"]),
            "minimum": st.sampled_from(["0", "0.02", "0.01"]),
            "selector": st.sampled_from(["largest_profit", "largest_position", "highest_return", "random"]),
            "fit": st.booleans(),
            "latency": st.sampled_from([0, 0, 1, 4]),
            "pause": st.sampled_from([1, 3, 10, 1000]),
        },
        optional={
            "stop": st.sampled_from(["minimum", "enable"]),
            "share": st.sampled_from(["0.5", "0.1", "1/3"]),
            "actions": st.sampled_from([1, 2]),
            "seed": st.sampled_from([1, 2**64 - 1]),
        },
    )


def payout_rules(day: Day) -> st.SearchStrategy:
    policy = st.one_of(
        st.just({"kind": "uncapped"}),
        st.fixed_dictionaries(
            {"kind": st.just("pool_factor"), "factor": st.sampled_from(["0.07", "3", "0", "1/3", "3"])}
        ),
        st.fixed_dictionaries({"kind": st.just("collateral_share"), "share": st.sampled_from(["0.5", "9", "1/7"])}),
        st.fixed_dictionaries({"kind": st.just("reserved")}, optional={"share": st.sampled_from(["0.1", "1/30"])}),
    )
    side = some(
        share=st.sampled_from(["1", "0.1", "1/3"]),
        assets=st.lists(st.sampled_from(sorted(day.assets)), min_size=1, max_size=2, unique=True),
    )
    sides = some(long=side, short=side)
    return st.fixed_dictionaries(
        {
            "policy": policy,
            "when_short": st.sampled_from(["pay", "refuse", "refuse", "defer", "defer"]),
            "at_end": st.booleans(),
        },
        optional={
            "sides": sides,
            "markets": st.dictionaries(st.sampled_from(day.traded), sides, max_size=1),
            "adl": pool_adls(),
            "in_margin": st.just(True),
        },
    )


def shares() -> st.SearchStrategy:
    return st.sampled_from(["0.5", "0.1", "1/3", "0.9", "1"])


def some(**fields: st.SearchStrategy) -> st.SearchStrategy:
    """A table with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def close_policies() -> st.SearchStrategy:
    dollars = st.sampled_from(["0", "50", "300", "2000", "10"])

    def policy(kind: str, needed: dict, **optional: st.SearchStrategy) -> st.SearchStrategy:
        return st.fixed_dictionaries({"kind": st.just(kind)} | needed, optional=optional)

    ramp = {"initial": st.sampled_from(["0.1", "0", "0.5", "1"]), "duration": st.sampled_from([10, 1, 3, 100])}
    return st.one_of(
        policy("fraction", {"share": shares()}, minimum=dollars, cap=dollars),
        policy("split", {"threshold": dollars, "share": shares()}),
        policy("target", {}),
        policy("ramp", ramp, of=st.sampled_from(["position", "target"])),
        policy("tier", {}, steps=st.sampled_from([1, 2])),
        policy("full", {}),
    )


def closes() -> st.SearchStrategy:
    """How much is closed, of what, and when it is enough."""
    stop = some(
        requirement=st.sampled_from(["maintenance", "initial"]), factor=st.sampled_from(["1.1", "1", "2", "0.5", "4/3"])
    )
    return st.fixed_dictionaries(
        {"policy": close_policies(), "pause": st.sampled_from([1, 1, 2, 5, 20])},
        optional={
            "positions": st.sampled_from(["all", "market", "largest_notional", "largest_loss", "random"]),
            "stop": stop,
            "when_insolvent": st.sampled_from(["full", "policy"]),
        },
    )


def charges(penalty: dict) -> st.SearchStrategy:
    """What a penalty may have besides its rate."""
    rates = st.sampled_from(["0.01", "0.05", "0", "1/7"])
    fund = {} if penalty["paid_if_insolvent"] else {"fund_pays_keeper": st.booleans()}
    escalation = some(
        after=st.sampled_from([0, 3]),
        every=st.sampled_from([1, 2]),
        step=rates,
        shortfall=rates,
        maximum=st.sampled_from(["0.1", "0.5"]),
    )
    return some(
        escalation=escalation,
        cap=st.sampled_from(["1", "20", "0"]),
        equity_share=st.sampled_from(["0.5", "1/3", "0"]),
        fee_per=st.sampled_from(["account", "fill"]),
        fee_if=st.sampled_from(["always", "short"]),
        keeper_rate=rates,
        **fund,
    )


@st.composite
def executions(draw: st.DrawFn, day: Day, takers: list[str], deleverages: bool, receivers: list[str]) -> dict:
    kinds = ["feed", "feed", "feed", "feed", "next_tick", "next_tick", "participation", "level"]
    e: dict = {"kind": draw(st.sampled_from(kinds)), "counterparty": draw(st.sampled_from([*takers, "keepers"]))}
    e["ladder"] = None
    if e["kind"] == "participation":
        e["rate"] = draw(st.sampled_from(["1", "0.1", "1/3", "0.5"]))
        scaled = True
    else:
        price = draw(st.sampled_from(["ladder", "ladder", "impact", "impact", "impact", "discount", "plain"]))
        scaled = price == "impact"
        if price == "ladder":
            e["ladder"] = draw(ladders())
        elif price == "impact":
            e["impact"] = draw(impacts(day))
        elif price == "discount":
            e["discount"] = draw(st.sampled_from(["0.01", "0.2", "1/30"]))
    if draw(rarely(st.just(True), False)):
        receiver = draw(st.sampled_from([*[t for t in takers if t != "outside"], "keepers", "fees", *receivers]))
        rate = draw(st.sampled_from(["0.001", "0.05", "1/7"]))
        e["fee"] = {"rate": rate, "of": draw(st.sampled_from(["fill", "entry"])), "receiver": receiver}
    if "vault" in takers and e["kind"] != "level" and draw(rarely(st.just(True), False)):
        e["takeover"] = {"below": draw(st.sampled_from(["2/3", "0.5", "1", "0.1"]))}
        e["takeover"]["floor"] = draw(st.sampled_from([None, None, "0", "50", "1e5"]))
    if draw(rarely(st.just(True), False)):
        e["bound"] = {
            "kind": draw(st.sampled_from(["bankruptcy", "fillable"])),
            "adjustment": draw(st.sampled_from(["1", "2"])),
            "spread": draw(st.sampled_from(["1.5", "0.1", "1/3"])),
            "remainder": draw(
                st.sampled_from([*takers, "keepers", "retry", "retry", *["adl", "adl", "deleverage"] * deleverages])
            ),
        }
    if scaled and draw(st.booleans()):
        e["book_scale"] = {draw(st.sampled_from(sorted(day.markets))): draw(st.sampled_from(["0.5", "3", "1/7"]))}
    return e


@st.composite
def impacts(draw: st.DrawFn, day: Day) -> dict:
    impact: dict = {
        "kind": draw(st.sampled_from(["linear", "linear", "square_root", "ladder", "constant_product"])),
        "depth": draw(st.sampled_from(["1e4", "300", "1e5", "2e6", "1234.5"])),
        "half_life": draw(st.sampled_from([None, 3, 10, 100, 0, 1])),
        "permanent": draw(st.sampled_from(["0", "0", "0.5", "1/3", "1"])),
        "limit": draw(st.sampled_from(["1", "1", "0.3", "0.05"])),
        "feedback": draw(st.booleans()),
    }
    if impact["kind"] == "ladder":
        rungs = draw(st.sampled_from([["0", "-0.05"], ["-0.01", "-0.1", "-0.4"], ["-0.2"]]))
        impact["rungs"] = [{"share": draw(st.sampled_from(["0.2", "0.5", "1/3"])), "offset": x} for x in rungs]
    if impact["kind"] == "square_root":
        impact["coefficient"] = draw(st.sampled_from(["1", "0.5", "1/3"]))
    if draw(rarely(st.just(True), False)):
        impact["markets"] = {draw(st.sampled_from(sorted(day.markets))): draw(st.sampled_from(["50", "1e6"]))}
    return impact


def latencies() -> st.SearchStrategy:
    fixed = st.sampled_from(LATENCIES)
    uniform = st.tuples(st.integers(0, 3), st.integers(0, 9)).map(
        lambda ends: {"kind": "uniform", "low": ends[0], "high": ends[0] + ends[1]}
    )
    values = st.tuples(st.sampled_from([0, 1, 2, 9]), st.integers(1, 3)).map(
        lambda value: {"latency": value[0], "weight": value[1]}
    )
    empirical = st.lists(values, min_size=1, max_size=3).map(lambda values: {"kind": "empirical", "values": values})
    lognormal = st.fixed_dictionaries(
        {
            "kind": st.just("lognormal"),
            "median": st.sampled_from([1, 4, 40, 0]),
            "sigma": st.sampled_from(["0.5", "1/3", "3", "0"]),
            "maximum": st.sampled_from([None, None, 12]),
        }
    )
    return st.one_of(fixed, fixed, uniform, empirical, lognormal)


@st.composite
def keepers(draw: st.DrawFn) -> dict:
    """Polls, latencies that are drawn, capacity, failures, profit, and regimes: at least one of them."""
    capacity = st.fixed_dictionaries({"limit": st.sampled_from([1, 1, 2, 0]), "window": st.sampled_from([1, 2, 5, 20])})
    failure = st.fixed_dictionaries(
        {"probability": st.sampled_from(["0.5", "1/3", "0.9", "1", "0"]), "retry": st.sampled_from([1, 2, 5])}
    )
    times = st.integers(0, 40).map(lambda t: ["offset", t])
    factors = st.sampled_from(["1", "6", "0.1", "1/3", "0"])
    wanted = draw(st.sets(st.sampled_from(["poll", "latency", "capacity", "failure", "profit", "regimes"]), min_size=1))
    keeper: dict = {"seed": draw(st.sampled_from([0, 1, 2**64 - 1]))}
    if "poll" in wanted:
        keeper["poll"] = draw(st.sampled_from([1, 2, 3, 5, 11]))
    if "latency" in wanted:
        keeper["latency"] = draw(latencies())
    if "capacity" in wanted:
        keeper["capacity"] = draw(capacity)
    if "failure" in wanted:
        keeper["failure"] = draw(failure)
    if "profit" in wanted:
        keeper["minimum_profit"] = draw(st.sampled_from(["0", "0.5", "3", "0.01"]))
        steps = draw(st.lists(st.integers(0, 40), unique=True, max_size=4).map(sorted))
        series = [{"at": ["offset", t], "factor": draw(factors)} for t in steps]
        keeper["gas"] = {"base": draw(st.sampled_from(["1", "0.5", "4", "20"])), "series": series}
    if "regimes" in wanted:
        keeper["regimes"] = []
        for _ in range(draw(st.integers(1, 3))):
            start = draw(times)
            later = st.integers(1, 30).map(lambda d, t=start[1]: ["offset", t + d])
            regime = {"start": start, "end": draw(st.one_of(st.none(), later, later))}
            regime["latency"] = draw(rarely(latencies(), one_in=2))
            regime["capacity"] = draw(rarely(capacity, one_in=3))
            regime["failure"] = draw(rarely(failure, one_in=3))
            regime["gas_factor"] = draw(rarely(factors, one_in=2)) if "gas" in keeper else None
            keeper["regimes"].append(regime)
    return keeper


def ladders() -> st.SearchStrategy:
    shares = st.sampled_from(["0.5", "0.2", "1/3", "0.1", "1"])
    offsets = st.lists(st.sampled_from(["0.02", "0", "-0.02", "-0.05", "-0.15", "-0.6"]), min_size=2, max_size=3)
    rungs = offsets.flatmap(lambda offsets: st.tuples(*[st.tuples(shares, st.just(offset)) for offset in offsets]))
    return rungs.map(lambda rungs: [{"share": share, "offset": offset} for share, offset in rungs])


@st.composite
def splits(draw: st.DrawFn, entities: list[str]) -> dict[str, str]:
    shares = draw(st.sampled_from([["1"], ["1/3", "2/3"], ["1/2", "1/2"], ["1/3"] * 3][: len(entities) + 1]))
    return dict(zip(draw(st.permutations(entities)), shares, strict=False))


DEFAULTS = {
    "feeds": {},
    "trigger_feed": "last",
    "execution_feed": "last",
    "collateral_feed": None,
    "adl_feed": None,
    "counterparty": "outside",
    "execution": {"kind": "feed", "counterparty": "outside", "ladder": None},
    "keeper": {"latency": 0, "rounds": 1},
    "residual": "account",
    "settlement": "per_fill",
    "loss_unit": "account",
    "attribution": "notional",
    "outside": "keeps",
    "late_deposits": "ignore",
    "limits": {},
    "withdrawal_gate": None,
    "clearing_house": None,
}


def without_defaults(p: dict) -> dict:
    return {key: value for key, value in p.items() if key not in DEFAULTS or value != DEFAULTS[key]}


# --- everything


def needs_sizes(protocol: dict) -> bool:
    fund = protocol.get("insurance_fund", {})
    shares = any("fees" in f for f in [fund, *fund.get("funds", {}).values()])
    return shares or protocol.get("execution", {}).get("kind") == "participation"


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    day = draw(days())
    positions, accounts, events = draw(books(day))
    options: dict = {"opening": draw(st.sampled_from(["keep", "keep", "keep", "reject", "rescale"]))}
    own = ["last", "last", "index"] if day.has_index else ["last"]
    derived = derived_feed(own).filter(lambda feed: feed["kind"] not in TWO_SIDED)
    feed = st.one_of(push_feeds(st.sampled_from(own)), derived)
    reference = draw(rarely(feed, draw(st.sampled_from(own)), 2))
    options |= {"reference": reference} if reference != "last" else {}
    definitions = {"markets": list(day.markets.values()), "assets": list(day.assets.values())}
    protocol, sizes = draw(protocols(day)), None
    if needs_sizes(protocol):
        some = st.sampled_from([10, 0, 1, 3, 40])
        sizes = draw(st.lists(some, min_size=len(day.rows), max_size=len(day.rows)))
    return Scenario(definitions, day.rows, positions, accounts, events, protocol, options, sizes)


@st.composite
def pooled(draw: st.DrawFn) -> Scenario:
    """A day on which a pool stands against everyone and pays winners by rules."""
    s = draw(scenarios())
    p, days = s.protocol, Day({m["name"]: m for m in s.definitions["markets"]}, {}, s.rows, [])
    days.assets = {a["name"]: a for a in s.definitions["assets"]}
    days.traded = sorted({row["market"] for row in s.positions}) or list(days.markets)
    p["pool"] = {"balance": draw(st.sampled_from([*BALANCES, "500"]))}
    p["counterparty"] = "pool"
    execution = p.setdefault("execution", {"kind": "feed"})
    execution["counterparty"] = "pool"
    execution.pop("takeover", None)
    if "bound" in execution:
        execution["bound"]["remainder"] = draw(st.sampled_from(["pool", "retry"]))
    p["payout"] = draw(payout_rules(days))
    if p["payout"]["when_short"] != "pay" and draw(st.booleans()):
        p["pool"] = {"balance": draw(st.sampled_from(["5", "100", "30", "0"]))}
    if draw(st.sampled_from([True, True, False])):
        p["payout"]["adl"] = draw(pool_adls())
    return s


@st.composite
def deleveraged(draw: st.DrawFn) -> Scenario:
    """A day on which ADL comes first, or soon after a fund; on half of them little stands between a trigger and its close."""
    s = draw(scenarios())
    p = s.protocol
    if draw(st.booleans()):
        p.pop("guard", None)
        p["keeper"] = {name: value for name, value in p.get("keeper", {}).items() if name in ("latency", "rounds")}
    if "insurance_fund" in p:
        p["insurance_fund"] |= {"balance": draw(st.sampled_from(["5", "100", "0"])), "coverage": "slices"}
    p["adl"] = {"capacity": draw(st.sampled_from(["equity", "position", "profit"]))}
    p["adl"] |= draw(deleveraging(p, any(m.get("index") for m in s.definitions["markets"])))
    p["waterfall"] = draw(st.sampled_from([["insurance_fund", "adl"], ["adl", "insurance_fund"]]))
    if "insurance_fund" not in p:
        p["waterfall"] = ["adl"]
    p.pop("limits", None)
    for one in p.get("delistings", []):
        # Much is negative where little else closes it first.
        one["negative"] = draw(st.sampled_from(["adl", "waterfall"])) if can_match(p, one["price"]) else "waterfall"
    if draw(st.booleans()):
        p["limits"] = draw(layer_limits(p, p["waterfall"]))
    p["outside"] = draw(st.sampled_from(["keeps", "hedges", "hedges"]))
    bound = p.get("execution", {}).get("bound")
    # A pool that pays profits is the other side of everything.
    if bound is not None and "payout" not in p and draw(st.booleans()):
        bound["remainder"] = "adl"
    return s
