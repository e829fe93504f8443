//! Lossless conversion of notification configurations between the SDK's types and the core's.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::{
    Event, EventBridgeConfiguration, FilterRule as SdkFilterRule, FilterRuleName, LambdaFunctionConfiguration,
    NotificationConfiguration as SdkNotification, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
    TopicConfiguration,
};
use s3ferry_core::wiring::notification::FilterRule;
use s3ferry_core::wiring::{KeyFilter, NotificationConfiguration, NotificationEntry};

/// Converts S3's response.
pub(crate) fn from_sdk(answer: &GetBucketNotificationConfigurationOutput) -> NotificationConfiguration {
    let queue = |entry: &QueueConfiguration| read_entry(entry.id(), entry.queue_arn(), entry.events(), entry.filter());
    let topic = |entry: &TopicConfiguration| read_entry(entry.id(), entry.topic_arn(), entry.events(), entry.filter());
    let function = |entry: &LambdaFunctionConfiguration| {
        read_entry(entry.id(), entry.lambda_function_arn(), entry.events(), entry.filter())
    };
    NotificationConfiguration {
        queues: answer.queue_configurations().iter().map(queue).collect(),
        topics: answer.topic_configurations().iter().map(topic).collect(),
        functions: answer.lambda_function_configurations().iter().map(function).collect(),
        event_bridge: answer.event_bridge_configuration().is_some(),
    }
}

fn read_entry(
    id: Option<&str>,
    arn: &str,
    events: &[Event],
    filter: Option<&NotificationConfigurationFilter>,
) -> NotificationEntry {
    NotificationEntry {
        id: id.map(str::to_owned),
        arn: arn.to_owned(),
        events: events.iter().map(|event| event.as_str().to_owned()).collect(),
        filter: match filter.map(NotificationConfigurationFilter::key) {
            None => KeyFilter::Absent,
            Some(None) => KeyFilter::Empty,
            Some(Some(key)) => KeyFilter::Rules(key.filter_rules().iter().map(read_rule).collect()),
        },
    }
}

/// Converts a filter rule. The name is preserved as spelled, `Prefix` or `prefix`.
fn read_rule(rule: &SdkFilterRule) -> FilterRule {
    FilterRule {
        name: rule.name().map(|name| name.as_str().to_owned()),
        value: rule.value().map(str::to_owned),
    }
}

/// Converts a configuration to the SDK's type.
pub(super) fn to_sdk(configuration: &NotificationConfiguration) -> Result<SdkNotification, BuildError> {
    let queue = |entry: &NotificationEntry| {
        QueueConfiguration::builder()
            .set_id(entry.id.clone())
            .queue_arn(&entry.arn)
            .set_events(Some(events(entry)))
            .set_filter(filter(entry))
            .build()
    };
    let topic = |entry: &NotificationEntry| {
        TopicConfiguration::builder()
            .set_id(entry.id.clone())
            .topic_arn(&entry.arn)
            .set_events(Some(events(entry)))
            .set_filter(filter(entry))
            .build()
    };
    let function = |entry: &NotificationEntry| {
        LambdaFunctionConfiguration::builder()
            .set_id(entry.id.clone())
            .lambda_function_arn(&entry.arn)
            .set_events(Some(events(entry)))
            .set_filter(filter(entry))
            .build()
    };
    let event_bridge = configuration
        .event_bridge
        .then(|| EventBridgeConfiguration::builder().build());
    Ok(SdkNotification::builder()
        .set_queue_configurations(Some(configuration.queues.iter().map(queue).collect::<Result<_, _>>()?))
        .set_topic_configurations(Some(configuration.topics.iter().map(topic).collect::<Result<_, _>>()?))
        .set_lambda_function_configurations(Some(
            configuration.functions.iter().map(function).collect::<Result<_, _>>()?,
        ))
        .set_event_bridge_configuration(event_bridge)
        .build())
}

fn events(entry: &NotificationEntry) -> Vec<Event> {
    entry.events.iter().map(|event| Event::from(event.as_str())).collect()
}

fn filter(entry: &NotificationEntry) -> Option<NotificationConfigurationFilter> {
    let rule = |rule: &FilterRule| {
        SdkFilterRule::builder()
            .set_name(rule.name.as_deref().map(FilterRuleName::from))
            .set_value(rule.value.clone())
            .build()
    };
    let key = match &entry.filter {
        KeyFilter::Absent => return None,
        KeyFilter::Empty => None,
        KeyFilter::Rules(rules) => Some(
            S3KeyFilter::builder()
                .set_filter_rules(Some(rules.iter().map(rule).collect()))
                .build(),
        ),
    };
    Some(NotificationConfigurationFilter::builder().set_key(key).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: Option<&str>, event: &str, filter: KeyFilter) -> NotificationEntry {
        NotificationEntry {
            id: id.map(str::to_owned),
            arn: "arn".to_owned(),
            events: vec![event.to_owned(), "s3:UnknownEvent:*".to_owned()],
            filter,
        }
    }

    #[test]
    fn configuration_is_unchanged_after_both_conversions() {
        let rule = |name: &str| FilterRule {
            name: Some(name.to_owned()),
            value: Some("a+b%2B/".to_owned()),
        };
        let nameless = FilterRule {
            name: None,
            value: None,
        };
        let rules = KeyFilter::Rules(vec![
            rule("Suffix"),
            rule("prefix"),
            rule("Prefix"),
            rule("Size"),
            nameless,
        ]);
        for event_bridge in [false, true] {
            let configuration = NotificationConfiguration {
                queues: vec![
                    entry(Some("q"), "s3:ObjectCreated:*", rules.clone()),
                    entry(None, "x", KeyFilter::Empty),
                ],
                topics: vec![entry(Some("t"), "s3:ObjectAcl:Put", KeyFilter::Absent)],
                functions: vec![entry(Some("f"), "s3:Replication:*", KeyFilter::Rules(Vec::new()))],
                event_bridge,
            };
            let sdk = to_sdk(&configuration).unwrap();
            let answer = GetBucketNotificationConfigurationOutput::builder()
                .set_queue_configurations(sdk.queue_configurations)
                .set_topic_configurations(sdk.topic_configurations)
                .set_lambda_function_configurations(sdk.lambda_function_configurations)
                .set_event_bridge_configuration(sdk.event_bridge_configuration)
                .build();
            assert_eq!(from_sdk(&answer), configuration);
        }
    }
}
