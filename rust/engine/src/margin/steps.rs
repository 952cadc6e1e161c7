//! Rate by size, in steps: the last step whose size is reached.
//!
//! Source of the form: dYdX v3, whose initial margin fraction rises by an increment for each step of the position's size.

use super::rule::{Rate, size_units};
use crate::config::StepConfig;
use crate::contract::Market;
use crate::units::{Ratio, Size};

/// The steps of one market.
#[derive(Debug, Clone)]
pub(super) struct Steps(Vec<(i128, Rate)>);

impl Steps {
    /// Binds steps to a market.
    pub fn bind(steps: &[StepConfig], market: &Market) -> Result<Self, &'static str> {
        let ascending = steps
            .windows(2)
            .all(|w| w[1].lower.minus(w[0].lower).is_some_and(|step| step.num > 0));
        if steps.first().is_none_or(|first| first.lower != Ratio::ZERO) || !ascending {
            return Err("expected steps in ascending order of which the first starts at 0");
        }
        if steps.iter().any(|s| s.rate.num < 0) {
            return Err("expected rates that are not negative");
        }
        let bound = |s: &StepConfig| {
            let units = size_units(s.lower, market)?;
            Some((crate::units::ceil_div(units.num, units.den), Rate::of(s.rate)))
        };
        let bound: Option<Vec<_>> = steps.iter().map(bound).collect();
        bound.map(Self).ok_or("figures out of range")
    }

    /// The rate of a size.
    pub fn rate(&self, size: Size) -> Rate {
        let reached = self.0[..self.reached(size)].last();
        reached.map_or(Rate::of(Ratio::ZERO), |s| s.1)
    }

    /// Number of steps that a size reaches.
    pub fn reached(&self, size: Size) -> usize {
        let units = i128::from(size.units());
        self.0.partition_point(|(lower, _)| *lower <= units)
    }
}
