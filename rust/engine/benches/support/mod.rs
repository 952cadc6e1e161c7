//! Worlds for the benches, and every call of the engine whose form may change, so that the benches themselves stay as they are.

#![allow(dead_code, reason = "each bench uses its part")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot prepare its input may stop")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use serde_json::json;
use underwater_engine::book::{Book, BookFrames};
use underwater_engine::config::{Options, Protocol};
use underwater_engine::contract::Venue;
use underwater_engine::feeds::{FeedMaker, Feeds};
use underwater_engine::liquidation::detection::Detection;
use underwater_engine::liquidation::{self, LegPrice};
use underwater_engine::market::{AssetSpec, MarketSpec, Payoff};
use underwater_engine::progress::Silent;
use underwater_engine::replay::{self, Run};
use underwater_engine::rng::Rng;
use underwater_engine::search::{Index, Scratch, Search, TriggerSearch};
use underwater_engine::state::{Board, Moment};
use underwater_engine::tape::{MarketTicks, Quality, Tape};
use underwater_engine::ticks::Source;
use underwater_engine::units::Price;

/// Nanoseconds.
pub const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What a small world is made of.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Markets; all linear, or all inverse and settled in one coin.
    pub markets: usize,
    /// Inverse contracts.
    pub inverse: bool,
    /// Ticks of all markets together.
    pub ticks: usize,
    /// Accounts.
    pub accounts: usize,
    /// Most legs of a cross account; 0: isolated accounts.
    pub legs: usize,
    /// Whether cross accounts hold a second asset.
    pub second_asset: bool,
}

/// One market, isolated accounts.
pub const ISOLATED: Shape = Shape {
    markets: 1,
    inverse: false,
    ticks: 200_000,
    accounts: 10_000,
    legs: 0,
    second_asset: false,
};

/// Twenty markets, cross accounts with up to six legs.
pub const CROSS: Shape = Shape {
    markets: 20,
    legs: 6,
    ..ISOLATED
};

/// A tape and a book that has not been bound to it yet.
pub struct World {
    /// Ticks.
    pub tape: Tape,
    /// Accounts.
    pub frames: BookFrames,
}

/// Flat 0.5 %; a keeper with this latency; `more` is laid over it.
pub fn protocol(latency: i64, more: serde_json::Value) -> Protocol {
    let mut fields = json!({
        "margin": {"maintenance": {"kind": "flat", "rate": "0.005"}},
        "keeper": {"latency": latency, "rounds": 1},
    });
    if let (Some(fields), serde_json::Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    Protocol::from_json(&fields.to_string()).unwrap()
}

/// The same with a keeper that comes after the end of the tape.
pub fn without_keeper(more: serde_json::Value) -> Protocol {
    protocol(1_000 * DAY, more)
}

/// Brackets whose first bounds the books reach.
pub fn brackets() -> serde_json::Value {
    let tier = |lower: &str, rate: &str| json!({"lower": lower, "rate": rate});
    let tiers = [
        tier("0", "0.005"),
        tier("1000", "0.01"),
        tier("10000", "0.025"),
        tier("100000", "0.05"),
    ];
    json!({"margin": {"maintenance": {"kind": "brackets", "tiers": tiers}}})
}

/// A push oracle that tests and closes.
pub fn push() -> serde_json::Value {
    let oracle =
        json!({"kind": "push", "source": "last", "deviation": "0.005", "heartbeat": 3_600 * SECOND, "latency": SECOND});
    json!({"feeds": {"oracle": oracle}, "trigger_feed": "oracle", "execution_feed": "oracle"})
}

/// A feed that tests accounts.
pub fn used(feed: serde_json::Value) -> serde_json::Value {
    json!({"feeds": {"used": feed}, "trigger_feed": "used", "collateral_feed": "last"})
}

/// A guard that compares the ticks with an average.
pub fn guard() -> serde_json::Value {
    let twap = json!({"kind": "twap", "source": "last", "window": 300 * SECOND, "every": SECOND});
    let divergence = json!({"feed": "last", "reference": "twap", "limit": "0.03"});
    json!({"feeds": {"twap": twap}, "guard": {"divergence": divergence, "staleness": 120 * SECOND}})
}

/// ADL and nothing before it.
pub fn adl() -> serde_json::Value {
    json!({"adl": {"price": "bankruptcy", "capacity": "equity"}, "waterfall": ["adl"]})
}

impl World {
    /// Draws a day: a common factor that falls by 16 % from 85 % to 87 % of the day, three per cent of it at once, regains half, and
    /// noise of every market's own.
    pub fn draw(shape: Shape) -> Self {
        let mut rng = Rng::new(20, &["bench"]);
        let markets: Vec<MarketTicks> = (0..shape.markets)
            .map(|m| draw_market(&mut rng, shape, m, shape.ticks / shape.markets))
            .collect();
        let coin = AssetSpec {
            name: "COIN".to_owned(),
            decimals: 8,
            price_market: Some(name(0)),
        };
        let dollar = AssetSpec {
            name: "USD".to_owned(),
            decimals: 6,
            price_market: None,
        };
        let tape = Tape {
            quality: vec![Quality::default(); markets.len()],
            assets: if shape.inverse || shape.second_asset {
                vec![coin, dollar]
            } else {
                vec![dollar]
            },
            markets,
        };
        let frames = draw_book(&mut rng, shape, &tape);
        Self { tape, frames }
    }

    /// A whole replay.
    pub fn replay(&self, protocol: Protocol) -> Run {
        replay::replay(&self.tape, &self.frames, protocol, Options::default(), &Silent).unwrap()
    }

    /// The feeds of a protocol.
    pub fn feeds(&self, venue: &Venue, protocol: &Protocol) -> Feeds {
        let first: Vec<Price> = self.tape.first_states().into_iter().map(Option::unwrap).collect();
        let mut maker = FeedMaker::new(
            &self.tape,
            self.tape.start().unwrap(),
            venue,
            protocol,
            &Options::default(),
        )
        .unwrap();
        maker.advance(&self.tape, &first, self.tape.end().unwrap()).unwrap()
    }

    /// A whole replay, with its feeds.
    pub fn scene(&self, protocol: Protocol) -> Scene {
        let run = self.replay(protocol);
        let feeds = Arc::new(self.feeds(&run.setup.venue, &run.setup.protocol));
        Scene { run, feeds }
    }

    /// Markets and assets, bound.
    pub fn venue(&self) -> Venue {
        Venue::bind(&self.tape).unwrap()
    }

    /// Markets, assets and accounts, bound.
    pub fn bind(&self) -> Book {
        Book::bind(&self.frames, &self.venue()).unwrap().0
    }

    /// Writes the ticks of the first market as Parquet, packed or as plain doubles.
    pub fn write(&self, path: &Path, packed: bool) {
        let market = &self.tape.markets[0];
        let ts = Arc::new(TimestampNanosecondArray::from(market.ts.to_vec()).with_timezone("UTC")) as ArrayRef;
        let price: ArrayRef = if packed {
            Arc::new(Int64Array::from(market.price.to_vec()))
        } else {
            Arc::new(
                market
                    .price
                    .iter()
                    .map(|&p| Some(p as f64 / 100.0))
                    .collect::<Float64Array>(),
            )
        };
        let batch = RecordBatch::try_from_iter([("ts", ts), ("price", price)]).unwrap();
        let field = |f: &arrow_schema::Field| match f.name().as_str() {
            "price" if packed => f
                .clone()
                .with_metadata([("decimals".to_owned(), "2".to_owned())].into()),
            _ => f.clone(),
        };
        let fields: Vec<_> = batch.schema().fields().iter().map(|f| field(f)).collect();
        let schema = Arc::new(arrow_schema::Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).unwrap();
        let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        if packed {
            properties = properties
                .set_dictionary_enabled(false)
                .set_encoding(Encoding::DELTA_BINARY_PACKED);
        }
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// Decodes a file of one market.
pub fn decode(path: &Path) -> Tape {
    let definitions = json!({"markets": [{"name": name(0)}]}).to_string();
    let source = Source::from_files(&[path.to_owned()], Some(&definitions)).unwrap();
    source.load(&Silent).unwrap()
}

/// A run and the feeds that it saw.
pub struct Scene {
    /// As it ended.
    pub run: Run,
    /// Its feeds.
    pub feeds: Arc<Feeds>,
}

/// The index over the feeds of a run.
pub fn index(scene: &Scene) -> Index {
    let setup = &scene.run.setup;
    let block = Options::default().block_ticks;
    Index::new(&setup.venue, &scene.feeds, (setup.opening, setup.end), block, &Silent).unwrap()
}

/// First triggers of all accounts, in parallel; how many there are.
pub fn first_triggers(scene: &Scene, index: &Index) -> usize {
    let Run { setup, state, .. } = &scene.run;
    let search = Search::new(&setup.venue, &setup.margin, index);
    (0..state.book.len())
        .into_par_iter()
        .with_min_len(256)
        .map_init(Scratch::default, |scratch, account| {
            let found = search.first(&state.book, account, None, scratch);
            usize::from(found.unwrap().is_some())
        })
        .sum()
}

/// Searches accounts again from an instant on, one at each call.
pub fn search_again<'a>(scene: &'a Scene, index: &'a Index, after: i64) -> impl FnMut() -> bool {
    let Run { setup, state, .. } = &scene.run;
    // A bench asks as often as it likes and keeps the memory of the last query, as the event loop does.
    let search: &'a Search<'a> = Box::leak(Box::new(Search::new(&setup.venue, &setup.margin, index)));
    let mut scratch = Scratch::default();
    let mut account = 0;
    move || {
        account = (account + 1) % state.book.len();
        let found = search.first(&state.book, account, Some(after), &mut scratch);
        found.unwrap().is_some()
    }
}

/// Accounts with a position, solvent or not at an instant; at most `n`.
pub fn accounts(scene: &Scene, ts: i64, solvent: bool, n: usize) -> Vec<usize> {
    let board = Board::new(Arc::clone(&scene.feeds));
    let moment = Moment::new(&scene.run.setup, &board, ts);
    let book = &scene.run.state.book;
    (0..book.len())
        .filter(|&a| book.has_position(a) && (moment.account_equity(book, a).unwrap().0 >= 0) == solvent)
        .take(n)
        .collect()
}

/// Detects accounts and closes them, one after the other, at the execution feed.
pub fn close_all(scene: &mut Scene, index: &Index, ts: i64, accounts: &[usize]) {
    let board = Board::new(Arc::clone(&scene.feeds));
    let Run { setup, state, .. } = &mut scene.run;
    let moment = Moment::new(setup, &board, ts);
    for &account in accounts {
        let prices: Vec<LegPrice> = state
            .book
            .legs(account)
            .iter()
            .enumerate()
            .filter(|(_, leg)| !leg.size.is_zero())
            .map(|(leg, l)| LegPrice {
                leg,
                price: moment.execution(l.market, l.size),
            })
            .collect();
        let detection = Detection::of(&state.book, account, &moment).unwrap();
        state.detections.note(account, detection);
        liquidation::close(state, &moment, account, ts, (&prices, true), index).unwrap();
        state.detections.end(account);
    }
}

/// When the crash of a drawn day is deepest.
pub fn bottom() -> i64 {
    (0.87 * DAY as f64) as i64
}

/// One input that the Python side wrote (`benches/workloads.py`), so that both measure the same.
#[derive(serde::Deserialize)]
pub struct Stored {
    /// What it is for, or what is varied.
    pub axis: String,
    /// How much of it.
    pub x: u64,
    ticks: Vec<PathBuf>,
    definitions: serde_json::Value,
    positions: PathBuf,
    accounts: Option<PathBuf>,
}

impl Stored {
    /// All of them; none if they have not been written.
    #[expect(clippy::disallowed_methods, reason = "a bench may be told where its inputs are")]
    pub fn all() -> Vec<Self> {
        let cache = std::env::var("UNDERWATER_BENCH_CACHE").map_or_else(
            |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.benchmarks/workloads"),
            PathBuf::from,
        );
        let Ok(text) = std::fs::read_to_string(cache.join("rust.json")) else {
            eprintln!("no {}: run `make bench-workloads`", cache.join("rust.json").display());
            return Vec::new();
        };
        serde_json::from_str(&text).unwrap()
    }

    /// Reads ticks and book.
    pub fn load(&self) -> World {
        let source = Source::from_files(&self.ticks, Some(&self.definitions.to_string())).unwrap();
        let accounts = self.accounts.as_deref().map(batches).unwrap_or_default();
        World {
            tape: source.load(&Silent).unwrap(),
            frames: BookFrames::read(&batches(&self.positions), &accounts, &[]).unwrap(),
        }
    }
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(|batch| batch.unwrap()).collect()
}

fn name(market: usize) -> String {
    format!("M{market:04}")
}

fn draw_market(rng: &mut Rng, shape: Shape, number: usize, n: usize) -> MarketTicks {
    let (mut ts, mut price) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let level = [60_000.0, 3_000.0, 150.0, 20.0][number % 4];
    let mut own = 0.0;
    for i in 0..n {
        // Half of the ticks fall into the crash and the recovery.
        let u = (i as f64 + rng.uniform()) / n as f64;
        let at = match u {
            u if u < 0.4 => u / 0.4 * 0.85,
            u if u < 0.9 => 0.85 + (u - 0.4) / 0.5 * 0.04,
            u => 0.89 + (u - 0.9) / 0.1 * 0.11,
        };
        let factor = match at {
            a if a < 0.85 => 0.0,
            a if a < 0.87 => -0.13 * (a - 0.85) / 0.02 - if a < 0.86 { 0.0 } else { 0.03 },
            a if a < 0.89 => -0.16 + 0.08 * (a - 0.87) / 0.02,
            _ => -0.08,
        };
        own += rng.normal() * 0.02 / (n as f64).sqrt();
        ts.push((at * DAY as f64) as i64 / 1_000_000 * 1_000_000);
        price.push((level * 100.0 * (1.0 + factor) * (1.0 + own)).round() as i64);
    }
    MarketTicks {
        spec: MarketSpec {
            kind: if shape.inverse { Payoff::Inverse } else { Payoff::Linear },
            price_decimals: Some(2),
            size_decimals: Some(if shape.inverse { 0 } else { 4 }),
            settlement: Some(if shape.inverse { "COIN" } else { "USD" }.to_owned()),
            ..MarketSpec::named(name(number))
        },
        ts: ts.into_iter().collect(),
        price: price.into_iter().collect(),
        size: None,
        side: None,
    }
}

/// One row of the positions frame.
struct Position {
    account: String,
    market: String,
    size: f64,
    entry: f64,
    collateral: f64,
}

fn draw_book(rng: &mut Rng, shape: Shape, tape: &Tape) -> BookFrames {
    let (mut positions, mut cash) = (Vec::new(), Vec::new());
    for account in 0..shape.accounts {
        let account = format!("a{account:07}");
        let wanted = 1 + rng.below(shape.legs.max(1) as u64) as usize;
        let mut markets: Vec<usize> = (0..wanted).map(|_| rng.below(shape.markets as u64) as usize).collect();
        markets.sort_unstable();
        markets.dedup();
        let leverage = rng.lognormal(8.0, 0.8).clamp(1.5, 50.0);
        let mut held = 0.0;
        for &m in &markets {
            let entry = tape.markets[m].price[0] as f64 / 100.0;
            let notional = rng.lognormal(1_000.0, 1.5).clamp(10.0, 1e6);
            let side = if rng.chance(0.6) { 1.0 } else { -1.0 };
            let (size, worth) = if shape.inverse {
                (notional.round(), notional / entry)
            } else {
                (((notional / entry * 1e4).round() / 1e4).max(1e-4), notional)
            };
            held += worth;
            positions.push(Position {
                account: account.clone(),
                market: name(m),
                size: side * size,
                entry,
                collateral: (worth / leverage * 1e6).ceil() / 1e6,
            });
        }
        let share = if shape.second_asset { 0.5 } else { 1.0 };
        let settlement = if shape.inverse { "COIN" } else { "USD" };
        cash.push((
            account.clone(),
            settlement,
            (held / leverage * share * 1e6).ceil() / 1e6,
        ));
        if shape.second_asset {
            let price = tape.markets[0].price[0] as f64 / 100.0;
            let (other, rate) = if shape.inverse {
                ("USD", price)
            } else {
                ("COIN", 1.0 / price)
            };
            cash.push((account, other, (held / leverage * 0.5 * rate * 1e6).ceil() / 1e6));
        }
    }
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let numbers = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let frame = |columns: Vec<(&str, ArrayRef)>| RecordBatch::try_from_iter(columns).unwrap();
    let mut columns = vec![
        ("account", text(positions.iter().map(|p| p.account.as_str()).collect())),
        ("market", text(positions.iter().map(|p| p.market.as_str()).collect())),
        ("size", numbers(positions.iter().map(|p| p.size).collect())),
        ("entry_price", numbers(positions.iter().map(|p| p.entry).collect())),
    ];
    if shape.legs == 0 {
        columns.push(("collateral", numbers(positions.iter().map(|p| p.collateral).collect())));
        return BookFrames::read(&[frame(columns)], &[], &[]).unwrap();
    }
    columns.push(("margin_mode", text(positions.iter().map(|_| "cross").collect())));
    let accounts = frame(vec![
        ("account", text(cash.iter().map(|c| c.0.as_str()).collect())),
        ("asset", text(cash.iter().map(|c| c.1).collect())),
        ("collateral", numbers(cash.iter().map(|c| c.2).collect())),
    ]);
    BookFrames::read(&[frame(columns)], &[accounts], &[]).unwrap()
}
