//! The prices of a close that fills at once: the execution feed's, or the level at which the account became liquidatable.
//!
//! A venue that looks back over the prices since its last action finds that the price has passed the liquidation price, and closes
//! there: the gap is its counterparty's.
//!
//! Source: gTrade v6.4 and later (a look-back of open, high and low lets LIQ orders execute at exactly the liquidation price).

use crate::book::{Book, Leg};
use crate::config::ExecutionKind;
use crate::error::Result;
use crate::liquidation::close::{LegPrice, LegPrices};
use crate::margin::Requirement;
use crate::state::Moment;
use crate::units::Price;

/// A level is looked for up to this factor from the price.
const REACH: i64 = 16;

/// Prices of all legs of an account that have a size.
///
/// # Errors
/// Overflow.
pub fn prices(book: &Book, moment: &Moment<'_>, account: usize) -> Result<LegPrices> {
    let by_level = moment.setup.protocol.execution.kind == ExecutionKind::Level;
    let legs = book.legs(account).iter().enumerate();
    let open = legs.filter(|(_, l)| !l.size.is_zero());
    let mut prices: LegPrices = open
        .map(|(leg, l)| LegPrice {
            leg,
            price: moment.execution(l.market, l.size),
        })
        .collect();
    // Of several prices none is the one at which the account failed.
    if by_level && prices.len() == 1 && book.cash(account).len() == 1 {
        let only = &mut prices[0];
        if let Some(level) = level(book, moment, account, &book.legs(account)[only.leg])? {
            only.price = level;
        }
    }
    Ok(prices)
}

/// The last price, on the way back from the present one, at which the account is liquidatable; None if it is not now, or if it is as far
/// as one looks.
fn level(book: &Book, moment: &Moment<'_>, account: usize, leg: &Leg) -> Result<Option<Price>> {
    let setup = moment.setup;
    let fails = |price: i64| -> Result<bool> {
        let mut then = *moment;
        then.seen = Some((leg.market, Price(price)));
        let health = setup
            .margin
            .health(&setup.venue, book, account, &then, Requirement::Maintenance)?;
        Ok(health.fails())
    };
    let now = moment.published_trigger(leg.market, leg.size).0;
    let far = if leg.size.0 > 0 {
        now.checked_mul(REACH)
    } else {
        Some((now / REACH).max(1))
    };
    let Some(far) = far.filter(|&far| far != now) else {
        return Ok(None);
    };
    if !fails(now)? || fails(far)? {
        return Ok(None);
    }
    let (mut failing, mut sound) = (now, far);
    while (sound - failing).abs() > 1 {
        let between = failing.midpoint(sound);
        if fails(between)? {
            failing = between;
        } else {
            sound = between;
        }
    }
    Ok(Some(Price(failing)))
}
