"""The command line: `underwater`. Tables go to stdout, progress and errors to stderr.

Exit codes: 0 fine, 1 the run failed, 2 bad usage or bad input.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from underwater import __version__, build_profile, cli_data, cli_protocols, crash_days, protocols
from underwater._tables import who_pays_table
from underwater.book import Book
from underwater.cli_data import describe, out
from underwater.config import Protocol, RunOptions
from underwater.errors import BookError, ConfigError, DataError, UnderwaterError
from underwater.run import replay
from underwater.scenario import Scenario
from underwater.ticks import Ticks

app = typer.Typer(
    help="Replay a crash day, tick by tick, through a perpetual-futures protocol's risk engine, and see who pays.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # brackets in help are TOML, not markup
    pretty_exceptions_enable=False,
)
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_protocols.app, name="protocols")

ScenarioFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A scenario in TOML.")]
OutDirectory = Annotated[Path | None, typer.Option("--out", help="Where results go.", show_default="out/SCENARIO")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        out.print(f"underwater {__version__} ({build_profile})", highlight=False)
        raise typer.Exit


@app.command()
def demo(
    day: Annotated[str, typer.Option(help="A bundled crash day.")] = "2025-10-10",
    accounts: Annotated[int, typer.Option(min=1, help="Size of the synthetic book.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic book.")] = 7,
    directory: Annotated[Path, typer.Option("--out", help="Where results go.")] = Path("out/demo"),
) -> None:
    """Replay a bundled crash day: who pays?

    A synthetic book goes through three shapes of protocol; see `underwater protocols list`.
    """
    ticks = crash_days.load(day, progress=True).load(progress=True)
    book = Book.synthetic(ticks, accounts=accounts, seed=seed)
    _run(f"{day}: who pays?", ticks, book, {s().name: s() for s in protocols.SHAPES.values()}, RunOptions(), directory)


@app.command("replay")
def replay_command(scenario: ScenarioFile, directory: OutDirectory = None) -> None:
    """Replay a scenario through its [protocol]."""
    _run_scenario(scenario, directory, several=False)


@app.command("compare")
def compare_command(scenario: ScenarioFile, directory: OutDirectory = None) -> None:
    """Compare the [protocols.NAME] of a scenario.

    All see the same day, the same book and the same reference price.
    """
    _run_scenario(scenario, directory, several=True)


def _run_scenario(path: Path, directory: Path | None, *, several: bool) -> None:
    scenario = Scenario.read(path)
    chosen = scenario.chosen(path.parent, several=several)
    try:
        ticks = scenario.ticks.open(path.parent, progress=True).load(progress=True)
        book = scenario.book.open(path.parent, ticks)
    except (ConfigError, DataError, BookError) as error:
        raise type(error)(f"{path}: {error}") from None
    _run(f"{path.stem}: who pays?", ticks, book, chosen, scenario.run, directory or Path("out") / path.stem)


def _run(
    title: str, ticks: Ticks, book: Book, chosen: Mapping[str, Protocol], options: RunOptions, directory: Path
) -> None:
    describe(ticks)
    out.print(f"Book: {book.n_accounts:,} accounts\n", highlight=False)
    tables = {}
    for name, protocol in chosen.items():
        result = replay(ticks, book, protocol, reference=options.reference, opening=options.opening, progress=True)
        target = result.write(directory / _slug(name) if len(chosen) > 1 else directory)
        tables[name] = result.who_pays()
    out.print(who_pays_table(title, tables))
    out.print(f"Results: {target.parent if len(chosen) > 1 else target}", highlight=False, soft_wrap=True)


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        app(arguments, prog_name="underwater")
    except (UnderwaterError, OSError) as error:
        sys.stderr.write(f"error: {_one_line(error)}\n")
        bad_input = isinstance(error, DataError | ConfigError | BookError | FileExistsError)
        sys.exit(2 if bad_input else 1)
