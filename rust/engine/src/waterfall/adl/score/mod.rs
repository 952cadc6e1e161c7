//! What orders the candidates. Each policy has its exact score and the score's upper bound side by side in a file of its own.

mod profit_leverage;

use super::outlook::Outlook;
use super::standing::Standing;
use crate::error::Result;

/// Fixed point of each factor of a score.
const UNIT: i128 = 1_000_000_000;

/// How candidates are ranked: the higher, the sooner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Score {
    /// Profit over entry value, times notional over equity.
    #[default]
    ProfitTimesLeverage,
}

impl Score {
    /// The exact score.
    pub(super) fn of(self, standing: &Standing) -> Result<i128> {
        match self {
            Self::ProfitTimesLeverage => profit_leverage::of(standing),
        }
    }

    /// A number that the exact score exceeds nowhere in the stretch of the outlook.
    pub(super) fn bound(self, outlook: &Outlook) -> f64 {
        let bound = match self {
            Self::ProfitTimesLeverage => profit_leverage::bound(outlook),
        };
        // Figures beyond the range of floating point bound nothing.
        if bound.is_nan() { f64::INFINITY } else { bound }
    }
}
