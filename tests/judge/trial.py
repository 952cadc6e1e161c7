"""An action is tried in a copy of the world: where a layer fails that reverts it, it is not carried out (section 6)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from judge import closing, limits

if TYPE_CHECKING:
    from judge.ledger import Account
    from judge.world import View, World


def retry_after(view: View, account: Account, next_prices: dict[int, int] | None) -> int | None:
    """How long after it is tried again, if the action would be reverted."""
    w = view.world
    if all(own.get("failure", {}).get("kind") != "revert" for own in w.proto.limits.values()):
        return None
    fixed = [w.tape, w.proto, w.reference, w.terms, *w.feeds.values(), *w.guard.feeds]
    fixed += [*w.tape.markets.values(), *map(w.tape.asset, w.tape.assets)]
    memo = {id(one): one for one in fixed}
    tried_view, tried = copy.deepcopy((view, account), memo)

    def by_leg(found: dict[int, int]) -> dict[int, int]:
        """Legs are told apart by their ids, which are others in the copy."""
        return {id(memo[leg]): value for leg, value in found.items() if leg in memo}

    tried.detected_at, tried.closed_units = by_leg(account.detected_at), by_leg(account.closed_units)
    world: World = tried_view.world
    world.trial = True
    try:
        closing.close(world, tried_view, tried, None if next_prices is None else by_leg(next_prices))
    except limits.Reverted as reverted:
        return reverted.retry
    return None
