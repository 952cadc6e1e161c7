"""Data in: vendors' archives to canonical ticks, and what is wrong with them.

`fetch` downloads free public archives, `import_ticks` writes canonical ticks of them, `import_records` everything that is no
tick (bars, depth, funding, ...), `scan` reads either lazily; `check` looks for what should not be there, and the functions of
`repairs` mend it, each counting what it did. docs/data.md tells more.
"""

import polars as pl

from underwater.data.archives import ARCHIVES
from underwater.data.fetching import Fetched, Manners, fetch
from underwater.data.formats import Format, get, mapped, registry
from underwater.data.importing import Imported, import_records, import_ticks, scan
from underwater.data.quality import Check, Limits, check
from underwater.data.repairs import Repaired, drop_between, drop_outliers, drop_repeats

__all__ = [
    "ARCHIVES",
    "Check",
    "Fetched",
    "Format",
    "Imported",
    "Limits",
    "Manners",
    "Repaired",
    "check",
    "drop_between",
    "drop_outliers",
    "drop_repeats",
    "fetch",
    "formats",
    "get",
    "import_records",
    "import_ticks",
    "mapped",
    "scan",
]


def formats() -> pl.DataFrame:
    """One row per format: `format`, `about`, `ticks` (which columns can be the price of a tick), and `columns`.

    >>> import underwater as uw
    >>> uw.data.formats().filter(format="binance.aggTrades")["ticks"].item()
    'price'
    """
    return pl.DataFrame(
        {
            "format": [fmt.name for fmt in registry().values()],
            "about": [fmt.about for fmt in registry().values()],
            "ticks": [", ".join(fmt.prices) for fmt in registry().values()],
            "columns": [", ".join(column.name for column in fmt.columns) for fmt in registry().values()],
        }
    )
