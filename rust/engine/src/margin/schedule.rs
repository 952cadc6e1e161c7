//! Maintenance brackets: a rate on the whole notional less a deduction, chosen by the quote notional.
//!
//! Source of the form: Binance USD-M maintenance tables (rate and `cum`), Hyperliquid margin tiers (deduction by continuity).

use super::bound::Line;
use super::rule::Quote;
use crate::config::TierConfig;
use crate::contract::Market;
use crate::error::Result;
use crate::market::Payoff;
use crate::units::{Price, Ratio, Size, lcm, product};

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

impl Schedule {
    /// Binds brackets to a market. The error says what is wrong.
    pub(super) fn bind(tiers: &[TierConfig], market: &Market) -> std::result::Result<Self, &'static str> {
        const RANGE: &str = "figures out of range";
        let range = || RANGE;
        let fail = Err;
        let mut rows: Vec<(Ratio, Ratio, Ratio)> = Vec::new();
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
            .collect::<std::result::Result<Vec<_>, &'static str>>()?;
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

    /// Requirement of a size at a price, before it is settled.
    pub(super) fn quote(&self, market: &Market, size: Size, price: Price) -> Result<Quote> {
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
        Ok(Quote {
            num: charged - deducted,
            den: product(den, self.denominator, "maintenance requirement")?,
        })
    }

    /// Number of the bracket that a size is in at a price, from 0.
    pub(super) fn bracket(&self, market: &Market, size: Size, price: Price) -> Result<usize> {
        let (notional, den) = (market.bracket_notional(size, price)?, market.bracket_den());
        let mut bracket = 0;
        if self.tiers.len() > 1 {
            let reach = product(notional, self.denominator, "maintenance bracket")?;
            for next in &self.tiers[1..] {
                if reach < product(next.lower, den, "maintenance bracket")? {
                    break;
                }
                bracket += 1;
            }
        }
        Ok(bracket)
    }

    /// The requirement of a size as lines in the price (linear) or its reciprocal (inverse), one for each bracket that it can be in at
    /// prices within `range`: the greatest of them is never less than the requirement. For bounds.
    pub(super) fn charges(&self, market: &Market, size: Size, range: (f64, f64), mut push: impl FnMut(Line)) {
        let whole = (size.0 as f64 * market.slope()).abs();
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
                push(match market.payoff {
                    Payoff::Linear => Line {
                        slope: whole * tier.rate,
                        offset: -tier.deduction,
                    },
                    Payoff::Inverse => Line {
                        slope: whole * tier.rate - tier.deduction,
                        offset: 0.0,
                    },
                });
            }
        }
    }

    /// Requirement of a size at a price in floating point, for bounds.
    pub(super) fn quote_f64(&self, market: &Market, size: Size, price: f64) -> f64 {
        let scaled = (size.0 as f64 * market.slope()).abs();
        let (bracket, divisor) = match market.payoff {
            Payoff::Linear => (scaled * price, 1.0),
            Payoff::Inverse => (scaled, price),
        };
        let mut tier = &self.floats[0];
        for next in &self.floats[1..] {
            if bracket < next.lower {
                break;
            }
            tier = next;
        }
        (bracket * tier.rate - tier.deduction) / divisor
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
