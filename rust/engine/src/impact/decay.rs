//! What time leaves of a volume: two to a negative power, in integers, the same on every machine.

use crate::error::Result;
use crate::units::product;

/// Steps of a half-life: between them nothing changes.
pub const STEPS: i64 = 64;

/// Halvings of the exponent that make a step.
const BITS: u32 = STEPS.trailing_zeros();

/// One, in the fixed point of the table.
const ONE_BITS: u32 = 62;

/// `2^(62 - 1/2^i)` for i from 1 on: each the square root of the one before, rounded down.
const ROOTS: [u128; BITS as usize] = {
    let mut roots = [0; BITS as usize];
    let mut last: u128 = 1 << (ONE_BITS - 1);
    let mut i = 0;
    while i < roots.len() {
        last = (last << ONE_BITS).isqrt();
        roots[i] = last;
        i += 1;
    }
    roots
};

/// A half-life; None: nothing is forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Decay {
    half_life: Option<i64>,
}

impl Decay {
    /// With this half-life in nanoseconds.
    pub fn new(half_life: Option<i64>) -> Self {
        Self { half_life }
    }

    /// What is left of `n` after `d` nanoseconds, toward zero.
    pub fn left(self, n: i128, d: i64) -> Result<i128> {
        let Some(half_life) = self.half_life.filter(|_| d > 0 && n != 0) else {
            return Ok(n);
        };
        if half_life == 0 {
            return Ok(0);
        }
        let (halvings, rest) = (d / half_life, d % half_life);
        if halvings >= 127 {
            return Ok(0);
        }
        let step = (i128::from(rest) * i128::from(STEPS) / i128::from(half_life)) as u32;
        let mut factor = 1u128 << ONE_BITS;
        for (i, root) in ROOTS.iter().enumerate() {
            if step >> (BITS - 1 - i as u32) & 1 == 1 {
                factor = (factor * root) >> ONE_BITS;
            }
        }
        let scaled = product(n.abs(), factor as i128, "decay of a displacement")?;
        Ok(n.signum() * (scaled >> ONE_BITS >> halvings))
    }

    /// Steps that have passed after `d` nanoseconds; None if nothing is forgotten.
    pub fn steps(self, d: i64) -> Option<i64> {
        let half_life = i128::from(self.half_life?);
        let steps = i128::from(d.max(0)) * i128::from(STEPS) / half_life.max(1);
        i64::try_from(steps).ok()
    }

    /// The first delay at which so many steps have passed; None beyond the range of time, or if nothing is forgotten.
    pub fn delay(self, steps: i64) -> Option<i64> {
        let half_life = i128::from(self.half_life?);
        if half_life == 0 {
            return Some(1);
        }
        // Least d with floor(64 d / H) >= steps.
        let d = (i128::from(steps) * half_life + i128::from(STEPS) - 1) / i128::from(STEPS);
        i64::try_from(d).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_left_after_a_half_life() {
        let decay = Decay::new(Some(640));
        let left = |d| decay.left(1_000_000, d).unwrap();
        assert_eq!(
            (left(0), left(640), left(1280), left(9)),
            (1_000_000, 500_000, 250_000, 1_000_000)
        );
        // 2^(-1/64) and 2^(-1/2).
        assert_eq!((left(10), left(320)), (989_228, 707_106));
        assert_eq!(decay.left(-3, 641 * 640).unwrap(), 0);
        assert_eq!(Decay::new(None).left(7, i64::MAX).unwrap(), 7);
        assert_eq!(Decay::new(Some(0)).left(7, 1).unwrap(), 0);
        assert_eq!(ROOTS[0], 3_260_954_456_333_195_553);
    }

    proptest::proptest! {
        #[test]
        fn less_is_left_later(n in 0i128..1 << 60, half_life in 0i64..5_000, d in 0i64..40_000) {
            let decay = Decay::new(Some(half_life));
            let (now, later) = (decay.left(n, d).unwrap(), decay.left(n, d + 1).unwrap());
            proptest::prop_assert!(0 <= later && later <= now);
            proptest::prop_assert_eq!(decay.left(-n, d).unwrap(), -now);
        }

        #[test]
        fn a_delay_is_the_first_of_its_step(half_life in 1i64..5_000, steps in 1i64..1_000) {
            let delay = Decay::new(Some(half_life)).delay(steps).unwrap();
            let passed = |d: i64| d * STEPS / half_life;
            proptest::prop_assert!(passed(delay) >= steps && passed(delay - 1) < steps);
        }
    }
}
