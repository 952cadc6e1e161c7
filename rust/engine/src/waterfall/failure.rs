//! Failing layers: what follows where one leaves something of what it is asked for (semantics, section 6).
//!
//! A halt that a failure sets off is not known in advance, unlike those that a protocol states. It begins after the instant of the
//! failure, so that no more than the present stretch of time matters: times that are asked for never come before it.

use super::limits;
use super::limits::Purpose;
use crate::config::{Layer, LayerFailure};
use crate::state::{Moment, State};

/// A halt that the failure of a layer has set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halted {
    /// Which layer.
    pub layer: Layer,
    /// Its first moment.
    pub start: i64,
    /// The first moment after it; None: it does not end.
    pub end: Option<i64>,
}

/// All halts that failures have set off so far.
#[derive(Debug, Clone, Default)]
pub struct Outages {
    all: Vec<Halted>,
    /// The last stretch of time in which the venue is down: first moment, and the first one after it.
    stretch: Option<(i64, i64)>,
    first_end: Option<i64>,
    /// The action that is being booked is not to be carried out, but tried again so long after.
    pub(crate) reverts: Option<i64>,
}

impl Outages {
    fn add(&mut self, halted: Halted) {
        if self.all.contains(&halted) {
            return;
        }
        let until = halted.end.unwrap_or(i64::MAX);
        self.stretch = Some(match self.stretch {
            Some((from, before)) if halted.start <= before => (from, before.max(until)),
            _ => (halted.start, until),
        });
        self.first_end = [self.first_end, halted.end].into_iter().flatten().min();
        self.all.push(halted);
    }

    /// In the order in which they were set off.
    pub fn all(&self) -> &[Halted] {
        &self.all
    }

    /// True if the venue is down at `t`, which is not before the last failure.
    pub fn stop(&self, t: i64) -> bool {
        self.stretch.is_some_and(|(from, until)| from <= t && t < until)
    }

    /// The first moment from `t` on at which the venue is not down, if there is one.
    pub fn free_from(&self, t: i64) -> Option<i64> {
        match self.stretch {
            Some((from, until)) if from <= t && t < until => (until < i64::MAX).then_some(until),
            _ => Some(t),
        }
    }

    /// When the venue is next up again after `now`.
    pub fn next_lift(&self, now: i64) -> Option<i64> {
        let until = self.stretch.map(|(_, until)| until);
        until.filter(|&until| now < until && until < i64::MAX)
    }

    /// True if the venue is up again at `t`.
    pub fn lift(&self, t: i64) -> bool {
        self.stretch.is_some_and(|(_, until)| until == t)
    }

    /// When the first of them is over.
    pub fn first_end(&self) -> Option<i64> {
        self.first_end
    }
}

/// A layer that was asked has left something.
pub fn note(state: &mut State, moment: &Moment<'_>, layer: Layer, purpose: Purpose) {
    let rules = moment.setup.protocol.limits.get(&layer);
    // A layer that is off is not asked.
    let rules = rules.filter(|_| limits::is_on(state, moment, layer, purpose.fund()));
    match rules.map(|rules| rules.failure) {
        None | Some(LayerFailure::Skip {}) => {}
        Some(LayerFailure::Halt { halt_for }) => {
            let start = moment.ts.saturating_add(1);
            state.outages.add(Halted {
                layer,
                start,
                end: halt_for.map(|halt_for| start.saturating_add(halt_for)),
            });
        }
        Some(LayerFailure::Revert { retry }) => {
            state.outages.reverts.get_or_insert(retry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halted(start: i64, end: Option<i64>) -> Halted {
        let layer = Layer::InsuranceFund;
        Halted { layer, start, end }
    }

    #[test]
    fn halts_that_touch_are_one_stretch() {
        let mut outages = Outages::default();
        assert!(!outages.stop(5) && outages.free_from(5) == Some(5) && outages.next_lift(5).is_none());
        outages.add(halted(11, Some(20)));
        outages.add(halted(11, Some(20)));
        assert_eq!(outages.all().len(), 1);
        assert!(!outages.stop(10) && outages.stop(11) && outages.stop(19) && !outages.stop(20));
        outages.add(halted(16, Some(30)));
        outages.add(halted(18, Some(25)));
        assert_eq!((outages.free_from(12), outages.first_end()), (Some(30), Some(20)));
        assert_eq!((outages.next_lift(29), outages.next_lift(30)), (Some(30), None));
        assert!(outages.lift(30) && !outages.lift(20));
        // A later one begins anew, and this one does not end.
        outages.add(halted(32, None));
        assert!(!outages.stop(31) && outages.stop(32));
        assert_eq!((outages.free_from(40), outages.next_lift(40)), (None, None));
    }
}
