//! The price path in coarse strokes: how far prices move within stretches of time, for bounds that hold throughout a stretch.

use crate::contract::{AssetId, MarketId};
use crate::units::Size;

/// Ranges of the mark of ADL and of collateral prices over nested stretches of time.
pub trait PriceRanges: Sync {
    /// Number of levels; stretches of level 0 are the finest.
    fn levels(&self) -> usize;
    /// Number of the stretch of a level that contains `t`.
    fn stretch(&self, level: usize, t: i64) -> usize;
    /// Lowest and highest mark of a market for a position of this sign in a stretch, the state carried in included.
    fn market(&self, market: MarketId, size: Size, level: usize, stretch: usize) -> (f64, f64);
    /// The same of an asset's price market at the collateral feed; (1, 1) without one.
    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64);
}
