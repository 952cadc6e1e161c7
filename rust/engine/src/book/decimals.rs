//! Columns of exact decimals, nine bytes a row: a mantissa, and a number of decimals of its own.

use arrow_buffer::NullBuffer;
use rayon::prelude::*;

use crate::decimal::{Decimal, quantise_block};
use crate::error::Result;
use crate::progress::{Meter, POLL_ROWS};

/// Floats that are tried together.
const BLOCK: usize = 64;

/// In place of a number of decimals: no value, a float that is no decimal (its bits are the mantissa), a mantissa beyond 64 bits
/// (the mantissa is its place in `wide`).
const NULL: u8 = 255;
const BAD: u8 = 254;
const WIDE: u8 = 253;

/// `10^n`, as far as it fits.
const POW10: [i64; 19] = {
    let mut powers = [1; 19];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// What stands in a row of a column of decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// Nothing.
    Null,
    /// A float that is not finite or has too many digits.
    Bad(f64),
    /// A decimal.
    Number(Decimal),
}

/// A column of exact decimals.
#[derive(Debug, Clone, Default)]
pub(super) struct Decimals {
    mantissas: Vec<i64>,
    scales: Vec<u8>,
    wide: Vec<Decimal>,
}

/// Part of a column while it is written.
struct Part<'a> {
    mantissas: &'a mut [i64],
    scales: &'a mut [u8],
    wide: Vec<(usize, Decimal)>,
}

impl Part<'_> {
    fn put(&mut self, row: usize, value: Decimal) {
        let narrow = |d: Decimal| Some((i64::try_from(d.mantissa).ok()?, d.scale as u8));
        match narrow(value).or_else(|| narrow(value.stripped())) {
            Some((mantissa, scale)) => (self.mantissas[row], self.scales[row]) = (mantissa, scale),
            None => self.wide.push((row, value)),
        }
    }

    /// One by one, each with the fewest decimals. Returns the most of them.
    fn put_floats(&mut self, from: usize, values: &[f64]) -> u32 {
        let mut most = 0;
        for (row, &x) in (from..).zip(values) {
            match Decimal::from_float(x) {
                Some(value) => {
                    most = most.max(value.scale);
                    self.put(row, value);
                }
                None => (self.mantissas[row], self.scales[row]) = (x.to_bits() as i64, BAD),
            }
        }
        most
    }
}

impl Decimals {
    /// A column of nulls.
    pub fn nulls(rows: usize) -> Self {
        Self {
            mantissas: vec![0; rows],
            scales: vec![NULL; rows],
            wide: Vec::new(),
        }
    }

    /// The value in a row.
    #[inline]
    pub fn cell(&self, row: usize) -> Cell {
        let mantissa = self.mantissas[row];
        match self.scales[row] {
            NULL => Cell::Null,
            BAD => Cell::Bad(f64::from_bits(mantissa as u64)),
            WIDE => Cell::Number(self.wide[mantissa as usize]),
            scale => Cell::Number(Decimal {
                mantissa: i128::from(mantissa),
                scale: u32::from(scale),
            }),
        }
    }

    /// The decimal in a row; zero where there is none.
    pub fn get(&self, row: usize) -> Decimal {
        match self.cell(row) {
            Cell::Number(value) => value,
            _ => Decimal { mantissa: 0, scale: 0 },
        }
    }

    /// The integer `10^decimals` times the decimal in a row; None if it is not an integer or does not fit.
    #[inline]
    pub fn units(&self, row: usize, decimals: u32) -> Option<i128> {
        let factor = decimals.checked_sub(u32::from(self.scales[row]));
        match factor.and_then(|zeros| POW10.get(zeros as usize)) {
            // 64 by 64 bits: it fits.
            Some(&factor) => Some(i128::from(self.mantissas[row]) * i128::from(factor)),
            None => self.get(row).to_integer(decimals),
        }
    }

    /// Sets the rows from `at` on to values that each are a decimal.
    pub fn write<T: Copy + Sync>(
        &mut self,
        at: usize,
        values: &[T],
        nulls: Option<&NullBuffer>,
        meter: &Meter<'_>,
        decimal: impl Fn(T) -> Decimal + Sync,
    ) -> Result<()> {
        self.write_parts(at, values, nulls, meter, |part, values| {
            for (row, &value) in values.iter().enumerate() {
                part.put(row, decimal(value));
            }
        })
    }

    /// Sets the rows from `at` on to the shortest decimals that read back as the floats.
    pub fn write_floats(
        &mut self,
        at: usize,
        values: &[f64],
        nulls: Option<&NullBuffer>,
        meter: &Meter<'_>,
    ) -> Result<()> {
        self.write_parts(at, values, nulls, meter, |part, values| {
            // Neighbours mostly have as many decimals as each other.
            let mut decimals = 0;
            for (block, values) in values.chunks(BLOCK).enumerate() {
                let from = block * BLOCK;
                let rows = from..from + values.len();
                let mut sizes = [0.0; BLOCK];
                for (size, x) in sizes.iter_mut().zip(values) {
                    *size = x.abs();
                }
                let out = &mut part.mantissas[rows.clone()];
                if quantise_block(&sizes[..values.len()], 0.0, decimals, out) {
                    for (mantissa, x) in out.iter_mut().zip(values) {
                        if *x < 0.0 {
                            *mantissa = -*mantissa;
                        }
                    }
                    part.scales[rows].fill(decimals as u8);
                } else {
                    decimals = part.put_floats(from, values);
                }
            }
        })
    }

    fn write_parts<T: Sync>(
        &mut self,
        at: usize,
        values: &[T],
        nulls: Option<&NullBuffer>,
        meter: &Meter<'_>,
        write: impl Fn(&mut Part<'_>, &[T]) + Sync,
    ) -> Result<()> {
        let rows = at..at + values.len();
        let wide: Vec<Vec<(usize, Decimal)>> = self.mantissas[rows.clone()]
            .par_chunks_mut(POLL_ROWS)
            .zip(self.scales[rows].par_chunks_mut(POLL_ROWS))
            .zip(values.par_chunks(POLL_ROWS))
            .enumerate()
            .map(|(chunk, ((mantissas, scales), values))| {
                let mut part = Part {
                    mantissas,
                    scales,
                    wide: Vec::new(),
                };
                write(&mut part, values);
                let first = chunk * POLL_ROWS;
                if let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) {
                    // What stands under a null is anything.
                    part.wide.retain(|(row, _)| nulls.is_valid(first + row));
                    for (row, scale) in part.scales.iter_mut().enumerate() {
                        if nulls.is_null(first + row) {
                            *scale = NULL;
                        }
                    }
                }
                meter.advance(values.len() as u64)?;
                Ok(part
                    .wide
                    .into_iter()
                    .map(|(row, value)| (at + first + row, value))
                    .collect())
            })
            .collect::<Result<_>>()?;
        for (row, value) in wide.into_iter().flatten() {
            (self.mantissas[row], self.scales[row]) = (self.wide.len() as i64, WIDE);
            self.wide.push(value);
        }
        Ok(())
    }

    /// The column with row `rows[i]` in place of row `i`.
    pub fn reordered(self, rows: &[u32]) -> Self {
        Self {
            mantissas: reordered(&self.mantissas, rows),
            scales: reordered(&self.scales, rows),
            wide: self.wide,
        }
    }
}

/// `column[rows[i]]` for every `i`.
pub(super) fn reordered<T: Copy + Send + Sync>(column: &[T], rows: &[u32]) -> Vec<T> {
    rows.par_iter()
        .with_min_len(POLL_ROWS)
        .map(|&row| column[row as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::strategy::{Just, Strategy as _};

    use super::*;
    use crate::progress::Silent;

    fn meter() -> Meter<'static> {
        Meter::new(&Silent, "test", 0)
    }

    proptest::proptest! {
        #[test]
        fn floats_are_read_as_one_by_one(
            values in proptest::collection::vec(
                (proptest::prop_oneof![
                    (-2_000_000_000_000_000i64..2_000_000_000_000_000, 0i32..=12).prop_map(|(n, k)| n as f64 / 10f64.powi(k)),
                    (-1000i64..1000).prop_map(|n| n as f64 / 100.0),
                    proptest::num::f64::ANY,
                    Just(-0.0),
                ], proptest::bool::weighted(0.8)),
                0..300,
            ),
            nulls: bool,
        ) {
            let valid = nulls.then(|| NullBuffer::from_iter(values.iter().map(|&(_, valid)| valid)));
            let floats: Vec<f64> = values.iter().map(|&(x, _)| x).collect();
            let mut column = Decimals::nulls(values.len() + 1);
            column.write_floats(1, &floats, valid.as_ref(), &meter()).unwrap();
            let order: Vec<u32> = (0..=values.len() as u32).rev().collect();
            let reversed = column.clone().reordered(&order);
            proptest::prop_assert_eq!(column.cell(0), Cell::Null);
            for (row, &(x, valid)) in (1..).zip(&values) {
                proptest::prop_assert_eq!(format!("{:?}", reversed.cell(values.len() - row)), format!("{:?}", column.cell(row)));
                match column.cell(row) {
                    Cell::Null => proptest::prop_assert!(nulls && !valid),
                    Cell::Bad(y) => proptest::prop_assert!(x.to_bits() == y.to_bits() && Decimal::from_float(x).is_none()),
                    Cell::Number(d) => proptest::prop_assert_eq!(Some(d.stripped()), Decimal::from_float(x)),
                }
            }
        }
    }

    #[test]
    fn wide_figures_keep_all_digits() {
        let values = [1, i128::MAX, -10i128.pow(37), 5];
        let nulls = NullBuffer::from(vec![true, true, true, false]);
        let mut column = Decimals::nulls(4);
        column
            .write(0, &values, Some(&nulls), &meter(), |mantissa| Decimal {
                mantissa,
                scale: 20,
            })
            .unwrap();
        let cells: Vec<String> = (0..3).map(|row| column.get(row).stripped().to_string()).collect();
        assert_eq!(
            cells,
            [
                "0.00000000000000000001",
                "1701411834604692317.31687303715884105727",
                "-100000000000000000"
            ]
        );
        assert_eq!(column.cell(3), Cell::Null);
        assert_eq!((column.units(0, 20), column.units(0, 19)), (Some(1), None));
        assert_eq!(
            (column.units(2, 20), column.units(2, 0)),
            (Some(values[2]), Some(-10i128.pow(17)))
        );
        assert_eq!(column.units(2, 38), None);
    }
}
