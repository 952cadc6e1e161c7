//! The state hash: one digest of everything that a run decided, equal wherever the same inputs are replayed.

use blake3::Hasher;

use crate::book::Charge;
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder};
use crate::replay::Run;

/// Bytes that are hashed at a time: long enough for all lanes of all threads.
const BUFFER: usize = 1 << 20;

/// Feeds integers to the digest in a width that depends on their type, and in a fixed order.
struct Digest {
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Digest {
    fn new() -> Self {
        Self {
            hasher: Hasher::new(),
            buffer: Vec::with_capacity(BUFFER + 16),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
        self
    }

    fn flush(&mut self) {
        self.hasher.update_rayon(&self.buffer);
        self.buffer.clear();
    }

    fn int(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn wide(&mut self, value: i128) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn count(&mut self, value: usize) -> &mut Self {
        self.int(value as i64)
    }

    fn holder(&mut self, holder: Holder) -> &mut Self {
        match holder {
            Holder::Account(a) => self.count(a),
            Holder::Fund(f) => self.int(-1000 - f.0 as i64),
            Holder::Entity(e) => self.int(-1 - e as i64),
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.hasher.finalize().to_hex().to_string()
    }
}

/// Digest of fills, ADL fills, losses, postings, and the final book and ledger; 64 hexadecimal digits.
///
/// # Errors
/// [`Error::Spill`](crate::error::Error::Spill) if records cannot be read back.
pub fn state_hash(run: &Run) -> Result<String> {
    let mut d = Digest::new();
    let (state, records) = (&run.state, &run.state.records);
    d.count(records.liquidations.len());
    records.liquidations.each(|_, r| {
        d.int(r.ts)
            .count(r.account)
            .count(r.market)
            .int(r.trigger_ts)
            .int(r.size.0)
            .int(r.price.0)
            .wide(r.amount.0);
        d.int(r.reference.0).int(r.counterparty as i64);
        Ok(())
    })?;
    d.count(records.adl.len());
    records.adl.each(|_, r| {
        d.int(r.ts)
            .holder(r.counterparty)
            .count(r.market)
            .holder(r.loser)
            .int(r.size.0)
            .wide(r.amount.0)
            .wide(r.give_up.0);
        Ok(())
    })?;
    let prepays = run.setup.protocol.clearing_house.is_some();
    d.count(records.bad_debt.len());
    records.bad_debt.each(|_, r| {
        d.int(r.ts)
            .holder(r.debtor)
            .count(r.asset)
            .wide(r.amount.0)
            .wide(r.total().0)
            .wide(r.uncovered.0)
            .wide(r.subsidy.0);
        if state.book.is_assessed() {
            d.wide(r.assessments.0);
        }
        if state.book.accrues() {
            d.wide(r.funding_borrow.0);
        }
        if prepays {
            d.wide(r.change_of_prepaid.0);
        }
        Ok(())
    })?;
    d.count(records.postings.len());
    records.postings.each(|_, p| {
        d.int(p.ts)
            .holder(p.from)
            .holder(p.to)
            .count(p.asset)
            .wide(p.amount.0)
            .int(p.kind as i64);
        Ok(())
    })?;
    for account in 0..state.book.len() {
        d.int(state.book.accounts[account].status as i64);
        for leg in state.book.legs(account) {
            d.int(leg.size.0).wide(leg.entry_value.0);
        }
        for &(asset, amount) in state.book.cash(account) {
            d.count(asset).wide(amount.0);
        }
    }
    let accrues = state.book.accrues();
    let hashed = |charge: &Charge| match charge {
        Charge::Socialised => state.book.is_assessed(),
        Charge::Funding | Charge::Borrow => accrues,
    };
    for market in 0..run.setup.venue.markets.len() {
        for charge in Charge::ALL.into_iter().filter(hashed) {
            d.wide(state.book.indices(market)[charge as usize]);
        }
    }
    let is_hashed = |e: &Entity| match e {
        Entity::Funding => accrues,
        Entity::Prepaid => prepays,
        Entity::Token => run.setup.protocol.token.is_some(),
        _ => true,
    };
    for entity in Entity::ALL.into_iter().filter(is_hashed) {
        for asset in 0..run.setup.venue.assets.len() {
            let asset: AssetId = asset;
            d.wide(state.ledger.balance(entity, asset).0);
        }
        for market in 0..run.setup.venue.markets.len() {
            d.int(state.ledger.inventory(entity, market).size.0);
        }
    }
    for fund in run.setup.funds.own() {
        for asset in 0..run.setup.venue.assets.len() {
            d.wide(state.ledger.fund_balance(fund, asset).0);
        }
    }
    Ok(d.finish())
}
