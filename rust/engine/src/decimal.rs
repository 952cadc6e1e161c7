//! Exact decimals at the border: text and floats become integers in a stated number of decimals, or an error.

use std::fmt::{self, Write as _};

use crate::units::checked_product;

/// The largest number of decimals that any quantity may have.
pub const MAX_DECIMALS: u32 = 18;

/// `10^n`, for `n <= 38`.
pub const fn pow10(n: u32) -> i128 {
    POW10[n as usize]
}

const POW10: [i128; 39] = {
    let mut powers = [1; 39];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// An exact decimal number: `mantissa * 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// Digits with sign.
    pub mantissa: i128,
    /// Number of decimals.
    pub scale: u32,
}

impl Decimal {
    /// Parses `-12.5`, `1e6`, `0.0125`. None if it is not a finite decimal number of at most 38 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (body, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match body.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, body.strip_prefix('+').unwrap_or(body)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            mantissa = checked_product(mantissa, 10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let mut value = Self {
            mantissa: if negative { -mantissa } else { mantissa },
            scale: 0,
        };
        if scale < 0 {
            value.mantissa = value.mantissa.checked_mul(checked_pow10(scale.unsigned_abs())?)?;
        } else {
            value.scale = scale.unsigned_abs();
            value = value.stripped();
        }
        (value.scale <= 38).then_some(value)
    }

    /// The shortest decimal that reads back as the float; None if it is not finite or has more than 38 digits.
    pub fn from_float(x: f64) -> Option<Self> {
        if let Some((mantissa, scale)) = shortest(x) {
            return Some(Self {
                mantissa: i128::from(mantissa),
                scale,
            });
        }
        let mut text = FloatText::default();
        write!(text, "{x:e}").ok()?;
        Self::parse(std::str::from_utf8(&text.bytes[..text.len]).ok()?)
    }

    /// The same number without zeros at the end.
    pub fn stripped(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The integer `self * 10^decimals`, or None if it is not an integer or does not fit.
    pub fn to_integer(self, decimals: u32) -> Option<i128> {
        if self.scale <= decimals {
            checked_product(self.mantissa, checked_pow10(decimals - self.scale)?)
        } else {
            let divisor = checked_pow10(self.scale - decimals)?;
            (self.mantissa % divisor == 0).then(|| self.mantissa / divisor)
        }
    }
}

/// Room for a float in scientific notation, at most 24 bytes.
#[derive(Default)]
struct FloatText {
    bytes: [u8; 32],
    len: usize,
}

impl fmt::Write for FloatText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes
            .get_mut(self.len..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let sign = if self.mantissa < 0 { "-" } else { "" };
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// `10^n` if it fits.
pub fn checked_pow10(n: u32) -> Option<i128> {
    POW10.get(n as usize).copied()
}

/// `10^15`: a decimal with a mantissa below it survives the way through a double and back, and no other such decimal gives the
/// same double.
const DIGITS_15: f64 = 1e15;

/// The integer `x * 10^decimals`, where `x` stands for the one decimal number of at most 15 digits that reads back as `x`.
///
/// Exact: `n / 10^k` is correctly rounded when both are exactly representable, so equality means that `x` is the double nearest
/// to the decimal. None for a value that has more digits or decimals, is not finite, or does not fit.
pub fn quantise(x: f64, decimals: u32) -> Option<i64> {
    let scale = *POW10_F64.get(decimals as usize)?;
    let n = (x * scale).round();
    if n.abs() < DIGITS_15 {
        return (n / scale == x).then_some(n as i64);
    }
    // More digits than a double carries, unless the last ones are zeros.
    let (mantissa, fewest) = shortest(x)?;
    let zeros = checked_pow10(decimals.checked_sub(fewest)?)?;
    i64::try_from(i128::from(mantissa).checked_mul(zeros)?).ok()
}

/// `x` as `mantissa * 10^-decimals` with the fewest decimals, at most [`MAX_DECIMALS`], and a mantissa of at most 15 digits.
pub fn shortest(x: f64) -> Option<(i64, u32)> {
    // What has few decimals has more of them too, as long as 15 digits hold them: one look at the most of them is enough.
    let holds = |scale: &f64| x.abs() * scale < DIGITS_15 - 0.5;
    let most = POW10_F64[..=MAX_DECIMALS as usize]
        .partition_point(holds)
        .checked_sub(1)?;
    let scale = POW10_F64[most];
    let n = (x * scale).round();
    if n / scale != x {
        return None;
    }
    let (mut mantissa, mut decimals) = (n as i64, most as u32);
    while decimals > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        decimals -= 1;
    }
    Some((mantissa, decimals))
}

/// The fewest decimals, at most [`MAX_DECIMALS`], that [`quantise`] accepts for `x`.
pub fn decimals_of(x: f64) -> Option<u32> {
    shortest(x).map(|(_, decimals)| decimals)
}

/// Writes `x * 10^decimals` of every `x` to `out`, if every `x` is at least `least` (0, or a positive number) and [`quantise`] takes it
/// without its detour for trailing zeros. False: `out` holds nothing useful, look at the values one by one.
pub(crate) fn quantise_block(xs: &[f64], least: f64, decimals: u32, out: &mut [i64]) -> bool {
    // Adding 2^52 to a number in [0, 2^52) rounds it to an integer and leaves that in the low bits: this is `round` and the
    // cast in a form that every processor does several at a time. (Ties cannot pass the test either way.)
    const SHIFT: f64 = 4_503_599_627_370_496.0;
    let Some(&scale) = POW10_F64.get(decimals as usize) else {
        return false;
    };
    let mut good = true;
    for (&x, slot) in xs.iter().zip(out) {
        let scaled = x * scale;
        let shifted = scaled + SHIFT;
        good &= (x >= least) & (scaled < DIGITS_15) & ((shifted - SHIFT) / scale == x);
        *slot = (shifted.to_bits() as i64).wrapping_sub(SHIFT.to_bits() as i64);
    }
    good
}

const POW10_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, mantissa, scale) in [
            ("0.0125", 125, 4),
            ("-12.50", -125, 1),
            ("1e6", 1_000_000, 0),
            ("1.5e-3", 15, 4),
            ("7", 7, 0),
            (".5", 5, 1),
        ] {
            assert_eq!(Decimal::parse(text), Some(Decimal { mantissa, scale }), "{text}");
        }
        for text in ["", "-", "1.2.3", "nan", "inf", "1,5", "e5", "1e400"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal { mantissa: -5, scale: 3 }.to_string(), "-0.005");
    }

    #[test]
    fn integers_only_when_exact() {
        let d = Decimal::parse("1.25").unwrap();
        assert_eq!(d.to_integer(4), Some(12_500));
        assert_eq!(d.to_integer(1), None);
    }

    #[test]
    fn quantises_the_shortest_decimal() {
        assert_eq!(quantise(0.1 + 0.2, 17), None);
        assert_eq!(quantise(117_000.1, 1), Some(1_170_001));
        assert_eq!(quantise(0.7097, 3), None);
        assert_eq!(quantise(f64::NAN, 3), None);
        assert_eq!(decimals_of(0.25398), Some(5));
        assert_eq!(decimals_of(7939.0), Some(0));
        assert_eq!(decimals_of(0.1 + 0.7), None, "noise of a computation is not a decimal");
        assert_eq!(quantise(1e10, 8), Some(1_000_000_000_000_000_000));
        assert_eq!(quantise(1e10, 9), None);
        assert_eq!(quantise(f64::INFINITY, 0), None);
        assert_eq!(quantise(-0.25, 2), Some(-25));
    }

    proptest::proptest! {
        #[test]
        fn floats_become_what_they_print(x in proptest::num::f64::ANY) {
            proptest::prop_assert_eq!(Decimal::from_float(x), Decimal::parse(&format!("{x}")));
        }

        #[test]
        fn decimals_of_15_digits_come_back(n in 0i64..1_000_000_000_000_000, k in 0u32..=18, more in 0u32..=4) {
            // The platform's parser is correctly rounded: it is the judge.
            let x: f64 = format!("{n}e-{k}").parse().unwrap();
            proptest::prop_assert_eq!(quantise(x, k), Some(n));
            let finer = 10i64.checked_pow(more).and_then(|zeros| n.checked_mul(zeros));
            if k + more <= 22 {
                proptest::prop_assert_eq!(quantise(x, k + more), finer);
            }
            let (mantissa, fewest) = shortest(x).unwrap();
            proptest::prop_assert!(fewest <= k && (fewest == 0 || mantissa % 10 != 0));
            proptest::prop_assert_eq!(i128::from(mantissa) * pow10(k - fewest), i128::from(n));
        }

        #[test]
        fn a_block_agrees_with_single_values(
            xs in proptest::collection::vec(proptest::prop_oneof![
                (0i64..2_000_000_000_000_000, 0u32..=12).prop_map(|(n, k)| n as f64 / POW10_F64[k as usize]),
                proptest::num::f64::ANY,
            ], 0..20),
            decimals in 0u32..=12,
        ) {
            let mut out = vec![0; xs.len()];
            let single: Vec<_> = xs.iter().map(|&x| quantise(x, decimals).filter(|_| x >= 0.0)).collect();
            if quantise_block(&xs, 0.0, decimals, &mut out) {
                proptest::prop_assert_eq!(out.into_iter().map(Some).collect::<Vec<_>>(), single);
            } else {
                let small = |&x: &f64| x * POW10_F64[decimals as usize] < DIGITS_15;
                proptest::prop_assert!(!xs.iter().all(small) || single.contains(&None));
            }
        }
    }
}
