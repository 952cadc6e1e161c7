//! The terms under which keepers act, stretch by stretch: everything that is known in advance.

use super::failure::Failure;
use crate::config::{CapacityConfig, KeeperConfig, LatencyConfig, RegimeConfig};
use crate::error::{Error, Result};
use crate::units::Ratio;

/// What holds from one step to the next.
#[derive(Debug)]
pub(super) struct Terms {
    pub latency: LatencyConfig,
    pub failure: Option<Failure>,
    pub capacity: Option<CapacityConfig>,
    /// The least reward for which the keeper acts, in micro-dollars.
    pub required: i128,
    /// The next stretch that requires less; or beyond the last.
    lower: usize,
}

/// The stretches of a run.
#[derive(Debug)]
pub(super) struct Timetable {
    opening: i64,
    /// Where each stretch but the first begins.
    steps: Vec<i64>,
    stretches: Vec<Terms>,
}

/// A regime on the tape.
struct Regime<'a> {
    config: &'a RegimeConfig,
    start: i64,
    end: i64,
}

impl Timetable {
    pub fn bind(config: &KeeperConfig, opening: i64) -> Result<Self> {
        let wrong = |field: String, expected: &str| Error::Config(format!("protocol: keeper.{field}: {expected}"));
        let mut regimes = Vec::new();
        for (k, regime) in config.regimes.iter().enumerate() {
            let start = regime.start.on(opening);
            let end = regime.end.map_or(i64::MAX, |end| end.on(opening));
            if start >= end {
                return Err(wrong(format!("regimes.{k}.end"), "expected a time after the start"));
            }
            regimes.push(Regime {
                config: regime,
                start,
                end,
            });
        }
        let mut factors = Vec::new();
        for (k, step) in config.gas.iter().flat_map(|g| &g.series).enumerate() {
            let at = step.at.on(opening);
            if factors.last().is_some_and(|&(before, _)| before >= at) {
                return Err(wrong(format!("gas.series.{k}.at"), "expected times that rise"));
            }
            factors.push((at, step.factor));
        }
        let mut steps: Vec<i64> = regimes.iter().flat_map(|r| [r.start, r.end]).collect();
        steps.extend(factors.iter().map(|f| f.0));
        steps.retain(|&t| t < i64::MAX);
        steps.sort_unstable();
        steps.dedup();
        let stretches = std::iter::once(i64::MIN)
            .chain(steps.iter().copied())
            .map(|t| terms(config, &regimes, &factors, t))
            .collect::<Result<Vec<_>>>()?;
        let mut timetable = Self {
            opening,
            steps,
            stretches,
        };
        timetable.link();
        Ok(timetable)
    }

    /// Finds for each stretch the next that requires less.
    fn link(&mut self) {
        for k in (0..self.stretches.len()).rev() {
            let mut next = k + 1;
            while next < self.stretches.len() && self.stretches[next].required >= self.stretches[k].required {
                next = self.stretches[next].lower;
            }
            self.stretches[k].lower = next;
        }
    }

    fn stretch(&self, t: i64) -> usize {
        self.steps.partition_point(|&step| step <= t)
    }

    pub fn at(&self, t: i64) -> &Terms {
        &self.stretches[self.stretch(t)]
    }

    pub fn all(&self) -> impl Iterator<Item = &Terms> {
        self.stretches.iter()
    }

    /// The slots of the window of `t`, and its end; None without a capacity.
    pub fn window(&self, t: i64) -> Option<(u32, i64)> {
        let stretch = self.stretch(t);
        let CapacityConfig { limit, window } = self.stretches[stretch].capacity?;
        let cut = self.steps.get(stretch).copied().unwrap_or(i64::MAX);
        let number = i128::from(t) - i128::from(self.opening);
        let end = (number.div_euclid(i128::from(window)) + 1) * i128::from(window) + i128::from(self.opening);
        let end = i64::try_from(end).unwrap_or(i64::MAX).min(cut);
        // Where nothing can be done, nothing is free before the next step.
        Some((limit, if limit == 0 { cut } else { end }))
    }

    /// The first step after `t` from which no more than `reward` is required, which is too little at `t`.
    pub fn enough_after(&self, t: i64, reward: i128) -> Option<i64> {
        let mut stretch = self.stretch(t);
        while self.stretches.get(stretch)?.required > reward {
            stretch = self.stretches[stretch].lower;
        }
        self.steps.get(stretch.checked_sub(1)?).copied()
    }
}

/// The terms at `t`.
fn terms(config: &KeeperConfig, regimes: &[Regime<'_>], factors: &[(i64, Ratio)], t: i64) -> Result<Terms> {
    let here = || {
        regimes
            .iter()
            .rev()
            .filter(|r| r.start <= t && t < r.end)
            .map(|r| r.config)
    };
    let latency = here().find_map(|r| r.latency.as_ref()).unwrap_or(&config.latency);
    let failure = here().find_map(|r| r.failure).or(config.failure);
    let capacity = here().find_map(|r| r.capacity).or(config.capacity);
    let gas_factor = here().find_map(|r| r.gas_factor).unwrap_or(Ratio::ONE);
    let factor = factors.iter().rev().find(|f| f.0 <= t).map_or(Ratio::ONE, |f| f.1);
    let too_large = || Error::overflow("price of gas");
    let gas = match &config.gas {
        Some(gas) => factor
            .times(gas_factor)
            .ok_or_else(too_large)?
            .ceil_of(gas.base.0, "price of gas")?,
        None => 0,
    };
    Ok(Terms {
        latency: latency.clone(),
        failure: failure.map(|f| Failure::bind(&f)).transpose()?.flatten(),
        capacity,
        required: config.minimum_profit.0.checked_add(gas).ok_or_else(too_large)?,
        lower: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(json: &str) -> Result<Timetable> {
        Timetable::bind(&serde_json::from_str(json).unwrap(), 1_000)
    }

    #[test]
    fn the_last_regime_that_says_something_counts() {
        let timetable = bind(
            r#"{"latency": 5, "capacity": {"limit": 3, "window": 10}, "regimes": [
                {"start": ["offset", 100], "end": ["ts", 1200], "latency": 7, "capacity": {"limit": 0, "window": 1}},
                {"start": ["offset", 150], "end": null, "latency": 9}]}"#,
        )
        .unwrap();
        let latency = |t| timetable.at(t).latency.of(|| 0);
        assert_eq!([1000, 1099, 1100, 1149, 1150, 5000].map(latency), [5, 5, 7, 7, 9, 9]);
        let windows = [1000, 1009, 1099, 1100, 1150, 1200].map(|t| timetable.window(t).unwrap());
        assert_eq!(
            windows,
            [(3, 1010), (3, 1010), (3, 1100), (0, 1150), (0, 1200), (3, 1210)]
        );
        assert!(bind(r#"{"regimes": [{"start": ["offset", 5], "end": ["ts", 1005]}]}"#).is_err());
    }

    #[test]
    fn gas_is_waited_for_until_it_is_low_enough() {
        let timetable = bind(
            r#"{"minimum_profit": "1", "gas": {"base": "10", "series": [
                {"at": ["offset", 10], "factor": "6"}, {"at": ["offset", 20], "factor": "7"},
                {"at": ["offset", 30], "factor": "1/3"}, {"at": ["offset", 40], "factor": "5"}]}}"#,
        )
        .unwrap();
        let required = [1000, 1010, 1020, 1030].map(|t| timetable.at(t).required);
        assert_eq!(required, [11_000_000, 61_000_000, 71_000_000, 4_333_334]);
        assert_eq!(timetable.enough_after(1010, 60_000_000), Some(1030));
        assert_eq!(timetable.enough_after(1020, 65_000_000), Some(1030));
        assert_eq!(timetable.enough_after(1010, 4_000_000), None);
        assert_eq!(timetable.enough_after(1045, 50_000_000), None);
    }
}
