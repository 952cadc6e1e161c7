//! Participation: an order takes a share of the volume that trades next in its market, at the prices at which it trades.
//!
//! Orders of one market share the volume first in, first out: an order begins where the one before it ends, or at the first print after
//! it was placed. So an order never depends on a later one, and the market's prints are walked once, whatever the orders.
//!
//! Capacity is counted in `1/den` of a size unit, where the share of the volume is `num/den`.

use crate::error::{Error, Result};
use crate::units::{Price, Ratio, Size, ceil_div, floor_div, product};

/// Prints of a market, in the order of the tape.
#[derive(Debug, Clone, Copy)]
pub struct Prints<'a> {
    /// When.
    pub ts: &'a [i64],
    /// At what price.
    pub price: &'a [i64],
    /// How much.
    pub size: &'a [i64],
}

/// How far the prints of a market have been used up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    /// First print of the window that is not used up.
    next: usize,
    /// Capacity of that print that is used.
    used: i128,
}

/// An order of one leg while it fills.
#[derive(Debug, Clone, Copy)]
pub struct Filling {
    position: Size,
    /// Prints after this count.
    placed: i64,
    /// Capacity it still needs, and in all.
    left: i128,
    whole: i128,
    /// Price times capacity so far.
    cost: i128,
}

impl Filling {
    /// An order for the whole of a position.
    pub fn new(position: Size, placed: i64, share: Ratio) -> Result<Self> {
        let whole = product(i128::from(position.units()), share.den, "volume of an order")?;
        Ok(Self {
            position,
            placed,
            left: whole,
            whole,
            cost: 0,
        })
    }

    /// Goes on through the prints of a window; the time of the last that it needed and the average price, rounded against the account,
    /// or None if the window was not enough.
    pub fn fill(&mut self, cursor: &mut Cursor, prints: Prints<'_>, share: Ratio) -> Result<Option<(i64, Price)>> {
        let first = cursor.next + prints.ts[cursor.next..].partition_point(|&t| t <= self.placed);
        if first > cursor.next {
            (cursor.next, cursor.used) = (first, 0);
        }
        while let Some(&size) = prints.size.get(cursor.next) {
            let capacity = product(i128::from(size), share.num, "volume of a print")?;
            let here = (capacity - cursor.used).min(self.left);
            let paid = product(here, i128::from(prints.price[cursor.next]), "cost of an order")?;
            self.cost = self
                .cost
                .checked_add(paid)
                .ok_or_else(|| Error::overflow("cost of an order"))?;
            self.left -= here;
            cursor.used += here;
            if self.left == 0 {
                let price = if self.position.0 > 0 {
                    floor_div(self.cost, self.whole)
                } else {
                    ceil_div(self.cost, self.whole)
                };
                let price = i64::try_from(price).map_err(|_| Error::overflow("price of an order"))?;
                return Ok(Some((prints.ts[cursor.next], Price(price.max(1)))));
            }
            (cursor.next, cursor.used) = (cursor.next + 1, 0);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_share_the_volume_first_in_first_out() {
        let prints = Prints {
            ts: &[1, 2, 2, 3],
            price: &[100, 90, 80, 70],
            size: &[10, 10, 10, 10],
        };
        let half = Ratio { num: 1, den: 2 };
        let mut cursor = Cursor::default();
        let mut fill = |size, placed| {
            let mut order = Filling::new(Size(size), placed, half).unwrap();
            order.fill(&mut cursor, prints, half).unwrap()
        };
        // 5 at 90 and 2 at 80; then 3 at 80 and 1 at 70; then nothing is enough.
        assert_eq!(fill(7, 1), Some((2, Price(87))));
        assert_eq!(fill(-4, 1), Some((3, Price(78))));
        assert_eq!(fill(5, 2), None);
    }
}
