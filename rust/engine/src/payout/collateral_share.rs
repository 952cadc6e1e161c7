//! Share of the collateral: a profit is at most a multiple of what the account has put up in the asset of the market.

use super::Cap;
use crate::book::Leg;
use crate::error::Result;
use crate::state::{Moment, State};
use crate::units::{Amount, Ratio};

pub(super) fn cap(state: &State, moment: &Moment<'_>, account: usize, leg: &Leg, share: Ratio) -> Result<Cap> {
    let venue = &moment.setup.venue;
    let asset = venue.markets[leg.market].settlement;
    let cash = state.book.net_cash(account)?;
    let own = cash.iter().find(|(a, _)| *a == asset).map_or(Amount::ZERO, |&(_, n)| n);
    let settled = state
        .book
        .legs(account)
        .iter()
        .filter(|l| venue.markets[l.market].settlement == asset);
    let collateral = settled.map(|l| l.entry_value).try_fold(own, Amount::plus)?;
    Ok(Cap::Limit {
        whole: Amount(share.floor_of(collateral.positive().0, "share of the collateral")?),
        units: leg.size.units(),
    })
}
