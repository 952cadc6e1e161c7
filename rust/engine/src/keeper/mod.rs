//! Keepers: when a failing account is seen, how late it is acted on, whether that works, and whether it pays (semantics, section 3).
//!
//! What happens to one account depends on prices, on terms that are known in advance, and on draws that depend on the account and the
//! number of its attempt only: so paths can be followed in parallel, whatever the order and the number of threads. What accounts share,
//! the slots of a window, is for the event loop.

mod capacity;
mod failure;
mod poll;
mod profit;
mod terms;

pub use capacity::Slots;
pub use poll::{Polls, first_recovered, first_seen};
pub use profit::reward;

use crate::config::KeeperConfig;
use crate::draws::{Purpose, bits};
use crate::error::Result;
use terms::{Terms, Timetable};

/// The keeper of a run.
pub struct Keeper {
    /// When accounts are tested; None: at every update.
    pub polls: Option<Polls>,
    timetable: Timetable,
    seed: u64,
    draws: bool,
}

impl Keeper {
    /// Binds the configuration to a tape that starts at `opening`.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for times that do not rise; overflow.
    pub fn bind(config: &KeeperConfig, opening: i64) -> Result<Self> {
        let timetable = Timetable::bind(config, opening)?;
        let draws = timetable.all().any(|t| t.latency.is_drawn() || t.failure.is_some());
        Ok(Self {
            polls: config.poll.map(|interval| Polls::new(opening, interval)),
            draws,
            timetable,
            seed: config.seed,
        })
    }

    /// True if anything is drawn, so that attempts must be counted.
    pub fn draws(&self) -> bool {
        self.draws
    }

    /// True if accounts are tested at `t` when something touches them.
    pub fn tests_at(&self, t: i64) -> bool {
        self.polls.is_none_or(|polls| polls.includes(t))
    }

    fn terms(&self, t: i64) -> &Terms {
        self.timetable.at(t)
    }

    /// When the `attempt`-th attempt of an account is due that begins at `begun`.
    pub fn due(&self, account: usize, attempt: u32, begun: i64) -> i64 {
        let latency = &self.terms(begun).latency;
        let latency = latency.of(|| bits(self.seed, Purpose::Latency, account, attempt.into()));
        begun.saturating_add(latency)
    }

    /// When the next attempt begins, if the `attempt`-th of an account fails at `t`.
    pub fn fails(&self, account: usize, attempt: u32, t: i64) -> Option<i64> {
        let failure = self.terms(t).failure.as_ref()?;
        let fails = failure.fails(bits(self.seed, Purpose::Failure, account, attempt.into()));
        fails.then(|| t.saturating_add(failure.retry))
    }

    /// The least reward for which the keeper acts at `t`, in micro-dollars.
    pub fn required(&self, t: i64) -> i128 {
        self.terms(t).required
    }

    /// The first time after `t` from which a reward that is too little at `t` is enough.
    pub fn enough_after(&self, t: i64, reward: i128) -> Option<i64> {
        self.timetable.enough_after(t, reward)
    }
}
