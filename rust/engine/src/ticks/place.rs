//! Where a value stands, for messages.

use crate::error::{Error, Result};

/// A file, or the frame that was handed over.
#[derive(Debug, Clone)]
pub(super) struct Origin(String);

impl Origin {
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The origin as a whole is at fault.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::Data(format!("{}: {message}", self.0))
    }

    /// A column is at fault.
    pub fn column(&self, column: &str, message: impl std::fmt::Display) -> Error {
        Error::Data(format!("{}: column `{column}`: {message}", self.0))
    }

    /// A value is at fault; `row` counts from 0 in this origin.
    pub fn row(&self, column: &str, row: u64, message: impl std::fmt::Display) -> Error {
        Error::Data(format!("{}: column `{column}`, row {row}: {message}", self.0))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rows of a batch that belong to one market.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// All of them.
    All,
    /// These, ascending.
    These(&'a [u32]),
}

impl Rows<'_> {
    /// The row of the batch at which the `i`-th value stands.
    pub fn row(self, i: usize) -> usize {
        match self {
            Self::All => i,
            Self::These(rows) => rows[i] as usize,
        }
    }

    /// The values of these rows; `scratch` holds them if they must be gathered.
    pub fn pick<'s, T: Copy>(self, values: &'s [T], scratch: &'s mut Vec<T>) -> &'s [T] {
        match self {
            Self::All => values,
            Self::These(rows) => {
                scratch.clear();
                scratch.extend(rows.iter().map(|&row| values[row as usize]));
                scratch
            }
        }
    }
}

/// A column of some rows of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub origin: &'a Origin,
    pub column: &'static str,
    /// The row of the origin at which the batch begins.
    pub batch: u64,
    pub rows: Rows<'a>,
}

impl Place<'_> {
    /// The `i`-th value is at fault.
    pub fn error(&self, i: usize, message: impl std::fmt::Display) -> Error {
        self.origin
            .row(self.column, self.batch + self.rows.row(i) as u64, message)
    }

    /// [`Place::error`] as a result.
    pub fn fail<T>(&self, i: usize, message: impl std::fmt::Display) -> Result<T> {
        Err(self.error(i, message))
    }
}

/// A time in nanoseconds since 1970 as ISO 8601.
pub(super) fn iso(ns: i64) -> String {
    let seconds = ns.div_euclid(1_000_000_000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, in eras of 400 of them (146,097 days).
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let fraction = ns.rem_euclid(1_000_000_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_iso() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_760_131_141_433_000_000, "2025-10-10T21:19:01.433000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_583_020_799_000_000_001, "2020-02-29T23:59:59.000000001Z"),
            (1_609_459_199_999_999_999, "2020-12-31T23:59:59.999999999Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
        ] {
            assert_eq!(iso(ns), text);
        }
    }
}
