"""Stage *after*: out of what withdrawals are paid."""

from typing import Literal

from underwater.config.base import Config


class ClearingHouse(Config):
    """Withdrawals are paid out of what accounts have brought in and nobody has taken out: a winner may leave before the loser is
    closed, with money that is not there yet.

    Source: Perpetual Protocol v1, whose insurance fund prepays what its clearing house lacks; Drift v1, whose vault was drained
    by profits that could be withdrawn before losers were realised (2022-05-11).
    """

    when_short: Literal["prepay", "refuse"] = "prepay"
    """A withdrawal that the house does not have. `prepay`: the insurance fund pays what is missing, and losses that are realised
    later use that up before any layer pays for them (the column and line `change_of_prepaid`); where the fund has not enough the
    withdrawal is refused. `refuse`: it is always refused; first come, first served."""
