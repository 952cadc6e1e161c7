//! The largest profit first, in money.

use crate::error::Result;
use crate::units::product;
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// Units of a score in a unit of an asset with so many decimals.
pub fn scale(decimals: u32) -> i128 {
    10i128.pow(18u32.saturating_sub(decimals))
}

/// The profit in the settlement asset.
pub fn of(standing: &Standing, decimals: u32) -> Result<i128> {
    product(standing.pnl.0, scale(decimals), "ADL score")
}

/// The profit where the leg is worth most.
pub fn bound(o: &Outlook, decimals: u32) -> f64 {
    let most = o.high - o.entry;
    (most + most.abs() * 1e-9) * scale(decimals) as f64
}
