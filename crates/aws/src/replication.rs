//! Decides whether a bucket's own replication covers a key.

use aws_sdk_s3::types::{Destination, ReplicationConfiguration, ReplicationRule, ReplicationRuleStatus};
use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::names::{BucketName, ObjectKey};

/// Returns whether an enabled rule covers `key` and names `destination`.
///
/// A rule with a tag filter counts as covering: a wrong result costs a grace period, not a copy.
pub(crate) fn coverage(
    configuration: &ReplicationConfiguration,
    key: &ObjectKey,
    destination: &BucketName,
) -> ReplicationCoverage {
    let covers = |rule: &ReplicationRule| {
        let bucket_arn = rule.destination().map(Destination::bucket);
        rule.status() == &ReplicationRuleStatus::Enabled
            && bucket_arn
                .and_then(|arn| arn.rsplit_once(":::"))
                .is_some_and(|(_, name)| name == destination.as_str())
            && key.as_str().starts_with(prefix(rule))
    };
    if configuration.rules().iter().any(covers) {
        ReplicationCoverage::Covered
    } else {
        ReplicationCoverage::NotCovered
    }
}

/// Returns a rule's prefix, from the three fields where the API has put it over time.
fn prefix(rule: &ReplicationRule) -> &str {
    let filter = rule.filter();
    let in_filter = filter.and_then(|filter| filter.prefix());
    let in_and = filter.and_then(|filter| filter.and()).and_then(|and| and.prefix());
    #[expect(deprecated, reason = "rules of the first schema version set it")]
    let in_rule = rule.prefix();
    in_filter.or(in_and).or(in_rule).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{ReplicationRuleAndOperator, ReplicationRuleFilter};

    use super::*;

    fn rule(bucket: &str, prefix: &str, status: ReplicationRuleStatus) -> ReplicationRule {
        ReplicationRule::builder()
            .status(status)
            .destination(
                Destination::builder()
                    .bucket(format!("arn:aws:s3:::{bucket}"))
                    .build()
                    .unwrap(),
            )
            .filter(ReplicationRuleFilter::builder().prefix(prefix).build())
            .build()
            .unwrap()
    }

    #[track_caller]
    fn check(rule: ReplicationRule, expected: ReplicationCoverage) {
        let configuration = ReplicationConfiguration::builder()
            .role("role")
            .rules(rule)
            .build()
            .unwrap();
        let key = ObjectKey::from_raw("data/a").unwrap();
        let destination = BucketName::new("destination").unwrap();
        assert_eq!(coverage(&configuration, &key, &destination), expected);
    }

    #[test]
    fn only_enabled_rules_to_the_destination_that_cover_the_key_count() {
        use ReplicationCoverage::{Covered, NotCovered};
        use ReplicationRuleStatus::{Disabled, Enabled};
        check(rule("destination", "", Enabled), Covered);
        check(rule("destination", "data/", Enabled), Covered);
        check(rule("destination", "logs/", Enabled), NotCovered);
        check(rule("destination", "", Disabled), NotCovered);
        check(rule("other", "", Enabled), NotCovered);
        let mut with_and = rule("destination", "", Enabled);
        let and = ReplicationRuleAndOperator::builder().prefix("logs/").build();
        with_and.filter = Some(ReplicationRuleFilter::builder().and(and).build());
        check(with_and, NotCovered);
    }
}
