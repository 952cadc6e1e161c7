//! The configuration of a protocol and of a run, as Python sends it: JSON with exact numbers as text and durations in nanoseconds.
//!
//! A protocol is configuration, not code: each stage is a small enum of policies that the stage's own module carries out.

mod accruals;
mod adl;
mod clearing_house;
mod close;
mod closing;
mod delistings;
mod execution;
mod feeds;
mod funds;
mod halts;
mod keeper;
mod latency;
mod layers;
mod limits;
mod margin;
mod parse;
mod payout;
mod penalty;
mod sources;
mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub use accruals::*;
pub use adl::*;
pub use clearing_house::*;
pub use close::*;
pub use closing::*;
pub use delistings::*;
pub use execution::*;
pub use feeds::*;
pub use funds::{OwnFundConfig, OwnFunds};
pub use halts::*;
pub use keeper::*;
pub use latency::{DrawnLatency, LatencyConfig, Weighted};
pub use layers::*;
pub use limits::*;
pub use margin::*;
pub use payout::*;
pub use penalty::*;
pub use sources::*;
pub use token::*;

use crate::error::{Error, Result};
use crate::units::Ratio;

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
    /// Feed at which accounts are tested.
    pub trigger_feed: String,
    /// Feed at which positions are closed.
    pub execution_feed: String,
    /// Feed at which assets are valued; None: the trigger feed.
    pub collateral_feed: Option<String>,
    /// Feed that is the mark of ADL; None: the trigger feed.
    pub adl_feed: Option<String>,
    /// When nobody is liquidated.
    pub guard: Option<GuardConfig>,
    /// When the venue is down.
    pub halts: Vec<HaltConfig>,
    /// Which markets are settled, and when.
    pub delistings: Vec<DelistingConfig>,
    /// Requirements.
    pub margin: MarginConfig,
    /// Collateral weights by asset.
    pub collateral: BTreeMap<String, CollateralConfig>,
    /// Payments between longs and shorts.
    pub funding: Option<FundingConfig>,
    /// What every position pays.
    pub borrow: Option<BorrowConfig>,
    /// Who stands against the book at the open.
    pub counterparty: Counterparty,
    /// Who acts.
    pub keeper: KeeperConfig,
    /// How much of which position an action closes.
    pub close: CloseConfig,
    /// How positions are closed.
    pub execution: ExecutionConfig,
    /// What it costs.
    pub penalty: PenaltyConfig,
    /// How much of their profit winners are paid by the pool; None: all of it.
    pub payout: Option<PayoutConfig>,
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
    pub treasury: Option<TreasuryConfig>,
    /// Token backstop.
    pub token: Option<TokenConfig>,
    /// ADL.
    pub adl: Option<AdlConfig>,
    /// Socialised loss.
    pub socialised: Option<SocialisedConfig>,
    /// Order of payers.
    pub waterfall: Vec<Layer>,
    /// What layers may pay, and when.
    pub limits: BTreeMap<Layer, LimitsConfig>,
    /// Out of what withdrawals are paid; None: there is always enough.
    pub clearing_house: Option<ClearingHouseConfig>,
    /// How long after an uncovered loss nobody withdraws (nanoseconds); None: withdrawals go on.
    pub withdrawal_gate: Option<i64>,
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
            adl_feed: None,
            guard: None,
            halts: Vec::new(),
            delistings: Vec::new(),
            margin: MarginConfig::default(),
            collateral: BTreeMap::new(),
            funding: None,
            borrow: None,
            counterparty: Counterparty::default(),
            keeper: KeeperConfig::default(),
            close: CloseConfig::default(),
            execution: ExecutionConfig::default(),
            penalty: PenaltyConfig::default(),
            payout: None,
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
            token: None,
            adl: None,
            socialised: None,
            waterfall: Vec::new(),
            limits: BTreeMap::new(),
            clearing_house: None,
            withdrawal_gate: None,
        }
    }
}

impl Protocol {
    /// True if losses can be charged to open interest.
    pub fn assesses_open_interest(&self) -> bool {
        self.socialised.is_some_and(|s| s.by == SocialisedBy::OpenInterest)
            && self.waterfall.contains(&Layer::Socialised)
    }

    /// Where each insurance fund gets money from, the general one first.
    pub fn fund_sources(&self) -> impl Iterator<Item = SourcesConfig<'_>> {
        self.insurance_fund.iter().flat_map(InsuranceFundConfig::sources)
    }

    /// Why an action could not be undone where a layer fails, if it could not: others have a part in it.
    fn keeps_from_reverting(&self) -> Option<&'static str> {
        let remainder = self.execution.bound.map(|bound| bound.remainder);
        if self.waterfall.contains(&Layer::Adl) {
            Some("revert needs a waterfall without adl, whose counterparties have dealt by then")
        } else if self.loss_unit != LossUnit::Account {
            Some("revert needs loss_unit account")
        } else if matches!(remainder, Some(Remainder::Adl | Remainder::Deleverage)) {
            Some("revert needs a remainder of execution.bound that is not for ADL")
        } else {
            None
        }
    }

    /// True if anything depends on how much trades.
    pub fn needs_sizes(&self) -> bool {
        self.execution.needs_sizes() || self.fund_sources().any(|s| s.fees.is_some())
    }

    /// The rules of ADL; those that hold where nothing is said if there is none.
    pub fn deleveraging(&self) -> &AdlConfig {
        self.adl.as_ref().unwrap_or(const { &AdlConfig::DEFAULT })
    }

    /// Parses and checks what a schema cannot say.
    pub fn from_json(text: &str) -> Result<Self> {
        let protocol: Self = serde_json::from_str(text).map_err(|e| Error::Config(format!("protocol: {e}")))?;
        protocol.check()?;
        Ok(protocol)
    }

    /// True if this capital or layer is configured.
    fn has(&self, capital: &str) -> bool {
        match capital {
            "insurance_fund" => self.insurance_fund.is_some(),
            "pool" => self.pool.is_some(),
            "vault" => self.vault.is_some(),
            "treasury" => self.treasury.is_some(),
            "adl" => self.adl.is_some(),
            _ => false,
        }
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
                Layer::Token => self.token.is_some(),
            };
            if !configured {
                return fail("waterfall", format!("layer {layer:?} is not configured"));
            }
            if self.waterfall[..i].contains(layer) {
                return fail("waterfall", format!("layer {layer:?} stands twice"));
            }
        }
        for (layer, limits) in &self.limits {
            let field = format!("limits.{}", layer.name());
            if !self.waterfall.contains(layer) {
                return fail(&field, "it is no layer of the waterfall".to_owned());
            }
            if let Some((inner, expected)) = limits.fault(*layer, |name| self.has(name)) {
                return fail(&format!("{field}.{inner}"), expected);
            }
            if limits.reverts()
                && let Some(expected) = self.keeps_from_reverting()
            {
                return fail(&format!("{field}.failure"), expected.to_owned());
            }
        }
        let prepays = self
            .clearing_house
            .is_some_and(|house| house.when_short == WhenHouseShort::Prepay);
        if prepays && self.insurance_fund.is_none() {
            return fail(
                "clearing_house.when_short",
                "insurance_fund is not configured".to_owned(),
            );
        }
        if let Some((field, expected)) = self.token.as_ref().and_then(TokenConfig::fault) {
            return fail(&format!("token.{field}"), expected.to_owned());
        }
        if let Some(treasury) = &self.treasury
            && (treasury.delay.is_some_and(|d| d <= 0) || treasury.real_time.is_some_and(|a| a.0 < 0))
        {
            return fail(
                "treasury",
                "expected a delay above 0 and an amount that is not negative".to_owned(),
            );
        }
        if self.withdrawal_gate.is_some_and(|window| window <= 0) {
            return fail("withdrawal_gate", "expected a duration above 0".to_owned());
        }
        if matches!(self.counterparty, Counterparty::Vault | Counterparty::Keepers) {
            return fail("counterparty", "expected outside or pool".to_owned());
        }
        let charged =
            (self.penalty.rate.num != 0 || self.penalty.escalation.is_some()).then(|| self.penalty.split.keys());
        let shares = charged
            .into_iter()
            .flatten()
            .map(|sink| ("penalty.split", sink.capital()));
        let named = [
            ("counterparty", self.counterparty.capital()),
            ("residual", self.residual.capital()),
            (
                "execution.fee.receiver",
                self.execution.fee.and_then(|fee| fee.receiver.capital()),
            ),
        ];
        for (field, capital) in named.into_iter().chain(self.execution.capital()).chain(shares) {
            if let Some(name) = capital.filter(|name| !self.has(name)) {
                return fail(field, format!("{name} is not configured"));
            }
        }
        let asks_bankruptcy =
            |adl: &AdlConfig| matches!(adl.price, AdlPrice::Bankruptcy | AdlPrice::MarkThenBankruptcy);
        if self.execution.takeover.is_some_and(|t| t.adl_pause.is_some())
            && self.adl.as_ref().is_some_and(asks_bankruptcy)
        {
            return fail(
                "adl.price",
                "a vault that is deleveraged has no bankruptcy price: expected mark, previous_mark or oracle"
                    .to_owned(),
            );
        }
        if self.execution.leaves(Remainder::Deleverage) && self.loss_unit != LossUnit::Fill {
            return fail(
                "execution.bound.remainder",
                "deleverage refuses fills one by one: expected loss_unit fill".to_owned(),
            );
        }
        if let Some(fund) = &self.insurance_fund {
            let general = fund.sources().next().and_then(|s| s.fault(self.treasury.is_some()));
            let general = general.map(|(field, expected)| (field, expected.to_owned()));
            if let Some((field, expected)) = general.or_else(|| funds::fault(&fund.funds, self.treasury.is_some())) {
                return fail(&format!("insurance_fund.{field}"), expected);
            }
        }
        if let Some((field, expected)) = self.close.fault().or_else(|| self.penalty.fault()) {
            return fail(field, expected.to_owned());
        }
        if let Err((field, expected)) = self.keeper.check() {
            return fail(&format!("keeper.{field}"), expected.to_owned());
        }
        let adl = self.adl.as_ref();
        if let Some((field, expected)) = adl.and_then(|adl| adl.fault(self.insurance_fund.is_some())) {
            return fail(&format!("adl.{field}"), expected.to_owned());
        }
        if let Some((field, expected)) = self.payout.as_ref().and_then(|payout| payout.fault(self)) {
            return fail(&format!("payout.{field}"), expected.to_owned());
        }
        for (k, delisting) in self.delistings.iter().enumerate() {
            if let Some((field, expected)) = delisting.fault(self.adl.is_some()) {
                return fail(&format!("delistings.{k}.{field}"), expected.to_owned());
            }
        }
        if let Some(guard) = &self.guard {
            if guard.divergence.is_none() && guard.staleness.is_none() {
                return fail("guard", "expected a divergence or a staleness".to_owned());
            }
            if guard.staleness.is_some_and(|limit| limit < 0)
                || guard.divergence.as_ref().is_some_and(|d| d.limit.num < 0)
            {
                return fail("guard", "expected limits that are not negative".to_owned());
            }
        }
        for (name, c) in &self.collateral {
            for (field, share) in c.shares() {
                if share.is_some_and(|s| s.num < 0 || s.num > s.den) {
                    return fail(
                        &format!("collateral.{name}.{field}"),
                        "expected a share from 0 to 1".to_owned(),
                    );
                }
            }
            if c.sale_cost == Some(Ratio::ONE) {
                return fail(
                    &format!("collateral.{name}.sale_cost"),
                    "expected a share below 1".to_owned(),
                );
            }
        }
        if self.borrow.as_ref().is_some_and(|b| b.receiver == Sink::Account) {
            return fail("borrow.receiver", "the account cannot receive its own fees".to_owned());
        }
        self.execution.check()?;
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

/// Ticks per block of the search index, where nothing else is said.
pub const BLOCK: usize = 128;

/// What the run, not the protocol, decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Feed at which losses are valued, the same for every protocol compared.
    pub reference: Reference,
    /// What becomes of accounts that are below a requirement at the open.
    pub opening: OpeningPolicy,
    /// Ticks per block of the search index. The result does not depend on it.
    pub block_ticks: usize,
    /// Read the ticks about so many at a time, unless they are in memory. The result does not depend on it.
    pub chunk_ticks: Option<usize>,
    /// Where records go that do not stay in memory; None: all stay. The result does not depend on it.
    #[serde(skip)]
    pub spill: Option<SpillTo>,
}

/// Where records go that do not stay in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpillTo {
    /// Directory of the temporary file.
    pub directory: PathBuf,
    /// Rows of a kind that are written together; about as many stay in memory.
    pub rows: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reference: Reference::Named("last".to_owned()),
            opening: OpeningPolicy::Keep,
            block_ticks: BLOCK,
            chunk_ticks: None,
            spill: None,
        }
    }
}

impl Options {
    /// Parses the options of a run.
    pub fn from_json(text: &str) -> Result<Self> {
        let options: Self = serde_json::from_str(text).map_err(|e| Error::Config(format!("options: {e}")))?;
        for (field, ticks) in [
            ("block_ticks", Some(options.block_ticks)),
            ("chunk_ticks", options.chunk_ticks),
        ] {
            if ticks == Some(0) {
                return Err(Error::Config(format!("options: {field}: expected at least 1, got 0")));
            }
        }
        Ok(options)
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

impl Reference {
    /// Name, for reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Feed(_) => "feed",
        }
    }
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
