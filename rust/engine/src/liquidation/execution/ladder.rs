//! A ladder of depth in shares of the position; without one, all at one price.

use crate::config::RungConfig;
use crate::error::{Error, Result};
use crate::few::Few;
use crate::units::{Price, Size, ceil_div, floor_div, product};

/// Fills of `quantity` units of a position of signed size `position` at the base price, walked down a ladder of depth.
///
/// Each rung holds `ceil(share * |position|)` units at the base price moved against the account by the offset, rounded against it; the
/// last rung holds all that is left.
pub fn fills(
    position: Size,
    quantity: u64,
    base: Price,
    ladder: Option<&[RungConfig]>,
) -> Result<Few<(u64, Price), 2>> {
    let mut out = Few::new();
    if quantity == 0 {
        return Ok(out);
    }
    let Some(rungs) = ladder else {
        out.push((quantity, base));
        return Ok(out);
    };
    let mut left = quantity;
    for (k, rung) in rungs.iter().enumerate() {
        let depth = rung.share.ceil_of(i128::from(position.units()), "depth of a rung")?;
        let here = if k + 1 == rungs.len() {
            left
        } else {
            u64::try_from(depth).unwrap_or(u64::MAX).min(left)
        };
        if here > 0 {
            out.push((here, offset_price(position, base, rung)?));
            left -= here;
        }
    }
    Ok(out)
}

fn offset_price(position: Size, base: Price, rung: &RungConfig) -> Result<Price> {
    let (num, den) = (rung.offset.num, rung.offset.den);
    let base = i128::from(base.0);
    let range = || Error::overflow("price of a rung");
    let price = if position.0 > 0 {
        let factor = den.checked_add(num).ok_or_else(range)?;
        floor_div(product(base, factor, "price of a rung")?, den)
    } else {
        let factor = den.checked_sub(num).ok_or_else(range)?;
        ceil_div(product(base, factor, "price of a rung")?, den)
    };
    i64::try_from(price.max(1)).map(Price).map_err(|_| range())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ratio;

    #[test]
    fn a_ladder_is_walked_from_its_first_rung() {
        let rung = |share: &str, offset: &str| RungConfig {
            share: Ratio::parse(share).unwrap(),
            offset: Ratio::parse(offset).unwrap(),
        };
        let ladder = [rung("0.2", "-0.15"), rung("0.8", "-0.08")];
        let long = fills(Size(10), 10, Price(100), Some(&ladder)).unwrap();
        assert_eq!(*long, [(2, Price(85)), (8, Price(92))]);
        let short = fills(Size(-10), 3, Price(100), Some(&ladder)).unwrap();
        assert_eq!(*short, [(2, Price(115)), (1, Price(108))]);
    }
}
