//! Markets and assets with their units resolved: what a size is worth at a price, and what an amount is worth in dollars.

use crate::decimal::{Decimal, pow10};
use crate::error::{Error, Result};
use crate::impact::VOLUME;
use crate::market::{AssetSpec, MarketSpec, Payoff, USD, USD_DECIMALS};
use crate::tape::Tape;
use crate::units::{Amount, Price, Ratio, Size, Usd, ceil_div, floor_div, mul_div_ceil, mul_div_floor, product};

/// Number of a market, in order of name.
pub type MarketId = usize;
/// Number of an asset, in order of name.
pub type AssetId = usize;

/// A market with resolved units.
#[derive(Debug, Clone)]
pub struct Market {
    /// Name.
    pub name: String,
    /// Linear or inverse.
    pub payoff: Payoff,
    /// Decimals of every price of this market in the engine: the finer of its own and its index market's.
    pub price_decimals: u32,
    /// Decimals of sizes.
    pub size_decimals: u32,
    /// Asset in which it settles.
    pub settlement: AssetId,
    /// Index market.
    pub index: Option<MarketId>,
    /// Settlement units of one unit of size times (linear) or divided by (inverse) one unit of price: `num / den`.
    num: i128,
    den: i128,
    /// `num / den`, for bounds.
    slope: f64,
    /// `10^decimals` of the settlement asset times, for an inverse market, `10^price_decimals`.
    quote_scale: i128,
}

/// A non-negative rational `num / den`.
#[derive(Debug, Clone, Copy)]
pub struct Fraction {
    /// Numerator.
    pub num: i128,
    /// Denominator, positive.
    pub den: i128,
}

impl Market {
    fn bind(
        spec: &MarketSpec,
        price_decimals: u32,
        size_decimals: u32,
        settlement: AssetId,
        asset_decimals: u32,
    ) -> Result<Self> {
        let contract = spec.contract()?;
        let wide = |x: u32| i64::from(x);
        let exponent = match spec.kind {
            Payoff::Linear => wide(asset_decimals) - wide(price_decimals) - wide(size_decimals) - wide(contract.scale),
            Payoff::Inverse => wide(asset_decimals) + wide(price_decimals) - wide(size_decimals) - wide(contract.scale),
        };
        let range = || {
            Error::Config(format!(
                "market {}: contract_size and decimals are out of range",
                spec.name
            ))
        };
        let unit = Ratio::power_of_ten(exponent)
            .and_then(|p| p.times(Ratio::new(contract.mantissa, 1)?))
            .ok_or_else(range)?;
        let quote_exponent = asset_decimals
            + if spec.kind == Payoff::Inverse {
                price_decimals
            } else {
                0
            };
        if quote_exponent > 30 {
            return Err(range());
        }
        Ok(Self {
            name: spec.name.clone(),
            payoff: spec.kind,
            price_decimals,
            size_decimals,
            settlement,
            index: None,
            num: unit.num,
            den: unit.den,
            slope: unit.num as f64 / unit.den as f64,
            quote_scale: pow10(quote_exponent),
        })
    }

    /// `V(s, p)` as a fraction of settlement units, unrounded.
    #[inline]
    fn exact_value(&self, size: i128, price: i128) -> Result<(i128, i128)> {
        let scaled = product(size, self.num, "value of a size")?;
        match self.payoff {
            Payoff::Linear => Ok((product(scaled, price, "value of a size")?, self.den)),
            Payoff::Inverse => Ok((-scaled, product(price, self.den, "value of a size")?)),
        }
    }

    /// Value of a signed size at a price, in units of the settlement asset, rounded down: equity never benefits from rounding.
    ///
    /// Linear: size times price. Inverse: minus size divided by price, so that it rises with the price for a long.
    pub fn value(&self, size: Size, price: Price) -> Result<Amount> {
        let (num, den) = self.exact_value(i128::from(size.0), i128::from(price.0))?;
        Ok(Amount(floor_div(num, den)))
    }

    /// What entering a position costs, rounded up. The entry price is an exact decimal of its own.
    #[inline]
    pub fn cost(&self, size: Size, entry: Decimal) -> Result<Amount> {
        // Scale the entry price to an integer and the fraction by the same power of ten.
        let extra = entry.scale.saturating_sub(self.price_decimals);
        let price = entry
            .to_integer(self.price_decimals + extra)
            .ok_or_else(|| Error::overflow(format!("entry price {entry} of market {}", self.name)))?;
        let finer = pow10(extra);
        let (num, den) = self.exact_value(i128::from(size.0), price)?;
        Ok(Amount(match self.payoff {
            Payoff::Linear => ceil_div(num, product(den, finer, "cost")?),
            Payoff::Inverse => ceil_div(product(num, finer, "cost")?, den),
        }))
    }

    /// Notional in settlement units as a fraction, unrounded.
    pub fn notional(&self, size: Size, price: Price) -> Result<Fraction> {
        let (num, den) = self.exact_value(i128::from(size.0), i128::from(price.0))?;
        Ok(Fraction { num: num.abs(), den })
    }

    /// Notional that selects a bracket, and the factor that turns a quote amount into settlement units: a quote amount `y` is
    /// `y * quote_scale` units (linear) or `y * quote_scale / price` units (inverse), and the bracket is chosen by
    /// `bracket_notional / den >= lower * quote_scale`.
    pub(crate) fn bracket_notional(&self, size: Size, price: Price) -> Result<i128> {
        let scaled = product(i128::from(size.units()), self.num, "notional")?;
        match self.payoff {
            Payoff::Linear => product(scaled, i128::from(price.0), "notional"),
            Payoff::Inverse => Ok(scaled),
        }
    }

    /// Settlement units of one unit of size times (linear) or divided by, and negative (inverse) one unit of price.
    pub fn unit(&self) -> Ratio {
        Ratio {
            num: self.num,
            den: self.den,
        }
    }

    /// Notional in millionths of a quote unit, rounded up.
    pub fn quote_volume(&self, size: Size, price: Price) -> Result<i128> {
        let notional = self.bracket_notional(size, price)?;
        let unit = self
            .den
            .checked_mul(self.quote_scale)
            .and_then(|den| Ratio::new(VOLUME, den));
        unit.ok_or_else(|| Error::overflow("notional"))?
            .ceil_of(notional, "notional")
    }

    pub(crate) fn bracket_den(&self) -> i128 {
        self.den
    }

    pub(crate) fn quote_scale(&self) -> i128 {
        self.quote_scale
    }

    /// `k` such that the value of a size `s` is about `s k p` (linear) or `- s k / p` (inverse); for bounds only.
    pub fn slope(&self) -> f64 {
        self.slope
    }

    /// Value of a signed size at a price in floating point, within a few 2^-53 of the unrounded value; for bounds only.
    pub fn value_f64(&self, size: Size, price: f64) -> f64 {
        let scaled = size.0 as f64 * self.slope;
        match self.payoff {
            Payoff::Linear => scaled * price,
            Payoff::Inverse => -scaled / price,
        }
    }

    /// A price in quote units, for display.
    pub fn price_f64(&self, price: Price) -> f64 {
        price.0 as f64 / 10f64.powi(self.price_decimals as i32)
    }
}

/// An asset with resolved units.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Name.
    pub name: String,
    /// Decimals of an amount.
    pub decimals: u32,
    /// Market whose price is the asset's price in USD; None: worth 1 USD.
    pub price_market: Option<MarketId>,
    /// Dollars: `amount * price * num / den` micro-dollars.
    num: i128,
    den: i128,
}

impl Asset {
    fn bind(spec: &AssetSpec, price_market: Option<(MarketId, u32)>) -> Self {
        let decimals = spec.decimals + price_market.map_or(0, |(_, d)| d);
        let (num, den) = if decimals <= USD_DECIMALS {
            (pow10(USD_DECIMALS - decimals), 1)
        } else {
            (1, pow10(decimals - USD_DECIMALS))
        };
        Self {
            name: spec.name.clone(),
            decimals: spec.decimals,
            price_market: price_market.map(|(m, _)| m),
            num,
            den,
        }
    }

    /// Micro-dollars of one unit at a price, as a fraction. The price is that of the price market, 1 without one.
    fn unit(&self, price: Price) -> Result<(i128, i128)> {
        let price = if self.price_market.is_some() {
            i128::from(price.0)
        } else {
            1
        };
        Ok((product(price, self.num, "price of an asset")?, self.den))
    }

    /// True if an amount of this asset is the same number of micro-dollars.
    pub fn is_dollar(&self) -> bool {
        self.price_market.is_none() && self.decimals == USD_DECIMALS
    }

    /// Dollar view of an amount, truncated toward zero.
    pub fn usd(&self, amount: Amount, price: Price) -> Result<Usd> {
        if self.is_dollar() {
            return Ok(Usd(amount.0));
        }
        let (num, den) = self.unit(price)?;
        let size = i128::try_from(amount.0.unsigned_abs()).map_err(|_| Error::overflow("dollar value"))?;
        Ok(Usd(amount.0.signum() * mul_div_floor(size, num, den, "dollar value")?))
    }

    /// Dollar value as a fraction of micro-dollars.
    pub fn usd_fraction(&self, amount: Amount, price: Price) -> Result<Fraction> {
        let (num, den) = self.unit(price)?;
        Ok(Fraction {
            num: product(amount.0, num, "dollar value")?,
            den,
        })
    }

    /// Dollar value rounded down.
    pub fn usd_floor(&self, amount: Amount, price: Price) -> Result<Usd> {
        let (num, den) = self.unit(price)?;
        Ok(Usd(mul_div_floor(amount.0, num, den, "dollar value")?))
    }

    /// Dollar value rounded up.
    pub fn usd_ceil(&self, amount: Amount, price: Price) -> Result<Usd> {
        let (num, den) = self.unit(price)?;
        Ok(Usd(mul_div_ceil(amount.0, num, den, "dollar value")?))
    }

    /// The amount that is worth `usd`, rounded up.
    pub fn from_usd_ceil(&self, usd: Usd, price: Price) -> Result<Amount> {
        let (num, den) = self.unit(price)?;
        Ok(Amount(mul_div_ceil(usd.0, den, num, "amount of dollars")?))
    }

    /// The amount that is worth `usd`, rounded down.
    pub fn from_usd_floor(&self, usd: Usd, price: Price) -> Result<Amount> {
        let (num, den) = self.unit(price)?;
        Ok(Amount(floor_div(product(usd.0, den, "amount of dollars")?, num)))
    }

    /// `n` of this asset, priced at `price`, in units of `other` at `other_price`, as a fraction.
    pub fn in_units_of(&self, n: Amount, price: Price, other: &Self, other_price: Price) -> Result<Fraction> {
        let (a, b) = self.unit(price)?;
        let (c, d) = other.unit(other_price)?;
        let rate = Ratio::new(product(a, d, "conversion")?, product(b, c, "conversion")?)
            .ok_or_else(|| Error::overflow("conversion"))?;
        Ok(Fraction {
            num: product(n.0, rate.num, "conversion")?,
            den: rate.den,
        })
    }

    /// Micro-dollars of one unit at a price; for bounds only.
    pub fn dollars_f64(&self, price: Price) -> f64 {
        let price = if self.price_market.is_some() {
            price.0 as f64
        } else {
            1.0
        };
        price * self.scale_f64()
    }

    /// Dollars of one unit; for bounds only. The caller multiplies by the price where there is a price market.
    pub fn scale_f64(&self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

impl Fraction {
    /// Times a positive ratio.
    ///
    /// # Errors
    /// Overflow.
    pub fn times(self, num: i128, den: i128) -> Result<Self> {
        Ok(Self {
            num: product(self.num, num, "fraction")?,
            den: product(self.den, den, "fraction")?,
        })
    }

    /// Rounded down.
    pub fn floor(self) -> Amount {
        Amount(floor_div(self.num, self.den))
    }

    /// Rounded up.
    pub fn ceil(self) -> Amount {
        Amount(ceil_div(self.num, self.den))
    }
}

/// All markets and assets of a run.
#[derive(Debug, Clone)]
pub struct Venue {
    /// Markets in order of name.
    pub markets: Vec<Market>,
    /// Assets in order of name.
    pub assets: Vec<Asset>,
    /// The asset in which layers hold their capital.
    pub home: AssetId,
}

impl Venue {
    /// Resolves the markets and assets of a tape, whose definitions are complete.
    pub fn bind(tape: &Tape) -> Result<Self> {
        let number = |name: &str| tape.markets.iter().position(|m| m.spec.name == name);
        let mut specs = tape.assets.clone();
        let dollar_settled = tape.markets.iter().any(|m| {
            let asset = m.spec.settlement.as_deref().unwrap_or(USD);
            specs
                .iter()
                .any(|a| a.name == asset && a.price_market.is_none() && a.decimals == USD_DECIMALS)
        });
        if !dollar_settled && !specs.iter().any(|a| a.name == USD) {
            specs.push(AssetSpec {
                name: USD.to_owned(),
                decimals: USD_DECIMALS,
                price_market: None,
            });
        }
        specs.sort_by(|a, b| a.name.cmp(&b.name));

        let own = |m: MarketId| tape.markets[m].spec.price_decimals.unwrap_or(0);
        let mut index = Vec::with_capacity(tape.markets.len());
        let mut price_decimals = Vec::with_capacity(tape.markets.len());
        for (m, ticks) in tape.markets.iter().enumerate() {
            let of = ticks.spec.index.as_deref().map(|name| {
                number(name).ok_or_else(|| {
                    Error::Config(format!(
                        "market {}: index: there is no market {name:?} on the tape",
                        ticks.spec.name
                    ))
                })
            });
            let of = of.transpose()?;
            price_decimals.push(own(m).max(of.map_or(0, own)));
            index.push(of);
        }

        let mut assets = Vec::with_capacity(specs.len());
        for spec in &specs {
            let price_market = match &spec.price_market {
                None => None,
                Some(name) => {
                    let m = number(name).ok_or_else(|| {
                        Error::Config(format!(
                            "asset {}: price_market: there is no market {name:?} on the tape",
                            spec.name
                        ))
                    })?;
                    Some((m, price_decimals[m]))
                }
            };
            assets.push(Asset::bind(spec, price_market));
        }

        let mut markets = Vec::with_capacity(tape.markets.len());
        for (m, ticks) in tape.markets.iter().enumerate() {
            let settlement = ticks.spec.settlement_asset()?;
            let id = specs.iter().position(|a| a.name == settlement).ok_or_else(|| {
                Error::Config(format!(
                    "market {}: settlement: unknown asset {settlement:?}",
                    ticks.spec.name
                ))
            })?;
            let size_decimals = ticks.spec.size_decimals.unwrap_or(8);
            let mut market = Market::bind(&ticks.spec, price_decimals[m], size_decimals, id, specs[id].decimals)?;
            market.index = index[m];
            markets.push(market);
        }

        // The settlement asset worth a dollar that comes first by name, else USD.
        let home = (0..assets.len())
            .find(|&a| assets[a].is_dollar() && markets.iter().any(|m| m.settlement == a))
            .or_else(|| assets.iter().position(|a| a.name == USD && a.is_dollar()))
            .ok_or_else(|| Error::Config("asset USD: it is worth 1 USD and has 6 decimals".to_owned()))?;
        Ok(Self { markets, assets, home })
    }

    /// Number of the market of this name.
    pub fn market(&self, name: &str) -> Option<MarketId> {
        self.markets.binary_search_by(|m| m.name.as_str().cmp(name)).ok()
    }

    /// Number of the asset of this name.
    pub fn asset(&self, name: &str) -> Option<AssetId> {
        self.assets.binary_search_by(|a| a.name.as_str().cmp(name)).ok()
    }
}
