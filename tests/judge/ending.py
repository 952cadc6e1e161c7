"""The end of the tape: socialised charges, open shortfalls, and the frames of the final state (sections 9 and 10)."""

from __future__ import annotations

import math

from judge import assessments, book, delisting, deposits, late, layers, payout, rows, sources, token
from judge.attributing import shares
from judge.world import View, World


def settle(w: World) -> None:
    t = w.tape.end
    w.ledger.now = t
    payout.close_all(w, View(w, t), assessments.settle)
    rest_paid = socialise(w, t)
    for account in w.accounts:
        equity = w.reference_equity_usd(account, t)
        if account.closed is None and not account.rejected and equity < 0:
            rows.open_shortfall(w, account, equity)
    w.ledger.check()
    list_accounts(w, t)
    list_balances(w)
    list_positions(w)
    list_postings(w)
    list_who_pays(w, t, rest_paid)


def socialise(w: World, t: int) -> dict[str, int]:
    """9.1. Returns what the winners could not pay, by who did, in micro-dollars."""
    assessments.settle_all(w)
    if layers.by_open_interest(w):
        for account in w.accounts:
            account.socialised_usd = assessments.charged_usd(w, account)
        return {}
    if w.proto.socialised_by == "deposits":
        return deposits.pass_on(w, t)
    loss = -w.ledger.balance("socialised", w.home.name)
    if loss <= 0:
        return {}
    home_price = w.unit_price(w.home.name, w.reference, t)
    weights = []
    for account in w.accounts:
        end = w.reference_equity_usd(account, t)
        gain = min(end - account.opening_equity_usd - account.deposits_usd, end)
        winner = account.closed != "defaulted" and not account.rejected
        weights.append(math.floor(max(0, gain) / home_price) if winner else 0)
    charges = shares(loss, weights) if loss <= sum(weights) else weights
    for account, charge in zip(w.accounts, charges, strict=True):
        if charge == 0:
            continue
        account.socialised_usd = w.usd(w.home.name, charge, t)
        first = account.assets[0]
        if first == w.home.name:
            w.ledger.post("socialised", account.number, "socialised", first, charge)
        else:
            cost = math.ceil(charge * home_price / w.unit_price(first, w.reference, t))
            w.ledger.post("socialised", account.number, "outside", first, cost)
            w.ledger.post("conversion", "outside", "socialised", w.home.name, charge)
    rest = loss - sum(charges)
    after = w.proto.waterfall[w.proto.waterfall.index("socialised") + 1 :]
    paid = {layer: n for layer, (n, _) in layers.run(w, "socialised", w.home.name, rest, t, after).items()}
    paid["uncovered"] = rest - sum(paid.values())
    w.ledger.post("uncovered", "uncovered", "socialised", w.home.name, paid["uncovered"])
    return {payer: w.usd(w.home.name, amount, t) for payer, amount in paid.items()}


def list_accounts(w: World, t: int) -> None:
    for account in w.accounts:
        status = account.closed or ("rejected" if account.rejected else "queued" if account.queued else "open")
        w.result.accounts.append(
            {
                "account": account.name,
                "market": account.market,
                "margin_mode": "cross" if account.market is None else "isolated",
                "owner": account.owner or account.name,
                "status": status,
                "trigger_ts": account.trigger_ts,
                "closed_ts": account.closed_ts,
                "opening_equity_usd": account.opening_equity_usd,
                "closing_equity_usd": w.reference_equity_usd(account, t),
                "deposits_usd": account.deposits_usd,
                "bad_debt_usd": account.bad_debt_usd,
                "adl_give_up_usd": account.adl_give_up_usd,
                "socialised_usd": account.socialised_usd,
                "unpaid_profit_usd": account.unpaid_profit_usd,
                "opening": account.opening,
            }
        )


def name_of(w: World, holder: int | str) -> tuple[str, str | None]:
    if isinstance(holder, str):
        return holder, None
    return w.accounts[holder].name, w.accounts[holder].market


def list_balances(w: World) -> None:
    for holder, asset in sorted({*w.opening_balances, *w.ledger.cash}, key=str):
        opening, closing = w.opening_balances.get((holder, asset), 0), w.ledger.balance(holder, asset)
        name, market = name_of(w, holder)
        if opening or closing:
            row = {"holder": name, "market": market, "asset": asset, "opening": opening, "closing": closing}
            w.result.balances.append(row)


def list_positions(w: World) -> None:
    for p in w.ledger.positions:
        if p.opening_size or p.size:
            w.result.positions.append(
                {
                    "holder": name_of(w, p.holder)[0],
                    "market": p.market.name,
                    "opening_size": p.opening_size,
                    "closing_size": p.size,
                    "closing_entry_value": p.entry_value,
                }
            )


def list_postings(w: World) -> None:
    for p in w.ledger.postings:
        if p.kind == "opening":
            continue
        source, source_market = name_of(w, p.source)
        target, target_market = name_of(w, p.target)
        w.result.postings.append(
            {
                "ts": p.ts,
                "event": p.event,
                "kind": p.kind,
                "from": source,
                "from_market": source_market,
                "to": target,
                "to_market": target_market,
                "asset": p.asset,
                "amount": p.amount,
                "amount_usd": w.usd(p.asset, p.amount, p.ts),
            }
        )


def taken_over_usd(w: World, t: int) -> dict[str, int]:
    """What those who take positions over beside the vault made of them."""
    takers = {"keeper": "keepers"} | ({} if w.proto.counterparty == "pool" else {"pool": "pool"})
    held: dict[tuple[str, str], list[int]] = {}
    for row in w.result.liquidations:
        if row["route"] in takers:
            of = held.setdefault((takers[row["route"]], row["market"]), [0, 0])
            of[0] += row["size"] if row["side"] == "long" else -row["size"]
            of[1] += row["amount"]
    made: dict[str, int] = {}
    for (taker, name), (size, paid) in held.items():
        market = w.tape.markets[name]
        worth = market.value(size, w.settled.get(name, w.reference.price(name, t)))
        made[taker] = made.get(taker, 0) + w.usd(market.settlement, worth - paid, t)
    return made


def list_who_pays(w: World, t: int, rest_paid: dict[str, int]) -> None:
    realised = [row for row in w.result.bad_debt if row["status"] == "realised"]
    crash = [row for row in realised if not row["opening"]]

    def total(column: str, lines: list[dict] = realised) -> int:
        return sum(row[column] for row in lines)

    def add(section: str, line: str, amount: int) -> None:
        w.result.who_pays.append({"section": section, "line": line, "amount_usd": amount})

    add("loss", "bad_debt", total("bad_debt_usd", crash))
    add("loss", "opening", total("bad_debt_usd") - total("bad_debt_usd", crash))
    add("loss", "adl_overshoot", total("adl_overshoot_usd"))
    add("loss", "subsidy", total("subsidy_usd"))
    add("loss", "recovered", -total("recovered_usd"))
    add("loss", "change_of_prepaid", total("change_of_prepaid_usd"))
    apart = ["adl"] if w.result.adl and "adl" not in w.proto.waterfall else []
    for payer in [*w.proto.waterfall, *apart, "uncovered"]:
        if payer == "adl":
            add("payer", "adl", total("adl_give_up_usd"))
            continue
        amount = total(f"{payer}_usd") - w.recovered_usd.get(payer, 0) + rest_paid.get(payer, 0)
        if payer == "socialised":
            amount -= sum(rest_paid.values())
        add("payer", payer, amount)
    shortfall = sum(row["bad_debt_usd"] for row in w.result.bad_debt if row["status"] == "open")
    add("beside", "open", shortfall)
    add("beside", "gross", total("bad_debt_usd") + shortfall - total("assessments_usd", w.result.bad_debt))
    if "vault" in w.proto.balances:
        add("beside", "takeover_pnl", book.vault_equity_usd(w, t) - w.opening_vault_usd)
    for taker, made in taken_over_usd(w, t).items():
        add("beside", f"takeover_pnl:{taker}", made)
    for bearer, route in rows.ROUTES.items():
        subsidy = sum(row["price_subsidy_usd"] for row in w.result.liquidations if row["route"] == route)
        subsidy += w.pool_adl_subsidy_usd if bearer == "pool" else 0
        add("beside", f"price_subsidy:{bearer}", subsidy)
    payout.list_who_pays(w)
    delisting.list_who_pays(w)
    sources.list_who_pays(w)
    late.list_who_pays(w)
    token.list_who_pays(w)
    held = {asset: n for (holder, asset), n in w.ledger.cash.items() if holder == "rounding"}
    add("beside", "rounding", sum(w.usd(asset, n, t) for asset, n in held.items()))
