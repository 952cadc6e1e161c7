//! Who gives how much: one file for each policy that shares among all candidates, and for the queue where there is no other order.
//!
//! All is integer: quantities are units of the position, weights are whole numbers, and what rounding leaves is given out by a rule.
//! Money follows quantity, for all counterparties of an event give up the same for a unit.
//!
//! Source of the policies: Chitra, "Autodeleveraging: Impossibilities and Optimization", arXiv 2512.01112; Chitra, Thogiti, Trujillo
//! Ramirez, Xu, "Autodeleveraging as Online Learning", arXiv 2602.15182.

mod capped_pro_rata;
mod contracts_pro_rata;
mod min_max;
mod mirror_descent;
mod pro_rata;
mod queue;
mod risk_aware;
#[cfg(test)]
mod tests;
mod water_filling;

use super::capacity::Demand;
use super::order::Key;
use super::score::UNIT;
use super::standing::Standing;
use crate::book::Book;
use crate::config::AdlPolicy;
use crate::error::Result;
use crate::state::Moment;
use crate::units::{Amount, Ratio, floor_div, mul_div_floor, product};

/// A candidate that can give something.
#[derive(Debug, Clone, Copy)]
pub struct Sharer {
    /// Place in the order.
    pub key: Key,
    /// How it stands.
    pub standing: Standing,
    /// Units that it can give.
    pub capacity: u64,
    /// Number in the order, from 1; those count who can give nothing.
    pub rank: u32,
}

/// What is to be shared, in numbers.
#[derive(Debug, Clone, Copy)]
pub struct Lot {
    /// Units.
    pub quantity: u64,
    /// What all of them give up together, in the settlement asset.
    pub give_up: Amount,
}

/// What one can give, in numbers.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Units at most.
    pub capacity: u64,
    /// Units of the position.
    pub units: u64,
    /// Profit in the settlement asset, nothing if it is a loss.
    pub profit: i128,
    /// Notional over equity, in billionths, at most 100.
    pub leverage: i128,
    /// Equity in the settlement asset; only where the policy asks for it.
    pub equity: i128,
}

/// The units of each, at most its capacity and together at most what is wanted.
pub fn share(book: &Book, moment: &Moment<'_>, demand: &Demand<'_>, sharers: &[Sharer]) -> Result<Vec<u64>> {
    let policy = &demand.rules.policy;
    let means = |sharer: &Sharer| -> Result<Means> {
        let standing = &sharer.standing;
        let equity = if *policy == AdlPolicy::MinMax {
            let leg = &book.legs(sharer.key.account as usize)[sharer.key.leg as usize];
            standing.equity_in(moment, leg)?.0
        } else {
            0
        };
        // Without equity only a queue has a counterparty, and that asks no leverage.
        let leverage = mul_div_floor(standing.notional, UNIT, standing.equity.max(1), "leverage");
        Ok(Means {
            capacity: sharer.capacity,
            units: standing.units,
            profit: standing.pnl.positive().0,
            // What does not fit is more.
            leverage: leverage.unwrap_or(i128::MAX).min(100 * UNIT),
            equity,
        })
    };
    let means: Vec<Means> = sharers.iter().map(means).collect::<Result<_>>()?;
    let lot = Lot {
        quantity: demand.wanted.quantity,
        give_up: demand.give_up,
    };
    divide(policy, &lot, &means)
}

fn divide(policy: &AdlPolicy, lot: &Lot, means: &[Means]) -> Result<Vec<u64>> {
    match *policy {
        AdlPolicy::Queue => Ok(queue::share(lot, means)),
        AdlPolicy::ProRata => pro_rata::share(lot, means),
        AdlPolicy::ContractsProRata => contracts_pro_rata::share(lot, means),
        AdlPolicy::CappedProRata { cap } => capped_pro_rata::share(lot, means, cap),
        AdlPolicy::RiskAware {
            weight,
            power,
            threshold,
            cap,
        } => risk_aware::share(lot, means, risk_aware::Risk::new(weight, power, threshold.0)?, cap),
        AdlPolicy::MinMax => min_max::share(lot, means),
        AdlPolicy::MirrorDescent { start, step } => mirror_descent::share(lot, means, start.0, step.0),
    }
}

/// The units that cost a share of a profit, where anything is given up at all; at most the capacity.
fn limit(lot: &Lot, means: &Means, cap: Ratio) -> Result<u64> {
    if lot.give_up.0 <= 0 {
        return Ok(means.capacity);
    }
    let profit = product(means.profit, cap.num, "share of a profit")?;
    let cost = product(lot.give_up.0, cap.den, "share of a profit")?;
    // What does not fit is more than the capacity.
    let units = mul_div_floor(profit, i128::from(lot.quantity), cost, "units of a profit").unwrap_or(i128::MAX);
    Ok(u64::try_from(units).unwrap_or(u64::MAX).min(means.capacity))
}

/// `floor(ratio * 10^k)`.
fn fixed(ratio: Ratio, one: i128) -> Result<i128> {
    Ok(floor_div(product(ratio.num, one, "share")?, ratio.den))
}
