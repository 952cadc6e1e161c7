//! Draws: 64 bits for each (seed, purpose, account, number of the attempt or time), computed from these alone.

/// What a draw is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Latency = 1,
    Failure = 2,
    Deleveraging = 3,
    Position = 4,
    PoolDeleveraging = 5,
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The bits of a draw.
pub(crate) fn bits(seed: u64, purpose: Purpose, account: usize, number: u64) -> u64 {
    let step = |state: u64, n: u64| mix(state.wrapping_add(GAMMA.wrapping_mul(n)));
    let state = step(seed, purpose as u64);
    step(step(state, account as u64 + 1), number.wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_pinned_and_evenly_spread() {
        assert_eq!(bits(0, Purpose::Latency, 0, 0), 0x238275bc38fcbe91);
        let mut below = 0;
        let mut bit_counts = [0u32; 64];
        for account in 0..1_000 {
            for attempt in 0..10 {
                let u = bits(7, Purpose::Failure, account, attempt);
                below += u32::from(u < u64::MAX / 4);
                for (bit, count) in bit_counts.iter_mut().enumerate() {
                    *count += (u >> bit & 1) as u32;
                }
            }
        }
        assert!((2_350..2_650).contains(&below), "{below}");
        assert!(bit_counts.iter().all(|c| (4_800..5_200).contains(c)), "{bit_counts:?}");
    }
}
