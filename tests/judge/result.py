"""What the judge hands back: lists of rows, one per line of a frame.

Amounts are integers in units of the row's asset, `_usd` in micro-dollars, sizes and prices in the market's units.
Accounts are named by (`account`, `market`), entities by their name with market None.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Rows = list[dict]


@dataclass
class Result:
    liquidations: Rows = field(default_factory=list)
    adl: Rows = field(default_factory=list)
    bad_debt: Rows = field(default_factory=list)
    accounts: Rows = field(default_factory=list)
    balances: Rows = field(default_factory=list)
    positions: Rows = field(default_factory=list)
    postings: Rows = field(default_factory=list)
    rejected_events: Rows = field(default_factory=list)
    who_pays: Rows = field(default_factory=list)
    reverted: int = 0  # actions that were not carried out because a layer failed
    layer_halts: Rows = field(default_factory=list)  # set off by the failure of a layer

    def pays(self) -> dict[str, int]:
        """who_pays as {line: amount_usd}."""
        return {row["line"]: row["amount_usd"] for row in self.who_pays}
