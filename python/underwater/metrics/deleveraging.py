"""Auto-deleveraging of a run: who was deleveraged, by how much, and what it came to later (metric 10)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from underwater.durations import parse_duration
from underwater.errors import BookError
from underwater.metrics import fairness
from underwater.metrics._frames import USD, Source, absorbing, frame, ratio

if TYPE_CHECKING:
    from underwater.book import Book
    from underwater.config import Protocol
    from underwater.ticks import Ticks

_POSITIVE = pl.col("give_up_usd").clip(lower_bound=0)


def adl_by_account(source: Source) -> pl.DataFrame:
    """One row per deleveraged holder, the largest notional first: `account`, `fills`, `notional_usd` (at the mark), `give_up_usd`
    (against no ADL at the reference; negative: it gained), `seized_usd` (the positive give-ups), `forgone_profit_usd`,
    `principal_usd`, and where the frame has `pnl_usd` and `equity_usd` (before the fill), those before the first fill,
    `haircut` (h: seized over the sum of PnL before the first fill in each market) and `haircut_per_equity` (h / e); null where
    there is no profit, or no equity.

    Needs `adl`.
    """
    fills = absorbing(frame(source, "adl"))
    rows = fills.group_by("account", maintain_order=True).agg(
        fills=pl.len(),
        notional_usd=pl.col("notional_usd").sum(),
        give_up_usd=pl.col("give_up_usd").sum(),
        seized_usd=_POSITIVE.sum(),
        forgone_profit_usd=pl.col("forgone_profit_usd").sum(),
        principal_usd=pl.col("principal_usd").sum(),
    )
    if {"pnl_usd", "equity_usd"} <= set(fills.columns):
        by_market = fills.group_by("account", "market", maintain_order=True).agg(
            pl.col("pnl_usd").first(), pl.col("equity_usd").first()
        )
        before = by_market.group_by("account").agg(pl.col("pnl_usd").sum(), pl.col("equity_usd").first())
        profit, equity = (pl.col(name).cast(pl.Float64) for name in ("pnl_usd", "equity_usd"))
        haircut = pl.col("seized_usd").cast(pl.Float64) / pl.when(profit > 0).then(profit)
        rows = rows.join(before, on="account", how="left", maintain_order="left").with_columns(
            haircut=haircut, haircut_per_equity=haircut / pl.when(equity > 0).then(equity)
        )
    return rows.sort(["notional_usd", "account"], descending=[True, False])


def adl(source: Source) -> dict[str, Any]:
    """Auto-deleveraging in figures: `fills`, `accounts`, `notional_usd`; `give_up_usd` (net), `taken_usd` (H: the
    positive give-ups), `needed_usd` (B: give-up less overshoot of the events with ADL), `overshoot_usd` (O = H - B),
    `overshoot_regret_usd` (sum over events of |H - B|), `forgone_profit_usd`, `principal_usd`; concentration of the
    notional by account: `gini`, `hhi`, `top_1_share`, `top_10_share` (accounts); and with `pnl_usd` in the frame
    `max_haircut`, `max_haircut_per_equity`, `ptsr`, `pmr` (definition `paper`; shortfalls are the bad debts of the
    losers), else None.

    Needs `adl`, `bad_debt`. Other figures per ADL fill: the needed budget of one fill |mark - price| |q| is its
    |give_up_usd| where the reference is the mark.
    """
    fills, accounts = absorbing(frame(source, "adl")), adl_by_account(source)
    zero = pl.lit(0).cast(USD)
    events = fills.group_by("event").agg(taken=_POSITIVE.sum(), net=pl.col("give_up_usd").sum())
    debts = frame(source, "bad_debt").filter(pl.col("event").is_not_null())
    lost = debts.group_by("event").agg(
        over=pl.col("adl_overshoot_usd").sum(),
        shortfall=pl.col("bad_debt_usd").sum(),
    )
    events = events.join(lost, on="event", how="left").with_columns(pl.col("over", "shortfall").fill_null(zero))
    needed = (pl.col("net") - pl.col("over")).clip(lower_bound=0)
    totals = events.select(
        needed=needed.sum(),
        overshoot=(pl.col("taken") - needed).sum(),
        regret=(pl.col("taken") - needed).abs().sum(),
    ).row(0, named=True)
    notional = [float(n) for n in accounts["notional_usd"]]
    figures: dict[str, Any] = {
        "fills": fills.height,
        "accounts": accounts.height,
        "notional_usd": accounts["notional_usd"].sum(),
        "give_up_usd": accounts["give_up_usd"].sum(),
        "taken_usd": accounts["seized_usd"].sum(),
        "needed_usd": totals["needed"],
        "overshoot_usd": totals["overshoot"],
        "overshoot_regret_usd": totals["regret"],
        "forgone_profit_usd": accounts["forgone_profit_usd"].sum(),
        "principal_usd": accounts["principal_usd"].sum(),
        "gini": fairness.gini(notional),
        "hhi": fairness.hhi(notional),
        "top_1_share": fairness.top_share(notional, 1),
        "top_10_share": fairness.top_share(notional, 10),
        "max_haircut": None,
        "max_haircut_per_equity": None,
        "ptsr": None,
        "pmr": None,
    }
    if "haircut" in accounts.columns and fills.height:
        known = accounts.filter(pl.col("pnl_usd").is_not_null())
        profits = [max(0.0, float(n)) for n in known["pnl_usd"]]
        seized = [float(n) for n in known["seized_usd"]]
        shortfalls = [float(n) for n in events["shortfall"]]
        figures["max_haircut"] = accounts["haircut"].max()
        figures["max_haircut_per_equity"] = accounts["haircut_per_equity"].max()
        figures["ptsr"] = fairness.ptsr(profits, seized, sum(shortfalls))
        figures["pmr"] = fairness.pmr(profits, seized, shortfalls)
    return figures


def markouts(source: Source, ticks: "Ticks", horizon: str = "5m") -> pl.DataFrame:
    """What each ADL fill came to for the deleveraged, against the ticks: `ts`, `account`, `market`, `asset`, `size` (Q,
    signed by the user's own trade, Float64), `price`, `mark`, `later` (last tick up to `horizon` after the fill),
    `immediate`, `opportunity`, `total` (in the settlement asset; negative: worse off). The market's contract size and
    kind count.

    Needs `adl`; loads the ticks.
    """
    markets = ticks.definitions.markets
    known = pl.DataFrame(
        {
            "market": [m.name for m in markets],
            "unit": [float(m.contract_size) for m in markets],
            "inverse": [m.kind == "inverse" for m in markets],
        }
    )
    step = pl.duration(nanoseconds=parse_duration(horizon))
    prints = ticks.load().to_polars()
    decimals = max(m.price_decimals or 0 for m in markets)
    prints = prints.select(
        "ts", pl.col("market").cast(pl.String), later=pl.col("price").cast(pl.Float64) / 10**decimals
    ).sort("ts", maintain_order=True)
    sign = pl.when(pl.col("side") == "short").then(1.0).otherwise(-1.0)
    rows = absorbing(frame(source, "adl")).select(
        "ts",
        "account",
        "market",
        "asset",
        size=sign * pl.col("size").cast(pl.Float64),
        price="price",
        mark=pl.col("mark_price").cast(pl.Float64),
        at=pl.col("ts") + step,
    )
    rows = rows.with_row_index("row").sort("at", maintain_order=True)
    rows = rows.join_asof(prints.rename({"ts": "at"}), on="at", by="market", check_sortedness=False)
    rows = rows.join(known, on="market", how="left").sort("row")

    def gain(of: str, to: str) -> pl.Expr:
        linear = pl.col(to) - pl.col(of)
        return (
            pl.col("size") * pl.col("unit") * pl.when("inverse").then(1 / pl.col(of) - 1 / pl.col(to)).otherwise(linear)
        )

    return rows.select(
        *("ts", "account", "market", "asset", "size", "price", "mark", "later"),
        immediate=gain("price", "mark"),
        opportunity=gain("mark", "later"),
        total=gain("price", "later"),
    )


def sybil(
    ticks: "Ticks", book: "Book", protocol: "Protocol", account: str, parts: int = 2, **options: Any
) -> pl.DataFrame:
    """Runs the day twice, the second time with an account split into equal ones, and says what that changed: `figure`, `whole`,
    `split`, `difference`.

    Figures: `give_up_usd` and `result_usd` of the account (of its parts together), `adl_give_up_usd` and
    `user_borne_usd` of all. A policy that cannot be gamed by splitting changes none of the first two, up to rounding.

    Args:
        ticks: the day.
        book: holds the account.
        protocol: the risk engine.
        account: the name to split; all its positions and cash are.
        parts: into how many; the last takes what cannot be divided.
        options: as for `replay`.

    Raises:
        BookError: there is no such account, or it has events.
    """
    from underwater.run import replay

    other = split_account(book, account, parts)
    rows = []
    for which in (book, other):
        result = replay(ticks, which, protocol, **options)
        own = result.accounts.filter(
            pl.coalesce("owner", "account") == account if which is other else pl.col("account") == account
        )
        result_usd = pl.col("closing_equity_usd") - pl.col("opening_equity_usd") - pl.col("deposits_usd")
        summary = result._summary
        rows.append(
            {
                "give_up_usd": float(own["adl_give_up_usd"].sum()),
                "result_usd": float(own.select(result_usd.sum()).item()),
                "adl_give_up_usd": float(summary["adl_give_up_usd"]),
                "user_borne_usd": float(summary["user_borne_usd"]),
            }
        )
    found = [(name, rows[0][name], rows[1][name], rows[1][name] - rows[0][name]) for name in rows[0]]
    schema = {"figure": pl.String(), "whole": pl.Float64(), "split": pl.Float64(), "difference": pl.Float64()}
    return pl.DataFrame(found, schema=schema, orient="row")


def split_account(book: "Book", account: str, parts: int = 2) -> "Book":
    """The book with an account split into `parts` of the same owner, `account/1` and so on.

    Sizes and money are divided to their last decimal, downward; the last part takes the rest.

    Raises:
        BookError: there is no such account, or it has events.
    """
    from underwater.book import Book

    def split(rows: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
        if "account" not in rows.columns:
            return rows
        own = pl.col("account") == account
        mine, others = rows.filter(own), rows.filter(~own)
        owner = pl.col("owner") if "owner" in rows.columns else pl.lit(None, pl.String)
        pieces = []
        for k in range(1, parts + 1):
            pieces.append(
                mine.with_columns(
                    account=pl.col("account") + f"/{k}",
                    owner=pl.coalesce(owner, "account"),
                    **{c: _part(mine, c, k, parts) for c in columns if c in rows.columns},
                )
            )
        return pl.concat([others.with_columns(owner=owner), *pieces], how="diagonal_relaxed")

    positions, cash = book.positions, book.accounts
    events = book.events
    named = [set(rows["account"]) for rows in (positions, cash) if "account" in rows.columns]
    if account not in set().union(*named):
        raise BookError(f"account: expected one of the book, got {account!r}")
    if "account" in events.columns and events.filter(account=account).height:
        raise BookError(f"account: {account!r} has events, which cannot be split")
    return Book.from_frames(
        split(positions, ("size", "collateral")),
        split(cash, ("collateral",)) if cash.width else None,
        events if events.width else None,
    )


def _part(rows: pl.DataFrame, column: str, k: int, parts: int) -> pl.Series:
    """Part k of so many of a column, in units of the last decimal that the column is written with."""
    exact = [None if value is None else Decimal(str(value)).normalize() for value in rows[column]]
    unit = min((Decimal(1).scaleb(int(v.as_tuple().exponent)) for v in exact if v), default=Decimal(1))
    unit = min(unit, Decimal(1))

    def part(value: Decimal | None) -> Decimal | None:
        if value is None:
            return None
        units = int(value / unit)
        each = units // parts if units >= 0 else -(-units // parts)
        return unit * (each if k < parts else units - each * (parts - 1))

    kind = rows.schema[column]
    made = [part(value) for value in exact]
    if kind.is_float():
        return pl.Series(column, [None if v is None else float(v) for v in made], dtype=kind)
    return pl.Series(column, made, dtype=pl.Decimal(38, 18)).cast(kind)


def give_up_share(source: Source) -> float | None:
    """Share of the bad debt that ADL gave up."""
    lines = dict(frame(source, "who_pays").select("line", "amount_usd").rows())
    return ratio(lines.get("adl", 0), lines.get("bad_debt", 0) + lines.get("opening", 0))
