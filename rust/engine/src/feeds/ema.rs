//! Exponential average of irregular steps: numerator and denominator decay with the time between updates of the source,
//! `num <- num a + x dt`, `den <- den a + dt`, `a = exp(-dt / time constant)`, and the value is their quotient.
//!
//! Kept as the value and the denominator, so that no numerator grows with the price: `value <- value + (x - value) dt / den`. All of
//! it is fixed-point integers with directed roundings, and `a` is a product from a table of integer square roots, so that the same
//! states come out on every machine (semantics, section 3).
//!
//! Source: Hyperliquid docs, robust price indices (150 s, 30 s, 8 h).

use super::sampled::Average;
use crate::error::{Error, Result};
use crate::units::{floor_div, product};

/// Binary places of a decay factor.
const FACTOR: u32 = 60;
/// Binary places of an exponent.
const EXPONENT: u32 = 40;
/// `floor(2^40 log2 e)`.
const LOG2_E: i128 = 1_586_259_972_792;
/// Binary places of the denominator, which is in nanoseconds.
const DENOMINATOR: u32 = 12;
/// Binary places of the value, which is in units of the price.
const VALUE: u32 = 20;

/// `2^(-2^-k)` for k = 1 to 40 in units of `2^-60`: integer square roots, each of the one before.
fn roots() -> [u64; EXPONENT as usize] {
    let mut roots = [0; EXPONENT as usize];
    let mut root = 1u128 << (FACTOR - 1);
    for slot in &mut roots {
        root = (root << FACTOR).isqrt();
        *slot = root as u64;
    }
    roots
}

/// Factors by which weights decay.
#[derive(Debug, Clone)]
struct Decay {
    time_constant: i64,
    roots: [u64; EXPONENT as usize],
}

impl Decay {
    /// `exp(-dt / time constant)` in units of `2^-60`.
    fn over(&self, dt: i128) -> Result<u128> {
        let y = product(dt, LOG2_E, "exponential average")? / i128::from(self.time_constant);
        let whole = y >> EXPONENT;
        if whole > i128::from(FACTOR) {
            return Ok(0);
        }
        let mut factor = 1u128 << FACTOR;
        let mut left = (y as u64) & ((1 << EXPONENT) - 1);
        while left != 0 {
            let top = 63 - left.leading_zeros();
            left &= !(1 << top);
            let root = self.roots[(EXPONENT - 1 - top) as usize];
            factor = (factor * u128::from(root)) >> FACTOR;
        }
        Ok(factor >> whole)
    }
}

/// An average between two updates.
#[derive(Debug, Clone)]
pub(super) struct Ema {
    decay: Decay,
    /// Time of the last update.
    ts: Option<i64>,
    value: i128,
    denominator: i128,
}

impl Ema {
    pub fn new(time_constant: i64) -> Self {
        Self {
            decay: Decay {
                time_constant,
                roots: roots(),
            },
            ts: None,
            value: 0,
            denominator: 0,
        }
    }
}

impl Average for Ema {
    type State = i64;

    fn first(price: i64) -> i64 {
        price
    }

    fn take(&mut self, ts: i64, price: i64) -> Result<()> {
        let price = i128::from(price) << VALUE;
        let Some(before) = self.ts.replace(ts) else {
            self.value = price;
            return Ok(());
        };
        let dt = i128::from(ts) - i128::from(before);
        let factor = self.decay.over(dt)? as i128;
        let kept = product(self.denominator, factor, "exponential average")? >> FACTOR;
        let dt = dt << DENOMINATOR;
        self.denominator = kept
            .checked_add(dt)
            .ok_or_else(|| Error::overflow("exponential average"))?;
        let step = product(price - self.value, dt, "exponential average")?;
        self.value += floor_div(step, self.denominator);
        Ok(())
    }

    fn at(&mut self, _: i64) -> Result<i64> {
        Ok((self.value >> VALUE) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sampled::{Cadence, Sampled, tests::states};

    #[test]
    fn decay_is_that_of_the_exponential() {
        let decay = Decay {
            time_constant: 150_000_000_000,
            roots: roots(),
        };
        for dt in [
            0i128,
            1_000_000,
            1_000_000_000,
            150_000_000_000,
            1_000_000_000_000,
            6_000_000_000_000,
        ] {
            let exact = libm::exp(-(dt as f64) / 150e9);
            let got = decay.over(dt).unwrap() as f64 / (1u64 << FACTOR) as f64;
            assert!((got - exact).abs() <= 1e-10 * exact + 1e-17, "{dt}: {got} {exact}");
        }
        assert_eq!(decay.over(i128::from(i64::MAX)).unwrap(), 0);
    }

    #[test]
    fn weighs_updates_by_the_time_since_the_one_before() {
        let fresh = || {
            let mut feed = Sampled::new(Cadence { every: 10, offset: 0 }, Ema::new(10));
            Box::new(move |source: &_, until| feed.advance(source, until).unwrap()) as Box<dyn FnMut(&_, i64) -> _>
        };
        let source = [(0, 1000), (5, 900), (9, 500), (9, 800), (20, 100)];
        let mut expected = vec![(0, 1000)];
        let (mut num, mut den) = (900.0 * 5.0, 5.0f64);
        for (x, dt) in [(800.0, 4.0), (100.0, 11.0f64)] {
            let a = libm::exp(-dt / 10.0);
            (num, den) = (num * a + x * dt, den * a + dt);
            let point = if dt == 4.0 { 10 } else { 20 };
            expected.push((point, (num / den).floor() as i64));
        }
        expected.push((30, expected[2].1));
        assert_eq!(states(fresh, &source, 35), expected);
    }
}
