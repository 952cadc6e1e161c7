"""The judge: a slow and obvious second implementation of docs/semantics.md.

Plain Python on integers and fractions. Every account is tested at every one of its instants, every sum is taken again
from the start, nothing is remembered that can be computed. It shares no code with the engine: where the two differ,
one of them is wrong.

    result = judge(definitions, ticks, positions, accounts, events, protocol, options)

`definitions` is the JSON of the markets and assets with the decimals stated; `ticks` maps a market to its prints
`(ts, price, size)` in file order, the price an integer in the market's own decimals; `positions`, `accounts` and
`events` are lists of dicts, amounts and prices in them anything whose text `Fraction` reads; `protocol` and `options`
are the JSON of the configuration.
"""

from judge.replay import judge
from judge.result import Result

__all__ = ["Result", "judge"]
