//! S3's rule of which notifications may stand side by side.
//!
//! Two entries of one bucket may not ask for the same event of the same key, whatever they send it to.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::NotificationEntry;

/// What stays as it is in a filter's value; the user guide asks to spell a space as `+` and to percent-encode the rest.
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

/// Spells the beginning of a key as a filter's value.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>
pub(super) fn filter_value(raw: &str) -> String {
    utf8_percent_encode(raw, ENCODED).to_string().replace("%20", "+")
}

/// Reads a filter's value; one that was never encoded, or badly, is taken as far as it can be read.
fn decoded(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', " ")).collect()
}

/// Tells whether some event is asked for by both patterns, as in `s3:ObjectCreated:*` and `s3:ObjectCreated:Put`.
#[must_use]
pub fn event_patterns_overlap(left: &str, right: &str) -> bool {
    match (left.strip_suffix('*'), right.strip_suffix('*')) {
        (None, None) => left == right,
        (Some(stem), None) => right.starts_with(stem),
        (None, Some(stem)) => left.starts_with(stem),
        (Some(left), Some(right)) => left.starts_with(right) || right.starts_with(left),
    }
}

/// Tells whether S3 would refuse the two entries side by side: an event and a key exist that both ask for.
#[must_use]
pub fn overlaps(left: &NotificationEntry, right: &NotificationEntry) -> bool {
    keys_overlap(left, right) && !overlapping_events(left, right).is_empty()
}

/// A key can be as long as it takes, so prefixes and suffixes overlap independently of each other.
fn keys_overlap(left: &NotificationEntry, right: &NotificationEntry) -> bool {
    let (left, right) = (&left.filter, &right.filter);
    let (left_prefix, right_prefix) = (decoded(left.prefix()), decoded(right.prefix()));
    let (left_suffix, right_suffix) = (decoded(left.suffix()), decoded(right.suffix()));
    let prefixes = left_prefix.starts_with(&right_prefix) || right_prefix.starts_with(&left_prefix);
    let suffixes = left_suffix.ends_with(&right_suffix) || right_suffix.ends_with(&left_suffix);
    prefixes && suffixes
}

/// Lists the patterns of `foreign` that meet one of `own`.
pub(super) fn overlapping_events(own: &NotificationEntry, foreign: &NotificationEntry) -> Vec<String> {
    let meets = |event: &&String| own.events.iter().any(|ours| event_patterns_overlap(ours, event));
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
    fn event_types_meet_by_wildcard() {
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
    fn keys_meet_when_prefix_and_suffix_both_do() {
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
            // One written with the encoding that the user guide asks for, the other without.
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
    fn different_events_of_the_same_keys_stand_side_by_side() {
        let created = entry(&["s3:ObjectCreated:Put", "s3:ObjectTagging:*"], "a/", "");
        assert!(!overlaps(&created, &entry(&["s3:ObjectRemoved:*"], "a/", "")));
        let tagging = entry(&["s3:ObjectRemoved:*", "s3:ObjectTagging:Put"], "a/", "");
        assert_eq!(overlapping_events(&created, &tagging), ["s3:ObjectTagging:Put"]);
    }

    #[test]
    fn filter_values_are_spelled_as_s3_asks_for() {
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
        fn filter_values_can_be_read_back(raw in "\\PC{0,60}") {
            prop_assert_eq!(decoded(&filter_value(&raw)), raw.as_bytes());
        }

        #[test]
        fn a_key_that_both_ask_for_means_overlap(
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
