//! An account over a stretch of prices, in floating point: what bounds of scores are made of.

use crate::book::Book;
use crate::config::{AdlConfig, AdlEligibility, AdlScore};
use crate::contract::{AssetId, MarketId, Venue};
use crate::units::Size;

/// Relative error granted to a sum of terms, each of which is within a few 2^-53 of its true value.
const RELATIVE: f64 = 1e-12;

/// An enclosure of a leg and its account over a stretch, in units of the settlement asset; where the account holds several assets,
/// dollars are turned into it at the price of the moment, which leaves the ratio of notional to equity as it is.
///
/// At every moment of the stretch at which the leg is a candidate there is a `v`, the unrounded value of the leg, in `[low, high]` with
/// `pnl <= v - entry`, `notional <= abs(v) + 1`, `equity >= v + rest`. What floating point and integer rounding can move is in `entry`
/// and `rest`: a relative 1e-12 of all terms, two units a leg and an asset.
#[derive(Debug, Clone, Copy)]
pub struct Outlook {
    /// Least value of the leg.
    pub low: f64,
    /// Greatest value of the leg.
    pub high: f64,
    /// Not more than the entry value.
    pub entry: f64,
    /// Absolute entry value.
    pub cost: f64,
    /// Not more than the equity without the leg.
    pub rest: f64,
    /// Not more than the account's wallet, and not more than one whole unit if that is more; nothing where nobody asks for it.
    pub wallet: f64,
}

/// What is asked of an outlook.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Only legs that can be in profit.
    pub in_profit: bool,
    /// The wallet too.
    pub wallet: bool,
}

impl Question {
    /// What the rules of ADL ask for.
    pub fn of(rules: &AdlConfig) -> Self {
        Self {
            in_profit: rules.eligibility == AdlEligibility::InProfit,
            wallet: rules.score == AdlScore::Binance,
        }
    }
}

/// Least and greatest.
type Interval = (f64, f64);

/// The product with a price, which is positive.
fn scaled(a: Interval, price: Interval) -> Interval {
    let low = if a.0 >= 0.0 { a.0 * price.0 } else { a.0 * price.1 };
    let high = if a.1 >= 0.0 { a.1 * price.1 } else { a.1 * price.0 };
    (low, high)
}

impl Outlook {
    /// Over the given ranges of market and asset prices; None if the leg would have to be in profit, and is nowhere within them.
    pub fn over(
        venue: &Venue,
        book: &Book,
        question: Question,
        (account, leg): (usize, usize),
        market: impl Fn(MarketId, Size) -> Interval,
        asset: impl Fn(AssetId) -> Interval,
    ) -> Option<Self> {
        let legs = book.legs(account);
        // The value of a leg rises with the price for a long, and falls for a short: its extremes are at the ends.
        let value = |l: &crate::book::Leg| -> Interval {
            let (low, high) = market(l.market, l.size);
            let bound = &venue.markets[l.market];
            let (a, b) = (bound.value_f64(l.size, low), bound.value_f64(l.size, high));
            if l.size.0 > 0 { (a, b) } else { (b, a) }
        };
        let own = &legs[leg];
        if own.size.is_zero() {
            return None;
        }
        let (low, high) = value(own);
        let entry = own.entry_value.0 as f64;
        let size = low.abs().max(high.abs()) + entry.abs();
        let slack = size * RELATIVE + 2.0;
        if question.in_profit && high - entry + slack <= 0.0 {
            return None;
        }
        // Elsewhere it is no candidate.
        let low = if question.in_profit {
            low.max(entry - slack)
        } else {
            low
        };
        let settlement = venue.markets[own.market].settlement;
        let dollars = |id: AssetId| -> Interval {
            let (low, high) = asset(id);
            (low * venue.assets[id].scale_f64(), high * venue.assets[id].scale_f64())
        };
        // Balance of an asset without the leg, its magnitude, and the units by which rounding may move it.
        let balance = |id: AssetId, cash: f64| -> (Interval, f64, f64) {
            let (mut sum, mut magnitude, mut units) = ((cash, cash), cash.abs(), 2.0);
            for (k, l) in legs.iter().enumerate() {
                if venue.markets[l.market].settlement == id {
                    let owed = book.owed_at_most(account, k);
                    sum = (sum.0 - owed, sum.1);
                    magnitude += owed.abs();
                }
                if k != leg && !l.size.is_zero() && venue.markets[l.market].settlement == id {
                    let (a, b) = value(l);
                    sum = (sum.0 + a, sum.1 + b);
                    magnitude += a.abs().max(b.abs());
                    units += 2.0;
                }
            }
            (sum, magnitude, units)
        };
        let cash = book.cash(account);
        let (mut rest, mut error) = (0.0, slack);
        let mut others = (0.0, 0.0);
        for &(id, amount) in cash {
            let (sum, magnitude, units) = balance(id, amount.0 as f64);
            if id == settlement {
                rest += sum.0;
                error += magnitude * RELATIVE + units;
            } else {
                let price = dollars(id);
                others.0 += scaled(sum, price).0;
                others.1 += (magnitude * RELATIVE + units) * price.1 + 2.0;
            }
        }
        if cash.len() > 1 {
            // What the other assets are worth, in units of the settlement asset; the error grows as the asset gets cheaper.
            let (least, most) = dollars(settlement);
            let worth = others.0 - others.1;
            rest += if worth >= 0.0 { worth / most } else { worth / least };
            error += 2.0 / least;
        }
        rest -= error + rest.abs() * RELATIVE;
        let wallet = if question.wallet {
            wallet(venue, book, account, settlement, dollars)
        } else {
            0.0
        };
        Some(Self {
            wallet,
            low,
            high,
            entry: entry - slack,
            cost: entry.abs().max(1.0),
            rest,
        })
    }
}

/// Not more than `max(one whole unit, wallet)`, in units of the settlement asset of a leg.
fn wallet(
    venue: &Venue,
    book: &Book,
    account: usize,
    settlement: AssetId,
    dollars: impl Fn(AssetId) -> Interval,
) -> f64 {
    let legs = book.legs(account);
    let held = |id: AssetId, cash: f64| -> (f64, f64) {
        let own = legs
            .iter()
            .enumerate()
            .filter(|(_, l)| venue.markets[l.market].settlement == id);
        own.fold((cash, cash.abs()), |(sum, magnitude), (k, l)| {
            let (entry, owed) = (l.entry_value.0 as f64, book.owed_at_most(account, k));
            (sum + entry - owed, magnitude + entry.abs() + owed.abs())
        })
    };
    let cash = book.cash(account);
    let (mut own, mut others) = (0.0, 0.0);
    for &(id, amount) in cash {
        let (sum, magnitude) = held(id, amount.0 as f64);
        let least = sum - magnitude * RELATIVE - 2.0;
        if id == settlement {
            own = least;
        } else {
            others += scaled((least, least), dollars(id)).0 - 2.0;
        }
    }
    let whole = if cash.len() > 1 {
        let (least, most) = dollars(settlement);
        own += if others >= 0.0 { others / most } else { others / least };
        own -= 2.0 / least;
        1e6 / most
    } else {
        10f64.powi(venue.assets[settlement].decimals as i32)
    };
    own.max(whole) * (1.0 - 1e-9)
}
