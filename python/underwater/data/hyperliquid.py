"""Hyperliquid: `asset_ctxs/{YYYYMMDD}.csv.lz4`, a row a coin and minute, and hourly `node_fills` as lines of JSON.

A fill is there twice, once for each side: as ticks only the half of the taker (`crossed`) is taken, the other is counted.
"""

import polars as pl

from underwater.data.formats import Format, columns, flag, integer, number, side, text, time

FORMATS = (
    Format(
        "hyperliquid.asset_ctxs",
        "oracle, mark and mid prices, open interest and hourly funding, a row a coin and minute",
        (
            time("ts", "time"),
            text("market", "coin"),
            number("funding", optional=True),
            number("open_interest"),
            number("prev_day_price", "prev_day_px", optional=True),
            number("day_volume_usd", "day_ntl_vlm", optional=True),
            number("premium", optional=True),
            number("oracle_price", "oracle_px"),
            number("mark_price", "mark_px"),
            number("mid_price", "mid_px", optional=True),
            number("impact_bid_price", "impact_bid_px", optional=True),
            number("impact_ask_price", "impact_ask_px", optional=True),
        ),
        (
            columns(
                "time, coin, funding, open_interest, prev_day_px, day_ntl_vlm, premium, oracle_px, mark_px, mid_px, "
                "impact_bid_px, impact_ask_px"
            ),
        ),
        {"mark_price": "-MARK", "oracle_price": "-ORACLE", "mid_price": "-MID"},
        names=r"(?:^|/)\d{8}\.csv\.lz4$",
    ),
    Format(
        "hyperliquid.node_fills",
        "every fill, once for each side: liquidations and auto-deleveraging among them",
        (
            time("ts", "time"),
            text("market", "coin"),
            number("price", "px"),
            number("size", "sz"),
            side(),
            flag("crossed"),
            text("user"),
            number("start_position", "startPosition"),
            text("dir"),
            number("closed_pnl", "closedPnl"),
            number("fee", "fee"),
            text("fee_token", "feeToken", optional=True),
            integer("id", "tid"),
            integer("order_id", "oid"),
            text("hash"),
            text("liquidated_user", "liquidatedUser", optional=True),
            number("liquidation_mark_price", "markPx", optional=True),
            text("liquidation_method", "method", optional=True),
        ),
        prices={"price": ""},
        keep=pl.col("crossed"),
        keep_reads=("crossed",),
        names=r"(?:^|/)(?:\d{8}[-_])?\d{1,2}(?:\.jsonl?)?\.lz4$",
        rows="fills",
    ),
)
"""The formats of the archive."""
