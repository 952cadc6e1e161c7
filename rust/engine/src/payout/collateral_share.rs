//! Share of the collateral: a profit is at most a multiple of what the account has put up in the asset of the market.

use super::Cap;
use crate::book::{Holding, Leg};
use crate::contract::{AssetId, Venue};
use crate::error::Result;
use crate::state::{Moment, State};
use crate::units::{Amount, Ratio};

pub(super) fn cap(state: &State, moment: &Moment<'_>, account: usize, leg: &Leg, share: Ratio) -> Result<Cap> {
    let venue = &moment.setup.venue;
    let cash = &state.book.net_cash(account)?;
    let legs = state.book.legs(account);
    let collateral = collateral(venue, Holding { legs, cash }, venue.markets[leg.market].settlement)?;
    Ok(Cap::Limit {
        whole: Amount(share.floor_of(collateral.0, "share of the collateral")?),
        units: leg.size.units(),
    })
}

/// What an account has put up in an asset: its cash there, and what its positions there have cost; not less than nothing.
pub(super) fn collateral(venue: &Venue, holding: Holding<'_>, asset: AssetId) -> Result<Amount> {
    let own = holding.cash.iter().find(|(a, _)| *a == asset);
    let own = own.map_or(Amount::ZERO, |&(_, n)| n);
    let legs = holding
        .legs
        .iter()
        .filter(|l| venue.markets[l.market].settlement == asset);
    Ok(legs.map(|l| l.entry_value).try_fold(own, Amount::plus)?.positive())
}
