//! Which compression a batch has, and with which level it is made (KIP-390).

use std::fmt;

use super::RecordError;

/// The codecs that Kafka defines. The number of each is the low three bits of the attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Written with the xerial framing, read with and without it.
    Snappy = 2,
    /// The LZ4 frame format with independent blocks, the only ones Java reads.
    Lz4 = 3,
    /// RFC 8878; needs Produce v7 and Fetch v10 (Kafka 2.1, KIP-110).
    Zstd = 4,
}

impl Compression {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number on the wire.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec of a number on the wire; `None` for 5 to 7, which Kafka does not define.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The name in Kafka's `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of a name in Kafka's `compression.type`, for instance `"zstd"`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The levels this codec has (KIP-390): gzip 1 to 9, zstd what the library says
    /// (-131072 to 22). Snappy has none, and neither has our LZ4: it is always the fast one,
    /// Kafka's levels 1 to 17 would choose the slow LZ4 HC.
    pub const fn levels(self) -> &'static str {
        match self {
            Self::Gzip => "1 to 9",
            Self::Zstd => "-131072 to 22",
            Self::None | Self::Snappy | Self::Lz4 => "none",
        }
    }

    /// Says whether the codec has this level. `None` asks for the codec's default: 6 for gzip,
    /// 3 for zstd, as Kafka has them.
    pub fn check_level(self, level: Option<i32>) -> Result<(), RecordError> {
        let Some(level) = level else { return Ok(()) };
        let known = match self {
            Self::Gzip => (1..=9).contains(&level),
            Self::Zstd => zstd::compression_level_range().contains(&level),
            Self::None | Self::Snappy | Self::Lz4 => false,
        };
        if known {
            return Ok(());
        }
        Err(RecordError::Level { compression: self, level, allowed: self.levels() })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for codec in Compression::ALL {
            assert_eq!(Compression::from_id(codec.id()), Some(codec));
            assert_eq!(Compression::from_name(codec.name()), Some(codec));
        }
        assert_eq!(Compression::from_id(5), None);
        assert_eq!(Compression::from_name("brotli"), None);
    }

    #[test]
    fn a_level_the_codec_does_not_have_is_an_error_that_names_those_it_has() {
        for (codec, good, bad) in [
            (Compression::Gzip, vec![1, 6, 9], vec![0, 10, -1]),
            (Compression::Zstd, vec![-131_072, 1, 22], vec![-131_073, 23]),
            (Compression::Lz4, vec![], vec![1, 9]),
            (Compression::Snappy, vec![], vec![1]),
        ] {
            assert_eq!(codec.check_level(None), Ok(()));
            for level in good {
                assert_eq!(codec.check_level(Some(level)), Ok(()), "{codec} {level}");
            }
            for level in bad {
                let error = codec.check_level(Some(level)).unwrap_err();
                assert!(error.to_string().contains(codec.levels()), "{error}");
            }
        }
    }
}
