//! What those who are charged cannot bear: at the end of the tape it goes to the layers after the socialised one, then to nobody.

use crate::config::Layer;
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};
use crate::waterfall::limits::{self, Purpose};
use crate::waterfall::{at_once, hand_over, offer};

/// Passes on what is left of the layer's claims in each asset. Returns it by payer (None: uncovered).
pub fn pass_on_all(state: &mut State, moment: &Moment<'_>) -> Result<Vec<(Option<Layer>, Usd)>> {
    let mut out = Vec::new();
    for asset in 0..moment.setup.venue.assets.len() {
        let left = state.ledger.balance(Entity::Socialised, asset).deficit();
        out.extend(pass_on(state, moment, (asset, left))?);
    }
    Ok(out)
}

/// Passes on so much of the layer's claim in an asset. Returns it by payer (None: uncovered).
pub fn pass_on(
    state: &mut State,
    moment: &Moment<'_>,
    (asset, mut left): (AssetId, Amount),
) -> Result<Vec<(Option<Layer>, Usd)>> {
    let mut out = Vec::new();
    let socialised = Holder::Entity(Entity::Socialised);
    for layer in at_once(moment).skip_while(|l| *l != Layer::Socialised).skip(1) {
        let Some(from) = layer.holder(None).filter(|_| left.0 > 0) else {
            continue;
        };
        let allowed = limits::allowed(state, moment, layer, Purpose::END, (asset, left))?;
        let (own, bought) = offer(state, moment, (layer, None), asset, (left, allowed))?;
        if own.plus(bought)?.is_zero() {
            continue;
        }
        let why = (None, PostingKind::Payment);
        let cost = hand_over(state, moment, why, (layer, from), socialised, asset, (own, bought))?;
        limits::count(state, moment, layer, Purpose::END, cost)?;
        // What buying costs above the worth of what is bought is the buyer's own.
        out.push((Some(layer), moment.usd(asset, own.plus(bought)?)?));
        left = left.minus(own)?.minus(bought)?;
    }
    if left.0 > 0 {
        let uncovered = Holder::Entity(Entity::Uncovered);
        state.post(moment, None, PostingKind::Uncovered, uncovered, socialised, asset, left)?;
        out.push((None, moment.usd(asset, left)?));
    }
    Ok(out)
}
