"""Recomputed liquidation prices against those that a venue gave: Hyperliquid, 2026-02-05 05:10 UTC, 160 leading accounts with
2,113 positions, of which 1,495 have a liquidation price. `docs/books.md` has the table; run this file to print it.

Rates: maintenance is half of the initial margin at a coin's largest leverage. The snapshot does not say what that is; here it
is the largest that anyone has chosen, but for one account that has 20x on all its 189 coins. Brackets: as published.
"""

import sys
from collections import Counter, defaultdict
from fractions import Fraction
from statistics import median
from typing import Any

import polars as pl
import pytest
from cases import DATA

import underwater as uw

SNAPSHOT = DATA / "hyperliquid_positions_2026-02-05.parquet"
pytestmark = pytest.mark.skipif(not SNAPSHOT.is_file(), reason=f"the snapshot is not at {SNAPSHOT}")

Levels = list[tuple[int, int]]
"""Largest leverage from a notional on."""
PUBLISHED: dict[str, Levels] = {
    "BTC": [(0, 40), (150_000_000, 20)],
    "ETH": [(0, 25), (100_000_000, 15)],
    "SOL": [(0, 20), (70_000_000, 10)],
    "XRP": [(0, 20), (40_000_000, 10)],
}
SPLIT_AT = {
    20_000_000: "DOGE kPEPE SUI WLD TRUMP LTC ENA POPCAT WIF AAVE kBONK LINK CRV AVAX ADA UNI NEAR TIA APT BCH HYPE FARTCOIN",
    3_000_000: "OP ARB LDO TON MKR ONDO JUP INJ kSHIB SEI TRX BNB DOT",
}
PUBLISHED |= {name: [(0, 10), (at, 5)] for at, names in SPLIT_AT.items() for name in names.split()}
STANDARD = (3, 5, 10, 20, 25, 40, 50)
OTHER_RATES: list[Levels] = [*([(0, most)] for most in STANDARD), *([(0, 10), (at, 5)] for at in SPLIT_AT)]

NEAR = "within 1 %"
ONE_LEVERAGE = "the account with 20x everywhere: what it may hold is not what it chose"
OTHER_RATE = "fits at another usual rate: nobody chose the coin's largest leverage, or its brackets are not published"
ISOLATED = "isolated: fits with the margin of its leverage"
PAIR = "one of two or three positions that imply different margins: one is isolated, it cannot be told which"
LESS = "implies less margin than the account's others: isolated, with margin added or taken"
LEFT = "other: the account's positions imply margins that differ"


def snapshot() -> pl.DataFrame:
    """Positions with the brackets of their market, numbered."""
    rows = uw.books.hyperliquid_positions(pl.read_parquet(SNAPSHOT)).with_row_index("row")
    at_20 = rows.filter(pl.col("leverage") == 20).group_by("account").len()
    everywhere = pl.col("account").is_in(at_20.filter(pl.col("len") > 100)["account"].to_list())
    chosen = rows.filter(~everywhere).group_by("market").agg(pl.col("leverage").max().cast(pl.Int64).alias("most"))
    rows = rows.join(chosen, on="market", how="left", maintain_order="left")
    return rows.with_columns(pl.col("most").fill_null(3), everywhere=everywhere)


def levels(row: dict[str, Any]) -> Levels:
    published = PUBLISHED.get(row["market"])
    return published if published and published[0][1] == row["most"] else [(0, row["most"])]


def rule(of: Levels) -> dict[str, Any]:
    return {"kind": "brackets", "tiers": [{"lower": lower, "rate": Fraction(1, 2 * most)} for lower, most in of]}


def from_account_values(rows: pl.DataFrame) -> list[float | None]:
    """Whole cross accounts, one by one, because each was read at marks of its own; in the order of the rows."""
    margins = {row["market"]: {"maintenance": rule(levels(row))} for row in rows.iter_rows(named=True)}
    protocol = uw.Protocol.from_dict({"margin": {"markets": margins}})
    found: list[float | None] = [None] * len(rows)
    for _, own in rows.group_by("account", maintain_order=True):
        book = uw.books.from_snapshot(own, negative_cash="rebase")
        prices = dict(own.select("market", "mark_price").iter_rows())
        for row, price in zip(
            own["row"], uw.books.liquidation_prices(book, protocol, prices)["liquidation_price"], strict=True
        ):
            found[row] = price
    return found


def solve(row: dict[str, Any], free: float, of: Levels) -> float | None:
    """The liquidation price of a position whose margin, its unrealised profit included, is `free`."""
    if free < 0:
        return None
    leg = {
        "account": ["a"],
        "market": ["m"],
        "size": [row["size"]],
        "entry_price": [row["mark_price"]],
        "collateral": [free],
    }
    protocol = uw.Protocol.from_dict({"margin": {"maintenance": rule(of)}})
    book = uw.Book.from_frames(pl.DataFrame(leg))
    found = uw.books.liquidation_prices(book, protocol, {"m": row["mark_price"]})["liquidation_price"].item()
    return None if found is None else float(found)


def required(size: float, price: float, of: Levels) -> float:
    notional, deduction, before, found = abs(size) * price, 0.0, 0.0, 0.0
    for lower, most in of:
        rate = 1 / (2 * most)
        deduction += lower * (rate - before)
        before = rate
        if notional >= lower:
            found = rate * notional - deduction
    return found


def near(found: float | None, given: float) -> bool:
    return found is not None and abs(found / given - 1) < 0.01


def study() -> tuple[dict[str, int], Counter[str], list[float]]:
    """Counts; causes of positions whose account has others to compare with; account values that positions imply, relative
    to those given, less 1."""
    rows = snapshot()
    table = list(rows.with_columns(pl.Series("found", from_account_values(rows), pl.Float64)).iter_rows(named=True))
    need: defaultdict[str, float] = defaultdict(float)
    for row in table:
        row["now"] = required(row["size"], row["mark_price"], levels(row))
        need[row["account"]] += row["now"]
    implied: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for row in table:
        if (given := row["liquidation_price"]) is not None:
            then = required(row["size"], given, levels(row)) - row["size"] * (given - row["mark_price"])
            implied[row["account"]][row["row"]] = need[row["account"]] - row["now"] + then
    given = [row for row in table if row["liquidation_price"] is not None]
    counts = {
        "positions": len(table),
        "with a liquidation price": len(given),
        "within 1 %, by the account value given": sum(near(row["found"], row["liquidation_price"]) for row in given),
        "without one, and none found": sum(row["found"] is None for row in table if row["liquidation_price"] is None),
    }
    causes: Counter[str] = Counter()
    for row in given:
        others = [value for at, value in implied[row["account"]].items() if at != row["row"]]
        if others:
            causes[cause(row, median(others) - (need[row["account"]] - row["now"]), len(others))] += 1
    worth = {row["account"]: row["account_value"] for row in table}
    gaps = [median(values.values()) / worth[account] - 1 for account, values in implied.items()]
    return counts, causes, gaps


def cause(row: dict[str, Any], free: float, others: int) -> str:
    """Whether the margin that the account's other positions imply gives the price; if not, why."""

    def fits(margin: float, of: Levels) -> bool:
        return near(solve(row, margin, of), row["liquidation_price"])

    profit = row["size"] * (row["mark_price"] - row["entry_price"])
    bare = [abs(row["size"]) * row[price] / row["leverage"] for price in ("entry_price", "mark_price")]
    if fits(free, levels(row)):
        return NEAR
    if row["everywhere"]:
        return ONE_LEVERAGE
    if any(fits(free, rates) for rates in OTHER_RATES):
        return OTHER_RATE
    if any(fits(margin, [(0, most)]) for margin in (*bare, bare[0] + profit) for most in STANDARD):
        return ISOLATED
    if others <= 2:
        return PAIR
    needed = required(row["size"], row["liquidation_price"], levels(row))
    own = needed - row["size"] * (row["liquidation_price"] - row["mark_price"])
    return LESS if own < 0.5 * free else LEFT


def test_given_liquidation_prices_are_found_where_the_margin_is_known() -> None:
    counts, causes, gaps = study()
    assert counts == {
        "positions": 2113,
        "with a liquidation price": 1495,
        "within 1 %, by the account value given": 193,
        "without one, and none found": 618,
    }
    total = sum(causes.values())
    assert total == 1444
    assert causes[NEAR] / total > 0.85
    assert causes[LEFT] / total < 0.03
    # The account value given counts money that is not margin of these positions.
    assert median(gaps) < -0.1


if __name__ == "__main__":
    counted, because, gap = study()
    for name, count in [
        *counted.items(),
        ("compared with the account's others", because.total()),
        *because.most_common(),
    ]:
        sys.stdout.write(f"| {name} | {count:,} |\n")
    within = sum(abs(g) < 0.02 for g in gap), sum(g < -0.02 for g in gap), sum(g > 0.02 for g in gap)
    sys.stdout.write(
        f"accounts {len(gap)}: value within 2 %, above margin, below: {within}; median {median(gap):.1%}\n"
    )
