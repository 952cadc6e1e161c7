//! When the vault's equity is below its floor, so that its own inventory is deleveraged (semantics, section 7b).
//!
//! The vault is a pseudo-account, searched for like any account, and again whenever its cash or its positions have changed.

use super::displacement::Ranges;
use super::event_loop::Replayer;
use crate::aggregate::Claim;
use crate::error::Result;
use crate::liquidation::vault;
use crate::state::Moment;
use crate::units::Ratio;

/// What is known of the vault; nothing where no protocol asks for it.
#[derive(Debug, Clone, Default)]
pub(super) struct VaultAdl {
    /// When the next round is due, and when the equity was seen to be too low.
    due: Option<(i64, i64)>,
    /// No round is due earlier.
    not_before: Option<i64>,
    /// When the equity is expected to be too low, as long as nothing changes.
    expected: Option<i64>,
    /// As it stood when that was found; None without positions.
    seen: Option<Claim>,
}

impl VaultAdl {
    /// The next instant at which something is due or expected.
    pub fn next(&self) -> Option<i64> {
        self.due.map(|(due, _)| due).or(self.expected)
    }
}

impl Replayer<'_> {
    /// What is expected of the vault after `after` (None: from the opening on).
    pub(super) fn expect_vault_adl(&mut self, after: Option<i64>) -> Result<()> {
        let Some(rule) = vault::rule(self.setup) else {
            return Ok(());
        };
        self.vault_adl.seen = vault::claim(&self.state, self.setup, &rule);
        self.vault_adl.expected = None;
        // While the venue is down it is not seen; when it is up again it is looked at.
        if let (None, Some(claim)) = (self.vault_adl.due, &self.vault_adl.seen)
            && !self.is_down_after(after)
        {
            let below = self
                .search
                .first_exceeding(claim, Ratio::ZERO, after, &mut self.scratch)?;
            self.vault_adl.expected = below;
        }
        Ok(())
    }

    /// Deleverages the vault at the end of an instant if that is due, and looks ahead. Returns the accounts that this changed.
    pub(super) fn deleverage_vault(&mut self, t: i64) -> Result<Vec<usize>> {
        let Some(rule) = vault::rule(self.setup) else {
            return Ok(Vec::new());
        };
        let claim = vault::claim(&self.state, self.setup, &rule);
        let down = self.state.outages.stop(t);
        let awake = self.lifted || self.vault_adl.next().is_some_and(|next| next <= t);
        if !awake && claim == self.vault_adl.seen {
            return Ok(Vec::new());
        }
        let moment = Moment::new(self.setup, self.board, t);
        let is_below = |claim: &Claim| Ok(!down && vault::is_below(&moment, claim)?);
        let below = claim.as_ref().map_or(Ok(false), is_below)?;
        let earliest = |watch: &VaultAdl| watch.not_before.map_or(t, |earliest| earliest.max(t));
        if self.vault_adl.due.is_none() && below {
            self.vault_adl.due = Some((earliest(&self.vault_adl), t));
        }
        let mut changed = Vec::new();
        if let Some((_, since)) = self.vault_adl.due.filter(|&(due, _)| due <= t) {
            self.vault_adl.due = None;
            if below {
                let pause = rule.adl_pause.unwrap_or(0);
                self.vault_adl.not_before = Some(t.saturating_add(pause));
                self.widen_ranges(t);
                let ranges = Ranges::new(self.search.ranges(), &self.displacement);
                changed = vault::deleverage(&mut self.state, &moment, &ranges, since)?;
                self.tally()?;
            }
        }
        if self.vault_adl.due.is_none() {
            let claim = vault::claim(&self.state, self.setup, &rule);
            if claim.as_ref().map_or(Ok(false), is_below)? {
                let due = earliest(&self.vault_adl).max(t.saturating_add(1));
                self.vault_adl.due = Some((due, t));
            }
        }
        self.expect_vault_adl(Some(t))?;
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }
}
