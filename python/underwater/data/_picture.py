"""A check as a picture: one HTML file that needs nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from underwater._files import atomic

if TYPE_CHECKING:
    from underwater.data.quality import Check

_COLOURS = {"gap": "#888888", "stale": "#e6a700", "outlier": "#d62728", "repeat": "#9467bd", "crossed": "#1f77b4"}
_AREAS = ("gap", "stale", "crossed")
_HEIGHT, _TITLE, _MARGIN = 240, 44, 160
"""Pixels of a market, of the title above it, and of what is around all."""
_DRAWN = 200


def draw(check: "Check", target: Path) -> Path:
    """Prices of every market, from lowest to highest of a stretch, and where something was found."""
    markets = check.path["market"].unique(maintain_order=True).to_list()
    height = _HEIGHT * len(markets) + _MARGIN
    figure = make_subplots(
        rows=len(markets),
        cols=1,
        shared_xaxes=True,
        subplot_titles=[_title(check, market) for market in markets],
        vertical_spacing=_TITLE / height,
    )
    # Titles stand at the left, and take no room from the plots.
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    shown: set[str] = set()
    for row, market in enumerate(markets, 1):
        path = check.path.filter(market=market)
        ts = path["ts"].dt.replace_time_zone(None).to_list()
        line = {"color": "#222222", "width": 1}
        figure.add_scatter(x=ts, y=path["low"].to_list(), line=line, name="low", showlegend=False, row=row, col=1)
        figure.add_scatter(
            x=ts, y=path["high"].to_list(), line=line, fill="tonexty", name="high", showlegend=False, row=row, col=1
        )
        for kind, colour in _COLOURS.items():
            found = check.findings.filter(kind=kind, market=market)
            if len(found):
                _mark(figure, kind, colour, found, row, kind not in shown)
                shown.add(kind)
    times = check.path["ts"].dt.replace_time_zone(None)
    figure.update_xaxes(range=[times.min(), times.max()])
    figure.update_xaxes(title="UTC", row=len(markets), col=1)
    figure.update_layout(
        title="What should not be there (a click on the legend shows and hides a kind)",
        template="plotly_white",
        height=height,
        hovermode="closest",
        shapes=_areas(check, markets),
    )
    with atomic(target) as part:
        figure.write_html(part, include_plotlyjs=True, full_html=True)
    return target


def _title(check: "Check", market: str) -> str:
    """The market, and how much of what was found, whether it is listed or not."""
    row = check.summary.filter(market=market).row(0, named=True)
    counts = ", ".join(f"{kind} {row[kind]:,}" for kind in ("backwards", *_COLOURS) if row[kind])
    return f"<b>{market}</b>  {counts or 'nothing found'}"


def _mark(figure: go.Figure, kind: str, colour: str, found: pl.DataFrame, row: int, legend: bool) -> None:
    starts, ends = (found[name].dt.replace_time_zone(None).to_list() for name in ("ts", "until"))
    figure.add_scatter(
        x=starts,
        y=found["price"].to_list(),
        mode="markers",
        marker={"color": colour, "size": 7, "symbol": "x" if kind == "outlier" else "circle-open"},
        name=kind,
        legendgroup=kind,
        showlegend=legend,
        # Equal fills of one instant are no fault, and as many as to hide all else.
        visible="legendonly" if kind == "repeat" else True,
        text=[f"{kind} until {end}" for end in ends],
        row=row,
        col=1,
    )


def _areas(check: "Check", markets: list[str]) -> list[dict[str, Any]]:
    """Shaded stretches, the longest of each kind and market. As one list: the library adds single shapes slowly."""
    shapes = []
    for row, market in enumerate(markets, 1):
        for kind in _AREAS:
            found = check.findings.filter(kind=kind, market=market)
            longest = found.with_columns((pl.col("until") - pl.col("ts")).alias("length")).top_k(_DRAWN, by="length")
            for start, end in longest.select(pl.col("ts", "until").dt.replace_time_zone(None)).iter_rows():
                axis = "" if row == 1 else str(row)
                place = {"xref": f"x{axis}", "yref": f"y{axis} domain", "x0": start, "x1": end, "y0": 0, "y1": 1}
                look = {"fillcolor": _COLOURS[kind], "opacity": 0.15, "line": {"width": 0}, "layer": "below"}
                shapes.append({"type": "rect", **place, **look})
    return shapes
