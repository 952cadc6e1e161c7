"""How rich random days are: what happened on them, and on which share of the days of a kind."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge import Result
    from strategies_days import Scenario

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
    if r.reverted:
        found |= {"reverted", "reverted several times"} if r.reverted > 1 else {"reverted"}
        found |= {"reverted, and closed" for row in r.liquidations if row["ts"] > row["trigger_ts"]}
        found |= {"reverted, and a loss stays open" for row in r.bad_debt if row["status"] == "open"}
    if r.layer_halts:
        found |= {f"halt by {row['layer']}" for row in r.layer_halts if row["layer"] == "insurance_fund"}
        found |= {"halt by another layer" for row in r.layer_halts if row["layer"] != "insurance_fund"}
        found |= {"halt by a layer, for good" for row in r.layer_halts if row["end_ts"] is None}
        found |= {"halt by a layer, again" for row in r.layer_halts if row["start_ts"] > r.layer_halts[0]["start_ts"]}
        ends = [row["end_ts"] for row in r.layer_halts if row["end_ts"] is not None]
        found |= {"closed after a halt by a layer" for row in r.liquidations if ends and row["ts"] >= min(ends)}
        found |= {"closed as a halt by a layer ends" for row in r.liquidations if row["ts"] in ends}
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


FEATURES = {
    "delistings": lambda p: "delistings" in p,
    "a clearing house": lambda p: "clearing_house" in p,
    "a treasury that waits": lambda p: "delay" in p.get("treasury", {}),
    "an auction of tokens": lambda p: "auction" in p.get("token", {}),
    "ADL that leaves the rest open": lambda p: (p.get("adl") or {}).get("leftover") == "open",
    "a pool that refuses": lambda p: (p.get("payout") or {}).get("when_short") == "refuse",
}
"""Kinds of days that are found among those of all other kinds."""


class Tally:
    """What happened on the days of each kind."""

    def __init__(self) -> None:
        self.days: Counter[str] = Counter()
        self.seen: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def note(self, kind: str, s: Scenario, r: Result) -> None:
        happened = branches(s, r)
        for name in (kind, *(f"days with {name}" for name, has in FEATURES.items() if has(s.protocol))):
            self.days[name] += 1
            self.seen[name].update(happened)

    def shares(self, least: int = 300) -> dict[str, float]:
        """Of each branch the largest share of the days of a kind, of at least so many days, on which it is taken."""
        shares: defaultdict[str, float] = defaultdict(float)
        for kind, counts in self.seen.items():
            for branch, count in counts.items():
                share = count / self.days[kind] if self.days[kind] >= least else 0.0
                shares[branch] = max(shares[branch], share)
        return dict(shares)
