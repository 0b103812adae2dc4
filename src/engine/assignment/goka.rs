//! Goka's plan, so that members of both can share a group: contiguous ranges of the sorted partition numbers,
//! rounded as Goka rounds them (its `CopartitioningStrategy`).

/// The numbers `0..partitions` that the member at `place` of `members` (sorted by id) gets.
///
/// Member `i` gets `floor(i * step + 0.5) .. floor((i + 1) * step + 0.5)` with `step = partitions / members`.
pub(crate) fn range(place: usize, members: usize, partitions: i32) -> std::ops::Range<i32> {
    let step = f64::from(partitions) / members.max(1) as f64;
    let bound = |place: usize| (place as f64 * step + 0.5).floor() as i32;
    bound(place)..bound(place + 1).min(partitions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::range;

    #[test]
    fn as_goka_does() {
        assert_eq!((range(0, 2, 3), range(1, 2, 3)), (0..2, 2..3));
        assert_eq!((range(0, 3, 6), range(1, 3, 6), range(2, 3, 6)), (0..2, 2..4, 4..6));
        assert_eq!(range(0, 1, 0), 0..0);
    }

    proptest! {
        #[test]
        fn the_ranges_join_up(members in 1..50usize, partitions in 0..500i32) {
            let mut next = 0;
            for place in 0..members {
                let range = range(place, members, partitions);
                prop_assert_eq!(range.start, next);
                prop_assert!(range.end >= range.start);
                next = range.end;
            }
            prop_assert_eq!(next, partitions);
        }
    }
}
