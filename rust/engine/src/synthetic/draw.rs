//! Accounts and their legs, as drawn: before open interest is balanced and anything is an integer.

use rayon::prelude::*;

use super::options::{CrossAssets, SyntheticOptions};
use crate::error::Result;
use crate::progress::Meter;
use crate::rng::Rng;

/// Accounts that share a stream of random numbers.
const BLOCK: u32 = 4096;

/// A leg as drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Leg {
    pub account: u32,
    pub market: u32,
    pub long: bool,
    pub cross: bool,
    /// USD.
    pub notional: f64,
    /// Of the account.
    pub leverage: f64,
    /// Logarithm of entry price over opening price.
    pub deviation: f64,
    /// Size units; set by balancing.
    pub units: i64,
}

/// Markets and the odds of being in them.
#[derive(Debug)]
pub(super) struct Odds {
    all: Group,
    /// Per market: the group that the further legs of an account with its first leg here are drawn from.
    further: Vec<usize>,
    groups: Vec<Group>,
}

/// Some markets with cumulated odds.
#[derive(Debug, Default)]
struct Group {
    markets: Vec<u32>,
    cumulated: Vec<f64>,
}

impl Group {
    fn push(&mut self, market: u32, weight: f64) {
        if weight > 0.0 {
            self.markets.push(market);
            self.cumulated.push(self.cumulated.last().unwrap_or(&0.0) + weight);
        }
    }

    /// One of the markets; the group is not empty.
    fn pick(&self, rng: &mut Rng) -> u32 {
        let at = rng.uniform() * self.cumulated.last().unwrap_or(&0.0);
        let position = self.cumulated.partition_point(|&c| c <= at);
        self.markets[position.min(self.markets.len() - 1)]
    }
}

impl Odds {
    /// At least one weight is positive.
    pub fn new(weights: &[f64], asset_of: &[usize], cross: CrossAssets) -> Self {
        let group_of = |market: usize| if cross == CrossAssets::One { asset_of[market] } else { 0 };
        let further: Vec<usize> = (0..weights.len()).map(group_of).collect();
        let mut groups: Vec<Group> = Vec::new();
        groups.resize_with(further.iter().max().map_or(0, |&g| g + 1), Group::default);
        let mut all = Group::default();
        for ((market, &weight), &group) in (0..).zip(weights).zip(&further) {
            all.push(market, weight);
            groups[group].push(market, weight);
        }
        Self { all, further, groups }
    }
}

/// All legs, in the order of (account, market).
pub(super) fn draw(odds: &Odds, options: &SyntheticOptions, meter: &Meter<'_>) -> Result<Vec<Leg>> {
    let blocks: Vec<Result<Vec<Leg>>> = (0..options.accounts.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut rng = Rng::new(options.seed, &["synthetic book/1", &block.to_string()]);
            let accounts = block * BLOCK..((block + 1) * BLOCK).min(options.accounts);
            let mut legs = Vec::with_capacity(accounts.len() * 5 / 4);
            let count = accounts.len();
            accounts.for_each(|account| draw_account(account, odds, options, &mut rng, &mut legs));
            meter.advance(count as u64)?;
            Ok(legs)
        })
        .collect();
    Ok(blocks.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn draw_account(account: u32, odds: &Odds, options: &SyntheticOptions, rng: &mut Rng, legs: &mut Vec<Leg>) {
    let cross = rng.chance(options.cross_share);
    let long = rng.chance(options.long_share);
    let (size, side) = (options.notional(), options.side(long));
    let notional = rng.lognormal(size.median, size.sigma).min(options.notional_max);
    let leverage = rng
        .lognormal(side.leverage.median, side.leverage.sigma)
        .min(options.max_leverage);
    let market = odds.all.pick(rng);
    let start = legs.len();
    let leg = Leg {
        account,
        market,
        long,
        cross,
        notional,
        leverage,
        deviation: rng.normal() * side.entry_dispersion,
        units: 0,
    };
    legs.push(leg);
    let wanted = if cross {
        1 + rng.below(u64::from(options.max_legs)) as usize
    } else {
        1
    };
    let group = &odds.groups[odds.further[market as usize]];
    for _ in 1..wanted.min(group.markets.len()) {
        // A market that the account is in already is drawn again, a few times: rather fewer legs than a long search.
        let Some(market) = (0..16)
            .map(|_| group.pick(rng))
            .find(|&m| legs[start..].iter().all(|l| l.market != m))
        else {
            break;
        };
        let long = rng.chance(options.long_share);
        let deviation = rng.normal() * options.side(long).entry_dispersion;
        legs.push(Leg {
            market,
            long,
            deviation,
            ..leg
        });
    }
    if legs.len() > start + 1 {
        let shares: Vec<f64> = legs[start..].iter().map(|_| rng.uniform_positive()).collect();
        let total: f64 = shares.iter().sum();
        for (leg, share) in legs[start..].iter_mut().zip(shares) {
            leg.notional *= share / total;
        }
        legs[start..].sort_unstable_by_key(|leg| leg.market);
    }
}
