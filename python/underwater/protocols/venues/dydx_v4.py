"""dYdX v4: an order book whose insurance fund pays fill by fill, or refuses; then deleveraging at random."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from underwater.config import (
    Adl,
    AtTime,
    Bound,
    Capacity,
    Close,
    Delisting,
    Execution,
    FlatMargin,
    FractionClose,
    InitialShareMargin,
    InsuranceFund,
    Keeper,
    Limits,
    Margin,
    MarketMargin,
    MarkPrice,
    OpenInterestMargin,
    OwnFund,
    Penalty,
    PeriodicFeed,
    Protocol,
)
from underwater.numbers import Dollars, parse_exact
from underwater.protocols.description import Description, Parameter
from underwater.protocols.venues import by_market

_M = 10**6


@dataclass(frozen=True)
class LiquidityTier:
    """A liquidity tier."""

    initial: Fraction
    """Initial requirement while open interest is small, as a share of the notional."""
    maintenance: Fraction
    """Maintenance requirement as a share of the initial one."""
    open_interest: tuple[Fraction, Fraction] | None = None
    """Millions of dollars of open interest from which the initial requirement rises, and at which it is the whole notional."""

    def margin(self) -> MarketMargin:
        """Its requirements. That of maintenance does not rise with open interest."""
        maintenance = InitialShareMargin(rate=self.initial, share=self.maintenance)
        if self.open_interest is None:
            return MarketMargin(maintenance=maintenance, initial=FlatMargin(rate=self.initial))
        lower, upper = (bound * _M for bound in self.open_interest)
        return MarketMargin(
            maintenance=maintenance, initial=OpenInterestMargin(base=self.initial, lower=lower, upper=upper)
        )


def _tier(initial: str, maintenance: str, *open_interest: str) -> LiquidityTier:
    lower, upper = map(Fraction, open_interest) if open_interest else (None, None)
    caps = None if lower is None or upper is None else (lower, upper)
    return LiquidityTier(Fraction(initial), Fraction(maintenance), caps)


TIERS: dict[str, dict[str, LiquidityTier]] = {
    "later": {
        "Large-Cap": _tier("0.02", "0.6"),
        "Mid-Cap": _tier("0.05", "0.6", "40", "100"),
        "Small-Cap": _tier("0.1", "0.5", "20", "50"),
        "Long-Tail": _tier("0.2", "0.5", "5", "10"),
        "Safety": _tier("1", "0.2", "2", "5"),
        "Isolated": _tier("0.05", "0.6", "0.5", "1"),
        "FX": _tier("0.01", "0.5", "0.5", "1"),
    },
    "genesis": {
        "Large-Cap": _tier("0.05", "0.6"),
        "Mid-Cap": _tier("0.1", "0.5"),
        "Long-Tail": _tier("0.2", "0.5"),
        "Safety": _tier("1", "0.2"),
    },
}
"""Liquidity tiers by name: those of the repository in 2026, and those of the mainnet's genesis in 2023."""

ASSETS = {"BTC": "Large-Cap", "ETH": "Large-Cap", "SOL": "Mid-Cap"}
"""Assets of which the tier is known; the others are Long-Tail."""


def dydx_v4(
    *,
    index: bool = False,
    markets: Mapping[str, str] | None = None,
    tiers: Literal["later", "genesis"] = "later",
    fund: Dollars = 1_000_000,
    isolated: Mapping[str, Dollars] | None = None,
    final_settlement: Mapping[str, str | int] | None = None,
) -> Protocol:
    """dYdX v4 (dYdX Chain), with the liquidation parameters of the mainnet's genesis.

    Margin follows the market's base asset: BTC and ETH are Large-Cap, SOL is Mid-Cap, anything else Long-Tail.
    See `describe("dydx_v4")` for every value.

    Args:
        index: whether the markets of the tape have an index, which then is the oracle; else it is their own price.
        markets: tiers of single markets, such as `{"WIF-USD": "Small-Cap"}`.
        tiers: `later` for the tiers that the repository has had since; `genesis` for those of November 2023.
        fund: dollars of the insurance fund at the open.
        isolated: isolated markets, with the dollars of the insurance fund that each of them has for itself (theirs begin with
            nothing). They are of the tier Isolated unless `markets` names another.
        final_settlement: when single markets go into final settlement, such as `{"LUNA-USD": "2h"}` after the open or at a time:
            whoever is below zero is deleveraged there at the bankruptcy price, everybody else closed at the oracle's.

    Raises:
        ConfigError: `markets` names a tier that there is not.
    """
    known = {name: tier.margin() for name, tier in TIERS[tiers].items()}
    named = {**dict.fromkeys(isolated or {}, "Isolated"), **(markets or {})}
    own = {market: OwnFund(balance=parse_exact(dollars)) for market, dollars in (isolated or {}).items()}
    return Protocol(
        name="dydx v4",
        description="Order book; the insurance fund pays each fill or refuses it; then deleveraging at the bankruptcy price.",
        feeds={"oracle": PeriodicFeed(source="index" if index else "last", every="1s")},
        trigger_feed="oracle",
        execution_feed="last",
        margin=Margin(
            maintenance=known["Long-Tail"].maintenance,
            initial=known["Long-Tail"].initial,
            assets={asset: known[tier] for asset, tier in ASSETS.items()},
            markets=by_market(named, known, "a tier"),
        ),
        keeper=Keeper(poll="1s", capacity=Capacity(limit=50, window="1s")),
        close=Close(
            policy=FractionClose(share="0.1", minimum=1_000, cap=100_000),
            positions="random",
            pause="1s",
            when_insolvent="policy",
        ),
        execution=Execution(bound=Bound(kind="fillable", adjustment=1, spread="1.5", remainder="deleverage")),
        penalty=Penalty(rate="0.015"),
        loss_unit="fill",
        attribution="maintenance",
        insurance_fund=InsuranceFund(balance=fund, coverage="all_or_none", funds=own),
        limits={"insurance_fund": Limits(per_event=1_000_000)},
        adl=Adl(
            price="bankruptcy",
            score="random_start",
            eligibility="overlap",
            capacity="position",
            counterparties=500,
            attempts=10,
        ),
        withdrawal_gate="50s",
        delistings=tuple(
            Delisting(market=market, trigger=AtTime(at=at), price=MarkPrice(), negative="adl")
            for market, at in (final_settlement or {}).items()
        ),
    )


_CHAIN = "https://github.com/dydxprotocol/v4-chain at 84d4664: "

DESCRIPTION = Description(
    name="dydx_v4",
    title="dYdX v4",
    summary="Order book; the insurance fund pays each fill or refuses it; then deleveraging at the bankruptcy price.",
    date="liquidation parameters of the mainnet's genesis (2023); tiers of the repository in March 2026, or of the genesis",
    models=(
        "an initial requirement that rises with open interest, and a maintenance requirement that does not",
        "blocks of one second: the oracle's price, the liquidation of at most 50 accounts",
        "of a cross account one position a block, drawn at random; at most a tenth of it, at least 1,000 and at most "
        "100,000 dollars",
        "fills down to the fillable price, which falls as the account nears bankruptcy; what the book does not take there is "
        "tried again in the next block",
        "each fill settled against the bankruptcy price of what it closes, by maintenance requirement: below it the fund pays, "
        "above it the account pays the fund up to 1.5 % of the fill",
        "a fund that pays a fill whole or refuses it, and loses at most a million dollars on an account in a block",
        "an account below zero of which nothing fills in a block: its position, whole, to whoever stands opposite, from a drawn "
        "account on, at the loser's bankruptcy price, as long as that is not beyond their own; what nobody can take waits",
        "at most ten deleveragings a block",
        "final settlement, where it is asked for: below zero at the bankruptcy price, else at the oracle's",
        "withdrawals that are blocked for 50 blocks after an account was left below zero",
    ),
    leaves_out=(
        "fills by maker: of one depth the whole is filled or refused (each rung of a ladder is a fill)",
        "the order of liquidations in a block, by how far the fillable price is from the oracle's: here by account",
        "the micro-dollar by which the bankruptcy price of one of several positions may differ, where shares of equity round",
        "accounts below zero that no liquidation order was sent for (more than 50 in a block) do not block withdrawals",
        "collateral pools of isolated markets: that a position of theirs stands alone is the book's to say (margin_mode)",
        "maker rebates and rewards",
    ),
    options={
        "index": "the markets have an index, which is the oracle",
        "markets": "tiers of single markets",
        "tiers": "later or genesis",
        "fund": "dollars of the insurance fund",
        "isolated": "isolated markets, with the dollars of their own insurance funds",
        "final_settlement": "when single markets are settled for good (none by default)",
    },
    sources={
        "genesis": _CHAIN + "protocol/testing/mainnet/genesis.json",
        "defaults": _CHAIN + "protocol/testing/genesis.sh",
        "liquidations": _CHAIN + "protocol/x/clob/keeper/liquidations.go",
        "deleveraging": _CHAIN + "protocol/x/clob/keeper/deleveraging.go",
        "perpetuals": _CHAIN + "protocol/x/perpetuals",
    },
    parameters=(
        Parameter(
            field="feeds", status="verified", source="genesis", note="oracle prices come with blocks of about a second"
        ),
        Parameter(field="trigger_feed", status="verified", source="perpetuals", note="there is no mark price for risk"),
        *(
            Parameter(
                field=f"margin.assets.{asset}",
                status="unverified",
                source="defaults",
                note=f"{tier}; governance may have changed it",
            )
            for asset, tier in ASSETS.items()
        ),
        Parameter(
            field="margin.maintenance",
            status="unverified",
            source="defaults",
            note="Long-Tail, where no asset is known",
        ),
        Parameter(
            field="margin.initial", status="unverified", source="defaults", note="Long-Tail, where no asset is known"
        ),
        Parameter(field="keeper.poll", status="verified", source="liquidations", note="each block"),
        Parameter(field="keeper.capacity", status="verified", source="liquidations", note="a node's default"),
        Parameter(field="close.policy", status="verified", source="genesis"),
        Parameter(
            field="close.when_insolvent",
            status="verified",
            source="liquidations",
            note="below zero as before: at most a tenth a block while the book takes it",
        ),
        Parameter(field="close.positions", status="verified", source="liquidations", note="the draws are our own"),
        Parameter(field="close.pause", status="verified", source="liquidations", note="once a block"),
        Parameter(
            field="execution.bound",
            status="verified",
            source="genesis",
            note="spread_to_maintenance_margin_ratio 1.5; nobody takes the rest; deleveraged where nothing fills",
        ),
        Parameter(field="penalty.rate", status="verified", source="genesis", note="at most; all of it to the fund"),
        Parameter(field="loss_unit", status="verified", source="liquidations"),
        Parameter(field="attribution", status="verified", source="liquidations"),
        Parameter(
            field="insurance_fund.balance", status="ours", note="about 1 M was once proposed (dydx.forum/t/1750)"
        ),
        Parameter(field="insurance_fund.coverage", status="verified", source="deleveraging", note="zero may be left"),
        Parameter(
            field="limits.insurance_fund",
            status="verified",
            source="genesis",
            note="max_quantums_insurance_lost, by account and block: one liquidation order",
        ),
        Parameter(field="adl.price", status="verified", source="deleveraging"),
        Parameter(
            field="adl.score", status="verified", source="deleveraging", note="no rank: accounts from a drawn one on"
        ),
        Parameter(field="adl.eligibility", status="verified", source="deleveraging"),
        Parameter(field="adl.capacity", status="verified", source="deleveraging", note="up to the whole position"),
        Parameter(field="adl.counterparties", status="verified", source="liquidations", note="a node's default"),
        Parameter(field="adl.attempts", status="verified", source="liquidations", note="by block; a node's default"),
        Parameter(
            field="withdrawal_gate", status="verified", source="deleveraging", note="50 blocks of about a second"
        ),
    ),
)
