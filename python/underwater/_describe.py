"""A book in figures."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from underwater.errors import BookError
from underwater.market import Market


def by_market(positions: pl.DataFrame) -> pl.DataFrame:
    """Number and sizes of positions by market."""
    size = pl.col("size").cast(pl.Float64)
    return (
        positions.group_by("market")
        .agg(
            positions=pl.len(),
            accounts=pl.col("account").n_unique(),
            long=size.clip(lower_bound=0).sum(),
            short=(-size).clip(lower_bound=0).sum(),
            net=pl.col("size").sum().cast(pl.Float64),
            median_size=size.abs().median(),
        )
        .sort("market")
    )


def with_prices(
    positions: pl.DataFrame, accounts: pl.DataFrame, prices: Mapping[str, Any], markets: Iterable[Market]
) -> pl.DataFrame:
    """`by_market` with notionals, and leverages of the margin accounts, weighted alike, that have a position there."""
    defined = {market.name: market for market in markets}
    names = positions["market"].unique(maintain_order=True).to_list()
    if missing := [name for name in names if name not in prices]:
        raise BookError(f"positions: market: no price of {missing[0]!r}")
    facts = pl.DataFrame(
        {
            "market": names,
            "price": [float(prices[name]) for name in names],
            "unit": [float(defined.get(name, Market(name=name)).contract_size) for name in names],
            "inverse": [defined.get(name, Market(name=name)).kind == "inverse" for name in names],
        },
        schema_overrides={"market": pl.String, "price": pl.Float64, "unit": pl.Float64, "inverse": pl.Boolean},
    )
    cross = (
        pl.col("margin_mode").fill_null("isolated") == "cross"
        if "margin_mode" in positions.columns
        else pl.lit(value=False)
    )
    collateral = pl.col("collateral") if "collateral" in positions.columns else pl.lit(0.0)
    own = pl.col("size").cast(pl.Float64) * pl.col("unit")
    entry, price, inverse = pl.col("entry_price").cast(pl.Float64), pl.col("price"), pl.col("inverse")
    # In quote units; what an inverse market owes in coin is worth its price.
    profit = pl.when(inverse).then(own * (price / entry - 1)).otherwise(own * (price - entry))
    rows = positions.with_columns(pl.col("market").cast(pl.String)).with_row_index("row")
    rows = rows.join(facts, on="market", how="left", maintain_order="left").with_columns(
        notional=pl.when(inverse).then(own).otherwise(own * price),
        equity=profit + collateral.cast(pl.Float64).fill_null(0.0) * pl.when(inverse).then(price).otherwise(1.0),
        margin=pl.when(cross).then(-1).otherwise(pl.col("row").cast(pl.Int64)),
    )
    coins = {
        defined[name].settlement: float(prices[name])
        for name in names
        if name in defined and defined[name].kind == "inverse"
    }
    total = rows.group_by("account", "margin", maintain_order=True).agg(
        pl.col("notional").abs().sum(), pl.col("equity").sum()
    )
    if len(accounts):
        rate = pl.col("asset").cast(pl.String).replace_strict(coins, default=1.0, return_dtype=pl.Float64)
        cash = accounts.group_by("account", maintain_order=True).agg(
            (pl.col("collateral").cast(pl.Float64) * rate).sum()
        )
        total = total.join(cash, on="account", how="left", maintain_order="left").with_columns(
            pl.when(pl.col("margin") < 0)
            .then(pl.col("equity") + pl.col("collateral").fill_null(0.0))
            .otherwise("equity")
            .alias("equity")
        )
    total = total.select(
        "account", "margin", pl.when(pl.col("equity") > 0).then(pl.col("notional") / pl.col("equity")).alias("leverage")
    )
    priced = rows.join(total, on=["account", "margin"], how="left", maintain_order="left")
    usd = priced.group_by("market").agg(
        long_usd=pl.col("notional").clip(lower_bound=0).sum(),
        short_usd=(-pl.col("notional")).clip(lower_bound=0).sum(),
        net_usd=pl.col("notional").sum(),
        largest_usd=pl.col("notional").abs().max(),
        leverage_median=pl.col("leverage").median(),
        leverage_p95=pl.col("leverage").quantile(0.95, "linear"),
    )
    plain = by_market(positions).with_columns(pl.col("market").cast(pl.String))
    return plain.join(usd, on="market", how="left", maintain_order="left")
