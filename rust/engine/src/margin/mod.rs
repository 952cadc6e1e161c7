//! Margin: how much equity an account needs, and whether it has it.
//!
//! Decisions are integer; [`Bound`] gives the floating-point lower bounds that let a search skip what cannot fail.

mod bound;
mod leverage;
mod linear;
mod nested;
mod ramp;
mod root;
mod rule;
mod scale;
mod schedule;
mod steps;

pub use bound::{Bound, Reach, Term, WIDTH};
pub use scale::Scale;

use rule::Rule;

use crate::book::{Book, Holding, Leg};
use crate::config::Protocol;
use crate::contract::{Asset, AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::units::{Amount, Price, Ratio, Size, Usd, ceil_div, floor_div, product};

/// Prices at which accounts are tested: one per market and side, and one per asset for accounts that hold several; and what else of the
/// moment a requirement depends on.
pub trait Prices {
    /// Price of a market for a position of this sign.
    fn market(&self, market: MarketId, size: Size) -> Price;
    /// Price of an asset's price market.
    fn asset(&self, asset: AssetId) -> Price;
    /// Scale of dynamic margin.
    fn scale(&self, _market: MarketId) -> Scale {
        Scale::ONE
    }
    /// What counts of the profit of a leg, where no more counts than is paid: nothing, if it is not known.
    ///
    /// # Errors
    /// Overflow.
    fn payable(&self, _holding: Holding<'_>, _leg: &Leg, _profit: Amount) -> Result<Amount> {
        Ok(Amount::ZERO)
    }
    /// Open interest of the larger side; asked for by initial requirements only.
    fn open_interest(&self, _market: MarketId) -> Size {
        Size::ZERO
    }
}

/// What margin accounts are long and short by market; nothing where no rule asks for it.
#[derive(Debug, Clone, Default)]
pub struct OpenInterest(Vec<(Size, Size)>);

impl OpenInterest {
    /// The larger side of a market.
    pub fn larger_side(&self, market: MarketId) -> Size {
        self.0.get(market).map_or(Size::ZERO, |&(long, short)| long.max(short))
    }

    /// Adds a position.
    ///
    /// # Errors
    /// Overflow.
    pub fn add(&mut self, market: MarketId, size: Size) -> Result<()> {
        if let Some((long, short)) = self.0.get_mut(market) {
            if size.0 > 0 {
                *long = long.plus(size)?;
            } else {
                *short = short.plus(size.negated())?;
            }
        }
        Ok(())
    }

    /// Part of a position is closed.
    ///
    /// # Errors
    /// Overflow.
    pub fn remove(&mut self, market: MarketId, size: Size) -> Result<()> {
        if let Some((long, short)) = self.0.get_mut(market) {
            if size.0 > 0 {
                *long = long.plus(size.negated())?;
            } else {
                *short = short.plus(size)?;
            }
        }
        Ok(())
    }
}

/// Prices, and the open interest.
pub struct WithInterest<'a, P> {
    /// The prices.
    pub prices: &'a P,
    /// The open interest.
    pub open_interest: &'a OpenInterest,
}

impl<P: Prices> Prices for WithInterest<'_, P> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        self.prices.market(market, size)
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.prices.asset(asset)
    }

    fn scale(&self, market: MarketId) -> Scale {
        self.prices.scale(market)
    }

    fn payable(&self, holding: Holding<'_>, leg: &Leg, profit: Amount) -> Result<Amount> {
        self.prices.payable(holding, leg, profit)
    }

    fn open_interest(&self, market: MarketId) -> Size {
        self.open_interest.larger_side(market)
    }
}

/// Equity and requirement of an account in one unit: its asset, or micro-dollars if it holds several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Collateral plus unrealised profit, rounded down.
    pub equity: i128,
    /// What it must not fall below, rounded up.
    pub requirement: i128,
}

impl Health {
    /// Equity is below the requirement.
    pub fn fails(self) -> bool {
        self.equity < self.requirement
    }
}

/// Which requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// To stay.
    Maintenance,
    /// To open or to withdraw; the maintenance requirement where no initial rate is set.
    Initial,
}

/// How an asset counts.
#[derive(Debug, Clone, Copy)]
struct Weights {
    maintenance: Ratio,
    initial: Ratio,
    /// Of a leg's profit in this asset; None: whole.
    profit: Option<Ratio>,
    /// What is left of the price at a conversion.
    sold_at: Ratio,
}

/// Margin rules bound to a venue.
#[derive(Debug, Clone)]
pub struct Margin {
    maintenance: Vec<Rule>,
    initial: Vec<Option<Rule>>,
    /// By market: the scale of dynamic margin applies to the initial rule.
    initial_scaled: Vec<bool>,
    weights: Vec<Weights>,
    /// Some rule is about the share of the collateral that is left.
    shares: bool,
    /// Some initial rule asks for the open interest.
    asks_open_interest: bool,
    /// A profit counts only as far as it is paid.
    caps_profits: bool,
}

impl Margin {
    /// Binds the margin configuration to the markets and assets of a run.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn bind(protocol: &Protocol, venue: &Venue) -> Result<Self> {
        let config = &protocol.margin;
        let (mut maintenance, mut initial, mut initial_scaled) = (Vec::new(), Vec::new(), Vec::new());
        for market in &venue.markets {
            let own = config.markets.get(&market.name);
            let (kept, rate, opened, minimum, dynamic) = match own {
                Some(m) => (&m.maintenance, m.initial_rate, &m.initial, m.minimum, &m.dynamic),
                None => (
                    &config.maintenance,
                    config.initial_rate,
                    &config.initial,
                    config.minimum,
                    &config.dynamic,
                ),
            };
            let rule = Rule::bind(kept, minimum, market, "maintenance")?;
            if rule.asks_open_interest() {
                return Err(Error::Config(
                    "protocol: margin.maintenance: open_interest is a rule for the initial requirement".to_owned(),
                ));
            }
            maintenance.push(rule);
            initial.push(match (rate, opened) {
                (Some(_), Some(_)) => {
                    return Err(Error::Config(
                        "protocol: margin.initial: expected either initial or initial_rate".to_owned(),
                    ));
                }
                (Some(rate), None) => Some(Rule::rate(rate, minimum, market)?),
                (None, Some(rule)) => Some(Rule::bind(rule, minimum, market, "initial")?),
                (None, None) => None,
            });
            initial_scaled.push(dynamic.as_ref().is_some_and(|d| d.initial));
        }
        for name in protocol.collateral.keys() {
            if venue.asset(name).is_none() {
                let known: Vec<&str> = venue.assets.iter().map(|a| a.name.as_str()).collect();
                return Err(Error::Config(format!(
                    "protocol: collateral.{name}: there is no asset {name:?}; expected one of {}",
                    known.join(", ")
                )));
            }
        }
        let weights = venue.assets.iter().map(|a| {
            let c = protocol.collateral.get(&a.name);
            let weight = c.map_or(Ratio::ONE, |c| c.weight);
            Weights {
                maintenance: weight,
                initial: c.and_then(|c| c.initial_weight).unwrap_or(weight),
                profit: c.and_then(|c| c.profit_weight).filter(|w| *w != Ratio::ONE),
                sold_at: c
                    .and_then(|c| c.sale_cost)
                    .and_then(|cost| Ratio::ONE.minus(cost))
                    .unwrap_or(Ratio::ONE),
            }
        });
        let rules = || maintenance.iter().chain(initial.iter().flatten());
        let shares = rules().any(|r| r.kept_share().is_some());
        let asks_open_interest = rules().any(Rule::asks_open_interest);
        Ok(Self {
            weights: weights.collect(),
            maintenance,
            initial,
            initial_scaled,
            shares,
            asks_open_interest,
            caps_profits: protocol.payout.as_ref().is_some_and(|payout| payout.in_margin),
        })
    }

    /// True if a profit counts only as far as it is paid, which no search knows.
    pub fn caps_profits(&self) -> bool {
        self.caps_profits
    }

    /// Weight of profit in an asset, for bounds; None: whole. A profit of which not all may count counts as nothing.
    pub(super) fn least_profit_weight(&self, asset: AssetId) -> Option<f64> {
        if self.caps_profits {
            return Some(0.0);
        }
        self.weights[asset].profit.map(Ratio::as_f64)
    }

    /// True if the initial requirement can be another than the maintenance requirement.
    pub fn has_initial(&self) -> bool {
        self.initial.iter().any(Option::is_some) || self.weights.iter().any(|w| w.initial != w.maintenance)
    }

    /// The open interest of a book, if any rule asks for it.
    ///
    /// # Errors
    /// Overflow.
    pub fn open_interest(&self, venue: &Venue, book: &Book) -> Result<OpenInterest> {
        if !self.asks_open_interest {
            return Ok(OpenInterest::default());
        }
        let mut sides = OpenInterest(vec![(Size::ZERO, Size::ZERO); venue.markets.len()]);
        for leg in book.all_legs() {
            sides.add(leg.market, leg.size)?;
        }
        Ok(sides)
    }

    /// What is left of an asset's price when it is converted.
    pub fn sold_at(&self, asset: AssetId) -> Ratio {
        self.weights[asset].sold_at
    }

    /// Maintenance requirement of a leg at a price, rounded up, in the settlement asset.
    ///
    /// # Errors
    /// Overflow.
    pub fn maintenance(&self, venue: &Venue, leg: &Leg, price: Price, scale: Scale) -> Result<Amount> {
        self.maintenance[leg.market].requirement(&venue.markets[leg.market], leg, price, scale, || Size::ZERO)
    }

    /// Number of the bracket of maintenance margin that a size is in at a price, from 0.
    ///
    /// # Errors
    /// Overflow.
    pub fn bracket(&self, venue: &Venue, market: MarketId, size: Size, price: Price) -> Result<usize> {
        self.maintenance[market].bracket(&venue.markets[market], size, price)
    }

    fn rule(&self, market: MarketId, which: Requirement) -> &Rule {
        let own = match which {
            Requirement::Initial => self.initial[market].as_ref(),
            Requirement::Maintenance => None,
        };
        own.unwrap_or(&self.maintenance[market])
    }

    #[inline]
    fn requirement(
        &self,
        venue: &Venue,
        leg: &Leg,
        price: Price,
        prices: &impl Prices,
        which: Requirement,
    ) -> Result<Amount> {
        let m = leg.market;
        let unscaled = which == Requirement::Initial && self.initial[m].is_some() && !self.initial_scaled[m];
        let scale = if unscaled { Scale::ONE } else { prices.scale(m) };
        let open = || prices.open_interest(m);
        self.rule(m, which)
            .requirement(&venue.markets[m], leg, price, scale, open)
    }

    /// Value of a leg as it counts in equity, rounded down.
    #[inline]
    fn counted(
        &self,
        venue: &Venue,
        (holding, leg): (Holding<'_>, &Leg),
        price: Price,
        prices: &impl Prices,
        which: Requirement,
    ) -> Result<Amount> {
        let market = &venue.markets[leg.market];
        let value = market.value(leg.size, price)?;
        let weight = self.weights[market.settlement].profit;
        if weight.is_none() && !self.caps_profits {
            return Ok(value);
        }
        let mut profit = value.minus(leg.entry_value)?.positive();
        let mut counted = value;
        if self.caps_profits && !profit.is_zero() {
            let paid = match which {
                Requirement::Maintenance => prices.payable(holding, leg, profit)?,
                Requirement::Initial => Amount::ZERO,
            };
            counted = counted.minus(profit.minus(paid)?)?;
            profit = paid;
        }
        match weight {
            None => Ok(counted),
            Some(weight) => counted.minus(Amount(ceil_div(
                product(profit.0, weight.den - weight.num, "weight of profit")?,
                weight.den,
            ))),
        }
    }

    /// Equity and requirement of an account (semantics, section 4).
    ///
    /// # Errors
    /// Overflow.
    pub fn health(
        &self,
        venue: &Venue,
        book: &Book,
        account: usize,
        prices: &impl Prices,
        which: Requirement,
    ) -> Result<Health> {
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        self.health_of(venue, Holding { legs, cash }, prices, which)
    }

    /// Equity and requirement of positions and cash.
    ///
    /// # Errors
    /// Overflow.
    pub fn health_of(
        &self,
        venue: &Venue,
        holding: Holding<'_>,
        prices: &impl Prices,
        which: Requirement,
    ) -> Result<Health> {
        let Holding { legs, cash } = holding;
        let kept = if self.shares { self.kept(legs, which) } else { None };
        if let [(asset, only)] = cash {
            let (mut equity, mut required) = (*only, Amount::ZERO);
            for leg in legs.iter().filter(|l| !l.size.is_zero()) {
                let price = prices.market(leg.market, leg.size);
                equity = equity.plus(self.counted(venue, (holding, leg), price, prices, which)?)?;
                required = required.plus(self.requirement(venue, leg, price, prices, which)?)?;
            }
            if let Some(kept) = kept {
                required = required.plus(share_kept(venue, legs, (*asset, *only), kept)?)?;
                required = required.plus(Amount(1))?;
            }
            return Ok(Health {
                equity: equity.0,
                requirement: required.0,
            });
        }
        let (mut equity, mut requirement) = (Usd::ZERO, Usd(i128::from(kept.is_some())));
        for &(asset, amount) in cash {
            let (mut balance, mut required) = (amount, Amount::ZERO);
            for leg in legs.iter().filter(|l| !l.size.is_zero()) {
                if venue.markets[leg.market].settlement == asset {
                    let price = prices.market(leg.market, leg.size);
                    balance = balance.plus(self.counted(venue, (holding, leg), price, prices, which)?)?;
                    required = required.plus(self.requirement(venue, leg, price, prices, which)?)?;
                }
            }
            if let Some(kept) = kept {
                required = required.plus(share_kept(venue, legs, (asset, amount), kept)?)?;
            }
            let price = prices.asset(asset);
            let worth = &venue.assets[asset];
            let weights = &self.weights[asset];
            let weight = match which {
                Requirement::Maintenance => weights.maintenance,
                Requirement::Initial => weights.initial,
            };
            equity = equity.plus(weighted_usd(worth, weight, balance, price)?)?;
            requirement = requirement.plus(worth.usd_ceil(required, price)?)?;
        }
        Ok(Health {
            equity: equity.0,
            requirement: requirement.0,
        })
    }

    /// The greatest share of its collateral that a rule wants an account to keep.
    fn kept(&self, legs: &[Leg], which: Requirement) -> Option<Ratio> {
        let open = legs.iter().filter(|l| !l.size.is_zero());
        open.filter_map(|l| self.rule(l.market, which).kept_share())
            .reduce(|a, b| {
                if b.minus(a).is_some_and(|step| step.num > 0) {
                    b
                } else {
                    a
                }
            })
    }
}

/// What is to be kept of an account's collateral in one asset: its cash, and what its legs there cost.
fn share_kept(venue: &Venue, legs: &[Leg], (asset, cash): (AssetId, Amount), kept: Ratio) -> Result<Amount> {
    let own = legs.iter().filter(|l| venue.markets[l.market].settlement == asset);
    let collateral = own.clone().try_fold(cash, |sum, l| sum.plus(l.entry_value))?;
    Ok(Amount(
        kept.floor_of(collateral.positive().0, "share of the collateral")?,
    ))
}

fn weighted_usd(worth: &Asset, weight: Ratio, balance: Amount, price: Price) -> Result<Usd> {
    if balance.0 <= 0 || weight == Ratio::ONE {
        return worth.usd_floor(balance, price);
    }
    // One rounding: floor(balance * price * weight).
    let scaled = worth.usd_fraction(Amount(product(balance.0, weight.num, "collateral weight")?), price)?;
    Ok(Usd(floor_div(
        scaled.num,
        product(scaled.den, weight.den, "collateral weight")?,
    )))
}
