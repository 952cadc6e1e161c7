//! Counts and totals of a run, as one JSON object.

use serde_json::{Map, Value, json};

use super::{Section, who_pays};
use crate::book::Status;
use crate::config::{Layer, OpeningPolicy};
use crate::decimal::Decimal;
use crate::error::Result;
use crate::ledger::Entity;
use crate::market::USD_DECIMALS;
use crate::replay::Run;
use crate::units::Usd;

fn dollars(amount: Usd) -> Value {
    Value::String(
        Decimal {
            mantissa: amount.0,
            scale: USD_DECIMALS,
        }
        .to_string(),
    )
}

/// Quantiles, by nearest rank, of the time from the first trigger of an account to its close, over all closed accounts.
fn time_to_close(run: &Run) -> Value {
    let records = &run.state.records;
    let times = (0..run.state.book.len()).filter_map(|a| {
        let account = &records.accounts[a];
        Some(account.closed_ts? - account.trigger_ts?)
    });
    let mut times: Vec<i64> = times.collect();
    times.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        json!(rank.checked_sub(1).map(|place| times[place]))
    };
    json!({"p50": at(50), "p90": at(90), "p99": at(99), "max": at(100)})
}

/// The summary: what was replayed, what happened, and who paid. Money is text in dollars.
///
/// `user_borne_usd` is what users bear: ADL give-up, socialised loss, profits that were not paid, what nobody covered, and
/// what is still open.
pub fn summary(run: &Run) -> Result<String> {
    let records = &run.state.records;
    let book = &run.state.book;
    let mut counts = [0usize; 5];
    book.accounts.iter().for_each(|a| counts[a.status as usize] += 1);
    let with = |status: Status| counts[status as usize];
    let lines = who_pays(run)?;
    let line = |section: Section, name: &str| {
        Usd(lines
            .iter()
            .filter(|l| l.section == section && l.name == name)
            .map(|l| l.amount.0)
            .sum())
    };
    let payer = |layer: Layer| line(Section::Payer, layer.name());
    let open = line(Section::Beside, "open");
    let uncovered = line(Section::Payer, "uncovered");
    let [capped, refused] = ["capped_payouts", "refused_payouts"].map(|name| line(Section::Beside, name));
    let unpaid = Usd(capped.0 + refused.0);
    let borne = Usd(payer(Layer::Adl).0 + payer(Layer::Socialised).0 + uncovered.0 + open.0 + unpaid.0);
    let last = records.timeline.last().copied().unwrap_or_default();

    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("protocol", json!(run.setup.protocol.name));
    put("reference", json!(run.options.reference.name()));
    put(
        "opening_policy",
        json!(match run.options.opening {
            OpeningPolicy::Keep => "keep",
            OpeningPolicy::Reject => "reject",
            OpeningPolicy::Rescale => "rescale",
        }),
    );
    put("start_ts", json!(run.setup.opening));
    put("end_ts", json!(run.setup.end));
    put("ticks", json!(run.ticks));
    put("markets", json!(run.setup.venue.markets.len()));
    put("accounts", json!(book.len()));
    put("flagged_at_open", json!(records.flagged));
    put("rejected_at_open", json!(with(Status::Rejected)));
    put("detections", json!(records.detections));
    put("recovered", json!(records.recoveries));
    put("failed_attempts", json!(records.failed_attempts));
    put("reverted_actions", json!(records.reverted));
    put("unprofitable_attempts", json!(records.unprofitable_attempts));
    put("queue_peak", json!(records.queue_peak));
    let halts = run.state.outages.all().iter();
    let halts = halts.map(|h| json!({"layer": h.layer.name(), "start_ts": h.start, "end_ts": h.end}));
    put("layer_halts", halts.collect());
    put("time_to_close_ns", time_to_close(run));
    put("liquidated", json!(with(Status::Liquidated) + with(Status::Defaulted)));
    put("defaulted", json!(with(Status::Defaulted)));
    put("partial_actions", json!(records.partial));
    put("queued_at_end", json!(with(Status::Queued)));
    put("liquidation_fills", json!(records.liquidations.len()));
    put("adl_fills", json!(records.adl.len()));
    put("rejected_events", json!(records.rejected.len()));
    put("liquidated_usd", dollars(last.liquidated));
    put("adl_usd", dollars(last.adl));
    put("bad_debt_usd", dollars(line(Section::Loss, "bad_debt")));
    put("opening_usd", dollars(line(Section::Loss, "opening")));
    put("open_usd", dollars(open));
    put("gross_usd", dollars(line(Section::Beside, "gross")));
    for layer in [
        Layer::InsuranceFund,
        Layer::Pool,
        Layer::Adl,
        Layer::Socialised,
        Layer::Treasury,
        Layer::Token,
    ] {
        let key = if layer == Layer::Adl {
            "adl_give_up_usd".to_owned()
        } else {
            format!("{}_usd", layer.name())
        };
        put(&key, dollars(payer(layer)));
    }
    put("uncovered_usd", dollars(uncovered));
    put("adl_overshoot_usd", dollars(line(Section::Loss, "adl_overshoot")));
    put("subsidy_usd", dollars(line(Section::Loss, "subsidy")));
    put("recovered_usd", dollars(line(Section::Loss, "recovered")));
    put("capped_payouts_usd", dollars(capped));
    put("refused_payouts_usd", dollars(refused));
    put("takeover_pnl_usd", dollars(run.takeover_pnl));
    put("user_borne_usd", dollars(borne));
    let equity = |equities: &[Usd]| {
        let (mut positive, mut negative) = (0, 0);
        equities.iter().for_each(|e| {
            positive += e.0.max(0);
            negative -= e.0.min(0);
        });
        json!({"positive": dollars(Usd(positive)), "negative": dollars(Usd(negative))})
    };
    put("opening_equity_usd", equity(&records.opening_equity));
    put("closing_equity_usd", equity(&records.closing_equity));
    let token = run.setup.protocol.token.as_ref();
    let layers: Map<String, Value> = ["insurance_fund", "pool", "treasury", "vault"]
        .into_iter()
        .chain(token.map(|_| "token"))
        .zip(run.opening.layers.iter().zip(&run.layers))
        .map(|(name, (&then, &now))| {
            (
                name.to_owned(),
                json!({"opening": dollars(then), "closing": dollars(now)}),
            )
        })
        .collect();
    put("layer_equity_usd", Value::Object(layers));
    let funds = &run.setup.funds;
    let funds: Map<String, Value> = funds
        .all()
        .map(|fund| {
            fund.map_or(Entity::InsuranceFund.name(), |own| funds.name(own))
                .to_owned()
        })
        .zip(run.opening.funds.iter().zip(&run.funds))
        .map(|(name, (&then, &now))| (name, json!({"opening": dollars(then), "closing": dollars(now)})))
        .collect();
    put("fund_equity_usd", Value::Object(funds));
    if let Some(token) = token {
        let sales = &run.state.sales;
        let minted = Decimal {
            mantissa: sales.minted,
            scale: 6,
        };
        let supply = token.supply.as_f64();
        put(
            "token",
            json!({
                "minted": minted.to_string(),
                "dilution": sales.minted as f64 / 1e6 / supply,
                "nominal_usd": dollars(Usd(sales.nominal)),
                "raised_usd": dollars(Usd(sales.raised)),
            }),
        );
    }
    // What the outside stands against at the open: the book's open interest that has no counterparty in it.
    let unmatched: Map<String, Value> = run
        .setup
        .venue
        .markets
        .iter()
        .enumerate()
        .map(|(m, market)| {
            let size = run.opening.ledger.inventory(Entity::Outside, m).size;
            let text = Decimal {
                mantissa: i128::from(size.0),
                scale: market.size_decimals,
            }
            .to_string();
            (market.name.clone(), Value::String(text))
        })
        .collect();
    put("outside_opening_size", Value::Object(unmatched));
    Ok(Value::Object(out).to_string())
}
