"""The command line: `underwater protocols`."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from underwater import protocols
from underwater.cli_data import out
from underwater.protocols import Description, Parameter

app = typer.Typer(help="Protocols to start from: generic shapes, and venues.", no_args_is_help=True)

_COLOURS = {"verified": "green", "unverified": "yellow", "ours": "cyan"}


@app.command("list")
def list_command() -> None:
    """List the protocols."""
    for heading, names in (("Venues", protocols.VENUES), ("Shapes (round numbers, no venue)", protocols.SHAPES)):
        out.print(f"[bold]{heading}[/bold]")
        for name in names:
            out.print(f"  {name:<12} {escape(protocols.describe(name).summary)}", highlight=False, soft_wrap=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name of `underwater protocols list`.")],
    toml: Annotated[bool, typer.Option("--toml", help="The configuration as TOML, to change and to replay.")] = False,
) -> None:
    """Show what a protocol models and leaves out, and the source of each of its values."""
    if toml:
        out.print(protocols.get(name).to_toml(), markup=False, highlight=False, soft_wrap=True, end="")
    else:
        _print(protocols.describe(name))


def _print(said: Description) -> None:
    def lines(heading: str, entries: tuple[str, ...]) -> None:
        if entries:
            out.print(f"\n[bold]{heading}[/bold]")
        for entry in entries:
            grid = Table.grid(padding=(0, 1))
            grid.add_row(" -", escape(entry))
            out.print(grid, highlight=False)

    out.print(f"[bold]{escape(said.title)}[/bold]: {escape(said.summary)}", highlight=False)
    out.print(f"As of: {escape(said.date)}", highlight=False)
    lines("Models", said.models)
    lines("Leaves out", said.leaves_out)
    lines("Options", tuple(f"{name}: {what}" for name, what in said.options.items()))
    lines("Sources", tuple(f"{key}: {what}" for key, what in said.sources.items()))
    table = Table(title="Values", title_justify="left", title_style="bold", show_lines=False)
    table.add_column("field", overflow="fold")
    table.add_column("value", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("source, note", overflow="fold")
    for fields, parameter in _together(said.parameters):
        colour = _COLOURS[parameter.status]
        told = "; ".join(filter(None, (parameter.source, parameter.note)))
        table.add_row(escape(fields), escape(parameter.value), f"[{colour}]{parameter.status}[/]", escape(told))
    out.print()
    out.print(table, highlight=False)


def _together(parameters: Iterable[Parameter]) -> Iterator[tuple[str, Parameter]]:
    """The parameters, neighbours as one if they differ in the last part of their path only."""

    def shared(p: Parameter) -> tuple[str, ...]:
        return (p.field.rpartition(".")[0], p.value, p.status, p.source, p.note)

    for _, neighbours in groupby(parameters, shared):
        first, *others = neighbours
        yield ", ".join([first.field, *(other.field.rpartition(".")[2] for other in others)]), first
