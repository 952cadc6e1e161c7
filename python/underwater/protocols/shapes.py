"""Generic shapes of protocols, to start from and to change with `with_`.

They show three ways of bearing a loss. Their numbers are round and stand for no venue.
"""

from underwater.config import (
    Adl,
    BracketMargin,
    Execution,
    InsuranceFund,
    Keeper,
    Margin,
    Penalty,
    Pool,
    Protocol,
    PushFeed,
    Socialised,
    Tier,
)
from underwater.protocols.description import Description, Parameter


def order_book() -> Protocol:
    """An order book with an insurance fund, then ADL.

    Brackets of maintenance margin, a keeper that needs a second, fills at the last price; what is left of a closed
    account goes to the fund. A loss is sold as far as the fund can cover it; the rest is matched with winners at the
    bankruptcy price.
    """
    return Protocol(
        name="order book",
        description="Order book: insurance fund, then ADL.",
        margin=Margin(maintenance=_brackets()),
        keeper=Keeper(latency="1s"),
        residual="insurance_fund",
        insurance_fund=InsuranceFund(balance="1e6"),
        adl=Adl(),
    )


def lp_pool() -> Protocol:
    """A liquidity pool that is everyone's counterparty, at the price of a push oracle.

    The oracle is written when the price moved 0.25 % or an hour passed and is seen two seconds later. The pool pays
    every loss and keeps what is left of a closed account, less a fee for the keeper.
    """
    return Protocol(
        name="lp pool",
        description="Liquidity pool at an oracle's price: the providers bear every loss.",
        feeds={"oracle": PushFeed(deviation="0.0025", heartbeat="1h", latency="2s")},
        trigger_feed="oracle",
        execution_feed="oracle",
        margin=Margin(maintenance=_brackets()),
        counterparty="pool",
        keeper=Keeper(latency="1s"),
        execution=Execution(counterparty="pool"),
        penalty=Penalty(split={"pool": 1}, keeper_fee=5),
        residual="pool",
        pool=Pool(balance="1e9"),
    )


def no_fund() -> Protocol:
    """An order book without fund or ADL: losses are shared by the session's winners, pro rata to their profit."""
    return Protocol(
        name="no fund",
        description="Order book without fund or ADL: the session's winners share the loss.",
        margin=Margin(maintenance=_brackets()),
        keeper=Keeper(latency="1s"),
        socialised=Socialised(),
    )


def _brackets() -> BracketMargin:
    tiers = [("0", "0.005"), ("1e6", "0.01"), ("1e7", "0.025"), ("1e8", "0.05")]
    return BracketMargin(tiers=tuple(Tier(lower=lower, rate=rate) for lower, rate in tiers))


_FIELDS = {
    "order_book": ("margin.maintenance", "keeper.latency", "residual", "insurance_fund", "adl"),
    "lp_pool": (
        "feeds.oracle",
        "trigger_feed",
        "execution_feed",
        "margin.maintenance",
        "counterparty",
        "keeper.latency",
        "execution.counterparty",
        "penalty.split",
        "penalty.keeper_fee",
        "residual",
        "pool.balance",
    ),
    "no_fund": ("margin.maintenance", "keeper.latency", "socialised"),
}


def description(name: str, protocol: Protocol) -> Description:
    """What there is to say of a shape."""
    return Description(
        name=name,
        title=protocol.name,
        summary=protocol.description,
        date="timeless",
        models=("A way of bearing a loss, to start from and to change with `with_`.",),
        leaves_out=("Any venue: the numbers are round.",),
        parameters=tuple(Parameter(field=field, status="ours") for field in _FIELDS[name]),
    )
