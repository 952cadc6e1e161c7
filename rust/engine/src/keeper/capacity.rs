//! How much keepers can do: so many attempts a window.

use super::Keeper;

/// The slots of the window that is under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slots {
    /// Where the window ends; slots were counted until then.
    end: i64,
    used: u32,
    /// Nothing is free before.
    full_until: Option<i64>,
}

impl Slots {
    /// True if an attempt can be made at `t`, which does not fall.
    pub fn is_free(&mut self, keeper: &Keeper, t: i64) -> bool {
        let Some((limit, end)) = keeper.timetable.window(t) else {
            return true;
        };
        if self.end != end {
            (self.end, self.used) = (end, 0);
        }
        let free = self.used < limit;
        self.full_until = (!free).then_some(end);
        free
    }

    /// An attempt is made.
    pub fn take(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// When an action can be looked at that is due at `due`.
    pub fn when(&self, due: i64) -> i64 {
        self.full_until.map_or(due, |free| due.max(free))
    }
}
