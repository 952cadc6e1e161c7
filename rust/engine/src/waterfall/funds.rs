//! Insurance funds of some markets: which fund stands for a market, and how what concerns several markets is divided among funds
//! (semantics, section 6).
//!
//! A market that no fund of its own stands for is a matter of the general fund, the entity `insurance_fund`. Without funds of their own
//! everything is one portion, and nothing is divided.
//!
//! Sources of the form: dYdX v4 (an insurance fund for each isolated market, which starts empty), Bybit (pools of several contracts).

use crate::config::{Layer, Protocol, Sink};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::ledger::{Entity, FundId, Holder, Ledger};
use crate::state::Moment;
use crate::units::{Amount, Split, Usd};
use crate::waterfall::socialised::open_interest::ClosedLeg;

/// The funds of a run.
#[derive(Debug, Clone, Default)]
pub struct Funds {
    /// Their names as holders.
    names: Vec<String>,
    /// Dollars at the open.
    balances: Vec<Amount>,
    /// By market; None: the general fund. Empty without funds of their own.
    of_market: Vec<Option<FundId>>,
}

impl Funds {
    /// Resolves the markets of the funds.
    ///
    /// # Errors
    /// [`Error::Config`] if a market is not on the tape.
    pub fn bind(protocol: &Protocol, venue: &Venue) -> Result<Self> {
        let mut out = Self::default();
        let Some(general) = protocol.insurance_fund.as_ref().filter(|f| !f.funds.is_empty()) else {
            return Ok(out);
        };
        out.of_market = vec![None; venue.markets.len()];
        for (name, fund) in &general.funds {
            for market in fund.markets(name) {
                let Some(id) = venue.market(market) else {
                    return Err(Error::Config(format!(
                        "protocol: insurance_fund.funds.{name}: there is no market {market:?} on the tape"
                    )));
                };
                out.of_market[id] = Some(FundId(out.names.len()));
            }
            out.names.push(format!("{}:{name}", Entity::InsuranceFund.name()));
            out.balances.push(fund.balance);
        }
        Ok(out)
    }

    /// True if there are any beside the general one.
    pub fn any(&self) -> bool {
        !self.names.is_empty()
    }

    /// Those beside the general one.
    pub fn own(&self) -> impl Iterator<Item = FundId> + use<> {
        (0..self.names.len()).map(FundId)
    }

    /// The general fund, and those beside it.
    pub fn all(&self) -> impl Iterator<Item = Option<FundId>> + use<> {
        std::iter::once(None).chain(self.own().map(Some))
    }

    /// The fund of a market; None: the general one.
    pub fn of(&self, market: MarketId) -> Option<FundId> {
        self.of_market.get(market).copied().flatten()
    }

    /// Name of a fund as a holder.
    pub fn name(&self, fund: FundId) -> &str {
        &self.names[fund.0]
    }

    /// What a fund had at the open.
    pub fn opening(&self, protocol: &Protocol, fund: Option<FundId>) -> Amount {
        let general = || protocol.insurance_fund.as_ref().map_or(Amount::ZERO, |f| f.balance);
        fund.map_or_else(general, |fund| self.balances[fund.0])
    }
}

/// A fund as a holder; None: the general one.
pub fn holder(fund: Option<FundId>) -> Holder {
    fund.map_or(Holder::Entity(Entity::InsuranceFund), Holder::Fund)
}

impl Layer {
    /// Who pays of a layer, where a fund does this one; None for ADL.
    pub fn holder(self, fund: Option<FundId>) -> Option<Holder> {
        match self {
            Self::InsuranceFund => Some(holder(fund)),
            _ => self.entity().map(Holder::Entity),
        }
    }
}

impl Sink {
    /// The ledger account, where a fund receives for this one; None for the liquidated account itself.
    pub fn holder(self, fund: Option<FundId>) -> Option<Holder> {
        let entity = match self {
            Self::Account => return None,
            Self::InsuranceFund => return Some(holder(fund)),
            Self::Pool => Entity::Pool,
            Self::Treasury => Entity::Treasury,
            Self::Keepers => Entity::Keepers,
            Self::Fees => Entity::Fees,
            Self::Vault => Entity::Vault,
        };
        Some(Holder::Entity(entity))
    }
}

/// A part of an amount that is the matter of one fund, and of these legs of an account.
#[derive(Debug, Clone)]
pub struct Portion {
    /// Fund; None: the general one.
    pub fund: Option<FundId>,
    /// Legs of its markets.
    pub legs: Vec<ClosedLeg>,
    /// How much.
    pub amount: Amount,
}

/// The weights of legs by notional.
///
/// # Errors
/// Overflow.
pub fn by_notional(moment: &Moment<'_>, legs: &[ClosedLeg]) -> Result<Vec<i128>> {
    let notional = |l: &ClosedLeg| moment.setup.venue.markets[l.market].notional(l.size, l.base);
    legs.iter().map(|leg| Ok(notional(leg)?.ceil().0)).collect()
}

/// Divides an amount of an asset among the funds of the legs that are settled in it, by weights of the legs; all of it goes with the
/// first of them if none weighs anything, and with the first leg if none is settled in the asset. Portions stand in the order of their
/// first legs.
///
/// # Errors
/// Overflow.
pub fn portions(
    moment: &Moment<'_>,
    (legs, weights): (&[ClosedLeg], &[i128]),
    asset: AssetId,
    amount: Amount,
) -> Result<Vec<Portion>> {
    let setup = moment.setup;
    let markets = &setup.venue.markets;
    let weighted = legs.iter().zip(weights.iter().copied());
    let mut own: Vec<(&ClosedLeg, i128)> = weighted
        .filter(|(leg, _)| markets[leg.market].settlement == asset)
        .collect();
    if own.is_empty() {
        own.extend(legs.first().map(|leg| (leg, 0)));
    }
    let mut sum: i128 = own.iter().map(|(_, weight)| weight).sum();
    if let (0, Some(first)) = (sum, own.first_mut()) {
        (sum, first.1) = (1, 1);
    }
    let mut split = Split::new(amount.0, sum);
    let mut out: Vec<Portion> = Vec::new();
    for (leg, weight) in own {
        let (fund, part) = (setup.funds.of(leg.market), Amount(split.next(weight)?));
        match out.iter_mut().find(|p| p.fund == fund) {
            Some(portion) => {
                portion.amount = portion.amount.plus(part)?;
                portion.legs.push(*leg);
            }
            None => out.push(Portion {
                fund,
                legs: vec![*leg],
                amount: part,
            }),
        }
    }
    Ok(out)
}

impl Moment<'_> {
    /// Balance of who pays in an asset, what it holds at the reference included.
    ///
    /// # Errors
    /// Overflow.
    pub fn payer_balance(&self, ledger: &Ledger, holder: Holder, asset: AssetId) -> Result<Amount> {
        match holder {
            Holder::Fund(fund) => Ok(ledger.fund_balance(fund, asset)),
            Holder::Entity(entity) => self.entity_balance(ledger, entity, asset),
            Holder::Account(_) => Ok(Amount::ZERO),
        }
    }

    /// Equity of an insurance fund in dollars at the reference.
    ///
    /// # Errors
    /// Overflow.
    pub fn fund_equity(&self, ledger: &Ledger, fund: Option<FundId>) -> Result<Usd> {
        let mut total = Usd::ZERO;
        for asset in 0..self.setup.venue.assets.len() {
            let balance = self.payer_balance(ledger, holder(fund), asset)?;
            total = total.plus(self.usd(asset, balance)?)?;
        }
        Ok(total)
    }

    /// Equity of each insurance fund, the general one first.
    ///
    /// # Errors
    /// Overflow.
    pub fn fund_equities(&self, ledger: &Ledger) -> Result<Vec<Usd>> {
        let funds = self.setup.funds.all();
        funds.map(|fund| self.fund_equity(ledger, fund)).collect()
    }

    /// Equity of all insurance funds together.
    ///
    /// # Errors
    /// Overflow.
    pub fn funds_equity(&self, ledger: &Ledger) -> Result<Usd> {
        let mut funds = self.setup.funds.all();
        funds.try_fold(Usd::ZERO, |sum, fund| sum.plus(self.fund_equity(ledger, fund)?))
    }
}
