import json
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import underwater as uw
from underwater.config import RunOptions
from underwater.durations import duration_text, parse_duration
from underwater.numbers import exact_text, parse_exact

EVERYTHING = uw.Protocol(
    name="all of it",
    feeds={
        "oracle": uw.PushFeed(
            deviation="1/30", heartbeat="1h30m", latency="250ms", outages=[uw.Outage(start="1h", end="2h")]
        ),
        "last": uw.LastFeed(prints="each"),
        "block": uw.PeriodicFeed(source="oracle", every="12s", offset="5s"),
        "smooth": uw.EmaFeed(time_constant="150s", every="3s"),
        "twap": uw.TwapFeed(window="15m", every="1m"),
        "mark": uw.MedianFeed(sources=["oracle", "smooth", "twap"]),
        "before": uw.LaggedFeed(source="mark"),
        "worst": uw.WorstOfFeed(sources=["mark", "twap"]),
        "spread": uw.SpreadFeed(source="mark", reference="oracle", limit="0.025"),
    },
    trigger_feed="oracle",
    adl_feed="before",
    guard=uw.Guard(divergence=uw.Divergence(feed="oracle", reference="twap", limit="1/2"), staleness="2m"),
    margin=uw.Margin(
        maintenance=uw.BracketMargin(
            tiers=[{"lower": 0, "rate": 0.005}, {"lower": "1e6", "rate": 0.01, "deduction": 5000}],
        ),
        initial_rate="0.01",
        markets={
            "BTC-PERP": uw.MarketMargin(initial_rate=0.02),
            "ETH-PERP": uw.MarketMargin(maintenance=uw.FlatMargin(rate=1)),
        },
    ),
    collateral={"USDe": uw.Collateral(weight=0.9)},
    execution=uw.Execution(ladder=[uw.Rung(share=0.2, offset=-0.15), uw.Rung(share=0.8, offset=-0.3)]),
    close=uw.Close(
        policy=uw.RampClose(initial="0.1", duration="1m", of="target"),
        positions="largest_loss",
        stop=uw.Stop(requirement="initial", factor="1.02"),
        pause="400ms",
        when_insolvent="policy",
    ),
    penalty=uw.Penalty(
        rate="0.0125",
        escalation=uw.Escalation(after="10m", every="400ms", step="1e-6", maximum="0.05"),
        cap=1000,
        equity_share="0.95",
        split={"pool": "1/3", "keepers": "2/3"},
        keeper_fee=5,
    ),
    insurance_fund=uw.InsuranceFund(balance=300, coverage="exhaust"),
    pool=uw.Pool(balance="1000000.5"),
    vault=uw.Vault(balance=0),
    treasury=uw.Treasury(balance=1),
    adl=uw.Adl(
        policy=uw.CappedProRataAdl(cap="1/3"),
        score="random_start",
        seed=2**64 - 1,
        eligibility="overlap",
        price="oracle",
        price_feed="twap",
        capacity="profit",
        counterparties=500,
        attempts=10,
    ),
    socialised=uw.Socialised(),
    waterfall=["adl", "pool"],
)


@pytest.mark.parametrize("protocol", [uw.Protocol(), EVERYTHING, *(shape() for shape in uw.protocols.SHAPES.values())])
def test_reads_back_what_it_writes(protocol, tmp_path):
    assert uw.Protocol.from_toml(protocol.to_toml()) == protocol
    assert uw.Protocol.from_json(protocol.to_json()) == protocol
    path = tmp_path / "protocol.toml"
    path.write_text(protocol.to_toml())
    assert uw.Protocol.from_toml(path) == protocol


def test_engine_json_spells_everything_out():
    sent = json.loads(EVERYTHING.engine_json())
    assert sent["feeds"]["oracle"] == {
        "kind": "push",
        "source": "last",
        "deviation": "1/30",
        "heartbeat": 5_400_000_000_000,
        "latency": 250_000_000,
        "seed": 0,
        "observed": "at_write",
        "outages": [{"start": 3_600_000_000_000, "end": 7_200_000_000_000}],
    }
    assert sent["margin"]["maintenance"]["tiers"] == [
        {"lower": "0", "rate": "0.005", "deduction": None},
        {"lower": "1000000", "rate": "0.01", "deduction": "5000"},
    ]
    rest = {"initial": None, "minimum": None, "dynamic": None}
    assert sent["margin"]["markets"]["BTC-PERP"] == {
        "maintenance": sent["margin"]["maintenance"],
        "initial_rate": "0.02",
        **rest,
    }
    assert sent["margin"]["markets"]["ETH-PERP"] == {
        "maintenance": {"kind": "flat", "rate": "1"},
        "initial_rate": "0.01",
        **rest,
    }
    assert sent["execution"]["ladder"][0] == {"share": "0.2", "offset": "-0.15"}
    assert sent["penalty"]["split"] == {"pool": "1/3", "keepers": "2/3"}
    assert sent["pool"] == {"balance": "1000000.5"}
    assert sent["socialised"] == {"by": "profit"}
    assert sent["waterfall"] == ["adl", "pool"]


def test_waterfall_follows_the_configured_layers():
    protocol = uw.Protocol(adl=uw.Adl(), insurance_fund=uw.InsuranceFund(balance=1))
    assert protocol.layers == ("insurance_fund", "adl")
    changed = protocol.with_(**{"pool.balance": 5, "insurance_fund": None})
    assert json.loads(changed.engine_json())["waterfall"] == ["pool", "adl"]


def test_with_changes_a_copy():
    changed = EVERYTHING.with_(
        **{
            "insurance_fund.balance": 10e6,
            "keeper.latency": timedelta(seconds=5),
            "margin.maintenance.tiers.1.rate": "1/30",
            "execution.ladder": None,
            "penalty": uw.Penalty(),
        }
    )
    assert changed.insurance_fund.balance == 10_000_000
    assert changed.keeper.latency == 5_000_000_000
    assert changed.margin.maintenance.tiers[1].rate == Fraction(1, 30)
    assert changed.execution.ladder is None
    assert changed.penalty == uw.Penalty()
    assert EVERYTHING.insurance_fund.balance == 300


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"insurance_fund.balanse": 1}, "insurance_fund: unknown field 'balanse'; did you mean 'balance'?"),
        ({"colour": 1}, "unknown field 'colour'; expected one of name, "),
        ({"insurance_fund.balance": -1}, "insurance_fund.balance: expected dollars of at least 0"),
        ({"insurance_fund.balance": "0.0000001"}, "with at most 6 decimals, got 0.0000001"),
        ({"insurance_fund.balance": float("nan")}, "insurance_fund.balance: expected a number such as"),
        ({"insurance_fund.balance": True}, "insurance_fund.balance: expected a number such as"),
        ({"name.first": "x"}, "name.first: there is no 'first' to change"),
        ({"margin.maintenance.tiers.7.rate": 1}, "margin.maintenance.tiers.7.rate: there is no '7' to change"),
        ({"margin.maintenance.tiers.0.lower": 5}, "margin.maintenance.tiers: expected lower bounds that begin at 0"),
        ({"margin.maintenance": {"kind": "flat"}}, "margin.maintenance.rate: missing"),
        ({"margin.maintenance": {"kind": "flatt"}}, "margin.maintenance: expected kind to be one of 'flat', "),
        ({"margin.maintenance": 0.05}, "margin.maintenance: expected a table of fields, got 0.05"),
        ({"penalty.split": {"pool": 0.5}}, "penalty.split: expected shares that sum to 1, got 0.5"),
        ({"penalty.split": {"pol": 1}}, "penalty.split.pol: expected 'insurance_fund'"),
        ({"keeper.latency": "5 parsecs"}, "keeper.latency: expected a duration such as '5s'"),
        ({"keeper.latency": -1}, "keeper.latency: expected a duration"),
        ({"execution.ladder": []}, "execution.ladder: "),
        ({"execution.ladder.0.share": 2}, "execution.ladder.0.share: expected a share above 0, at most 1, got 2"),
        (
            {"trigger_feed": "oracel"},
            "trigger_feed: no feed is named 'oracel'; expected one of before, block, ",
        ),
        ({"waterfall": ["adl", "adl"]}, "waterfall: adl stands twice"),
        ({"pool": None}, "penalty.split: pool is not configured; add the field pool or name another"),
        ({"adl": None}, "waterfall: adl is not configured"),
        ({"pool": None, "counterparty": "pool"}, "counterparty: pool is not configured"),
        ({"vault": None, "execution.counterparty": "vault"}, "execution.counterparty: vault is not configured"),
        ({"vault": None, "residual": "vault"}, "residual: vault is not configured; add the field vault"),
        ({"settlement": "daily"}, "settlement: expected 'per_fill' or 'per_instant', got 'daily'"),
    ],
)
def test_errors_name_the_field_and_what_was_expected(changes, message):
    with pytest.raises(uw.ConfigError) as error:
        EVERYTHING.with_(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_constructors_raise_config_errors():
    with pytest.raises(uw.ConfigError, match=r"^rate: expected a number"):
        uw.FlatMargin(rate="x")
    with pytest.raises(uw.ConfigError, match=r"^maintenance\.rate: expected a number"):
        uw.Margin(maintenance={"kind": "flat", "rate": "x"})


@pytest.mark.parametrize("read", [uw.Protocol.from_toml, uw.Protocol.from_json])
def test_malformed_text_is_a_config_error(read):
    with pytest.raises(uw.ConfigError, match=r"not (TOML|JSON)"):
        read("{ name = ")


def test_validation_of_pydantic_raises_the_same():
    for read in (uw.Protocol.model_validate, lambda fields: uw.Protocol.model_validate_json(json.dumps(fields))):
        assert read({"name": "x"}) == uw.Protocol(name="x")
        with pytest.raises(uw.ConfigError, match=r"^residual: vault is not configured"):
            read({"residual": "vault"})
        with pytest.raises(uw.ConfigError, match=r"^keeper\.latency: expected a duration"):
            read({"keeper": {"latency": -1}})


def test_a_penalty_that_is_not_charged_needs_no_receiver():
    assert uw.Protocol(penalty={"keeper_fee": 5}).layers == ()
    with pytest.raises(uw.ConfigError, match=r"^penalty\.split: insurance_fund is not configured"):
        uw.Protocol(penalty={"rate": "0.01"})


def test_models_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        EVERYTHING.name = "other"


def test_run_options():
    assert json.loads(RunOptions().engine_json()) == {
        "reference": "last",
        "opening": "keep",
        "block_ticks": 128,
        "chunk_ticks": None,
    }
    with pytest.raises(uw.ConfigError, match=r"chunk_ticks: .* greater than or equal to 1"):
        RunOptions(chunk_ticks=0)
    feed = uw.PushFeed(deviation="0.005", heartbeat="1h")
    assert json.loads(RunOptions(reference=feed).engine_json())["reference"]["deviation"] == "0.005"
    with pytest.raises(uw.ConfigError, match="reference: expected 'last', 'index' or a feed, got 'oracle'"):
        RunOptions(reference="oracle")


def test_an_inverse_market_names_its_coin():
    with pytest.raises(uw.ConfigError, match="settlement: an inverse market must name the coin"):
        uw.Market(name="XBTUSD", kind="inverse")


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (5, Fraction(5)),
        (0.1, Fraction(1, 10)),
        (10e6, Fraction(10_000_000)),
        ("1/30", Fraction(1, 30)),
        ("-1e-3", Fraction(-1, 1000)),
        (Decimal("2.50"), Fraction(5, 2)),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_exact_numbers(value, exact):
    assert parse_exact(value) == exact


@pytest.mark.parametrize("value", ["", "x", "1/0", float("inf"), Decimal("nan"), True, None, [1], "1e40"])
def test_what_is_no_exact_number(value):
    with pytest.raises(ValueError, match="expected a number"):
        parse_exact(value)


@given(st.fractions(max_denominator=10**6))
def test_exact_text_reads_back(value):
    assert parse_exact(exact_text(value)) == value


@given(st.integers(0, 2**63 - 1))
def test_duration_text_reads_back(nanoseconds):
    assert parse_duration(duration_text(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        ("5s", 5 * 10**9),
        ("1h30m", 5400 * 10**9),
        (" 1m 2s ", 62 * 10**9),
        ("1.5us", 1500),
        (timedelta(days=1), 86_400 * 10**9),
        (7, 7),
    ],
)
def test_durations(value, nanoseconds):
    assert parse_duration(value) == nanoseconds


@pytest.mark.parametrize("value", ["5", "s", "-5s", "0.5ns", 1.5, True, None, timedelta(seconds=-1), 2**63])
def test_what_is_no_duration(value):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(value)
