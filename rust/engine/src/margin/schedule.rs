//! Maintenance brackets: a rate on the whole notional less a deduction, chosen by the quote notional.
//!
//! Source of the form: Binance USD-M maintenance tables (rate and `cum`), Hyperliquid margin tiers (deduction by continuity).

use super::bound::Line;
use crate::config::MaintenanceConfig;
use crate::contract::Market;
use crate::error::{Error, Result};
use crate::market::Payoff;
use crate::units::{Amount, Price, Ratio, Size, ceil_div, product};

/// One bracket over a common denominator. Bound and deduction are scaled to the market's settlement units (times price, inverse).
#[derive(Debug, Clone, Copy)]
struct Tier {
    lower: i128,
    rate: i128,
    deduction: i128,
}

#[derive(Debug, Clone, Copy)]
struct TierF64 {
    lower: f64,
    rate: f64,
    deduction: f64,
}

/// The maintenance schedule of one market.
#[derive(Debug, Clone)]
pub struct Schedule {
    tiers: Vec<Tier>,
    denominator: i128,
    floats: Vec<TierF64>,
    jump: f64,
    magnitude: f64,
}

fn lcm(a: i128, b: i128) -> Option<i128> {
    let r = Ratio::new(a, b)?;
    a.checked_mul(r.den)
}

impl Schedule {
    /// Binds a configuration to a market.
    ///
    /// # Errors
    /// [`Error::Config`] if brackets are empty, do not start at zero, do not ascend, or have a rate outside 0..=1.
    pub fn bind(config: &MaintenanceConfig, market: &Market) -> Result<Self> {
        let fail = |what: &str| {
            Err(Error::Config(format!(
                "protocol: margin: market {}: {what}",
                market.name
            )))
        };
        let range = || {
            Error::Config(format!(
                "protocol: margin: market {}: figures out of range",
                market.name
            ))
        };
        let mut rows: Vec<(Ratio, Ratio, Ratio)> = Vec::new();
        match config {
            MaintenanceConfig::Flat { rate } => rows.push((Ratio::ZERO, *rate, Ratio::ZERO)),
            MaintenanceConfig::Brackets { tiers } => {
                for tier in tiers {
                    let deduction = match (tier.deduction, rows.last()) {
                        (Some(given), _) => given,
                        (None, None) => Ratio::ZERO,
                        (None, Some((_, rate, deduction))) => tier
                            .rate
                            .minus(*rate)
                            .and_then(|step| tier.lower.times(step))
                            .and_then(|step| deduction.plus(step))
                            .ok_or_else(range)?,
                    };
                    rows.push((tier.lower, tier.rate, deduction));
                }
            }
        }
        if rows.first().is_none_or(|(lower, _, _)| lower.num != 0) {
            return fail("expected brackets of which the first starts at 0");
        }
        if rows.iter().any(|(_, rate, _)| rate.num < 0 || rate.num > rate.den) {
            return fail("expected rates from 0 to 1");
        }
        let ascending = rows
            .windows(2)
            .all(|w| w[1].0.minus(w[0].0).is_some_and(|step| step.num > 0));
        if !ascending {
            return fail("expected brackets in ascending order");
        }

        let scale = Ratio::new(market.quote_scale(), 1).ok_or_else(range)?;
        let mut scaled = Vec::new();
        let mut denominator = 1;
        for (lower, rate, deduction) in rows {
            let lower = lower.times(scale).ok_or_else(range)?;
            let deduction = deduction.times(scale).ok_or_else(range)?;
            for den in [lower.den, rate.den, deduction.den] {
                denominator = lcm(denominator, den).ok_or_else(range)?;
            }
            scaled.push((lower, rate, deduction));
        }
        let over = |r: Ratio| r.num.checked_mul(denominator / r.den).ok_or_else(range);
        let tiers = scaled
            .iter()
            .map(|&(lower, rate, deduction)| {
                Ok(Tier {
                    lower: over(lower)?,
                    rate: over(rate)?,
                    deduction: over(deduction)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let floats: Vec<TierF64> = scaled
            .iter()
            .map(|&(l, r, d)| TierF64 {
                lower: l.as_f64(),
                rate: r.as_f64(),
                deduction: d.as_f64(),
            })
            .collect();
        // Height of the upward steps of the requirement where a linear market passes from one bracket to the next.
        let jump = match market.payoff {
            Payoff::Inverse => 0.0,
            Payoff::Linear => floats
                .windows(2)
                .map(|w| (w[1].lower * (w[1].rate - w[0].rate) - (w[1].deduction - w[0].deduction)).abs())
                .sum(),
        };
        let magnitude = floats.iter().map(|t| t.deduction.abs()).fold(0.0, f64::max);
        Ok(Self {
            tiers,
            denominator,
            floats,
            jump,
            magnitude,
        })
    }

    /// Maintenance requirement of a size at a price, rounded up, in units of the settlement asset.
    pub fn requirement(&self, market: &Market, size: Size, price: Price) -> Result<Amount> {
        let notional = market.bracket_notional(size, price)?;
        let den = market.bracket_den();
        let mut tier = &self.tiers[0];
        if self.tiers.len() > 1 {
            let reach = product(notional, self.denominator, "maintenance bracket")?;
            for next in &self.tiers[1..] {
                if reach < product(next.lower, den, "maintenance bracket")? {
                    break;
                }
                tier = next;
            }
        }
        let charged = product(notional, tier.rate, "maintenance requirement")?;
        let deducted = product(tier.deduction, den, "maintenance requirement")?;
        let mut divisor = product(den, self.denominator, "maintenance requirement")?;
        if market.payoff == Payoff::Inverse {
            divisor = product(divisor, i128::from(price.0), "maintenance requirement")?;
        }
        Ok(Amount(ceil_div(charged - deducted, divisor)))
    }

    /// Number of the bracket that a size is in at a price, from 0.
    ///
    /// # Errors
    /// Overflow.
    pub fn bracket(&self, market: &Market, size: Size, price: Price) -> Result<usize> {
        let den = market.bracket_den();
        let notional = market.bracket_notional(size, price)?;
        let reach = product(notional, self.denominator, "maintenance bracket")?;
        let mut bracket = 0;
        for next in &self.tiers[1..] {
            if reach < product(next.lower, den, "maintenance bracket")? {
                break;
            }
            bracket += 1;
        }
        Ok(bracket)
    }

    /// `value - requirement` of a size as lines in the price (linear) or its reciprocal (inverse), one for each bracket that it can be in
    /// at prices within `range`: the least of them is never more than the true difference. For bounds.
    pub(super) fn lines(&self, market: &Market, size: Size, range: (f64, f64), out: &mut Vec<Line>) {
        let scaled = size.0 as f64 * market.slope();
        let whole = scaled.abs();
        let (least, most) = match market.payoff {
            Payoff::Linear => (whole * range.0, whole * range.1),
            Payoff::Inverse => (whole, whole),
        };
        // Brackets are chosen with room for the rounding of their bounds and of the notional.
        let (least, most) = (least * (1.0 - 1e-9), most * (1.0 + 1e-9));
        for (k, tier) in self.floats.iter().enumerate() {
            let reached = k == 0 || tier.lower <= most;
            let left = self.floats.get(k + 1).is_some_and(|next| next.lower < least);
            if reached && !left {
                out.push(match market.payoff {
                    Payoff::Linear => Line {
                        slope: scaled - whole * tier.rate,
                        offset: tier.deduction,
                    },
                    Payoff::Inverse => Line {
                        slope: tier.deduction - scaled - whole * tier.rate,
                        offset: 0.0,
                    },
                });
            }
        }
    }

    /// Value and requirement of a size at a price in floating point, for bounds.
    pub fn health_f64(&self, market: &Market, size: Size, price: f64) -> (f64, f64) {
        let scaled = size.0 as f64 * market.slope();
        let (value, bracket, divisor) = match market.payoff {
            Payoff::Linear => (scaled * price, (scaled * price).abs(), 1.0),
            Payoff::Inverse => (-scaled / price, scaled.abs(), price),
        };
        let mut tier = &self.floats[0];
        for next in &self.floats[1..] {
            if bracket < next.lower {
                break;
            }
            tier = next;
        }
        (value, (bracket * tier.rate - tier.deduction) / divisor)
    }

    /// Sum of the heights of the requirement's upward steps, in settlement units.
    pub fn jump(&self) -> f64 {
        self.jump
    }

    /// Largest deduction, for the error margin of bounds.
    pub fn magnitude(&self) -> f64 {
        self.magnitude
    }
}
