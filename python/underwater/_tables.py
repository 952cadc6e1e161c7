"""Frames as tables in a terminal."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

import polars as pl
from rich.markup import escape
from rich.table import Table

from underwater.config.layers import ORDER
from underwater.durations import duration_text

_LINES = ("bad_debt", "opening", "adl_overshoot", "subsidy", "recovered", "change_of_prepaid", *ORDER, "uncovered")
_SECTIONS = {"loss": "Loss", "payer": "Who pays", "beside": "Beside it"}


def who_pays_table(title: str, by_protocol: Mapping[str, pl.DataFrame]) -> Table:
    """Lines of `Result.who_pays` as rows, protocols as columns, in USD; a line that no protocol has is left out."""
    table = Table(title=title, title_justify="left", caption="USD at the reference price", caption_justify="left")
    table.add_column("")
    for name in by_protocol:
        table.add_column(name, justify="right")
    for section, heading in _SECTIONS.items():
        columns = [dict(_lines(frame, section)) for frame in by_protocol.values()]
        lines = sorted({line for column in columns for line, amount in column.items() if amount}, key=_position)
        if section == "beside" and not lines:
            continue
        table.add_row(f"[bold]{heading}", *(["" if section == "beside" else _total(c) for c in columns]))
        for line in lines:
            table.add_row(f"  {line.replace('_', ' ')}", *(_money(column.get(line)) for column in columns))
        table.add_section()
    return table


def frame_table(title: str, frame: pl.DataFrame) -> Table:
    """Any small frame, for people: times in UTC to the millisecond, durations short, numbers to ten digits."""
    table = Table(title=title, title_justify="left")
    for name, kind in frame.schema.items():
        right = kind.is_numeric() or kind == pl.Duration
        table.add_column(
            name.replace("_", " "), justify="right" if right else "left", no_wrap=name in ("market", "format")
        )
    for row in _told(frame).iter_rows():
        table.add_row(*map(_cell, row))
    return table


def frame_tables(title: str, frame: pl.DataFrame, width: int) -> Iterator[Table]:
    """The frame in tables that fit the width, one below the other, each with the first column; none of a cell is cut off."""
    told = _told(frame)
    first, *others = frame.columns
    taken = {
        name: 3 + max(*map(len, name.split("_")), *(len(_cell(value)) for value in told[name]), 0)
        for name in frame.columns
    }
    part: list[str] = []
    for name in others:
        if part and 1 + taken[first] + sum(taken[other] for other in part) + taken[name] > width:
            yield frame_table(title, frame.select(first, *part))
            part = []
        part.append(name)
    yield frame_table(title, frame.select(first, *part))


def _told(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Datetime("ns", "UTC")).dt.strftime("%F %T%.3f"))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool() | str():
            return escape(str(value))
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.10g}"
        case timedelta():
            whole = value // timedelta(milliseconds=1)
            # What is longer than a minute is told in seconds.
            return duration_text((whole if whole < 60_000 else whole // 1000 * 1000) * 1_000_000)
        case _:
            return escape(str(value))


def _lines(frame: pl.DataFrame, section: str) -> list[tuple[str, Decimal]]:
    return frame.filter(pl.col("section") == section).select("line", "amount_usd").rows()


def _position(line: str) -> tuple[int, str]:
    return (_LINES.index(line) if line in _LINES else len(_LINES), line)


def _total(column: Mapping[str, Decimal]) -> str:
    return f"[bold]{_money(sum(column.values(), Decimal(0)))}"


def _money(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:,.0f}"
