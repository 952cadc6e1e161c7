//! The trigger search alone, on the inputs that `benches/workloads.py` wrote: index and all first triggers of a large resident day,
//! and how the search grows with accounts, ticks and markets per account (`benches/exponents.py` fits the exponents).

mod support;

use std::cell::LazyCell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use support::Stored;

fn stored(c: &mut Criterion) {
    for input in Stored::all() {
        // Read only if one of its benches was chosen.
        let loaded = LazyCell::new(|| {
            let world = input.load();
            let run = world.replay(support::without_keeper(json!({})));
            (world, run)
        });
        let Some((group, case)) = input.axis.split_once(": ") else {
            let index = LazyCell::new(|| support::index(&loaded.1.setup));
            let mut group = c.benchmark_group(format!("search by {}", input.axis));
            group.bench_function(input.x.to_string(), |b| {
                let (index, book) = (&*index, &loaded.1.state.book);
                b.iter(|| black_box(support::first_triggers(index, book)));
            });
            group.finish();
            continue;
        };
        let mut group = c.benchmark_group(group);
        group.bench_function(case, |b| {
            let run = &loaded.1;
            b.iter(|| {
                let index = support::index(&run.setup);
                black_box(support::first_triggers(&index, &run.state.book))
            });
        });
        group.bench_function(format!("{case}, index alone"), |b| {
            let run = &loaded.1;
            b.iter(|| black_box(support::index(&run.setup)));
        });
        group.bench_function(format!("{case}, feeds alone"), |b| {
            let (world, run) = &*loaded;
            b.iter(|| black_box(world.feeds(&run.setup.venue, &run.setup.protocol)));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = stored
}
criterion_main!(benches);
