//! Entries and collateral, in integers, so that the equity at the open is exact.

use super::draw::Leg;
use super::options::SyntheticOptions;
use super::{BookColumns, BookMarket, Cash};
use crate::decimal::checked_pow10;
use crate::error::{Error, Result};
use crate::market::{AssetSpec, Payoff};

/// The most that a leg's unrealised profit may be of its equity: the rest is collateral, which must be positive.
const MOST_PROFIT: f64 = 0.9;

/// The value of a size at a price in units of the settlement asset (semantics, section 1): `s p num / den` for a linear
/// market, `- s num / (p den)` for an inverse one.
struct Valuer {
    kind: Payoff,
    num: i128,
    den: i128,
}

impl Valuer {
    fn new(market: &BookMarket, asset: &AssetSpec) -> Result<Self> {
        let spec = &market.spec;
        let contract = spec.contract()?;
        let price_decimals = i64::from(spec.price_decimals.unwrap_or(0));
        let scales = i64::from(spec.size_decimals.unwrap_or(0)) + i64::from(contract.scale) - i64::from(asset.decimals);
        let exponent = match spec.kind {
            Payoff::Linear => -scales - price_decimals,
            Payoff::Inverse => -scales + price_decimals,
        };
        let power = |e: i64| checked_pow10(u32::try_from(e.max(0)).unwrap_or(u32::MAX));
        let fits = || Error::overflow(format!("decimals of market {}", spec.name));
        let num = power(exponent)
            .and_then(|p| p.checked_mul(contract.mantissa))
            .ok_or_else(fits)?;
        Ok(Self {
            kind: spec.kind,
            num,
            den: power(-exponent).ok_or_else(fits)?,
        })
    }

    /// The value as a fraction, with a positive denominator.
    fn fraction(&self, size: i64, price: i64) -> Result<(i128, i128)> {
        let (size, price) = (i128::from(size), i128::from(price));
        let scaled = size.checked_mul(self.num);
        match self.kind {
            Payoff::Linear => scaled.and_then(|n| n.checked_mul(price)).map(|n| (n, self.den)),
            Payoff::Inverse => scaled.and_then(|n| Some((-n, self.den.checked_mul(price)?))),
        }
        .ok_or_else(|| Error::overflow("value of a synthetic position"))
    }

    fn floor(&self, size: i64, price: i64) -> Result<i128> {
        self.fraction(size, price).map(|(n, d)| n.div_euclid(d))
    }

    fn ceil(&self, size: i64, price: i64) -> Result<i128> {
        self.fraction(size, price).map(|(n, d)| -(-n).div_euclid(d))
    }
}

/// The entry price: the opening price times `exp(deviation)`, with the leg's profit at the open limited.
fn entry_price(leg: &Leg, market: &BookMarket) -> i64 {
    let opening = market.opening as f64;
    let entry = opening * libm::exp(leg.deviation);
    let most = MOST_PROFIT / leg.leverage;
    let entry = match (market.spec.kind, leg.long) {
        (Payoff::Linear, true) => entry.max(opening * (1.0 - most)),
        (Payoff::Linear, false) => entry.min(opening * (1.0 + most)),
        (Payoff::Inverse, true) => entry.max(opening / (1.0 + most)),
        (Payoff::Inverse, false) if most < 1.0 => entry.min(opening / (1.0 - most)),
        (Payoff::Inverse, false) => entry,
    };
    (entry.round() as i64).max(1)
}

/// Entry and collateral of a leg: after the cost of the entry, rounded up, and at the value of the opening price, rounded down,
/// the equity is the notional over the leverage, at least one unit.
fn entry_and_collateral(leg: &Leg, size: i64, market: &BookMarket, valuer: &Valuer) -> Result<(i64, i128)> {
    let value = valuer.floor(size, market.opening)?;
    let equity = ((value.unsigned_abs() as f64 / leg.leverage).round() as i128).max(1);
    let collateral = |entry: i64| Ok(equity + valuer.ceil(size, entry)? - value);
    let entry = entry_price(leg, market);
    match collateral(entry)? {
        amount if amount > 0 => Ok((entry, amount)),
        // Only where a unit of the price or of the asset is coarse.
        _ => Ok((market.opening, collateral(market.opening)?)),
    }
}

/// The columns of the book.
pub(super) fn price(
    legs: &[Leg],
    markets: &[BookMarket],
    assets: Vec<AssetSpec>,
    asset_of: &[usize],
    options: &SyntheticOptions,
) -> Result<BookColumns> {
    let valuers: Vec<Valuer> = markets
        .iter()
        .zip(asset_of)
        .map(|(market, &asset)| Valuer::new(market, &assets[asset]))
        .collect::<Result<_>>()?;
    let mut book = BookColumns {
        markets: markets.iter().map(|m| m.spec.clone()).collect(),
        accounts: options.accounts,
        account: Vec::with_capacity(legs.len()),
        market: Vec::with_capacity(legs.len()),
        size: Vec::with_capacity(legs.len()),
        entry: Vec::with_capacity(legs.len()),
        cross: Vec::with_capacity(legs.len()),
        collateral: Vec::with_capacity(legs.len()),
        cash: Vec::new(),
        assets,
    };
    for leg in legs {
        let market = leg.market as usize;
        let size = if leg.long { leg.units } else { -leg.units };
        let (entry, amount) = entry_and_collateral(leg, size, &markets[market], &valuers[market])?;
        book.account.push(leg.account);
        book.market.push(leg.market);
        book.size.push(size);
        book.entry.push(entry);
        book.cross.push(leg.cross);
        book.collateral.push((!leg.cross).then_some(amount));
        if leg.cross {
            add_cash(
                &mut book.cash,
                Cash {
                    account: leg.account,
                    asset: asset_of[market] as u32,
                    amount,
                },
            );
        }
    }
    Ok(book)
}

/// Adds to the account's cash; accounts come in order, the assets of one account are kept in order.
fn add_cash(cash: &mut Vec<Cash>, add: Cash) {
    let start = cash
        .iter()
        .rposition(|c| c.account != add.account)
        .map_or(0, |before| before + 1);
    match cash[start..].binary_search_by_key(&add.asset, |c| c.asset) {
        Ok(at) => cash[start + at].amount += add.amount,
        Err(at) => cash.insert(start + at, add),
    }
}
