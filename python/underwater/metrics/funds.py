"""Insurance funds one by one, where a protocol has several."""

from decimal import Decimal

import polars as pl

from underwater.metrics._frames import USD, Source, figures, frame, money

_SCHEMA = {
    "fund": pl.String,
    "opening_usd": USD,
    "received_usd": USD,
    "paid_usd": USD,
    "closing_usd": USD,
    "claims": pl.Int64,
    "first_paid_ts": pl.Datetime("ns", "UTC"),
}


def funds(source: Source) -> pl.DataFrame:
    """One row per insurance fund, the general one (`insurance_fund`) first: `fund`, `opening_usd` and `closing_usd` (equity at
    the reference; null of bare frames), `received_usd`, `paid_usd` (for losses; what was recovered later is not taken off),
    `claims` (events that it paid for), `first_paid_ts`. Needs `postings`.

    The amounts paid sum to the line `insurance_fund` of
    `who_pays`, before recoveries.
    """
    equity = figures(source).get("fund_equity_usd", {})
    postings = frame(source, "postings")
    ends = pl.concat([postings["from"], postings["to"]]).unique().drop_nulls().sort()
    own = ends.filter(ends.str.starts_with("insurance_fund:")).to_list()
    rows = []
    for name in equity or ["insurance_fund", *own]:
        ends_of = equity.get(name, {})
        out = postings.filter(pl.col("from") == name, pl.col("from_market").is_null())
        paid = out.filter(pl.col("kind").is_in(["payment", "conversion"]))
        received = postings.filter(pl.col("to") == name, pl.col("to_market").is_null())
        rows.append(
            {
                "fund": name,
                "opening_usd": Decimal(ends_of["opening"]) if ends_of else None,
                "received_usd": received["amount_usd"].sum(),
                "paid_usd": paid["amount_usd"].sum(),
                "closing_usd": Decimal(ends_of["closing"]) if ends_of else None,
                "claims": paid["event"].n_unique(),
                "first_paid_ts": paid["ts"].min(),
            }
        )
    return money(rows, _SCHEMA)
