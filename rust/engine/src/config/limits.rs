//! What a layer of the waterfall may pay, and when: the same set of limits for every layer.

use serde::Deserialize;

use super::Layer;
use super::parse::{optional_usd, ratio, usd};
use crate::units::{Amount, Ratio};

/// Capital that a trigger watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capital {
    /// The insurance fund.
    InsuranceFund,
    /// The liquidity pool.
    Pool,
    /// The liquidator vault.
    Vault,
    /// The treasury.
    Treasury,
}

impl Capital {
    /// The field of a protocol that must be there.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InsuranceFund => "insurance_fund",
            Self::Pool => "pool",
            Self::Vault => "vault",
            Self::Treasury => "treasury",
        }
    }
}

/// What starts or stops a layer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerTrigger {
    /// Capital has fallen from its peak.
    Drawdown {
        /// Whose.
        of: Capital,
        /// By this share of the peak, or more.
        #[serde(deserialize_with = "ratio")]
        share: Ratio,
        /// The peak of so long (nanoseconds).
        #[serde(default = "eight_hours")]
        window: i64,
    },
    /// Capital is at most so much: depleted, if it is 0.
    Below {
        /// Whose.
        of: Capital,
        /// Dollars.
        #[serde(default, deserialize_with = "usd")]
        amount: Amount,
    },
}

fn eight_hours() -> i64 {
    8 * 3_600_000_000_000
}

impl LayerTrigger {
    /// Whose capital it watches.
    pub fn of(&self) -> Capital {
        match self {
            Self::Drawdown { of, .. } | Self::Below { of, .. } => *of,
        }
    }

    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Drawdown { share, .. } if share.num <= 0 || share.num > share.den => {
                Some("expected a share above 0 and up to 1")
            }
            Self::Drawdown { window, .. } if *window <= 0 => Some("expected a window above 0"),
            Self::Below { amount, .. } if amount.0 < 0 => Some("expected an amount that is not negative"),
            _ => None,
        }
    }
}

/// What a layer pays at most in each of the windows of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeriodCap {
    /// Length (nanoseconds), counted from the open: a block, a day.
    pub every: i64,
    /// Dollars.
    #[serde(deserialize_with = "usd")]
    pub amount: Amount,
}

/// What follows where a layer leaves something of what it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerFailure {
    /// The next layer is asked for the rest.
    Skip {},
    /// The same, and the venue halts.
    Halt {
        /// For so long (nanoseconds); None: until the end of the tape.
        #[serde(default)]
        halt_for: Option<i64>,
    },
    /// The liquidation is not carried out.
    Revert {
        /// So long after it is tried again (nanoseconds).
        retry: i64,
    },
}

impl Default for LayerFailure {
    fn default() -> Self {
        Self::Skip {}
    }
}

impl LayerFailure {
    fn fault(self, layer: Layer) -> Option<&'static str> {
        match self {
            Self::Skip {} => None,
            _ if layer == Layer::Adl => Some("expected skip, since ADL pays nothing"),
            Self::Revert { retry } => (retry <= 0).then_some("expected a retry above 0"),
            Self::Halt { halt_for } => halt_for
                .is_some_and(|halt_for| halt_for <= 0)
                .then_some("expected a halt_for above 0"),
        }
    }
}

/// Limits of a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Dollars for one event.
    #[serde(deserialize_with = "optional_usd")]
    pub per_event: Option<Amount>,
    /// Dollars for the losses of each market, all in all.
    #[serde(deserialize_with = "optional_usd")]
    pub per_market: Option<Amount>,
    /// Dollars in a window of time.
    pub periods: Vec<PeriodCap>,
    /// What starts the layer; None: it is on from the open.
    pub start: Option<LayerTrigger>,
    /// What stops it.
    pub stop: Option<LayerTrigger>,
    /// How long after its start it is on (nanoseconds).
    pub delay: i64,
    /// What follows where it leaves something of what it is asked for.
    pub failure: LayerFailure,
}

impl LimitsConfig {
    /// True if its failure halts the venue.
    pub fn halts(&self) -> bool {
        matches!(self.failure, LayerFailure::Halt { .. })
    }

    /// True if it limits amounts.
    fn caps(&self) -> bool {
        self.per_event.is_some() || self.per_market.is_some() || !self.periods.is_empty()
    }

    /// True if its failure undoes a liquidation.
    pub fn reverts(&self) -> bool {
        matches!(self.failure, LayerFailure::Revert { .. })
    }

    /// The field that is wrong for this layer, and what was expected.
    pub(super) fn fault(&self, layer: Layer, has: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
        if layer == Layer::Adl && self.caps() {
            return Some(("per_event", "expected no caps of ADL, which pays nothing".to_owned()));
        }
        let amounts = [("per_event", self.per_event), ("per_market", self.per_market)];
        if let Some((field, _)) = amounts.iter().find(|(_, a)| a.is_some_and(|a| a.0 < 0)) {
            return Some((field, "expected an amount that is not negative".to_owned()));
        }
        if self.periods.iter().any(|p| p.every <= 0 || p.amount.0 < 0) {
            return Some((
                "periods",
                "expected a length above 0 and an amount that is not negative".to_owned(),
            ));
        }
        if self.delay < 0 {
            return Some(("delay", "expected a delay that is not negative".to_owned()));
        }
        if let Some(expected) = self.failure.fault(layer) {
            return Some(("failure", expected.to_owned()));
        }
        for (field, trigger) in [("start", &self.start), ("stop", &self.stop)] {
            let Some(trigger) = trigger else { continue };
            if let Some(expected) = trigger.fault() {
                return Some((field, expected.to_owned()));
            }
            let of = trigger.of().name();
            if !has(of) {
                return Some((field, format!("{of} is not configured")));
            }
        }
        None
    }
}
