"""What the figures rest on: the data quality block (metric 13)."""

from typing import TYPE_CHECKING, Any

from underwater.metrics._frames import figures

if TYPE_CHECKING:
    from underwater.result import Result
    from underwater.ticks import Ticks


def data_quality(result: "Result", ticks: "Ticks | None" = None) -> dict[str, Any]:
    """What a reader should know of the data before the figures.

    Keys: `reference` (kind of price at which losses are valued), `trigger_feed` and `execution_feed`, `reconstructed`
    (whether the provenance says that prices were made from bars or anchors), `steps` (what was done to the ticks),
    `provenance`; `ticks`, `start_ts`, `end_ts`; `rejected` (accounts and events turned down), `flagged_at_open`; and
    with the ticks `markets`: by market the row of `Ticks.quality` (duplicates, gaps, stale prices, outliers).
    """
    known = figures(result)
    provenance = dict(result.provenance)
    text = repr(provenance).lower()
    protocol = result.protocol
    block: dict[str, Any] = {
        "reference": known["reference"],
        "trigger_feed": _named(protocol.trigger_feed),
        "execution_feed": _named(protocol.execution_feed),
        "reconstructed": "reconstruct" in text,
        "steps": provenance.get("steps", []),
        "provenance": provenance,
        "ticks": known["ticks"],
        "start_ts": known["start_ts"],
        "end_ts": known["end_ts"],
        "rejected": known["rejected_at_open"] + known["rejected_events"],
        "flagged_at_open": known["flagged_at_open"],
    }
    if ticks is not None:
        block["markets"] = {row["market"]: row for row in ticks.quality.rows(named=True)}
    return block


def _named(feed: Any) -> str:
    return feed if isinstance(feed, str) else str(getattr(feed, "kind", feed))
