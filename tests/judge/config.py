"""The protocol and its defaults, read from the configuration's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from judge.execution import Execution, read_execution
from judge.margin import Margin, read_margin
from judge.payout import Payout, read_payout

LAYERS = ["insurance_fund", "pool", "adl", "socialised", "treasury", "token"]


@dataclass
class Stop:
    requirement: str
    factor: Fraction


@dataclass
class Close:
    policy: dict
    positions: str
    stop: Stop
    pause: int
    when_insolvent: str


@dataclass
class Escalation:
    after: int
    every: int
    step: Fraction
    shortfall: Fraction
    maximum: Fraction | None


@dataclass
class Penalty:
    rate: Fraction
    escalation: Escalation | None
    cap: Fraction | None
    equity_share: Fraction
    split: dict[str, Fraction]
    keeper_fee: Fraction
    fee_per: str
    fee_if: str
    keeper_rate: Fraction
    paid_if_insolvent: bool
    fund_pays_keeper: bool


@dataclass
class Adl:
    policy: dict
    score: str
    seed: int
    eligibility: str
    price: str
    price_feed: str | None
    threshold: Fraction | None
    capacity: str
    counterparties: int | None
    attempts: int | None
    partial_last: bool
    leftover: str


@dataclass
class Protocol:
    feeds: dict[str, dict]
    trigger_feed: str
    execution_feed: str
    collateral_feed: str
    adl_feed: str
    guard: dict | None
    halts: list[dict]
    delistings: list[dict]
    margin: Margin
    market_margin: dict[str, Margin]
    collateral: dict[str, dict]
    funding: dict | None
    borrow: dict | None
    counterparty: str
    keeper: dict
    rounds: int
    execution: Execution
    close: Close
    penalty: Penalty
    payout: Payout | None
    residual: str
    settlement: str
    loss_unit: str
    attribution: str
    outside: str
    late_deposits: str
    balances: dict[str, Fraction]
    treasury: dict
    token: dict
    funds: dict[str, dict]  # fields of each insurance fund, by holder
    fund_of: dict[str, str]  # holder by market, where it is not `insurance_fund`
    coverage: str
    adl: Adl
    socialised_by: str
    waterfall: list[str]
    limits: dict[str, dict]
    clearing_house: dict | None
    withdrawal_gate: int | None

    def margin_of(self, market: str) -> Margin:
        return self.market_margin.get(market, self.margin)

    def weight(self, asset: str, field: str = "weight") -> Fraction:
        """Of `weight`, `initial_weight`, `profit_weight`; whole unless it is given."""
        given = self.collateral.get(asset, {})
        if field == "initial_weight" and given.get(field) is None:
            field = "weight"
        return Fraction(1) if given.get(field) is None else Fraction(given[field])

    def sold_at(self, asset: str) -> Fraction:
        """What is left of a price at a conversion."""
        return 1 - Fraction(self.collateral.get(asset, {}).get("sale_cost") or 0)


def read_rate(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def read_close(c: dict) -> Close:
    stop = c.get("stop") or {}
    return Close(
        policy=c.get("policy") or {"kind": "full"},
        positions=c.get("positions", "all"),
        stop=Stop(stop.get("requirement", "maintenance"), Fraction(stop.get("factor", "1"))),
        pause=c.get("pause", 10**9),
        when_insolvent=c.get("when_insolvent", "full"),
    )


def read_penalty(p: dict) -> Penalty:
    e = p.get("escalation")
    escalation = (
        None
        if e is None
        else Escalation(
            after=e.get("after", 0),
            every=e.get("every", 10**9),
            step=Fraction(e.get("step", "0")),
            shortfall=Fraction(e.get("shortfall", "0")),
            maximum=read_rate(e.get("maximum")),
        )
    )
    return Penalty(
        rate=Fraction(p.get("rate", "0")),
        escalation=escalation,
        cap=read_rate(p.get("cap")),
        equity_share=Fraction(p.get("equity_share", "1")),
        split={k: Fraction(v) for k, v in (p.get("split") or {"insurance_fund": "1"}).items()},
        keeper_fee=Fraction(p.get("keeper_fee", "0")),
        fee_per=p.get("fee_per", "account"),
        fee_if=p.get("fee_if", "always"),
        keeper_rate=Fraction(p.get("keeper_rate", "0")),
        paid_if_insolvent=p.get("paid_if_insolvent", False),
        fund_pays_keeper=p.get("fund_pays_keeper", False),
    )


def read_adl(a: dict) -> Adl:
    policy = a.get("policy") or "queue"
    return Adl(
        policy={"kind": policy} if isinstance(policy, str) else policy,
        score=a.get("score", "profit_leverage"),
        seed=a.get("seed", 0),
        eligibility=a.get("eligibility", "in_profit"),
        price=a.get("price", "bankruptcy"),
        price_feed=a.get("price_feed"),
        threshold=read_rate(a.get("threshold")),
        capacity=a.get("capacity", "equity"),
        counterparties=a.get("counterparties"),
        attempts=a.get("attempts"),
        partial_last=a.get("partial_last", True),
        leftover=a.get("leftover", "market"),
    )


def read_protocol(p: dict) -> Protocol:
    margin = p.get("margin") or {}
    market_margin = {name: read_margin(margin, own) for name, own in (margin.get("markets") or {}).items()}
    keeper = p.get("keeper") or {}
    funds = (p.get("insurance_fund") or {}).get("funds") or {}
    configured = [name for name in LAYERS if p.get(name) is not None]
    trigger = p.get("trigger_feed") or "last"
    return Protocol(
        feeds=p.get("feeds") or {},
        trigger_feed=trigger,
        execution_feed=p.get("execution_feed") or "last",
        collateral_feed=p.get("collateral_feed") or trigger,
        adl_feed=p.get("adl_feed") or trigger,
        guard=p.get("guard"),
        halts=p.get("halts") or [],
        delistings=p.get("delistings") or [],
        margin=read_margin(margin, {}),
        market_margin=market_margin,
        collateral=p.get("collateral") or {},
        funding=p.get("funding"),
        borrow=p.get("borrow"),
        counterparty=p.get("counterparty", "outside"),
        keeper=keeper,
        rounds=keeper.get("rounds", 1),
        execution=read_execution(p.get("execution") or {}),
        close=read_close(p.get("close") or {}),
        penalty=read_penalty(p.get("penalty") or {}),
        payout=read_payout(p.get("payout")),
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
        }
        | {f"insurance_fund:{name}": Fraction(fund.get("balance", "0")) for name, fund in funds.items()},
        treasury=p.get("treasury") or {},
        token=p.get("token") or {},
        funds={"insurance_fund": p.get("insurance_fund") or {}}
        | {f"insurance_fund:{name}": fund for name, fund in funds.items()},
        fund_of={
            market: f"insurance_fund:{name}" for name, fund in funds.items() for market in fund.get("markets") or [name]
        },
        coverage=(p.get("insurance_fund") or {}).get("coverage", "slices"),
        adl=read_adl(p.get("adl") or {}),
        socialised_by=(p.get("socialised") or {}).get("by", "profit"),
        waterfall=p["waterfall"] if p.get("waterfall") is not None else configured,
        limits=p.get("limits") or {},
        clearing_house=p.get("clearing_house"),
        withdrawal_gate=p.get("withdrawal_gate"),
    )
