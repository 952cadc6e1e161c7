//! The more leveraged give a larger share of their profit: `h = min(cap, tau l g(l))`, l the leverage.

use super::water_filling::{Vessel, fill};
use super::{Lot, Means, UNIT, fixed, limit};
use crate::config::RiskWeight;
use crate::error::Result;
use crate::units::{Ratio, floor_div, product};

/// The weight of a leverage.
#[derive(Debug, Clone, Copy)]
pub enum Risk {
    /// A power of it.
    Power(u32),
    /// What is above a threshold, in billionths.
    Above(i128),
}

impl Risk {
    /// That of the configuration.
    pub fn new(weight: RiskWeight, power: u32, threshold: Ratio) -> Result<Self> {
        Ok(match weight {
            RiskWeight::Linear => Self::Power(1),
            RiskWeight::Power => Self::Power(power),
            RiskWeight::Cvar => Self::Above(fixed(threshold, UNIT)?),
        })
    }

    /// `g`, in billionths.
    fn of(self, leverage: i128) -> Result<i128> {
        match self {
            Self::Power(power) => (1..power).try_fold(leverage, |g, _| {
                Ok(floor_div(product(g, leverage, "power of a leverage")?, UNIT))
            }),
            Self::Above(threshold) => Ok((leverage - threshold).max(0)),
        }
    }
}

/// Water-filling by profit times `l g(l)`.
pub fn share(lot: &Lot, means: &[Means], risk: Risk, cap: Option<Ratio>) -> Result<Vec<u64>> {
    let vessel = |m: &Means| {
        let factor = product(m.leverage, risk.of(m.leverage)?, "risk of a leverage")?;
        Ok(Vessel {
            weight: product(m.profit, floor_div(factor, UNIT), "risk of a profit")?,
            capacity: match cap {
                Some(cap) => limit(lot, m, cap)?,
                None => m.capacity,
            },
        })
    };
    fill(lot.quantity, &means.iter().map(vessel).collect::<Result<Vec<_>>>()?)
}
