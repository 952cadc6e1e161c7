//! The vault's own inventory as the loser of ADL (semantics, section 7b): once its equity is below its floor, whoever ADL ranks first takes
//! it over, market by market, as of any loser.
//!
//! Source: Hyperliquid's documentation of auto-deleveraging (positions of the backstop have no special treatment in the queue), and its
//! announcement of 2025-03-26 (the backstop has capital of its own; ADL follows when that is lost).

use super::close::{add, cumulated};
use crate::aggregate::{Claim, Side, Summed};
use crate::config::{Layer, TakeoverConfig};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::few::Few;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::records::{AdlRow, BadDebtRow, VAULT};
use crate::search::PriceRanges;
use crate::state::{Moment, Published, Setup, State};
use crate::units::{Amount, Ratio, Usd};
use crate::waterfall::adl::{self, Match, Wanted};
use crate::waterfall::{charges, end_action, limits};

/// The rule by which the vault is deleveraged; None: it never is.
pub fn rule(setup: &Setup) -> Option<TakeoverConfig> {
    let rule = setup.protocol.execution.takeover?;
    rule.adl_pause.map(|_| rule)
}

/// By how much the vault's equity is below its floor: a sum that is searched for like an account. None where it holds no positions.
pub fn claim(state: &State, setup: &Setup, rule: &TakeoverConfig) -> Option<Claim> {
    let ledger = &state.ledger;
    let mut positions = Vec::new();
    for &market in ledger.traded(Entity::Vault) {
        let held = ledger.inventory(Entity::Vault, market).size;
        if !held.is_zero() {
            let side = Side {
                size: held.negated(),
                entry_value: Amount::ZERO,
            };
            positions.push(Summed {
                market,
                side,
                reads: held,
            });
        }
    }
    if positions.is_empty() {
        return None;
    }
    positions.sort_by_key(|p| p.market);
    let mut amounts: Vec<(AssetId, Amount)> = (0..setup.venue.assets.len())
        .map(|asset| (asset, ledger.balance(Entity::Vault, asset).negated()))
        .filter(|(_, amount)| !amount.is_zero())
        .collect();
    if let Some(floor) = rule.floor.filter(|floor| !floor.is_zero()) {
        amounts.push((setup.venue.home, floor));
    }
    Some(Claim {
        positions,
        amounts,
        holdings: Vec::new(),
        share: Ratio::ONE,
    })
}

/// True if the vault's equity is below its floor, and none of the markets of its positions is blocked.
///
/// # Errors
/// Overflow.
pub fn is_below(moment: &Moment<'_>, claim: &Claim) -> Result<bool> {
    let masks = &moment.board.feeds().masks;
    if claim.positions.iter().any(|p| masks.of(p.market).blocks(moment.ts)) {
        return Ok(false);
    }
    let standing = claim.at(&moment.setup.venue, &Published(moment))?;
    standing.exceeds(Ratio::ZERO)
}

/// The vault while its inventory is matched.
struct Round<'a, 'm> {
    state: &'a mut State,
    moment: &'a Moment<'m>,
    /// When it was seen to be below its floor.
    since: i64,
    equity: Usd,
    give_up: Few<(AssetId, Amount), 2>,
    give_up_usd: Few<(AssetId, Amount), 2>,
    changed: Vec<usize>,
}

/// Matches the vault's inventory, market by market; what nobody takes stays with it. Returns the accounts that this changed.
///
/// # Errors
/// Overflow.
pub fn deleverage(state: &mut State, moment: &Moment<'_>, ranges: &dyn PriceRanges, since: i64) -> Result<Vec<usize>> {
    limits::test(state, moment)?;
    let in_waterfall = moment.setup.protocol.waterfall.contains(&Layer::Adl);
    if !in_waterfall || !limits::is_on(state, moment, Layer::Adl, None) {
        return Ok(Vec::new());
    }
    let equity = moment.entity_equity(&state.ledger, Entity::Vault)?;
    let mut round = Round {
        state,
        moment,
        since,
        equity,
        give_up: Few::new(),
        give_up_usd: Few::new(),
        changed: Vec::new(),
    };
    let mut booked = false;
    for market in 0..moment.setup.venue.markets.len() {
        booked |= round.market(market, ranges)?;
    }
    if booked {
        round.record_loss()?;
        round.state.records.events += 1;
        round.state.ledger.check()?;
    }
    let changed = round.changed;
    end_action(state, moment)?;
    Ok(changed)
}

impl Round<'_, '_> {
    /// Matches the inventory in one market; true if anybody took anything.
    fn market(&mut self, market: MarketId, ranges: &dyn PriceRanges) -> Result<bool> {
        let position = self.state.ledger.inventory(Entity::Vault, market).size;
        if position.is_zero() {
            return Ok(false);
        }
        // Prices of ADL that know a bankruptcy price are refused by the configuration.
        let amount = adl::price::amount(self.state, self.moment, market, position, Amount::ZERO)?;
        let wanted = Wanted {
            market,
            loser: VAULT,
            leg: market as u32,
            position,
            amount,
            quantity: position.units(),
        };
        let matches = adl::matches(self.state, self.moment, ranges, &wanted)?;
        let mut so_far = 0;
        for m in &matches {
            let before = cumulated(amount, so_far, position.units())?;
            so_far += m.units;
            let part = cumulated(amount, so_far, position.units())?.minus(before)?;
            self.book(&wanted, m, part)?;
        }
        Ok(!matches.is_empty())
    }

    fn book(&mut self, wanted: &Wanted, m: &Match, amount: Amount) -> Result<()> {
        let (moment, market) = (self.moment, wanted.market);
        let bound = &moment.setup.venue.markets[market];
        let asset = bound.settlement;
        let size = wanted.position.of_same_sign(m.units)?;
        let event = self.state.records.events;
        let (mark, reference) = (moment.adl_mark(market, size.negated()), moment.reference(market));
        let at_reference = bound.value(size, reference)?;
        let give_up = moment.usd(asset, amount.minus(at_reference)?)?;
        let worth = bound.value(size.negated(), reference)?;
        let profit = moment.usd(asset, worth.minus(m.cost)?)?;
        let (equity, pnl) = adl::figures(self.state, moment, market, m)?;
        if let Holder::Account(other) = m.holder {
            charges::settle(self.state, moment, Some(event), other)?;
        }
        let vault = Holder::Entity(Entity::Vault);
        self.state
            .post(moment, Some(event), PostingKind::Adl, m.holder, vault, asset, amount)?;
        self.state
            .ledger
            .take(Entity::Vault, market, size.negated(), amount.negated())?;
        match m.holder {
            Holder::Fund(_) => return Err(adl::holds_nothing()),
            Holder::Account(other) => {
                let leg = &mut self.state.book.legs_mut(other)[m.leg];
                self.state.ledger.reduce_leg(leg, size.negated())?;
                let summary = &mut self.state.records.accounts[other];
                summary.adl_give_up = summary.adl_give_up.plus(give_up)?;
                self.changed.push(other);
            }
            Holder::Entity(entity) => self.state.ledger.take(entity, market, size, amount)?,
        }
        add(&mut self.give_up, asset, amount.minus(at_reference)?)?;
        add(&mut self.give_up_usd, asset, Amount(give_up.0))?;
        self.state.records.adl.push(AdlRow {
            ts: moment.ts,
            counterparty: m.holder,
            market,
            event,
            loser: Some(VAULT),
            trigger_ts: self.since,
            trigger_equity: Usd::ZERO,
            trigger_notional: Usd::ZERO,
            loser_equity: self.equity,
            size: size.negated(),
            asset,
            amount,
            mark,
            reference,
            give_up,
            forgone_profit: Usd(give_up.0.min(profit.0).max(0)),
            rank: m.rank,
            score: m.score,
            notional: moment.usd(asset, Amount(bound.value(size, mark)?.0.abs()))?,
            equity,
            pnl,
            price_subsidy: Usd::ZERO,
        });
        Ok(())
    }

    /// What the vault lacked at the reference and does not lack any more is bad debt, like an account's; what it was given beyond that is
    /// overshoot.
    fn record_loss(&mut self) -> Result<()> {
        for &(asset, give_up) in &self.give_up {
            if give_up.is_zero() {
                continue;
            }
            let left = self.moment.entity_balance(&self.state.ledger, Entity::Vault, asset)?;
            let lacked = give_up.minus(left)?.positive();
            let debt = lacked.minus(left.deficit())?.positive();
            let in_usd = self.give_up_usd.iter().find(|(a, _)| *a == asset);
            self.state.records.lose(BadDebtRow {
                ts: self.moment.ts,
                account: VAULT,
                event: Some(self.state.records.events),
                asset,
                amount: debt,
                third_party_fees: Usd::ZERO,
                assessments: Usd::ZERO,
                funding_borrow: Usd::ZERO,
                waived: Usd::ZERO,
                paid: Vec::new(),
                give_up: in_usd.map_or(Usd::ZERO, |(_, n)| Usd(n.0)),
                uncovered: Usd::ZERO,
                overshoot: self.moment.usd(asset, give_up.minus(debt)?)?,
                subsidy: Usd::ZERO,
                change_of_prepaid: Usd::ZERO,
            })?;
        }
        Ok(())
    }
}
