"""GMX v1: one pool that is everybody's counterparty, at an oracle's price, without fund or deleveraging."""

from underwater.config import (
    Borrow,
    Execution,
    Keeper,
    LeverageMargin,
    Margin,
    Penalty,
    Pool,
    Protocol,
    PushFeed,
    SpreadFeed,
    TradingFee,
    UniformLatency,
)
from underwater.numbers import Dollars, parse_exact
from underwater.protocols.description import Description, Parameter


def gmx_v1(
    *,
    index: bool = False,
    pool: Dollars = 400_000_000,
    max_leverage: int = 50,
    utilisation: Dollars = "0.5",
) -> Protocol:
    """GMX v1 on Arbitrum, by its contracts of July 2025.

    See `describe("gmx_v1")` for every value.

    Args:
        index: whether the markets of the tape have an index, which the oracles then follow; else they follow the market's own
            price.
        pool: dollars of the pool at the open.
        max_leverage: notional at the entry over what is left of the collateral, above which a position is liquidatable.
        utilisation: share of the pool that positions reserve, which borrow fees rise with; it stands still here.
    """
    source = "index" if index else "last"
    return Protocol(
        name="gmx v1",
        description="One pool is everybody's counterparty, at an oracle's price; it bears every loss.",
        feeds={
            "fast": PushFeed(source=source, deviation=0, heartbeat="1s", latency="1s"),
            "chainlink": PushFeed(source=source, deviation="0.0005", heartbeat="24h", latency="1s"),
            "vault": SpreadFeed(source="fast", reference="chainlink", limit="0.025"),
        },
        trigger_feed="vault",
        execution_feed="vault",
        collateral_feed="fast",
        margin=Margin(
            maintenance=LeverageMargin(fee=5, fee_rate="0.001", max_leverage=max_leverage),
            initial=LeverageMargin(max_leverage=max_leverage),
        ),
        borrow=Borrow(rate_per_hour=parse_exact(utilisation) / 10_000, feed="fast"),
        counterparty="pool",
        keeper=Keeper(latency=UniformLatency(low="500ms", high="5s")),
        execution=Execution(counterparty="pool", fee=TradingFee(rate="0.001", of="entry")),
        penalty=Penalty(keeper_fee=5, fee_if="short", paid_if_insolvent=True),
        pool=Pool(balance=pool),
    )


_REPO = "https://github.com/gmx-io/gmx-contracts at fe55c4b: "

DESCRIPTION = Description(
    name="gmx_v1",
    title="GMX v1",
    summary="One pool is everybody's counterparty, at an oracle's price; it bears every loss.",
    date="contracts and deployment scripts of July 2025 (Arbitrum)",
    models=(
        "two ways of being liquidatable: with less left than fees and five dollars nothing is returned; with more leverage than "
        "the maximum the position is closed like any other, and the rest returned",
        "the keeper-posted price, and a spread by side while it and Chainlink differ by more than 2.5 %",
        "the margin fee at the entry's notional; five dollars for the keeper, from the pool where the position is worth less",
        "a pool that counts what losers owe as its own until they are closed",
    ),
    leaves_out=(
        "the cap of the margin fee by what is left, where that is positive and smaller (at most 0.1 % of the size moves from "
        "pool to fees)",
        "the pool's tokens: its balance is in dollars, so that its value moves with positions only (`uw.pools.GmxPool`)",
        "reserves, and the caps on positions that follow from them (`uw.pools.GmxPool`)",
        "borrow fees that follow utilisation within a run: it stands still here, `uw.pools.borrow_rates` makes the rates of the "
        "next run from what was reserved in this one",
        "minting and redeeming of GLP, and its price: `Result.shares` and `uw.pools.GmxPool` tell them after the run",
        "spreads of 50 and 500 basis points when the keeper-posted price is late",
    ),
    options={
        "index": "oracles follow the index of the markets",
        "pool": "dollars of the pool",
        "max_leverage": "50 in the contracts; 100 has been said of the mainnet",
        "utilisation": "share of the pool that is reserved, for borrow fees",
    },
    sources={
        "vault": _REPO + "contracts/core/Vault.sol, VaultUtils.sol",
        "prices": _REPO + "contracts/core/VaultPriceFeed.sol, contracts/oracle/FastPriceFeed.sol",
        "fees": _REPO + "deployment scripts, setFees",
        "oracles": "Sherlock 2024-05-midas, issues 3 and 110",
    },
    parameters=(
        Parameter(
            field="feeds.fast", status="ours", source="prices", note="keepers' cadence is not published: a second late"
        ),
        Parameter(
            field="feeds.chainlink",
            status="unverified",
            source="oracles",
            note="deviation; the heartbeat is about 24 h",
        ),
        Parameter(field="feeds.vault", status="verified", source="prices", note="maxDeviationBasisPoints 250"),
        Parameter(
            field="trigger_feed", status="verified", source="vault", note="lower price for longs, higher for shorts"
        ),
        Parameter(field="execution_feed", status="verified", source="vault"),
        Parameter(field="collateral_feed", status="ours", note="a feed with one price"),
        Parameter(field="margin.maintenance.fee", status="verified", source="fees", note="liquidationFeeUsd"),
        Parameter(
            field="margin.maintenance.fee_rate", status="verified", source="fees", note="marginFeeBasisPoints 10"
        ),
        Parameter(
            field="margin.maintenance.max_leverage",
            status="unverified",
            source="vault",
            note="100 is said of the mainnet",
        ),
        Parameter(field="margin.initial", status="unverified", source="vault", note="as above"),
        Parameter(
            field="borrow.rate_per_hour", status="ours", source="vault", note="0.01 % an hour at a utilisation of 1"
        ),
        Parameter(field="borrow.feed", status="ours", note="a feed with one price"),
        Parameter(field="counterparty", status="verified", source="vault"),
        Parameter(field="keeper.latency", status="unverified", note="no source gives a distribution"),
        Parameter(field="execution.counterparty", status="verified", source="vault"),
        Parameter(
            field="execution.fee",
            status="verified",
            source="fees",
            note="margin fee of the position's size, swept out of the pool",
        ),
        Parameter(field="penalty.keeper_fee", status="verified", source="fees", note="liquidationFeeUsd"),
        Parameter(
            field="penalty.fee_if",
            status="verified",
            source="vault",
            note="only where less is left than fees and five dollars",
        ),
        Parameter(field="penalty.paid_if_insolvent", status="verified", source="vault", note="from the pool"),
        Parameter(field="pool.balance", status="ours", note="as the pool of 2023 was, about"),
    ),
)
