"""Hyperliquid: an order book whose vault takes over what the book does not absorb; then auto-deleveraging.

The matching and clearing code is closed: all of this is what the documentation says, and says so.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from underwater.config import (
    Adl,
    BasisFeed,
    BracketMargin,
    Close,
    Collateral,
    EmaFeed,
    Execution,
    Feed,
    Keeper,
    Margin,
    MarketMargin,
    MedianFeed,
    PeriodicFeed,
    Protocol,
    SplitClose,
    Takeover,
    Tier,
    Vault,
)
from underwater.errors import ConfigError
from underwater.numbers import Dollars, parse_exact
from underwater.protocols.description import Description, Parameter
from underwater.protocols.venues import by_market

_M = 10**6

_LARGE = "DOGE kPEPE SUI WLD TRUMP LTC ENA POPCAT WIF AAVE kBONK LINK CRV AVAX ADA UNI NEAR TIA APT BCH HYPE FARTCOIN"
_SMALL = "OP ARB LDO TON MKR ONDO JUP INJ kSHIB SEI TRX BNB DOT"

LEVERAGE: dict[str, tuple[int, int, int]] = {
    "BTC": (40, 150, 20),
    "ETH": (25, 100, 15),
    "SOL": (20, 70, 10),
    "XRP": (20, 40, 10),
    **dict.fromkeys(_LARGE.split(), (10, 20, 5)),
    **dict.fromkeys(_SMALL.split(), (10, 3, 5)),
}
"""By asset: maximum leverage, millions of dollars of notional up to which it holds, and maximum leverage above."""


def _margin(first: int, millions: int | None = None, above: int | None = None) -> MarketMargin:
    """Maintenance at half of the initial requirement at maximum leverage."""
    bounds = [(Fraction(0), first)]
    if millions is not None and above is not None:
        bounds.append((Fraction(millions * _M), above))

    def brackets(share: Fraction) -> BracketMargin:
        return BracketMargin(tiers=tuple(Tier(lower=lower, rate=share / leverage) for lower, leverage in bounds))

    return MarketMargin(maintenance=brackets(Fraction(1, 2)), initial=brackets(Fraction(1)))


def hyperliquid(
    *,
    index: bool = False,
    markets: Mapping[str, str] | None = None,
    other_leverage: int = 5,
    vault: Dollars = 10_000_000,
    vault_floor: Dollars | None = 0,
    score: Literal["profit_leverage", "hyperliquid_docs", "hyperliquid_docs_literal"] = "hyperliquid_docs",
    loan_to_value: Mapping[str, Dollars] | None = None,
) -> Protocol:
    """Hyperliquid's perpetuals, by the documentation of November 2025.

    Margin follows the market's base asset (`BTC-PERP` and `BTCUSDT` have that of BTC), by the mainnet's table of margin tiers.
    See `describe("hyperliquid")` for every value.

    Args:
        index: whether the markets of the tape have an index, which then is the oracle: the mark is the median of the
            oracle with its 150-second basis, the perpetual's own price and its 30-second average. Without one the mark
            is the perpetual's own price.
        markets: what the markets are whose names do not begin with their asset, such as `{"perp-7": "BTC"}`.
        other_leverage: maximum leverage of assets that are not in the table.
        vault: dollars of the liquidator vault at the open.
        vault_floor: dollars of the vault's equity below which it takes nothing over any more and its own positions are
            deleveraged; None: it shares the collateral of the other vaults, takes over whatever it has lost, and nobody is
            deleveraged for it (as until JELLY in March 2025).
        score: rank of ADL: as documented (entry / mark for shorts), documented to the letter (mark / entry for shorts too), or
            the `profit_leverage` that was found from what happened on 2025-10-10.
        loan_to_value: portfolio margin: tokens that count as collateral, with the share of their value that may be borrowed
            against (HYPE and BTC: 0.5); up to liquidation half of what is above it counts too.

    Raises:
        ConfigError: `markets` names an asset that is not in the table, or a loan to value is no share.
    """
    assets = {asset: _margin(*tiers) for asset, tiers in LEVERAGE.items()}
    other = _margin(other_leverage)
    takeover = Takeover(below="2/3")
    if vault_floor is not None:
        takeover = Takeover(below="2/3", floor=parse_exact(vault_floor), adl_pause="3s")
    return Protocol(
        name="hyperliquid",
        description="Order book; a vault takes over below two thirds of maintenance; then ADL at the previous mark.",
        feeds=_feeds(index),
        trigger_feed="mark",
        execution_feed="last",
        margin=Margin(
            maintenance=other.maintenance,
            initial=other.initial,
            assets=assets,
            markets=by_market(markets, assets, "an asset"),
        ),
        collateral={asset: _token(asset, share) for asset, share in (loan_to_value or {}).items()},
        keeper=Keeper(),
        close=Close(policy=SplitClose(threshold=100_000, share="0.2"), pause="30s"),
        execution=Execution(takeover=takeover),
        settlement="per_instant",
        vault=Vault(balance=vault),
        adl=Adl(price="previous_mark", score=score, capacity="position"),
    )


def _token(asset: str, loan_to_value: Dollars) -> Collateral:
    """A token of portfolio margin, by its liquidation threshold of 0.5 + 0.5 LTV."""
    share = parse_exact(loan_to_value)
    if not 0 <= share <= 1:
        raise ConfigError(f"loan_to_value.{asset}: expected a share from 0 to 1, got {loan_to_value!r}")
    return Collateral(weight=(1 + share) / 2, initial_weight=share)


def _feeds(index: bool) -> dict[str, Feed]:
    if not index:
        return {"mark": PeriodicFeed(every="3s")}
    return {
        "oracle": PeriodicFeed(source="index", every="3s"),
        "oracle with basis": BasisFeed(reference="oracle", time_constant="150s", every="3s"),
        "average": EmaFeed(time_constant="30s", every="3s"),
        "median": MedianFeed(sources=("oracle with basis", "last", "average")),
        "mark": PeriodicFeed(source="median", every="3s"),
    }


_DOCS = "https://hyperliquid.gitbook.io/hyperliquid-docs/"

DESCRIPTION = Description(
    name="hyperliquid",
    title="Hyperliquid",
    summary="Order book; a vault takes over below two thirds of maintenance; then ADL at the previous mark.",
    date="documentation as published in November 2025; the table of tiers for 2025-10-10 is not confirmed",
    models=(
        "margin tiers by asset with deductions: maintenance is half of the initial requirement at maximum leverage",
        "the mark every three seconds: with an index, the median of the oracle with its 150-second basis, the book, and the "
        "book's 30-second average (which the venue adds when it sees two of three sources)",
        "a fifth of a position above 100,000 dollars first, all of it 30 seconds later",
        "below two thirds of maintenance the vault takes the account over as it stands, and keeps all that is left",
        "a vault with capital of its own: once that is gone it takes nothing over, and its positions are deleveraged like "
        "anybody's",
        "within an instant, whoever needs no payer is closed before ADL begins",
        "ADL at the mark before the present one, the highest of (mark / entry) * (notional / account value) first",
        "no insurance fund and no socialised loss",
    ),
    leaves_out=(
        "perpetual prices of other venues in the mark, and the best bid and ask: the tape has trades",
        "the stricter rule for withdrawals of March 2025 (a tenth of the notional must remain)",
        "maximum leverage of assets outside the table, which differs by asset",
        "a takeover within the 30 seconds after a partial liquidation: the vault looks when the next order is due",
        "several liquidator vaults, their rebalancing from HLP, and the threshold of their loss, which is not published",
        "HIP-3 markets and pre-launch markets",
        "of portfolio margin: caps on what is borrowed and supplied, interest, liquidation at 0.95 instead of 1",
    ),
    options={
        "index": "the markets have an index, which is the oracle",
        "markets": "assets of markets whose names do not begin with them",
        "other_leverage": "maximum leverage of assets outside the table",
        "vault": "dollars of the liquidator vault",
        "vault_floor": "equity of the vault below which it takes nothing over and is deleveraged; none: any",
        "loan_to_value": "tokens as collateral (portfolio margin), with their loan to value",
        "score": "rank of ADL: hyperliquid_docs, hyperliquid_docs_literal or profit_leverage",
    },
    sources={
        "tiers": _DOCS + "trading/margin-tiers",
        "margin": _DOCS + "trading/margining",
        "liquidations": _DOCS + "trading/liquidations",
        "adl": _DOCS + "trading/auto-deleveraging",
        "prices": _DOCS + "trading/robust-price-indices",
    },
    parameters=(
        Parameter(field="feeds", status="verified", source="prices", note="mark: median, refreshed about every 3 s"),
        Parameter(field="trigger_feed", status="verified", source="liquidations"),
        *(
            Parameter(field=f"margin.assets.{asset}", status="verified", source="tiers", note="mainnet table")
            for asset in LEVERAGE
        ),
        Parameter(
            field="margin.maintenance",
            status="ours",
            source="margin",
            note="assets outside the table have leverage of their own",
        ),
        Parameter(field="margin.initial", status="ours", note="as above"),
        Parameter(field="close.policy", status="verified", source="liquidations"),
        Parameter(
            field="close.pause",
            status="verified",
            source="liquidations",
            note="whether by position or by user is not said",
        ),
        Parameter(field="execution.takeover.below", status="verified", source="liquidations"),
        Parameter(
            field="execution.takeover.floor",
            status="unverified",
            source="adl",
            note="capital of its own since March 2025; the threshold is not published",
        ),
        Parameter(
            field="execution.takeover.adl_pause",
            status="unverified",
            source="adl",
            note="no special treatment of its positions; at each mark",
        ),
        Parameter(
            field="settlement", status="unverified", source="adl", note="one wave of ADL per instant on 2025-10-10"
        ),
        Parameter(field="vault.balance", status="ours", note="the liquidator's share of HLP is not published"),
        Parameter(field="adl.price", status="verified", source="adl", note="older pages say the previous oracle price"),
        Parameter(field="adl.score", status="unverified", source="adl", note="for shorts entry / mark is presumed"),
        Parameter(field="adl.capacity", status="ours", source="adl", note="whole positions; only the last in part"),
    ),
)
