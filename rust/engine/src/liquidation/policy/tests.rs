//! What holds of every policy: an action closes something, never more than there is; what `target` finds heals, and less does not.

use proptest::prelude::*;

use super::*;
use crate::testing;
use crate::units::{Amount, Size};

const BRACKETS: &str = r#""margin":{"maintenance":{"kind":"brackets","tiers":[{"lower":"0","rate":"0.01"},
    {"lower":"300","rate":"0.02"},{"lower":"2000","rate":"0.05"}]}}"#;

fn setup(policy: &str, positions: &str) -> Setup {
    let tape = testing::tape([vec![(0, 10_000)], vec![(0, 10_000)], vec![(0, 10_000)]]);
    let close = format!(r#""close":{{"policy":{{{policy}}},"positions":"{positions}"}}"#);
    testing::setup(&tape, &format!("{{{BRACKETS},{close}}}")).0
}

fn policies() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        r#""kind":"full""#,
        r#""kind":"fraction","share":"0.1","minimum":"50","cap":"900""#,
        r#""kind":"fraction","share":"1","cap":"0""#,
        r#""kind":"split","threshold":"400","share":"1/3""#,
        r#""kind":"ramp","initial":"0","duration":100"#,
        r#""kind":"ramp","initial":"0.3","duration":7,"of":"target""#,
        r#""kind":"target""#,
        r#""kind":"tier""#,
        r#""kind":"tier","steps":2"#,
    ])
}

/// Legs of the size, in hundredths of a unit; a unit is worth 100 dollars.
fn legs(sizes: &[i64]) -> Vec<OpenLeg> {
    let legs = sizes.iter().enumerate().filter(|(_, size)| **size != 0);
    legs.map(|(index, &size)| OpenLeg {
        index,
        leg: Leg {
            market: index % 2,
            size: Size(size),
            entry_value: Amount::ZERO,
        },
        mark: Price(10_000),
        notional: Usd(i128::from(size.abs()) * 1_000_000),
        profit: Usd(i128::from(size % 7)),
        closed: 0,
    })
    .collect()
}

proptest! {
    #[test]
    fn liquidations_come_to_an_end(
        policy in policies(),
        positions in prop::sample::select(vec!["all", "market", "largest_notional", "largest_loss"]),
        mut sizes in prop::collection::vec(-3_000i64..3_000, 1..4),
        needed in 0u64..9_000,
        mut elapsed in 0i64..20,
    ) {
        let setup = setup(policy, positions);
        let mut closed = vec![0; sizes.len()];
        let mut actions = 0;
        while sizes.iter().any(|s| *s != 0) {
            let mut open = legs(&sizes);
            open.iter_mut().for_each(|l| l.closed = closed[l.index]);
            arrange(&mut open, setup.protocol.close.positions, || 0);
            let done: u64 = closed.iter().sum();
            let heals = |units: &[u64]| Ok(units.iter().sum::<u64>() + done >= needed);
            let situation = Situation { setup: &setup, legs: &open, going_on: actions > 0, elapsed, heals: &heals };
            let units = quantities(&situation).unwrap();
            prop_assert_eq!(units.len(), open.len());
            prop_assert!(units.iter().any(|q| *q > 0), "{:?}", units);
            for (leg, &q) in open.iter().zip(&units) {
                prop_assert!(q <= leg.units(), "{:?} of {:?}", units, sizes);
                closed[leg.index] += q;
                sizes[leg.index] -= sizes[leg.index].signum() * q as i64;
            }
            actions += 1;
            elapsed += 1;
        }
    }

    #[test]
    fn a_target_heals_and_less_does_not(sizes in prop::collection::vec(1i64..3_000, 1..4), needed in 1u64..12_000) {
        for positions in ["market", "all"] {
            let setup = setup(r#""kind":"target""#, positions);
            let open = legs(&sizes);
            let all: u64 = open.iter().map(OpenLeg::units).sum();
            let heals = |units: &[u64]| Ok(units.iter().sum::<u64>() >= needed);
            let situation = Situation { setup: &setup, legs: &open, going_on: false, elapsed: 0, heals: &heals };
            let units: u64 = quantities(&situation).unwrap().iter().sum();
            // Together, each leg is rounded up.
            let most = if positions == "all" { needed + open.len() as u64 } else { needed };
            prop_assert!(units >= needed.min(all) && units <= most.min(all), "{} of {}", units, needed);
        }
    }
}
