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
            let scene = world.scene(support::without_keeper(json!({})));
            (world, scene)
        });
        let Some((group, case)) = input.axis.split_once(": ") else {
            let index = LazyCell::new(|| support::index(&loaded.1));
            let mut group = c.benchmark_group(format!("search by {}", input.axis));
            group.bench_function(input.x.to_string(), |b| {
                b.iter(|| black_box(support::first_triggers(&loaded.1, &index)));
            });
            group.finish();
            continue;
        };
        let mut group = c.benchmark_group(group);
        group.bench_function(case, |b| {
            let scene = &loaded.1;
            b.iter(|| {
                let index = support::index(scene);
                black_box(support::first_triggers(scene, &index))
            });
        });
        group.bench_function(format!("{case}, index alone"), |b| {
            let scene = &loaded.1;
            b.iter(|| black_box(support::index(scene)));
        });
        group.bench_function(format!("{case}, feeds alone"), |b| {
            let (world, scene) = &*loaded;
            let setup = &scene.run.setup;
            b.iter(|| black_box(world.feeds(&setup.venue, &setup.protocol)));
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
