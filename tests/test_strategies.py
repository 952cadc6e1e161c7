"""The random days are rich: nothing that a protocol can do is rare among them. Prints the shares with `-s`."""

import os
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from judge import Result, judge
from strategies import deleveraged, pooled, scenarios
from strategies_days import Scenario
from strategies_funded import funded
from strategies_venues import refused, vaulted

MONEY = [
    "third_party_fees_usd", "assessments_usd", "waived_usd", "insurance_fund_usd", "pool_usd", "adl_give_up_usd",
    "socialised_usd", "treasury_usd", "token_usd", "uncovered_usd", "adl_overshoot_usd", "subsidy_usd", "change_of_prepaid_usd",
    "recovered_usd",
]  # fmt: skip


def branches(s: Scenario, r: Result) -> set[str]:
    """What happened."""
    found = {f"{column} in bad_debt" for row in r.bad_debt for column in MONEY if row[column]}
    found |= {f"bad debt {row['status']}" for row in r.bad_debt}
    found |= {f"bad debt in {row['asset']}" for row in r.bad_debt if row["asset"]}
    found |= {"bad debt of the opening" for row in r.bad_debt if row["opening"]}
    found |= {f"account {row['status']}" for row in r.accounts}
    found |= {"socialised charge" for row in r.accounts if row["socialised_usd"]}
    found |= {"queued once" for row in r.accounts if row["trigger_ts"] is not None and row["status"] == "open"}
    found |= {f"refused {row['kind']}: {row['reason']}" for row in r.rejected_events}
    found |= {f"posting {row['kind']}" for row in r.postings}
    own = [row for row in r.postings if f"{row['from']} {row['to']}".count("insurance_fund:")]
    found |= {f"fund of a market: {row['kind']}" for row in own if row["kind"] in ("payment", "penalty", "residual")}
    found |= {"claims on two funds"} if two_funds(r.postings) else set()
    found |= {f"route {row['route']}" for row in r.liquidations}
    found |= {"price subsidy" for row in r.liquidations if row["price_subsidy_usd"]}
    by = s.protocol.get("socialised", {}).get("by", "profit")
    found |= {f"socialised by {by}" for row in r.bad_debt if row["socialised_usd"]}
    found |= {"ADL against the outside" for row in r.adl if row["account"] == "outside"}
    factors = [row for row in r.adl if row["kind"] == "pool_factor"]
    if factors:
        adl = s.protocol["payout"]["adl"]
        found |= {f"pool ADL by {adl['selector']}", f"pool ADL to {adl.get('stop', 'minimum')}"}
        found |= {f"pool ADL of {row['side']}s" for row in factors}
        found |= {"pool ADL of several"} if max(row["rank"] for row in factors) > 1 else set()
        found |= {f"pool ADL, {name} {adl[name]}" for name in ("fit", "share") if name in adl}
        found |= {"pool ADL, later"} if adl["latency"] else set()
        found |= {"pool ADL, again"} if len({row["ts"] for row in factors}) > 1 else set()
    vault = [row for row in r.adl if row["kind"] == "vault"]
    found |= {"ADL of the vault"} if vault else set()
    found |= {"ADL of the vault, again"} if len({row["ts"] for row in vault}) > 1 else set()
    found |= {
        "ADL of the vault makes good a deficit" for row in r.bad_debt if row["account"] == "vault" and row["amount"]
    }
    if len(r.adl) > len(factors):
        adl = s.protocol["adl"]
        policy = adl.get("policy", "queue")
        found.add(f"ADL by {policy if isinstance(policy, str) else policy['kind']}")
        found |= {f"ADL {name} {adl[name]}" for name in ("score", "eligibility", "price") if name in adl}
        found |= {f"ADL with {name}" for name in ("counterparties", "attempts") if name in adl}
        if adl.get("leftover") == "open":
            debts = Counter(row["account"] for row in r.bad_debt if row["adl_give_up_usd"])
            found |= {"ADL, the leftover open"}
            found |= {"ADL, the leftover tried again" for n in debts.values() if n > 1}
        found |= {"ADL of whole positions"} if adl.get("partial_last") is False else set()
    if (s.protocol.get("execution", {}).get("bound") or {}).get("remainder") == "deleverage":
        closed = {row["account"] for row in r.accounts if row["status"] in ("liquidated", "defaulted")}
        found |= {"ADL of what nobody fills" for row in r.adl if row["kind"] == "bankruptcy"}
        found |= {"ADL that leaves a part open" for row in r.adl if row["loser"] not in {*closed, "pool"}}
        found |= {"filled before a refusal, or in part" for row in r.liquidations}
    found |= {"ADL of several" for row in r.adl if row["rank"] > 1}
    found |= {"ADL takes principal" for row in r.adl if row["principal_usd"] > 0}
    found |= {"ADL counterparty gains" for row in r.adl if row["give_up_usd"] < 0}
    found |= {f"who pays: {row['line']}" for row in r.who_pays if row["amount_usd"]}
    if s.protocol.get("payout") is not None:
        rules = s.protocol["payout"]
        kept = {p["kind"] for p in r.postings if p["kind"] in ("capped_payout", "refused_payout", "deferred_payout")}
        found |= {
            "a deferred payout is paid" for p in r.postings if p["kind"] == "deferred_payout" and p["from"] == "pool"
        }
        found |= {f"{kind} by {rules['policy']['kind']}" for kind in kept}
        found |= {"payouts at the end"} if rules["at_end"] else set()
        found |= (
            {f"capped in the test, by {rules['policy']['kind']}"}
            if rules.get("in_margin") and r.liquidations
            else set()
        )
    settled = {p["event"] for p in r.postings if p["kind"] == "settlement" and p["event"] is not None}
    if settled:
        for one in s.protocol["delistings"]:
            found |= {f"settled at {one['price']['kind']}", f"settled by {one['trigger']['kind']}"}
        found |= {"settled, of an entity" for p in r.postings if p["kind"] == "settlement" and p["event"] is None}
        found |= {"settled, with a loss" for row in r.bad_debt if row["event"] in settled}
        found |= {"settled, by ADL" for row in r.adl if row["event"] in settled}
        found |= {"settled, by ADL in part of an account"} if partly(r, settled) else set()
    if not r.liquidations:
        return found
    events = {row["event"]: row["ts"] for row in r.liquidations}
    several = max(Counter(events.values()).values()) > 1
    feed = s.protocol.get("feeds", {}).get(s.protocol.get("trigger_feed", "last"), {})
    found.add(f"trigger {feed.get('kind', s.protocol.get('trigger_feed', 'last'))} {feed.get('prints', '')}")
    if feed.get("kind") == "push" and isinstance(feed.get("latency"), dict):
        found.add(f"trigger push, latency {feed['latency']['kind']}")
    for option, default in [("settlement", "per_fill"), ("loss_unit", "account"), ("attribution", "notional")]:
        value = s.protocol.get(option, default)
        found.add(f"{option} {value}")
        if several:
            found.add(f"{option} {value}, several closings in one instant")
    found |= {
        f"keeper {name}" for name in ("poll", "capacity", "failure", "gas") if name in s.protocol.get("keeper", {})
    }
    found |= {f"keeper regime {name}" for regime in s.protocol.get("keeper", {}).get("regimes", []) for name in regime}
    found |= {f"guard {name}" for name, limit in (s.protocol.get("guard") or {}).items() if limit is not None}
    found |= {"halt"} if s.protocol.get("halts") else set()
    execution = s.protocol.get("execution", {})
    found.add(f"execution {execution.get('kind', 'feed')}")
    found.add("execution by a ladder" if execution.get("ladder") else "execution at one price")
    bound = execution.get("bound") or {}
    if bound.get("remainder") == "adl" and r.adl:
        found.add("ADL of what a bound leaves")
    legs = Counter(row["event"] for row in {(r["event"], r["market"], r["side"]): r for r in r.liquidations}.values())
    if max(legs.values()) > 1:
        found.add("closing of several legs")
    debts = Counter(row["event"] for row in r.bad_debt if row["status"] == "realised")
    if debts and max(debts.values()) > 1:
        found.add("bad debt in two assets")
    return found


def partly(r: Result, settled: set[int]) -> bool:
    """An account that has lost in ADL at its settlement has kept other positions."""
    open_accounts = {row["account"] for row in r.accounts if row["status"] != "defaulted"}
    return any(row["event"] in settled and row["account"] in open_accounts for row in r.bad_debt)


def two_funds(postings: list[dict]) -> bool:
    paid = [row for row in postings if row["kind"] == "payment" and row["from"].startswith("insurance_fund")]
    payers = {(row["event"], row["from"]) for row in paid}
    return max(Counter(event for event, _ in payers).values(), default=0) > 1


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_the_random_days_are_rich():
    """Each branch is on one in two hundred of the days of some kind: of all, of those on which ADL comes first, of
    those on which a pool stands against everyone, of those on which payers refuse fills, of those on which a
    vault takes over, of those on which funds are divided and filled, or of those on which something is delisted."""
    examples = int(os.environ.get("UNDERWATER_EXAMPLES", "2000"))
    kinds = [shares_of(scenarios(), examples)]
    kinds += [shares_of(days, examples // 2) for days in (deleveraged(), pooled(), refused(), vaulted(), funded())]
    delisted = scenarios().filter(lambda day: "delistings" in day.protocol)
    kinds.append(shares_of(delisted, examples // 2))
    shares = {branch: max(kind.get(branch, 0.0) for kind in kinds) for kind in kinds for branch in kind}
    sys.stdout.write(
        "".join(f"{share:7.1%} {branch}\n" for branch, share in sorted(shares.items(), key=lambda x: -x[1]))
    )
    rare = {branch: share for branch, share in shares.items() if share < 0.005}
    assert not rare
    assert len(shares) > 80


def shares_of(days: st.SearchStrategy, examples: int) -> dict[str, float]:
    """The share of the days on which each branch is taken."""
    seen: Counter = Counter()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(days)
    def collect(s: Scenario) -> None:
        r = judge(s.definitions, s.ticks, s.positions, s.accounts, s.events, s.protocol, s.options)
        seen.update({"days", *branches(s, r)})

    collect()
    return {branch: count / seen["days"] for branch, count in seen.items()}
