"""Every dollar of bad debt, from the account that lost it over the layer that paid to who bore it.

Order of a dollar: the debtor's row of `bad_debt` names the layer; ADL fills name the deleveraged; a socialised loss is
one pool of debts that one pool of bearers has met, so each debt is borne by all of them in proportion. What late
deposits made good comes off again as rows with a negative amount. The sum over a layer's rows is its line in
`who_pays`, exactly.
"""

from decimal import Decimal
from typing import Literal

import polars as pl

from underwater.metrics._frames import USD, Source, absorbing, frame

KINDS = {
    "insurance_fund": "fund",
    "pool": "liquidity_providers",
    "treasury": "treasury",
    "token": "token_holders",
    "socialised": "charged",
    "uncovered": "claimants",
}
"""Who stands behind a layer that pays from its own money; a layer that is not listed stands for itself."""

_CELLS = 2_000_000
_SCHEMA = pl.Schema(
    [
        ("ts", pl.Datetime("ns", "UTC")),
        ("event", pl.UInt32()),
        ("account", pl.String()),
        ("market", pl.String()),
        ("layer", pl.String()),
        ("bearer", pl.String()),
        ("kind", pl.String()),
        ("amount_usd", USD),
    ]
)


def attribution(source: Source, *, bearers: Literal["accounts", "layer"] = "accounts") -> pl.DataFrame:
    """One row per debtor's event, layer and bearer: `ts`, `event` (null: a late deposit made good), `account` (the debtor),
    `market` (the one that the event closed; null if several), `layer`, `bearer`, `kind`, `amount_usd`.

    `kind` of a bearer: `deleveraged` and `charged` are accounts; `outside` is the counterparty of that name; `fund`,
    `liquidity_providers`, `treasury`, `token_holders` and `claimants` stand for holders that a run does not tell apart, and
    bear their layer's name; `layer` is the socialised one itself, which keeps late deposits in an asset that it does not share
    out. Open shortfalls have no payer and are not listed. A socialised loss is shared by those charged in proportion to what each
    was charged over the run, by cumulated floors in micro-dollars; an account that was charged shares in its own debts too.

    Args:
        source: needs `who_pays`, `bad_debt`, `adl`, `liquidations`, `accounts`, `postings`.
        bearers: `layer` leaves the accounts charged for socialised losses together, as bearer `socialised`.

    Raises:
        ValueError: socialised losses would make more than two million rows; ask for `bearers="layer"`.
    """
    lines = frame(source, "who_pays").filter(section="payer")["line"].to_list()
    debts = frame(source, "bad_debt").filter(status="realised").select(pl.all().exclude("market"))
    paying = [line for line in lines if line != "adl" and f"{line}_usd" in debts.columns]
    debts = debts.join(_markets(source), on="event", how="left", maintain_order="left")
    by_layer = [
        debts.select("ts", "event", "account", "market", amount_usd=f"{layer}_usd", layer=pl.lit(layer))
        for layer in paying
    ]
    postings = frame(source, "postings")
    # Socialised losses by profit are shared out in one asset; what is made good in others the layer keeps.
    shared = postings.filter(pl.col("from") == "socialised", pl.col("kind").is_in(["payment", "conversion"]))["asset"]
    made_good = postings.filter(kind="recovery").select(
        "ts",
        "event",
        account="from",
        market="from_market",
        amount_usd=(-pl.col("amount_usd")).cast(USD),
        layer=pl.col("to").str.replace(r"^insurance_fund:.*$", "insurance_fund"),
        own=(pl.col("to") != "socialised") | ~pl.col("asset").is_in(shared.unique().to_list()),
    )
    own = pl.col("layer") != "socialised"
    paid = pl.concat([*(rows.with_columns(own=own) for rows in by_layer), made_good])
    paid = paid.filter(pl.col("amount_usd") != 0)
    alone = paid.filter("own").with_columns(
        bearer="layer",
        kind=pl.when(own).then(pl.col("layer").replace(KINDS)).otherwise(pl.lit("layer")),
    )
    mutual = _mutual(source, paid.filter(~pl.col("own")).drop("own"), postings, bearers)
    return pl.concat([_deleveraged(source), alone.select(list(_SCHEMA)).cast(_SCHEMA), mutual]).sort(
        "ts", "event", "layer", nulls_last=True, maintain_order=True
    )


def unpaid_profits(source: Source) -> pl.DataFrame:
    """One row per profit that the pool did not pay: `ts`, `event` (null: a trade, or the end of the tape), `account`
    (who bears it), `market` (of an isolated account, else null), `line` of who_pays, `amount_usd` (negative where a deferred one
    is paid after all).

    The sum over a line's rows is its amount in `who_pays`, exactly. They are no part of a debt, and `attribution`
    knows nothing of them.
    """
    kinds = ["capped_payout", "refused_payout", "deferred_payout"]
    kept = frame(source, "postings").filter(pl.col("kind").is_in(kinds))
    paid = pl.col("from") == "pool"
    return kept.select(
        "ts",
        "event",
        account=pl.when(paid).then(pl.col("to")).otherwise(pl.col("from")),
        market=pl.when(paid).then(pl.col("to_market")).otherwise(pl.col("from_market")),
        line=pl.col("kind") + "s",
        amount_usd=pl.when(paid).then(-pl.col("amount_usd")).otherwise(pl.col("amount_usd")).cast(USD),
    )


def _markets(source: Source) -> pl.DataFrame:
    """The market of each event with a loss that closed one market only."""
    events = frame(source, "bad_debt").select("event").drop_nulls().unique()
    fills = [
        frame(source, name).select("event", "market").join(events, on="event", how="semi")
        for name in ("liquidations", "adl")
    ]
    found = pl.concat(fills).unique().group_by("event").agg(pl.col("market").min(), several=pl.len() > 1)
    return found.select("event", market=pl.when("several").then(None).otherwise(pl.col("market")))


def _deleveraged(source: Source) -> pl.DataFrame:
    fills = absorbing(frame(source, "adl")).filter(pl.col("give_up_usd") != 0)
    return fills.select(
        "ts",
        "event",
        account="loser",
        market="market",
        layer=pl.lit("adl"),
        bearer="account",
        kind=pl.when(pl.col("account") == "outside").then(pl.lit("outside")).otherwise(pl.lit("deleveraged")),
        amount_usd="give_up_usd",
    ).cast(_SCHEMA)


def _mutual(source: Source, debts: pl.DataFrame, postings: pl.DataFrame, bearers: str) -> pl.DataFrame:
    """What the socialised layer paid, by debt and by who was charged; some of it went on to later layers at the end."""
    if debts.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    passed = postings.filter(pl.col("to") == "socialised", pl.col("kind").is_in(["payment", "uncovered"]))
    passed = passed.group_by("from", maintain_order=True).agg(pl.col("amount_usd").sum())
    charged = frame(source, "accounts").filter(pl.col("socialised_usd") > 0).select("account", "socialised_usd")
    # What is charged in another asset than dollars, or later than it was lost, is worth another sum than the debts were.
    kept = _total(debts["amount_usd"]) - _total(passed["amount_usd"])
    if bearers == "layer" or charged.is_empty():
        charged = pl.DataFrame({"account": ["socialised"], "socialised_usd": [kept]}, schema=charged.schema)
    else:
        charged = _scaled(charged, kept)
    who = pl.concat(
        [
            charged.select(
                layer=pl.lit("socialised"), bearer="account", kind=pl.lit("charged"), weight="socialised_usd"
            ),
            passed.select(layer="from", bearer="from", kind=pl.col("from").replace(KINDS), weight="amount_usd"),
        ]
    )
    if not who["weight"].sum():
        nobody = {"layer": ["socialised"], "bearer": ["socialised"], "kind": ["charged"], "weight": [1]}
        who = pl.DataFrame(nobody, schema=who.schema)
    if who.height * debts.height > _CELLS:
        raise ValueError(
            f"attribution: {debts.height:,} socialised debts on {who.height:,} bearers make too many rows; "
            'ask for bearers="layer"'
        )
    return _shared(debts.drop("layer"), who).filter(pl.col("amount_usd") != 0).select(list(_SCHEMA)).cast(_SCHEMA)


def _total(column: pl.Series) -> Decimal:
    return Decimal(column.sum() or 0)


def _scaled(charged: pl.DataFrame, total: Decimal) -> pl.DataFrame:
    """What accounts were charged, in proportion, so that it sums to `total`: by cumulated floors."""
    was = _total(charged["socialised_usd"])
    if was == total:
        return charged
    whole, part = int(was * 1_000_000), int(total * 1_000_000)
    if abs(whole * part) >= 1 << 127:
        raise OverflowError("attribution: a figure left its range")
    cumulated = (pl.col("socialised_usd") * 1_000_000).cast(pl.Int128).cum_sum() * part // whole
    own = cumulated - cumulated.shift(1, fill_value=0)
    return charged.with_columns(socialised_usd=own.cast(USD) * pl.lit(Decimal("0.000001")))


def _shared(debts: pl.DataFrame, who: pl.DataFrame) -> pl.DataFrame:
    """Each debt, shared in proportion to the weights: cell (i, j) is the difference of floor(A_i B_j / T) of the cumulated debts
    A and weights B with the sum T, so that every debt is shared out whole."""

    def cumulated(rows: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
        amount = (pl.col(column) * 1_000_000).cast(pl.Int128)
        to = amount.cum_sum()
        return rows.with_columns(to.alias(f"{name}_to"), (to - amount).alias(f"{name}_from")).drop(column)

    rows, columns = cumulated(debts, "amount_usd", "debt"), cumulated(who, "weight", "weight")
    total = columns["weight_to"][-1]
    largest = max(abs(n) for column in ("debt_to", "debt_from") for n in (1, *rows[column]))
    if largest * total >= 1 << 127:
        raise OverflowError("attribution: a figure left its range")

    def corner(debt: str, weight: str) -> pl.Expr:
        return pl.col(debt) * pl.col(weight) // pl.lit(total, pl.Int128)

    part = (
        corner("debt_to", "weight_to")
        - corner("debt_from", "weight_to")
        - corner("debt_to", "weight_from")
        + corner("debt_from", "weight_from")
    )
    micro = pl.lit(Decimal("0.000001"))
    return rows.join(columns, how="cross").with_columns(amount_usd=part.cast(USD) * micro)
