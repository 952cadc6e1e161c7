//! The requirement of a leg: one rule of the protocol's choice, scaled, with a minimum.

use super::Scale;
use super::bound::Line;
use super::leverage::Leverage;
use super::linear::Linear;
use super::nested::Nested;
use super::ramp::Ramp;
use super::root::Root;
use super::schedule::Schedule;
use super::steps::Steps;
use crate::book::Leg;
use crate::config::{MaintenanceConfig, TierConfig};
use crate::contract::Market;
use crate::error::{Error, Result};
use crate::market::Payoff;
use crate::units::{Amount, Price, Ratio, Size, ceil_div, lcm, product};

/// An amount in settlement units, times the price for an inverse market, before it is settled. The denominator is positive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub num: i128,
    pub den: i128,
}

/// A share of a notional; the denominator is positive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub num: i128,
    pub den: i128,
}

impl Rate {
    pub fn of(ratio: Ratio) -> Self {
        Self {
            num: ratio.num,
            den: ratio.den,
        }
    }

    pub fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

impl Quote {
    pub fn times(self, rate: Rate) -> Result<Self> {
        Ok(Self {
            num: product(self.num, rate.num, "requirement")?,
            den: product(self.den, rate.den, "requirement")?,
        })
    }

    fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    fn greater(self, other: Self) -> Result<Self> {
        let less = product(self.num, other.den, "requirement")? < product(other.num, self.den, "requirement")?;
        Ok(if less { other } else { self })
    }
}

/// The same ratios over their least common denominator.
pub(super) fn common<const N: usize>(ratios: [Ratio; N]) -> Option<([i128; N], i128)> {
    let den = ratios.iter().try_fold(1, |den, r| lcm(den, r.den))?;
    let mut out = [0; N];
    for (out, r) in out.iter_mut().zip(ratios) {
        *out = r.num.checked_mul(den / r.den)?;
    }
    Some((out, den))
}

/// A size in base units (linear) or contracts (inverse) in units of the market.
pub(super) fn size_units(size: Ratio, market: &Market) -> Option<Ratio> {
    size.times(Ratio::power_of_ten(i64::from(market.size_decimals))?)
}

/// Notional of a leg at the present price.
fn notional(market: &Market, size: Size, price: Price) -> Result<Quote> {
    Ok(Quote {
        num: market.bracket_notional(size, price)?,
        den: market.bracket_den(),
    })
}

/// Notional of a leg at its entry: what it cost; that of an inverse market does not depend on the price.
pub(super) fn entry_notional(market: &Market, leg: &Leg, price: Price) -> Result<Quote> {
    match market.payoff {
        Payoff::Linear => Ok(Quote {
            num: leg.entry_value.0.saturating_abs(),
            den: 1,
        }),
        Payoff::Inverse => notional(market, leg.size, price),
    }
}

#[derive(Debug, Clone)]
enum Kind {
    Brackets(Schedule),
    Steps(Steps),
    Linear(Linear),
    Root(Root),
    Leverage(Leverage),
    /// Closing fee as a share of the notional at the entry; the share of the collateral is the account's matter.
    CollateralShare {
        fee_rate: Rate,
        kept: Ratio,
    },
    Ramp(Ramp),
    Nested(Nested),
}

/// The rule of one market.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    kind: Kind,
    minimum: Option<Quote>,
}

impl Rule {
    /// Binds a configuration to a market.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field if its figures make no sense.
    pub fn bind(config: &MaintenanceConfig, minimum: Option<Ratio>, market: &Market, field: &str) -> Result<Self> {
        let fail = |what: &str| Error::Config(format!("protocol: margin.{field}: market {}: {what}", market.name));
        let kind = match config {
            MaintenanceConfig::Flat { rate } => {
                let tier = TierConfig {
                    lower: Ratio::ZERO,
                    rate: *rate,
                    deduction: None,
                };
                Schedule::bind(&[tier], market).map(Kind::Brackets)
            }
            MaintenanceConfig::Brackets { tiers } => Schedule::bind(tiers, market).map(Kind::Brackets),
            MaintenanceConfig::SizeSteps { steps } => Steps::bind(steps, market).map(Kind::Steps),
            MaintenanceConfig::LinearSize {
                base,
                slope,
                above,
                cap,
            } => Linear::bind([*base, *slope, *above, *cap], market).map(Kind::Linear),
            MaintenanceConfig::RootSize {
                base,
                share,
                factor,
                cap,
            } => Root::bind([*base, *share, *factor, *cap], market).map(Kind::Root),
            MaintenanceConfig::Leverage {
                fee,
                fee_rate,
                max_leverage,
            } => Leverage::bind(*fee, *fee_rate, *max_leverage, market).map(Kind::Leverage),
            MaintenanceConfig::CollateralShare { lost, fee_rate } => {
                let kept = Ratio::ONE.minus(*lost).filter(|kept| kept.num >= 0 && lost.num >= 0);
                kept.filter(|_| fee_rate.num >= 0)
                    .map(|kept| Kind::CollateralShare {
                        fee_rate: Rate::of(*fee_rate),
                        kept,
                    })
                    .ok_or("expected lost from 0 to 1 and a fee_rate that is not negative")
            }
            MaintenanceConfig::OpenInterest {
                base,
                lower,
                upper,
                cap,
            } => Ramp::bind([*base, *lower, *upper, *cap], market).map(Kind::Ramp),
            MaintenanceConfig::InitialShare { rate, share } => Nested::bind(*rate, *share).map(Kind::Nested),
        };
        Self::with_minimum(kind.map_err(fail)?, minimum, market).ok_or_else(|| fail("figures out of range"))
    }

    /// One rate, however high.
    pub fn rate(rate: Ratio, minimum: Option<Ratio>, market: &Market) -> Result<Self> {
        let steps = [crate::config::StepConfig {
            lower: Ratio::ZERO,
            rate,
        }];
        let fail = |what: &str| Error::Config(format!("protocol: margin.initial_rate: {what}"));
        let steps = Steps::bind(&steps, market).map_err(fail)?;
        Self::with_minimum(Kind::Steps(steps), minimum, market).ok_or_else(|| fail("figures out of range"))
    }

    fn with_minimum(kind: Kind, minimum: Option<Ratio>, market: &Market) -> Option<Self> {
        let minimum = match minimum {
            None => None,
            Some(quote) => {
                let scaled = quote.times(Ratio::new(market.quote_scale(), 1)?)?;
                Some(Quote {
                    num: scaled.num,
                    den: scaled.den,
                })
            }
        };
        Some(Self { kind, minimum })
    }

    /// It asks for the open interest, which nobody knows in advance.
    pub fn asks_open_interest(&self) -> bool {
        matches!(self.kind, Kind::Ramp(_))
    }

    /// Share of its collateral that an account must keep; None where the rule is another.
    pub fn kept_share(&self) -> Option<Ratio> {
        match &self.kind {
            Kind::CollateralShare { kept, .. } => Some(*kept),
            _ => None,
        }
    }

    fn rate_of(&self, size: Size) -> Option<Result<Rate>> {
        match &self.kind {
            Kind::Steps(steps) => Some(Ok(steps.rate(size))),
            Kind::Linear(linear) => Some(linear.rate(size)),
            Kind::Root(root) => Some(root.rate(size)),
            _ => None,
        }
    }

    /// Number of the bracket, or step by size, that a size is in at a price, from 0; always 0 where the rule has none.
    pub fn bracket(&self, market: &Market, size: Size, price: Price) -> Result<usize> {
        match &self.kind {
            Kind::Brackets(schedule) => schedule.bracket(market, size, price),
            Kind::Steps(steps) => Ok(steps.reached(size).saturating_sub(1)),
            _ => Ok(0),
        }
    }

    /// Requirement of a leg at a price, rounded up, in units of the settlement asset. `open_interest` is that of the larger side.
    #[inline]
    pub fn requirement(
        &self,
        market: &Market,
        leg: &Leg,
        price: Price,
        scale: Scale,
        open_interest: impl Fn() -> Size,
    ) -> Result<Amount> {
        let mut quote = match &self.kind {
            Kind::Brackets(schedule) => schedule.quote(market, leg.size, price)?,
            Kind::Steps(steps) => notional(market, leg.size, price)?.times(steps.rate(leg.size))?,
            Kind::Linear(linear) => notional(market, leg.size, price)?.times(linear.rate(leg.size)?)?,
            Kind::Root(root) => notional(market, leg.size, price)?.times(root.rate(leg.size)?)?,
            Kind::Leverage(leverage) => {
                let [fees, least] = leverage.quotes(market, leg, price)?;
                fees.greater(least)?
            }
            Kind::CollateralShare { fee_rate, .. } => entry_notional(market, leg, price)?.times(*fee_rate)?,
            Kind::Nested(nested) => nested.quote(market, leg.size, price)?,
            Kind::Ramp(ramp) => {
                let rate = ramp.rate(market, open_interest(), price)?;
                notional(market, leg.size, price)?.times(rate)?
            }
        };
        // What is negative, by a deduction, is not scaled: a higher scale never means a lower requirement.
        if scale != Scale::ONE && quote.num > 0 {
            quote.num = product(quote.num, i128::from(scale.0), "scaled requirement")?;
            quote.den = product(quote.den, i128::from(Scale::ONE.0), "scaled requirement")?;
        }
        if let Some(minimum) = self.minimum {
            quote = quote.greater(minimum)?;
        }
        if market.payoff == Payoff::Inverse {
            quote.den = product(quote.den, i128::from(price.0), "requirement")?;
        }
        Ok(Amount(ceil_div(quote.num, quote.den)))
    }

    /// Lines in the price (linear) or its reciprocal (inverse), of which the greatest is never less than the requirement at prices
    /// within `range`. For bounds.
    pub fn charges(&self, market: &Market, leg: &Leg, range: (f64, f64), scale: Scale, mut push: impl FnMut(Line)) {
        let k = scale.as_f64();
        let unscaled = scale == Scale::ONE;
        // A line that is negative somewhere is not scaled there.
        let scaled = |line: Line, push: &mut dyn FnMut(Line)| {
            if unscaled || line.offset < 0.0 || line.slope < 0.0 {
                push(line);
            }
            if !unscaled {
                push(Line {
                    slope: line.slope * k,
                    offset: line.offset * k,
                });
            }
        };
        let constant = |quote: f64| match market.payoff {
            Payoff::Linear => Line {
                slope: 0.0,
                offset: quote,
            },
            Payoff::Inverse => Line {
                slope: quote,
                offset: 0.0,
            },
        };
        // Neither depends on the price that is given.
        let any = Price(1);
        match &self.kind {
            Kind::Brackets(schedule) => {
                schedule.charges(market, leg.size, range, |line| scaled(line, &mut push));
            }
            Kind::Leverage(leverage) => match leverage.quotes(market, leg, any) {
                Ok(quotes) => quotes.iter().for_each(|q| scaled(constant(q.as_f64()), &mut push)),
                Err(_) => push(constant(f64::INFINITY)),
            },
            Kind::CollateralShare { fee_rate, .. } => {
                let fee = entry_notional(market, leg, any).and_then(|e| e.times(*fee_rate));
                scaled(constant(fee.map_or(f64::INFINITY, Quote::as_f64)), &mut push);
            }
            Kind::Nested(nested) => scaled(nested.line(market, leg.size), &mut push),
            Kind::Steps(_) | Kind::Linear(_) | Kind::Root(_) | Kind::Ramp(_) => {
                let rate = self.rate_of(leg.size).and_then(Result::ok);
                let line = Line {
                    slope: (leg.size.0 as f64 * market.slope()).abs() * rate.map_or(f64::INFINITY, Rate::as_f64),
                    offset: 0.0,
                };
                scaled(line, &mut push);
            }
        }
        if let Some(minimum) = self.minimum {
            push(constant(minimum.as_f64()));
        }
    }

    /// Not less than the requirement of a leg between two prices, in floating point.
    pub fn most(&self, market: &Market, leg: &Leg, (low, high): (f64, f64), scale: Scale) -> f64 {
        if let (Kind::Brackets(schedule), Scale::ONE, None) = (&self.kind, scale, self.minimum) {
            let [a, b] = [low, high].map(|p| schedule.quote_f64(market, leg.size, p));
            return a.max(b) + schedule.jump();
        }
        let at = |line: Line, p: f64| match market.payoff {
            Payoff::Linear => line.slope * p + line.offset,
            Payoff::Inverse => line.slope / p + line.offset,
        };
        let mut most = f64::NEG_INFINITY;
        self.charges(market, leg, (low, high), scale, |line| {
            most = most.max(at(line, low)).max(at(line, high));
        });
        most
    }

    /// Not more than the requirement of a leg between two prices, in floating point.
    pub fn least(&self, market: &Market, leg: &Leg, (low, high): (f64, f64), scale: Scale) -> f64 {
        if let (Kind::Brackets(schedule), Scale::ONE, None) = (&self.kind, scale, self.minimum) {
            let [a, b] = [low, high].map(|p| schedule.quote_f64(market, leg.size, p));
            return a.min(b) - schedule.jump();
        }
        // One of the charges is the requirement, or they are above it by a rounding.
        let mut least = 0.0f64;
        self.charges(market, leg, (low, high), scale, |line| {
            for p in [low, high] {
                let x = if market.payoff == Payoff::Inverse { 1.0 / p } else { p };
                least = least.min(line.slope * x + line.offset);
            }
        });
        least
    }

    /// Largest constant term, for the error margin of bounds.
    pub fn magnitude(&self) -> f64 {
        match &self.kind {
            Kind::Brackets(schedule) => schedule.magnitude(),
            _ => 0.0,
        }
    }
}
