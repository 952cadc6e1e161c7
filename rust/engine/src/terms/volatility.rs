//! Dynamic margin: requirements scaled by the realised volatility of a feed.
//!
//! The feed is sampled at multiples of the sample interval; a return is in billionths, rounded toward zero; the variance is the sum of
//! the squares of those that the look-back holds. At multiples of the cadence the scale follows the root of it over the base
//! volatility, in millionths rounded down, within its limits.
//!
//! Source of the form: volatility-scaled margin, as portfolio margin systems and mitigation proposals for perpetuals have it.

use std::collections::VecDeque;

use crate::config::DynamicConfig;
use crate::error::{Error, Result};
use crate::feeds::Series;
use crate::margin::Scale;
use crate::units::{Price, Ratio, floor_div, product};

const BILLION: i128 = 1_000_000_000;
const MILLION: i128 = 1_000_000;

/// The volatility of one market between two windows.
#[derive(Debug, Clone)]
pub(super) struct Volatility {
    sample: i64,
    cadence: i64,
    returns: usize,
    /// Square of the base volatility.
    base: Ratio,
    floor: Scale,
    cap: Scale,
    rise: i64,
    fall: i64,
    /// Squared returns of the look-back, and their sum.
    squares: VecDeque<i128>,
    variance: i128,
    /// The last sample.
    last: Option<Price>,
    scale: Scale,
}

impl Volatility {
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn new(config: &DynamicConfig) -> Result<Self> {
        let fail = |what: &str| Error::Config(format!("protocol: margin.dynamic: {what}"));
        let (sample, cadence, look_back) = (config.sample, config.cadence, config.look_back);
        if sample <= 0 || cadence <= 0 || look_back <= 0 || cadence % sample != 0 || look_back % sample != 0 {
            return Err(fail(
                "expected cadence and look_back to be multiples of sample, all positive",
            ));
        }
        let limits = [config.floor, config.cap];
        let steps = [config.max_rise, config.max_fall];
        if config.base.num <= 0
            || limits.iter().chain(steps.iter().flatten()).any(|r| r.num < 0)
            || config.cap.minus(config.floor).is_none_or(|room| room.num < 0)
        {
            return Err(fail(
                "expected a positive base, limits that are not negative, and a cap of at least floor",
            ));
        }
        let millionths = |r: Ratio| {
            let n = floor_div(product(r.num, MILLION, "scale")?, r.den);
            i64::try_from(n).map_err(|_| Error::overflow("scale"))
        };
        let step = |r: Option<Ratio>| r.map_or(Ok(i64::MAX), millionths);
        let floor = Scale(millionths(config.floor)?);
        Ok(Self {
            sample,
            cadence,
            returns: usize::try_from(look_back / sample).map_err(|_| fail("too many samples"))?,
            base: config
                .base
                .times(config.base)
                .ok_or_else(|| fail("base is out of range"))?,
            floor,
            cap: Scale(millionths(config.cap)?),
            rise: step(config.max_rise)?,
            fall: step(config.max_fall)?,
            squares: VecDeque::new(),
            variance: 0,
            last: None,
            scale: floor,
        })
    }

    /// The scale as it stands.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The updates after `after`, up to `until`.
    pub fn advance(&mut self, feed: &Series, after: i64, until: i64) -> Result<Vec<(i64, Scale)>> {
        let mut out = Vec::new();
        let mut last = self.last.unwrap_or_else(|| feed.at(after));
        let mut next = feed.count(after);
        let mut t = super::accruals::first_multiple(self.sample, after);
        while let Some(now) = t.filter(|&t| t <= until) {
            next += feed.ts[next..].iter().take_while(|&&u| u <= now).count();
            let price = feed.after_states(next);
            self.take(price, last)?;
            last = price;
            if now % self.cadence == 0 {
                out.push((now, self.update()?));
            }
            t = now.checked_add(self.sample);
        }
        self.last = Some(last);
        Ok(out)
    }

    fn take(&mut self, price: Price, last: Price) -> Result<()> {
        let change = i128::from(price.0) - i128::from(last.0);
        let back = product(change, BILLION, "return")? / i128::from(last.0);
        let square = product(back, back, "squared return")?;
        self.squares.push_back(square);
        let sum = self.variance.checked_add(square);
        self.variance = sum.ok_or_else(|| Error::overflow("realised variance"))?;
        if self.squares.len() > self.returns
            && let Some(old) = self.squares.pop_front()
        {
            self.variance -= old;
        }
        Ok(())
    }

    fn update(&mut self) -> Result<Scale> {
        // In millionths: (V / 10^18) / base^2 * 10^12.
        let over = product(self.variance, self.base.den, "realised variance")?;
        let square = floor_div(over, product(self.base.num, MILLION, "base volatility")?);
        let root = square.unsigned_abs().isqrt().min(i64::MAX.unsigned_abs().into());
        let wanted = i64::try_from(root).unwrap_or(i64::MAX);
        let wanted = wanted.clamp(self.floor.0, self.cap.0);
        let Scale(now) = self.scale;
        self.scale = Scale(wanted.clamp(now.saturating_sub(self.fall), now.saturating_add(self.rise)));
        Ok(self.scale)
    }
}
