"""Random small days: the tape, and a book that can lose on it.

Nanoseconds are counted from 0, prices move by whole per cent, leverage is high, winners stand beside losers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st


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
