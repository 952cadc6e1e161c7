//! How a candidate stands at a moment, exactly.

use crate::book::{Book, Leg};
use crate::config::{AdlEligibility, AdlScore, Attribution};
use crate::error::Result;
use crate::margin::Requirement;
use crate::state::Moment;
use crate::units::{Amount, Split, Usd};

/// A leg of an account with equity, if that is asked for; in profit, if only those are eligible.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Profit of the leg in the settlement asset.
    pub pnl: Amount,
    /// What the leg cost.
    pub entry_value: Amount,
    /// Its size.
    pub units: u64,
    /// Value of the leg in the settlement asset.
    pub value: Amount,
    /// The account holds several assets: notional and equity are in micro-dollars, else in the settlement asset.
    pub several: bool,
    /// Absolute value of the leg.
    pub notional: i128,
    /// Equity of the account without collateral weights; positive, unless only overlap is asked for.
    pub equity: i128,
    /// Where the score asks for it.
    pub funds: Funds,
}

/// What an account has and needs, in the unit of its equity.
#[derive(Debug, Clone, Copy, Default)]
pub struct Funds {
    /// Cash less what is owed, plus what the legs cost.
    pub wallet: i128,
    /// One whole unit.
    pub whole: i128,
    /// Maintenance requirement at the trigger feed.
    pub requirement: i128,
    /// Profit of the leg.
    pub pnl: i128,
}

impl Standing {
    /// At the mark of ADL and the collateral prices of the moment; None without size, equity, or the profit that makes it eligible.
    pub fn of(book: &Book, moment: &Moment<'_>, account: usize, leg: usize) -> Result<Option<Self>> {
        let venue = &moment.setup.venue;
        let rules = moment.setup.protocol.deleveraging();
        let l = book.legs(account)[leg];
        if l.size.is_zero() {
            return Ok(None);
        }
        let market = &venue.markets[l.market];
        let value = market.value(l.size, moment.adl_mark(l.market, l.size))?;
        let pnl = value.minus(l.entry_value)?;
        if pnl.0 <= 0 && rules.eligibility == AdlEligibility::InProfit {
            return Ok(None);
        }
        let equity = equity(book, moment, account)?;
        if equity <= 0 && !rules.asks_for_overlap_only() {
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
        let funds = if rules.score == AdlScore::Binance {
            funds(book, moment, account, &l, pnl)?
        } else {
            Funds::default()
        };
        Ok(Some(Self {
            pnl,
            entry_value: l.entry_value,
            units: l.size.units(),
            value,
            several,
            notional,
            equity,
            funds,
        }))
    }

    /// Equity in units of the settlement asset of a leg.
    pub fn equity_in(&self, moment: &Moment<'_>, leg: &Leg) -> Result<Amount> {
        if !self.several {
            return Ok(Amount(self.equity));
        }
        let asset = moment.setup.venue.markets[leg.market].settlement;
        moment.setup.venue.assets[asset].from_usd_floor(Usd(self.equity), moment.collateral(asset))
    }
}

/// The amount at which a candidate's own leg would leave its account with nothing, its equity attributed to its legs like a loser's
/// (semantics, section 7).
pub fn own_bankruptcy(
    book: &Book,
    moment: &Moment<'_>,
    (account, leg): (usize, usize),
    standing: &Standing,
) -> Result<Amount> {
    let setup = moment.setup;
    let legs = book.legs(account);
    let settlement = setup.venue.markets[legs[leg].market].settlement;
    let mut weights = Vec::new();
    for (k, l) in legs.iter().enumerate().filter(|(_, l)| !l.size.is_zero()) {
        let market = &setup.venue.markets[l.market];
        if market.settlement != settlement {
            continue;
        }
        let mark = moment.adl_mark(l.market, l.size);
        let weight = match setup.protocol.attribution {
            Attribution::Notional => market.notional(l.size, mark)?.ceil().0,
            Attribution::Maintenance => {
                setup
                    .margin
                    .maintenance(&setup.venue, l, mark, moment.scale(l.market))?
                    .0
            }
            Attribution::Account => i128::from(weights.is_empty()),
        };
        weights.push((k, weight.max(0)));
    }
    let sum: i128 = weights.iter().map(|(_, w)| w).sum();
    if sum == 0
        && let Some(first) = weights.first_mut()
    {
        // Nothing to weigh by: all on the first.
        first.1 = 1;
    }
    let mut split = Split::new(standing.equity_in(moment, &legs[leg])?.0, sum.max(1));
    for (k, weight) in weights {
        let share = split.next(weight)?;
        if k == leg {
            return standing.value.minus(Amount(share));
        }
    }
    Ok(standing.value)
}

/// The amount at which a leg of an account whose equity is negative would leave it with nothing; None if its equity is not negative.
pub fn underwater(book: &Book, moment: &Moment<'_>, (account, leg): (usize, usize)) -> Result<Option<Amount>> {
    let equity = equity(book, moment, account)?;
    if equity >= 0 {
        return Ok(None);
    }
    let l = &book.legs(account)[leg];
    let value = moment.setup.venue.markets[l.market].value(l.size, moment.adl_mark(l.market, l.size))?;
    let standing = Standing {
        pnl: value.minus(l.entry_value)?,
        entry_value: l.entry_value,
        units: l.size.units(),
        value,
        several: book.cash(account).len() > 1,
        notional: 0,
        equity,
        funds: Funds::default(),
    };
    own_bankruptcy(book, moment, (account, leg), &standing).map(Some)
}

fn funds(book: &Book, moment: &Moment<'_>, account: usize, leg: &Leg, pnl: Amount) -> Result<Funds> {
    let (setup, venue) = (moment.setup, &moment.setup.venue);
    let health = setup
        .margin
        .health(venue, book, account, moment, Requirement::Maintenance)?;
    let legs = book.legs(account);
    let cash = book.net_cash(account)?;
    let wallet = |asset, cash: Amount| -> Result<Amount> {
        let own = legs.iter().filter(|l| venue.markets[l.market].settlement == asset);
        own.map(|l| l.entry_value).try_fold(cash, Amount::plus)
    };
    if let &[(asset, cash)] = &*cash {
        return Ok(Funds {
            wallet: wallet(asset, cash)?.0,
            whole: 10i128.pow(venue.assets[asset].decimals),
            requirement: health.requirement,
            pnl: pnl.0,
        });
    }
    let mut total = Usd::ZERO;
    for &(asset, cash) in &*cash {
        let worth = venue.assets[asset].usd_floor(wallet(asset, cash)?, moment.collateral(asset))?;
        total = total.plus(worth)?;
    }
    let settlement = venue.markets[leg.market].settlement;
    Ok(Funds {
        wallet: total.0,
        whole: 1_000_000,
        requirement: health.requirement,
        pnl: venue.assets[settlement].usd(pnl, moment.collateral(settlement))?.0,
    })
}

/// Equity without collateral weights (semantics, section 4), in the account's asset or, with several, in micro-dollars.
fn equity(book: &Book, moment: &Moment<'_>, account: usize) -> Result<i128> {
    let venue = &moment.setup.venue;
    let cash = book.net_cash(account)?;
    if let &[(asset, cash)] = &*cash {
        return Ok(balance(book, moment, account, asset, cash)?.0);
    }
    let mut total = Usd::ZERO;
    for &(asset, cash) in &*cash {
        let balance = balance(book, moment, account, asset, cash)?;
        let worth = venue.assets[asset].usd_floor(balance, moment.collateral(asset))?;
        total = total.plus(worth)?;
    }
    Ok(total.0)
}

/// Cash of one asset and the value of the legs settled in it, at the mark.
fn balance(book: &Book, moment: &Moment<'_>, account: usize, asset: usize, cash: Amount) -> Result<Amount> {
    let venue = &moment.setup.venue;
    book.legs(account)
        .iter()
        .filter(|l| !l.size.is_zero() && venue.markets[l.market].settlement == asset)
        .try_fold(cash, |sum, l| {
            sum.plus(venue.markets[l.market].value(l.size, moment.adl_mark(l.market, l.size))?)
        })
}

/// Equity of an account with its legs at the mark, in dollars at the reference.
pub fn equity_usd(book: &Book, moment: &Moment<'_>, account: usize) -> Result<Usd> {
    let cash = book.net_cash(account)?;
    let mut total = Usd::ZERO;
    for &(asset, cash) in &*cash {
        let balance = balance(book, moment, account, asset, cash)?;
        total = total.plus(moment.usd(asset, balance)?)?;
    }
    Ok(total)
}
