"""The feeds and the guard (section 3)."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

from judge.draws import draw, drawn_latency
from judge.tape import Tape

ORACLE = 6
State = tuple[int, int]


class Feed:
    """A step series per market and side: the prints that become visible at each timestamp, in order."""

    def __init__(self, tape: Tape, spec: dict | str, feeds: dict[str, dict], markets: list[str] | None = None):
        if isinstance(spec, str):
            spec = named_feed(spec, feeds)
        self.steps: dict[tuple[str, int], list[tuple[int, list[int]]]] = {}
        for market in tape.markets if markets is None else markets:
            for side in (1, -1):
                self.steps[market, side] = published(tape, market, spec, feeds, side)

    def price(self, market: str, t: int, side: int = 1) -> int:
        """The last print visible at t; before the first timestamp of the feed, what it shows at that timestamp."""
        steps = self.steps[market, 1 if side >= 0 else -1]
        seen = steps[0][1][-1]
        for ts, prints in steps:
            if ts <= t:
                seen = prints[-1]
        return seen

    def prints_at(self, market: str, t: int, side: int = 1) -> list[int]:
        """The prints that became visible at exactly t; empty if the feed was not updated."""
        steps = self.steps[market, 1 if side >= 0 else -1]
        return next((prints for ts, prints in steps if ts == t), [])

    def updated(self, market: str, t: int) -> int | None:
        """The last timestamp up to t."""
        return max((ts for ts, _ in self.steps[market, 1] if ts <= t), default=None)


def named_feed(name: str, feeds: dict[str, dict]) -> dict:
    predefined = {"last": {"kind": "last", "source": "own"}, "index": {"kind": "last", "source": "index"}}
    return feeds.get(name) or predefined[name]


def group(states: list[State]) -> list[tuple[int, list[int]]]:
    steps: list[tuple[int, list[int]]] = []
    for ts, price in states:
        if steps and steps[-1][0] == ts:
            steps[-1][1].append(price)
        else:
            steps.append((ts, [price]))
    return steps


def published(tape: Tape, market: str, spec: dict, feeds: dict[str, dict], side: int) -> list[tuple[int, list[int]]]:
    if spec["kind"] == "last":
        prints = group(tape.source(market, spec.get("source", "own")))
        each = spec.get("prints", "last_of_instant") == "each"
        return prints if each else [(ts, seen[-1:]) for ts, seen in prints]
    return [(ts, [prints[-1]]) for ts, prints in group(states(tape, market, spec, feeds, side))]


def states(tape: Tape, market: str, spec: dict, feeds: dict[str, dict], side: int) -> list[State]:
    """What a feed that is made from others shows, one state for each timestamp."""
    kind = spec["kind"]
    names = spec["sources"] if "sources" in spec else [spec["source"]]
    if kind in ("spread", "basis"):
        names = [spec["source"], spec["reference"]]
    sources = [Feed(tape, name, feeds, [market]) for name in names]
    first = [(ts, prints[-1]) for ts, prints in sources[0].steps[market, 1]]
    if kind == "push":
        return push(first, spec, tape.start, sorted(tape.markets).index(market))
    if kind == "paused":
        return paused(first, spec, tape)
    if kind == "lagged":
        return [(ts, first[max(0, i - 1)][1]) for i, (ts, _) in enumerate(first)]
    if kind in ("periodic", "ema", "twap"):
        value = {"periodic": latest, "ema": ema, "twap": twap}[kind]
        return [first[0]] + [(t, value(first, t, spec)) for t in points(spec, first[0][0], tape.end)]
    times = sorted({ts for source in sources for ts, _ in source.steps[market, 1]})
    together = [(t, [source.price(market, t) for source in sources]) for t in times]
    if kind == "median":
        return [(t, median(prices)) for t, prices in together]
    if kind == "basis":
        distances = [(t, p - r) for t, (p, r) in together]
        after = [(t, basis(together, distances, t, spec)) for t in points(spec, times[0], tape.end)]
        return [(times[0], together[0][1][0]), *after]
    worst = min if side > 0 else max
    if kind == "spread":
        limit = Fraction(spec["limit"])
        return [(t, worst(p, r) if abs(p - r) > limit * r else p) for t, (p, r) in together]
    return [(t, worst(prices)) for t, prices in together]


def push(source: list[State], spec: dict, opening: int, market: int) -> list[State]:
    """The writes of an oracle, at the time they become visible."""
    deviation, heartbeat = Fraction(spec["deviation"]), spec["heartbeat"]
    late = spec.get("observed") == "when_visible"
    (last_ts, last), shown = source[0], []

    def visible(ts: int) -> int:
        latency = drawn_latency(spec.get("latency", 0), draw(spec.get("seed", 0), ORACLE, market, len(shown)))
        return max([ts + latency, *[t + 1 for t, _ in shown]])

    shown.append((visible(last_ts), last))
    for ts, price in source[1:]:
        if late and len(shown) > 1 and ts <= last_ts:
            continue
        due = abs(price - last) >= deviation * last or ts - last_ts >= heartbeat
        down = any(o["start"] <= ts - opening < o["end"] for o in spec.get("outages", ()))
        if due and not down:
            seen = visible(ts)
            last_ts, last = (seen, latest(source, seen, spec)) if late else (ts, price)
            shown.append((seen, last))
    return shown


def paused(source: list[State], spec: dict, tape: Tape) -> list[State]:
    """The source but for its outages, at whose ends it may catch up."""
    outages = [(tape.start + o["start"], tape.start + o["end"]) for o in spec["outages"]]

    def down(t: int) -> bool:
        return any(start <= t < end for start, end in outages)

    shown = {ts: price for ts, price in source if ts == source[0][0] or not down(ts)}
    for _, end in outages:
        if spec.get("catch_up") and source[0][0] < end <= tape.end and not down(end):
            shown[end] = latest(source, end, spec)
    return sorted(shown.items())


def points(spec: dict, after: int, until: int) -> list[int]:
    return [t for t in range(after + 1, until + 1) if (t - spec.get("offset", 0)) % spec["every"] == 0]


def latest(source: list[State], t: int, spec: dict) -> int:
    return [price for ts, price in source if ts <= t][-1]


def twap(source: list[State], t: int, spec: dict) -> int:
    begin = max(t - spec["window"], source[0][0])
    return sum(latest(source, ns, spec) for ns in range(begin, t)) // (t - begin)


def median(prices: list[int]) -> int:
    ordered, middle = sorted(prices), len(prices) // 2
    return ordered[middle] if len(prices) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


LOG2_E = 1586259972792
ROOTS = [2**59]
for _ in range(40):
    ROOTS.append(math.isqrt(ROOTS[-1] * 2**60))


def decay(d: int, time_constant: int) -> int:
    y = d * LOG2_E // time_constant
    a = 2**60
    for k in range(1, 41):
        if y >> (40 - k) & 1:
            a = a * ROOTS[k] >> 60
    return a >> (y >> 40)


def ema(source: list[State], t: int, spec: dict) -> int:
    seen = [(ts, price) for ts, price in source if ts <= t]
    value, weight = seen[0][1] << 20, 0
    for (before, _), (ts, price) in pairwise(seen):
        d = ts - before
        weight = (weight * decay(d, spec["time_constant"]) >> 60) + (d << 12)
        value += ((price << 20) - value) * (d << 12) // weight
    return value >> 20


def basis(together: list[tuple[int, list[int]]], distances: list[State], t: int, spec: dict) -> int:
    reference = [prices[1] for ts, prices in together if ts <= t][-1]
    return max(1, reference + ema(distances, t, spec))


def when(time: tuple[str, int], start: int) -> int:
    """A time on the tape that begins at `start`."""
    return time[1] + (start if time[0] == "offset" else 0)


class Guard:
    """When a market is blocked."""

    def __init__(self, tape: Tape, spec: dict | None, trigger: Feed, feeds: dict[str, dict], halts: list[dict]):
        self.trigger = trigger
        self.halts = [(when(h["start"], tape.start), when(h["end"], tape.start), h.get("markets")) for h in halts]
        divergence = (spec or {}).get("divergence")
        self.staleness: int | None = (spec or {}).get("staleness")
        self.limit = Fraction(divergence["limit"]) if divergence else None
        self.feeds = [Feed(tape, divergence[name], feeds) for name in ("feed", "reference")] if divergence else []

    def halted(self, market: str | None, t: int) -> bool:
        """Whether the venue is down in a market; without one, as a whole."""
        return any(start <= t < end and (names is None or market in names) for start, end, names in self.halts)

    def blocks(self, market: str, t: int) -> bool:
        if self.halted(market, t):
            return True
        if self.limit is not None:
            a, b = (feed.price(market, t) for feed in self.feeds)
            if abs(a - b) > self.limit * b:
                return True
        updated = self.trigger.updated(market, t)
        return self.staleness is not None and updated is not None and t - updated > self.staleness

    def lifts(self, market: str, t: int) -> bool:
        return self.blocks(market, t - 1) and not self.blocks(market, t)
