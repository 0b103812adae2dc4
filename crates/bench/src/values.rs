//! Values of the workloads: 100 bytes with a sequence number and 64 random-looking bits in hexadecimal.

const TEMPLATE: &[u8; 100] =
    br#"{"seq":"000000000000","rnd":"0000000000000000","type":"order","channel":"web","note":"............"}"#;

/// A value that is filled in again for each record.
pub(crate) struct Filled([u8; 100]);

impl Filled {
    pub(crate) fn new() -> Self {
        Self(*TEMPLATE)
    }

    /// The value of record `sequence`.
    pub(crate) fn with(&mut self, sequence: u64) -> &[u8] {
        let mut rest = sequence;
        for digit in self.0[8..20].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut rest = splitmix64(sequence);
        for digit in self.0[29..45].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        &self.0
    }
}

/// The sequence number in a value; `None` if it is not one of ours.
pub(crate) fn sequence(value: &[u8]) -> Option<u64> {
    let digits = value.get(8..20)?;
    digits.iter().try_fold(0, |number: u64, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_sequence_number() {
        let mut filled = Filled::new();
        let value = filled.with(123_456);
        assert_eq!(value.len(), 100);
        assert_eq!(sequence(value), Some(123_456));
        assert_eq!(sequence(b"short"), None);
        assert_eq!(splitmix64(0), 0xE220_A839_7B1D_CDAF, "the published first output of seed 0");
    }
}
