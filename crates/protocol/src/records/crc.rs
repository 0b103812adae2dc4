//! The two checksums of Kafka's formats.

/// CRC-32C (Castagnoli): over a v2 batch from its attributes to its end.
#[inline]
pub(super) fn crc32c(data: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(data)
}

/// CRC-32 (IEEE): over a v0 or v1 message from its magic byte to its end.
#[inline]
pub(super) fn crc32(data: &[u8]) -> u32 {
    crc32fast::hash(data)
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
