//! The configuration of a protocol and of a run, as Python sends it: JSON with exact numbers as text and durations in nanoseconds.
//!
//! A protocol is configuration, not code: each stage is a small enum of policies that the stage's own module carries out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::market::USD_DECIMALS;
use crate::units::{Amount, Ratio};

fn ratio<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Ratio, D::Error> {
    let text = String::deserialize(d)?;
    Ratio::parse(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("expected a decimal or a fraction, got {text:?}")))
}

fn optional_ratio<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Option<Ratio>, D::Error> {
    let text = Option::<String>::deserialize(d)?;
    text.map(|t| {
        Ratio::parse(&t).ok_or_else(|| serde::de::Error::custom(format!("expected a decimal or a fraction, got {t:?}")))
    })
    .transpose()
}

fn ratios<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<BTreeMap<Sink, Ratio>, D::Error> {
    let texts = BTreeMap::<Sink, String>::deserialize(d)?;
    texts
        .into_iter()
        .map(|(k, t)| {
            let r = Ratio::parse(&t)
                .ok_or_else(|| serde::de::Error::custom(format!("expected a decimal or a fraction, got {t:?}")))?;
            Ok((k, r))
        })
        .collect()
}

fn usd<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Amount, D::Error> {
    let text = String::deserialize(d)?;
    Decimal::parse(&text)
        .and_then(|x| x.to_integer(USD_DECIMALS))
        .map(Amount)
        .ok_or_else(|| serde::de::Error::custom(format!("expected dollars with at most 6 decimals, got {text:?}")))
}

/// Which prints of one instant are states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prints {
    /// The last in file order.
    #[default]
    LastOfInstant,
    /// Every print, for accounts with a single leg.
    Each,
}

/// Ticks that a feed is made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The market's own ticks.
    #[default]
    Own,
    /// The ticks of the market's index market.
    Index,
}

/// A published price series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeedConfig {
    /// The ticks themselves.
    Last {
        /// Whose ticks.
        #[serde(default)]
        source: Source,
        /// Which prints of an instant are states.
        #[serde(default)]
        prints: Prints,
    },
    /// A push oracle: written on deviation or heartbeat, visible after a latency.
    Push {
        /// Name of the feed that it samples: `last` or `index`.
        source: String,
        /// Relative change that forces a write.
        #[serde(deserialize_with = "ratio")]
        deviation: Ratio,
        /// Age that forces a write at the next tick, in nanoseconds.
        heartbeat: i64,
        /// From write to visibility, in nanoseconds.
        #[serde(default)]
        latency: i64,
    },
}

/// One maintenance bracket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierConfig {
    /// Quote notional from which the bracket applies.
    #[serde(deserialize_with = "ratio")]
    pub lower: Ratio,
    /// Rate on the whole notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
    /// Quote amount taken off; None: from continuity.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub deduction: Option<Ratio>,
}

/// How much equity a leg needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MaintenanceConfig {
    /// One rate.
    Flat {
        /// Share of the notional.
        #[serde(deserialize_with = "ratio")]
        rate: Ratio,
    },
    /// Marginal brackets with deduction.
    Brackets {
        /// From the lowest up; the first at zero.
        tiers: Vec<TierConfig>,
    },
}

/// Margin of one market.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketMarginConfig {
    /// Maintenance requirement.
    pub maintenance: MaintenanceConfig,
    /// Initial requirement as a share of the notional.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub initial_rate: Option<Ratio>,
}

/// Margin of all markets, with overrides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarginConfig {
    /// Maintenance requirement of a market without override.
    pub maintenance: MaintenanceConfig,
    /// Initial requirement of a market without override.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub initial_rate: Option<Ratio>,
    /// Overrides by market name.
    #[serde(default)]
    pub markets: BTreeMap<String, MarketMarginConfig>,
}

impl Default for MarginConfig {
    fn default() -> Self {
        Self {
            maintenance: MaintenanceConfig::Flat {
                rate: Ratio { num: 1, den: 200 },
            },
            initial_rate: None,
            markets: BTreeMap::new(),
        }
    }
}

/// How an asset counts as collateral.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollateralConfig {
    /// Share of a positive balance that counts.
    #[serde(deserialize_with = "ratio")]
    pub weight: Ratio,
}

/// Entities that a protocol can name as the other side of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counterparty {
    /// The rest of the market.
    #[default]
    Outside,
    /// The liquidity pool.
    Pool,
    /// The liquidator vault.
    Vault,
}

/// Who acts on a trigger, and how late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeeperConfig {
    /// From detection to action, in nanoseconds.
    #[serde(default)]
    pub latency: i64,
    /// How often what actions changed is detected again within an instant.
    #[serde(default = "one_round")]
    pub rounds: u32,
}

fn one_round() -> u32 {
    1
}

impl Default for KeeperConfig {
    fn default() -> Self {
        Self { latency: 0, rounds: 1 }
    }
}

/// When a closing order fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionKind {
    /// At the execution feed, at once.
    #[default]
    Feed,
    /// At the market's next print.
    NextTick,
}

/// One rung of a ladder of depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungConfig {
    /// Share of the whole position that fills here.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
    /// Relative price against the account; negative is worse for it.
    #[serde(deserialize_with = "ratio")]
    pub offset: Ratio,
}

/// How a close is executed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionConfig {
    /// When.
    #[serde(default)]
    pub kind: ExecutionKind,
    /// Against whom.
    #[serde(default)]
    pub counterparty: Counterparty,
    /// Depth; None: all at one price.
    #[serde(default)]
    pub ladder: Option<Vec<RungConfig>>,
}

/// Who receives a share of a penalty, or what is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// The account itself.
    #[default]
    Account,
    /// The insurance fund.
    InsuranceFund,
    /// The liquidity pool.
    Pool,
    /// The treasury.
    Treasury,
    /// The keepers.
    Keepers,
    /// The protocol's fee account.
    Fees,
    /// The liquidator vault.
    Vault,
}

/// What a liquidation costs the account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PenaltyConfig {
    /// Share of the closed notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
    /// Shares by receiver; they sum to one.
    #[serde(deserialize_with = "ratios")]
    pub split: BTreeMap<Sink, Ratio>,
    /// Fixed fee of the keeper, in dollars.
    #[serde(deserialize_with = "usd")]
    pub keeper_fee: Amount,
    /// Whether the keeper is paid even by an account that has nothing.
    pub paid_if_insolvent: bool,
}

impl Default for PenaltyConfig {
    fn default() -> Self {
        Self {
            rate: Ratio::ZERO,
            split: BTreeMap::from([(Sink::InsuranceFund, Ratio::ONE)]),
            keeper_fee: Amount::ZERO,
            paid_if_insolvent: false,
        }
    }
}

/// Order of routes and payers within an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// Each liquidation runs to its end before the next.
    #[default]
    PerFill,
    /// All that need no payer first.
    PerInstant,
}

/// What a loss is counted per.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossUnit {
    /// The whole account.
    #[default]
    Account,
    /// Each position.
    Position,
    /// Each fill.
    Fill,
}

/// How the equity of a cross account is attributed to its positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// By notional.
    #[default]
    Notional,
    /// By maintenance requirement.
    Maintenance,
    /// All on the first.
    Account,
}

/// What the outside market does with inventory that it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideInventory {
    /// Keeps it, and can be deleveraged, last of all.
    #[default]
    Keeps,
    /// Hedges it elsewhere: no counterparty for ADL.
    Hedges,
}

/// What happens to a deposit that comes after the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateDeposits {
    /// Not received.
    #[default]
    Ignore,
    /// Received, and paid on to whoever covered the loss.
    Recover,
}

/// How the insurance fund covers a loss that exceeds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// As much of the position is sold as the fund can cover; ADL takes the rest.
    #[default]
    Slices,
    /// All is sold; the fund pays until it is empty.
    Exhaust,
    /// All or nothing.
    AllOrNone,
}

/// The insurance fund.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsuranceFundConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
    /// Partial cover or none.
    #[serde(default)]
    pub coverage: Coverage,
}

/// A layer that is just capital.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapitalConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
}

/// Price of an ADL match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlPrice {
    /// Where the loser's equity is zero.
    #[default]
    Bankruptcy,
    /// The trigger feed.
    Mark,
}

/// How much a counterparty can be made to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlCapacity {
    /// Up to its own bankruptcy.
    #[default]
    Equity,
    /// Up to its position, whatever it costs it.
    Position,
    /// Up to its profit.
    Profit,
}

/// Auto-deleveraging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdlConfig {
    /// Price of a match.
    pub price: AdlPrice,
    /// Limit of a counterparty.
    pub capacity: AdlCapacity,
}

/// Socialised loss among the session's winners, pro rata to profit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocialisedConfig {}

/// A payer of the waterfall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The insurance fund.
    InsuranceFund,
    /// The liquidity pool.
    Pool,
    /// Auto-deleveraging: a route that stands in the order of payers.
    Adl,
    /// Socialised loss.
    Socialised,
    /// The treasury.
    Treasury,
}

/// A protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protocol {
    /// Name, for reports.
    pub name: String,
    /// What it is, for reports.
    pub description: String,
    /// Feeds by name; `last` and `index` are predefined.
    pub feeds: BTreeMap<String, FeedConfig>,
    /// Feed at which accounts are tested, and the mark of ADL.
    pub trigger_feed: String,
    /// Feed at which positions are closed.
    pub execution_feed: String,
    /// Feed at which assets are valued; None: the trigger feed.
    pub collateral_feed: Option<String>,
    /// Requirements.
    pub margin: MarginConfig,
    /// Collateral weights by asset.
    pub collateral: BTreeMap<String, CollateralConfig>,
    /// Who stands against the book at the open.
    pub counterparty: Counterparty,
    /// Who acts.
    pub keeper: KeeperConfig,
    /// How positions are closed.
    pub execution: ExecutionConfig,
    /// What it costs.
    pub penalty: PenaltyConfig,
    /// Who gets what is left of a closed account.
    pub residual: Sink,
    /// Order within an instant.
    pub settlement: Settlement,
    /// What a loss is counted per.
    pub loss_unit: LossUnit,
    /// Attribution of a cross account's equity.
    pub attribution: Attribution,
    /// What the outside does with inventory.
    pub outside: OutsideInventory,
    /// What becomes of late deposits.
    pub late_deposits: LateDeposits,
    /// Insurance fund.
    pub insurance_fund: Option<InsuranceFundConfig>,
    /// Liquidity pool.
    pub pool: Option<CapitalConfig>,
    /// Liquidator vault.
    pub vault: Option<CapitalConfig>,
    /// Treasury.
    pub treasury: Option<CapitalConfig>,
    /// ADL.
    pub adl: Option<AdlConfig>,
    /// Socialised loss.
    pub socialised: Option<SocialisedConfig>,
    /// Order of payers.
    pub waterfall: Vec<Layer>,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            feeds: BTreeMap::new(),
            trigger_feed: "last".to_owned(),
            execution_feed: "last".to_owned(),
            collateral_feed: None,
            margin: MarginConfig::default(),
            collateral: BTreeMap::new(),
            counterparty: Counterparty::default(),
            keeper: KeeperConfig::default(),
            execution: ExecutionConfig::default(),
            penalty: PenaltyConfig::default(),
            residual: Sink::default(),
            settlement: Settlement::default(),
            loss_unit: LossUnit::default(),
            attribution: Attribution::default(),
            outside: OutsideInventory::default(),
            late_deposits: LateDeposits::default(),
            insurance_fund: None,
            pool: None,
            vault: None,
            treasury: None,
            adl: None,
            socialised: None,
            waterfall: Vec::new(),
        }
    }
}

impl Protocol {
    /// Parses and checks what a schema cannot say.
    pub fn from_json(text: &str) -> Result<Self> {
        let protocol: Self = serde_json::from_str(text).map_err(|e| Error::Config(format!("protocol: {e}")))?;
        protocol.check()?;
        Ok(protocol)
    }

    fn check(&self) -> Result<()> {
        let fail = |field: &str, expected: String| Err(Error::Config(format!("protocol: {field}: {expected}")));
        for (i, layer) in self.waterfall.iter().enumerate() {
            let configured = match layer {
                Layer::InsuranceFund => self.insurance_fund.is_some(),
                Layer::Pool => self.pool.is_some(),
                Layer::Adl => self.adl.is_some(),
                Layer::Socialised => self.socialised.is_some(),
                Layer::Treasury => self.treasury.is_some(),
            };
            if !configured {
                return fail("waterfall", format!("layer {layer:?} is not configured"));
            }
            if self.waterfall[..i].contains(layer) {
                return fail("waterfall", format!("layer {layer:?} stands twice"));
            }
        }
        if self.counterparty == Counterparty::Vault {
            return fail("counterparty", "expected outside or pool".to_owned());
        }
        let shares = self.penalty.split.values().try_fold(Ratio::ZERO, |sum, r| sum.plus(*r));
        if shares != Some(Ratio::ONE) || self.penalty.split.values().any(|r| r.num < 0) {
            return fail(
                "penalty.split",
                "expected shares that are not negative and sum to 1".to_owned(),
            );
        }
        if self.penalty.split.contains_key(&Sink::Account) {
            return fail("penalty.split", "the account cannot receive its own penalty".to_owned());
        }
        if self.penalty.rate.num < 0 || self.penalty.keeper_fee.0 < 0 {
            return fail("penalty", "expected a rate and a fee that are not negative".to_owned());
        }
        if self.keeper.latency < 0 {
            return fail("keeper.latency", "expected a duration that is not negative".to_owned());
        }
        for (name, c) in &self.collateral {
            if c.weight.num < 0 || c.weight.num > c.weight.den {
                return fail(
                    &format!("collateral.{name}.weight"),
                    "expected a share from 0 to 1".to_owned(),
                );
            }
        }
        if let Some(rungs) = &self.execution.ladder
            && (rungs.is_empty() || rungs.iter().any(|r| r.share.num <= 0 || r.offset.num <= -r.offset.den))
        {
            return fail(
                "execution.ladder",
                "expected rungs with positive shares and offsets above -1".to_owned(),
            );
        }
        let layers = [
            ("insurance_fund", self.insurance_fund.as_ref().map(|l| l.balance)),
            ("pool", self.pool.as_ref().map(|l| l.balance)),
            ("vault", self.vault.as_ref().map(|l| l.balance)),
            ("treasury", self.treasury.as_ref().map(|l| l.balance)),
        ];
        for (name, balance) in layers {
            if balance.is_some_and(|b| b.0 < 0) {
                return fail(
                    &format!("{name}.balance"),
                    "expected an amount that is not negative".to_owned(),
                );
            }
        }
        Ok(())
    }
}

/// What the run, not the protocol, decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Feed at which losses are valued, the same for every protocol compared.
    pub reference: Reference,
    /// What becomes of accounts that are below a requirement at the open.
    pub opening: OpeningPolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reference: Reference::Named("last".to_owned()),
            opening: OpeningPolicy::Keep,
        }
    }
}

impl Options {
    /// Parses the options of a run.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| Error::Config(format!("options: {e}")))
    }
}

/// The reference feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// `last` or `index`.
    Named(String),
    /// Any feed.
    Feed(FeedConfig),
}

/// What becomes of accounts that are below a requirement at the open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpeningPolicy {
    /// Loaded and flagged.
    #[default]
    Keep,
    /// Left out and listed.
    Reject,
    /// Cut to the requirement.
    Rescale,
}
