"""Two days on which Hyperliquid's vault lost, by our own reconstruction of the published figures (docs/pools.md).

JELLY, 2025-03-26: a short of 4 M dollars at 0.0095, four times the price within the hour; the vault was 10.6 to 13.5 M down.
POPCAT, 2025-11-12: 19 wallets, 125.14 M tokens at 0.21 with 3 M of margin, down to 0.13; the vault lost 4.9 M. Between these
figures prices and wallets are ours.
"""

from decimal import Decimal

import pytest
from cases import closing, dollars, isolated, run, size_at_end

import underwater as uw

JELLY = -421_052_631
M = 10**6


def child(equity):
    """The liquidator as an account of its own, from its takeover of the short at 0.0107 on, against those who bought."""
    rows = [
        isolated("liquidator", JELLY, Decimal("0.0107"), equity, market="JELLY"),
        isolated("buyers", -JELLY, Decimal("0.0095"), 4 * M, market="JELLY"),
    ]
    protocol = {"margin": {"maintenance": {"kind": "flat", "rate": 0}}, "adl": {}, "waterfall": ["adl"], "pool": None}
    path = [0.0107, 0.0150, 0.0200, 0.0300, 0.0380]
    return run(rows, {"JELLY": path}, **protocol)


def result_of(result, account):
    row = result.accounts.filter(account=account).row(0, named=True)
    return row["closing_equity_usd"] - row["opening_equity_usd"]


def test_jelly_with_shared_collateral_the_vault_bleeds_and_nobody_is_deleveraged():
    result = child(230 * M)
    assert (len(result.adl), len(result.bad_debt)) == (0, 0)
    assert -13_500_000 < result_of(result, "liquidator") < -10_600_000


def test_jelly_with_a_capped_child_adl_fires_and_the_vault_loses_its_equity_alone():
    result = child(2_300_000)
    fills = result.adl
    assert fills["account"].unique().to_list() == ["buyers"]
    assert fills["size"].sum() == -JELLY
    assert result_of(result, "liquidator") == -2_300_000
    # The buyers are matched where the child has nothing left, and keep what the price had made until then.
    assert dollars(result)["adl"] == dollars(result)["bad_debt"]


@pytest.mark.parametrize("delisted", [False, True])
def test_jelly_settled_by_the_validators_at_the_price_of_the_short(delisted):
    """The vault takes the short over with what is left of its margin (ours: 700 k, which is then what the vault keeps)."""
    rows = [
        isolated("whale", JELLY, Decimal("0.0095"), 700_000, market="JELLY"),
        isolated("buyers", -JELLY, Decimal("0.0095"), 4 * M, market="JELLY"),
    ]
    settled = {
        "market": "JELLY",
        "trigger": {"kind": "time", "at": "6s"},
        "price": {"kind": "fixed", "price": "0.0095"},
    }
    changes = {"trigger_feed": "last", "delistings": [settled] if delisted else []}
    protocol = uw.protocols.hyperliquid(vault=230 * M, vault_floor=None).with_(**changes)
    path = [0.0095, 0.0107, 0.0150, 0.0200, 0.0300, 0.0380, 0.0380]
    result = run(rows, {"JELLY": path}, **protocol.model_dump())
    assert result.liquidations["route"].to_list() == ["vault"]
    lines = dollars(result)
    if delisted:
        assert lines["takeover_pnl"] == 700_000
        # What the vault had lost until then is what the buyers had won.
        assert lines["settlement:vault"] == -lines["settlement:accounts"] == -JELLY * Decimal("0.0285")
        assert (size_at_end(result, "vault", "JELLY"), size_at_end(result, "buyers", "JELLY")) == (0, 0)
        assert closing(result, "buyers") == 4 * M
    else:
        assert -13_500_000 < lines["takeover_pnl"] < -10_600_000


BUYERS = isolated("buyers", -JELLY, Decimal("0.0095"), 4 * M, market="JELLY")


@pytest.mark.parametrize(("floor", "deleveraged"), [(0, True), (None, False)])
def test_jelly_by_the_preset(floor, deleveraged):
    """The short is taken over at 0.0107. At 0.02 a child of 2.3 M has lost it all, and is closed at the mark before."""
    trader = isolated("trader", JELLY, Decimal("0.0095"), 800_000, market="JELLY")
    protocol = uw.protocols.hyperliquid(vault=2_300_000, vault_floor=floor).with_(trigger_feed="last")
    result = run([trader, BUYERS], {"JELLY": [0.0095, 0.0107, 0.0150, 0.0200, 0.0300, 0.0380]}, **protocol.model_dump())
    assert result.liquidations["route"].to_list() == ["vault"]
    lines = dollars(result)
    if deleveraged:
        assert result.adl.select("account", "loser", "kind", "price").rows() == [
            ("buyers", "vault", "vault", pytest.approx(0.015))
        ]
        # 421,052,631 (0.0095 - 0.0150) and the trader's 800,000
        assert lines["takeover_pnl"] == pytest.approx(Decimal("-1515789"), abs=1)
        # At 0.02 it lacked 1.32 M; the buyers gave up that and 0.78 M more.
        assert lines["bad_debt"] == pytest.approx(Decimal("1321052"), abs=1)
        assert lines["adl"] == pytest.approx(Decimal("2105263"), abs=1)
    else:
        assert len(result.adl) == 0
        assert -13_500_000 < lines["takeover_pnl"] < -10_600_000


def popcat(path, others=(), **changes):
    """19 wallets as alike as can be, and others."""
    size, margin = 125_140_000 // 19, Decimal(3 * M) / 19
    rows = [isolated(f"w{n:02}", size, Decimal("0.21"), round(margin, 6), market="POPCAT") for n in range(19)]
    protocol = uw.protocols.hyperliquid(vault=230 * M, vault_floor=None).with_(**{"trigger_feed": "last", **changes})
    return run([*rows, *others], {"POPCAT": path}, **protocol.model_dump())


def test_popcat_the_vault_takes_over_what_the_book_does_not_bear():
    # The wall of bids is pulled: the price falls through the margin of all at once.
    result = popcat([0.21, 0.19, 0.16, 0.13])
    assert result.liquidations["route"].to_list() == ["vault"] * 19
    assert len(result.bad_debt) == 0
    # 125.14 M (0.13 - 0.21) + 3 M, if it holds all down to the low; published: 4.9 M
    assert dollars(result)["takeover_pnl"] == pytest.approx(Decimal("-7.0112e6"), abs=100)


def test_popcat_a_vault_that_sold_half_way_down_is_at_the_published_loss():
    result = popcat([0.21, 0.19, 0.147])
    assert dollars(result)["takeover_pnl"] == pytest.approx(Decimal("-4.9e6"), rel=Decimal("0.03"))


def test_popcat_with_a_capped_child_the_shorts_take_it_over_where_its_capital_ends():
    # At 0.19 everything is the vault's; its million and the margin are gone before 0.16: it is closed at the mark before.
    shorts = isolated("shorts", -125_140_000, Decimal("0.21"), 30 * M, market="POPCAT")
    changes = {"execution.takeover.floor": 0, "execution.takeover.adl_pause": "3s", "vault.balance": M}
    result = popcat([0.21, 0.19, 0.185, 0.16, 0.13], others=[shorts], **changes)
    assert result.adl.select("account", "loser", "price").rows() == [("shorts", "vault", pytest.approx(0.185))]
    # 125.14 M (0.185 - 0.21) + 3 M
    assert dollars(result)["takeover_pnl"] == pytest.approx(Decimal("-128500"), abs=100)
