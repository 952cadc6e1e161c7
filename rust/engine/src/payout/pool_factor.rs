//! Pool factor: the profit of a side of a market is at most a share of what the pool has for it; every winner is cut alike (GMX v2,
//! `MAX_PNL_FACTOR_FOR_TRADERS`).

use super::{Cap, pool};
use crate::book::Leg;
use crate::error::Result;
use crate::state::{Moment, Published, State};
use crate::units::Ratio;

pub(super) fn cap(state: &State, moment: &Moment<'_>, leg: &Leg, factor: Ratio) -> Result<Cap> {
    let claim = pool::claim(state, moment.setup, leg.market, leg.size.0 > 0)?;
    let side = claim.at(&moment.setup.venue, &Published(moment))?;
    let most = factor.floor_of(side.held.0.max(0), "cap of the profit of a side")?;
    Ok(if side.claimed.0 > most {
        Cap::Scaled {
            num: most,
            den: side.claimed.0,
        }
    } else {
        Cap::Whole
    })
}
