//! The vault's own inventory as the loser of ADL (semantics, section 7b): once its equity is below its floor, whoever ADL ranks first takes
//! it over, market by market, as of any loser.
//!
//! Source: Hyperliquid's documentation of auto-deleveraging (positions of the backstop have no special treatment in the queue), and its
//! announcement of 2025-03-26 (the backstop has capital of its own; ADL follows when that is lost).

use super::adl_fill::{self, GivenUp, Loser};
use super::close::add;
use crate::aggregate::{Claim, Side, Summed};
use crate::config::{Layer, TakeoverConfig};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::few::Few;
use crate::ledger::{Entity, Holder};
use crate::records::BadDebtRow;
use crate::search::PriceRanges;
use crate::state::{Moment, Published, Setup, State};
use crate::units::{Amount, Ratio, Usd};
use crate::waterfall::adl::{self, Wanted};
use crate::waterfall::{end_action, limits};

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
        let vault = Holder::Entity(Entity::Vault);
        let wanted = Wanted {
            market,
            loser: vault,
            leg: market as u32,
            position,
            amount,
            quantity: position.units(),
        };
        let matches = adl::matches(self.state, self.moment, ranges, &wanted)?;
        let loser = Loser {
            holder: vault,
            leg: 0,
            market,
            position,
            event: self.state.records.events,
            trigger_ts: self.since,
            trigger_equity: Usd::ZERO,
            trigger_notional: Usd::ZERO,
            equity: self.equity,
        };
        for matched in adl_fill::amounts(amount, position.units(), &matches) {
            let (m, amount) = matched?;
            let GivenUp { asset, amount, usd } = adl_fill::book(self.state, self.moment, &loser, m, amount)?;
            add(&mut self.give_up, asset, amount)?;
            add(&mut self.give_up_usd, asset, Amount(usd.0))?;
            if let Holder::Account(other) = m.holder {
                self.changed.push(other);
            }
        }
        Ok(!matches.is_empty())
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
            let event = Some(self.state.records.events);
            let in_usd = self.give_up_usd.iter().find(|(a, _)| *a == asset);
            self.state.records.lose(BadDebtRow {
                amount: debt,
                give_up: in_usd.map_or(Usd::ZERO, |(_, n)| Usd(n.0)),
                overshoot: self.moment.usd(asset, give_up.minus(debt)?)?,
                ..BadDebtRow::new(self.moment.ts, Holder::Entity(Entity::Vault), event, asset)
            })?;
        }
        Ok(())
    }
}
