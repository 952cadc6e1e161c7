//! Impact: what closes buy and sell displaces the price of their market, for themselves and for those that come after, and is
//! forgotten with a half-life (semantics, section 5, impact).
//!
//! State: by market the net volume that closes have bought or sold, in millionths of a quote unit: a permanent part, and a part that
//! decays since it last changed. The displacement is a function of the volume alone, the price of a fill its mean over the volume that
//! the fill adds: so many small closes in a row move the price exactly as far as one large one. Reading changes nothing.

mod constant_product;
mod decay;
mod ladder;
mod linear;
mod square_root;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

pub use decay::Decay;

use crate::config::{ImpactConfig, ImpactKind, Protocol};
use crate::contract::{MarketId, Venue};
use crate::error::{Error, Result};
use crate::units::{Price, Ratio, Size, ceil_div, floor_div};

/// A displacement of the whole price, up.
pub const ONE: i128 = 1_000_000_000_000;

/// Units of volume to a quote unit.
pub const VOLUME: i128 = 1_000_000;

/// No volume reaches this: about 10^12 quote units.
const MOST: i128 = 1 << 60;

/// A relative displacement of a price, in units of `10^-12`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Displacement(pub i128);

impl Displacement {
    /// None.
    pub const ZERO: Self = Self(0);

    /// A displaced price, rounded down, at least one unit.
    pub fn of(self, price: Price) -> Price {
        self.rounded(price, Rounding::Down)
    }

    /// A displaced price, at least one unit.
    pub fn rounded(self, price: Price, rounding: Rounding) -> Price {
        if self.0 == 0 {
            return price;
        }
        // At most double the price, so the product has room.
        let displaced = rounding.divide(i128::from(price.0) * (ONE + self.0), ONE);
        Price(i64::try_from(displaced.max(1)).unwrap_or(i64::MAX))
    }

    /// For bounds.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

/// Which way a quotient is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Toward minus infinity.
    Down,
    /// Toward plus infinity.
    Up,
}

impl Rounding {
    /// Against whoever gives up a position: a sale is rounded down, a purchase up.
    pub fn against(position: Size) -> Self {
        if position.0 > 0 { Self::Down } else { Self::Up }
    }

    fn divide(self, num: i128, den: i128) -> i128 {
        let (num, den) = if den < 0 { (-num, -den) } else { (num, den) };
        match self {
            Self::Down => floor_div(num, den),
            Self::Up => ceil_div(num, den),
        }
    }
}

/// Net volume that closes have bought (positive) or sold (negative) in a market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    permanent: i128,
    decaying: i128,
    since: i64,
}

impl Volume {
    /// True if it is not what it will be.
    pub fn decays(self) -> bool {
        self.decaying != 0
    }
}

/// From volume to displacement.
#[derive(Debug, Clone)]
enum Curve {
    Linear(Ratio),
    SquareRoot(Ratio),
    ConstantProduct(Ratio),
    Ladder(ladder::Rungs),
}

/// The impact of a run's closes, for one thread.
#[derive(Debug)]
pub struct Impact {
    /// By market.
    curves: Vec<Curve>,
    decay: Decay,
    permanent: Ratio,
    limit: i128,
    feedback: bool,
    /// By market.
    volumes: Vec<Cell<Volume>>,
    /// By market: the displacement that was last asked for, and when.
    known: Vec<Cell<Option<(i64, Displacement)>>>,
    /// Markets whose trigger price was displaced since the steps were last taken.
    stepped: RefCell<BTreeSet<MarketId>>,
}

impl Impact {
    /// The impact of a protocol on the markets of a venue; None if closes do not move prices.
    ///
    /// # Errors
    /// [`Error::Config`] if it names a market that is not on the tape; overflow if a depth leaves its range.
    pub fn bind(protocol: &Protocol, venue: &Venue) -> Result<Option<Self>> {
        let execution = &protocol.execution;
        let known = |field: &str, name: &String| match venue.market(name) {
            Some(_) => Ok(()),
            None => Err(Error::Config(format!(
                "protocol: execution.{field}: there is no market {name:?} on the tape"
            ))),
        };
        execution
            .book_scale
            .keys()
            .try_for_each(|name| known("book_scale", name))?;
        let Some(config) = &execution.impact else {
            return Ok(None);
        };
        config
            .markets
            .keys()
            .try_for_each(|name| known("impact.markets", name))?;
        let curve = |name: &str| {
            let depth = config.markets.get(name).copied().unwrap_or(config.depth);
            depth
                .times(execution.scale(name))
                .and_then(|depth| Curve::new(config, depth).transpose())
                .unwrap_or_else(|| Err(Error::overflow("depth of a market")))
        };
        Ok(Some(Self {
            curves: venue.markets.iter().map(|m| curve(&m.name)).collect::<Result<_>>()?,
            decay: Decay::new(config.half_life),
            permanent: config.permanent,
            limit: config.limit.floor_of(ONE, "impact.limit")?,
            feedback: config.feedback,
            volumes: vec![Cell::default(); venue.markets.len()],
            known: vec![Cell::default(); venue.markets.len()],
            stepped: RefCell::default(),
        }))
    }

    /// True if the trigger feed is displaced too.
    pub fn feeds_back(&self) -> bool {
        self.feedback
    }

    /// The volume outstanding in a market.
    pub fn volume(&self, market: MarketId) -> Volume {
        self.volumes[market].get()
    }

    /// The displacement at `t` of a market with this volume, which [`Self::trade`] has made.
    pub fn displacement(&self, market: MarketId, volume: Volume, t: i64) -> Displacement {
        // Volumes are within `MOST`, where nothing overflows: it was tried when they were made.
        let outstanding = self.outstanding(volume, t);
        outstanding.and_then(|u| self.at(market, u)).unwrap_or_default()
    }

    /// The displacement of a market at `t`.
    pub fn now(&self, market: MarketId, t: i64) -> Displacement {
        if let Some((at, x)) = self.known[market].get()
            && at == t
        {
            return x;
        }
        let volume = self.volume(market);
        let x = if volume == Volume::default() {
            Displacement::ZERO
        } else {
            self.displacement(market, volume, t)
        };
        self.known[market].set(Some((t, x)));
        x
    }

    /// The first time after `now` at which the displacement of a market with this volume, decaying, is `beyond` where it may be; it is
    /// not now, and once it is it stays so.
    pub fn first_beyond(
        &self,
        market: MarketId,
        volume: Volume,
        now: i64,
        beyond: impl Fn(Displacement) -> bool,
    ) -> Option<i64> {
        let time = |steps: i64| volume.since.checked_add(self.decay.delay(steps)?);
        let passed = self.decay.steps(now.saturating_sub(volume.since))?;
        // After as many halvings as a volume has bits nothing is left.
        let (mut not, mut yet) = (passed, passed.max(decay::STEPS * 64));
        if !beyond(self.displacement(market, volume, time(yet).unwrap_or(i64::MAX))) {
            return None;
        }
        while yet - not > 1 {
            let middle = not + (yet - not) / 2;
            let there = time(middle).is_none_or(|t| beyond(self.displacement(market, volume, t)));
            if there { yet = middle } else { not = middle }
        }
        time(yet)
    }

    /// What remains of a volume at `t`.
    fn outstanding(&self, volume: Volume, t: i64) -> Result<i128> {
        let left = self.decay.left(volume.decaying, t.saturating_sub(volume.since))?;
        Ok(volume.permanent + left)
    }

    fn clamp(&self, x: Displacement) -> Displacement {
        Displacement(x.0.clamp(-self.limit, self.limit))
    }

    fn at(&self, market: MarketId, volume: i128) -> Result<Displacement> {
        let x = match &self.curves[market] {
            Curve::Linear(per) => linear::displacement(*per, volume)?,
            Curve::SquareRoot(per) => square_root::displacement(*per, volume)?,
            Curve::ConstantProduct(per) => constant_product::displacement(*per, volume)?,
            Curve::Ladder(rungs) => rungs.displacement(volume),
        };
        Ok(self.clamp(x))
    }

    /// The price at which `notional`, a volume, of a position like this is closed at `t`, and the volume that is then outstanding.
    pub fn trade(
        &self,
        (market, volume): (MarketId, Volume),
        t: i64,
        position: Size,
        notional: i128,
        price: Price,
    ) -> Result<(Price, Volume)> {
        let rounding = Rounding::against(position);
        let from = self.outstanding(volume, t)?;
        let bought = -i128::from(position.0.signum()) * notional;
        let to = Some(from + bought).filter(|u| u.abs() < MOST).ok_or_else(overflow)?;
        self.at(market, to)?;
        let mean = if from == to {
            self.at(market, from)?
        } else {
            match &self.curves[market] {
                Curve::Linear(_) => linear::mean(self.at(market, from)?, self.at(market, to)?, rounding),
                Curve::SquareRoot(_) => square_root::mean(self.at(market, from)?, self.at(market, to)?, rounding),
                Curve::ConstantProduct(per) => constant_product::mean(*per, from, to, rounding)?,
                Curve::Ladder(rungs) => rungs.mean(from, to, rounding)?,
            }
        };
        let kept = bought.signum() * self.permanent.floor_of(notional, "permanent share of a volume")?;
        let permanent = Some(volume.permanent + kept)
            .filter(|u| u.abs() < MOST)
            .ok_or_else(overflow)?;
        let after = Volume {
            permanent,
            decaying: to - permanent,
            since: t,
        };
        Ok((self.clamp(mean).rounded(price, rounding), after))
    }

    /// Keeps the volume that a close has left.
    pub fn keep(&self, market: MarketId, volume: Volume) {
        if self.feedback && self.volumes[market].get() != volume {
            self.stepped.borrow_mut().insert(market);
        }
        self.volumes[market].set(volume);
        self.known[market].set(None);
    }

    /// Volumes, and the markets that were displaced since the steps were last taken.
    pub fn as_it_stands(&self) -> (Vec<Volume>, BTreeSet<MarketId>) {
        let volumes = self.volumes.iter().map(Cell::get).collect();
        (volumes, self.stepped.borrow().clone())
    }

    /// What has happened since [`Self::as_it_stands`] has not.
    pub fn put_back(&self, (volumes, stepped): (Vec<Volume>, BTreeSet<MarketId>)) {
        for ((cell, known), volume) in self.volumes.iter().zip(&self.known).zip(volumes) {
            cell.set(volume);
            known.set(None);
        }
        self.stepped.replace(stepped);
    }

    /// The markets whose trigger price was displaced since the last call.
    pub fn take_steps(&self) -> BTreeSet<MarketId> {
        self.stepped.take()
    }
}

impl Curve {
    /// None if a number leaves its range.
    fn new(config: &ImpactConfig, depth: Ratio) -> Result<Option<Self>> {
        let over = |num: Ratio| num.times(Ratio::new(depth.den, depth.num)?);
        let share = Ratio::new(ONE / VOLUME, 1).and_then(over);
        Ok(match config.kind {
            ImpactKind::Linear => share.map(Self::Linear),
            ImpactKind::ConstantProduct => share.map(Self::ConstantProduct),
            ImpactKind::SquareRoot => {
                let c = config.coefficient;
                let square = c.times(c).and_then(|c| c.times(Ratio::new(ONE / VOLUME * ONE, 1)?));
                square.and_then(over).map(Self::SquareRoot)
            }
            ImpactKind::Ladder => Some(Self::Ladder(ladder::Rungs::new(&config.rungs, depth)?)),
        })
    }
}

fn overflow() -> Error {
    Error::overflow("volume of closes")
}
