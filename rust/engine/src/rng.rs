//! The one random generator: named, pinned, seeded by words.
//!
//! A stream is ChaCha with 8 rounds, keyed by a BLAKE3 hash of the seed and of what the stream is for (`["2020-03-12",
//! "XBTUSD", "17"]`). Streams with different words are independent, so that a new market, segment or account disturbs no other.
//! Samplers use the `libm` crate and IEEE operations that round correctly, never the platform's functions: the same bytes come
//! out on every machine. A change of anything here changes every reconstructed day and synthetic book: raise [`GENERATOR`].

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Name and version of the generator and its samplers; part of every cache key and provenance.
pub const GENERATOR: &str = "chacha8-blake3/1";

/// A seeded stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    core: ChaCha8Rng,
    spare_normal: Option<f64>,
}

impl Rng {
    /// The stream of `seed` for the purpose that `words` name. The number, order and content of the words all count.
    pub fn new(seed: u64, words: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("underwater chacha8-blake3/1");
        hasher.update(&seed.to_le_bytes());
        for word in words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word.as_bytes());
        }
        Self {
            core: ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()),
            spare_normal: None,
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.core.next_u64()
    }

    /// Uniform in `[0, 1)`, a multiple of `2^-53`.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform in `(0, 1]`.
    pub fn uniform_positive(&mut self) -> f64 {
        1.0 - self.uniform()
    }

    /// Uniform in `0..n`, without bias; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire's multiplication with rejection.
        let threshold = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal (Marsaglia's polar method; the second of each pair is kept for the next call).
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare_normal.take() {
            return z;
        }
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let factor = libm::sqrt(-2.0 * libm::log(s) / s);
                self.spare_normal = Some(v * factor);
                return u * factor;
            }
        }
    }

    /// Lognormal with this median and this standard deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(self.uniform_positive())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_pinned() {
        let mut rng = Rng::new(7, &["a", "b"]);
        let bytes: Vec<u8> = (0..4)
            .flat_map(|_| {
                let numbers = [
                    rng.uniform(),
                    rng.normal(),
                    rng.lognormal(2.0, 1.5),
                    rng.exponential(3.0),
                ];
                numbers
                    .into_iter()
                    .flat_map(f64::to_le_bytes)
                    .chain(rng.below(1000).to_le_bytes())
            })
            .collect();
        assert_eq!(blake3::hash(&bytes).to_hex()[..16], *"915ba12ed6cfe494");
    }

    #[test]
    fn words_separate_streams() {
        let first = |words: &[&str]| Rng::new(1, words).bits();
        assert_eq!(first(&["ab", "c"]), first(&["ab", "c"]));
        assert_ne!(first(&["ab", "c"]), first(&["a", "bc"]));
        assert_ne!(first(&["ab"]), first(&["ab", ""]));
        assert_ne!(Rng::new(1, &["x"]).bits(), Rng::new(2, &["x"]).bits());
    }

    #[test]
    fn samplers_have_their_moments() {
        let mut rng = Rng::new(3, &["moments"]);
        let n = 200_000;
        let mean_square = |sample: &mut dyn FnMut() -> f64| {
            let (mut sum, mut square) = (0.0, 0.0);
            for _ in 0..n {
                let x = sample();
                sum += x;
                square += x * x;
            }
            (sum / f64::from(n), square / f64::from(n))
        };
        let (mean, square) = mean_square(&mut || rng.uniform());
        assert!(
            (mean - 0.5).abs() < 0.003 && (square - 1.0 / 3.0).abs() < 0.003,
            "{mean} {square}"
        );
        let (mean, square) = mean_square(&mut || rng.normal());
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.02, "{mean} {square}");
        let (mean, square) = mean_square(&mut || rng.exponential(2.0));
        assert!(
            (mean - 2.0).abs() < 0.03 && (square - 8.0).abs() < 0.3,
            "{mean} {square}"
        );
        let mut above = 0;
        for _ in 0..n {
            above += i32::from(rng.lognormal(5.0, 2.0) > 5.0);
        }
        assert!((f64::from(above) / f64::from(n) - 0.5).abs() < 0.005);
        assert!((0..1000).all(|_| rng.below(3) < 3) && rng.below(0) == 0);
    }
}
