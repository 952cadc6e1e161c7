"""What an entity is worth from price to price, with a lower and a higher value where a feed has two sides."""

from decimal import Decimal
from fractions import Fraction

import polars as pl

from underwater.errors import DataError
from underwater.metrics._frames import USD, Source, frame

_MICRO = 10**6
_TIME = pl.Datetime("ns", "UTC")
_ROUTES = ("pool", "vault")


def valuation(
    source: Source, prices: pl.DataFrame, entity: str = "pool", *, contract_sizes: dict[str, Decimal] | None = None
) -> pl.DataFrame:
    """Net asset value of the pool or vault at each price: `ts`, `nav_usd`, `nav_max_usd`: its dollars and its inventory.

    What losers owe beyond their collateral counts in full until they are closed, as everywhere in the ledger: the phantom claim
    of GMX v1. Linear markets settled in dollars; inventory that moves by trades of accounts is in no frame, and is refused.

    Args:
        source: needs `balances`, `positions`, `postings`, `liquidations`.
        prices: `ts`, `market`, `price`; or `low` and `high` for it, where the feed has two sides: a position of the entity is
            worth least at the one, most at the other.
        entity: `pool` or `vault`.
        contract_sizes: of the markets where it is not 1.

    Raises:
        DataError: the entity holds coins, or its inventory cannot be followed, or a market has no price before it is held.
    """
    if entity not in _ROUTES:
        raise DataError(f"entity: expected one of {', '.join(_ROUTES)}, got {entity!r}")
    cash = _cash(source, entity)
    sizes = _sizes(source, entity)
    low, high = ("low", "high") if "low" in prices.columns else ("price", "price")
    contracts = {market: Fraction(size) for market, size in (contract_sizes or {}).items()}
    steps: list[tuple[int, int, str, Fraction, Fraction]] = [(ts, 1, "", amount, amount) for ts, amount in cash]
    steps += [(ts, 1, market, size, size) for ts, market, size in sizes]
    quotes = prices.select(pl.col("ts").dt.timestamp("ns"), "market", low, pl.col(high).alias("_high"))
    steps += [(ts, 0, market, Fraction(a), Fraction(b)) for ts, market, a, b in quotes.rows()]
    steps.sort(key=lambda step: step[:2])
    start = min((ts for ts, order, *_ in steps if order == 0), default=None)
    if start is None:
        raise DataError("prices: expected rows, got none")
    held: dict[str, Fraction] = {}
    quoted: dict[str, tuple[Fraction, Fraction]] = {}
    money = Fraction(0)
    rows: dict[int, tuple[int, int]] = {}
    for place, (ts, order, market, first, second) in enumerate(steps):
        if order == 0:
            quoted[market] = (first, second)
        elif market:
            held[market] = held.get(market, Fraction(0)) + first
        else:
            money += first
        if (place + 1 < len(steps) and steps[place + 1][0] == ts) or ts < start:
            continue
        worth = [_worth(held[name] * contracts.get(name, 1), quoted.get(name), name) for name in held if held[name]]
        least, most = money + sum(a for a, _ in worth), money + sum(b for _, b in worth)
        rows[ts] = (int(least * _MICRO // 1), int(most * _MICRO // 1))
    return pl.DataFrame(
        [[ts, Decimal(f"{a}e-6"), Decimal(f"{b}e-6")] for ts, (a, b) in rows.items()],
        schema={"ts": pl.Int64, "nav_usd": USD, "nav_max_usd": USD},
        orient="row",
    ).cast({"ts": _TIME})


def _worth(size: Fraction, quote: tuple[Fraction, Fraction] | None, market: str) -> tuple[Fraction, Fraction]:
    if quote is None:
        raise DataError(f"prices: {market!r} has no price when it is held")
    a, b = size * quote[0], size * quote[1]
    return min(a, b), max(a, b)


def _cash(source: Source, entity: str) -> list[tuple[int, Fraction]]:
    """Dollars at the open (before all times), and what came and went."""
    balances = frame(source, "balances").filter(holder=entity)
    postings = frame(source, "postings").filter((pl.col("to") == entity) | (pl.col("from") == entity))
    assets = set(balances["asset"]) | set(postings["asset"])
    if len(assets) > 1:
        raise DataError(f"valuation: expected dollars alone, {entity} holds {', '.join(sorted(assets))}")
    rows = [(-(2**63), Fraction(amount)) for amount in balances["opening"]]
    for ts, target, amount in postings.select(pl.col("ts").dt.timestamp("ns"), "to", "amount").rows():
        rows.append((ts, Fraction(amount) if target == entity else -Fraction(amount)))
    return rows


def _sizes(source: Source, entity: str) -> list[tuple[int, str, Fraction]]:
    """Sizes at the open, and what closed accounts left to the entity."""
    positions = frame(source, "positions").filter(holder=entity)
    fills = frame(source, "liquidations").filter(route=entity)
    rows = [(-(2**63), market, Fraction(size)) for market, size in positions.select("market", "opening_size").rows()]
    for ts, market, side, size in fills.select(pl.col("ts").dt.timestamp("ns"), "market", "side", "size").rows():
        rows.append((ts, market, Fraction(size) if side == "long" else -Fraction(size)))
    closing = dict(positions.select("market", "closing_size").rows())
    for market in {market for _, market, _ in rows}:
        found = sum((size for _, name, size in rows if name == market), Fraction(0))
        if found != Fraction(closing.get(market, 0)):
            raise DataError(
                f"valuation: {entity} ends with {closing.get(market, 0)} of {market!r}, its fills lead to {found}: "
                "trades moved it, which are in no frame"
            )
    return rows
