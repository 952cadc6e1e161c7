//! Prices and sizes of a column brought to integers, block by block, at the fewest decimals that fit.

use super::columns::Numbers;
use super::place::Place;
use super::schema::Number;
use crate::decimal::{MAX_DECIMALS, checked_pow10, quantise, quantise_block, shortest};
use crate::error::Result;

/// Cells of a column that are filled from the front.
#[derive(Debug)]
pub(super) enum Cells<'a, T> {
    /// As many as were lent, the first of them filled.
    Lent { cells: &'a mut [T], filled: usize },
    /// As many as come.
    Own(Vec<T>),
}

impl<'a, T: Copy + Default> Cells<'a, T> {
    pub fn lent(cells: &'a mut [T]) -> Self {
        Self::Lent { cells, filled: 0 }
    }

    pub fn filled(&self) -> &[T] {
        match self {
            Self::Lent { cells, filled } => &cells[..*filled],
            Self::Own(cells) => cells,
        }
    }

    pub fn filled_mut(&mut self) -> &mut [T] {
        match self {
            Self::Lent { cells, filled } => &mut cells[..*filled],
            Self::Own(cells) => cells,
        }
    }

    /// Counts `n` more cells as filled and returns them. None: there are not so many.
    pub fn grow(&mut self, n: usize) -> Option<&mut [T]> {
        match self {
            Self::Lent { cells, filled } => {
                let start = *filled;
                let cells = cells.get_mut(start..start + n)?;
                *filled += n;
                Some(cells)
            }
            Self::Own(cells) => {
                let start = cells.len();
                cells.resize(start + n, T::default());
                Some(&mut cells[start..])
            }
        }
    }

    /// Hands over own cells, and begins anew. Lent ones stay where they are.
    pub fn take(&mut self) -> Vec<T> {
        match self {
            Self::Lent { .. } => Vec::new(),
            Self::Own(cells) => std::mem::take(cells),
        }
    }
}

pub(super) fn too_many<T>(place: Place<'_>) -> Result<T> {
    place.fail(0, "more rows than were announced (the file is damaged)")
}

/// What a number must be, besides finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Least {
    /// A price.
    Positive,
    /// A size.
    Zero,
}

impl Least {
    fn float(self) -> f64 {
        match self {
            Self::Positive => f64::MIN_POSITIVE,
            Self::Zero => 0.0,
        }
    }

    fn int(self) -> i64 {
        match self {
            Self::Positive => 1,
            Self::Zero => 0,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Positive => "a positive number",
            Self::Zero => "a number that is not negative",
        }
    }
}

/// Prices or sizes as integers in `10^-decimals`; of floats and decimals the fewest decimals that fit all of them.
#[derive(Debug)]
pub(super) struct Scaled<'a> {
    pub cells: Cells<'a, i64>,
    pub decimals: u32,
    least: Least,
    /// The largest of the values that were taken away; none is negative.
    largest: i64,
}

/// Values that are tried together.
const BLOCK: usize = 1024;

impl<'a> Scaled<'a> {
    pub fn new(cells: Cells<'a, i64>, kind: Number, least: Least) -> Self {
        let decimals = if let Number::Int { decimals } = kind {
            decimals
        } else {
            0
        };
        Self {
            cells,
            decimals,
            least,
            largest: 0,
        }
    }

    /// Hands over own cells, at the decimals of now.
    pub fn take(&mut self) -> Vec<i64> {
        let values = self.cells.take();
        self.largest = values.iter().copied().fold(self.largest, i64::max);
        values
    }

    pub fn append(&mut self, place: Place<'_>, values: Numbers<'_>, kind: Number, scratch: &mut Scratch) -> Result<()> {
        match (values, kind) {
            (Numbers::Int(values), _) => self.ints(place, place.rows.pick(values, &mut scratch.ints)),
            (Numbers::Float(values), _) => self.floats(place, place.rows.pick(values, &mut scratch.floats)),
            (Numbers::Decimal(values), Number::Decimal { scale }) => {
                self.decimals(place, place.rows.pick(values, &mut scratch.wides), scale)
            }
            (Numbers::Decimal(_), _) => Err(place
                .origin
                .column(place.column, "decimals in a column of another type")),
        }
    }

    fn ints(&mut self, place: Place<'_>, values: &[i64]) -> Result<()> {
        let least = self.least.int();
        if values.iter().fold(false, |bad, &value| bad | (value < least)) {
            let i = values.iter().position(|&value| value < least).unwrap_or(0);
            return place.fail(i, format!("expected {}, got {}", self.least.text(), values[i]));
        }
        match self.cells.grow(values.len()) {
            Some(cells) => cells.copy_from_slice(values),
            None => return too_many(place),
        }
        Ok(())
    }

    fn floats(&mut self, place: Place<'_>, values: &[f64]) -> Result<()> {
        let start = self.cells.filled().len();
        if self.cells.grow(values.len()).is_none() {
            return too_many(place);
        }
        for (block, at) in values.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
            let cells = start + at..start + at + block.len();
            let least = self.least.float();
            if !quantise_block(block, least, self.decimals, &mut self.cells.filled_mut()[cells.clone()]) {
                self.floats_one_by_one(place, block, at, cells.start)?;
            }
        }
        Ok(())
    }

    /// A block that needs more decimals, trailing zeros, or an error. `at`: its first value's number, `cell`: that one's cell.
    #[cold]
    fn floats_one_by_one(&mut self, place: Place<'_>, block: &[f64], at: usize, cell: usize) -> Result<()> {
        let (mut decimals, mut asks) = (self.decimals, at);
        for (&x, i) in block.iter().zip(at..) {
            if !x.is_finite() {
                return place.fail(i, format!("expected a finite number, got {x}"));
            }
            if x < self.least.float() {
                return place.fail(i, format!("expected {}, got {x}", self.least.text()));
            }
            let Some((_, fewest)) = shortest(x) else {
                return place.fail(
                    i,
                    format!("expected a decimal number of at most 15 digits and {MAX_DECIMALS} decimals, got {x}"),
                );
            };
            if fewest > decimals {
                (decimals, asks) = (fewest, i);
            }
        }
        self.raise(place, asks, decimals, cell)?;
        for (&x, i) in block.iter().zip(at..) {
            let Some(value) = quantise(x, decimals) else {
                return place.fail(
                    i,
                    format!("{x} with {decimals} decimals, which other rows need, exceeds 64 bits"),
                );
            };
            self.cells.filled_mut()[cell + (i - at)] = value;
        }
        Ok(())
    }

    fn decimals(&mut self, place: Place<'_>, values: &[i128], scale: u32) -> Result<()> {
        let start = self.cells.filled().len();
        if self.cells.grow(values.len()).is_none() {
            return too_many(place);
        }
        let least = i128::from(self.least.int());
        for (&value, i) in values.iter().zip(0..) {
            let shown = || crate::decimal::Decimal { mantissa: value, scale };
            if value < least {
                return place.fail(i, format!("expected {}, got {}", self.least.text(), shown()));
            }
            let mut fitted = fit(value, scale, self.decimals);
            if fitted.is_none() {
                let Some(decimals) = (self.decimals..=MAX_DECIMALS).find(|&decimals| divides(value, scale, decimals))
                else {
                    return place.fail(i, format!("expected at most {MAX_DECIMALS} decimals, got {}", shown()));
                };
                self.raise(place, i, decimals, start + i)?;
                fitted = fit(value, scale, decimals);
            }
            let Some(fitted) = fitted else {
                let decimals = self.decimals;
                return place.fail(i, format!("{} with {decimals} decimals exceeds 64 bits", shown()));
            };
            self.cells.filled_mut()[start + i] = fitted;
        }
        Ok(())
    }

    /// Brings the first `cells` cells to `decimals`, which the `i`-th value of the place asks for.
    fn raise(&mut self, place: Place<'_>, i: usize, decimals: u32, cells: usize) -> Result<()> {
        if decimals > self.decimals {
            let taken = rescale(std::slice::from_mut(&mut self.largest), self.decimals, decimals);
            if !taken || !rescale(&mut self.cells.filled_mut()[..cells], self.decimals, decimals) {
                return place.fail(
                    i,
                    format!("needs {decimals} decimals, with which an earlier value of the market exceeds 64 bits"),
                );
            }
            self.decimals = decimals;
        }
        Ok(())
    }
}

/// True if `value * 10^-scale` is an integer in `10^-decimals`.
fn divides(value: i128, scale: u32, decimals: u32) -> bool {
    scale <= decimals || checked_pow10(scale - decimals).is_some_and(|divisor| value % divisor == 0)
}

/// `value * 10^-scale` in `10^-decimals`, if that is a 64-bit integer.
fn fit(value: i128, scale: u32, decimals: u32) -> Option<i64> {
    if scale <= decimals {
        i64::try_from(value.checked_mul(checked_pow10(decimals - scale)?)?).ok()
    } else if let (Ok(value), Ok(divisor)) = (i64::try_from(value), i64::try_from(checked_pow10(scale - decimals)?)) {
        (value % divisor == 0).then(|| value / divisor)
    } else {
        let divisor = checked_pow10(scale - decimals)?;
        if value % divisor == 0 {
            i64::try_from(value / divisor).ok()
        } else {
            None
        }
    }
}

/// Brings values from `from` decimals to `to`. False, with some of them spoilt: one does not fit.
pub(super) fn rescale(values: &mut [i64], from: u32, to: u32) -> bool {
    let factor = checked_pow10(from.abs_diff(to)).and_then(|factor| i64::try_from(factor).ok());
    let Some(factor) = factor else {
        return values.iter().all(|&value| value == 0);
    };
    let mut good = true;
    if from <= to {
        for value in values {
            let (scaled, overflow) = value.overflowing_mul(factor);
            good &= !overflow;
            *value = scaled;
        }
    } else {
        for value in values {
            good &= *value % factor == 0;
            *value /= factor;
        }
    }
    good
}

/// The first value that [`rescale`] cannot bring from `from` decimals to `to`.
pub(super) fn misfit(values: &[i64], from: u32, to: u32) -> Option<usize> {
    let factor = checked_pow10(from.abs_diff(to)).and_then(|factor| i64::try_from(factor).ok());
    match factor {
        None => values.iter().position(|&value| value != 0),
        Some(factor) if from <= to => {
            let most = i64::MAX / factor;
            values.iter().position(|&value| value > most || value < -most)
        }
        Some(factor) => values.iter().position(|&value| value % factor != 0),
    }
}

/// Memory to gather values in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub ints: Vec<i64>,
    pub floats: Vec<f64>,
    pub wides: Vec<i128>,
    pub bytes: Vec<i8>,
}
