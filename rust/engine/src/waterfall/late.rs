//! Layers that pay later: a treasury once it has decided, tokens once they are put up (semantics, section 6).
//!
//! A loss that nobody has covered is a claim on each of them. Until the claim is due the loss is uncovered, as it stays if the layer has
//! nothing then. What late deposits, or another layer, have made good meanwhile is not claimed any more.

use std::collections::{BTreeMap, VecDeque};

use super::limits::{self, Purpose};
use super::{hand_over, offer};
use crate::config::{Layer, Protocol};
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Cover, Moment, State};
use crate::units::{Amount, Usd, mul_div_floor};
use crate::waterfall::socialised::open_interest::ClosedLeg;

/// How a layer pays later.
#[derive(Clone, Copy)]
struct Terms {
    /// Nanoseconds until a claim is due.
    delay: i64,
    /// Dollars that it pays at most at a time.
    lot: Option<Amount>,
    /// Nanoseconds until it tries again what it has not paid; None: it does not.
    interval: Option<i64>,
}

/// The layers that pay later, in the order of the waterfall.
fn layers(protocol: &Protocol) -> impl Iterator<Item = (Layer, Terms)> {
    let terms = |layer| match layer {
        Layer::Treasury => protocol.treasury.as_ref()?.delay.map(|delay| Terms {
            delay,
            lot: None,
            interval: None,
        }),
        Layer::Token => protocol.token.as_ref()?.auction.map(|auction| Terms {
            delay: auction.delay,
            lot: auction.lot,
            interval: auction.interval,
        }),
        _ => None,
    };
    protocol.waterfall.iter().filter_map(move |&l| Some((l, terms(l)?)))
}

/// What a close has left uncovered.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// Liquidation.
    pub event: u32,
    /// Who lost it.
    pub account: usize,
    /// Row of the bad-debt record.
    pub row: usize,
    /// In which asset.
    pub asset: AssetId,
    /// How much of it.
    pub amount: Amount,
    /// That in dollars then.
    pub usd: Usd,
}

impl Loss {
    /// What a part of it was worth in dollars when it was lost.
    fn worth(&self, part: Amount) -> Result<Usd> {
        let usd = mul_div_floor(self.usd.0, part.0, self.amount.0, "part of a loss")?;
        Ok(Usd(usd))
    }

    /// What of it is uncovered still.
    fn outstanding(&self, state: &State) -> Amount {
        let covers = state.cover.get(&self.account).into_iter().flatten();
        let mut own = covers.filter(|c| c.row == self.row && c.layer.is_none() && c.asset == self.asset);
        own.next().map_or(Amount::ZERO, |c| c.amount)
    }
}

/// A claim on one layer.
#[derive(Debug, Clone, Copy)]
struct Pending {
    due: i64,
    loss: Loss,
    purpose: Purpose,
}

/// The claims on one layer, in the order of time.
#[derive(Debug, Clone, Default)]
struct Queue {
    pending: VecDeque<Pending>,
    /// Before this it does not pay again.
    not_before: Option<i64>,
}

impl Queue {
    fn next(&self) -> Option<i64> {
        let due = self.pending.front()?.due;
        Some(self.not_before.map_or(due, |t| t.max(due)))
    }
}

/// The claims on layers that pay later.
#[derive(Debug, Clone, Default)]
pub struct Claims(BTreeMap<Layer, Queue>);

/// A loss that was not covered becomes a claim. For limits it is a loss of the market of the first of the `legs` that is settled in its
/// asset, or of the first one, and of this market's fund.
pub fn claim(state: &mut State, moment: &Moment<'_>, loss: Loss, legs: &[ClosedLeg]) {
    if loss.amount.0 <= 0 {
        return;
    }
    let setup = moment.setup;
    let own = legs
        .iter()
        .find(|l| setup.venue.markets[l.market].settlement == loss.asset);
    let fund = own.or_else(|| legs.first()).and_then(|l| setup.funds.of(l.market));
    let purpose = Purpose::of(moment, loss.event, (fund, legs), loss.asset);
    for (layer, terms) in layers(&setup.protocol) {
        let due = moment.ts.saturating_add(terms.delay);
        let queue = state.claims.0.entry(layer).or_default();
        queue.pending.push_back(Pending { due, loss, purpose });
    }
}

/// When a layer pays next.
pub fn next(state: &State) -> Option<i64> {
    state.claims.0.values().filter_map(Queue::next).min()
}

/// Pays the claims that are due, as far as the layers go.
///
/// # Errors
/// Overflow.
pub fn pay_due(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    if next(state).is_none_or(|due| due > moment.ts) {
        return Ok(());
    }
    let mut paid = false;
    for (layer, terms) in layers(&moment.setup.protocol) {
        paid |= pay_claims(state, moment, layer, terms)?;
    }
    if paid { limits::note(state, moment) } else { Ok(()) }
}

/// One layer pays the claims on it that are due, up to a lot; what it does not pay waits for the next time, if there is one.
fn pay_claims(state: &mut State, moment: &Moment<'_>, layer: Layer, terms: Terms) -> Result<bool> {
    let due = |queue: &&mut Queue| queue.next().is_some_and(|due| due <= moment.ts);
    let Some(queue) = state.claims.0.get_mut(&layer).filter(due) else {
        return Ok(false);
    };
    queue.not_before = terms.interval.map(|interval| moment.ts.saturating_add(interval));
    let count = queue.pending.partition_point(|p| p.due <= moment.ts);
    let claims: Vec<Pending> = queue.pending.drain(..count).collect();
    let (mut room, mut paid) = (terms.lot.map(|lot| Usd(lot.0)), false);
    let mut left = Vec::new();
    for pending in claims {
        let cost = pay(state, moment, layer, &pending, room)?;
        if let (Some(cost), Some(room)) = (cost, room.as_mut()) {
            *room = room.minus(cost)?;
        }
        paid |= cost.is_some();
        if terms.interval.is_some() && pending.loss.outstanding(state).0 > 0 {
            left.push(pending);
        }
    }
    if let Some(queue) = state.claims.0.get_mut(&layer) {
        left.into_iter().rev().for_each(|p| queue.pending.push_front(p));
    }
    Ok(paid)
}

/// Pays one claim; returns what it cost, or None if nothing was paid.
fn pay(
    state: &mut State,
    moment: &Moment<'_>,
    layer: Layer,
    &Pending { loss, purpose, .. }: &Pending,
    room: Option<Usd>,
) -> Result<Option<Usd>> {
    let asset = loss.asset;
    let mut asked = loss.outstanding(state);
    // What was voted upon is paid whatever limits say.
    if layer == Layer::Token {
        asked = limits::allowed(state, moment, layer, purpose, (asset, asked))?;
    }
    if let Some(room) = room {
        let price = moment.reference_of_asset(asset);
        asked = asked.min(moment.setup.venue.assets[asset].from_usd_floor(room.positive(), price)?);
    }
    let (own, bought) = offer(state, moment, (layer, None), asset, (asked, asked))?;
    let amount = own.plus(bought)?;
    let Some(from) = layer.holder(None).filter(|_| amount.0 > 0) else {
        return Ok(None);
    };
    let (why, to) = (
        (Some(loss.event), PostingKind::LatePayment),
        Holder::Entity(Entity::Uncovered),
    );
    let cost = hand_over(state, moment, why, (layer, from), to, asset, (own, bought))?;
    if layer == Layer::Token {
        limits::count(state, moment, layer, purpose, cost)?;
    }
    let later = state.records.covered_later.entry(loss.row).or_default();
    let so_far = later.amount;
    later.amount = so_far.plus(amount)?;
    // Cumulated, so that the parts of a loss that is paid whole sum to it.
    let usd = loss.worth(later.amount)?.minus(loss.worth(so_far)?)?;
    later.payments.push((layer, moment.ts, usd));
    if let Some(covers) = state.cover.get_mut(&loss.account) {
        turn(covers, &loss, layer, amount)?;
    }
    Ok(Some(cost))
}

/// What was uncovered is covered by the layer, whom a late deposit would now pay back.
fn turn(covers: &mut Vec<Cover>, loss: &Loss, layer: Layer, amount: Amount) -> Result<()> {
    let of = |c: &Cover, layer| c.row == loss.row && c.asset == loss.asset && c.layer == layer;
    let Some(place) = covers.iter().position(|c| of(c, None)) else {
        return Ok(());
    };
    covers[place].amount = covers[place].amount.minus(amount)?;
    if let Some(own) = covers.iter_mut().find(|c| of(c, Some(layer))) {
        own.amount = own.amount.plus(amount)?;
    } else {
        let layer = Some(layer);
        covers.insert(
            place,
            Cover {
                layer,
                amount,
                ..covers[place]
            },
        );
    }
    Ok(())
}

/// What is still claimed, in dollars when it was lost; of a loss that is claimed of several layers, once.
///
/// # Errors
/// Overflow.
pub fn pending(state: &State) -> Result<Usd> {
    let claims = state.claims.0.values().flat_map(|q| &q.pending);
    let losses: BTreeMap<usize, Loss> = claims.map(|p| (p.loss.row, p.loss)).collect();
    let worth = losses.values().map(|loss| loss.worth(loss.outstanding(state)));
    worth.into_iter().try_fold(Usd::ZERO, |sum, usd| sum.plus(usd?))
}

/// The layers of a protocol that pay later.
pub fn payers(protocol: &Protocol) -> impl Iterator<Item = Layer> {
    layers(protocol).map(|(layer, _)| layer)
}

/// True if a layer pays nothing at once.
pub fn only(protocol: &Protocol, layer: Layer) -> bool {
    layer == Layer::Token && protocol.token.as_ref().is_some_and(|t| t.auction.is_some())
}
