"""Small days and books, and what must hold of every result."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl

import underwater as uw

ETH = "ETH-PERP"
DATA = Path(__file__).parents[2] / "shared" / "data"
"""Real data, kept outside the repository; tests that need it skip without it."""

PAYERS = (
    "insurance_fund_usd",
    "pool_usd",
    "adl_give_up_usd",
    "socialised_usd",
    "treasury_usd",
    "token_usd",
    "uncovered_usd",
)


def isolated(account, size, entry, collateral, market=ETH, **more):
    return {
        "account": account,
        "market": market,
        "size": size,
        "entry_price": entry,
        "collateral": collateral,
        "margin_mode": "isolated",
        **more,
    }


def cross(account, size, entry, market=ETH, **more):
    return {"account": account, "market": market, "size": size, "entry_price": entry, "margin_mode": "cross", **more}


LONG = isolated("long", 5, 2000, 1000)
"""The textbook loser: bankrupt at 1,800, short of 500 at 1,700."""
SHORT = isolated("short", -5, 2000, 1000)


def day(prices, markets=(), assets=()):
    """Ticks of `{market: prices}`: one price a second, or `(second, price)`."""
    rows = [
        {"second": second, "market": market, "price": float(price)}
        for market, path in prices.items()
        for second, price in (step if isinstance(step, tuple) else (at, step) for at, step in enumerate(path))
    ]
    frame = pl.DataFrame(rows).sort("second", maintain_order=True)
    ticks = frame.select(pl.from_epoch("second").alias("ts"), "market", "price")
    return uw.Ticks(
        ticks,
        markets=[uw.Market.from_dict(market) for market in markets] or None,
        assets=[uw.Asset.from_dict(asset) for asset in assets] or None,
    )


def book(positions, cash=(), events=()):
    """A book of rows: `isolated` or `cross`, `(account, asset, collateral)`, `(second, account, market, kind, amount)`.

    The position of an event may follow its amount.
    """
    rows = pl.from_dicts(list(positions), infer_schema_length=None)
    accounts = pl.DataFrame(list(cash), schema=["account", "asset", "collateral"], orient="row") if cash else None
    if events:
        columns = ["second", "account", "market", "kind", "amount", "position"][: len(events[0])]
        frame = pl.DataFrame(list(events), schema=columns, orient="row")
        events = frame.select(pl.from_epoch("second").alias("ts"), *columns[1:], asset=pl.lit("USD"))
    return uw.Book.from_frames(rows, accounts, events if len(events) else None)


def run(positions, path, *, cash=(), events=(), markets=(), assets=(), reference="last", opening="keep", **protocol):
    """Replays a small book; `path` is that of one market, or `{market: prices}`. The result has been audited."""
    prices = path if isinstance(path, dict) else {ETH: path}
    result = uw.replay(
        day(prices, markets, assets),
        book(positions, cash, events),
        uw.Protocol.from_dict(protocol),
        reference=reference,
        opening=opening,
    )
    audit(result)
    return result


def textbook(positions=(LONG, SHORT), path=(2000, 1700), **more):
    return run(positions, path, **more)


def fund(balance, coverage="slices"):
    return {"balance": balance, "coverage": coverage}


def flat(rate):
    """Margin at one maintenance rate."""
    return {"maintenance": {"kind": "flat", "rate": rate}}


def dollars(result):
    """The lines of who_pays that are not zero."""
    return {line: amount for line, amount in result.who_pays().select("line", "amount_usd").rows() if amount}


def status(result):
    return dict(result.accounts.select("account", "status").rows())


def closing(result, holder, asset="USD"):
    """What a holder has at the end, in an asset."""
    rows = result.balances.filter(pl.col("holder") == holder, pl.col("asset") == asset)
    return sum(rows["closing"], Decimal(0))


def size_at_end(result, holder, market=ETH):
    rows = result.positions.filter(pl.col("holder") == holder, pl.col("market") == market)
    return sum(rows["closing_size"], Decimal(0))


def only(frame):
    """The row of a frame that has one."""
    assert len(frame) == 1, frame
    return frame.row(0, named=True)


def audit(result):
    """Losses and payers foot, in total and in every row; sizes and balances sum to zero; the postings explain every balance."""
    by_section = defaultdict(Fraction)  # a Decimal would round sums to 28 digits
    for section, amount in result.who_pays().select("section", "amount_usd").rows():
        by_section[section] += Fraction(amount)
    assert by_section["loss"] == by_section["payer"]

    for row in result.bad_debt.rows(named=True):
        usd = {name: Fraction(amount) for name, amount in row.items() if name.endswith("_usd")}
        parts = ("principal_usd", "funding_borrow_usd", "third_party_fees_usd", "assessments_usd")
        assert usd["bad_debt_usd"] == sum(usd[part] for part in parts), row
        lost = usd["bad_debt_usd"] + usd["adl_overshoot_usd"] + usd["subsidy_usd"] + usd["change_of_prepaid_usd"]
        assert sum(usd[payer] for payer in PAYERS) == lost, row

    for moment in ("opening", "closing"):
        sizes, balances = defaultdict(Fraction), defaultdict(Fraction)
        for market, size in result.positions.select("market", f"{moment}_size").rows():
            sizes[market] += Fraction(size)
        for asset, amount in result.balances.select("asset", moment).rows():
            balances[asset] += Fraction(amount)
        assert set(sizes.values()) | set(balances.values()) <= {0}, (moment, sizes, balances)

    reconcile(result)


def reconcile(result):
    """Opening + received - given = closing, for every holder and asset, exactly."""
    moved = defaultdict(Fraction)
    for source, source_market, target, target_market, asset, amount in result.postings.select(
        "from", "from_market", "to", "to_market", "asset", "amount"
    ).rows():
        assert amount > 0
        moved[source, source_market, asset] -= Fraction(amount)
        moved[target, target_market, asset] += Fraction(amount)
    change = defaultdict(Fraction)
    for holder, market, asset, before, after in result.balances.rows():
        change[holder, market, asset] += Fraction(after) - Fraction(before)
    assert {key: x for key, x in moved.items() if x} == {key: x for key, x in change.items() if x}
