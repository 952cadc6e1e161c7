//! What the source was before its last update: the previous mark, at which some venues deleverage.
//!
//! Source: Hyperliquid docs, auto-deleveraging ("previous mark price").

use super::{Series, States};

/// The last state of the source.
#[derive(Debug, Clone, Default)]
pub(super) struct Lagged(Option<i64>);

impl Lagged {
    pub fn advance(&mut self, source: &Series) -> States {
        let mut out = States::default();
        for (ts, price) in source.instants() {
            let before = self.0.replace(price).unwrap_or(price);
            out.push(ts, before);
        }
        out
    }
}
