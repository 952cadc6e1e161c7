"""freqtrade: bars in Feather files, stamped with the opening."""

from underwater.data.formats import Format, number, time

FORMATS = (
    Format(
        "freqtrade.bars",
        "bars; the stamp is the opening",
        (time("open_ts", "date"), *(number(name) for name in ("open", "high", "low", "close", "volume"))),
        names=r"(?:^|/)(?P<market>[A-Za-z0-9_]+)-\d+[mhdwM](?:-(?:futures|mark|spot))?\.feather$",
    ),
)
"""The format of the files."""
