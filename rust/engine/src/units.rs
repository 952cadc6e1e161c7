//! Fixed-point newtypes that cannot be mixed, and the directed divisions of the rounding table.
//!
//! Scales (decimals) belong to the market or the asset; a newtype holds the integer. All arithmetic that could leave the range is
//! checked and reports [`Error::Overflow`].

use std::cmp::Ordering;
use std::fmt;

use crate::decimal::{Decimal, checked_pow10};
use crate::error::{Error, Result};

/// A price in `10^-price_decimals` quote units. Positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

/// A signed size in `10^-size_decimals` base units or contracts; positive is long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub i64);

/// A signed amount of one asset, in the asset's own unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i128);

/// An amount in micro-dollars: a view at some price, never a holding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(pub i128);

macro_rules! money {
    ($name:ident) => {
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// Checked sum.
            pub fn plus(self, other: Self) -> Result<Self> {
                self.0
                    .checked_add(other.0)
                    .map(Self)
                    .ok_or_else(|| Error::overflow(concat!(stringify!($name), " sum")))
            }

            /// Checked difference.
            pub fn minus(self, other: Self) -> Result<Self> {
                self.0
                    .checked_sub(other.0)
                    .map(Self)
                    .ok_or_else(|| Error::overflow(concat!(stringify!($name), " difference")))
            }

            /// The amount if positive, else nothing.
            pub fn positive(self) -> Self {
                Self(self.0.max(0))
            }

            /// How far below zero the amount is; nothing if it is not.
            pub fn deficit(self) -> Self {
                Self(self.0.min(0).saturating_neg())
            }

            /// Sign changed.
            pub fn negated(self) -> Self {
                Self(self.0.saturating_neg())
            }

            /// True if nothing.
            pub fn is_zero(self) -> bool {
                self.0 == 0
            }
        }
    };
}

money!(Amount);
money!(Usd);

impl Size {
    /// No size.
    pub const ZERO: Self = Self(0);

    /// Number of units, without direction.
    pub fn units(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// `units` in the direction of `self`.
    pub fn of_same_sign(self, units: u64) -> Result<Self> {
        let units = i64::try_from(units).map_err(|_| Error::overflow("size"))?;
        Ok(Self(if self.0 < 0 { -units } else { units }))
    }

    /// Checked sum.
    pub fn plus(self, other: Self) -> Result<Self> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or_else(|| Error::overflow("size sum"))
    }

    /// Sign changed.
    pub fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// True if there is no size.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// `a / b` toward minus infinity; `b` positive.
#[inline]
pub fn floor_div(a: i128, b: i128) -> i128 {
    debug_assert!(b > 0);
    if b == 1 {
        return a;
    }
    // Most figures fit in 64 bits, whose division is several times faster.
    if let (Ok(a), Ok(b)) = (i64::try_from(a), i64::try_from(b)) {
        return i128::from(a.div_euclid(b));
    }
    let quotient = a / b;
    if a < 0 && quotient * b != a {
        quotient - 1
    } else {
        quotient
    }
}

/// `a / b` toward plus infinity; `b` positive.
pub fn ceil_div(a: i128, b: i128) -> i128 {
    -floor_div(-a, b)
}

/// Checked product, naming what was computed.
#[inline]
pub fn product(a: i128, b: i128, what: &'static str) -> Result<i128> {
    checked_product(a, b).ok_or_else(|| Error::overflow(what))
}

/// Checked product. Most factors fit in 64 bits, where nothing can overflow and nothing needs a check.
#[inline]
pub fn checked_product(a: i128, b: i128) -> Option<i128> {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => Some(i128::from(a) * i128::from(b)),
        _ => a.checked_mul(b),
    }
}

/// `floor(a * b / c)`; `c` positive. Only the result has to fit.
pub fn mul_div_floor(a: i128, b: i128, c: i128, what: &'static str) -> Result<i128> {
    if let Some(product) = checked_product(a, b) {
        return Ok(floor_div(product, c));
    }
    let (quotient, rest) =
        wide_mul_div(a.unsigned_abs(), b.unsigned_abs(), c.unsigned_abs()).ok_or_else(|| Error::overflow(what))?;
    let quotient = i128::try_from(quotient).map_err(|_| Error::overflow(what))?;
    Ok(if (a < 0) == (b < 0) {
        quotient
    } else {
        -quotient - i128::from(rest)
    })
}

/// `ceil(a * b / c)`; `c` positive. Only the result has to fit.
pub fn mul_div_ceil(a: i128, b: i128, c: i128, what: &'static str) -> Result<i128> {
    let negated = a.checked_neg().ok_or_else(|| Error::overflow(what))?;
    Ok(-mul_div_floor(negated, b, c, what)?)
}

/// Compares `a * b` with `c * d`, which need not fit.
pub fn compare_products((a, b): (i128, i128), (c, d): (i128, i128)) -> Ordering {
    let signed = |a: i128, b: i128| {
        (
            a.signum() * b.signum(),
            wide_product(a.unsigned_abs(), b.unsigned_abs()),
        )
    };
    let ((left, x), (right, y)) = (signed(a, b), signed(c, d));
    left.cmp(&right).then(if left < 0 { y.cmp(&x) } else { x.cmp(&y) })
}

/// `a * b`, the high half first.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const HALF: u32 = 64;
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> HALF, a & LOW, b >> HALF, b & LOW);
    let cross = ((a0 * b0) >> HALF) + ((a1 * b0) & LOW) + ((a0 * b1) & LOW);
    let high = a1 * b1 + ((a1 * b0) >> HALF) + ((a0 * b1) >> HALF) + (cross >> HALF);
    (high, (cross << HALF) | ((a0 * b0) & LOW))
}

/// `a * b / c` and whether anything is left over; None if it does not fit. The product has up to 256 bits.
fn wide_mul_div(a: u128, b: u128, c: u128) -> Option<(u128, bool)> {
    let (mut high, mut low) = wide_product(a, b);
    if high >= c {
        return None;
    }
    // By hand, bit by bit: what is left stays below `c`, and the bits of the quotient take the place of those that leave `low`.
    for _ in 0..u128::BITS {
        let carry = high >> (u128::BITS - 1) != 0;
        high = high << 1 | low >> (u128::BITS - 1);
        low <<= 1;
        if carry || high >= c {
            high = high.wrapping_sub(c);
            low |= 1;
        }
    }
    Some((low, high != 0))
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Least common multiple of positive numbers; None beyond the range.
pub fn lcm(a: i128, b: i128) -> Option<i128> {
    a.checked_mul(b / gcd(a, b).max(1))
}

/// An exact fraction `num / den`, reduced, `den > 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// Numerator.
    pub num: i128,
    /// Denominator, positive.
    pub den: i128,
}

impl Ratio {
    /// Zero.
    pub const ZERO: Self = Self { num: 0, den: 1 };
    /// One.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// The reduced fraction; None if `den` is zero.
    pub fn new(num: i128, den: i128) -> Option<Self> {
        if den == 0 || num == i128::MIN || den == i128::MIN {
            return None;
        }
        let g = gcd(num.abs(), den.abs()).max(1) * den.signum();
        Some(Self {
            num: num / g,
            den: den / g,
        })
    }

    /// Parses a decimal (`0.0125`, `1e-3`) or a fraction (`1/30`).
    pub fn parse(text: &str) -> Option<Self> {
        let whole = |t: &str| {
            let d = Decimal::parse(t)?;
            Self::new(d.mantissa, checked_pow10(d.scale)?)
        };
        match text.split_once('/') {
            None => whole(text),
            Some((a, b)) => {
                let (a, b) = (whole(a)?, whole(b)?);
                Self::new(a.num.checked_mul(b.den)?, a.den.checked_mul(b.num)?)
            }
        }
    }

    /// `10^exponent`.
    pub fn power_of_ten(exponent: i64) -> Option<Self> {
        let p = checked_pow10(u32::try_from(exponent.unsigned_abs()).ok()?)?;
        if exponent >= 0 {
            Self::new(p, 1)
        } else {
            Self::new(1, p)
        }
    }

    /// Checked product.
    pub fn times(self, other: Self) -> Option<Self> {
        // Reduce crosswise first, so that the products stay small.
        let (a, b) = (Self::new(self.num, other.den)?, Self::new(other.num, self.den)?);
        Self::new(a.num.checked_mul(b.num)?, a.den.checked_mul(b.den)?)
    }

    /// Checked sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        let num = self
            .num
            .checked_mul(other.den)?
            .checked_add(other.num.checked_mul(self.den)?)?;
        Self::new(num, self.den.checked_mul(other.den)?)
    }

    /// Checked difference.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self {
            num: other.num.checked_neg()?,
            den: other.den,
        })
    }

    /// `floor(self * n)`.
    pub fn floor_of(self, n: i128, what: &'static str) -> Result<i128> {
        mul_div_floor(n, self.num, self.den, what)
    }

    /// `ceil(self * n)`.
    pub fn ceil_of(self, n: i128, what: &'static str) -> Result<i128> {
        mul_div_ceil(n, self.num, self.den, what)
    }

    /// Nearest double, for bounds only.
    pub fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

/// Splits a total by weights with cumulated floors, so that the parts sum to the total when all weights have been given.
///
/// Rounding table: "shares of a total".
#[derive(Debug, Clone, Copy)]
pub struct Split {
    total: i128,
    weight: i128,
    given_weight: i128,
    given: i128,
}

impl Split {
    /// `total` over a sum of weights `weight`, which is positive.
    pub fn new(total: i128, weight: i128) -> Self {
        Self {
            total,
            weight,
            given_weight: 0,
            given: 0,
        }
    }

    /// The share of the next weight.
    pub fn next(&mut self, weight: i128) -> Result<i128> {
        self.given_weight += weight;
        let upto = mul_div_floor(self.total, self.given_weight, self.weight, "share of a total")?;
        let share = upto - self.given;
        self.given = upto;
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_are_directed() {
        assert_eq!((floor_div(-7, 2), ceil_div(-7, 2)), (-4, -3));
        assert_eq!((floor_div(7, 2), ceil_div(7, 2)), (3, 4));
        assert_eq!((floor_div(-1, i128::MAX), ceil_div(1, i128::MAX)), (-1, 1));
        assert_eq!(floor_div(i128::MIN, 3), i128::MIN.div_euclid(3));
    }

    #[test]
    fn products_of_256_bits_are_divided() {
        let big = 10i128.pow(30);
        assert_eq!(mul_div_floor(big, big + 1, big, "x").unwrap(), big + 1);
        assert_eq!(mul_div_floor(-big, big, big + 1, "x").unwrap(), -big + 1 - 1);
        assert_eq!(mul_div_ceil(-big, big, big + 1, "x").unwrap(), -big + 1);
        assert_eq!(mul_div_ceil(big, big, big + 1, "x").unwrap(), big);
        assert_eq!(mul_div_floor(i128::MAX, i128::MAX, i128::MAX, "x").unwrap(), i128::MAX);
        assert!(mul_div_floor(i128::MAX, 3, 2, "x").is_err());
        assert!(mul_div_floor(i128::MAX, i128::MAX, 1, "x").is_err());
    }

    #[test]
    fn ratios_are_exact() {
        assert_eq!(Ratio::parse("1/30"), Ratio::new(1, 30));
        assert_eq!(Ratio::parse("0.0125"), Ratio::new(1, 80));
        assert_eq!(Ratio::parse("1/0"), None);
        let third = Ratio::parse("1/3").unwrap();
        assert_eq!(third.times(Ratio::parse("0.3").unwrap()), Ratio::new(1, 10));
        assert_eq!(third.minus(third), Some(Ratio::ZERO));
    }

    proptest::proptest! {
        #[test]
        fn division_is_euclidean(a: i128, b in 1i128.., shift_a in 0u32..128, shift_b in 0u32..127) {
            let (a, b) = (a >> shift_a, (b >> shift_b).max(1));
            proptest::prop_assert_eq!(floor_div(a, b), a.div_euclid(b));
            proptest::prop_assert_eq!(checked_product(a, b), a.checked_mul(b));
        }

        #[test]
        fn products_are_compared(a: i128, b: i128, c: i128, d: i128, shift in 0u32..127) {
            let (a, b, c, d) = (a >> shift, b >> shift, c >> shift, d >> shift);
            let order = a.checked_mul(b).zip(c.checked_mul(d)).map(|(x, y)| x.cmp(&y));
            if let Some(order) = order {
                proptest::prop_assert_eq!(compare_products((a, b), (c, d)), order);
            }
            proptest::prop_assert_eq!(compare_products((a, b), (b, a)), Ordering::Equal);
        }

        #[test]
        fn only_the_result_of_a_division_has_to_fit(q: i128, c in 1i128.., shift_q in 0u32..127, shift_c in 0u32..127, b: i64, r in 0i128..) {
            // (q c + r) b / (c b) for a product that is known without being computed.
            let (q, c) = (q >> shift_q, (c >> shift_c).max(1));
            let b = i128::from(b).abs().max(1);
            let exact = q.checked_mul(c).and_then(|n| n.checked_add(r % c)).zip(c.checked_mul(b));
            if let Some((a, of)) = exact {
                proptest::prop_assert_eq!(mul_div_floor(a, b, of, "q").unwrap(), q);
                let up = q + i128::from(r % c != 0);
                proptest::prop_assert_eq!(mul_div_ceil(a, b, of, "q").unwrap(), up);
            }
        }

        #[test]
        fn shares_sum_to_the_total(total in -1_000_000i128..1_000_000, weights in proptest::collection::vec(0i128..1000, 1..8)) {
            let sum: i128 = weights.iter().sum();
            proptest::prop_assume!(sum > 0);
            let mut split = Split::new(total, sum);
            let parts: i128 = weights.iter().map(|&w| split.next(w).unwrap()).sum();
            proptest::prop_assert_eq!(parts, total);
        }
    }
}
