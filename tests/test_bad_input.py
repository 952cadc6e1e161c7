"""Input that cannot be used raises one exception of the package's tree, whose message says where and what was expected."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from cases import ETH, LONG, SHORT, book, cross, day, flat, fund, only, run, textbook

import underwater as uw


@contextmanager
def refused(kind: type[uw.UnderwaterError], *parts: str) -> Iterator[None]:
    """The block raises exactly this class, with one line that holds these parts and is no report of a defect."""
    with pytest.raises(uw.UnderwaterError) as error:
        yield
    message = str(error.value)
    assert type(error.value) is kind, message
    assert [part for part in parts if part not in message] == [], message
    assert "\n" not in message
    for word in ("internal error", "panicked", "invariant"):
        assert word not in message


def replay(positions, accounts=None, events=None):
    """Replays frames as they are."""
    made = uw.Book.from_frames(positions, accounts, events)
    return uw.replay(day({ETH: [2000, 1700]}), made, uw.Protocol())


def frame(row, **columns):
    """A frame of one row, with some columns changed or added."""
    return pl.DataFrame({name: pl.Series([value]) for name, value in row.items()} | columns)


NULL_NUMBER = pl.Series([None], dtype=pl.Float64)
NULL_TEXT = pl.Series([None], dtype=pl.String)


# The book.


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("market", "BTC-PERP", 'there is no market "BTC-PERP" on the tape'),
        ("size", math.nan, "expected a finite number, got NaN"),
        ("size", -math.inf, "expected a finite number, got -inf"),
        ("size", Decimal("1.123456789"), "1.123456789 does not fit the 8 decimals of market ETH-PERP"),
        ("size", 0.1 + 0.2, "0.30000000000000004 does not fit the 8 decimals"),
        ("size", 10**11, "100000000000 does not fit the 8 decimals"),
        ("size", 1e300, "too many digits"),
        ("entry_price", 0, "expected a positive price, got 0"),
        ("entry_price", -2000, "expected a positive price, got -2000"),
        ("entry_price", math.inf, "expected a finite number, got inf"),
        ("entry_price", 1e-300, "too many digits"),
        ("collateral", -1, "expected an amount that is not negative, got -1"),
        ("collateral", math.nan, "expected a finite number, got NaN"),
        ("collateral", Decimal("1.1234567"), "1.1234567 does not fit the 6 decimals of USD"),
        ("collateral_asset", "DOGE", 'unknown asset "DOGE"'),
        ("margin_mode", "portfolio", 'expected isolated or cross, got "portfolio"'),
        ("account", "", "expected text"),
    ],
)
def test_positions_that_cannot_be_used(column, value, expected):
    with refused(uw.BookError, f"positions frame, row 0, column {column}", expected):
        replay(frame(LONG, **{column: [value]}))


@pytest.mark.parametrize(
    ("column", "null"),
    [
        ("account", NULL_TEXT),
        ("market", NULL_TEXT),
        ("size", NULL_NUMBER),
        ("entry_price", NULL_NUMBER),
        ("collateral", NULL_NUMBER),
    ],
)
def test_a_null_is_no_value(column, null):
    good, bad = frame(LONG), frame(SHORT, **{column: null})
    good = good.cast({"size": pl.Float64, "entry_price": pl.Float64, "collateral": pl.Float64})
    bad = bad.cast(dict(good.schema))
    with refused(uw.BookError, f"positions frame, row 1, column {column}"):
        replay(pl.concat([good, bad]))


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("size", ["5"], "expected a number"),
        ("size", [True], "expected a number, got Boolean"),
        ("account", [1.5], "expected text, got Float64"),
        ("market", [date(2025, 10, 10)], "expected text, got Date32"),
    ],
)
def test_columns_of_the_wrong_type(column, values, expected):
    with refused(uw.BookError, f"positions frame, column {column}", expected):
        replay(frame(LONG, **{column: values}))


@pytest.mark.parametrize("column", ["account", "market", "size", "entry_price"])
def test_missing_columns(column):
    with refused(uw.BookError, "positions frame", f"column {column} is missing"):
        replay(frame(LONG).drop(column))


def test_unknown_columns():
    with refused(uw.BookError, "positions frame", "unknown column leverage", "entry_price"):
        replay(frame(LONG, leverage=[10]))
    with refused(uw.BookError, "accounts frame", "unknown column fee"):
        replay(frame(LONG), frame({"account": "a", "asset": "USD", "collateral": 1, "fee": 0}))
    with refused(uw.BookError, "events frame", "unknown column note"):
        replay(frame(LONG), None, frame(EVENT, note=["late"]))


def test_two_rows_for_one_position():
    with refused(uw.BookError, "positions frame, row 2", "account long", ETH):
        book_of(LONG, SHORT, LONG)
    keyed = LONG | {"position": "a"}
    with refused(uw.BookError, "positions frame, row 1", "account long", ETH):
        book_of(keyed, keyed)
    with refused(uw.BookError, "positions frame, row 1", "account a", ETH):
        book_of(cross("a", 1, 2000), cross("a", 2, 2000), cash=[("a", "USD", 100)])


def book_of(*positions, **more):
    run(positions, [2000, 1700], **more)


def test_cross_accounts_have_their_cash_in_the_accounts_frame():
    with refused(uw.BookError, "positions frame, row 1", "account a", "accounts frame"):
        book_of(LONG, cross("a", 1, 2000))
    with refused(uw.BookError, "positions frame, row 0, column collateral", "accounts frame"):
        book_of(cross("a", 1, 2000, collateral=100), cash=[("a", "USD", 100)])
    isolated_without = frame(LONG).drop("collateral")
    with refused(uw.BookError, "positions frame, row 0, column collateral", "isolated"):
        replay(isolated_without)


ENTITIES = {"outside", "insurance_fund", "pool", "vault", "socialised", "treasury"}
ENTITIES |= {"keepers", "fees", "uncovered", "rounding", "external"}


@pytest.mark.parametrize("name", sorted(ENTITIES))
def test_names_of_entities_are_reserved(name):
    with refused(uw.BookError, "positions frame, row 1, column account", f'"{name}" is a reserved name'):
        book_of(LONG, SHORT | {"account": name})
    with refused(uw.BookError, "accounts frame, row 0, column account", f'"{name}" is a reserved name'):
        book_of(LONG, cash=[(name, "USD", 100)])


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("account", "", "expected text"),
        ("asset", "DOGE", 'unknown asset "DOGE"'),
        ("collateral", -1, "not negative, got -1"),
        ("collateral", math.inf, "expected a finite number, got inf"),
        ("collateral", Decimal("0.0000001"), "does not fit the 6 decimals of USD"),
    ],
)
def test_cash_that_cannot_be_used(column, value, expected):
    cash = frame({"account": "a", "asset": "USD", "collateral": 1}, **{column: [value]})
    with refused(uw.BookError, f"accounts frame, row 0, column {column}", expected):
        replay(frame(LONG), cash)


EVENT = {
    "ts": datetime(1970, 1, 1, 0, 0, 1),
    "account": "long",
    "market": ETH,
    "kind": "deposit",
    "asset": "USD",
    "amount": 5,
}


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("account", "nobody", 'no such margin account "nobody"'),
        ("market", "BTC-PERP", 'there is no market "BTC-PERP"'),
        ("kind", "transfer", 'expected deposit, withdrawal or trade, got "transfer"'),
        ("asset", "DOGE", 'unknown asset "DOGE"'),
        ("amount", 0, "expected a positive amount, got 0"),
        ("amount", -5, "expected a positive amount, got -5"),
        ("amount", math.nan, "expected a finite number, got NaN"),
        ("amount", Decimal("0.0000001"), "does not fit the 6 decimals of USD"),
    ],
)
def test_events_that_cannot_be_used(column, value, expected):
    with refused(uw.BookError, f"events frame, row 0, column {column}", expected):
        replay(frame(LONG), None, frame(EVENT, **{column: [value]}))


def test_events_address_a_position():
    keyed = [LONG | {"position": "a"}, LONG | {"position": "b"}]
    book_of(*keyed)
    for address in ({}, {"position": [None]}, {"position": ["c"]}, {"account": ["short"], "position": ["a"]}):
        with refused(uw.BookError, "events frame, row 0, column account", "no such margin account"):
            replay(pl.concat([frame(row) for row in keyed]), None, frame(EVENT, **address))
    with refused(uw.BookError, "events frame, row 0, column position", "expected one in column market"):
        replay(frame(keyed[0]), None, frame(EVENT, market=NULL_TEXT, position=["a"]))


NOTHING = [pl.Series([None, None]), pl.Series([None, None], dtype=pl.String)]
NOTHING += [pl.Series([None, None], dtype=pl.Categorical), pl.Series([None, None], dtype=pl.Float64)]


@pytest.mark.parametrize("nothing", NOTHING, ids=[str(nothing.dtype) for nothing in NOTHING])
def test_columns_of_nothing_but_nulls(nothing):
    """An optional column counts as absent, whatever its type; a required one is refused at its first row."""
    rows = pl.concat([frame(LONG), frame(SHORT)])
    expected = replay(rows).state_hash
    for column in ("margin_mode", "collateral_asset", "position", "owner"):
        assert replay(rows.with_columns(nothing.alias(column))).state_hash == expected
    for column in ("account", "market", "size", "entry_price", "collateral"):
        with refused(uw.BookError, f"positions frame, row 0, column {column}"):
            replay(rows.with_columns(nothing.alias(column)))
    owned = [row | {"margin_mode": "cross", "collateral": None} for row in (LONG, SHORT)]
    owned = pl.from_dicts(owned).with_columns(nothing.alias("collateral"))
    cash = pl.DataFrame({"account": ["long", "short"], "asset": ["USD", "USD"], "collateral": [1000, 1000]})
    expected = replay(owned, cash).state_hash
    assert replay(owned, cash.with_columns(nothing.alias("owner"))).state_hash == expected
    for column in ("account", "asset", "collateral"):
        with refused(uw.BookError, f"accounts frame, row 0, column {column}"):
            replay(owned, cash.with_columns(nothing.alias(column)))
    events = pl.concat([frame(EVENT), frame(EVENT)])
    for column in ("market", "position"):
        replay(owned, cash, events.drop("market").with_columns(nothing.alias(column)))
    for column in ("ts", "account", "kind", "asset", "amount"):
        with refused(uw.BookError, f"events frame, row 0, column {column}"):
            replay(owned, cash, events.drop("market").with_columns(nothing.alias(column)))


def test_times_of_events():
    with refused(uw.BookError, "events frame, column ts", "expected a timestamp, got Int64"):
        replay(frame(LONG), None, frame(EVENT, ts=[5]))
    with refused(uw.BookError, "events frame, row 0, column ts", "got null"):
        replay(frame(LONG), None, frame(EVENT, ts=pl.Series([None], dtype=pl.Datetime)))
    with refused(uw.BookError, "events frame, row 1, column ts", "not sorted"):
        book([LONG], events=[(1, "long", ETH, "deposit", 5), (0, "long", ETH, "deposit", 5)])


# Amounts that leave their range.


@pytest.mark.parametrize(
    ("change", "kind", "where"),
    [
        ({"size": Decimal(10) ** 11}, uw.BookError, "row 0, column size"),
        (
            {"entry_price": 1e30},
            uw.BookError,
            "row 0, column entry_price: the cost of 5 at 1000000000000000000000000000000",
        ),
        (
            {"entry_price": Decimal("2000." + "1" * 30)},
            uw.BookError,
            "row 0, column entry_price: the cost of 5 at 2000.1",
        ),
        ({"size": Decimal(10) ** 36}, uw.BookError, "row 0, column size"),
        ({"collateral": Decimal(10) ** 37}, uw.BookError, "row 0, column collateral"),
    ],
)
def test_giant_positions(change, kind, where):
    with refused(kind, where):
        replay(frame(LONG, **{column: pl.Series([value]) for column, value in change.items()}))


@pytest.mark.parametrize("adl", [None, {}])
@pytest.mark.parametrize("size", [5, 5 * 10**9, 9 * 10**10])
def test_giant_losses_are_exact_or_refused(size, adl):
    collateral, top = 10**12, 9 * 10**11
    rows = [row | {"size": row["size"] // 5 * size, "collateral": collateral} for row in (LONG, SHORT)]
    try:
        result = textbook(rows, [2000, top], insurance_fund=fund(300), adl=adl)
    except uw.EngineError as error:
        assert str(error).startswith("overflow: ")  # noqa: PT017
        assert size > 5
    else:
        assert only(result.bad_debt)["bad_debt_usd"] == size * (top - 2000) - collateral


@pytest.mark.parametrize(
    "protocol",
    [
        {"insurance_fund": {"balance": "1e32"}},
        {"pool": {"balance": "1.7e32"}, "counterparty": "pool"},
        {"penalty": {"keeper_fee": "1e32", "paid_if_insolvent": True}},
        {"margin": {"initial_rate": "1e38"}},
        {"funding": {"kind": "series", "rates": {ETH: [{"ts": 10**9, "rate": "1e30"}]}}},
        {"borrow": {"rate_per_hour": "1e36", "interval": "1s"}},
    ],
)
def test_giant_figures_of_a_protocol(protocol):
    with refused(uw.EngineError, "overflow: "):
        textbook(**protocol).who_pays()


# Protocols and runs.


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ({"trigger_feed": "mark"}, "trigger_feed: no feed is named 'mark'; expected one of index, last"),
        ({"execution_feed": "mark"}, "execution_feed: no feed is named 'mark'"),
        ({"collateral_feed": "mark"}, "collateral_feed: no feed is named 'mark'"),
        ({"waterfall": ["pool"]}, "waterfall: pool is not configured"),
        ({"adl": {}, "waterfall": ["adl", "adl"]}, "waterfall: adl stands twice"),
        ({"vault": {"balance": 1}, "waterfall": ["vault"]}, "waterfall.0: expected 'insurance_fund', 'pool', 'adl'"),
        ({"insurance_fund": {"balance": -1}}, "insurance_fund.balance: expected dollars of at least 0"),
        ({"pool": {"balance": math.inf}}, "pool.balance: expected a number"),
        ({"keeper": {"rounds": 2**32}}, "keeper.rounds: "),
        ({"execution": {"ladder": [{"share": 1, "offset": -1}]}}, "execution.ladder.0.offset: "),
        ({"penalty": {"split": {"account": 1}}}, "penalty.split.account: "),
        ({"margin": {"markets": {"BTC-PERP": {"initial_rate": 1}}}}, 'margin.markets: there is no market "BTC-PERP"'),
        ({"margin": flat(2)}, "margin.maintenance: market ETH-PERP: expected rates from 0 to 1"),
    ],
)
def test_protocols_that_cannot_be_used(protocol, expected):
    with refused(uw.ConfigError, expected):
        textbook(**protocol)


PUSH = {"kind": "push", "deviation": "0.005", "heartbeat": "1h"}
SIDES = {"feeds": {"sides": {"kind": "worst_of", "sources": ["last"]}}}
DYNAMIC = {"feed": "sides", "sample": "1s", "look_back": "2s", "cadence": "1s", "base": "0.01", "cap": 2}


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        (PUSH | {"source": "index"}, "trigger_feed: market ETH-PERP has no index"),
        ({"kind": "last", "source": "index"}, "trigger_feed: market ETH-PERP has no index"),
        (
            PUSH | {"heartbeat": 0},
            "feeds.oracle.heartbeat: expected a duration above 0",
        ),
        (PUSH | {"deviation": "-0.1"}, "feeds.oracle.deviation: expected a rate of at least 0"),
        (PUSH | {"latency": "soon"}, "feeds.oracle.latency: expected a duration"),
        (PUSH | {"outages": [{"start": "2h", "end": "1h"}]}, "feeds.oracle.outages.0: expected an end after the start"),
        (PUSH | {"source": "mark"}, "feeds.oracle: no feed is named 'mark'; expected one of index, last, oracle"),
        ({"kind": "lagged", "source": "oracle"}, "feeds.oracle: a feed is made from itself: oracle -> oracle"),
        ({"kind": "median", "sources": []}, "feeds.oracle.sources: "),
        ({"kind": "twap", "every": "1s"}, "feeds.oracle.window: missing"),
        (
            {"kind": "worst_of", "sources": ["last"]},
            "collateral_feed: 'oracle' has a price for longs and one for shorts",
        ),
        (
            {"kind": "mean"},
            "feeds.oracle: expected kind to be one of 'last', 'push', 'paused', 'periodic', 'ema', 'twap', ",
        ),
    ],
)
def test_feeds_that_cannot_be_made(feed, expected):
    with refused(uw.ConfigError, expected):
        textbook(feeds={"oracle": feed}, trigger_feed="oracle")


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ({"adl_feed": "mark"}, "adl_feed: no feed is named 'mark'"),
        ({"guard": {}}, "guard: expected a divergence or a staleness"),
        (
            {"guard": {"divergence": {"feed": "last", "reference": "mark", "limit": "0.1"}}},
            "guard.divergence.reference: no feed is named 'mark'",
        ),
        (
            {
                "feeds": {
                    "a": {"kind": "lagged", "source": "b"},
                    "b": {"kind": "median", "sources": ["last", "c"]},
                    "c": {"kind": "spread", "source": "last", "reference": "a", "limit": 0},
                }
            },
            "feeds.b: 'c' has a price for longs and one for shorts",
        ),
        (
            {"feeds": {"a": {"kind": "lagged", "source": "b"}, "b": {"kind": "median", "sources": ["last", "a"]}}},
            "feeds.a: a feed is made from itself: a -> b -> a",
        ),
        (
            SIDES | {"margin": {"dynamic": DYNAMIC}},
            "margin.dynamic.feed: 'sides' has a price for longs and one for shorts",
        ),
        (
            SIDES | {"margin": {"markets": {"ETH-PERP": {"dynamic": DYNAMIC}}}},
            "margin.markets.ETH-PERP.dynamic.feed: 'sides' has a price for longs",
        ),
        (SIDES | {"funding": {"kind": "premium", "over": "sides"}}, "funding.over: 'sides' has a price for longs"),
        (
            SIDES | {"trigger_feed": "sides", "collateral_feed": "last", "borrow": {"rate_per_hour": "0.01"}},
            "borrow.feed: 'sides' has a price for longs and one for shorts",
        ),
    ],
)
def test_feeds_that_do_not_fit_together(protocol, expected):
    with refused(uw.ConfigError, expected):
        textbook(**protocol)


@pytest.mark.parametrize("field", ["trigger_feed", "execution_feed", "adl_feed"])
def test_an_index_that_the_market_does_not_have(field):
    with refused(uw.ConfigError, f"{field}: market {ETH} has no index"):
        textbook(**{field: "index"})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reference": "index"}, "reference: market ETH-PERP has no index"),
        ({"reference": "oracle"}, "reference: expected 'last', 'index' or a feed, got 'oracle'"),
        (
            {"reference": uw.LaggedFeed(source="mark")},
            "reference: expected a feed of 'last' and 'index' alone, got 'mark'",
        ),
        ({"reference": uw.WorstOfFeed(sources=["last"])}, "reference: expected a feed with one price"),
        ({"opening": "drop"}, "opening: expected 'keep', 'reject' or 'rescale', got 'drop'"),
    ],
)
def test_run_options_that_cannot_be_used(options, expected):
    with refused(uw.ConfigError, expected):
        textbook(**options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ name =", "not TOML: "),
        ("nam = 'x'", "unknown field 'nam'; did you mean 'name'?"),
        ("name = 5", "name: expected a valid string, got 5"),
        (
            "[adl]\nprice = 'best'",
            "adl.price: expected 'bankruptcy', 'mark', 'previous_mark', 'oracle' or 'mark_then_bankruptcy', got 'best'",
        ),
        ("[margin]\nmaintenance = 0.05", "margin.maintenance: expected a table of fields, got 0.05"),
        ("[feeds.oracle]\nkind = 'push'", "feeds.oracle.deviation: missing; feeds.oracle.heartbeat: missing"),
        ("[insurance_fund]\nbalance = nan", "insurance_fund.balance: expected a number"),
    ],
)
def test_toml_that_is_no_protocol(text, expected):
    with refused(uw.ConfigError, expected):
        uw.Protocol.from_toml(text)


# Ticks and definitions.


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"price": [2000.0, math.nan]}, "column `price`, row 1: expected a finite number, got NaN"),
        ({"price": [2000.0, math.inf]}, "column `price`, row 1: expected a finite number, got inf"),
        ({"price": [2000.0, None]}, "column `price`, row 1: expected a value, got null"),
        ({"price": [2000.0, 0.0]}, "column `price`, row 1: expected a positive number, got 0"),
        ({"price": [2000.0, -1.0]}, "column `price`, row 1: expected a positive number, got -1"),
        ({"market": [ETH, None]}, "column `market`, row 1: expected a value, got null"),
        ({"ts": pl.from_epoch(pl.Series([1, 0]))}, "column `ts`, row 1: expected times that do not descend"),
        ({"ts": ["a", "b"]}, "column `ts`: expected a timestamp"),
        ({"size": [1.0, -1.0]}, "column `size`, row 1: expected a number that is not negative, got -1"),
        ({"side": ["buy", "up"]}, 'column `side`, row 1: expected buy, sell or unknown, got "up"'),
    ],
)
def test_ticks_that_cannot_be_used(columns, expected):
    good = {"ts": pl.from_epoch(pl.Series([0, 1])), "market": [ETH, ETH], "price": [2000.0, 1700.0]}
    with refused(uw.DataError, expected):
        uw.Ticks(pl.DataFrame(good | columns)).load()


@pytest.mark.parametrize(
    ("market", "asset", "expected"),
    [
        ({"name": "BTC-PERP"}, None, "market BTC-PERP: expected a market that has ticks (ETH-PERP)"),
        ({"name": ETH, "index": "ETH"}, None, "market ETH-PERP: index: expected a market that has ticks"),
        ({"name": ETH, "index": ETH}, None, "market ETH-PERP: index: expected another market"),
        ({"name": ETH}, {"name": "WETH", "price_market": "ETH"}, "asset WETH: price_market: expected a market"),
        ({"name": ETH, "contract_size": 0}, None, "contract_size: expected a positive decimal, got 0"),
    ],
)
def test_definitions_that_cannot_be_used(market, asset, expected):
    with refused(uw.ConfigError, expected):
        run([LONG], [2000, 1700], markets=[market], assets=[asset] if asset else ())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"accounts": 1}, "accounts: expected at least 2"),
        ({"leverage": 5}, "unknown field `leverage`"),
        ({"long_share": 2}, "long_share: expected a share in [0, 1]"),
        ({"weights": {"BTC-PERP": 1}}, 'weights: no market "BTC-PERP"; there are ETH-PERP'),
        ({"weights": {ETH: -1}}, "weights: expected numbers that are not negative"),
        ({"seed": -1}, "seed: invalid value: integer `-1`, expected u64"),
        ({"seed": math.nan}, 'seed: invalid type: string "nan", expected u64'),
        ({"seed": 2**64}, "seed: "),
        ({"accounts": 2.5}, "accounts: "),
        ({"accounts": None}, "accounts: "),
        ({"notional_median": Decimal("NaN")}, "notional_median: "),
        ({"max_legs": object()}, "max_legs: "),
        ({"longs": {"leverage_p95": math.inf}}, "longs.leverage_p95: "),
        ({"weights": {ETH: [1]}}, f"weights.{ETH}: "),
    ],
)
def test_synthetic_books_that_cannot_be_drawn(options, expected):
    with refused(uw.ConfigError, expected):
        uw.Book.synthetic(day({ETH: [2000, 1700]}), **options)


@pytest.mark.parametrize("unit", ["account", "position", "fill"])
@pytest.mark.parametrize("attribution", ["notional", "maintenance", "account"])
@pytest.mark.parametrize("adl", [None, {}])
def test_a_coin_of_18_decimals_holds_realistic_amounts(unit, attribution, adl):
    """100 M and more in 1e-18, settled leg by leg: the products on the way need more than 128 bits."""
    markets = [{"name": ETH, "settlement": "DAI"}, {"name": "BTC-PERP", "settlement": "DAI"}]
    positions = [
        cross("long", 50_000, 2000),
        cross("long", 1000, 50_000, "BTC-PERP"),
        cross("short", -50_000, 2000),
        cross("bear", -1000, 50_000, "BTC-PERP"),
    ]
    result = run(
        positions,
        {ETH: [2000, 1700], "BTC-PERP": [50_000, 45_000]},
        cash=[("long", "DAI", 10_000_000), ("short", "DAI", 50_000_000), ("bear", "DAI", 20_000_000)],
        markets=markets,
        assets=[{"name": "DAI", "decimals": 18}],
        loss_unit=unit,
        attribution=attribution,
        adl=adl,
        insurance_fund=fund(3_000_000),
        execution={"ladder": [{"share": "1/3", "offset": "0"}, {"share": "2/3", "offset": "-0.01"}]},
    )
    # 15 M and 5 M are lost, and 10 M were there.
    gone = result.bad_debt.select(pl.col("bad_debt_usd").sum() - pl.col("adl_overshoot_usd").sum()).item()
    assert gone >= 10_000_000
