"""Stage *keeper*: who acts on a trigger, and how late."""

from pydantic import Field

from underwater.config.base import Config
from underwater.durations import Duration


class Keeper(Config):
    """Whoever closes accounts that fell below their requirement."""

    latency: Duration = 0
    """From detection to action."""
    rounds: int = Field(default=1, ge=0, lt=2**32)
    """How often accounts that actions changed are tested again within the same instant."""
