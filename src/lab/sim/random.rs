//! Chance from a seed: the same seed tells the same story.

/// A small generator (SplitMix64): its quality is plenty for simulations, and it is never asked for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

/// Spreads the bits of a number over all of it.
pub const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number of 0 up to, but not including, 1.
pub fn share(chance: u64) -> f64 {
    // 53 bits are what a double holds exactly.
    const STEPS: f64 = (1_u64 << 53) as f64;
    (chance >> 11) as f64 / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let story = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next()]
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn shares_are_spread_evenly() {
        let mut random = Random::new(1);
        let low = (0..10_000).filter(|_| share(random.next()) < 0.25).count();
        assert!((2_300..2_700).contains(&low), "{low}");
    }
}
