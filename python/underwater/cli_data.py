"""The command line's `data`: fetch, import, check and describe ticks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from underwater import data
from underwater._files import atomic
from underwater._tables import frame_table, frame_tables
from underwater.data.quality import KINDS
from underwater.errors import ConfigError
from underwater.market import Market
from underwater.ticks import Ticks

app = typer.Typer(help="Fetch, import, check and look at ticks.", no_args_is_help=True)
out = Console()
_LISTED = 12
_FINDINGS_SHOWN = 5

Files = Annotated[list[str], typer.Argument(help="Parquet files of ticks, directories or globs.")]


@app.command("fetch")
def fetch_command(
    archive: Annotated[str, typer.Argument(help=f"{', '.join(data.ARCHIVES)} or tardis-EXCHANGE.")],
    symbol: Annotated[str, typer.Argument(help="The archive's name of the market, such as BTCUSDT.")],
    days: Annotated[
        str, typer.Argument(help="Of UTC: 2020-03-12, 2020-03-12..13, 2020-03-12..2020-04-02, or 2020-03.")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            help="aggTrades, klines, fundingRate, liquidations, ...", show_default="trades; binance: aggTrades"
        ),
    ] = None,
    interval: Annotated[str, typer.Option(help="Of bars.")] = "1m",
    directory: Annotated[Path | None, typer.Option("--to", help="Where files go.", show_default="the cache")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another server with the same layout.")] = None,
    skip_missing: Annotated[bool, typer.Option(help="Go on where the archive has no file.")] = False,
) -> None:
    """Fetch files of a free public archive.

    Verified, resumed, retried and kept. Prints their paths.
    """
    found = data.fetch(
        archive,
        symbol,
        days,
        kind=kind,
        interval=interval,
        directory=directory,
        base_url=base_url,
        skip_missing=skip_missing,
        progress=True,
    )
    for path in found.paths:
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    for place in found.missing:
        typer.echo(f"missing: {place}", err=True)


@app.command("import")
def import_command(
    files: Annotated[list[str], typer.Argument(help="Files of an archive (zip, gz, lz4, zst or plain), or globs.")],
    target: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    fmt: Annotated[
        str | None, typer.Option("--format", help="See `formats`.", show_default="by the files' names")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="A column map instead of a format: ts=time,price=px,size=qty,side=side,market=sym."),
    ] = None,
    market: Annotated[str | None, typer.Option(help="Name of the market.", show_default="as the files say")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this market of the files; may be repeated.")] = None,
    price: Annotated[str | None, typer.Option(help="The column that is the price, such as index_price.")] = None,
    clock: Annotated[str, typer.Option(help="ts: the venue's time; local_ts: that of receipt.")] = "ts",
    contract_size: Annotated[
        str | None, typer.Option(help="Of --market: base units, or quote units if inverse.")
    ] = None,
    settlement: Annotated[str | None, typer.Option(help="Coin that --market settles in; it is inverse then.")] = None,
    records: Annotated[bool, typer.Option("--records", help="Write all columns as records, not ticks.")] = False,
) -> None:
    """Import an archive's files to canonical ticks, or to records.

    Exact, out of core; the file appears whole or not at all.
    """
    chosen = _column_map(columns) if columns else fmt
    if records:
        found = data.import_records(files, target, chosen, progress=True)
    else:
        if clock not in ("ts", "local_ts"):
            raise ConfigError(f"clock: expected ts or local_ts, got {clock!r}")
        found = data.import_ticks(
            files,
            target,
            chosen,
            market=market,
            only=only or None,
            markets=_definition(market, contract_size, settlement),
            price=price,
            clock="ts" if clock == "ts" else "local_ts",
            progress=True,
        )
    counts = {
        "rows read": found.rows,
        "written": found.written,
        "no ticks": found.not_ticks,
        "repeats of the row before": found.repeats,
        "times before the row before": found.backwards,
        "files turned round": len(found.descending),
        "files that overlap another": len(found.overlapping),
        "bytes read": found.bytes_in,
        "bytes written": found.bytes_out,
    }
    out.print(
        frame_table(
            f"{found.format} to {target.name}", pl.DataFrame([{"what": k, "count": v} for k, v in counts.items()])
        )
    )


@app.command("formats")
def formats_command(
    name: Annotated[str | None, typer.Argument(help="A format, for its columns.", show_default="all")] = None,
) -> None:
    """List the formats that can be imported, or the columns of one."""
    if name is None:
        out.print(frame_table("Formats", data.formats().select("format", "about", price_of_a_tick="ticks")))
        return
    known = data.get(name)
    out.print(f"{known.name}: {known.about}", highlight=False)
    columns = pl.DataFrame(
        {
            "column": [column.name for column in known.columns],
            "is": [column.kind for column in known.columns],
            "in the file": [" or ".join(column.of) for column in known.columns],
            "may be missing": ["yes" if column.optional else "" for column in known.columns],
        }
    )
    out.print(frame_table("Columns", columns))
    if known.prices:
        out.print(f"Price of a tick: {' or '.join(known.prices)}", highlight=False)


@app.command("check")
def check_command(
    files: Files,
    gap: Annotated[str, typer.Option(help="Longest time without a tick.")] = "1m",
    stale: Annotated[str, typer.Option(help="Longest time without a move, though ticks come.")] = "5m",
    outlier: Annotated[float, typer.Option(help="Relative distance of one tick from its neighbours.")] = 0.05,
    crossed: Annotated[float, typer.Option(help="Relative difference of markets that should agree.")] = 0.02,
    pair: Annotated[list[str] | None, typer.Option(help="Two markets A,B that should agree; may be repeated.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a picture to this HTML file.")] = None,
    findings: Annotated[Path | None, typer.Option(help="Write the findings to this Parquet file.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything was found.")] = False,
) -> None:
    """Look for gaps, staleness, outliers, repeats, and markets that disagree.

    Nothing is repaired.
    """
    limits = data.Limits.from_dict({"gap": gap, "stale": stale, "outlier": outlier, "crossed": crossed})
    found = data.check(Ticks.scan(files), limits, [_pair(text) for text in pair or ()])
    columns = ("market", "ticks", "price_decimals", "price_step", "longest_gap", "longest_stale")
    _print_counts("Check", found.summary.select(*columns, *KINDS), KINDS)
    worst = found.worst(_FINDINGS_SHOWN)
    if len(worst):
        _show(
            "The worst of each kind, in UTC",
            worst.select("kind", "market", pl.col("ts").dt.strftime("%F %T"), "lasts", "price", _percent("off")),
        )
    if picture is not None:
        out.print(f"Picture: {found.plot(picture)}", highlight=False, soft_wrap=True)
    if findings is not None:
        with atomic(findings) as part:
            found.findings.write_parquet(part)
    if strict and not found.clean:
        raise typer.Exit(1)


@app.command("repair")
def repair_command(
    files: Files,
    target: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    repeats: Annotated[
        bool, typer.Option("--drop-repeats", help="Ticks like the one before. They may be real.")
    ] = False,
    outlier: Annotated[
        float | None,
        typer.Option("--drop-outliers", help="Single ticks that are off both neighbours by more than this ratio."),
    ] = None,
    between: Annotated[
        list[str] | None,
        typer.Option("--drop-between", help="MARKET,START,END: its ticks of that time, in UTC; may be repeated."),
    ] = None,
) -> None:
    """Remove what is named, and say how much.

    In the order of the options; the ticks' provenance keeps the list.
    """
    if not (repeats or outlier is not None or between):
        raise ConfigError(
            "repair: expected --drop-repeats, --drop-outliers or --drop-between: nothing is repaired unasked"
        )
    ticks = Ticks.scan(files)
    before, earlier = ticks.load(progress=True).rows, len(ticks.provenance.get("repairs", []))
    if repeats:
        ticks = data.drop_repeats(ticks).ticks
    if outlier is not None:
        ticks = data.drop_outliers(ticks, outlier).ticks
    for text in between or ():
        ticks = data.drop_between(ticks, *_stretch(text)).ticks
    ticks.write(target, progress=True)
    repairs = ticks.provenance["repairs"][earlier:]
    done = [{"repair": repair["repair"], "removed": repair["removed"]} for repair in repairs]
    out.print(frame_table(f"{before:,} ticks; {ticks.rows:,} to {target.name}", pl.DataFrame(done)))


@app.command("info")
def info_command(files: Files) -> None:
    """Show what files of ticks hold.

    Their markets, rows, quality and provenance.
    """
    ticks = Ticks.scan(files).load(progress=True)
    describe(ticks)
    quality = ticks.quality
    times = [pl.col("first_ts", "last_ts").dt.strftime("%F %T").name.map(lambda name: name.removesuffix("_ts"))]
    _show("In time, in UTC", quality.select("market", "rows", "instants", *times))
    _show("Decimals", quality.select("market", "price_decimals", "size_decimals", "price_step"))
    counts = ("duplicates", *(kind for kind in KINDS if kind in quality.columns))
    _print_counts("Quality", quality.select("market", "longest_gap", "longest_stale", *counts), counts)


def _print_counts(title: str, frame: pl.DataFrame, counts: Sequence[str]) -> None:
    """A table without the columns of what is nowhere; these are named below it."""
    absent = [name for name in counts if not frame[name].sum()]
    _show(title, frame.drop(absent))
    if absent:
        out.print(f"None found: {', '.join(absent)}", highlight=False)


def _show(title: str, frame: pl.DataFrame) -> None:
    for table in frame_tables(title, frame, out.width):
        out.print(table)


def _percent(name: str) -> pl.Expr:
    return pl.format("{} %", (pl.col(name) * 100).round(1)).alias(name)


def describe(ticks: Ticks) -> None:
    """Prints rows, markets and provenance."""
    names = [market.name for market in ticks.markets]
    listed = ", ".join(names) if len(names) <= _LISTED else f"{len(names)} markets"
    out.print(f"Ticks: {ticks.rows:,} of {listed}", highlight=False)
    for key, value in ticks.provenance.items():
        if not isinstance(value, list | dict):
            out.print(f"  {key.replace('_', ' ')}: {value}", markup=False, highlight=False)


def _column_map(text: str) -> data.Format:
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    known = ("ts", "price", "size", "side", "market", "local_ts")
    if not {"ts", "price"} <= fields.keys() <= set(known) or not all(fields.values()):
        raise ConfigError(f"columns: expected ts=COLUMN,price=COLUMN and any of {', '.join(known[2:])}, got {text!r}")
    size, side, market, local_ts = (fields.get(name) for name in known[2:])
    return data.mapped(ts=fields["ts"], price=fields["price"], size=size, side=side, market=market, local_ts=local_ts)


def _definition(market: str | None, contract_size: str | None, settlement: str | None) -> list[Market] | None:
    if contract_size is None and settlement is None:
        return None
    if market is None:
        raise ConfigError("market: expected a name with --contract-size and --settlement")
    kind = "linear" if settlement is None else "inverse"
    return [
        Market.from_dict({"name": market, "kind": kind, "contract_size": contract_size or 1, "settlement": settlement})
    ]


def _stretch(text: str) -> tuple[str, str, str]:
    match text.split(","):
        case [market, start, end] if market and start and end:
            return market, start, end
    raise ConfigError(f"drop-between: expected MARKET,START,END, got {text!r}")


def _pair(text: str) -> tuple[str, str]:
    first, comma, second = text.partition(",")
    if not (first and comma and second):
        raise ConfigError(f"pair: expected two markets A,B, got {text!r}")
    return first, second
