//! Reserved: a profit is at most what the pool set aside when the position was opened, a share of what it cost.

use super::Cap;
use crate::units::Ratio;

pub(super) fn cap(share: Ratio) -> Cap {
    Cap::OfCost {
        num: share.num,
        den: share.den,
    }
}
