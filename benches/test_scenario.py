"""One further scenario on a resident day with 100,000 accounts, after one has been run.

Each round is a run of the public face on ticks and a book that have been replayed before: whatever is kept between runs helps.
"""

import itertools

import pytest
from conftest import Measure
from workloads import BookRecipe, bursty, fund, heavy, mild, protocol, with_adl

import underwater as uw

TAPE = bursty()
BOOKS = {"mild book": mild(TAPE, accounts=100_000), "heavy book": heavy(TAPE, accounts=100_000)}


@pytest.fixture(scope="module")
def ticks() -> uw.Ticks:
    """The day, decoded."""
    return TAPE.scan().load()


@pytest.fixture(scope="module", params=list(BOOKS))
def case(request: pytest.FixtureRequest, ticks: uw.Ticks) -> tuple[str, BookRecipe, uw.Book]:
    """A book that has been replayed before."""
    recipe = BOOKS[request.param]
    book = recipe.load()
    uw.replay(ticks, book, protocol().with_(insurance_fund=fund(recipe)))
    return request.param, recipe, book


Case = tuple[str, BookRecipe, uw.Book]


def test_fund(measure: Measure, ticks: uw.Ticks, case: Case) -> None:
    """Only the fund differs: the same accounts are liquidated at the same prices."""
    name, recipe, book = case
    balances = itertools.count(fund(recipe).balance)
    base = protocol().with_(insurance_fund=fund(recipe))
    measure(
        "scenario_fund",
        name,
        lambda: uw.replay(ticks, book, base.with_(**{"insurance_fund.balance": next(balances)})),
        rounds=5,
    )


def test_latency(measure: Measure, ticks: uw.Ticks, case: Case) -> None:
    """Only the latency differs: the same first triggers."""
    name, recipe, book = case
    seconds = itertools.count(2)
    base = protocol().with_(insurance_fund=fund(recipe))
    measure(
        "scenario_latency",
        name,
        lambda: uw.replay(ticks, book, base.with_(**{"keeper.latency": f"{next(seconds)}s"})),
        rounds=5,
    )


def test_adl(measure: Measure, ticks: uw.Ticks, case: Case) -> None:
    """The fund differs, and ADL takes what it does not cover."""
    name, recipe, book = case
    balances = itertools.count(fund(recipe).balance)
    measure(
        "scenario_adl",
        name,
        lambda: uw.replay(ticks, book, with_adl(recipe).with_(**{"insurance_fund.balance": next(balances)})),
        rounds=2,
    )
