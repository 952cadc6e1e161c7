//! Funding and borrow fees: steps of the indices.
//!
//! A step is the rate times the notional of one unit of size, in units of the index, rounded down. Longs owe what the index of funding
//! rises, shorts receive it: all sizes of a market sum to zero, and so does what they pay, but for roundings.
//!
//! Sources: premium with a clamped interest as on Binance, Hyperliquid and dYdX; rates by the hour as on GMX and Gains.

use crate::book::INDEX_SCALE;
use crate::config::{BorrowConfig, RatePoint};
use crate::contract::Market;
use crate::error::{Error, Result};
use crate::feeds::Series;
use crate::units::{Price, Ratio, Size, floor_div, product};

const BILLION: i128 = 1_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// The first multiple of an interval after a time.
pub(super) fn first_multiple(interval: i64, after: i64) -> Option<i64> {
    after
        .div_euclid(interval)
        .checked_add(1)
        .and_then(|n| n.checked_mul(interval))
}

/// Steps of a rate at given times.
#[derive(Debug, Clone)]
pub(super) struct Given {
    points: Vec<(i64, Ratio)>,
    next: usize,
}

impl Given {
    /// # Errors
    /// [`Error::Config`] if the times do not ascend.
    pub fn new(points: &[RatePoint], field: &str) -> Result<Self> {
        if points.windows(2).any(|w| w[0].ts >= w[1].ts) {
            return Err(Error::Config(format!("protocol: {field}: expected times that ascend")));
        }
        Ok(Self {
            points: points.iter().map(|p| (p.ts, p.rate)).collect(),
            next: 0,
        })
    }

    /// The rates after `after`, up to `until`.
    pub fn advance(&mut self, after: i64, until: i64) -> Vec<(i64, Ratio)> {
        let from = self.points.partition_point(|p| p.0 <= after).max(self.next);
        self.next = self.points.partition_point(|p| p.0 <= until).max(from);
        self.points[from..self.next].to_vec()
    }
}

/// A constant rate.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    interval: i64,
    /// Of one interval.
    rate: Ratio,
}

impl Constant {
    /// # Errors
    /// [`Error::Config`] naming the field; None if the rate is zero.
    pub fn new(config: &BorrowConfig) -> Result<Option<Self>> {
        let fail = |what: &str| Error::Config(format!("protocol: borrow: {what}"));
        if config.interval <= 0 || config.rate_per_hour.num < 0 {
            return Err(fail("expected a positive interval and a rate that is not negative"));
        }
        let part = Ratio::new(i128::from(config.interval), i128::from(HOUR));
        let rate = part.and_then(|part| config.rate_per_hour.times(part));
        let rate = rate.ok_or_else(|| fail("rate_per_hour is out of range"))?;
        Ok((rate.num > 0).then_some(Self {
            interval: config.interval,
            rate,
        }))
    }

    /// The rates after `after`, up to `until`.
    pub fn advance(&self, after: i64, until: i64) -> Vec<(i64, Ratio)> {
        let times = std::iter::successors(first_multiple(self.interval, after), |t| t.checked_add(self.interval));
        times.take_while(|&t| t <= until).map(|t| (t, self.rate)).collect()
    }
}

/// Rates from the premium of one feed over another, of one market.
#[derive(Debug, Clone)]
pub(super) struct Premium {
    interval: i64,
    sample: i64,
    /// In billionths.
    interest: i128,
    band: i128,
    cap: i128,
    share: Ratio,
    /// Sum and number of the samples of this interval.
    sum: i128,
    samples: i128,
}

/// The figures of a premium.
#[derive(Debug, Clone, Copy)]
pub(super) struct PremiumRules {
    pub interval: i64,
    pub sample: i64,
    pub interest: Ratio,
    pub band: Ratio,
    pub cap: Option<Ratio>,
    pub share: Ratio,
}

impl Premium {
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn new(rules: &PremiumRules) -> Result<Self> {
        let fail = |what: &str| Error::Config(format!("protocol: funding: {what}"));
        if rules.interval <= 0 || rules.sample <= 0 || rules.interval % rules.sample != 0 {
            return Err(fail("expected a positive interval that is a multiple of sample"));
        }
        if rules.band.num < 0 || rules.share.num < 0 || rules.cap.is_some_and(|c| c.num < 0) {
            return Err(fail("expected band, cap and share that are not negative"));
        }
        let billionths = |r: Ratio| Ok(floor_div(product(r.num, BILLION, "funding rate")?, r.den));
        Ok(Self {
            interval: rules.interval,
            sample: rules.sample,
            interest: billionths(rules.interest)?,
            band: billionths(rules.band)?,
            cap: rules.cap.map_or(Ok(i64::MAX.into()), billionths)?,
            share: rules.share,
            sum: 0,
            samples: 0,
        })
    }

    /// The rates after `after`, up to `until`.
    pub fn advance(&mut self, of: &Series, over: &Series, after: i64, until: i64) -> Result<Vec<(i64, Ratio)>> {
        let mut out = Vec::new();
        let (mut a, mut b) = (of.count(after), over.count(after));
        let mut t = first_multiple(self.sample, after);
        while let Some(now) = t.filter(|&t| t <= until) {
            let walk = |feed: &Series, n: usize| n + feed.ts[n..].iter().take_while(|&&u| u <= now).count();
            (a, b) = (walk(of, a), walk(over, b));
            let (high, low) = (of.after_states(a).0, over.after_states(b).0);
            let apart = product(i128::from(high) - i128::from(low), BILLION, "premium")?;
            self.sum += floor_div(apart, i128::from(low));
            self.samples += 1;
            if now % self.interval == 0 {
                out.push((now, self.rate()?));
                (self.sum, self.samples) = (0, 0);
            }
            t = now.checked_add(self.sample);
        }
        Ok(out)
    }

    fn rate(&self) -> Result<Ratio> {
        let premium = floor_div(self.sum, self.samples.max(1));
        let toward = (self.interest - premium).clamp(-self.band, self.band);
        let rate = (premium + toward).clamp(-self.cap, self.cap);
        Ratio::new(rate, BILLION)
            .and_then(|r| r.times(self.share))
            .ok_or_else(|| Error::overflow("funding rate"))
    }
}

/// What a rate adds to an index at a price.
pub(super) fn step(market: &Market, rate: Ratio, price: Price) -> Result<i128> {
    let unit = market.notional(Size(1), price)?;
    let scaled = product(product(unit.num, INDEX_SCALE, "accrual")?, rate.num, "accrual")?;
    Ok(floor_div(scaled, product(unit.den, rate.den, "accrual")?))
}
