"""Positions that do not exist yet: rows of size 0 for what cross accounts trade later."""

from typing import Any

import polars as pl
import pyarrow as pa

_ADDRESS = ["account", "market", "position"]


def with_idle(positions: Any, accounts: Any, events: Any) -> Any:
    """The positions, with a row of size 0 for each cross position that a trade of the events will open.

    What cannot be read is left as it is: the engine says what is wrong with it.
    """
    traded = _columns(events, {"kind", "account", "market"})
    if traded is None or "trade" not in traded["kind"].cast(pl.String):
        return positions
    held = _columns(positions, {"account", "market", "size"})
    funded = _columns(accounts, {"account"})
    if held is None or funded is None:
        return positions
    keyed = [frame if "position" in frame.columns else frame.with_columns(position=None) for frame in (traded, held)]
    as_text = [frame.with_columns(pl.col(_ADDRESS).cast(pl.String)) for frame in keyed]
    fresh = (
        as_text[0]
        .filter(pl.col("kind").cast(pl.String) == "trade")
        .select(_ADDRESS)
        .unique(maintain_order=True)
        .join(as_text[1], on=_ADDRESS, how="anti", nulls_equal=True)
        .join(funded.select(pl.col("account").cast(pl.String)).unique(), on="account", how="semi")
        .drop_nulls(["account", "market"])
    )
    if not len(fresh):
        return positions
    rows = fresh.with_columns(size=0, entry_price=1, margin_mode=pl.lit("cross"))
    if "position" not in held.columns and rows["position"].is_null().all():
        rows = rows.drop("position")
    known = [name for name in rows.columns if name in held.columns]
    fitting = rows.with_columns(pl.col(name).cast(held.schema[name]) for name in known)
    return pl.concat([held, fitting], how="diagonal")


def _columns(frame: Any, needed: set[str]) -> pl.DataFrame | None:
    """The frame, if it can be read twice and has these columns."""
    if isinstance(frame, pa.Table):
        frame = pl.DataFrame(frame)
    return frame if isinstance(frame, pl.DataFrame) and needed <= set(frame.columns) else None
