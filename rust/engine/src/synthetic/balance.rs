//! Counterparties: in every market the longs and the shorts sum to zero.

use super::draw::Leg;
use crate::error::{Error, Result};
use crate::progress::Meter;

/// Sets the size of every leg so that each market is balanced. May move, flip or drop a leg where a market has no two sides.
pub(super) fn balance(legs: &mut Vec<Leg>, unit_usd: &[f64], meter: &Meter<'_>) -> Result<()> {
    join_the_lonely(legs, unit_usd.len());
    let mut by_market: Vec<Vec<usize>> = vec![Vec::new(); unit_usd.len()];
    for (row, leg) in legs.iter().enumerate() {
        by_market[leg.market as usize].push(row);
    }
    for (rows, &unit) in by_market.iter().zip(unit_usd) {
        meter.advance(0)?;
        let longs = rows.iter().filter(|&&row| legs[row].long).count();
        if let Some(&last) = rows.last()
            && (longs == 0 || longs == rows.len())
        {
            legs[last].long = !legs[last].long;
        }
        let mut sums = [0i128; 2];
        for &row in rows {
            let leg = &mut legs[row];
            let units = (leg.notional / unit).round().max(1.0);
            if units >= 9e15 {
                return Err(Error::overflow(format!("size of a notional of {} USD", leg.notional)));
            }
            leg.units = units as i64;
            sums[usize::from(leg.long)] += i128::from(leg.units);
        }
        scale_up(legs, rows, sums)?;
    }
    Ok(())
}

/// A leg alone in its market has no counterparty: it moves to the market with the most legs, or is dropped if its account has others.
fn join_the_lonely(legs: &mut Vec<Leg>, markets: usize) {
    let mut counts = vec![0u32; markets];
    for leg in legs.iter() {
        counts[leg.market as usize] += 1;
    }
    for market in 0..markets {
        if counts[market] != 1 {
            continue;
        }
        let Some(row) = legs.iter().position(|leg| leg.market as usize == market) else {
            continue;
        };
        let same = |other: Option<&Leg>| other.is_some_and(|other| other.account == legs[row].account);
        counts[market] = 0;
        if same(row.checked_sub(1).and_then(|before| legs.get(before))) || same(legs.get(row + 1)) {
            legs.remove(row);
        } else {
            // The first of the fullest.
            let fullest = (0..markets).rev().max_by_key(|&m| counts[m]).unwrap_or(market);
            legs[row].market = fullest as u32;
            counts[fullest] += 1;
        }
    }
}

/// Scales the smaller side to the larger, by cumulated floors, so that it sums to it exactly.
fn scale_up(legs: &mut [Leg], rows: &[usize], sums: [i128; 2]) -> Result<()> {
    let long_is_smaller = sums[1] < sums[0];
    let (small, large) = (sums[0].min(sums[1]), sums[0].max(sums[1]));
    if small == large {
        return Ok(());
    }
    let mut cumulated = 0i128;
    let mut given = 0i128;
    for &row in rows
        .iter()
        .filter(|&&row| legs[row].long == long_is_smaller)
        .collect::<Vec<_>>()
    {
        cumulated += i128::from(legs[row].units);
        let due = cumulated
            .checked_mul(large)
            .ok_or_else(|| Error::overflow("open interest"))?
            / small;
        legs[row].units = i64::try_from(due - given).map_err(|_| Error::overflow("size of a balanced position"))?;
        given = due;
    }
    Ok(())
}
