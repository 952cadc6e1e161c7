//! How a candidate stands at a moment, exactly.

use crate::book::Book;
use crate::error::Result;
use crate::state::Moment;
use crate::units::{Amount, Usd};

/// A leg in profit, of an account with equity.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Profit of the leg, positive, in the settlement asset.
    pub pnl: Amount,
    /// What the leg cost.
    pub entry_value: Amount,
    /// Its size.
    pub units: u64,
    /// The account holds several assets: notional and equity are in micro-dollars, else in the settlement asset.
    pub several: bool,
    /// Absolute value of the leg.
    pub notional: i128,
    /// Equity of the account without collateral weights, positive.
    pub equity: i128,
}

impl Standing {
    /// At the mark of ADL and the collateral prices of the moment; None without size, profit or equity.
    pub fn of(book: &Book, moment: &Moment<'_>, account: usize, leg: usize) -> Result<Option<Self>> {
        let venue = &moment.setup.venue;
        let l = book.legs(account)[leg];
        if l.size.is_zero() {
            return Ok(None);
        }
        let market = &venue.markets[l.market];
        let value = market.value(l.size, moment.adl_mark(l.market, l.size))?;
        let pnl = value.minus(l.entry_value)?;
        if pnl.0 <= 0 {
            return Ok(None);
        }
        let equity = equity(book, moment, account)?;
        if equity <= 0 {
            return Ok(None);
        }
        let several = book.cash(account).len() > 1;
        let settlement = market.settlement;
        let notional = if several {
            let worth = Amount(value.0.abs());
            venue.assets[settlement].usd(worth, moment.collateral(settlement))?.0
        } else {
            value.0.abs()
        };
        Ok(Some(Self {
            pnl,
            entry_value: l.entry_value,
            units: l.size.units(),
            several,
            notional,
            equity,
        }))
    }
}

/// Equity without collateral weights (semantics, section 4), in the account's asset or, with several, in micro-dollars.
fn equity(book: &Book, moment: &Moment<'_>, account: usize) -> Result<i128> {
    let venue = &moment.setup.venue;
    let legs = book.legs(account);
    let cash = book.net_cash(account)?;
    let balance = |asset, cash: Amount| -> Result<Amount> {
        legs.iter()
            .filter(|l| !l.size.is_zero() && venue.markets[l.market].settlement == asset)
            .try_fold(cash, |sum, l| {
                sum.plus(venue.markets[l.market].value(l.size, moment.adl_mark(l.market, l.size))?)
            })
    };
    if let &[(asset, cash)] = &*cash {
        return Ok(balance(asset, cash)?.0);
    }
    let mut total = Usd::ZERO;
    for &(asset, cash) in &*cash {
        let worth = venue.assets[asset].usd_floor(balance(asset, cash)?, moment.collateral(asset))?;
        total = total.plus(worth)?;
    }
    Ok(total.0)
}
