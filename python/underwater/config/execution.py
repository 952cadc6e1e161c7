"""Stage *execution*: how a position is closed, against whom, and what that does to the price."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.config.penalty import Sink
from underwater.durations import Duration, PositiveDuration
from underwater.numbers import Offset, Positive, PositiveRatio, Rate, Ratio, Usd


class Rung(Config):
    """One level of depth."""

    share: PositiveRatio
    """Share of the whole position, or of the depth of an impact, that fills here."""
    offset: Offset
    """Relative price against the account: -0.15 sells 15 % lower, or buys 15 % higher."""


class Impact(Config):
    """How closes displace the price of their market, for themselves and for those that come after."""

    kind: Literal["linear", "square_root", "ladder", "constant_product"]
    """The displacement as a function of the volume V that closes have traded: V / depth; coefficient * sqrt(V /
    depth); the offset of a rung; or that of a virtual market maker with a quote reserve of `depth`."""
    depth: Positive
    """Depth in quote units. Linear and square root: the notional that displaces the price by 100 % (times the
    coefficient); ladder: the notional that all rungs hold; constant product: the quote reserve."""
    markets: dict[str, Positive] = Field(default_factory=dict)
    """Depth of single markets, by name."""
    coefficient: Positive = Field(default=1, validate_default=True)
    """Factor of the square root."""
    rungs: tuple[Rung, ...] = ()
    """Rungs of the ladder, best first, as shares of the depth; the last has no end."""
    half_life: Duration | None = None
    """Time in which half of the volume is forgotten, in 64 steps; None: it never is."""
    permanent: Ratio = Field(default=0, validate_default=True)
    """Share of the volume that is never forgotten."""
    limit: PositiveRatio = Field(default=1, validate_default=True)
    """Largest displacement of the price, up or down."""
    feedback: bool = False
    """Whether the trigger feed is displaced too, so that liquidations trigger others: a cascade."""

    @model_validator(mode="after")
    def _rungs_of_a_ladder(self) -> "Impact":
        offsets = [rung.offset for rung in self.rungs]
        if (self.kind == "ladder") != bool(self.rungs):
            raise _wrong("rungs: expected rungs for a ladder, and for nothing else")
        if any(x > 0 for x in offsets) or offsets != sorted(offsets, reverse=True):
            raise _wrong("rungs: expected offsets of at most 0, each no better than the one before")
        return self


class Takeover(Config):
    """The vault takes accounts over before they are bankrupt: all positions, and all that is left."""

    below: Rate
    """An account whose equity is below this share of its requirement is taken over, if it is not short of anything."""
    floor: Usd | None = None
    """USD that the vault's equity at the reference must come to, or it takes nothing over any more (a vault of limited capital);
    None: it does whatever it has lost."""
    adl_pause: PositiveDuration | None = None
    """The vault's own positions are deleveraged while its equity is below the floor (0 without one), as those of any loser and at
    most once in so long; None: never. Source: Hyperliquid, auto-deleveraging: no special treatment of the backstop's
    positions."""


class Bound(Config):
    """The worst price at which a close fills in the market, and what becomes of what does not fill."""

    kind: Literal["bankruptcy", "fillable"]
    """Where the account's equity, shared by requirement, is used up; or at a spread off the mark that grows as the
    account nears bankruptcy: adjustment * (1 - equity / requirement), from 0 to 1, times `spread` requirements."""
    adjustment: Positive = Field(default=1, validate_default=True)
    """How fast the spread of the fillable price grows."""
    spread: Rate = Field(default="1.5", validate_default=True)
    """The most that the spread of the fillable price can be, in requirements of the position."""
    remainder: Literal["outside", "pool", "vault", "keepers", "retry", "adl", "deleverage"] = "vault"
    """Who takes the remainder, at that price; `retry`: nobody, it stays open and the keeper tries again after
    `close.pause`; `adl`: it is deleveraged at once, and what nobody can take fills at that price (of an account that is
    closed in parts, as `retry`). Source: Deriva/DerivaDEX risk controls ("if liquidity or solvency prevents the close").
    `deleverage`: as `retry`, and a fill whose loss the layers before ADL do not cover is refused; where nothing fills at all and
    the account is below zero, the whole of the chosen positions is deleveraged, as far as somebody can take it (needs loss_unit
    `fill`). Source: dYdX v4, protocol/x/clob/keeper/liquidations.go and deleveraging.go."""


class TradingFee(Config):
    """What a close costs an account besides penalty and keeper: a fee on its fills in the market, paid even by an account
    that has nothing left, so that whoever covers its loss covers the fee."""

    rate: Rate
    """Share of the notional."""
    of: Literal["fill", "entry"] = "fill"
    """Of which notional: that of the fill (a taker fee), or what was paid at the entry for what it closes (GMX v1)."""
    receiver: Sink = "fees"
    """Who is paid."""


class Execution(Config):
    """How a close fills."""

    kind: Literal["feed", "next_tick", "participation", "level"] = "feed"
    """At the execution feed at once; at the market's next print after the action; as a share of the volume that
    trades next, at its average price (the ticks need sizes); or at once and at the price at which the account became
    liquidatable, however far the price has gone since (of an account with one position and one asset; others at the feed).
    Source of `level`: gTrade v6.4, whose look-back closes at exactly the liquidation price."""
    counterparty: Literal["outside", "pool", "vault", "keepers"] = "outside"
    """Who takes the position: the rest of the market, the liquidity pool, the liquidator vault, or the keepers."""
    ladder: tuple[Rung, ...] | None = Field(default=None, min_length=1)
    """Depth in shares of the position, best level first; what the shares leave fills at the last. None: everything
    fills at one price."""
    impact: Impact | None = None
    """Depth in money, which closes use up; None: closes do not move the price."""
    rate: PositiveRatio = Field(default=1, validate_default=True)
    """Share of the volume that an order by participation takes."""
    book_scale: dict[str, Positive] = Field(default_factory=dict)
    """By market: open interest of the book over that of the venue. It scales depth and volume; a market that is not
    listed has 1."""
    discount: Ratio = Field(default=0, validate_default=True)
    """Discount to the execution price at which the counterparty takes the position over."""
    fee: TradingFee | None = None
    """What fills in the market cost the account; None: nothing."""
    takeover: Takeover | None = None
    """When the vault takes an account over as it stands; None: never."""
    bound: Bound | None = None
    """The worst price in the market; None: any."""

    @model_validator(mode="after")
    def _one_price(self) -> "Execution":
        makers = {
            "ladder": self.ladder is not None,
            "impact": self.impact is not None,
            "discount": self.discount > 0,
            "participation": self.kind == "participation",
        }
        chosen = [name for name, is_set in makers.items() if is_set]
        if len(chosen) > 1:
            raise _wrong(f"expected at most one of {', '.join(makers)}, each of which makes the price; got {chosen}")
        if self.kind == "level" and self.takeover is not None:
            raise _wrong("takeover: expected none where closes fill at the level")
        if self.discount == 1:
            raise _wrong("discount: expected a share below 1")
        return self


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("execution", "{message}", {"message": message})
