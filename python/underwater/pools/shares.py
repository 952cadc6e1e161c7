"""Shares of a pool or vault: minted and redeemed at once or by epochs, at a price that follows from its net asset value."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import polars as pl
from pydantic_core import PydanticCustomError

from underwater.durations import parse_duration
from underwater.errors import ConfigError, DataError
from underwater.metrics._frames import USD
from underwater.numbers import Dollars, parse_exact

MICRO = 10**6
UNIT = 10**18
SHARES = pl.Decimal(38, 18)
TIME = pl.Datetime("ns", "UTC")


class Lag(NamedTuple):
    """How long a withdrawal waits, from a collateralisation on."""

    over: Dollars
    """Net asset value over the claims of all shares, above which this holds."""
    epochs: int
    """Starts of epochs until a request is executed."""


@dataclass(frozen=True)
class Epochs:
    """The price of a share changes at the starts of epochs only, and withdrawals wait for one (gTrade)."""

    length: str | timedelta = "3d"
    """Duration of an epoch; the first starts at the first time of the path."""
    lags: tuple[Lag, ...] = (Lag("1.2", 1), Lag("1.1", 2), Lag(0, 3))
    """The first that holds at the request counts; the last must be over 0. gTrade: 1 epoch above 120 %, 2 above 110 %, else 3."""


@dataclass(frozen=True)
class Shares:
    """Rules of the shares of a pool or vault. docs/pools.md has every rule to the last unit."""

    supply: Dollars | None = None
    """Shares at the open; None: as many as there are dollars, at a price of 1."""
    holders: Mapping[str, Dollars] = field(default_factory=dict)
    """Shares of the providers at the open; what they leave belongs to `others`."""
    fee: Dollars = 0
    """Rate of what is brought, and of what is paid out, that leaves for fees (GMX v1: 0.0025 and more)."""
    epochs: Epochs | None = None
    """None: requests are executed at once, at the price of their time."""
    par: Dollars | None = None
    """Claim of a share: above it, net asset value is a buffer, which pays before the price falls (gTrade: 1 and rewards).
    None: no buffer."""
    minimum_usd: Dollars = 0
    """A withdrawal is refused that would leave a net asset value (the lower) below this: reserves, for instance."""


@dataclass(frozen=True)
class ShareAccounting:
    """What became of the shares."""

    path: pl.DataFrame
    """`ts`, `entity`, `nav_usd`, `nav_max_usd`, `shares`, `price` (null without shares), `collateralisation` (Float64; over
    `par`, else over the price), and cumulated `deposits_usd` (less fees), `withdrawals_usd` (with fees), `fees_usd`: one row
    per valuation and per execution."""
    requests: pl.DataFrame
    """`ts`, `lp`, `kind`, `amount` (as asked), `status` (`done`, `refused`, `pending`), `reason`, `executed_ts`, `shares`,
    `amount_usd` (brought with the fee, or paid out without), `fee_usd`."""
    holders: pl.DataFrame
    """`lp`, `opening_shares`, `closing_shares`, `opening_usd`, `deposits_usd`, `withdrawals_usd` (received), `fees_usd`,
    `closing_usd` (its part of the net asset value) and `result_usd` = closing + withdrawals - deposits - opening.
    Results + fees = what the entity gained."""
    entries: tuple[tuple[int, dict[str, int]], ...] = field(repr=False)

    def attribute(self, amounts: pl.DataFrame) -> pl.DataFrame:
        """Who bears amounts of an entity: each split by the shares held before it, cumulated floors: `ts`, `lp`, `amount_usd`.

        Args:
            amounts: `ts`, `amount_usd`, such as payments for losses.
        """
        rows = []
        times = [ts for ts, _ in self.entries]
        for ts, amount in _timed(amounts).select("ts", "amount_usd").sort("ts", maintain_order=True).rows():
            held = self.entries[max(0, bisect_left(times, ts) - 1)][1]
            parts = split(_micro(amount), held)
            rows += [{"ts": ts, "lp": lp, "amount_usd": _usd(part)} for lp, part in parts.items() if part]
        return _frame(rows, {"ts": TIME, "lp": pl.String, "amount_usd": USD})


def split(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """An amount by weights: differences of cumulated floors, in the order of the names, so that the parts sum to it."""
    total, sign = sum(weights.values()), 1 if amount >= 0 else -1
    done = seen = 0
    parts = {}
    for name in sorted(weights):
        seen += weights[name]
        upto = abs(amount) * seen // total if total else 0
        parts[name], done = sign * (upto - done), upto
    return parts


def share_accounting(
    nav: pl.DataFrame,
    flows: pl.DataFrame | Iterable[Mapping[str, Any]] = (),
    shares: Shares | None = None,
    *,
    entity: str = "pool",
) -> ShareAccounting:
    """Shares of an entity through the day.

    >>> import polars as pl, underwater as uw
    >>> nav = pl.DataFrame({"ts": pl.from_epoch([0, 10]), "nav_usd": [100, 150]})
    >>> flows = [{"ts": nav["ts"][1], "lp": "ann", "kind": "deposit", "amount": 75}]
    >>> uw.pools.share_accounting(nav, flows).path.select("shares", "price")["price"].to_list()[-1]
    Decimal('1.500000000000000000')

    Args:
        nav: `ts`, `nav_usd` and optionally `nav_max_usd`, by time, without what providers bring and take: `uw.metrics.path`
            with its level, or `uw.pools.valuation`. Deposits mint at the higher value, withdrawals redeem at the lower.
        flows: `ts`, `lp`, `kind` (`deposit` or `withdrawal`), `amount` (dollars of a deposit, shares of a withdrawal).
        shares: the rules; None: price 1 at the open, at once, without fees.
        entity: name in the frame.

    Raises:
        ConfigError: a rule cannot be read.
        DataError: a frame has other columns, is not by time, or a flow comes before the first valuation.
    """
    return _Run(_levels(nav), _requests(flows), shares or Shares(), entity).run()


def _exact(value: Any, name: str) -> Fraction:
    try:
        found = parse_exact(value)
    except PydanticCustomError as error:
        raise ConfigError(f"{name}: {error.message()}") from None
    if found < 0:
        raise ConfigError(f"{name}: expected at least 0, got {value!r}")
    return found


def _micro(value: Any) -> int:
    return int(Fraction(value) * MICRO // 1)


def _usd(micro: int) -> Decimal:
    return Decimal(f"{micro}e-6")


def _shares(units: int) -> Decimal:
    return Decimal(f"{units}e-18")


def _levels(nav: pl.DataFrame) -> list[tuple[int, int, int]]:
    lower = next((name for name in ("nav_usd", "level_usd") if name in nav.columns), None)
    if lower is None or "ts" not in nav.columns or nav.is_empty():
        raise DataError(f"nav: expected rows of ts and nav_usd, got columns {nav.columns} and {len(nav)} rows")
    upper = "nav_max_usd" if "nav_max_usd" in nav.columns else lower
    if not nav["ts"].is_sorted() or nav.select(pl.any_horizontal(pl.col("ts", lower, upper).is_null()).any()).item():
        raise DataError("nav: expected rows by time, without nulls")
    rows = [
        (ts, _micro(low), _micro(high))
        for ts, low, high in _timed(nav).select("ts", lower, pl.col(upper).alias("_high")).rows()
    ]
    # Of one timestamp the last counts.
    return list({ts: (ts, low, high) for ts, low, high in rows}.values())


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    """With times as nanoseconds since 1970."""
    kind = frame.schema["ts"]
    if not isinstance(kind, pl.Datetime):
        raise DataError(f"ts: expected a time, got {kind}")
    zoned = (
        pl.col("ts").dt.replace_time_zone("UTC") if kind.time_zone is None else pl.col("ts").dt.convert_time_zone("UTC")
    )
    return frame.with_columns(zoned.dt.timestamp("ns"))


def _requests(flows: pl.DataFrame | Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = flows if isinstance(flows, pl.DataFrame) else pl.DataFrame(list(flows), infer_schema_length=None)
    if rows.is_empty():
        return []
    missing = {"ts", "lp", "kind", "amount"} - set(rows.columns)
    if missing:
        raise DataError(f"flows: column {sorted(missing)[0]!r} is missing")
    found = []
    for place, row in enumerate(_timed(rows).rows(named=True)):
        if row["kind"] not in ("deposit", "withdrawal"):
            raise DataError(f"flows: row {place}, kind: expected 'deposit' or 'withdrawal', got {row['kind']!r}")
        try:
            amount = parse_exact(row["amount"])
        except PydanticCustomError as error:
            raise DataError(f"flows: row {place}, amount: {error.message()}") from None
        if amount <= 0 or row["ts"] is None or row["lp"] is None:
            raise DataError(f"flows: row {place}: expected a time, a provider and an amount above 0, got {row}")
        found.append({**row, "asked": amount})
    return sorted(found, key=lambda row: row["ts"])


class _Run:
    """One pass through valuations, requests and epochs, in the order of their times."""

    def __init__(
        self, levels: list[tuple[int, int, int]], requests: list[dict[str, Any]], rules: Shares, entity: str
    ) -> None:
        self.levels, self.requests, self.entity = levels, requests, entity
        if requests and requests[0]["ts"] < levels[0][0]:
            raise DataError(
                f"flows: expected nothing before the first valuation, got a request of {requests[0]['lp']!r}"
            )
        self.fee = _exact(rules.fee, "fee")
        if self.fee >= 1:
            raise ConfigError(f"fee: expected less than 1, got {rules.fee!r}")
        self.par = None if rules.par is None else _exact(rules.par, "par")
        if self.par == 0:
            raise ConfigError("par: expected more than 0, got 0")
        self.minimum = _exact(rules.minimum_usd, "minimum_usd") * MICRO
        self.lags: list[tuple[Fraction, int]] = []
        if rules.epochs is not None:
            self.length = _length(rules.epochs.length)
            self.lags = [(_exact(lag.over, "epochs.lags"), lag.epochs) for lag in rules.epochs.lags]
            if not self.lags or self.lags[-1][0] != 0 or any(n < 1 for _, n in self.lags):
                raise ConfigError("epochs.lags: expected lags of at least one epoch, the last over 0")
        self.low, self.high = levels[0][1:]
        units = (
            max(0, self.low) * (UNIT // MICRO)
            if rules.supply is None
            else int(_exact(rules.supply, "supply") * UNIT // 1)
        )
        self.held = {name: int(_exact(n, f"holders.{name}") * UNIT // 1) for name, n in rules.holders.items()}
        rest = units - sum(self.held.values())
        if rest < 0 or "others" in self.held:
            raise ConfigError(f"holders: expected at most {_shares(units)} shares in all, and none named 'others'")
        self.held["others"] = rest
        self.opening_held = dict(self.held)
        self.opening = split(self.low, self.held)
        self.net = self.deposits = self.withdrawals = self.fees = 0
        self.by_lp: dict[str, dict[str, int]] = {}
        self.rows: list[dict[str, Any]] = []
        self.done: list[dict[str, Any]] = []
        self.entries = [(levels[0][0], dict(self.held))]
        self.price = self._nav_price(self.low)

    @property
    def supply(self) -> int:
        return sum(self.held.values())

    def _nav_price(self, nav: int) -> Fraction | None:
        """Dollars of a share: net asset value over shares, at most par, at least 0."""
        if not self.supply:
            return None
        price = max(Fraction(0), Fraction(nav * (UNIT // MICRO), self.supply))
        return price if self.par is None else min(self.par, price)

    def run(self) -> ShareAccounting:
        """Epochs come before the valuation, this before the requests of the same time."""
        start, epoch = self.levels[0][0], 0
        pending: list[dict[str, Any]] = []
        events: list[tuple[int, int, Any]] = [(level[0], 1, level) for level in self.levels]
        events += [(row["ts"], 2, row) for row in self.requests]
        if self.lags:
            last = max(self.levels[-1][0], self.requests[-1]["ts"] if self.requests else start)
            events += [(start + k * self.length, 0, k) for k in range(1, (last - start) // self.length + 1)]
        at_time = {level[0]: level for level in self.levels}
        for ts, order, what in sorted(events, key=lambda event: event[:2]):
            if order == 0:
                epoch = what
                if ts in at_time:
                    self.low, self.high = at_time[ts][1:]
                self.price = self._nav_price(self.low + self.net)
                due = [row for row in pending if row["due"] <= epoch]
                pending = [row for row in pending if row["due"] > epoch]
                for row in due:
                    self._withdraw(ts, row)
                if not due:
                    self._row(ts)
            elif order == 1:
                self.low, self.high = what[1:]
                self._row(ts)
            elif what["kind"] == "deposit":
                self._deposit(ts, what)
            elif self.lags:
                over = self._collateralisation()
                lag = next(n for limit, n in self.lags if over > limit or limit == 0)
                pending.append({**what, "due": epoch + lag})
            else:
                self._withdraw(ts, what)
        self.done += [{**row, "status": "pending"} for row in pending]
        return self._result()

    def _collateralisation(self) -> Fraction:
        claim = self.par if self.par is not None else self.price
        if not self.supply or not claim:
            return Fraction(0)
        return max(Fraction(0), Fraction((self.low + self.net) * (UNIT // MICRO), self.supply) / claim)

    def _deposit(self, ts: int, row: dict[str, Any]) -> None:
        amount = int(row["asked"] * MICRO // 1)
        net = int(amount * (1 - self.fee) // 1)
        # An epoch's price is that of its start; at once, the price of the higher valuation.
        price = self.price if self.lags else self._nav_price(self.high + self.net)
        if self.supply == 0:
            price = self.par or Fraction(1)
        if not price:
            self._refuse(row, "nothing is left")
            return
        minted = int(Fraction(net * (UNIT // MICRO)) / price // 1)
        self.held[row["lp"]] = self.held.get(row["lp"], 0) + minted
        self.net += net
        self.deposits += net
        self._execute(ts, row, minted, amount, amount - net)

    def _withdraw(self, ts: int, row: dict[str, Any]) -> None:
        burnt = int(row["asked"] * UNIT // 1)
        if burnt > self.held.get(row["lp"], 0):
            self._refuse(row, "more than it holds")
            return
        price = self.price if self.lags else self._nav_price(self.low + self.net)
        gross = int(Fraction(burnt) * (price or 0) / (UNIT // MICRO) // 1)
        if self.low + self.net - gross < self.minimum:
            self._refuse(row, "below the minimum")
            return
        paid = int(gross * (1 - self.fee) // 1)
        self.held[row["lp"]] -= burnt
        self.net -= gross
        self.withdrawals += gross
        self._execute(ts, row, burnt, paid, gross - paid)

    def _refuse(self, row: dict[str, Any], reason: str) -> None:
        self.done.append({**row, "status": "refused", "reason": reason})

    def _execute(self, ts: int, row: dict[str, Any], units: int, amount: int, fee: int) -> None:
        self.fees += fee
        mine = self.by_lp.setdefault(row["lp"], {"deposit": 0, "withdrawal": 0, "fee": 0})
        mine[row["kind"]] += amount
        mine["fee"] += fee
        self.done.append(
            {
                **row,
                "status": "done",
                "executed_ts": ts,
                "shares": _shares(units),
                "amount_usd": _usd(amount),
                "fee_usd": _usd(fee),
            }
        )
        self.entries.append((ts, dict(self.held)))
        self._row(ts)

    def _row(self, ts: int) -> None:
        price = self.price if self.lags else self._nav_price(self.low + self.net)
        self.rows.append(
            {
                "ts": ts,
                "entity": self.entity,
                "nav_usd": _usd(self.low + self.net),
                "nav_max_usd": _usd(self.high + self.net),
                "shares": _shares(self.supply),
                "price": None if price is None else _shares(int(price * UNIT // 1)),
                "collateralisation": float(self._collateralisation()),
                "deposits_usd": _usd(self.deposits),
                "withdrawals_usd": _usd(self.withdrawals),
                "fees_usd": _usd(self.fees),
            }
        )

    def _result(self) -> ShareAccounting:
        closing = split(self.low + self.net, self.held)
        holders = []
        for lp in sorted(self.held):
            mine = self.by_lp.get(lp, {"deposit": 0, "withdrawal": 0, "fee": 0})
            opening = self.opening.get(lp, 0)
            holders.append(
                {
                    "lp": lp,
                    "opening_shares": _shares(self.opening_held.get(lp, 0)),
                    "closing_shares": _shares(self.held[lp]),
                    "opening_usd": _usd(opening),
                    "deposits_usd": _usd(mine["deposit"]),
                    "withdrawals_usd": _usd(mine["withdrawal"]),
                    "fees_usd": _usd(mine["fee"]),
                    "closing_usd": _usd(closing[lp]),
                    "result_usd": _usd(closing[lp] + mine["withdrawal"] - mine["deposit"] - opening),
                }
            )
        asked = [
            {**row, "amount": _shares(int(row["asked"] * UNIT // 1))}
            for row in sorted(self.done, key=lambda r: r["ts"])
        ]
        text, usd = pl.String, USD
        return ShareAccounting(
            path=_frame(
                self.rows,
                {
                    "ts": TIME,
                    "entity": text,
                    "nav_usd": usd,
                    "nav_max_usd": usd,
                    "shares": SHARES,
                    "price": SHARES,
                    "collateralisation": pl.Float64,
                    "deposits_usd": usd,
                    "withdrawals_usd": usd,
                    "fees_usd": usd,
                },
            ),
            requests=_frame(
                asked,
                {
                    "ts": TIME,
                    "lp": text,
                    "kind": text,
                    "amount": SHARES,
                    "status": text,
                    "reason": text,
                    "executed_ts": TIME,
                    "shares": SHARES,
                    "amount_usd": usd,
                    "fee_usd": usd,
                },
            ),
            holders=_frame(
                holders,
                {
                    "lp": text,
                    "opening_shares": SHARES,
                    "closing_shares": SHARES,
                    **dict.fromkeys(
                        ("opening_usd", "deposits_usd", "withdrawals_usd", "fees_usd", "closing_usd", "result_usd"), usd
                    ),
                },
            ),
            entries=tuple(self.entries),
        )


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """Rows with exactly these columns; times come as nanoseconds."""
    plain = {name: pl.Int64 if kind == TIME else kind for name, kind in schema.items()}
    return pl.DataFrame([[row.get(name) for name in schema] for row in rows], schema=plain, orient="row").cast(
        {name: TIME for name, kind in schema.items() if kind == TIME}
    )


def _length(length: str | timedelta) -> int:
    try:
        nanoseconds = parse_duration(length)
    except PydanticCustomError as error:
        raise ConfigError(f"epochs.length: {error.message()}") from None
    if nanoseconds == 0:
        raise ConfigError(f"epochs.length: expected more than 0, got {length!r}")
    return nanoseconds
