//! What entering the positions costs the accounts.

use rayon::prelude::*;

use super::group::{shares, within};
use super::{Book, Leg};
use crate::contract::{AssetId, Venue};
use crate::error::{Error, Result};
use crate::progress::Meter;
use crate::units::{Amount, Size};

/// Sums over accounts, by asset.
#[derive(Debug, Clone)]
pub struct Paid {
    /// Collateral that came in.
    pub collateral: Vec<Amount>,
    /// Cost of the positions.
    pub cost: Vec<Amount>,
}

impl Paid {
    fn nothing(assets: usize) -> Self {
        Self {
            collateral: vec![Amount::ZERO; assets],
            cost: vec![Amount::ZERO; assets],
        }
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        for (sum, part) in self.collateral.iter_mut().zip(&other.collateral) {
            *sum = sum.plus(*part)?;
        }
        for (sum, part) in self.cost.iter_mut().zip(&other.cost) {
            *sum = sum.plus(*part)?;
        }
        Ok(())
    }
}

impl Book {
    /// Takes from every account's cash, which is its collateral, what its positions cost. Returns the sums.
    pub fn pay_costs(&mut self, venue: &Venue, meter: &Meter<'_>) -> Result<Paid> {
        let (legs, leg_starts, cash_starts) = (&self.legs, &self.roster.leg_starts, &self.cash_starts);
        let parts: Vec<Result<Paid>> = shares(&mut self.cash, cash_starts)
            .into_par_iter()
            .map(|(accounts, cash)| {
                let mut paid = Paid::nothing(venue.assets.len());
                for &(asset, amount) in cash.iter() {
                    paid.collateral[asset] = paid.collateral[asset].plus(amount)?;
                }
                for (account, (from, to)) in accounts.clone().zip(within(cash_starts, accounts.clone())) {
                    let own = leg_starts[account] as usize..leg_starts[account + 1] as usize;
                    for leg in &legs[own] {
                        let settlement = venue.markets[leg.market].settlement;
                        pay(&mut cash[from..to], settlement, leg.entry_value.negated())?;
                        paid.cost[settlement] = paid.cost[settlement].plus(leg.entry_value)?;
                    }
                }
                meter.advance(accounts.len() as u64)?;
                Ok(paid)
            })
            .collect();
        let mut sums = Paid::nothing(venue.assets.len());
        for part in parts {
            sums.add(&part?)?;
        }
        Ok(sums)
    }

    /// Empties an account as if it had never come: neither its collateral nor its costs count in the sums.
    pub fn dismiss(&mut self, account: usize, venue: &Venue, paid: &mut Paid) -> Result<()> {
        let (legs, cash) = (self.leg_range(account), self.cash_range(account));
        for leg in &mut self.legs[legs] {
            let settlement = venue.markets[leg.market].settlement;
            pay(&mut self.cash[cash.clone()], settlement, leg.entry_value)?;
            paid.cost[settlement] = paid.cost[settlement].minus(leg.entry_value)?;
            (leg.size, leg.entry_value) = (Size::ZERO, Amount::ZERO);
        }
        for (asset, amount) in &mut self.cash[cash] {
            paid.collateral[*asset] = paid.collateral[*asset].minus(*amount)?;
            *amount = Amount::ZERO;
        }
        Ok(())
    }

    /// All legs, by account.
    pub fn all_legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Cash of all accounts, by account and asset.
    pub fn all_cash(&self) -> &[(AssetId, Amount)] {
        &self.cash
    }
}

fn pay(cash: &mut [(AssetId, Amount)], asset: AssetId, amount: Amount) -> Result<()> {
    match cash.iter_mut().find(|(known, _)| *known == asset) {
        Some((_, held)) => {
            *held = held.plus(amount)?;
            Ok(())
        }
        None => Err(Error::Invariant(format!("an account does not hold asset {asset}"))),
    }
}
