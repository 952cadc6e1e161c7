//! The state hash: one digest of everything that a run decided, equal wherever the same inputs are replayed.

use blake3::Hasher;

use crate::contract::AssetId;
use crate::ledger::{Entity, Holder};
use crate::replay::Run;

/// Feeds integers to the digest in a fixed width and order.
struct Digest(Hasher);

impl Digest {
    fn int(&mut self, value: impl Into<i128>) -> &mut Self {
        self.0.update(&value.into().to_le_bytes());
        self
    }

    fn count(&mut self, value: usize) -> &mut Self {
        self.int(value as i128)
    }

    fn holder(&mut self, holder: Holder) -> &mut Self {
        match holder {
            Holder::Account(a) => self.int(0).count(a),
            Holder::Entity(e) => self.int(1).int(e as i128),
        }
    }
}

/// Digest of fills, ADL fills, losses, postings, and the final book and ledger; 64 hexadecimal digits.
pub fn state_hash(run: &Run) -> String {
    let mut d = Digest(Hasher::new());
    let (state, records) = (&run.state, &run.state.records);
    d.count(records.liquidations.len());
    for r in &records.liquidations {
        d.int(r.ts)
            .count(r.account)
            .count(r.market)
            .int(r.trigger_ts)
            .int(r.size.0)
            .int(r.price.0)
            .int(r.amount.0);
        d.int(r.reference.0).int(r.counterparty as i128);
    }
    d.count(records.adl.len());
    for r in &records.adl {
        d.int(r.ts)
            .holder(r.counterparty)
            .count(r.market)
            .count(r.loser)
            .int(r.size.0)
            .int(r.amount.0)
            .int(r.give_up.0);
    }
    d.count(records.bad_debt.len());
    for r in &records.bad_debt {
        d.int(r.ts)
            .count(r.account)
            .count(r.asset)
            .int(r.amount.0)
            .int(r.total().0)
            .int(r.uncovered.0)
            .int(r.subsidy.0);
        if state.book.is_assessed() {
            d.int(r.assessments.0);
        }
    }
    d.count(records.postings.len());
    for p in &records.postings {
        d.int(p.ts)
            .holder(p.from)
            .holder(p.to)
            .count(p.asset)
            .int(p.amount.0)
            .int(p.kind as i128);
    }
    for account in 0..state.book.len() {
        d.int(state.book.accounts[account].status as i128);
        for leg in state.book.legs(account) {
            d.int(leg.size.0).int(leg.entry_value.0);
        }
        for &(asset, amount) in state.book.cash(account) {
            d.count(asset).int(amount.0);
        }
    }
    for &index in state.book.indices() {
        d.int(index);
    }
    for entity in Entity::ALL {
        for asset in 0..run.setup.venue.assets.len() {
            let asset: AssetId = asset;
            d.int(state.ledger.balance(entity, asset).0);
        }
        for market in 0..run.setup.venue.markets.len() {
            d.int(state.ledger.inventory(entity, market).size.0);
        }
    }
    d.0.finalize().to_hex().to_string()
}
