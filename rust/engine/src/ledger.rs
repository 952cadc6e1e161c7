//! The ledger: every amount and every size has a holder, and moves only from one holder to another.
//!
//! Two identities hold after every event, in release builds too: per asset the balances of all holders sum to zero, and per market the
//! sizes of all holders sum to zero. They are running sums of what was actually written, so that a holder that is changed by any
//! other path breaks them. At the end they are summed once more from the holders themselves.

use rayon::prelude::*;

use crate::aggregate::Sides;
use crate::book::{Book, Leg};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::{Error, Result};
use crate::listed::listed;
use crate::units::{Amount, Size, Usd, mul_div_floor};

listed! {
    /// Holders that are not accounts of the book.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Entity {
        /// The rest of the market: it takes what is sold and provides what is bought.
        Outside = "outside",
        /// Insurance fund.
        InsuranceFund = "insurance_fund",
        /// Liquidity pool.
        Pool = "pool",
        /// Liquidator vault.
        Vault = "vault",
        /// Claim on the session's winners.
        Socialised = "socialised",
        /// Treasury.
        Treasury = "treasury",
        /// Keepers.
        Keepers = "keepers",
        /// The protocol's fees.
        Fees = "fees",
        /// Bad debt outstanding: what nobody has paid.
        Uncovered = "uncovered",
        /// Residues of rounding.
        Rounding = "rounding",
        /// Where opening balances and deposits come from.
        External = "external",
        /// Funding on its way from one side to the other.
        Funding = "funding",
        /// What the insurance fund has paid ahead of losses, and they have not used up.
        Prepaid = "prepaid",
        /// Holders of the protocol's token, whom its sales dilute.
        Token = "token",
    }
    /// Name in frames.
    pub fn name;
}

impl Entity {
    /// The entity of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }
}

/// An insurance fund of some markets, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FundId(pub usize);

/// Who holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A margin account, by number.
    Account(usize),
    /// An insurance fund of some markets: cash, and no inventory.
    Fund(FundId),
    /// Anything else.
    Entity(Entity),
}

impl Holder {
    /// True of whom losses are paid by, and of the vault.
    pub fn is_capital(self) -> bool {
        use Entity::{InsuranceFund, Pool, Token, Treasury, Vault};
        match self {
            Self::Account(_) => false,
            Self::Fund(_) => true,
            Self::Entity(entity) => matches!(entity, InsuranceFund | Pool | Treasury | Vault | Token),
        }
    }
}

listed! {
    /// Why something moved.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum PostingKind {
        /// Cash leg of a fill in the market.
        Fill = "fill",
        /// Cash leg of an ADL fill.
        Adl = "adl",
        /// Cash leg of a trade that an account asked for.
        Trade = "trade",
        /// One asset against another.
        Conversion = "conversion",
        /// Fixed fee of a keeper.
        KeeperFee = "keeper_fee",
        /// What a fill in the market costs.
        TradingFee = "trading_fee",
        /// Share of a penalty.
        Penalty = "penalty",
        /// What was left of a closed account.
        Residual = "residual",
        /// A layer makes an account good.
        Payment = "payment",
        /// Nobody makes it good.
        Uncovered = "uncovered",
        /// Money from outside.
        Deposit = "deposit",
        /// Money to outside.
        Withdrawal = "withdrawal",
        /// A position cut at the open.
        Rescale = "rescale",
        /// A winner's share of a socialised loss.
        Socialised = "socialised",
        /// A late deposit paid on to who covered the loss.
        Recovery = "recovery",
        /// Funding.
        Funding = "funding",
        /// Borrow fees.
        Borrow = "borrow",
        /// Profit beyond a cap, which stays with the pool.
        CappedPayout = "capped_payout",
        /// Profit that the pool does not have.
        RefusedPayout = "refused_payout",
        /// Cash leg of the settlement of a delisted market.
        Settlement = "settlement",
        /// The insurance fund pays ahead of losses.
        Prepaid = "prepaid",
        /// An insurance fund's share of the fees on what trades.
        FeeShare = "fee_share",
        /// Money for an insurance fund.
        Injection = "injection",
        /// The treasury covers what was uncovered.
        LatePayment = "late_payment",
        /// Profit that the pool does not have yet; and, the other way, once it has.
        DeferredPayout = "deferred_payout",
    }
    /// Word used in frames.
    pub fn word;
}

/// One movement of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// When.
    pub ts: i64,
    /// Liquidation that it belongs to.
    pub event: Option<u32>,
    /// Why.
    pub kind: PostingKind,
    /// From whom.
    pub from: Holder,
    /// To whom.
    pub to: Holder,
    /// Which asset.
    pub asset: AssetId,
    /// How much; not negative.
    pub amount: Amount,
    /// In dollars at the reference.
    pub usd: Usd,
}

/// Inventory of an entity in one market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Signed size.
    pub size: Size,
    /// What the present size cost.
    pub entry_value: Amount,
}

impl Inventory {
    /// Takes `size` at a total cost of `cost`: averages in the same direction, releases pro rata in the other, and opens the rest at its
    /// part of the cost when it crosses zero.
    pub fn take(&mut self, size: Size, cost: Amount) -> Result<()> {
        let same_side = self.size.is_zero() || (self.size.0 > 0) == (size.0 > 0);
        if same_side {
            self.entry_value = self.entry_value.plus(cost)?;
        } else if size.units() <= self.size.units() {
            self.entry_value = self
                .entry_value
                .minus(released(self.entry_value, size.units(), self.size.units())?)?;
        } else {
            let closed = released(cost, self.size.units(), size.units())?;
            self.entry_value = cost.minus(closed)?;
        }
        self.size = self.size.plus(size)?;
        Ok(())
    }
}

impl Leg {
    /// Takes `size` at a total cost of `cost`, as an inventory does.
    ///
    /// # Errors
    /// Overflow.
    pub fn take(&mut self, size: Size, cost: Amount) -> Result<()> {
        let mut held = Inventory {
            size: self.size,
            entry_value: self.entry_value,
        };
        held.take(size, cost)?;
        (self.size, self.entry_value) = (held.size, held.entry_value);
        Ok(())
    }
}

impl Leg {
    /// Part of it is closed, which releases its entry value pro rata.
    ///
    /// # Errors
    /// Overflow.
    pub fn close(&mut self, units: u64) -> Result<()> {
        let part = released(self.entry_value, units, self.size.units())?;
        self.entry_value = self.entry_value.minus(part)?;
        self.size = self.size.plus(self.size.of_same_sign(units)?.negated())?;
        Ok(())
    }
}

/// Entry value that a reduction by `units` of `of` releases.
pub fn released(entry_value: Amount, units: u64, of: u64) -> Result<Amount> {
    let released = mul_div_floor(entry_value.0, i128::from(units), i128::from(of), "entry value")?;
    Ok(Amount(released))
}

/// Sums that are zero as long as nothing is lost; how many are not is known without looking at them.
#[derive(Debug, Clone)]
struct Sums<T> {
    values: Vec<T>,
    off: usize,
}

impl<T: Copy + PartialEq + Default> Sums<T> {
    fn new(n: usize) -> Self {
        Self {
            values: vec![T::default(); n],
            off: 0,
        }
    }

    fn update(&mut self, k: usize, update: impl FnOnce(T) -> Result<T>) -> Result<()> {
        let before = self.values[k];
        let after = update(before)?;
        self.values[k] = after;
        let zero = T::default();
        self.off = self.off + usize::from(after != zero) - usize::from(before != zero);
        Ok(())
    }

    /// The first sum that is not zero.
    fn first_off(&self) -> Option<(usize, T)> {
        if self.off == 0 {
            return None;
        }
        self.values
            .iter()
            .copied()
            .enumerate()
            .find(|(_, v)| *v != T::default())
    }
}

/// Holdings that are counted together.
const COUNTED: usize = 1 << 16;

/// Balances and sizes of the entities, and the running sums over all holders.
#[derive(Debug, Clone)]
pub struct Ledger {
    balances: Vec<Vec<Amount>>,
    /// Balances of the insurance funds of some markets.
    funds: Vec<Vec<Amount>>,
    inventories: Vec<Vec<Inventory>>,
    /// Per entity: markets in which it has ever held something.
    traded: Vec<Vec<MarketId>>,
    cash_sums: Sums<Amount>,
    size_sums: Sums<Size>,
    /// By market: sizes of all margin accounts, long and short; None where no protocol asks for it.
    open_interest: Option<Vec<i128>>,
    /// By market and side: summed positions of all margin accounts; None where no protocol asks for them.
    sides: Option<Sides>,
    /// How often cash of the pool or these sums have changed.
    pool_changes: u64,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(venue: &Venue) -> Self {
        Self {
            balances: vec![vec![Amount::ZERO; venue.assets.len()]; Entity::ALL.len()],
            funds: Vec::new(),
            inventories: vec![vec![Inventory::default(); venue.markets.len()]; Entity::ALL.len()],
            traded: vec![Vec::new(); Entity::ALL.len()],
            cash_sums: Sums::new(venue.assets.len()),
            size_sums: Sums::new(venue.markets.len()),
            open_interest: None,
            sides: None,
            pool_changes: 0,
        }
    }

    /// Balance of an entity in an asset.
    pub fn balance(&self, entity: Entity, asset: AssetId) -> Amount {
        self.balances[entity as usize][asset]
    }

    /// Makes room for insurance funds of some markets.
    pub fn open_funds(&mut self, count: usize) {
        self.funds = vec![vec![Amount::ZERO; self.cash_sums.values.len()]; count];
    }

    /// Balance of an insurance fund of some markets in an asset.
    pub fn fund_balance(&self, fund: FundId, asset: AssetId) -> Amount {
        self.funds[fund.0][asset]
    }

    /// Balances of all of them in an asset.
    pub fn fund_balances(&self, asset: AssetId) -> impl Iterator<Item = Amount> {
        self.funds.iter().map(move |balances| balances[asset])
    }

    /// Inventory of an entity in a market.
    pub fn inventory(&self, entity: Entity, market: MarketId) -> Inventory {
        self.inventories[entity as usize][market]
    }

    /// Moves an amount. A negative amount moves the other way.
    pub fn transfer(
        &mut self,
        book: &mut Book,
        from: Holder,
        to: Holder,
        asset: AssetId,
        amount: Amount,
    ) -> Result<()> {
        self.credit(book, from, asset, amount.negated())?;
        self.credit(book, to, asset, amount)
    }

    fn credit(&mut self, book: &mut Book, holder: Holder, asset: AssetId, amount: Amount) -> Result<()> {
        match holder {
            Holder::Account(account) => book.credit(account, asset, amount)?,
            Holder::Fund(fund) => {
                let balance = &mut self.funds[fund.0][asset];
                *balance = balance.plus(amount)?;
            }
            Holder::Entity(entity) => {
                let balance = &mut self.balances[entity as usize][asset];
                *balance = balance.plus(amount)?;
                self.pool_changes += u64::from(entity == Entity::Pool);
            }
        }
        self.cash_sums.update(asset, |sum| sum.plus(amount))
    }

    /// The opening, in an asset: all accounts' collateral comes from outside, and what their positions cost goes to `against`. The
    /// accounts' own side is in the book already.
    pub fn open_cash(&mut self, against: Entity, asset: AssetId, collateral: Amount, cost: Amount) -> Result<()> {
        let outside = &mut self.balances[Entity::External as usize][asset];
        *outside = outside.minus(collateral)?;
        let paid = &mut self.balances[against as usize][asset];
        *paid = paid.plus(cost)?;
        let accounts = collateral.minus(cost)?;
        let written = cost.minus(collateral)?;
        self.cash_sums.update(asset, |sum| sum.plus(written)?.plus(accounts))
    }

    /// The opening, in a market: the accounts' sizes, which sum to `sizes`, leave `against` with this inventory. Sizes only; the cost is
    /// a movement of its own.
    pub fn open_market(&mut self, against: Entity, market: MarketId, sizes: Size, inventory: Inventory) -> Result<()> {
        let held = &mut self.inventories[against as usize][market];
        let taken = inventory.size.plus(held.size.negated())?;
        *held = inventory;
        self.note_traded(against, market);
        self.size_sums.update(market, |sum| sum.plus(sizes)?.plus(taken))
    }

    /// Reduces a leg of an account by `size` (of the leg's sign), releasing its entry value pro rata.
    pub fn reduce_leg(&mut self, leg: &mut Leg, size: Size) -> Result<()> {
        let before = *leg;
        leg.close(size.units())?;
        if let Some(interest) = &mut self.open_interest {
            interest[leg.market] -= i128::from(size.units());
        }
        if let Some(sides) = &mut self.sides {
            sides.change(&before, leg)?;
            self.pool_changes += 1;
        }
        self.size_sums.update(leg.market, |sum| sum.plus(size.negated()))
    }

    /// A leg of an account takes a signed size at a cost, as an inventory does.
    ///
    /// # Errors
    /// Overflow.
    pub fn trade_leg(&mut self, leg: &mut Leg, size: Size, cost: Amount) -> Result<()> {
        let before = *leg;
        leg.take(size, cost)?;
        if let Some(interest) = &mut self.open_interest {
            interest[leg.market] += i128::from(leg.size.units()) - i128::from(before.size.units());
        }
        if let Some(sides) = &mut self.sides {
            sides.change(&before, leg)?;
            self.pool_changes += 1;
        }
        self.size_sums.update(leg.market, |sum| sum.plus(size))
    }

    /// Counts the open interest, and keeps the count from now on.
    pub fn count_open_interest(&mut self, book: &Book) {
        self.open_interest = Some(self.sizes_of_both_sides(book));
    }

    /// Sums the positions of each side of each market, and keeps the sums from now on.
    ///
    /// # Errors
    /// Overflow.
    pub fn sum_sides(&mut self, book: &Book) -> Result<()> {
        self.sides = Some(Sides::of(book, self.size_sums.values.len())?);
        Ok(())
    }

    /// A number that is another one whenever cash of the pool, or a sum of positions that is kept, has changed.
    pub fn pool_changes(&self) -> u64 {
        self.pool_changes
    }

    /// The summed positions; None unless they are kept.
    pub fn sides(&self) -> Option<&Sides> {
        self.sides.as_ref()
    }

    fn sizes_of_both_sides(&self, book: &Book) -> Vec<i128> {
        let mut interest = vec![0; self.size_sums.values.len()];
        for leg in book.all_legs() {
            interest[leg.market] += i128::from(leg.size.units());
        }
        interest
    }

    /// Sizes of all margin accounts in a market, long and short; nothing unless it is counted.
    pub fn open_interest(&self, market: MarketId) -> i128 {
        self.open_interest.as_ref().map_or(0, |interest| interest[market])
    }

    /// An entity takes a size at a cost.
    pub fn take(&mut self, entity: Entity, market: MarketId, size: Size, cost: Amount) -> Result<()> {
        self.note_traded(entity, market);
        self.inventories[entity as usize][market].take(size, cost)?;
        self.size_sums.update(market, |sum| sum.plus(size))
    }

    fn note_traded(&mut self, entity: Entity, market: MarketId) {
        let traded = &mut self.traded[entity as usize];
        if let Err(place) = traded.binary_search(&market) {
            traded.insert(place, market);
        }
    }

    /// Markets in which an entity has ever held something, in order.
    pub fn traded(&self, entity: Entity) -> &[MarketId] {
        &self.traded[entity as usize]
    }

    /// Sets an inventory while counterparties are tried; the caller puts it back.
    pub(crate) fn try_inventory(&mut self, entity: Entity, market: MarketId, inventory: Inventory) {
        self.note_traded(entity, market);
        self.inventories[entity as usize][market] = inventory;
    }

    /// Checks both identities; in constant time.
    pub fn check(&self) -> Result<()> {
        if let Some((asset, sum)) = self.cash_sums.first_off() {
            return Err(Error::Invariant(format!("balances of asset {asset} sum to {}", sum.0)));
        }
        if let Some((market, sum)) = self.size_sums.first_off() {
            return Err(Error::Invariant(format!("sizes in market {market} sum to {}", sum.0)));
        }
        Ok(())
    }

    /// Checks both identities from the holders themselves.
    pub fn recount(&self, book: &Book) -> Result<()> {
        let mut cash: Vec<Amount> = (0..self.cash_sums.values.len())
            .map(|a| {
                let mut holders = self.balances.iter().chain(&self.funds);
                holders.try_fold(Amount::ZERO, |s, b| s.plus(b[a]))
            })
            .collect::<Result<_>>()?;
        let mut sizes: Vec<Size> = (0..self.size_sums.values.len())
            .map(|m| self.inventories.iter().try_fold(Size::ZERO, |s, i| s.plus(i[m].size)))
            .collect::<Result<_>>()?;
        let (all_cash, legs) = (book.all_cash().par_chunks(COUNTED), book.all_legs().par_chunks(COUNTED));
        let of_cash = |part: &[(AssetId, Amount)]| {
            let mut sums = vec![Amount::ZERO; cash.len()];
            for &(asset, amount) in part {
                sums[asset] = sums[asset].plus(amount)?;
            }
            Ok(sums)
        };
        let of_legs = |part: &[Leg]| {
            let mut sums = vec![Size::ZERO; sizes.len()];
            for leg in part {
                sums[leg.market] = sums[leg.market].plus(leg.size)?;
            }
            Ok(sums)
        };
        for part in all_cash.map(of_cash).collect::<Result<Vec<_>>>()? {
            for (sum, part) in cash.iter_mut().zip(part) {
                *sum = sum.plus(part)?;
            }
        }
        for part in legs.map(of_legs).collect::<Result<Vec<_>>>()? {
            for (sum, part) in sizes.iter_mut().zip(part) {
                *sum = sum.plus(part)?;
            }
        }
        if self
            .open_interest
            .as_ref()
            .is_some_and(|counted| *counted != self.sizes_of_both_sides(book))
        {
            return Err(Error::Invariant("recounted open interest differs".to_owned()));
        }
        if let Some(sides) = &self.sides
            && *sides != Sides::of(book, self.size_sums.values.len())?
        {
            return Err(Error::Invariant("recounted sides of markets differ".to_owned()));
        }
        if cash.iter().any(|s| !s.is_zero()) || sizes.iter().any(|s| !s.is_zero()) {
            return Err(Error::Invariant(format!(
                "recounted balances sum to {cash:?}, sizes to {sizes:?}"
            )));
        }
        Ok(())
    }
}
