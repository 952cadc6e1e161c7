"""Stage *ADL*: auto-deleveraging, the match of a loser with winners on the other side."""

from typing import Literal

from underwater.config.base import Config


class Adl(Config):
    """How winners are matched."""

    price: Literal["bankruptcy", "mark"] = "bankruptcy"
    """Price of a match: where the loser's equity is zero, or the trigger feed."""
    capacity: Literal["equity", "position", "profit"] = "equity"
    """Limit of a counterparty: up to its own bankruptcy, its whole position whatever the cost, or up to its profit."""
