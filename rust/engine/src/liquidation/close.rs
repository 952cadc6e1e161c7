//! Planning a close: what a full close at market would leave, and how much of each leg goes to the market and to ADL.

use crate::book::Leg;
use crate::config::{Attribution, Counterparty, Layer, LossUnit, Remainder, WhenInsolvent};
use crate::contract::AssetId;
use crate::error::Result;
use crate::few::Few;
use crate::ledger::Entity;
use crate::liquidation::hypothesis::Hypothesis;
use crate::liquidation::part::Whole;
use crate::liquidation::penalty::{KeeperFee, Terms};
use crate::liquidation::takeover;
use crate::search::PriceRanges;
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Split, mul_div_ceil};
use crate::waterfall::adl::{self, Match};
use crate::waterfall::socialised::open_interest::ClosedLeg;

impl Counterparty {
    /// Its ledger account.
    pub fn entity(self) -> Entity {
        match self {
            Self::Outside => Entity::Outside,
            Self::Pool => Entity::Pool,
            Self::Vault => Entity::Vault,
            Self::Keepers => Entity::Keepers,
        }
    }
}

/// The price at which a leg closes, before closes displace it.
#[derive(Debug, Clone, Copy)]
pub struct LegPrice {
    /// Leg of the account.
    pub leg: usize,
    /// Its price.
    pub price: Price,
}

/// Prices of the legs of an account.
pub type LegPrices = Few<LegPrice, 6>;

/// One leg of a close.
#[derive(Debug, Clone)]
pub struct LegPlan {
    /// Leg of the account.
    pub index: usize,
    /// As it stands.
    pub leg: Leg,
    /// Price of the execution feed, or of the print that fills it.
    pub feed: Price,
    /// Base price: the same, as earlier closes have displaced it.
    pub base: Price,
    /// The worst price in the market; None: any.
    pub limit: Option<Price>,
    /// What the whole would bring in the market.
    pub brought: Amount,
    /// Units for the market.
    pub market: u64,
    /// Units matched by ADL.
    pub matches: Vec<Match>,
    /// Amount for the whole leg at which the account's equity, as attributed to the leg, is zero.
    pub bankruptcy: Amount,
    /// Amount for the whole leg at the ADL price.
    pub adl_amount: Amount,
}

impl LegPlan {
    /// Units matched by ADL.
    pub fn matched(&self) -> u64 {
        self.matches.iter().map(|m| m.units).sum()
    }
}

/// An exchange of one asset of the account for another.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    /// What goes out.
    pub from: AssetId,
    /// How much.
    pub gives: Amount,
    /// What comes in.
    pub to: AssetId,
    /// How much.
    pub gets: Amount,
}

/// A planned close.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Legs in order.
    pub legs: Vec<LegPlan>,
    /// Asset in which the keeper's fee is charged.
    pub settle_asset: AssetId,
    /// Part of the keeper's fee that the account pays.
    pub fee: Amount,
    /// Part that is paid although the account cannot.
    pub unfunded_fee: Amount,
    /// Part that the insurance fund pays as far as it can.
    pub fund_fee: Amount,
    /// What closing costs.
    pub terms: Terms,
    /// Nothing would be missing, were the whole closed.
    pub solvent: bool,
    /// Something is left open.
    pub partial: bool,
    /// Something is wanted of ADL.
    pub deleverages: bool,
    /// What a close of the whole would leave, before fee and penalty.
    pub balances: Balances,
    /// The vault takes the account over as it stands.
    pub taken_over: bool,
}

impl Plan {
    /// Charges a fee.
    pub fn take_fee(&mut self, fee: KeeperFee) {
        self.fee = fee.paid;
        self.unfunded_fee = fee.unfunded;
        self.fund_fee = fee.by_fund;
    }

    /// What a close of the whole would leave of an asset once the fee is charged.
    pub fn left(&self, asset: AssetId) -> Result<Amount> {
        let balance = get(&self.balances, asset);
        if asset == self.settle_asset {
            balance.minus(self.fee)?.minus(self.unfunded_fee)
        } else {
            Ok(balance)
        }
    }

    /// By leg: what it lacks of its bankruptcy amount, where it brings so much.
    pub fn lacks(&self, brought: impl Fn(usize) -> Result<Amount>) -> Result<Vec<i128>> {
        let legs = self.legs.iter().enumerate();
        legs.map(|(k, l)| Ok(l.bankruptcy.minus(brought(k)?)?.positive().0))
            .collect()
    }

    /// The legs as the close finds them.
    pub fn closed_legs(&self) -> Few<ClosedLeg, 2> {
        let legs = self.legs.iter().map(|l| ClosedLeg {
            market: l.leg.market,
            size: l.leg.size,
            base: l.base,
        });
        legs.collect()
    }
}

/// An account about to be closed.
pub struct Close<'a, 'm> {
    /// Where; changed while counterparties are tried, and put back.
    pub state: &'a mut State,
    /// When.
    pub moment: &'a Moment<'m>,
    /// Who.
    pub account: usize,
    /// When it was detected.
    pub trigger: i64,
    /// Prices of its legs.
    pub prices: &'a [LegPrice],
    /// It did not wait for prints: the vault may take it over.
    pub may_be_taken_over: bool,
    /// How far prices move, for the ranking of ADL.
    pub ranges: &'a dyn PriceRanges,
}

/// Amounts by asset.
pub type Balances = Few<(AssetId, Amount), 2>;

/// Adds to a balance.
pub fn add(balances: &mut Balances, asset: AssetId, amount: Amount) -> Result<()> {
    if let Some(slot) = balances.iter_mut().find(|(a, _)| *a == asset) {
        slot.1 = slot.1.plus(amount)?;
    } else {
        let place = balances.partition_point(|(a, _)| *a < asset);
        balances.insert(place, (asset, amount));
    }
    Ok(())
}

/// A balance; nothing if there is none.
pub fn get(balances: &[(AssetId, Amount)], asset: AssetId) -> Amount {
    balances
        .iter()
        .find(|(a, _)| *a == asset)
        .map_or(Amount::ZERO, |&(_, n)| n)
}

/// Covers negative balances from positive ones, in order of asset, at the collateral feed; changes the balances.
pub fn convert(moment: &Moment<'_>, balances: &mut Balances) -> Result<Vec<Conversion>> {
    let assets = &moment.setup.venue.assets;
    let mut out = Vec::new();
    if balances.len() < 2 {
        return Ok(out);
    }
    for b in 0..balances.len() {
        for a in 0..balances.len() {
            let ((to, need), (from, has)) = (balances[b], balances[a]);
            if need.0 >= 0 || has.0 <= 0 {
                continue;
            }
            let (price_to, price_from) = (moment.collateral(to), moment.collateral(from));
            let sold = moment.setup.margin.sold_at(from);
            let wanted = assets[to]
                .in_units_of(need.negated(), price_to, &assets[from], price_from)?
                .times(sold.den, sold.num)?
                .ceil();
            let (gives, gets) = if wanted <= has {
                (wanted, need.negated())
            } else {
                (
                    has,
                    assets[from]
                        .in_units_of(has, price_from, &assets[to], price_to)?
                        .times(sold.num, sold.den)?
                        .floor(),
                )
            };
            balances[a].1 = has.minus(gives)?;
            balances[b].1 = need.plus(gets)?;
            out.push(Conversion { from, gives, to, gets });
        }
    }
    Ok(out)
}

impl Close<'_, '_> {
    /// Plans the action against the layers as they now stand.
    pub fn plan(&mut self) -> Result<Plan> {
        let setup = self.moment.setup;
        if self.may_be_taken_over && takeover::is_due(self.state, self.moment, self.account, self.prices)? {
            return self.takeover();
        }
        let terms = Terms::of(self.state, self.moment, self.account, self.elapsed())?;
        let Hypothesis {
            legs,
            settle_asset,
            balances,
            short,
            at_market,
            at_base,
            closed,
            ..
        } = Hypothesis::of(self.state, self.moment, self.account, self.prices)?;
        let mut plan = Plan {
            legs,
            settle_asset,
            fee: Amount::ZERO,
            unfunded_fee: Amount::ZERO,
            fund_fee: Amount::ZERO,
            terms,
            solvent: false,
            partial: false,
            deleverages: false,
            balances: Balances::new(),
            taken_over: false,
        };
        let whole = Whole {
            balances: &balances,
            short,
        };
        plan.take_fee(whole.keeper_fee(self.moment, &plan, closed)?);
        plan.solvent = !short && plan.unfunded_fee.is_zero();
        let close = &setup.protocol.close;
        if !close.is_whole() && (plan.solvent || close.when_insolvent == WhenInsolvent::Policy) {
            self.choose_part(&mut plan, whole)?;
        }
        if setup.protocol.execution.leaves(Remainder::Deleverage) {
            self.attribute(&mut plan, &balances, &at_market, &at_base)?;
            self.fill_or_deleverage(&mut plan, whole)?;
            plan.balances = balances;
            return Ok(plan);
        }
        let remainder = setup.protocol.execution.bound.map(|bound| bound.remainder);
        if remainder == Some(Remainder::Retry) || (plan.partial && remainder == Some(Remainder::Adl)) {
            self.keep_within_limits(&mut plan, whole)?;
        }
        let within = if remainder == Some(Remainder::Adl) && !plan.partial {
            self.units_within_limits(&plan)?
        } else {
            Vec::new()
        };
        let beyond = plan.legs.iter().zip(&within).any(|(l, &within)| within < l.market);
        let loses = short && setup.protocol.waterfall.contains(&Layer::Adl);
        let may_deleverage = !plan.partial && (loses || beyond);
        // What a leg is worth to a bankrupt account matters only where something is settled leg by leg.
        if may_deleverage || setup.protocol.loss_unit != LossUnit::Account || setup.funds.any() {
            self.attribute(&mut plan, &balances, &at_market, &at_base)?;
        }
        if may_deleverage {
            self.plan_adl(&mut plan, &balances, &within)?;
            self.leave_unmatched(&mut plan, whole)?;
        }
        plan.balances = balances;
        Ok(plan)
    }

    /// Attributes the account's equity at base prices to its legs, which gives each leg its bankruptcy amount.
    fn attribute(&self, plan: &mut Plan, balances: &Balances, at_market: &Balances, at_base: &Balances) -> Result<()> {
        let setup = self.moment.setup;
        let mut assets: Vec<AssetId> = at_base.iter().map(|(a, _)| *a).collect();
        assets.dedup();
        for asset in assets {
            let equity = get(balances, asset)
                .minus(get(at_market, asset))?
                .plus(get(at_base, asset))?;
            let mut weights = Vec::new();
            for (k, l) in plan.legs.iter().enumerate() {
                let market = &setup.venue.markets[l.leg.market];
                if market.settlement != asset {
                    continue;
                }
                let weight = match setup.protocol.attribution {
                    Attribution::Notional => market.notional(l.leg.size, l.base)?.ceil().0,
                    Attribution::Maintenance => {
                        let scale = self.moment.scale(l.leg.market);
                        setup.margin.maintenance(&setup.venue, &l.leg, l.base, scale)?.0
                    }
                    Attribution::Account => i128::from(weights.is_empty()),
                };
                weights.push((k, weight.max(0)));
            }
            let sum: i128 = weights.iter().map(|(_, w)| w).sum();
            if sum == 0 {
                // Nothing to weigh by: all on the first.
                if let Some(first) = weights.first_mut() {
                    first.1 = 1;
                }
            }
            let mut split = Split::new(equity.0, sum.max(1));
            for (k, weight) in weights {
                let l = &mut plan.legs[k];
                let market = &setup.venue.markets[l.leg.market];
                let at_base = market.value(l.leg.size, l.base)?;
                l.bankruptcy = at_base.minus(Amount(split.next(weight)?))?;
                l.adl_amount = adl::price::amount(self.state, self.moment, l.leg.market, l.leg.size, l.bankruptcy)?;
            }
        }
        Ok(())
    }
}

/// Amount for the first `units` of a leg whose whole is worth `total`: cumulated and rounded up, so that the parts sum to the total.
///
/// Source of the direction: dYdX v4, protocol/x/clob/keeper/liquidations.go (`GetBankruptcyPriceInQuoteQuantums`).
pub fn cumulated(total: Amount, units: u64, of: u64) -> Result<Amount> {
    Ok(Amount(mul_div_ceil(
        total.0,
        i128::from(units),
        i128::from(of),
        "part of a leg",
    )?))
}
