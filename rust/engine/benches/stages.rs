//! What each stage costs by itself, on small inputs: 200,000 ticks, 10,000 accounts. `benches/README.md` says what each answers.

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use support::{CROSS, ISOLATED, Shape, World};
use underwater_engine::ledger::{Entity, Holder, PostingKind};
use underwater_engine::records;
use underwater_engine::state::{Board, Moment};
use underwater_engine::units::Amount;

/// Accounts that are closed in one measurement.
const CLOSED: usize = 100;

fn decode(c: &mut Criterion) {
    let world = World::draw(ISOLATED);
    let directory = tempfile::tempdir().expect("a directory for the files");
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(ISOLATED.ticks as u64));
    for (case, packed) in [("delta-packed integers", true), ("doubles", false)] {
        let path = directory.path().join(format!("{packed}.parquet"));
        world.write(&path, packed);
        group.bench_function(case, |b| b.iter(|| black_box(support::decode(&path))));
    }
    group.finish();
}

fn feeds(c: &mut Criterion) {
    let world = World::draw(CROSS);
    let venue = world.venue();
    let mut group = c.benchmark_group("feeds");
    group.throughput(Throughput::Elements(CROSS.ticks as u64));
    for (case, more) in [("last", json!({})), ("push", support::push())] {
        let protocol = support::without_keeper(more);
        group.bench_function(case, |b| b.iter(|| black_box(world.feeds(&venue, &protocol))));
    }
    group.finish();
}

fn book(c: &mut Criterion) {
    let mut group = c.benchmark_group("bind book");
    for (case, shape) in [("isolated", ISOLATED), ("cross", CROSS)] {
        let world = World::draw(shape);
        group.throughput(Throughput::Elements(shape.accounts as u64));
        group.bench_function(case, |b| b.iter(|| black_box(world.bind())));
    }
    group.finish();
}

fn index(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    for (case, shape) in [("1 market", ISOLATED), ("20 markets", CROSS)] {
        let scene = World::draw(shape).scene(support::without_keeper(json!({})));
        group.throughput(Throughput::Elements(shape.ticks as u64));
        group.bench_function(case, |b| b.iter(|| black_box(support::index(&scene))));
    }
    group.finish();
}

/// The accounts that the search tells apart.
fn accounts() -> [(&'static str, Shape, serde_json::Value); 6] {
    let inverse = Shape {
        inverse: true,
        ..ISOLATED
    };
    let several = Shape {
        second_asset: true,
        ..CROSS
    };
    [
        ("isolated, 1 market", ISOLATED, json!({})),
        ("isolated, brackets", ISOLATED, support::brackets()),
        ("isolated, inverse", inverse, json!({})),
        ("isolated, push feed", ISOLATED, support::push()),
        ("cross, 20 markets", CROSS, json!({})),
        ("cross, two assets", several, json!({})),
    ]
}

fn first_triggers(c: &mut Criterion) {
    let mut group = c.benchmark_group("first triggers");
    for (case, shape, more) in accounts() {
        let scene = World::draw(shape).scene(support::without_keeper(more));
        let index = support::index(&scene);
        group.throughput(Throughput::Elements(shape.accounts as u64));
        group.bench_function(case, |b| {
            b.iter(|| black_box(support::first_triggers(&scene, &index)));
        });
    }
    group.finish();
}

fn search_again(c: &mut Criterion) {
    let mut group = c.benchmark_group("search again after a change");
    group.throughput(Throughput::Elements(1));
    for (case, shape, more) in accounts() {
        let scene = World::draw(shape).scene(support::without_keeper(more));
        let index = support::index(&scene);
        let mut search = support::search_again(&scene, &index, support::bottom());
        group.bench_function(case, |b| b.iter(|| black_box(search())));
    }
    group.finish();
}

fn liquidation(c: &mut Criterion) {
    let mut group = c.benchmark_group("close an account");
    // Every measurement needs a fresh run, which takes longer than what is measured.
    group.warm_up_time(Duration::from_millis(50));
    group.measurement_time(Duration::from_millis(50));
    group.sample_size(10);
    for (shape_name, shape) in [("isolated", ISOLATED), ("cross", CROSS)] {
        let small = Shape {
            ticks: 20_000,
            accounts: 2_000,
            ..shape
        };
        let world = World::draw(small);
        for (case, solvent, more) in [
            ("solvent", true, json!({})),
            ("insolvent", false, json!({})),
            ("ADL", false, support::adl()),
        ] {
            let fresh = || world.scene(support::without_keeper(more.clone()));
            let first = fresh();
            let index = support::index(&first);
            let chosen = support::accounts(&first, support::bottom(), solvent, CLOSED);
            group.throughput(Throughput::Elements(chosen.len() as u64));
            group.bench_function(format!("{shape_name}, {case}"), |b| {
                b.iter_batched_ref(
                    fresh,
                    |scene| support::close_all(scene, &index, support::bottom(), &chosen),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

fn ledger(c: &mut Criterion) {
    let shape = Shape {
        ticks: 20_000,
        ..ISOLATED
    };
    let support::Scene { run, feeds } = World::draw(shape).scene(support::without_keeper(json!({})));
    let (setup, mut state) = (run.setup, run.state);
    let board = Board::new(feeds);
    let moment = Moment::new(&setup, &board, support::bottom());
    let mut group = c.benchmark_group("ledger");
    group.throughput(Throughput::Elements(shape.accounts as u64));
    group.bench_function("posting", |b| {
        b.iter(|| {
            state.records.postings = Default::default();
            for account in 0..shape.accounts {
                let (from, to) = (Holder::Account(account), Holder::Entity(Entity::InsuranceFund));
                state
                    .post(&moment, None, PostingKind::Penalty, from, to, 0, Amount(1_000))
                    .expect("the amount is small");
            }
            state.ledger.check().expect("what left one holder reached another");
        });
    });
    group.finish();
}

fn records(c: &mut Criterion) {
    let run = World::draw(CROSS).replay(support::protocol(1_000_000_000, json!({})));
    let rows: usize = run.state.records.liquidations.len() + run.state.records.postings.len();
    let mut group = c.benchmark_group("records");
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function("all frames to Arrow", |b| {
        b.iter(|| {
            for name in records::FRAME_NAMES {
                for part in 0..records::parts(&run, name).expect("a frame of that name") {
                    black_box(records::frame(&run, name, part).expect("a part").expect("it fits"));
                }
            }
        });
    });
    group.bench_function("state hash", |b| b.iter(|| black_box(records::state_hash(&run))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots();
    targets = decode, feeds, book, index, first_triggers, search_again, liquidation, ledger, records
}
criterion_main!(benches);
