"""The protocols that come with the package: what they say of themselves is true and whole."""

import pytest
from cases import ETH, isolated, run, status

import underwater as uw
from underwater.protocols.description import unsaid

EVERY = [*uw.protocols.VENUES, *uw.protocols.SHAPES]


@pytest.mark.parametrize("name", EVERY)
def test_every_value_is_described_and_every_description_has_a_value(name):
    described = uw.protocols.describe(name)
    assert unsaid(described, uw.protocols.get(name)) == []
    assert all(parameter.value for parameter in described.parameters)
    assert described.name == name
    assert described.models


@pytest.mark.parametrize("name", uw.protocols.VENUES)
def test_what_is_verified_names_its_source(name):
    described = uw.protocols.describe(name)
    assert described.leaves_out
    for parameter in described.parameters:
        assert parameter.status != "verified" or parameter.source, parameter
        assert not parameter.source or parameter.source in described.sources, parameter
    used = {parameter.source for parameter in described.parameters}
    assert set(described.sources) <= used


@pytest.mark.parametrize("name", EVERY)
def test_reads_back(name):
    protocol = uw.protocols.get(name)
    assert uw.Protocol.from_toml(protocol.to_toml()) == protocol
    assert uw.protocols.Description.from_json(uw.protocols.describe(name).to_json()).name == name


@pytest.mark.parametrize("name", uw.protocols.VENUES)
def test_replays_any_market(name):
    result = run(
        [isolated("long", 5, 2000, 210), isolated("short", -5, 2000, 1000)],
        [2000] * 5 + [1900] * 40,
        **uw.protocols.get(name).model_dump(),
    )
    assert status(result)["long"] in ("liquidated", "defaulted")


def test_options_name_what_a_market_is():
    protocol = uw.protocols.hyperliquid(markets={"perp-7": "BTC"})
    assert protocol.margin.own("perp-7") == protocol.margin.own("BTC-PERP")
    with pytest.raises(uw.ConfigError, match=r"markets\.perp-7: expected an asset, one of BTC, .*, got 'GOLD'"):
        uw.protocols.hyperliquid(markets={"perp-7": "GOLD"})
    tier = uw.protocols.dydx_v4(tiers="genesis", markets={ETH: "Mid-Cap"}).margin.own(ETH)
    assert str(tier.maintenance.rate * tier.maintenance.share) == "1/20"
    with pytest.raises(uw.ConfigError, match="expected a tier, one of Large-Cap"):
        uw.protocols.dydx_v4(tiers="genesis", markets={ETH: "FX"})


def test_margin_by_market_goes_before_margin_by_asset():
    flat = uw.FlatMargin
    margin = uw.Margin(
        markets={"ETH-PERP": {"maintenance": flat(rate="0.3")}}, assets={"ETH": {"maintenance": flat(rate="0.2")}}
    )
    protocol = uw.Protocol(margin=margin)
    # 10,000 dollars with 2,500 behind them: enough for a fifth, not for 30 %.
    for market, closed in (("ETH-PERP", 1), ("ETHUSDT", 0), ("SOL", 0)):
        row = isolated("a", 5, 2000, 2500, market=market)
        path = {market: [2000, 2000], "ETH-PERP": [2000, 2000]}
        assert len(run([row], path, **protocol.model_dump()).liquidations) == closed


def test_an_unknown_name():
    for ask in (uw.protocols.get, uw.protocols.describe):
        with pytest.raises(uw.ConfigError, match=r"expected one of order_book, .*, gmx_v1, got 'ftx'"):
            ask("ftx")
