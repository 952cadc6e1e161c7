//! The prices of one instant, looked up once, for what is asked of every account.

use rayon::prelude::*;

use crate::book::{Book, SHARE};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::feeds::{Channel, Sides};
use crate::impact::Displacement;
use crate::margin::{Prices, Scale};
use crate::progress::Meter;
use crate::search::Present;
use crate::state::{Moment, Setup};
use crate::units::{Price, Size, Usd};

/// All prices of a moment.
pub struct Marks<'a> {
    setup: &'a Setup,
    /// By channel: trigger feed, before closes displace it.
    trigger: Vec<Price>,
    sides: Sides,
    /// Per market: how closes have displaced the trigger feed; empty where they do not.
    displacement: Vec<Displacement>,
    /// Per market: scale of dynamic margin.
    scale: Vec<Scale>,
    /// Per asset: collateral feed.
    collateral: Vec<Price>,
    /// Per market: reference.
    reference: Vec<Price>,
    /// Per asset: reference.
    asset_reference: Vec<Price>,
}

impl<'a> Marks<'a> {
    /// Looks up the prices of a moment.
    pub fn at(moment: &Moment<'a>) -> Self {
        let (markets, assets) = (0..moment.setup.venue.markets.len(), 0..moment.setup.venue.assets.len());
        Self {
            setup: moment.setup,
            trigger: moment.published_triggers(),
            sides: moment.board.feeds().trigger.sides,
            displacement: markets.clone().filter_map(|m| moment.displacement(m)).collect(),
            scale: markets.clone().map(|m| moment.scale(m)).collect(),
            collateral: assets.clone().map(|a| moment.collateral(a)).collect(),
            reference: markets.map(|m| moment.reference(m)).collect(),
            asset_reference: assets.map(|a| moment.reference_of_asset(a)).collect(),
        }
    }

    /// Equity of an account in dollars at the reference, each asset truncated: [`Moment::account_equity`].
    pub fn equity(&self, book: &Book, account: usize) -> Result<Usd> {
        let venue = &self.setup.venue;
        let mut total = Usd::ZERO;
        for &(asset, cash) in book.cash(account) {
            let mut balance = cash;
            for leg in book.legs(account).iter().filter(|l| !l.size.is_zero()) {
                let market = &venue.markets[leg.market];
                if market.settlement == asset {
                    balance = balance.plus(market.value(leg.size, self.reference[leg.market])?)?;
                }
            }
            total = total.plus(venue.assets[asset].usd(balance, self.asset_reference[asset])?)?;
        }
        Ok(total)
    }

    /// [`Self::equity`] of every account. The error is that of the first account that has one.
    pub fn equities(&self, book: &Book, meter: &Meter<'_>) -> Result<Vec<Usd>> {
        each_account(book.len(), meter, |account| self.equity(book, account))
    }
}

impl Present for Marks<'_> {
    fn published(&self, channel: Channel) -> Price {
        self.trigger[channel]
    }

    fn displacement(&self, market: MarketId) -> Option<Displacement> {
        self.displacement.get(market).copied()
    }
}

impl Prices for Marks<'_> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        let published = self.trigger[self.sides.channel(market, size)];
        self.displacement(market).map_or(published, |x| x.of(published))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.collateral[asset]
    }

    fn scale(&self, market: MarketId) -> Scale {
        self.scale[market]
    }
}

/// Asks the same of every account, in parallel. The error is that of the first account that has one.
pub fn each_account<T: Copy + Default + Send>(
    accounts: usize,
    meter: &Meter<'_>,
    ask: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut answers = Vec::new();
    rayon::iter::repeat_n(T::default(), accounts)
        .with_min_len(SHARE)
        .collect_into_vec(&mut answers);
    let shares: Vec<Result<()>> = answers
        .par_chunks_mut(SHARE)
        .enumerate()
        .map(|(share, answers)| {
            for (answer, account) in answers.iter_mut().zip(share * SHARE..) {
                *answer = ask(account)?;
            }
            meter.advance(answers.len() as u64)
        })
        .collect();
    shares.into_iter().collect::<Result<()>>()?;
    Ok(answers)
}
