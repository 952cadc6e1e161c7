"""The protocol and its defaults, read from the configuration's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from judge.execution import Execution, read_execution

LAYERS = ["insurance_fund", "pool", "adl", "socialised", "treasury"]


@dataclass
class Tier:
    lower: Fraction
    rate: Fraction
    deduction: Fraction


@dataclass
class Margin:
    tiers: list[Tier]
    initial_rate: Fraction | None  # none: the maintenance requirement stands for the initial one


@dataclass
class Protocol:
    feeds: dict[str, dict]
    trigger_feed: str
    execution_feed: str
    collateral_feed: str
    margin: Margin
    market_margin: dict[str, Margin]
    weights: dict[str, Fraction]
    counterparty: str
    keeper: dict
    rounds: int
    execution: Execution
    penalty_rate: Fraction
    penalty_split: dict[str, Fraction]
    keeper_fee: Fraction
    paid_if_insolvent: bool
    residual: str
    settlement: str
    loss_unit: str
    attribution: str
    outside: str
    late_deposits: str
    balances: dict[str, Fraction]
    coverage: str
    adl_price: str
    adl_capacity: str
    socialised_by: str
    waterfall: list[str]

    def margin_of(self, market: str) -> Margin:
        return self.market_margin.get(market, self.margin)

    def weight(self, asset: str) -> Fraction:
        return self.weights.get(asset, Fraction(1))


def read_tiers(spec: dict) -> list[Tier]:
    if spec["kind"] == "flat":
        return [Tier(Fraction(0), Fraction(spec["rate"]), Fraction(0))]
    tiers: list[Tier] = []
    for given in spec["tiers"]:
        lower, rate = Fraction(given["lower"]), Fraction(given["rate"])
        if given.get("deduction") is not None:
            deduction = Fraction(given["deduction"])
        elif not tiers:
            deduction = Fraction(0)
        else:
            deduction = tiers[-1].deduction + lower * (rate - tiers[-1].rate)
        tiers.append(Tier(lower, rate, deduction))
    return tiers


def read_rate(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def read_protocol(p: dict) -> Protocol:
    margin = p.get("margin") or {}
    common = Margin(
        read_tiers(margin.get("maintenance") or {"kind": "flat", "rate": "0.005"}),
        read_rate(margin.get("initial_rate")),
    )
    market_margin = {}
    for market, own in (margin.get("markets") or {}).items():  # what is not overridden is inherited
        tiers = read_tiers(own["maintenance"]) if own.get("maintenance") else common.tiers
        initial = read_rate(own["initial_rate"]) if own.get("initial_rate") is not None else common.initial_rate
        market_margin[market] = Margin(tiers, initial)

    keeper = p.get("keeper") or {}
    penalty = p.get("penalty") or {}
    configured = [name for name in LAYERS if p.get(name) is not None]
    trigger = p.get("trigger_feed") or "last"
    return Protocol(
        feeds=p.get("feeds") or {},
        trigger_feed=trigger,
        execution_feed=p.get("execution_feed") or "last",
        collateral_feed=p.get("collateral_feed") or trigger,
        margin=common,
        market_margin=market_margin,
        weights={asset: Fraction(c["weight"]) for asset, c in (p.get("collateral") or {}).items()},
        counterparty=p.get("counterparty", "outside"),
        keeper=keeper,
        rounds=keeper.get("rounds", 1),
        execution=read_execution(p.get("execution") or {}),
        penalty_rate=Fraction(penalty.get("rate", "0")),
        penalty_split={k: Fraction(v) for k, v in (penalty.get("split") or {"insurance_fund": "1"}).items()},
        keeper_fee=Fraction(penalty.get("keeper_fee", "0")),
        paid_if_insolvent=penalty.get("paid_if_insolvent", False),
        residual=p.get("residual", "account"),
        settlement=p.get("settlement", "per_fill"),
        loss_unit=p.get("loss_unit", "account"),
        attribution=p.get("attribution", "notional"),
        outside=p.get("outside", "keeps"),
        late_deposits=p.get("late_deposits", "ignore"),
        balances={
            name: Fraction(p[name]["balance"])
            for name in ("insurance_fund", "pool", "vault", "treasury")
            if p.get(name) is not None
        },
        coverage=(p.get("insurance_fund") or {}).get("coverage", "slices"),
        adl_price=(p.get("adl") or {}).get("price", "bankruptcy"),
        adl_capacity=(p.get("adl") or {}).get("capacity", "equity"),
        socialised_by=(p.get("socialised") or {}).get("by", "profit"),
        waterfall=p["waterfall"] if p.get("waterfall") is not None else configured,
    )
