//! One segment: from an anchor, which is already a tick, to the next, which becomes its last tick.

use super::anchors::{Anchor, Prepared, Series};
use crate::column::Column;
use crate::rng::Rng;
use crate::tape::{MarketTicks, TakerSide};

/// Prints of an instant: `P(>= k) = (1 + (k - 1) / BURST_SCALE)^-BURST_TAIL`.
const BURST_SCALE: f64 = 2.0;
const BURST_TAIL: f64 = 2.4;
/// Probability that all prints of an instant bear one price.
const ONE_PRICE: f64 = 0.6;
/// Gaps between instants: a Weibull of this shape, times a lognormal that varies slowly, with the standard deviation of its
/// logarithm and how much of it stays from gap to gap.
const GAP_SHAPE: f64 = 0.45;
const GAP_SLOW: f64 = 0.5;
const GAP_MEMORY: f64 = 0.99;
/// Standard deviation of the logarithm of a trade's size.
const SIZE_SIGMA: f64 = 1.6;

/// A piece of path to be filled.
pub(super) struct Segment<'a> {
    pub market: &'a Prepared,
    pub from: Anchor,
    pub to: Anchor,
    /// Ticks to add, the anchor `to` included; at least one.
    pub ticks: usize,
}

impl Segment<'_> {
    /// Appends the ticks after `from`, up to and including `to`.
    pub fn fill(&self, rng: &mut Rng, ticks: &mut MarketTicks) {
        let start = ticks.ts.len();
        let bursts = self.bursts(rng);
        self.times(rng, &bursts, &mut ticks.ts);
        self.prices(rng, &bursts, &mut ticks.price, ticks.side.as_mut());
        if let Some(sizes) = &mut ticks.size {
            self.sizes(rng, &ticks.price[start..], sizes);
        }
    }

    /// Numbers of prints of the instants; they sum to the number of ticks.
    fn bursts(&self, rng: &mut Rng) -> Vec<usize> {
        if self.market.series == Series::Index {
            return vec![1; self.ticks];
        }
        let mut left = self.ticks;
        let mut bursts = Vec::with_capacity(left / 2 + 1);
        while left > 0 {
            let excess = BURST_SCALE * (libm::pow(rng.uniform_positive(), -1.0 / BURST_TAIL) - 1.0);
            // A tail that heavy has no bound; 1,000 is beyond anything seen in one instant (371).
            let prints = (1 + excess.min(999.0) as usize).min(left);
            bursts.push(prints);
            left -= prints;
        }
        bursts
    }

    /// Times of the prints, in `(from, to]`, the last instant at `to`.
    fn times(&self, rng: &mut Rng, bursts: &[usize], ts: &mut Column<i64>) {
        let mut elapsed = Vec::with_capacity(bursts.len());
        let mut sum = 0.0;
        let mut slow = rng.normal();
        let renewal = libm::sqrt(1.0 - GAP_MEMORY * GAP_MEMORY);
        for _ in bursts {
            sum += match self.market.series {
                Series::Index => 1.0 + 0.1 * (rng.uniform() - 0.5),
                Series::Trades => {
                    slow = GAP_MEMORY * slow + renewal * rng.normal();
                    libm::exp(GAP_SLOW * slow) * libm::pow(rng.exponential(1.0), 1.0 / GAP_SHAPE)
                }
            };
            elapsed.push(sum);
        }
        let active = self.market.active(self.from.ts, self.to.ts) as f64;
        let stamp = self.market.stamp;
        for (number, (&prints, &at)) in bursts.iter().zip(&elapsed).enumerate() {
            let last = number + 1 == bursts.len();
            let time = if last {
                self.to.ts
            } else {
                let exact = self.market.after(self.from.ts, (active * (at / sum)) as i64);
                // Rounded up to the grid of stamps, so never at `from`; never beyond the anchor.
                let stamped = (exact.div_euclid(stamp) + 1).saturating_mul(stamp);
                self.market.not_quiet(stamped).min(self.to.ts)
            };
            ts.extend(std::iter::repeat_n(time, prints));
        }
    }

    /// A Brownian bridge in the logarithm of the price, in business time (each print counts alike), folded into the interval of
    /// the two anchors. A buy prints at or above the path, a sale at or below it: the bounce of one step.
    fn prices(
        &self,
        rng: &mut Rng,
        bursts: &[usize],
        prices: &mut Column<i64>,
        mut sides: Option<&mut Column<TakerSide>>,
    ) {
        let total = self.ticks as f64;
        let mut free = Vec::with_capacity(bursts.len());
        let mut end = 0.0;
        for &prints in bursts {
            end += libm::sqrt(prints as f64 / total) * rng.normal();
            free.push(end);
        }
        let (log_from, log_to) = (libm::log(self.from.price as f64), libm::log(self.to.price as f64));
        let (low, high) = (self.from.price.min(self.to.price), self.from.price.max(self.to.price));
        let mut done = 0.0;
        let mut before = self.from.price as f64;
        let mut side = sides.as_ref().and_then(|sides| sides.last().copied()).unwrap_or(0);
        for (number, (&prints, &w)) in bursts.iter().zip(&free).enumerate() {
            let last = number + 1 == bursts.len();
            done += prints as f64;
            let u = done / total;
            let after = if last {
                self.to.price as f64
            } else {
                libm::exp(log_from + fold(u + self.market.roughness * (w - u * end)) * (log_to - log_from))
            };
            if after != before && sides.is_some() {
                side = if after > before { 1 } else { -1 };
            }
            let one_price = prints == 1 || rng.chance(ONE_PRICE);
            let first = prices.len();
            for _ in 1..prints {
                let price = if one_price {
                    after
                } else {
                    before + (after - before) * rng.uniform()
                };
                prices.push(self.on_grid(price, side).clamp(low, high));
            }
            // A sweep walks one way through the book and ends where the path is.
            if side < 0 {
                prices[first..].sort_unstable_by(|a, b| b.cmp(a));
            } else {
                prices[first..].sort_unstable();
            }
            prices.push(if last {
                self.to.price
            } else {
                self.on_grid(after, side).clamp(low, high)
            });
            if let Some(sides) = &mut sides {
                sides.extend(std::iter::repeat_n(side, prints));
            }
            before = after;
        }
    }

    fn on_grid(&self, price: f64, side: TakerSide) -> i64 {
        let steps = price / self.market.step as f64;
        let whole = match side {
            1 => steps.ceil(),
            -1 => steps.floor(),
            _ => steps.round(),
        };
        whole as i64 * self.market.step
    }

    /// Lognormal sizes of at least one unit, scaled to the segment's volume.
    fn sizes(&self, rng: &mut Rng, prices: &[i64], sizes: &mut Column<i64>) {
        let shares: Vec<f64> = prices.iter().map(|_| rng.lognormal(1.0, SIZE_SIGMA)).collect();
        let Some(volume) = self.to.volume_usd else {
            let mean = libm::exp(SIZE_SIGMA * SIZE_SIGMA / 2.0);
            sizes.extend(shares.iter().zip(prices).map(|(share, &price)| {
                let units = self.market.typical_trade_usd * (share / mean) / self.market.unit_usd(price);
                (units.round() as i64).max(1)
            }));
            return;
        };
        // Every trade has one unit; what is left of the volume is shared out by cumulated amounts, so that errors do not add up.
        let units: f64 = prices.iter().map(|&price| self.market.unit_usd(price)).sum();
        let (left, total) = ((volume - units).max(0.0), shares.iter().sum::<f64>());
        let (mut due, mut cumulated, mut sold) = (0.0, 0.0, 0.0);
        for (share, &price) in shares.iter().zip(prices) {
            let unit = self.market.unit_usd(price);
            cumulated += share;
            due += unit;
            let size = (((due + left * (cumulated / total) - sold) / unit).round() as i64).max(1);
            sold += size as f64 * unit;
            sizes.push(size);
        }
    }
}

/// Reflects the line into `[0, 1]`; 0 and 1 stay.
fn fold(x: f64) -> f64 {
    let y = x.rem_euclid(2.0);
    if y > 1.0 { 2.0 - y } else { y }
}
