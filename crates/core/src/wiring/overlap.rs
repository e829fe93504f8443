//! S3's rule for overlapping notifications.
//!
//! Two entries of a bucket must not have the same event of the same key, whatever their destinations are.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::NotificationEntry;

/// Characters that a filter value contains unencoded. The user guide requires `+` for a space, and percent-encoding for
/// the others.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'!')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Returns a prefix as a filter value.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>
pub(super) fn filter_value(raw: &str) -> String {
    utf8_percent_encode(raw, ENCODED).to_string().replace("%20", "+")
}

/// Decodes a filter value. Invalid escapes are left as they are.
fn decoded(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', " ")).collect()
}

/// Returns whether two patterns have an event in common, as `s3:ObjectCreated:*` and `s3:ObjectCreated:Put` have.
#[must_use]
pub fn event_patterns_overlap(left: &str, right: &str) -> bool {
    match (left.strip_suffix('*'), right.strip_suffix('*')) {
        (None, None) => left == right,
        (Some(stem), None) => right.starts_with(stem),
        (None, Some(stem)) => left.starts_with(stem),
        (Some(left), Some(right)) => left.starts_with(right) || right.starts_with(left),
    }
}

/// Returns whether S3 would reject the two entries in one configuration: they have an event of a key in common.
#[must_use]
pub fn overlaps(left: &NotificationEntry, right: &NotificationEntry) -> bool {
    keys_overlap(left, right) && !overlapping_events(left, right).is_empty()
}

/// Returns whether two filters have a key in common. Keys have any length, so prefixes and suffixes are independent.
fn keys_overlap(left: &NotificationEntry, right: &NotificationEntry) -> bool {
    let (left, right) = (&left.filter, &right.filter);
    let (left_prefix, right_prefix) = (decoded(left.prefix()), decoded(right.prefix()));
    let (left_suffix, right_suffix) = (decoded(left.suffix()), decoded(right.suffix()));
    let prefixes = left_prefix.starts_with(&right_prefix) || right_prefix.starts_with(&left_prefix);
    let suffixes = left_suffix.ends_with(&right_suffix) || right_suffix.ends_with(&left_suffix);
    prefixes && suffixes
}

/// Returns the patterns of `foreign` that overlap with one of `own`.
pub(super) fn overlapping_events(own: &NotificationEntry, foreign: &NotificationEntry) -> Vec<String> {
    let meets = |event: &&String| own.events.iter().any(|other| event_patterns_overlap(other, event));
    foreign.events.iter().filter(meets).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::notification::{FilterRule, KeyFilter};
    use super::*;

    fn entry(events: &[&str], prefix: &str, suffix: &str) -> NotificationEntry {
        let rule = |name: &str, value: &str| FilterRule {
            name: Some(name.to_owned()),
            value: Some(value.to_owned()),
        };
        NotificationEntry {
            id: None,
            arn: String::new(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            filter: KeyFilter::Rules(vec![rule("Prefix", prefix), rule("suffix", suffix)]),
        }
    }

    #[test]
    fn event_types_overlap_by_wildcard() {
        let rows = [
            ("s3:ObjectCreated:*", "s3:ObjectCreated:Put", true),
            ("s3:ObjectCreated:Put", "s3:ObjectCreated:*", true),
            ("s3:ObjectCreated:*", "s3:ObjectCreated:*", true),
            ("s3:ObjectCreated:Put", "s3:ObjectCreated:Put", true),
            ("s3:ObjectCreated:Put", "s3:ObjectCreated:Post", false),
            ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", false),
            ("s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated", false),
            ("s3:*", "s3:ObjectRemoved:*", true),
            ("s3:Replication:*", "s3:Replication:OperationNotTracked", true),
            ("s3:LifecycleExpiration:*", "s3:LifecycleTransition", false),
            ("s3:ReducedRedundancyLostObject", "s3:ReducedRedundancyLostObject", true),
        ];
        for (left, right, expected) in rows {
            assert_eq!(event_patterns_overlap(left, right), expected, "{left} {right}");
            assert_eq!(event_patterns_overlap(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn keys_overlap_if_prefix_and_suffix_both_do() {
        const CREATED: &[&str] = &["s3:ObjectCreated:*"];
        let rows = [
            ("", "", "", "", true),
            ("images/", "", "logs/", "", false),
            ("images", ".jpg", "images", ".png", false),
            ("images", "jpg", "", "jpg", true),
            ("", "jpg", "", "pg", true),
            ("", "", "images", "", true),
            ("a/", ".jpg", "a/b/", "", true),
            ("a/", ".jpg", "b/", ".jpg", false),
            // One with the encoding that the user guide requires, the other without.
            ("a b/", "", "a+b/", "", true),
            ("year=1/", "", "year%3D1/", "", true),
            ("year%3D1/", "", "year%3D2/", "", false),
        ];
        for (prefix, suffix, other_prefix, other_suffix, expected) in rows {
            let left = entry(CREATED, prefix, suffix);
            let right = entry(CREATED, other_prefix, other_suffix);
            assert_eq!(overlaps(&left, &right), expected, "{left:?} {right:?}");
            assert_eq!(overlaps(&right, &left), expected, "{right:?} {left:?}");
        }
    }

    #[test]
    fn different_events_of_the_same_keys_do_not_overlap() {
        let created = entry(&["s3:ObjectCreated:Put", "s3:ObjectTagging:*"], "a/", "");
        assert!(!overlaps(&created, &entry(&["s3:ObjectRemoved:*"], "a/", "")));
        let tagging = entry(&["s3:ObjectRemoved:*", "s3:ObjectTagging:Put"], "a/", "");
        assert_eq!(overlapping_events(&created, &tagging), ["s3:ObjectTagging:Put"]);
    }

    #[test]
    fn filter_values_are_encoded_as_s3_requires() {
        let rows = [
            ("", ""),
            ("images/a-b_c.d/", "images/a-b_c.d/"),
            ("a b+c/", "a+b%2Bc/"),
            ("year=2026/ü", "year%3D2026/%C3%BC"),
        ];
        for (raw, expected) in rows {
            assert_eq!(filter_value(raw), expected);
        }
    }

    proptest! {
        #[test]
        fn filter_values_decode_to_the_original(raw in "\\PC{0,60}") {
            prop_assert_eq!(decoded(&filter_value(&raw)), raw.as_bytes());
        }

        #[test]
        fn entries_with_a_common_key_overlap(
            key in "[ab]{2,8}", left in 0usize..3, right in 0usize..3, tail in 0usize..3, other_tail in 0usize..3,
        ) {
            let from = |count: usize| key.chars().take(count.min(key.len())).collect::<String>();
            let to = |count: usize| key.chars().skip(key.len().saturating_sub(count)).collect::<String>();
            let one = entry(&["s3:ObjectCreated:*"], &from(left), &to(tail));
            let other = entry(&["s3:ObjectCreated:Copy"], &from(right), &to(other_tail));
            prop_assert!(overlaps(&one, &other));
        }
    }
}
