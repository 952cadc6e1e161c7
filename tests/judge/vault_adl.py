"""The vault's own inventory as the loser of ADL (section 7b). It is looked at at every instant."""

from __future__ import annotations

import math

from judge import adl, limits, rows
from judge.ledger import Account, Position
from judge.world import View, World

VAULT = 2**32 - 1
"""Its number, where a loser has one."""


class VaultAdl:
    def __init__(self, w: World):
        self.w = w
        self.due: int | None = None
        self.seen = 0
        self.not_before: int | None = None

    @property
    def pause(self) -> int | None:
        return self.w.proto.execution.takeover_adl_pause

    @property
    def instants(self) -> set[int]:
        return set() if self.due is None else {self.due}

    def held(self) -> list[Position]:
        found = [p for p in self.w.ledger.positions if p.holder == "vault" and p.size != 0]
        return sorted(found, key=lambda p: p.market.name)

    def below(self, view: View) -> bool:
        """The equity at the trigger and the collateral feed is below the floor, each of its parts rounded against the vault."""
        w, held = self.w, self.held()
        if not held or any(w.guard.blocks(p.market.name, view.t) for p in held):
            return False
        assets = {m.settlement for m in w.tape.markets.values()} | {a for h, a in w.ledger.cash if h == "vault"}
        missing = sum(math.floor(-w.ledger.balance("vault", a) * view.collateral(a)) for a in assets)
        for p in held:
            price = view.published(w.proto.trigger_feed, p, p.size)
            missing += math.floor(p.market.value(-p.size, price) * view.collateral(p.market.settlement))
        floor = w.proto.execution.takeover_floor or 0
        return missing + floor * 10**6 > 0

    def earliest(self, t: int) -> int:
        return t if self.not_before is None else max(t, self.not_before)

    def run(self, t: int) -> None:
        """The last step of an instant."""
        if self.pause is None:
            return
        view = View(self.w, t)
        below = self.below(view)
        if self.due is None and below:
            self.due, self.seen = self.earliest(t), t
        if self.due is not None and self.due <= t:
            self.due = None
            if below:
                self.not_before = t + self.pause
                self.round(view)
        if self.due is None and self.below(view):
            self.due, self.seen = max(t + 1, self.earliest(t)), t

    def round(self, view: View) -> None:
        w, t = self.w, view.t
        limits.test(w, t)
        if "adl" not in w.proto.waterfall or not limits.is_on(w, "adl", "insurance_fund", t):
            return
        w.ledger.event = w.events
        # In the place of a margin account.
        vault = Account(VAULT, "vault", None, None, enqueued_ts=self.seen)
        equity = equity_usd(w, t)
        outcomes: dict[str, rows.Outcome] = {}
        for position in self.held():
            given = adl.amount(w, view, position, 0)
            for m in adl.match(w, view, vault, position, abs(position.size), given):
                outcome = outcomes.setdefault(position.market.settlement, rows.Outcome(position.market.settlement))
                rows.adl_fill(w, view, vault, m, outcome, equity)
                w.result.adl[-1]["kind"] = "vault"
                adl.book(w, m)
        for asset, outcome in sorted(outcomes.items()):
            outcome.partial, outcome.left_open = True, w.entity_equity("vault", asset, t)
            rows.bad_debt(w, view, vault, outcome)
        if outcomes:
            w.events += 1
        w.ledger.event = None
        w.ledger.check()
        limits.note(w, t)
        w.sources.set_off(t)


def equity_usd(w: World, t: int) -> int:
    from judge.book import vault_equity_usd

    return vault_equity_usd(w, t)
