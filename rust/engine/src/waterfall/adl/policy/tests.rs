//! Properties of the policies, on random numbers.

use proptest::prelude::*;

use super::{Lot, Means, divide};
use crate::config::{AdlPolicy, Exact, RiskWeight};
use crate::units::{Amount, Ratio};

fn ratio(text: &str) -> Ratio {
    Ratio::parse(text).unwrap()
}

fn policies() -> Vec<AdlPolicy> {
    let risk = |weight, power, threshold, cap: Option<&str>| AdlPolicy::RiskAware {
        weight,
        power,
        threshold: Exact(ratio(threshold)),
        cap: cap.map(ratio),
    };
    vec![
        AdlPolicy::Queue,
        AdlPolicy::ProRata,
        AdlPolicy::ContractsProRata,
        AdlPolicy::CappedProRata { cap: ratio("1/3") },
        risk(RiskWeight::Linear, 1, "0", None),
        risk(RiskWeight::Power, 3, "0", Some("1/2")),
        risk(RiskWeight::Cvar, 1, "1.5", None),
        AdlPolicy::MinMax,
        AdlPolicy::MirrorDescent {
            start: Exact(ratio("0")),
            step: Exact(ratio("0")),
        },
        AdlPolicy::MirrorDescent {
            start: Exact(ratio("1/4")),
            step: Exact(ratio("1/50")),
        },
    ]
}

prop_compose! {
    fn means()(units in 1u64..2000, part in 0u64..=4, profit in 0i128..5000, leverage in 0i128..5_000_000_000, equity in 1i128..5000) -> Means {
        Means { capacity: units * part / 4, units, profit, leverage, equity }
    }
}

fn sum(units: &[u64]) -> u64 {
    units.iter().sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gives_more_than_it_can_and_all_together_what_is_wanted(
        means in prop::collection::vec(means(), 0..12), quantity in 1u64..6000, give_up in -2000i128..20_000,
    ) {
        let lot = Lot { quantity, give_up: Amount(give_up) };
        for policy in policies() {
            let units = divide(&policy, &lot, &means).unwrap();
            prop_assert!(units.iter().zip(&means).all(|(units, m)| *units <= m.capacity), "{policy:?} {units:?}");
            prop_assert!(sum(&units) <= quantity, "{policy:?} {units:?}");
            let able = |m: &&Means| match policy {
                AdlPolicy::Queue | AdlPolicy::ContractsProRata | AdlPolicy::MinMax => true,
                AdlPolicy::ProRata => m.profit > 0,
                AdlPolicy::RiskAware { cap: None, weight: RiskWeight::Linear, .. } => m.profit > 0 && m.leverage * m.leverage >= 1_000_000_000,
                _ => false,
            };
            let exact = !matches!(policy, AdlPolicy::CappedProRata { .. } | AdlPolicy::MirrorDescent { .. })
                && !matches!(policy, AdlPolicy::RiskAware { cap: Some(_), .. } | AdlPolicy::RiskAware { weight: RiskWeight::Cvar, .. });
            if exact {
                let most = means.iter().filter(able).map(|m| m.capacity).sum::<u64>();
                prop_assert_eq!(sum(&units), most.min(quantity), "{:?} {:?}", policy, units);
            }
        }
    }

    #[test]
    fn shares_of_profit_are_equal_up_to_a_unit(means in prop::collection::vec(means(), 1..12), quantity in 1u64..3000) {
        let lot = Lot { quantity, give_up: Amount(1) };
        let units = divide(&AdlPolicy::ProRata, &lot, &means).unwrap();
        let open = |i: &usize| units[*i] < means[*i].capacity && means[*i].profit > 0;
        for i in (0..means.len()).filter(open) {
            for j in 0..means.len() {
                // Nobody gives a larger share than someone who has more to give, but for a unit of each.
                let (mine, theirs) = (i128::from(units[i]) + 1, i128::from(units[j]) - 1);
                prop_assert!(mine * means[j].profit >= theirs * means[i].profit);
            }
        }
    }

    #[test]
    fn no_other_way_has_a_smaller_largest_share_of_an_equity(
        means in prop::collection::vec(means(), 1..5), quantity in 1u64..40,
    ) {
        let means: Vec<Means> = means.into_iter().map(|m| Means { capacity: m.capacity % 20, equity: 1 + m.equity % 30, ..m }).collect();
        let units = divide(&AdlPolicy::MinMax, &Lot { quantity, give_up: Amount(1) }, &means).unwrap();
        let total = sum(&units);
        // With the largest share less than it is, so many units could be given at most.
        for (i, m) in means.iter().enumerate().filter(|(i, _)| units[*i] > 0) {
            let burden = |n: u64, e: i128| i128::from(n) * m.equity < i128::from(units[i]) * e;
            let worst = means.iter().zip(&units).all(|(o, &n)| i128::from(n) * m.equity <= i128::from(units[i]) * o.equity);
            if worst {
                let below: u64 = means.iter().map(|o| (0..=o.capacity).rev().find(|&n| n == 0 || burden(n, o.equity)).unwrap()).sum();
                prop_assert!(below < total, "{units:?}");
            }
        }
    }

    #[test]
    fn an_account_that_is_split_gives_what_it_gave(
        means in prop::collection::vec(means(), 1..8), quantity in 1u64..3000, half in any::<bool>(),
    ) {
        let lot = Lot { quantity, give_up: Amount(1) };
        let doubled: Vec<Means> = means.iter().map(|m| Means { capacity: 2 * m.capacity, units: 2 * m.units, profit: 2 * m.profit, ..*m }).collect();
        let mut split = doubled.clone();
        split[0] = means[0];
        split.insert(usize::from(half), means[0]);
        for policy in [AdlPolicy::ProRata, AdlPolicy::ContractsProRata] {
            let whole = divide(&policy, &lot, &doubled).unwrap();
            let parts = divide(&policy, &lot, &split).unwrap();
            prop_assert_eq!(sum(&whole), sum(&parts));
            prop_assert!(whole[0].abs_diff(parts[0] + parts[1]) <= 2, "{:?} {:?}", whole, parts);
        }
    }
}
