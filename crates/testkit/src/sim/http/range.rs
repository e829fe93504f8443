//! Byte ranges of reads.

use super::call::SimRequest;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::object::SimObject;

/// A byte range of an object that a read returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestedRange {
    pub(crate) first: u64,
    pub(crate) size_bytes: u64,
    pub(crate) is_partial: bool,
    pub(crate) parts_count: Option<usize>,
}

/// Returns the range that `Range` or `partNumber` requests.
pub(crate) fn wanted(call: &SimRequest, object: &SimObject) -> SimResult<RequestedRange> {
    let size = object.content.size_bytes();
    if let Some(number) = call.query("partNumber") {
        if call.headers.contains_key("range") {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        let number = number
            .parse::<u32>()
            .ok()
            .filter(|number| (1..=10_000).contains(number));
        let number = number.ok_or_else(|| {
            SimError::because(
                SimErrorCode::InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive",
            )
        })?;
        return part(object, number);
    }
    let entire = RequestedRange {
        first: 0,
        size_bytes: size,
        is_partial: false,
        parts_count: None,
    };
    match call.header("range").as_deref().and_then(parse) {
        // S3 ignores a Range header without a valid byte range.
        None => Ok(entire),
        Some(range) => {
            let (first, last) = range.within(size);
            if first > last || first >= size {
                return Err(
                    SimError::new(SimErrorCode::InvalidRange).with_header("content-range", format!("bytes */{size}"))
                );
            }
            Ok(RequestedRange {
                first,
                size_bytes: last - first + 1,
                is_partial: true,
                parts_count: None,
            })
        }
    }
}

/// Returns the range of a part. An object without parts has one part, and no `x-amz-mp-parts-count`.
fn part(object: &SimObject, number: u32) -> SimResult<RequestedRange> {
    if object.parts.is_empty() && number == 1 {
        let size_bytes = object.content.size_bytes();
        return Ok(RequestedRange {
            first: 0,
            size_bytes,
            is_partial: size_bytes > 0,
            parts_count: None,
        });
    }
    let mut first = 0;
    for part in &object.parts {
        if part.number == number {
            return Ok(RequestedRange {
                first,
                size_bytes: part.size_bytes,
                is_partial: true,
                parts_count: Some(object.parts.len()),
            });
        }
        first += part.size_bytes;
    }
    Err(SimErrorCode::InvalidPartNumber.into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl Bytes {
    fn within(self, size: u64) -> (u64, u64) {
        let end = size.saturating_sub(1);
        match self {
            Self::From(first) => (first, end),
            Self::Between(first, last) => (first, last.min(end)),
            Self::Last(0) => (size, end),
            Self::Last(count) => (size.saturating_sub(count), end),
        }
    }
}

fn parse(text: &str) -> Option<Bytes> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", last) => last.parse().ok().map(Bytes::Last),
        (first, "") => first.parse().ok().map(Bytes::From),
        (first, last) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(Bytes::Between(first, last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_limited_to_the_object_size() {
        let of_ten = |text: &str| parse(text).map(|range| range.within(10));
        assert_eq!(of_ten("bytes=0-3"), Some((0, 3)));
        assert_eq!(of_ten("bytes=8-99"), Some((8, 9)));
        assert_eq!(of_ten("bytes=4-"), Some((4, 9)));
        assert_eq!(of_ten("bytes=-3"), Some((7, 9)));
        assert_eq!(of_ten("bytes=-99"), Some((0, 9)));
        assert_eq!(of_ten("bytes=5-4"), None);
        assert_eq!(of_ten("lines=1-2"), None);
    }
}
