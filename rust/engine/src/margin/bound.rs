//! Lower bounds of `equity - requirement` over intervals of prices, for pruning only: where the bound is positive no test can fail.
//!
//! **One asset.** Per market, `value - requirement` is a sum over its legs of the least of a few lines in `x`, the price (linear
//! markets) or its reciprocal (inverse ones): a bracket with rate `r` and deduction `D` is the line `s x - |s| r x + D` (inverse
//! `-(s + |s| r - D) x`: its bracket does not depend on the price). Taking the least line of all brackets that the position can be in
//! is the requirement itself where rates rise and deductions are continuous, and never less than it otherwise. A least of lines, and a
//! sum of such, is concave, so over an interval it is least at one of the ends; if all slopes have one sign, at a known end. Legs of
//! one market that read one series are added before the end is chosen, so a hedge is bounded as a hedge.
//!
//! **One price.** If an account depends on one price only, the price beyond which the bound is positive is solved for once.
//!
//! **Several assets.** Interval arithmetic: the balance of each asset and its requirement at the worst ends, times the worst price.
//!
//! What floating point and integer rounding can move is subtracted: every factor is within a few 2^-53 of its true value, relative to
//! the largest terms at any price of the window; values are rounded down and requirements up by less than a unit a leg each.

use super::rule::Rule;
use super::{Margin, Requirement, Scale};
use crate::book::{Holding, Leg};
use crate::contract::{AssetId, Market, MarketId, Venue};
use crate::feeds::{Channel, Sides};
use crate::market::Payoff;
use crate::units::{Amount, Ratio};

/// Relative error of a factor that went through a handful of roundings, with room.
const ROUNDING: f64 = 1e-12;

/// A bound for stretches is computed for so many at a time.
pub const WIDTH: usize = 16;

/// `slope * x + offset`, where `x` is a price or the reciprocal of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub slope: f64,
    pub offset: f64,
}

/// The end of an interval of prices at which a term is least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worst {
    Low,
    High,
    Either,
}

/// What the legs in one market add to `equity - requirement`.
#[derive(Debug, Clone)]
pub struct Term {
    /// Series that its legs read.
    pub channel: Channel,
    inverse: bool,
    worst: Worst,
    /// Legs: where the lines of each end.
    legs: (usize, usize),
    first_line: usize,
    /// Set if the whole term is this one line.
    single: Option<f64>,
}

impl Term {
    /// Over an interval it is least at the low end (Some(true)), at the high end (Some(false)), or at either.
    pub fn least_at_low(&self) -> Option<bool> {
        match self.worst {
            Worst::Low => Some(true),
            Worst::High => Some(false),
            Worst::Either => None,
        }
    }
}

/// Prices at which an account can fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reach {
    /// None: it has no position.
    Never,
    /// At or below a price of the only series that it depends on.
    Below(Channel, f64),
    /// At or above a price of the only series that it depends on.
    Above(Channel, f64),
    /// It depends on the prices of its markets.
    Markets,
    /// It depends on the prices of its markets and of its assets.
    Assets,
}

struct AssetTerm {
    id: AssetId,
    cash: f64,
    scale: f64,
    weight: f64,
    priced: bool,
    /// What is to be kept of the collateral.
    kept: f64,
}

struct AssetLeg<'a> {
    channel: Channel,
    bound: &'a Market,
    rule: &'a Rule,
    leg: Leg,
    scale: Scale,
    profit: Option<f64>,
    /// Position of its settlement asset.
    settled: usize,
}

/// One account as it stands, in floating point. Reused from query to query, so that none allocates.
#[derive(Default)]
pub struct Bound<'a> {
    /// Cash less the error, and the offsets of single lines.
    base: f64,
    terms: Vec<Term>,
    ends: Vec<usize>,
    lines: Vec<Line>,
    assets: Vec<AssetTerm>,
    legs: Vec<AssetLeg<'a>>,
}

impl<'a> Bound<'a> {
    /// Takes an account as it stands. `range` gives the lowest and highest price of a series in the window.
    pub fn take(
        &mut self,
        margin: &'a Margin,
        venue: &'a Venue,
        holding: Holding<'_>,
        sides: Sides,
        range: impl Fn(Channel) -> (f64, f64),
        scale: impl Fn(MarketId) -> Scale,
    ) -> Reach {
        self.terms.clear();
        self.ends.clear();
        self.lines.clear();
        let Holding { legs, cash } = holding;
        if legs.iter().all(|l| l.size.is_zero()) {
            return Reach::Never;
        }
        let kept = if margin.shares {
            margin.kept(legs, Requirement::Maintenance)
        } else {
            None
        };
        let [(asset, only)] = cash else {
            self.take_assets(margin, venue, holding, sides, scale, kept);
            return Reach::Assets;
        };
        self.base = only.0 as f64;
        let mut magnitude = self.base.abs();
        if let Some(kept) = kept {
            let share = share_f64(venue, legs, (*asset, *only), kept);
            self.base -= share + 1.0;
            magnitude += share;
        }
        let mut units = 2.0;
        for (channel, leg) in sides.in_order(legs) {
            let market = &venue.markets[leg.market];
            let range = range(channel);
            if self.terms.last().is_none_or(|t| t.channel != channel) {
                self.terms.push(Term {
                    channel,
                    inverse: market.payoff == Payoff::Inverse,
                    worst: Worst::Either,
                    legs: (self.ends.len(), self.ends.len()),
                    first_line: self.lines.len(),
                    single: None,
                });
            }
            let from = self.lines.len();
            let profit = margin.least_profit_weight(market.settlement);
            let values = values(market, leg, profit);
            let lines = &mut self.lines;
            margin.maintenance[leg.market].charges(market, leg, range, scale(leg.market), |charge| {
                lines.extend(values.iter().flatten().map(|value| Line {
                    slope: value.slope - charge.slope,
                    offset: value.offset - charge.offset,
                }));
            });
            let x = if market.payoff == Payoff::Inverse {
                1.0 / range.0
            } else {
                range.1
            };
            let largest = |m: f64, l: &Line| m.max((l.slope * x).abs() + l.offset.abs());
            magnitude += self.lines[from..].iter().fold(0.0, largest);
            units += 2.0;
            if let Some(entry) = profit.map(|_| leg.entry_value.0 as f64) {
                magnitude += entry.abs();
                units += 1.0;
            }
            self.ends.push(self.lines.len());
            if let Some(term) = self.terms.last_mut() {
                term.legs.1 = self.ends.len();
            }
        }
        self.base -= magnitude * (ROUNDING + 1e-15 * units) + units;
        for k in 0..self.terms.len() {
            self.settle(k);
        }
        match self.terms.as_slice() {
            [only] => self.one_price(only),
            _ => Reach::Markets,
        }
    }

    /// Adds up the legs of a term that are single lines, and finds its worst end.
    fn settle(&mut self, k: usize) {
        let term = &mut self.terms[k];
        let (from, to) = (term.first_line, self.ends[term.legs.1 - 1]);
        let lines = &self.lines[from..to];
        if lines.len() == term.legs.1 - term.legs.0 {
            let slope: f64 = lines.iter().map(|l| l.slope).sum();
            self.base += lines.iter().map(|l| l.offset).sum::<f64>();
            term.single = Some(slope);
            term.worst = if (slope >= 0.0) == term.inverse {
                Worst::High
            } else {
                Worst::Low
            };
        } else if lines.iter().all(|l| l.slope >= 0.0) {
            term.worst = if term.inverse { Worst::High } else { Worst::Low };
        } else if lines.iter().all(|l| l.slope <= 0.0) {
            term.worst = if term.inverse { Worst::Low } else { Worst::High };
        }
    }

    /// Solves `base + least line > 0` for the only price. A quotient of such numbers is within a few 2^-53; the threshold is moved
    /// outward by far more.
    fn one_price(&self, term: &Term) -> Reach {
        let single = [Line {
            slope: term.single.unwrap_or(0.0),
            offset: 0.0,
        }];
        let lines = match term.single {
            Some(_) => &single[..],
            None if term.legs.1 - term.legs.0 == 1 => &self.lines[term.first_line..self.ends[term.legs.0]],
            None => return Reach::Markets,
        };
        let channel = term.channel;
        let rises = lines.iter().all(|l| l.slope > 0.0);
        let falls = lines.iter().all(|l| l.slope < 0.0);
        if !rises && !falls {
            return Reach::Markets;
        }
        // In x: it cannot fail above `x` if the lines rise, below it if they fall.
        let crossing = |l: &Line| -(self.base + l.offset) / l.slope;
        let x = if rises {
            lines.iter().map(crossing).fold(f64::NEG_INFINITY, f64::max)
        } else {
            lines.iter().map(crossing).fold(f64::INFINITY, f64::min)
        };
        let up = |p: f64| p + p.abs() * ROUNDING;
        let down = |p: f64| p - p.abs() * ROUNDING;
        match (rises, term.inverse) {
            (true, false) => Reach::Below(channel, up(x)),
            (false, false) => Reach::Above(channel, down(x)),
            // x = 1/p falls with the price; prices are positive.
            (true, true) if x <= 0.0 => Reach::Above(channel, f64::INFINITY),
            (true, true) => Reach::Above(channel, down(1.0 / x)),
            (false, true) if x <= 0.0 => Reach::Below(channel, f64::INFINITY),
            (false, true) => Reach::Below(channel, up(1.0 / x)),
        }
    }

    /// What each market adds.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The bound without its terms.
    pub fn base(&self) -> f64 {
        self.base
    }

    /// A term at a price.
    pub fn at(&self, term: &Term, price: f64) -> f64 {
        let x = if term.inverse { 1.0 / price } else { price };
        if let Some(slope) = term.single {
            return slope * x;
        }
        let mut sum = 0.0;
        let mut from = term.first_line;
        for &to in &self.ends[term.legs.0..term.legs.1] {
            let least = |least: f64, l: &Line| least.min(l.slope * x + l.offset);
            sum += self.lines[from..to].iter().fold(f64::INFINITY, least);
            from = to;
        }
        sum
    }

    /// A lower bound of a term between two prices.
    pub fn between(&self, term: &Term, low: f64, high: f64) -> f64 {
        match term.worst {
            Worst::Low => self.at(term, low),
            Worst::High => self.at(term, high),
            Worst::Either => self.at(term, low).min(self.at(term, high)),
        }
    }

    /// Adds lower bounds of a term between pairs of prices.
    pub fn add(&self, term: &Term, low: &[f32; WIDTH], high: &[f32; WIDTH], sums: &mut [f64; WIDTH]) {
        let worst = if term.worst == Worst::High { high } else { low };
        match (term.single, term.inverse) {
            (Some(slope), false) => {
                for i in 0..WIDTH {
                    sums[i] += slope * f64::from(worst[i]);
                }
            }
            (Some(slope), true) => {
                for i in 0..WIDTH {
                    sums[i] += slope / f64::from(worst[i]);
                }
            }
            (None, _) => {
                for i in 0..WIDTH {
                    sums[i] += self.between(term, f64::from(low[i]), f64::from(high[i]));
                }
            }
        }
    }

    fn take_assets(
        &mut self,
        margin: &'a Margin,
        venue: &'a Venue,
        holding: Holding<'_>,
        sides: Sides,
        scale: impl Fn(MarketId) -> Scale,
        kept: Option<Ratio>,
    ) {
        self.assets.clear();
        self.legs.clear();
        for &(id, amount) in holding.cash {
            self.assets.push(AssetTerm {
                id,
                cash: amount.0 as f64,
                scale: venue.assets[id].scale_f64(),
                weight: margin.weights[id].maintenance.as_f64(),
                priced: venue.assets[id].price_market.is_some(),
                kept: kept.map_or(0.0, |kept| share_f64(venue, holding.legs, (id, amount), kept)),
            });
        }
        for leg in holding.legs.iter().filter(|l| !l.size.is_zero()) {
            let bound = &venue.markets[leg.market];
            let settled = self.assets.iter().position(|a| a.id == bound.settlement);
            self.legs.push(AssetLeg {
                channel: sides.channel(leg.market, leg.size),
                bound,
                rule: &margin.maintenance[leg.market],
                leg: *leg,
                scale: scale(leg.market),
                profit: margin.least_profit_weight(bound.settlement),
                settled: settled.unwrap_or(0),
            });
        }
    }

    /// Takes an account as it stands for [`Self::best_over`], whatever its assets.
    pub fn take_for_recovery(
        &mut self,
        margin: &'a Margin,
        venue: &'a Venue,
        holding: Holding<'_>,
        sides: Sides,
        scale: impl Fn(MarketId) -> Scale,
    ) {
        self.take_assets(margin, venue, holding, sides, scale, None);
        if let [only] = self.assets.as_mut_slice() {
            // Decided in the asset itself.
            (only.scale, only.weight, only.priced) = (1.0, 1.0, false);
        }
    }

    /// The bound of an account with several assets, at prices within the intervals (low, high) that `series` and `asset` give.
    pub fn over_assets(&self, series: impl Fn(Channel) -> (f64, f64), asset: impl Fn(AssetId) -> (f64, f64)) -> f64 {
        let (least, error) = self.over::<false>(series, asset);
        least - error
    }

    /// An upper bound instead: where it is not positive, the account fails everywhere.
    pub fn best_over(&self, series: impl Fn(Channel) -> (f64, f64), asset: impl Fn(AssetId) -> (f64, f64)) -> f64 {
        let (most, error) = self.over::<true>(series, asset);
        most + error
    }

    /// The least (or the most) that interval arithmetic leaves possible, and the error of that.
    fn over<const BEST: bool>(
        &self,
        series: impl Fn(Channel) -> (f64, f64),
        asset: impl Fn(AssetId) -> (f64, f64),
    ) -> (f64, f64) {
        let mut bound = 0.0;
        let mut magnitude = 0.0;
        let mut units = 5.0;
        for (k, held) in self.assets.iter().enumerate() {
            let mut balance = held.cash;
            let mut required = if BEST { 0.0 } else { held.kept };
            let mut size = held.cash.abs() + held.kept;
            let mut slack = 0.0;
            for l in self.legs.iter().filter(|l| l.settled == k) {
                let (lo, hi) = series(l.channel);
                // Rises or falls throughout, as the value does.
                let value = |p: f64| {
                    let value = l.bound.value_f64(l.leg.size, p);
                    let entry = l.leg.entry_value.0 as f64;
                    l.profit.map_or(value, |w| value.min(w * value + (1.0 - w) * entry))
                };
                let (v_lo, v_hi) = (value(lo), value(hi));
                let needs = if BEST {
                    l.rule.least(l.bound, &l.leg, (lo, hi), l.scale)
                } else {
                    l.rule.most(l.bound, &l.leg, (lo, hi), l.scale)
                };
                balance += if BEST { v_lo.max(v_hi) } else { v_lo.min(v_hi) };
                required += needs;
                size += v_lo.abs() + v_hi.abs() + needs.abs() + l.rule.magnitude() * l.scale.as_f64().max(1.0);
                slack += 2.0;
                if l.profit.is_some() {
                    size += (l.leg.entry_value.0 as f64).abs() + l.bound.value_f64(l.leg.size, lo).abs();
                    size += l.bound.value_f64(l.leg.size, hi).abs();
                    slack += 1.0;
                }
            }
            let (lo, hi) = if held.priced { asset(held.id) } else { (1.0, 1.0) };
            // The worst (or best) products of the intervals; a positive balance counts at its weight.
            let worth = match balance >= 0.0 {
                true => balance * held.weight * if BEST { hi } else { lo },
                false => balance * if BEST { lo } else { hi },
            };
            // A requirement can be negative, by a deduction: then the other price is the worse (or the better).
            let needed = required * if BEST == (required >= 0.0) { lo } else { hi };
            bound += (worth - needed) * held.scale;
            magnitude += size * hi * held.scale;
            units += 2.0 + slack * hi * held.scale;
        }
        (bound, magnitude * ROUNDING + units)
    }
}

/// What a leg counts as, as lines of which the least counts: its value, and its value with a part of the profit.
fn values(market: &Market, leg: &Leg, profit: Option<f64>) -> [Option<Line>; 2] {
    let scaled = leg.size.0 as f64 * market.slope();
    let whole = Line {
        slope: match market.payoff {
            Payoff::Linear => scaled,
            Payoff::Inverse => -scaled,
        },
        offset: 0.0,
    };
    let part = profit.map(|w| Line {
        slope: whole.slope * w,
        offset: (1.0 - w) * leg.entry_value.0 as f64,
    });
    [Some(whole), part]
}

/// Not less than what is to be kept of the collateral in an asset, but for rounding.
fn share_f64(venue: &Venue, legs: &[Leg], (asset, cash): (AssetId, Amount), kept: Ratio) -> f64 {
    let own = legs.iter().filter(|l| venue.markets[l.market].settlement == asset);
    let collateral = own.fold(cash.0 as f64, |sum, l| sum + l.entry_value.0 as f64);
    collateral.max(0.0) * kept.as_f64()
}
