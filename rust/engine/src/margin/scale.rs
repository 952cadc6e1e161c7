//! The scale of dynamic margin.

/// What a requirement is multiplied by, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scale(pub i64);

impl Scale {
    /// As it is.
    pub const ONE: Self = Self(1_000_000);

    /// Nearest double, for bounds only.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Self::ONE.0 as f64
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self::ONE
    }
}
