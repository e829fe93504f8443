//! Derives the sizes of all parts from the HEADs of some parts.
//!
//! The response to a HEAD with `partNumber` contains the `Content-Range` of that part. The range shows where the part
//! begins and ends, and so where its neighbours end and begin.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>

use std::collections::BTreeMap;

use s3ferry_core::plan::PartSizes;

/// Position and size of one part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartSpan {
    number: u32,
    /// `None` if the store omits the range, as some emulators do.
    start_bytes: Option<u64>,
    size_bytes: u64,
}

impl PartSpan {
    /// Reads the response to the HEAD of a part. A range that contradicts the sizes is ignored.
    pub(crate) fn new(number: u32, size_bytes: u64, content_range: Option<&str>, object_bytes: u64) -> Self {
        let start_bytes = content_range.and_then(|text| {
            let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            let is_usable = last.checked_sub(first)?.checked_add(1)? == size_bytes && total.parse() == Ok(object_bytes);
            is_usable.then_some(first)
        });
        Self {
            number,
            start_bytes,
            size_bytes,
        }
    }
}

/// The parts of one object that were read.
#[derive(Debug)]
pub(crate) struct PartSpans {
    object_bytes: u64,
    count: u32,
    read: BTreeMap<u32, PartSpan>,
}

impl Extend<PartSpan> for PartSpans {
    fn extend<I: IntoIterator<Item = PartSpan>>(&mut self, spans: I) {
        self.read.extend(spans.into_iter().map(|span| (span.number, span)));
    }
}

impl PartSpans {
    /// Creates an empty set for an object of `object_bytes` bytes in `count` parts.
    pub(crate) fn new(object_bytes: u64, count: u32) -> Self {
        Self {
            object_bytes,
            count,
            read: BTreeMap::new(),
        }
    }

    /// Returns the parts that remain to be read until all sizes are certain.
    pub(crate) fn unread_parts(&self) -> Vec<u32> {
        let step = self.step();
        (1..=self.count)
            .filter(|number| number % step == 0 && !self.read.contains_key(number))
            .collect()
    }

    /// Returns the unread parts to read first. They determine all sizes if all parts but the last are equal.
    pub(crate) fn unread_ends(&self) -> Vec<u32> {
        let step = self.step();
        let mut ends = self.unread_parts();
        ends.retain(|number| *number == step || number + step > self.count);
        ends
    }

    /// Returns 2 if ranges show where parts begin, because every second part then determines the one before it.
    /// Otherwise 1.
    fn step(&self) -> u32 {
        let have_starts = self.read.values().all(|span| span.start_bytes.is_some());
        if have_starts { 2 } else { 1 }
    }

    /// Returns the sizes of all parts, if they are certain.
    pub(crate) fn sizes(&self) -> Option<PartSizes> {
        let sizes = self.filled(None).or_else(|| self.even())?;
        Some(sizes.into_iter().collect())
    }

    /// Returns sizes that are all equal but the last, if both ends of the object confirm it.
    ///
    /// The first two parts must be equal, and the parts between them and the last one read must fit equal sizes in
    /// total.
    fn even(&self) -> Option<Vec<u64>> {
        if !self.unread_ends().is_empty() {
            return None;
        }
        let each_bytes = self.read.get(&2)?.size_bytes;
        let sizes = self.filled(Some(each_bytes))?;
        let (last, others) = sizes.split_last()?;
        let is_even = *last <= each_bytes && others.iter().all(|size| *size == each_bytes);
        is_even.then_some(sizes)
    }

    /// Returns the sizes that follow from the parts read, with `unknown_bytes` for the others.
    ///
    /// Returns `None` if a part has neither, or if sizes contradict a start or the object's size.
    fn filled(&self, unknown_bytes: Option<u64>) -> Option<Vec<u64>> {
        let mut sizes = Vec::new();
        let mut offset: u64 = 0;
        for number in 1..=self.count {
            let size = match self.read.get(&number) {
                Some(span) if span.start_bytes.is_some_and(|start| start != offset) => return None,
                Some(span) => span.size_bytes,
                None => match self.start_of(number + 1) {
                    Some(start) => start.checked_sub(offset)?,
                    None => unknown_bytes?,
                },
            };
            offset = offset.checked_add(size)?;
            sizes.push(size);
        }
        // S3 has no multipart object with an empty part, and accepts none.
        let add_up = offset == self.object_bytes && !sizes.contains(&0);
        add_up.then_some(sizes)
    }

    /// Returns where a part begins, if the part was read. The part after the last one begins where the object ends.
    fn start_of(&self, number: u32) -> Option<u64> {
        if number > self.count {
            return Some(self.object_bytes);
        }
        self.read.get(&number)?.start_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(sizes: &[u64]) -> u64 {
        sizes.iter().sum()
    }

    fn parts_of(sizes: &[u64]) -> PartSizes {
        sizes.iter().copied().collect()
    }

    fn empty_spans(sizes: &[u64]) -> PartSpans {
        PartSpans::new(total(sizes), u32::try_from(sizes.len()).unwrap())
    }

    /// Returns a store's response to the HEAD of a part, with a range or without.
    fn span(sizes: &[u64], number: u32, with_range: bool) -> PartSpan {
        let (before, part) = sizes.split_at(usize::try_from(number - 1).unwrap());
        let (start, size, total) = (total(before), part[0], total(sizes));
        let range = format!("bytes {start}-{}/{total}", start + size - 1);
        PartSpan::new(number, size, with_range.then_some(range.as_str()), total)
    }

    /// Reads the ends. Returns the sizes that follow, and after how many HEADs.
    fn sizes_from_ends(sizes: &[u64], with_ranges: bool) -> (Option<PartSizes>, usize) {
        let mut spans = empty_spans(sizes);
        // The first responses show whether there are ranges.
        for _ in 0..2 {
            let ends = spans.unread_ends();
            spans.extend(ends.into_iter().map(|number| span(sizes, number, with_ranges)));
        }
        (spans.sizes(), spans.read.len())
    }

    #[test]
    fn first_and_last_part_sizes_determine_even_layouts_and_up_to_five_parts() {
        for (sizes, heads) in [
            (&[3, 9][..], 1),
            (&[9, 3], 1),
            (&[3, 9, 7], 1),
            (&[3, 9, 7, 4], 2),
            (&[3, 9, 7, 4, 5], 2),
            (&[8, 8, 8, 8, 8, 8], 2),
            (&[8, 8, 8, 8, 8, 1], 2),
            (&[8, 8, 8, 8, 8, 8, 1], 2),
        ] {
            assert_eq!(
                sizes_from_ends(sizes, true),
                (Some(parts_of(sizes)), heads),
                "{sizes:?}"
            );
        }
        for (sizes, heads) in [
            (&[3, 9][..], 2),
            (&[3, 9, 7], 3),
            (&[8, 8, 8, 8, 8, 1], 3),
            (&[8, 8, 8, 8, 8, 8, 1], 4),
        ] {
            assert_eq!(
                sizes_from_ends(sizes, false),
                (Some(parts_of(sizes)), heads),
                "{sizes:?}"
            );
        }
    }

    #[test]
    fn ambiguous_end_parts_determine_no_layout() {
        for sizes in [
            // The first, the second, a middle, the second to last and the last part have another size.
            [7, 8, 8, 8, 8, 8, 8],
            [8, 7, 8, 8, 8, 8, 8],
            [8, 8, 8, 7, 8, 8, 8],
            [8, 8, 8, 8, 8, 7, 8],
            [8, 8, 8, 8, 8, 8, 9],
            // The total is that of equal parts.
            [7, 9, 8, 8, 8, 8, 8],
            [9, 7, 8, 8, 8, 8, 8],
            [8, 8, 8, 8, 7, 9, 8],
            [8, 8, 8, 8, 9, 7, 8],
            [8, 8, 8, 8, 8, 7, 9],
        ] {
            assert_eq!(sizes_from_ends(&sizes, true).0, None, "{sizes:?}");
            assert_eq!(sizes_from_ends(&sizes, false).0, None, "{sizes:?}");
        }
    }

    #[test]
    fn range_is_used_only_if_it_fits_the_sizes() {
        let start = |range| PartSpan::new(2, 10, range, 50).start_bytes;
        assert_eq!(start(Some("bytes 20-29/50")), Some(20));
        for range in [
            "bytes 20-30/50",
            "bytes 20-29/51",
            "bytes 29-20/50",
            "bytes 20-29/*",
            "bytes */50",
            "20-29/50",
            "bytes 20-29",
            "bytes 0-18446744073709551615/50",
            "",
        ] {
            assert_eq!(start(Some(range)), None, "{range}");
        }
        assert_eq!(start(None), None);
    }

    #[test]
    fn contradictory_evidence_is_inconclusive() {
        let check = |object_bytes, count, spans: &[(u32, Option<u64>, u64)]| {
            let mut read = PartSpans::new(object_bytes, count);
            read.extend(spans.iter().map(|&(number, start_bytes, size_bytes)| PartSpan {
                number,
                start_bytes,
                size_bytes,
            }));
            assert_eq!(read.sizes(), None, "{read:?}");
        };
        // Part 4 begins before part 2 ends, and where part 3 would have no bytes.
        check(50, 4, &[(2, Some(10), 20), (4, Some(20), 30)]);
        check(50, 4, &[(2, Some(10), 20), (4, Some(30), 20)]);
        // Part 2 begins after part 1 ends, although the sizes add up to the object.
        check(40, 2, &[(1, Some(0), 10), (2, Some(20), 30)]);
        // More and fewer bytes than the object has.
        check(50, 3, &[(2, Some(10), 50)]);
        check(50, 2, &[(2, Some(10), 30)]);
        check(50, 2, &[(1, None, 10), (2, None, 30)]);
        check(u64::MAX, 3, &[(1, None, u64::MAX), (2, None, 1), (3, None, u64::MAX)]);
    }

    /// Generates part sizes, most of them equal.
    fn layout() -> impl Strategy<Value = Vec<u64>> {
        proptest::collection::vec(prop_oneof![4 => Just(8_u64), 1 => 1..12_u64], 2..40)
    }

    proptest! {
        #[test]
        fn certain_sizes_are_the_true_sizes(
            sizes in layout(),
            read in proptest::collection::vec(proptest::option::of(any::<bool>()), 40),
        ) {
            let mut spans = empty_spans(&sizes);
            let heads = (1..).zip(read).take(sizes.len());
            spans.extend(heads.filter_map(|(number, with_range)| Some(span(&sizes, number, with_range?))));
            let certain = spans.filled(None);
            prop_assert!(certain.is_none() || certain.as_ref() == Some(&sizes), "{certain:?}");
            let unread_parts = spans.unread_parts();
            let with_ranges = spans.step() == 2;
            spans.extend(unread_parts.into_iter().map(|number| span(&sizes, number, with_ranges)));
            prop_assert_eq!(spans.filled(None), Some(sizes));
        }

        #[test]
        fn any_layout_takes_at_most_a_head_of_every_second_part(sizes in layout()) {
            let mut spans = empty_spans(&sizes);
            let unread_parts = spans.unread_parts();
            prop_assert_eq!(unread_parts.len(), sizes.len() / 2);
            spans.extend(unread_parts.into_iter().map(|number| span(&sizes, number, true)));
            prop_assert_eq!(spans.sizes(), Some(parts_of(&sizes)));
            prop_assert_eq!(spans.unread_parts(), Vec::<u32>::new());
        }
    }
}
