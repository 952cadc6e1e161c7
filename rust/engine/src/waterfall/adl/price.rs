//! The price of a match: what the loser would receive for its whole leg.
//!
//! Sources: bankruptcy price: BitMEX, Binance, Bybit, dYdX; previous mark price: Hyperliquid docs; mark price, and bankruptcy price once
//! the fund is nearly empty: OKX; oracle price: dYdX v4 in final settlement.

use crate::config::AdlPrice;
use crate::contract::MarketId;
use crate::error::Result;
use crate::market::USD_DECIMALS;
use crate::state::{Moment, State};
use crate::units::{Amount, Ratio, Size, product};

/// The ADL amount of a leg whose bankruptcy amount is known.
pub fn amount(state: &State, moment: &Moment<'_>, market: MarketId, size: Size, bankruptcy: Amount) -> Result<Amount> {
    let rules = moment.setup.protocol.deleveraging();
    let at_bankruptcy = match rules.price {
        AdlPrice::Bankruptcy => true,
        AdlPrice::Mark | AdlPrice::PreviousMark | AdlPrice::Oracle => false,
        AdlPrice::MarkThenBankruptcy => {
            let threshold = rules.threshold.unwrap_or(Ratio::ZERO);
            !fund_has(state, moment, market, threshold)?
        }
    };
    if at_bankruptcy {
        return Ok(bankruptcy);
    }
    moment.setup.venue.markets[market].value(size, moment.adl_price(market, size))
}

/// The insurance fund of a market has at least this share of what it began with.
fn fund_has(state: &State, moment: &Moment<'_>, market: MarketId, share: Ratio) -> Result<bool> {
    const {
        assert!(
            USD_DECIMALS == 6,
            "balances of layers and dollar views have the same unit"
        )
    };
    let (funds, protocol) = (&moment.setup.funds, &moment.setup.protocol);
    let opening = funds.opening(protocol, funds.of(market));
    let now = moment.fund_equity(&state.ledger, funds.of(market))?;
    Ok(product(now.0, share.den, "share of the fund")? >= product(opening.0, share.num, "share of the fund")?)
}
