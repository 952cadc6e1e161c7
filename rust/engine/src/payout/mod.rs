//! Payouts: how much of the profit of a closed position the pool pays (semantics, section 5e).
//!
//! A fill is booked at its full value; what is not paid goes back to the pool in postings of its own. So prices, sizes and the cost of
//! positions know nothing of caps, what stays with the pool is a figure, and it is no part of a loss. An action sees the caps as it
//! begins: its own fills do not move them, except that a pool that refuses runs out.

pub mod adl;
mod caps;
mod collateral_share;
mod deferred;
mod ending;
mod pool;
mod pool_factor;
mod reserved;
mod select;

pub use caps::Caps;
pub use deferred::{Deferred, note_cash, pay_if_changed};
pub use ending::close_all;
pub use pool::{PoolSides, claim};

use crate::book::Leg;
use crate::config::{PayoutPolicy, Protocol, WhenShort};
use crate::contract::{AssetId, Venue};
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind, released};
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};

/// The rules of payouts, bound to a venue.
#[derive(Debug, Clone)]
pub struct Payout {
    policy: PayoutPolicy,
    when_short: WhenShort,
    at_end: bool,
    in_margin: bool,
    /// What of the pool stands behind each market.
    pub sides: PoolSides,
}

impl Payout {
    /// Binds the rules of a protocol, if it has any.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) naming the field.
    pub fn bind(protocol: &Protocol, venue: &Venue) -> Result<Option<Self>> {
        let Some(config) = &protocol.payout else {
            return Ok(None);
        };
        Ok(Some(Self {
            policy: config.policy.clone(),
            when_short: config.when_short,
            at_end: config.at_end,
            in_margin: config.in_margin,
            sides: PoolSides::bind(config, venue)?,
        }))
    }
}

/// The most of a profit that is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cap {
    /// All of it.
    Whole,
    /// In proportion `num / den`.
    Scaled { num: i128, den: i128 },
    /// For the whole of `units` so much.
    Limit { whole: Amount, units: u64 },
    /// Of what the closed units cost this share.
    OfCost { num: i128, den: i128 },
}

/// What of a profit is not paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpaid {
    /// Beyond a cap.
    pub capped: Amount,
    /// The pool does not have it.
    pub refused: Amount,
}

impl Unpaid {
    /// All of it.
    ///
    /// # Errors
    /// Overflow.
    pub fn total(self) -> Result<Amount> {
        self.capped.plus(self.refused)
    }

    /// Books what an account is not paid.
    ///
    /// # Errors
    /// Overflow.
    pub fn book(
        self,
        state: &mut State,
        moment: &Moment<'_>,
        event: Option<u32>,
        account: usize,
        asset: AssetId,
    ) -> Result<()> {
        let (from, to) = (Holder::Account(account), Holder::Entity(Entity::Pool));
        let defers = moment
            .setup
            .payout
            .as_ref()
            .is_some_and(|rules| rules.when_short == WhenShort::Defer);
        let refusal = if defers {
            state.deferred.defer(account, asset, self.refused);
            PostingKind::DeferredPayout
        } else {
            PostingKind::RefusedPayout
        };
        for (kind, amount) in [(PostingKind::CappedPayout, self.capped), (refusal, self.refused)] {
            if amount.is_zero() {
                continue;
            }
            state.post(moment, event, kind, from, to, asset, amount)?;
            let usd = moment.usd(asset, amount)?;
            let summary = &mut state.records.accounts[account];
            summary.unpaid_profit = summary.unpaid_profit.plus(usd)?;
        }
        Ok(())
    }
}

/// What the pool pays to one account in one action, as it begins.
#[derive(Debug, Clone, Default)]
pub struct Payouts {
    /// By leg of the account; empty where there are no rules.
    caps: Vec<Cap>,
    /// What the pool has, where it refuses.
    left: Option<Usd>,
}

impl Payouts {
    /// At the beginning of an action.
    ///
    /// # Errors
    /// Overflow.
    pub fn at(state: &State, moment: &Moment<'_>, account: usize) -> Result<Self> {
        let Some(rules) = &moment.setup.payout else {
            return Ok(Self::default());
        };
        let legs = state.book.legs(account);
        let cap = |leg: &Leg| match &rules.policy {
            PayoutPolicy::Uncapped => Ok(Cap::Whole),
            PayoutPolicy::PoolFactor { factor } => pool_factor::cap(state, moment, leg, *factor),
            PayoutPolicy::CollateralShare { share } => collateral_share::cap(state, moment, account, leg, *share),
            PayoutPolicy::Reserved { share } => Ok(reserved::cap(*share)),
        };
        Ok(Self {
            caps: legs.iter().map(cap).collect::<Result<_>>()?,
            left: match rules.when_short {
                WhenShort::Pay => None,
                WhenShort::Refuse => Some(pool::worth(state, moment)?),
                // Who is owed already comes first.
                WhenShort::Defer => Some(pool::worth(state, moment)?.minus(deferred::owed(state, moment)?)?),
            },
        })
    }

    /// What is not paid of a fill that closes `units` of a leg, as it now stands, and brings `amount`.
    ///
    /// # Errors
    /// Overflow.
    pub fn fill(
        &mut self,
        moment: &Moment<'_>,
        (index, leg): (usize, &Leg),
        units: u64,
        amount: Amount,
    ) -> Result<Unpaid> {
        if self.caps.is_empty() {
            return Ok(Unpaid::default());
        }
        let cost = released(leg.entry_value, units, leg.size.units())?;
        self.close(moment, (index, leg), units, (cost, amount))
    }

    /// What is not paid where `units` of a leg that have cost so much bring `amount`.
    ///
    /// # Errors
    /// Overflow.
    pub fn close(
        &mut self,
        moment: &Moment<'_>,
        (index, leg): (usize, &Leg),
        units: u64,
        (cost, amount): (Amount, Amount),
    ) -> Result<Unpaid> {
        let Some(cap) = self.caps.get(index) else {
            return Ok(Unpaid::default());
        };
        let asset = moment.setup.venue.markets[leg.market].settlement;
        let (dollar, price) = (&moment.setup.venue.assets[asset], moment.collateral(asset));
        let profit = amount.minus(cost)?;
        if profit.0 <= 0 {
            if let Some(left) = &mut self.left {
                *left = left.plus(dollar.usd_floor(profit.negated(), price)?)?;
            }
            return Ok(Unpaid::default());
        }
        let payable = cap.of(profit, units, cost)?;
        let mut unpaid = Unpaid {
            capped: profit.minus(payable)?,
            refused: Amount::ZERO,
        };
        if let Some(left) = &mut self.left {
            let mut paid = payable;
            if dollar.usd_ceil(payable, price)? > *left {
                paid = payable.min(dollar.from_usd_floor(Usd(left.0.max(0)), price)?);
                unpaid.refused = payable.minus(paid)?;
            }
            *left = left.minus(dollar.usd_ceil(paid, price)?)?;
        }
        Ok(unpaid)
    }
}

impl Cap {
    /// What is paid of a profit of `units` that have cost so much.
    fn of(self, profit: Amount, units: u64, cost: Amount) -> Result<Amount> {
        use crate::units::mul_div_floor;
        let most = match self {
            Self::Whole => return Ok(profit),
            Self::Scaled { num, den } => mul_div_floor(profit.0, num, den, "payout")?,
            Self::Limit { whole, units: of } => mul_div_floor(whole.0, units.into(), i128::from(of).max(1), "payout")?,
            Self::OfCost { num, den } => mul_div_floor(cost.0.abs(), num, den, "payout")?,
        };
        Ok(profit.min(Amount(most)))
    }
}
