//! The largest position first, by its value.

use super::profit::scale;
use crate::error::Result;
use crate::units::product;
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// The absolute value in the settlement asset.
pub fn of(standing: &Standing, decimals: u32) -> Result<i128> {
    product(standing.value.0.abs(), scale(decimals), "ADL score")
}

/// The value where it is largest; rounding moves it by less than a unit.
pub fn bound(o: &Outlook, decimals: u32) -> f64 {
    (o.low.abs().max(o.high.abs()) + 1.0) * (1.0 + 1e-9) * scale(decimals) as f64
}
