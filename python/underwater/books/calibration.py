"""The marginals of a snapshot, as options of `Book.synthetic`."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from underwater.books._exact import read
from underwater.errors import BookError

_NEEDED = ["account", "market", "size", "entry_price", "mark_price", "account_value"]


def calibrate(snapshot: Any, markets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Options of `Book.synthetic` whose book has the snapshot's marginals: notional and leverage of accounts (median and 95th
    percentile, which fix a lognormal, and the largest), leverage by side, share of longs, number of legs, dispersion of
    entries, odds of markets.

    Marginals alone: that large accounts have less leverage, or who holds what together, is lost. And a snapshot's bias
    stays: leaders of a venue are not its users.

    Args:
        snapshot: the columns of `from_snapshot`; linear markets. Accounts of no value are left out.
        markets: market of the ticks by market of the snapshot, for the odds of markets; None: odds by traded volume.

    Raises:
        BookError: a column is missing, or nothing is left to calibrate on.

    >>> import polars as pl, underwater as uw
    >>> both = {"market": "ETH", "entry_price": [100.0, 110.0], "mark_price": 100.0, "account_value": [10.0, 50.0]}
    >>> options = uw.books.calibrate(pl.DataFrame({"account": ["a", "b"], "size": [1.0, -2.0], **both}))
    >>> options["leverage_median"], options["notional_median"], options["long_share"]
    (7.0, 150.0, 0.5)
    """
    rows = read(snapshot, "snapshot", _NEEDED).with_columns(pl.col(_NEEDED[2:]).cast(pl.Float64))
    rows = rows.filter(pl.col("account_value") > 0, pl.col("size") != 0).with_columns(
        notional=(pl.col("size") * pl.col("mark_price")).abs(),
        long=pl.col("size") > 0,
        deviation=(pl.col("entry_price") / pl.col("mark_price")).log(),
    )
    if not len(rows):
        raise BookError("snapshot: expected an account with a position and a value")
    accounts = rows.group_by("account", maintain_order=True).agg(
        pl.col("notional").sum(),
        pl.col("account_value").first(),
        pl.len().alias("legs"),
        # The side of an account is that of its largest position.
        pl.col("long").sort_by("notional").last(),
    )
    accounts = accounts.with_columns(leverage=pl.col("notional") / pl.col("account_value"))
    options: dict[str, Any] = {
        **_spread("notional", accounts["notional"]),
        "notional_max": _figure(accounts["notional"].max()),
        **_spread("leverage", accounts["leverage"]),
        "max_leverage": min(1000.0, _figure(accounts["leverage"].max())),
        "long_share": _figure(rows["long"].mean()),
        "cross_share": 1.0,
        # 1 to max_legs are equally likely, so their mean is half of max_legs + 1.
        "max_legs": max(1, round(2 * _figure(accounts["legs"].mean()) - 1)),
        "entry_dispersion": _dispersion(rows["deviation"]),
    }
    for side, long in (("longs", True), ("shorts", False)):
        own, legs = accounts.filter(long=long)["leverage"], rows.filter(long=long)["deviation"]
        if len(own):
            options[side] = {**_spread("leverage", own), "entry_dispersion": _dispersion(legs)}
    if markets is not None:
        counts = rows.group_by("market", maintain_order=True).len()
        odds = {markets[name]: float(count) for name, count in counts.iter_rows() if name in markets}
        if not odds:
            raise BookError(f"snapshot: none of the markets {', '.join(sorted(markets))} is in it")
        options["weights"] = dict(sorted(odds.items()))
    return options


def _spread(name: str, values: pl.Series) -> dict[str, float]:
    return {
        f"{name}_median": _figure(values.median()),
        f"{name}_p95": _figure(values.quantile(0.95, "linear")),
    }


def _dispersion(deviation: pl.Series) -> float:
    """Standard deviation of the logarithm; `Book.synthetic` takes at most 1."""
    return min(1.0, _figure(deviation.std() if len(deviation) > 1 else 0.0))


def _figure(value: Any) -> float:
    """Six digits: what more there is comes from the order of summation."""
    return float(f"{float(value):.6g}")
