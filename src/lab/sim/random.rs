//! Chance from a seed: the same seed tells the same story, on every machine.

pub use rand::rngs::Xoshiro256PlusPlus as Random;

/// A number of 0 up to, but not including, 1.
pub fn share(chance: u64) -> f64 {
    // 53 bits are what a double holds exactly.
    const STEPS: f64 = (1_u64 << 53) as f64;
    (chance >> 11) as f64 / STEPS
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let story = |seed| {
            let mut random = Random::seed_from_u64(seed);
            [random.next_u64(), random.next_u64()]
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn shares_are_spread_evenly() {
        let mut random = Random::seed_from_u64(1);
        let low = (0..10_000).filter(|_| share(random.next_u64()) < 0.25).count();
        assert!((2_300..2_700).contains(&low), "{low}");
    }
}
