//! Execution: when a close fills, against whom, and how it moves the price.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse::{optional_usd, positive_ratio, positive_ratios, ratio};
use super::{Counterparty, Sink};
use crate::error::{Error, Result};
use crate::units::{Amount, Ratio};

/// When a closing order fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionKind {
    /// At the execution feed, at once.
    #[default]
    Feed,
    /// At the market's next print.
    NextTick,
    /// At the average price of a share of the volume that trades next.
    Participation,
    /// At the price at which the account became liquidatable, at once.
    Level,
}

impl ExecutionKind {
    /// True if it waits for prints.
    pub fn waits(self) -> bool {
        matches!(self, Self::NextTick | Self::Participation)
    }
}

/// One rung of a ladder of depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungConfig {
    /// Share of the whole (of the position, or of the depth) that fills here.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
    /// Relative price against the account; negative is worse for it.
    #[serde(deserialize_with = "ratio")]
    pub offset: Ratio,
}

/// Shape of the market's depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImpactKind {
    /// Displacement proportional to volume.
    Linear,
    /// Displacement proportional to the square root of volume.
    SquareRoot,
    /// Rungs of depth.
    Ladder,
    /// A virtual market maker of constant product.
    ConstantProduct,
}

/// How closes displace the price.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImpactConfig {
    /// Shape.
    pub kind: ImpactKind,
    /// Quote notional that displaces the price by 100 % (linear, square root), the whole of the rungs, or the virtual quote reserve.
    #[serde(deserialize_with = "positive_ratio")]
    pub depth: Ratio,
    /// Depth of single markets.
    #[serde(default, deserialize_with = "positive_ratios")]
    pub markets: BTreeMap<String, Ratio>,
    /// Factor of the square root.
    #[serde(default = "one", deserialize_with = "positive_ratio")]
    pub coefficient: Ratio,
    /// Rungs of the ladder.
    #[serde(default)]
    pub rungs: Vec<RungConfig>,
    /// Time in which half of a displacement is gone, in nanoseconds; None: it stays.
    #[serde(default)]
    pub half_life: Option<i64>,
    /// Share of the volume that is never forgotten.
    #[serde(default = "zero", deserialize_with = "ratio")]
    pub permanent: Ratio,
    /// Largest displacement, relative.
    #[serde(default = "one", deserialize_with = "positive_ratio")]
    pub limit: Ratio,
    /// Whether the trigger feed is displaced too, so that liquidations trigger others.
    #[serde(default)]
    pub feedback: bool,
}

/// The vault takes over accounts before they are bankrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeoverConfig {
    /// An account whose equity is below this share of its requirement is taken over.
    #[serde(deserialize_with = "ratio")]
    pub below: Ratio,
    /// Dollars that the vault's equity must come to; None: whatever it has lost.
    #[serde(default, deserialize_with = "optional_usd")]
    pub floor: Option<Amount>,
    /// The vault's own positions are deleveraged while its equity is below the floor, a round at most so often, in nanoseconds; None: never.
    #[serde(default)]
    pub adl_pause: Option<i64>,
}

/// Which price is the worst at which a close fills in the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundKind {
    /// Where the equity of the account, shared by requirement, is used up.
    Bankruptcy,
    /// A spread below the mark that grows as the account nears bankruptcy.
    Fillable,
}

/// What becomes of what does not fill within a bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// The rest of the market takes it at the bound.
    Outside,
    /// The pool does.
    Pool,
    /// The vault does.
    #[default]
    Vault,
    /// The keepers do.
    Keepers,
    /// It stays open, and is tried again.
    Retry,
    /// It is matched by ADL.
    Adl,
    /// It stays open, as does what the payers refuse; where nothing fills, whoever is below zero is deleveraged.
    Deleverage,
}

impl Remainder {
    /// Who takes it; None: nobody.
    pub fn taker(self) -> Option<Counterparty> {
        match self {
            Self::Outside => Some(Counterparty::Outside),
            Self::Pool => Some(Counterparty::Pool),
            Self::Vault => Some(Counterparty::Vault),
            Self::Keepers => Some(Counterparty::Keepers),
            Self::Retry | Self::Adl | Self::Deleverage => None,
        }
    }

    /// What must be configured for it.
    fn capital(self) -> Option<&'static str> {
        match self {
            Self::Adl | Self::Deleverage => Some("adl"),
            _ => self.taker().and_then(Counterparty::capital),
        }
    }
}

/// The worst price at which a close fills in the market, and what becomes of what does not fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundConfig {
    /// Which price.
    pub kind: BoundKind,
    /// How fast the spread of the fillable price grows.
    #[serde(default = "one", deserialize_with = "positive_ratio")]
    pub adjustment: Ratio,
    /// The most that the spread can be, in requirements of the position.
    #[serde(default = "three_halves", deserialize_with = "ratio")]
    pub spread: Ratio,
    /// What becomes of the remainder.
    #[serde(default)]
    pub remainder: Remainder,
}

/// What the notional of a trading fee is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeOf {
    /// What the fill comes to.
    #[default]
    Fill,
    /// What was paid at the entry for what it closes.
    Entry,
}

/// What a market fill costs the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradingFeeConfig {
    /// Share of the notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
    /// Of which notional.
    #[serde(default)]
    pub of: FeeOf,
    /// Who is paid.
    #[serde(default = "fees")]
    pub receiver: Sink,
}

fn fees() -> Sink {
    Sink::Fees
}

/// How a close is executed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutionConfig {
    /// When.
    pub kind: ExecutionKind,
    /// Against whom.
    pub counterparty: Counterparty,
    /// Depth in shares of the position; None: all at one price.
    pub ladder: Option<Vec<RungConfig>>,
    /// Depth in money; None: closes do not move the price.
    pub impact: Option<ImpactConfig>,
    /// Share of the volume that trades next, of a close by participation.
    #[serde(deserialize_with = "positive_ratio")]
    pub rate: Ratio,
    /// By market: open interest of the book over the venue's, which scales depth and volume.
    #[serde(deserialize_with = "positive_ratios")]
    pub book_scale: BTreeMap<String, Ratio>,
    /// Discount to the execution price at which the counterparty takes the position.
    #[serde(deserialize_with = "ratio")]
    pub discount: Ratio,
    /// What a market fill costs the account; None: nothing.
    pub fee: Option<TradingFeeConfig>,
    /// When the vault takes an account over as it stands; None: never.
    pub takeover: Option<TakeoverConfig>,
    /// The worst price in the market; None: any.
    pub bound: Option<BoundConfig>,
}

fn three_halves() -> Ratio {
    Ratio { num: 3, den: 2 }
}

fn one() -> Ratio {
    Ratio::ONE
}

fn zero() -> Ratio {
    Ratio::ZERO
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self {
            kind: ExecutionKind::default(),
            counterparty: Counterparty::default(),
            ladder: None,
            impact: None,
            rate: Ratio::ONE,
            book_scale: BTreeMap::new(),
            discount: Ratio::ZERO,
            fee: None,
            takeover: None,
            bound: None,
        }
    }
}

impl ExecutionConfig {
    /// Fields, and what must be configured for them.
    pub(super) fn capital(&self) -> [(&'static str, Option<&'static str>); 4] {
        [
            ("execution.counterparty", self.counterparty.capital()),
            (
                "execution.bound.remainder",
                self.bound.and_then(|b| b.remainder.capital()),
            ),
            ("execution.takeover", self.takeover.and(Some("vault"))),
            (
                "execution.takeover.adl_pause",
                self.takeover.and_then(|t| t.adl_pause).and(Some("adl")),
            ),
        ]
    }

    /// True if a bound has this remainder.
    pub fn leaves(&self, remainder: Remainder) -> bool {
        self.bound.is_some_and(|bound| bound.remainder == remainder)
    }

    /// True if closes depend on how much trades.
    pub fn needs_sizes(&self) -> bool {
        self.kind == ExecutionKind::Participation
    }

    /// True if the trigger feed depends on what is closed.
    pub fn feeds_back(&self) -> bool {
        self.impact.as_ref().is_some_and(|i| i.feedback)
    }

    /// The share of a market's depth and volume that belongs to the book.
    pub fn scale(&self, market: &str) -> Ratio {
        self.book_scale.get(market).copied().unwrap_or(Ratio::ONE)
    }

    /// Checks what a schema cannot say.
    pub(super) fn check(&self) -> Result<()> {
        let fail = |field: &str, expected: &str| Err(Error::Config(format!("protocol: execution.{field}: {expected}")));
        let share = |r: Ratio| r.num >= 0 && r.num <= r.den;
        if let Some(rungs) = &self.ladder
            && (rungs.is_empty() || rungs.iter().any(|r| r.share.num <= 0 || r.offset.num <= -r.offset.den))
        {
            return fail("ladder", "expected rungs with positive shares and offsets above -1");
        }
        if !share(self.rate) {
            return fail("rate", "expected a share above 0, at most 1");
        }
        if !share(self.discount) || self.discount == Ratio::ONE {
            return fail("discount", "expected a share of at least 0, below 1");
        }
        let priced = [
            self.ladder.is_some(),
            self.impact.is_some(),
            self.discount.num > 0,
            self.kind == ExecutionKind::Participation,
        ];
        if priced.iter().filter(|p| **p).count() > 1 {
            return fail(
                "impact",
                "expected at most one of a ladder, an impact, a discount and participation, each of which makes the price",
            );
        }
        if self.takeover.is_some_and(|t| t.below.num < 0) {
            return fail("takeover.below", "expected a share that is not negative");
        }
        if self.takeover.is_some() && self.kind == ExecutionKind::Level {
            return fail("takeover", "expected none where closes fill at the level");
        }
        if self.takeover.and_then(|t| t.adl_pause).is_some_and(|pause| pause <= 0) {
            return fail("takeover.adl_pause", "expected a duration above 0");
        }
        if self.bound.is_some_and(|b| b.spread.num < 0) {
            return fail("bound.spread", "expected a rate that is not negative");
        }
        let Some(impact) = &self.impact else { return Ok(()) };
        if impact.half_life.is_some_and(|h| h < 0) {
            return fail("impact.half_life", "expected a duration that is not negative");
        }
        if !share(impact.permanent) {
            return fail("impact.permanent", "expected a share from 0 to 1");
        }
        if !share(impact.limit) {
            return fail("impact.limit", "expected a share above 0, at most 1");
        }
        let ladder = impact.kind == ImpactKind::Ladder;
        if ladder == impact.rungs.is_empty() {
            return fail("impact.rungs", "expected rungs for a ladder, and for nothing else");
        }
        let falls = |w: &[RungConfig]| w[1].offset.minus(w[0].offset).is_some_and(|d| d.num <= 0);
        let sound = |r: &RungConfig| r.share.num > 0 && r.offset.num <= 0 && r.offset.num > -r.offset.den;
        if !impact.rungs.iter().all(sound) || !impact.rungs.windows(2).all(falls) {
            return fail(
                "impact.rungs",
                "expected positive shares and offsets from 0 down, above -1, each no better than the one before",
            );
        }
        Ok(())
    }
}
