"""Random layers of the waterfall: how they are funded, and divided among markets."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def own_funds(draw: st.DrawFn, markets: list[str], balances: list[str]) -> dict[str, dict]:
    """Insurance funds of some of the markets, under their names or as groups. They get money as others do."""
    funds: dict[str, dict] = {}
    left = draw(st.permutations(markets))
    while left and (not funds or draw(st.booleans())):
        count = draw(st.sampled_from([1, 1, 2]))
        taken, left = left[:count], left[count:]
        fund: dict = {} if draw(st.booleans()) else {"balance": draw(st.sampled_from(balances))}
        if len(taken) > 1 or draw(st.booleans()):
            funds[f"group {len(funds)}"] = fund | {"markets": taken}
        else:
            funds[taken[0]] = fund
    return funds


def fee_shares() -> st.SearchStrategy:
    return st.fixed_dictionaries(
        {
            "rate": st.sampled_from(["0.01", "0.1", "1/7"]),
            "share": st.sampled_from(["1", "0.3", "1/3"]),
            "every": st.sampled_from([1, 2, 5, 11]),
        }
    )


def injections(treasury: bool) -> st.SearchStrategy:
    amounts = ["50", "1", "700", "0.000001", "20"]
    optional = {"giver": st.sampled_from(["external", *["treasury"] * (2 * treasury)])}
    scheduled = st.fixed_dictionaries(
        {
            "kind": st.just("scheduled"),
            "at": st.one_of(
                st.integers(0, 40).map(lambda t: ["offset", t]), st.integers(0, 40).map(lambda t: ["ts", t])
            ),
            "amount": st.sampled_from(amounts),
        },
        optional=optional,
    )
    refill = st.fixed_dictionaries(
        {
            "kind": st.just("refill"),
            "below": st.sampled_from(["60", "2000", "5", "0.5", "1e5"]),
            "amount": st.sampled_from(amounts),
            "delay": st.sampled_from([0, 0, 1, 4, 15]),
        },
        optional=optional | {"total": st.sampled_from(["60", "1000", "0.5"])},
    )
    return st.lists(st.one_of(scheduled, refill), min_size=1, max_size=2)


def deciding() -> st.SearchStrategy:
    """What a treasury pays at once, and how long it takes for the rest."""
    at_once = st.sampled_from(["0", "0", "30", "400"])
    return st.fixed_dictionaries({}, optional={"real_time": at_once, "delay": st.sampled_from([1, 3, 3, 12])})


def failures(reverts: bool = False) -> st.SearchStrategy:
    """What follows where a layer leaves something."""
    lasts = st.sampled_from([1, 1, 2, 3, 3, 5, 10, None])
    halt = st.fixed_dictionaries({"kind": st.just("halt"), "halt_for": lasts})
    revert = st.fixed_dictionaries({"kind": st.just("revert"), "retry": st.sampled_from([1, 2, 5, 5, 20])})
    return st.one_of(halt, revert, revert) if reverts else halt


@st.composite
def fund_sources(draw: st.DrawFn, p: dict, markets: list[str]) -> None:
    """Where the funds of a protocol get money from; the scale of the book where they get a share of fees."""
    for fund in [p["insurance_fund"], *p["insurance_fund"].get("funds", {}).values()]:
        if draw(st.booleans()):
            fund["fees"] = draw(fee_shares())
            scales = p["execution"].setdefault("book_scale", {})
            for market in markets:
                scales.setdefault(market, draw(st.sampled_from(["1", "0.01", "1/3"])))
        if draw(st.booleans()):
            fund["injections"] = draw(injections("treasury" in p))


def auctions() -> st.SearchStrategy:
    """When tokens are put up, and for how much."""
    delay, interval = st.sampled_from([1, 3, 3, 12]), st.sampled_from([1, 2, 7])
    once = st.fixed_dictionaries({"delay": delay})
    lots = st.fixed_dictionaries(
        {"delay": delay, "interval": interval}, optional={"lot": st.sampled_from(["30", "1", "400", "0.000001"])}
    )
    return st.one_of(once, lots)


@st.composite
def tokens(draw: st.DrawFn, dollar_markets: list[str]) -> dict:
    """A token backstop."""
    token: dict = {"supply": draw(st.sampled_from(["1000", "1e6"]))}
    if dollar_markets and draw(st.booleans()):
        token["market"] = draw(st.sampled_from(dollar_markets))
    else:
        token["price"] = draw(st.sampled_from(["2", "0.37", "1000"]))
    if draw(st.sampled_from([True, True, False])):
        token["impact"] = {
            "kind": draw(st.sampled_from(["linear", "square_root"])),
            "depth": draw(st.sampled_from(["100", "3000", "1e6", "7.5"])),
            "half_life": draw(st.sampled_from([None, 0, 3, 20])),
        }
    if draw(st.booleans()):
        token["discount"] = draw(st.sampled_from(["0.1", "1/3", "0.5"]))
    if draw(st.sampled_from([True, True, False])):
        token["auction"] = draw(auctions())
    return token
