"""Funding and borrow fees: what positions pay for being open."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.config.penalty import Sink
from underwater.durations import Duration
from underwater.numbers import Exact, Rate


def parse_instant(value: Any) -> int:
    """Nanoseconds since 1970 UTC of an ISO text (`"2020-03-12T10:00:00Z"`), a `datetime` with a zone, or an `int` of them.

    Raises:
        PydanticCustomError: (a `ValueError`) if it is none of these.

    >>> parse_instant("1970-01-01T00:00:01Z")
    1000000000
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            since = moment - datetime(1970, 1, 1, tzinfo=UTC)
            return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    except (TypeError, ValueError):
        pass
    raise PydanticCustomError(
        "instant", "expected a time with its zone such as 2020-03-12T10:00:00Z, got {got}", {"got": repr(value)}
    )


Instant = Annotated[
    int,
    PlainValidator(parse_instant),
    PlainSerializer(lambda ts: ts, return_type=int),
    WithJsonSchema({"type": "integer", "description": "nanoseconds since 1970 UTC, or a time with its zone"}),
]
"""A time in whole nanoseconds since 1970 UTC."""


class RatePoint(Config):
    """A rate that is paid at a time."""

    ts: Instant
    """When."""
    rate: Exact
    """Share of the notional at that time."""


class SeriesFunding(Config):
    """Funding at rates that are given, as a venue has published them."""

    kind: Literal["series"] = "series"
    """Tells the kinds apart."""
    rates: dict[str, tuple[RatePoint, ...]]
    """By market, in order of time: what longs pay to shorts; a negative rate is paid by shorts."""
    feed: str | None = None
    """Feed at which the notional is taken; None: the trigger feed."""


class PremiumFunding(Config):
    """Funding from the premium of one feed over another.

    The rate of an interval is `p + clamp(interest - p, -band, band)` with p the mean of `(of - over) / over` at the
    samples of the interval, within `cap`; of which `share` is paid at its end.
    """

    kind: Literal["premium"] = "premium"
    """Tells the kinds apart."""
    of: str = "last"
    """Feed that is compared, the price of the perpetual."""
    over: str = "index"
    """Feed that it is compared with."""
    interval: Duration = 8 * 3_600_000_000_000
    """Between two payments, which come at whole multiples of it."""
    sample: Duration = 60_000_000_000
    """Between two samples; the interval is a multiple of it."""
    interest: Exact = Fraction(1, 10_000)
    """Rate toward which the premium is pulled."""
    band: Rate = Fraction(5, 10_000)
    """How far it is pulled at most."""
    cap: Rate | None = None
    """Highest absolute rate; None: no limit."""
    share: Rate = Fraction(1)
    """Part of the rate that is paid each interval (1/8 where an eight-hour rate is paid every hour)."""
    feed: str | None = None
    """Feed at which the notional is taken; None: the trigger feed."""


Funding = Annotated[SeriesFunding | PremiumFunding, Field(discriminator="kind")]
"""Any funding; `kind` tells which."""


class Borrow(Config):
    """What every position, long or short, pays for being open."""

    rate_per_hour: Rate = Fraction(0)
    """Share of the notional an hour."""
    interval: Duration = 3_600_000_000_000
    """Between two steps of it, which come at whole multiples of it."""
    rates: dict[str, tuple[RatePoint, ...]] = Field(default_factory=dict)
    """Rates that are given beside the constant one, by market, in order of time."""
    receiver: Sink = "fees"
    """Who is paid."""
    feed: str | None = None
    """Feed at which the notional is taken; None: the trigger feed."""
