"""A protocol: a configuration of every stage, not code."""

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.accruals import Borrow, Funding
from underwater.config.adl import Adl
from underwater.config.base import Config
from underwater.config.clearing_house import ClearingHouse
from underwater.config.close import Close
from underwater.config.delistings import Delisting
from underwater.config.execution import Execution
from underwater.config.feeds import PREDEFINED, TWO_SIDED, Feed, Guard
from underwater.config.halts import Halt
from underwater.config.keeper import Keeper
from underwater.config.layers import ORDER, InsuranceFund, Layer, Pool, Socialised, Treasury, Vault
from underwater.config.limits import Limits
from underwater.config.margin import Collateral, Margin
from underwater.config.payout import Payout
from underwater.config.penalty import Penalty, Sink
from underwater.config.token import Token
from underwater.durations import PositiveDuration


class Protocol(Config):
    """The risk engine of a perpetual-futures protocol. Every field has a default: flat 0.5 % maintenance, no layers.

    Raises:
        ConfigError: a field is unknown or wrong, a feed has no such name, a waterfall names a layer, or
        `counterparty`, `execution.counterparty`, `residual` or the split of a penalty that is charged name a fund,
        pool, vault or treasury, that is not configured.

    >>> from underwater import InsuranceFund, Protocol
    >>> protocol = Protocol(name="thin fund", insurance_fund=InsuranceFund(balance=300))
    >>> protocol.layers
    ('insurance_fund',)
    >>> Protocol.from_toml(protocol.to_toml()) == protocol
    True
    """

    name: str = ""
    """Name, for reports."""
    description: str = ""
    """What it is, for reports."""
    feeds: dict[str, Feed] = Field(default_factory=dict)
    """Feeds by name, beside the predefined `last` (the market's ticks) and `index` (those of its index market)."""
    trigger_feed: str = "last"
    """Feed at which accounts are tested."""
    execution_feed: str = "last"
    """Feed at which positions are closed."""
    collateral_feed: str | None = None
    """Feed at which assets are valued; None: the trigger feed."""
    adl_feed: str | None = None
    """Feed that is the mark of ADL: it ranks counterparties; None: the trigger feed."""
    guard: Guard | None = None
    """When accounts are not liquidated; None: always."""
    halts: tuple[Halt, ...] = ()
    """When the venue is down, as a whole or in some markets."""
    delistings: tuple[Delisting, ...] = ()
    """Which markets are settled, and when."""
    margin: Margin = Margin()
    """Requirements."""
    collateral: dict[str, Collateral] = Field(default_factory=dict)
    """Weights by asset; an asset that is not listed counts whole."""
    funding: Funding | None = None
    """Payments between longs and shorts; None: there are none."""
    borrow: Borrow | None = None
    """What every position pays for being open; None: nothing."""
    counterparty: Literal["outside", "pool"] = "outside"
    """Who stands against the book at the open: the rest of the market, or the liquidity pool."""
    keeper: Keeper = Keeper()
    """Who acts on a trigger, and how late."""
    close: Close = Close()
    """How much of which position an action closes."""
    execution: Execution = Execution()
    """How positions are closed."""
    penalty: Penalty = Penalty()
    """What a liquidation costs the account."""
    payout: Payout | None = None
    """How much of their profit winners are paid by the pool; None: all of it."""
    residual: Literal["account"] | Sink = "account"
    """Who gets what is left of a closed account."""
    settlement: Literal["per_fill", "per_instant"] = "per_fill"
    """Each liquidation runs to its end before the next, or those that need no payer come first within an instant."""
    loss_unit: Literal["account", "position", "fill"] = "account"
    """What a loss is counted per."""
    attribution: Literal["notional", "maintenance", "account"] = "notional"
    """How a cross account's equity is shared among its positions: by notional, by requirement, or all on the first."""
    outside: Literal["keeps", "hedges"] = "keeps"
    """Whether the rest of the market keeps inventory, and can be deleveraged last of all, or hedges it elsewhere."""
    late_deposits: Literal["ignore", "recover"] = "ignore"
    """A deposit to a defaulted account: not received, or received and paid on to whoever covered the loss."""
    insurance_fund: InsuranceFund | None = None
    """Insurance fund; None: there is none."""
    pool: Pool | None = None
    """Liquidity pool; None: there is none."""
    vault: Vault | None = None
    """Liquidator vault; None: there is none."""
    treasury: Treasury | None = None
    """Treasury; None: there is none."""
    token: Token | None = None
    """Token backstop; None: there is none."""
    adl: Adl | None = None
    """Auto-deleveraging; None: there is none."""
    socialised: Socialised | None = None
    """Socialised loss; None: there is none."""
    waterfall: tuple[Layer, ...] | None = None
    """Order of payers; None: the configured ones of insurance_fund, pool, adl, socialised, treasury, token."""
    limits: dict[Layer, Limits] = Field(default_factory=dict)
    """What layers may pay at most, and what starts and stops them."""
    clearing_house: ClearingHouse | None = None
    """Out of what withdrawals are paid; None: there is always enough."""
    withdrawal_gate: PositiveDuration | None = None
    """For how long withdrawals are refused after a loss that nobody covered, or after an action that left its account open below
    zero; None: not at all. dYdX v4: 50 blocks."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The order of payers."""
        configured = tuple(layer for layer in ORDER if getattr(self, layer) is not None)
        return configured if self.waterfall is None else self.waterfall

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        self._check_feeds()
        bound = self.execution.bound
        named: dict[str, tuple[str, ...]] = {
            "counterparty": (self.counterparty,),
            "execution.counterparty": (self.execution.counterparty,),
            "execution.bound.remainder": (bound.remainder,) if bound else (),
            "execution.takeover": ("vault",) if self.execution.takeover else (),
            "residual": (self.residual,),
            "execution.fee.receiver": () if self.execution.fee is None else (self.execution.fee.receiver,),
            "penalty.split": tuple(self.penalty.split) if self.penalty.rate else (),
        }
        for field, entities in named.items():
            for entity in entities:
                if getattr(self, entity, self) is None:
                    raise _wrong(f"{field}: {entity} is not configured; add the field {entity} or name another")
        self._check_payout()
        if self.adl is not None and self.adl.price == "mark_then_bankruptcy" and self.insurance_fund is None:
            raise _wrong(
                "adl.price: insurance_fund is not configured; add the field insurance_fund or name another price"
            )
        for layer in self.layers:
            if getattr(self, layer) is None:
                raise _wrong(f"waterfall: {layer} is not configured; add the field {layer} or leave it out")
            if self.layers.count(layer) > 1:
                raise _wrong(f"waterfall: {layer} stands twice; expected each layer at most once")
        self._check_limits()
        self._check_delistings()
        self._check_sources()
        house = self.clearing_house
        if house is not None and house.when_short == "prepay" and self.insurance_fund is None:
            raise _wrong(
                "clearing_house.when_short: insurance_fund is not configured; add the field insurance_fund or refuse"
            )
        return self

    def _check_delistings(self) -> None:
        for number, delisting in enumerate(self.delistings):
            if delisting.negative == "adl" and self.adl is None:
                raise _wrong(f"delistings.{number}.negative: adl is not configured; add the field adl")
            halts = self.halts or any(limits.failure.kind == "halt" for limits in self.limits.values())
            if delisting.trigger.kind == "halt" and not halts:
                raise _wrong(f"delistings.{number}.trigger: there is no halt; add one to halts")

    def _check_sources(self) -> None:
        """Whoever gives money to a fund is there."""
        if self.insurance_fund is None:
            return
        own = {f"insurance_fund.funds.{name}": fund for name, fund in self.insurance_fund.funds.items()}
        for field, fund in {"insurance_fund": self.insurance_fund, **own}.items():
            for number, injection in enumerate(fund.injections):
                if injection.giver == "treasury" and self.treasury is None:
                    raise _wrong(f"{field}.injections.{number}.giver: treasury is not configured; name another")

    def _check_limits(self) -> None:
        for layer, limits in self.limits.items():
            if layer not in self.layers:
                raise _wrong(f"limits.{layer}: it is no layer of the waterfall; leave it out or add it to waterfall")
            if layer == "adl" and (limits.per_event is not None or limits.per_market is not None or limits.periods):
                raise _wrong("limits.adl: ADL pays nothing; expected no per_event, per_market or periods")
            if layer == "adl" and limits.failure.kind != "skip":
                raise _wrong("limits.adl.failure: ADL pays nothing; expected skip")
            if limits.failure.kind == "revert":
                self._check_revert(layer)
            for field in ("start", "stop"):
                trigger = getattr(limits, field)
                if trigger is not None and getattr(self, trigger.of) is None:
                    raise _wrong(f"limits.{layer}.{field}.of: {trigger.of} is not configured; name another")

    def _check_revert(self, layer: str) -> None:
        """Nobody else has a part in an action that can be undone."""
        bound = self.execution.bound
        if "adl" in self.layers:
            raise _wrong(f"limits.{layer}.failure: revert undoes no ADL; expected a waterfall without adl")
        if self.loss_unit != "account":
            raise _wrong(f"limits.{layer}.failure: revert needs loss_unit account, got {self.loss_unit}")
        if bound is not None and bound.remainder in ("adl", "deleverage"):
            raise _wrong(
                f"limits.{layer}.failure: revert undoes no ADL; execution.bound.remainder is {bound.remainder}"
            )

    def _check_payout(self) -> None:
        """Profits are paid by the pool, so that it is the other side of every position."""
        if self.payout is None:
            return
        bound = self.execution.bound
        for field, entity in (
            ("counterparty", self.counterparty),
            ("execution.counterparty", self.execution.counterparty),
        ):
            if entity != "pool":
                raise _wrong(f"payout: {field} is {entity}; expected pool, which pays the profits")
        if bound is not None and bound.remainder not in ("pool", "retry"):
            raise _wrong(f"payout: execution.bound.remainder is {bound.remainder}; expected pool or retry")
        if self.execution.takeover is not None:
            raise _wrong("payout: execution.takeover is set; expected none, since the vault has no profits to be paid")

    def _formula_feeds(self) -> list[tuple[str, str | None]]:
        """The fields that name a feed for the scale of dynamic margin, for funding or for borrow fees, and what they name."""
        dynamics = {"margin": self.margin.dynamic}
        dynamics |= {f"margin.markets.{name}": own.dynamic for name, own in self.margin.markets.items()}
        dynamics |= {f"margin.assets.{name}": own.dynamic for name, own in self.margin.assets.items()}
        uses: list[tuple[str, str | None]] = [
            (f"{field}.dynamic.feed", dynamic.feed) for field, dynamic in dynamics.items() if dynamic is not None
        ]
        for field in ("funding", "borrow"):
            accrual = getattr(self, field)
            if accrual is not None:
                uses += [(f"{field}.{name}", getattr(accrual, name, None)) for name in ("of", "over")]
                uses.append((f"{field}.feed", accrual.feed or self.trigger_feed))
        return uses

    def _check_feeds(self) -> None:
        """Every use and every source names a feed that fits, and no feed is made from itself."""
        feeds = {**PREDEFINED, **self.feeds}

        def check(field: str, name: str | None, one_sided: bool) -> None:
            if name is None:
                return
            if name not in feeds:
                raise _wrong(f"{field}: no feed is named {name!r}; expected one of {', '.join(sorted(feeds))}")
            if one_sided and feeds[name].kind in TWO_SIDED:
                raise _wrong(
                    f"{field}: {name!r} has a price for longs and one for shorts; expected a feed with one price"
                )

        for field in ("trigger_feed", "execution_feed", "adl_feed"):
            check(field, getattr(self, field), one_sided=False)
        if self.adl is not None:
            check("adl.price_feed", self.adl.price_feed, one_sided=False)
            if self.adl.price == "previous_mark":
                check("adl.price", self.adl_feed or self.trigger_feed, one_sided=True)
        # A trigger feed with two prices cannot value assets, so the collateral feed must be named beside it.
        check("collateral_feed", self.collateral_feed or self.trigger_feed, one_sided=True)
        if self.guard is not None and self.guard.divergence is not None:
            check("guard.divergence.feed", self.guard.divergence.feed, one_sided=True)
            check("guard.divergence.reference", self.guard.divergence.reference, one_sided=True)
        for number, delisting in enumerate(self.delistings):
            if delisting.price.kind == "feed":
                check(f"delistings.{number}.price.feed", delisting.price.feed, one_sided=True)
            if delisting.price.kind == "mark":
                check(f"delistings.{number}.price", self.adl_feed or self.trigger_feed, one_sided=True)
        for field, formula_feed in self._formula_feeds():
            check(field, formula_feed, one_sided=True)
        for name, feed in self.feeds.items():
            for source in feed.sources:
                check(f"feeds.{name}", source, one_sided=True)
        done: set[str] = set()

        def follow(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                cycle = " -> ".join([*path[path.index(name) :], name])
                raise _wrong(f"feeds.{name}: a feed is made from itself: {cycle}")
            if name not in done:
                for source in feeds[name].sources:
                    follow(source, (*path, name))
                done.add(name)

        for name in self.feeds:
            follow(name, ())

    def engine_json(self, markets: Iterable[str] = ()) -> str:
        """The JSON that the engine reads, for a tape with markets of these names: every field, exact numbers as text,
        durations in nanoseconds."""
        spelled_out: dict[str, Any] = {"margin": self.margin.resolved(markets), "waterfall": self.layers}
        fields = self.model_copy(update=spelled_out).model_dump()
        del fields["margin"]["assets"]
        return json.dumps(fields)


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("protocol", "{message}", {"message": message})
