//! The waterfall: who makes a negative account good, in the configured order.
//!
//! A layer pays from its own balance of the asset first, then converts its home asset at the reference price with the outside. A layer
//! that holds inventory counts its equity, not its cash. Every payment is credited to the account.

pub mod adl;
pub mod charges;
pub mod failure;
pub mod funds;
pub mod house;
pub mod late;
pub mod limits;
pub mod socialised;
pub mod sources;
pub mod token;
pub mod treasury;

use crate::config::{Coverage, Layer, SocialisedBy};
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, FundId, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};
use limits::Purpose;
use socialised::open_interest::{self, ClosedLeg};

impl Layer {
    /// The ledger account of a layer that pays; None for ADL.
    pub fn entity(self) -> Option<Entity> {
        match self {
            Self::InsuranceFund => Some(Entity::InsuranceFund),
            Self::Pool => Some(Entity::Pool),
            Self::Socialised => Some(Entity::Socialised),
            Self::Treasury => Some(Entity::Treasury),
            Self::Token => Some(Entity::Token),
            Self::Adl => None,
        }
    }
}

/// A payment of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Payment {
    /// Who paid.
    pub layer: Layer,
    /// Which insurance fund, if one did; None: the general one.
    pub fund: Option<FundId>,
    /// What reached the account.
    pub asset: AssetId,
    /// How much of it.
    pub amount: Amount,
    /// What it cost the layer, in dollars at the reference.
    pub usd: Usd,
}

/// What an account lacks in one asset.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Liquidation.
    pub event: u32,
    /// Who lacks it.
    pub account: usize,
    /// Its legs as the close found them, those of the fund's markets.
    pub legs: &'a [ClosedLeg],
    /// The insurance fund that it is a matter of; None: the general one.
    pub fund: Option<FundId>,
    /// Asset.
    pub asset: AssetId,
    /// How much.
    pub need: Amount,
}

/// What a layer has to pay with: own units of the asset, and units that its home balance buys.
#[derive(Debug, Clone, Copy)]
struct Capacity {
    own: Amount,
    bought: Amount,
}

fn capacity(state: &State, moment: &Moment<'_>, payer: Holder, asset: AssetId) -> Result<Capacity> {
    let venue = &moment.setup.venue;
    let own = moment.payer_balance(&state.ledger, payer, asset)?.positive();
    if asset == venue.home {
        return Ok(Capacity {
            own,
            bought: Amount::ZERO,
        });
    }
    let home = moment.payer_balance(&state.ledger, payer, venue.home)?.positive();
    let bought = venue.assets[venue.home]
        .in_units_of(
            home,
            moment.reference_of_asset(venue.home),
            &venue.assets[asset],
            moment.reference_of_asset(asset),
        )?
        .floor();
    Ok(Capacity { own, bought })
}

/// The layers that pay at once, in the order of the waterfall.
fn at_once<'a>(moment: &Moment<'a>) -> impl Iterator<Item = Layer> + use<'a> {
    let protocol = &moment.setup.protocol;
    let layers = protocol.waterfall.iter().copied();
    layers.filter(|&layer| !late::only(protocol, layer))
}

/// How much of `need` a layer would pay now, of which its limits allow so much.
///
/// Socialised loss by open interest is not asked here: it depends on whom it is paid for.
fn offer(
    state: &State,
    moment: &Moment<'_>,
    (layer, fund): (Layer, Option<FundId>),
    asset: AssetId,
    (need, allowed): (Amount, Amount),
) -> Result<(Amount, Amount)> {
    let Some(payer) = layer.holder(fund) else {
        return Ok((Amount::ZERO, Amount::ZERO));
    };
    if layer == Layer::Socialised {
        // A claim on the winners: without limit until the end of the session, in the home asset. One on deposits: in the asset itself.
        let own = asset == moment.setup.venue.home || socialised::by(moment) == Some(SocialisedBy::Deposits);
        return Ok(if own {
            (allowed, Amount::ZERO)
        } else {
            (Amount::ZERO, allowed)
        });
    }
    if layer == Layer::Token {
        return token::offer(state, moment, asset, allowed);
    }
    let capacity = capacity(state, moment, payer, asset)?;
    let own = capacity.own.min(allowed);
    let bought = capacity.bought.min(allowed.minus(own)?);
    let all_or_none = layer == Layer::InsuranceFund
        && moment
            .setup
            .protocol
            .insurance_fund
            .as_ref()
            .is_some_and(|f| f.coverage == Coverage::AllOrNone);
    if all_or_none && own.plus(bought)? < need {
        return Ok((Amount::ZERO, Amount::ZERO));
    }
    Ok((own, bought))
}

/// How much of `need` a layer would pay now for an account that is being closed.
fn offer_for(
    state: &State,
    moment: &Moment<'_>,
    (layer, fund): (Layer, Option<FundId>),
    (account, legs): (usize, &[ClosedLeg]),
    asset: AssetId,
    (need, allowed): (Amount, Amount),
) -> Result<(Amount, Amount)> {
    if layer == Layer::Socialised && socialised::by(moment) == Some(SocialisedBy::OpenInterest) {
        let charged = open_interest::offer(state, moment, account, legs, (asset, allowed))?;
        return Ok((charged, Amount::ZERO));
    }
    offer(state, moment, (layer, fund), asset, (need, allowed))
}

/// How much of `need` the layers before ADL would pay now for an account that is about to be closed.
pub fn cover_before_adl(
    state: &State,
    moment: &Moment<'_>,
    account: usize,
    (fund, legs): (Option<FundId>, &[ClosedLeg]),
    (asset, need): (AssetId, Amount),
) -> Result<Amount> {
    let mut left = need;
    let purpose = Purpose::of(moment, state.records.events, (fund, legs), asset);
    for layer in at_once(moment).take_while(|l| *l != Layer::Adl) {
        let allowed = limits::allowed(state, moment, layer, purpose, (asset, left))?;
        let (own, bought) = offer_for(state, moment, (layer, fund), (account, legs), asset, (left, allowed))?;
        left = left.minus(own)?.minus(bought)?;
    }
    need.minus(left)
}

/// Lets the layers pay a claim, in the order of the waterfall; returns what is left of it on the account.
pub fn pay(state: &mut State, moment: &Moment<'_>, claim: Claim<'_>, payments: &mut Vec<Payment>) -> Result<Amount> {
    let purpose = Purpose::of_claim(moment, &claim);
    let Claim {
        event,
        account,
        legs,
        fund,
        asset,
        need,
    } = claim;
    let mut left = need;
    for layer in at_once(moment) {
        let Some(payer) = layer.holder(fund).filter(|_| left.0 > 0) else {
            continue;
        };
        let allowed = limits::allowed(state, moment, layer, purpose, (asset, left))?;
        let (own, bought) = offer_for(state, moment, (layer, fund), (account, legs), asset, (left, allowed))?;
        if layer == Layer::Socialised && socialised::by(moment) == Some(SocialisedBy::OpenInterest) {
            open_interest::charge(state, moment, account, legs, (asset, allowed))?;
        }
        let (why, to) = ((Some(event), PostingKind::Payment), Holder::Account(account));
        let usd = hand_over(state, moment, why, (layer, payer), to, asset, (own, bought))?;
        let amount = own.plus(bought)?;
        if amount.0 > 0 {
            limits::count(state, moment, layer, purpose, usd)?;
            payments.push(Payment {
                layer,
                fund: fund.filter(|_| layer == Layer::InsuranceFund),
                asset,
                amount,
                usd,
            });
        }
        left = left.minus(amount)?;
        if left.0 > 0 {
            failure::note(state, moment, layer, purpose);
        }
    }
    Ok(left)
}

/// A layer hands over what it has offered: units that it has, and units that it buys. Returns what that cost it in dollars.
fn hand_over(
    state: &mut State,
    moment: &Moment<'_>,
    (event, kind): (Option<u32>, PostingKind),
    (layer, from): (Layer, Holder),
    to: Holder,
    asset: AssetId,
    (own, bought): (Amount, Amount),
) -> Result<Usd> {
    if layer == Layer::Token {
        token::sell(state, moment, token::cost(moment, asset, own.plus(bought)?)?)?;
    }
    state.post(moment, event, kind, from, to, asset, own)?;
    let usd = moment.usd(asset, own)?;
    if bought.0 == 0 {
        return Ok(usd);
    }
    let cost = convert_home(state, moment, event, from, to, asset, bought)?;
    usd.plus(moment.usd(moment.setup.venue.home, cost)?)
}

/// A payer buys `amount` of `asset` from the outside with its home asset, at the reference, for `to`. Returns what it cost.
fn convert_home(
    state: &mut State,
    moment: &Moment<'_>,
    event: Option<u32>,
    payer: Holder,
    to: Holder,
    asset: AssetId,
    amount: Amount,
) -> Result<Amount> {
    let venue = &moment.setup.venue;
    let home = venue.home;
    let cost = venue.assets[asset]
        .in_units_of(
            amount,
            moment.reference_of_asset(asset),
            &venue.assets[home],
            moment.reference_of_asset(home),
        )?
        .ceil();
    let outside = Holder::Entity(Entity::Outside);
    state.post(moment, event, PostingKind::Conversion, payer, outside, home, cost)?;
    state.post(moment, event, PostingKind::Payment, outside, to, asset, amount)?;
    Ok(cost)
}

/// When money next comes or goes by itself: to a fund, or from a layer that pays later.
pub fn next_due(state: &State) -> Option<i64> {
    [sources::next(state), late::next(state)].into_iter().flatten().min()
}

/// The end of an action: capital is noted, and what it took from funds may set off refills.
///
/// # Errors
/// Overflow.
pub fn end_action(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    limits::note(state, moment)?;
    sources::after_action(state, moment)
}

/// Moves the money that is due.
///
/// # Errors
/// Overflow.
pub fn pay_due(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    sources::pay_due(state, moment)?;
    late::pay_due(state, moment)
}
