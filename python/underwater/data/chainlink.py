"""Chainlink rounds: what an on-chain oracle said, and when. The answer is an integer in 1e-8 for pairs with USD.

A round is `phaseId << 64 | aggregatorRound`, above 64 bits, and stays a text.
"""

from underwater.data.formats import Column, Format, columns, text, time

FORMATS = (
    Format(
        "chainlink.rounds",
        "rounds of a feed; the answer in 1e-8",
        (
            time("ts", "updatedAt"),
            time("started_ts", "startedAt"),
            Column("price", "number", ("answer",), scale=8),
            text("round", "round", "roundId"),
            text("answered_in_round", "answeredInRound"),
        ),
        (columns("round, answer, startedAt, updatedAt, answeredInRound"),),
        {"price": ""},
        names=r"(?:^|/)(?P<market>[A-Za-z0-9-]+)[-_]rounds[^/]*\.csv",
    ),
)
"""The format of the rounds."""
