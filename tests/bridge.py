"""From a scenario to the engine's frames, and from its result to rows that can be laid beside the judge's.

All that depends on the spelling of the public API is here.
"""

from __future__ import annotations

import copy
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import polars as pl
from judge import Result, judge
from strategies_days import Scenario

import underwater as uw

EVENT_BASE = 0  # number of the first event

TIME = pl.Datetime("ns", "UTC")
NUMBER = pl.Decimal(38, 8)


def run_judge(s: Scenario) -> Result:
    return judge(s.definitions, s.ticks, s.positions, s.accounts, s.events, s.protocol, s.options)


def run_engine(s: Scenario, **tuning: int | None) -> uw.Result:
    decimals = {m["name"]: m["price_decimals"] for m in s.definitions["markets"]}
    rows = [{"ts": ts, "market": name, "price": price / 10 ** decimals[name]} for ts, name, price in s.rows]
    frame = pl.DataFrame(rows, schema={"ts": TIME, "market": pl.String, "price": pl.Float64})
    if s.sizes is not None:
        size_decimals = {m["name"]: m["size_decimals"] for m in s.definitions["markets"]}
        sizes = [size / 10 ** size_decimals[name] for size, (_, name, _) in zip(s.sizes, s.rows, strict=True)]
        frame = frame.with_columns(size=pl.Series(sizes, dtype=pl.Float64))
    ticks = uw.Ticks(
        frame,
        markets=[uw.Market.model_validate(m) for m in s.definitions["markets"]],
        assets=[uw.Asset.model_validate(a) for a in s.definitions["assets"]],
    )
    texts = ("account", "market", "margin_mode", "collateral_asset", "position", "owner")
    positions = {"size": NUMBER, "entry_price": NUMBER, "collateral": NUMBER} | dict.fromkeys(texts, pl.String)
    accounts = {"account": pl.String, "asset": pl.String, "collateral": NUMBER, "owner": pl.String}
    events = {"ts": TIME, "amount": NUMBER, "size": NUMBER, "price": NUMBER} | dict.fromkeys(
        ("account", "market", "position", "kind", "asset"), pl.String
    )
    book = uw.Book.from_frames(
        to_frame(s.positions, positions),
        to_frame(s.accounts, accounts) if s.accounts else None,
        to_frame(s.events, events) if s.events else None,
    )
    protocol = uw.Protocol.model_validate(copy.deepcopy(s.protocol))
    return uw.replay(ticks, book, protocol, **s.options, **tuning)


def to_frame(rows: list[dict], schema: dict) -> pl.DataFrame:
    def cell(value: object, kind: object) -> object:
        return Decimal(str(value)) if kind == NUMBER and value is not None else value

    return pl.DataFrame({k: pl.Series(k, [cell(row.get(k), t) for row in rows], dtype=t) for k, t in schema.items()})


# --- rows that can be compared: integers in the units of the judge

COLUMNS = {
    "liquidations": "ts account market event trigger_ts trigger_price trigger_equity_usd trigger_notional_usd route side "
    "size price reference_price asset amount notional_usd equity_usd price_subsidy_usd opening",
    "adl": "ts account market event loser trigger_ts trigger_equity_usd trigger_notional_usd loser_equity_usd side size asset "
    "amount mark_price reference_price notional_usd give_up_usd forgone_profit_usd principal_usd equity_usd pnl_usd kind rank",
    "bad_debt": "ts account market event asset amount bad_debt_usd principal_usd funding_borrow_usd "
    "third_party_fees_usd assessments_usd waived_usd insurance_fund_usd pool_usd adl_give_up_usd socialised_usd "
    "treasury_usd token_usd treasury_later_usd token_later_usd uncovered_usd adl_overshoot_usd subsidy_usd change_of_prepaid_usd "
    "recovered_usd opening status",
    "accounts": "account market margin_mode owner status trigger_ts closed_ts opening_equity_usd closing_equity_usd "
    "deposits_usd bad_debt_usd adl_give_up_usd socialised_usd unpaid_profit_usd opening",
    "balances": "holder market asset opening closing",
    "positions": "holder market opening_size closing_size closing_entry_value",
    "rejected_events": "ts account market kind asset amount size",
}
IN_ASSET = {"amount", "closing"}
SIZES = {"size", "opening_size", "closing_size"}
PRICES = {"price", "trigger_price", "mark_price", "reference_price"}


class Units:
    """Decimals of everything in a scenario."""

    def __init__(self, s: Scenario):
        markets = {m["name"]: m for m in s.definitions["markets"]}
        self.asset = {a["name"]: a["decimals"] for a in s.definitions["assets"]}
        self.size = {name: m["size_decimals"] for name, m in markets.items()}
        self.settlement = {name: m["settlement"] for name, m in markets.items()}
        self.price = {
            name: max(m["price_decimals"], markets[m["index"]]["price_decimals"] if m["index"] else 0)
            for name, m in markets.items()
        }

    def decimals(self, frame: str, column: str, row: dict) -> int | None:
        """Of a cell; None if it is not a quantity."""
        if column.endswith("_usd"):
            return 6
        if column in IN_ASSET or (frame, column) == ("balances", "opening"):
            return self.asset[row["asset"]]
        if column in SIZES:
            return self.size[row["market"]]
        if column in PRICES:
            return self.price[row["market"]]
        if column == "closing_entry_value":
            return self.asset[self.settlement[row["market"]]]
        return None

    def integer(self, frame: str, column: str, row: dict) -> object:
        value = row[column]
        if value is None:
            return None
        decimals = self.decimals(frame, column, row)
        if decimals is None:
            return value - EVENT_BASE if column == "event" else value
        scaled = Fraction(value) * 10**decimals
        assert scaled.denominator == 1, f"{frame}.{column}: {value} has more than {decimals} decimals"
        return scaled.numerator


def engine_rows(frame: pl.DataFrame) -> list[dict]:
    """The frame's rows, times as nanoseconds."""
    times = [name for name, kind in frame.schema.items() if kind.is_temporal()]
    return frame.with_columns(pl.col(name).dt.epoch("ns") for name in times).to_dicts()


def hide_open(frame: str, rows: list[dict]) -> list[dict]:
    """An open shortfall is an account's, not an asset's."""
    if frame != "bad_debt":
        return rows
    return [row | {"asset": None, "amount": None} if row["status"] == "open" else row for row in rows]


def compare(frame: str, expected: list[dict], got: pl.DataFrame, units: Units) -> str:
    """What differs between the judge's rows and the engine's; empty if nothing does."""
    columns = COLUMNS[frame].split()
    judged = Counter(tuple(row[c] for c in columns) for row in hide_open(frame, expected))
    found = Counter(tuple(units.integer(frame, c, row) for c in columns) for row in hide_open(frame, engine_rows(got)))
    return differences(frame, columns, judged, found)


def differences(frame: str, columns: list[str], judged: Counter, found: Counter) -> str:
    lines = []
    for who, rows in (("judge ", judged - found), ("engine", found - judged)):
        for row in sorted(rows.elements(), key=repr):
            lines.append(f"  {who} {dict(zip(columns, row, strict=True))}")
    return f"{frame}\n" + "\n".join(lines) if lines else ""


def compare_postings(expected: list[dict], got: pl.DataFrame, units: Units) -> str:
    """By instant, event, kind, pair of holders and asset: the net amount, whichever way it was posted."""
    columns = ["ts", "event", "kind", "holder", "other", "asset", "amount", "amount_usd"]

    def netted(rows: list[tuple]) -> Counter:
        sums: dict[tuple, list[int]] = {}
        for ts, event, kind, source, target, asset, amount, usd in rows:
            sign = 1 if str(source) <= str(target) else -1
            pair = (source, target) if sign > 0 else (target, source)
            total = sums.setdefault((ts, event, kind, *pair, asset), [0, 0])
            if source == target:  # two positions that bear one name: which of them paid cannot be told
                sign = 1 if amount > 0 else -1
            total[0] += sign * amount
            total[1] += sign * usd
        return Counter((*key, *total) for key, total in sums.items() if any(total))

    def ends(row: dict) -> tuple:
        return (row["from"], row["from_market"]), (row["to"], row["to_market"])

    judged = [(r["ts"], r["event"], r["kind"], *ends(r), r["asset"], r["amount"], r["amount_usd"]) for r in expected]
    found = [
        (
            r["ts"],
            units.integer("postings", "event", r),
            r["kind"],
            *ends(r),
            r["asset"],
            units.integer("postings", "amount", r),
            units.integer("postings", "amount_usd", r),
        )
        for r in engine_rows(got)
    ]
    return differences("postings", columns, netted(judged), netted(found))


def compare_who_pays(expected: list[dict], got: pl.DataFrame) -> str:
    """Lines that are not zero."""
    columns = ["section", "line", "amount_usd"]
    judged = Counter((r["section"], r["line"], r["amount_usd"]) for r in expected if r["amount_usd"])
    scaled = [(r["section"], r["line"], Fraction(r["amount_usd"]) * 10**6) for r in engine_rows(got)]
    found = Counter((section, line, int(amount)) for section, line, amount in scaled if amount)
    return differences("who_pays", columns, judged, found)


def compare_failures(expected: Result, summary: dict) -> str:
    """What the failure of layers has set off, and undone."""
    judged, found = (expected.layer_halts, expected.reverted), (summary["layer_halts"], summary["reverted_actions"])
    return "" if judged == found else f"failures of layers\n  judge  {judged}\n  engine {found}"


def compare_floats(s: Scenario, expected: list[dict], got: pl.DataFrame) -> str:
    """Price and score of ADL fills, which are approximate."""
    markets = {m["name"]: m for m in s.definitions["markets"]}
    units = Units(s)

    def price(row: dict) -> float:
        """At which value(d, price) is the amount; negative if the loser was paid to give up a debt."""
        m = markets[row["market"]]
        closed = Fraction(row["size"], 10 ** m["size_decimals"]) * (1 if row["side"] == "short" else -1)
        base = closed * Fraction(m["contract_size"])
        amount = Fraction(row["amount"], 10 ** units.asset[row["asset"]])
        if m["kind"] == "linear":
            return float(amount / base)
        return float(-base / amount) if amount else float("nan")

    def key(row: dict) -> tuple:
        return row["event"], row["loser"], row["market"], row["rank"], row["amount"]

    rows = [r | {c: units.integer("adl", c, r) for c in ("event", "amount")} for r in engine_rows(got)]
    lines = []
    for judged, found in zip(sorted(expected, key=key), sorted(rows, key=key), strict=True):
        wanted = {"price": price(judged)}
        if judged["score"] is not None:
            wanted["score"] = judged["score"] / 10**18
        for name, value in wanted.items():
            if value == value and abs(found[name] - value) > 1e-9 * abs(value):
                lines.append(f"  {name}: judge {value}, engine {found[name]}, {judged}")
    return "adl\n" + "\n".join(lines) if lines else ""


def all_differences(s: Scenario, judged: Result | None = None, **tuning: int | None) -> str:
    """Runs both, the judge if it has not been run; says in which rows they differ."""
    expected, got = judged or run_judge(s), run_engine(s, **tuning)
    units = Units(s)
    found = [compare(name, getattr(expected, name), getattr(got, name), units) for name in COLUMNS]
    found.append(compare_postings(expected.postings, got.postings, units))
    found.append(compare_who_pays(expected.who_pays, got.who_pays()))
    found.append(compare_failures(expected, got.summary()))
    if not any(found):
        found.append(compare_floats(s, expected.adl, got.adl))
    return "\n".join(text for text in found if text)
