//! Made-up values for tests: the same seed makes the same message.

use bytes::Bytes;

/// A source of values that fit one version.
#[doc(hidden)]
#[derive(Debug)]
pub struct Sampler {
    state: u64,
    version: i16,
}

impl Sampler {
    /// A source for messages of the version.
    pub fn new(seed: u64, version: i16) -> Self {
        Self { state: seed, version }
    }

    /// The version that the values fit.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Any number (`SplitMix64`).
    pub fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.any() % n
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A number, often one of those at the edges.
    pub fn number(&mut self) -> i64 {
        match self.below(8) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            _ => self.any() as i64 >> self.below(64),
        }
    }

    /// A text; sometimes empty, not always ASCII, sometimes too long for one byte of length.
    pub fn text(&mut self) -> String {
        let len = if self.one_in(32) { 100 + self.below(100) } else { self.below(9) };
        (0..len)
            .map(|_| if self.one_in(16) { 'ß' } else { (b'a' + self.below(26) as u8).into() })
            .collect()
    }

    /// Bytes; sometimes empty, sometimes so many that they are spliced.
    pub fn bytes(&mut self) -> Bytes {
        let len = if self.one_in(64) { 5000 } else { self.below(40) };
        (0..len).map(|_| self.any() as u8).collect()
    }
}
