"""Who pays, and how far it goes: layers, coverage, the result of a layer (metrics 1 and 2)."""

from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from underwater.metrics._frames import USD, Source, figures, frame, money, ratio
from underwater.metrics.attribution import attribution

_FEES = ("penalty", "keeper_fee", "residual", "borrow", "fee_share")


def payers(source: Source) -> pl.DataFrame:
    """One row per payer, in the order of the waterfall: `layer`, `amount_usd`, `share` (of all payers, Float64 or null),
    `accounts` (debtors; for ADL the deleveraged), `first_ts`.

    The amounts sum to the losses of `who_pays`, exactly.
    """
    lines = frame(source, "who_pays").filter(section="payer")
    return lines.select("amount_usd", "share", "accounts", "first_ts", layer="line").select(
        "layer", pl.all().exclude("layer")
    )


def bearers(source: Source) -> pl.DataFrame:
    """One row per bearer, the largest first: `layer`, `bearer`, `kind`, `amount_usd`, `share` of all, `debtors`, `events`."""
    rows = attribution(source)
    total = rows["amount_usd"].sum()
    return (
        rows.group_by("layer", "bearer", "kind")
        .agg(
            amount_usd=pl.col("amount_usd").sum(),
            debtors=pl.col("account").n_unique(),
            events=pl.col("event").n_unique(),
        )
        .with_columns(share=pl.col("amount_usd").cast(pl.Float64) / float(total) if total else pl.lit(None, pl.Float64))
        .select("layer", "bearer", "kind", "amount_usd", "share", "debtors", "events")
        .sort(["amount_usd", "layer", "bearer"], descending=[True, False, False])
    )


@dataclass(frozen=True)
class Coverage:
    """How far the insurance fund and the payers go."""

    deficit_usd: Decimal
    """D: bad debt, that of the opening among it."""
    fund_usd: Decimal
    """IF: equity of the insurance fund at the open."""
    paid_by_fund_usd: Decimal
    """What the fund paid."""
    residual_usd: Decimal
    """max(0, D - IF): what the fund cannot cover, were all of it there for the loss."""
    coverage: float | None
    """min(IF, D) / D; None without a loss."""
    paid_share: float | None
    """What the fund paid / D."""
    severity: float | None
    """theta: (ADL give-up + socialised loss) / D, the part of the loss that is put on winners."""
    uncovered_usd: Decimal
    """What nobody paid."""


def coverage(source: Source, fund_usd: Decimal | None = None) -> Coverage:
    """Residual, coverage and severity of a run.

    Args:
        source: needs `who_pays`.
        fund_usd: the fund at the open; None: that of the result, which bare frames do not tell (then 0).
    """
    lines = dict(frame(source, "who_pays").select("line", "amount_usd").rows())
    deficit = Decimal(lines.get("bad_debt", 0) + lines.get("opening", 0))
    if fund_usd is None:
        fund_usd = Decimal(figures(source).get("layer_equity_usd", {}).get("insurance_fund", {}).get("opening", "0"))
    available = max(Decimal(0), fund_usd)
    paid = lines.get("insurance_fund", Decimal(0))
    on_winners = lines.get("adl", Decimal(0)) + lines.get("socialised", Decimal(0))
    return Coverage(
        deficit_usd=deficit,
        fund_usd=available,
        paid_by_fund_usd=paid,
        residual_usd=max(Decimal(0), deficit - available),
        coverage=ratio(min(available, deficit), deficit),
        paid_share=ratio(paid, deficit),
        severity=ratio(on_winners, deficit),
        uncovered_usd=lines.get("uncovered", Decimal(0)),
    )


def clawback_rate(source: Source) -> float | None:
    """(system loss - what the insurance fund paid) / sum of the net profits of the session; None if nobody has made any.

    The rate at which every profitable account pays where losses are socialised by profit; elsewhere what it would have been.
    The net profit of an account is what its equity has risen beyond its deposits, before what it was charged for
    socialised losses; accounts that lost, defaulted or were not admitted have none. The loss is all realised bad debt.
    Above 1 the winners cannot bear it.

    Args:
        source: needs `who_pays`, `accounts`.
    """
    lines = dict(frame(source, "who_pays").select("line", "amount_usd").rows())
    loss = (
        lines.get("bad_debt", Decimal(0)) + lines.get("opening", Decimal(0)) - lines.get("insurance_fund", Decimal(0))
    )
    accounts = frame(source, "accounts").filter(~pl.col("status").is_in(["defaulted", "rejected"]))
    profit = accounts.select(
        pl.col("closing_equity_usd") + pl.col("socialised_usd") - pl.col("opening_equity_usd") - pl.col("deposits_usd")
    ).to_series()
    return ratio(loss, sum((x for x in profit if x > 0), Decimal(0)))


def layer_result(
    source: Source, layer: str = "pool", *, opening_usd: Decimal | None = None, closing_usd: Decimal | None = None
) -> pl.DataFrame:
    """What became of the equity of a layer, trading apart from the absorption of losses: `line`, `amount_usd`.

    Lines: `opening` equity; `absorption` (paid for losses, negative); `recovered` (from late deposits); `fees` (penalties,
    keeper's fees, residuals, borrow fees, shares of trading fees); `funding`; `external` (deposits, withdrawals,
    injections); `trading` (all else: fills, inventory, and coins revalued, at the reference); `closing` equity. The lines
    before `closing` sum to it.

    Args:
        source: needs `postings`.
        layer: `insurance_fund`, `pool`, `treasury` or `vault`.
        opening_usd: equity of the layer at the open; None: that of the result.
        closing_usd: equity at the end; None: that of the result.

    Raises:
        ValueError: bare frames, and an equity is not given.
    """
    known = figures(source).get("layer_equity_usd", {}).get(layer, {})
    opening = opening_usd if opening_usd is not None else known.get("opening")
    closing = closing_usd if closing_usd is not None else known.get("closing")
    if opening is None or closing is None:
        raise ValueError(f"layer_result: the equity of {layer!r} is not known; give opening_usd and closing_usd")
    flows = flows_of(source, layer)
    by_kind = dict(flows.group_by("kind").agg(pl.col("amount_usd").sum()).rows())

    def total(*kinds: str) -> Decimal:
        return sum((by_kind.get(kind, Decimal(0)) for kind in kinds), Decimal(0))

    lines = {
        "opening": Decimal(opening),
        "absorption": total("payment", "late_payment", "conversion", "uncovered"),
        "recovered": total("recovery"),
        "fees": total(*_FEES),
        "funding": total("funding"),
        "external": total("deposit", "withdrawal", "injection"),
    }
    lines["trading"] = Decimal(closing) - sum(lines.values(), Decimal(0))
    lines["closing"] = Decimal(closing)
    rows = [{"line": line, "amount_usd": amount} for line, amount in lines.items()]
    return money(rows, {"line": pl.String, "amount_usd": USD})


def flows_of(source: Source, holder: str) -> pl.DataFrame:
    """Money that a holder received and gave: `ts`, `event`, `kind`, `amount_usd` (signed). `insurance_fund` is all insurance
    funds together."""
    postings = frame(source, "postings")
    columns = ("ts", "event", "kind")

    def is_holder(end: str) -> pl.Expr:
        own = pl.col(end).str.starts_with(f"{holder}:") if holder == "insurance_fund" else pl.lit(False)
        return ((pl.col(end) == holder) | own) & pl.col(f"{end}_market").is_null()

    into, out = postings.filter(is_holder("to")), postings.filter(is_holder("from"))
    return pl.concat(
        [into.select(*columns, "amount_usd"), out.select(*columns, amount_usd=(-pl.col("amount_usd")).cast(USD))]
    ).sort("ts", maintain_order=True)
