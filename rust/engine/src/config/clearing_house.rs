//! The clearing house: withdrawals are paid out of what it has, which is not all that is owed.

use serde::Deserialize;

/// What becomes of a withdrawal that the clearing house does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenHouseShort {
    /// The insurance fund pays ahead of the losses that are not realised yet.
    #[default]
    Prepay,
    /// It is refused.
    Refuse,
}

/// Withdrawals are paid out of what accounts have brought in and not taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClearingHouseConfig {
    /// Where it has not enough.
    pub when_short: WhenHouseShort,
}
