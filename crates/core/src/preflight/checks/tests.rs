//! Every check with facts that pass, facts that do not, and a denied reading.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{
    AccountFacts, BucketEncryptionFacts, BucketExistence, BucketFacts, KeyFacts, KeyState, LambdaLimits,
    LifecycleRuleFacts, MigrationChoices, ObjectOwnership, PreflightFacts, ReplicationFacts, ReplicationRuleFacts,
    StackFacts, UploadFacts,
};
use super::super::policy_document::PolicyDocument;
use super::super::reading::{Reading, UnknownReading, UnknownReason};
use super::super::report::{CheckSeverity, PreflightReport};
use super::super::sample::{HeadSample, ObjectSample, SampleOrigin, VersionSample};
use super::CHECKS;
use crate::acl::{Grant, Grantee};
use crate::bucket_settings::BucketObjectLock;
use crate::facts::samples::object;
use crate::facts::{Encryption, ExplicitEncryption, KmsEncryption, ReplicationStatus};
use crate::listing::{ListedObject, StorageClassName};
use crate::lock::{DefaultRetention, RetentionMode};
use crate::names::{AccountId, BucketName, ObjectKey, Region};
use crate::policy::Ownership;
use crate::time::Timestamp;
use crate::wiring::{
    EventSource, KeyFilter, NotificationConfiguration, NotificationEntry, ReplicationEngine, Versioning,
};
use CheckSeverity::{Fail, Pass, Unknown, Warn};
use Reading::Known;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1";

fn denied<T>() -> Reading<T> {
    Reading::Unknown(UnknownReading {
        reason: UnknownReason::Denied,
        action: "s3:Get".to_owned(),
        detail: "no".to_owned(),
    })
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::from_raw(name).unwrap()
}

fn bucket(name: &str, region: &str) -> BucketFacts {
    BucketFacts {
        name: BucketName::new(name).unwrap(),
        region: Region::new(region).unwrap(),
        expected_owner: None,
        existence: Known(BucketExistence::Exists {
            region: Some(region.to_owned()),
        }),
        is_callers: Known(true),
        versioning: Known(Versioning::Enabled),
        notification: Known(NotificationConfiguration::default()),
        replication: Known(None),
        encryption: Known(BucketEncryptionFacts {
            default: ExplicitEncryption::Managed,
            blocks_customer_keys: true,
        }),
        policy: Known(None),
        ownership: Known(ObjectOwnership::BucketOwnerEnforced),
        grants: Known(Vec::new()),
        object_lock: Known(None),
        lifecycle: Known(Vec::new()),
        requester_pays: Known(false),
        accelerated: Known(false),
        logging_target: Known(None),
        inventories: Known(Vec::new()),
        archive_tierings: Known(Vec::new()),
        uploads: Known(UploadFacts::default()),
    }
}

/// Facts with which every check passes.
fn healthy() -> PreflightFacts {
    PreflightFacts {
        choices: MigrationChoices {
            engine: ReplicationEngine::Lambda,
            event_source: EventSource::Queue,
            ownership: Ownership::Exclusive,
            propagate_deletes: false,
            prefix: "images/".to_owned(),
            now: NOW,
        },
        source: bucket("app-data", "us-east-1"),
        destination: bucket("app-data-eu", "eu-central-1"),
        objects: Known(ObjectSample::new(SampleOrigin::Listing)),
        versions: Known(VersionSample {
            complete: true,
            listed: 1,
            oldest_with_id: Some(Timestamp::from_seconds(1_700_000_000)),
            ..VersionSample::default()
        }),
        heads: Known(HeadSample::default()),
        account: AccountFacts {
            caller: Known(AccountId::new("123456789012").unwrap()),
            lambda: Known(LambdaLimits {
                concurrent: 1000,
                unreserved: 1000,
            }),
            batch_jobs: Known(0),
        },
        keys: Vec::new(),
        stack: Some(StackFacts {
            name: "ferry".to_owned(),
            queue_arn: Known("arn:aws:sqs:us-east-1:123456789012:ferry".to_owned()),
            queue_message_bytes: Known(1_048_576),
        }),
    }
}

fn listed(name: &str, size_bytes: u64, class: &str) -> impl Fn(&mut PreflightFacts) + use<> {
    let row = ListedObject {
        key: key(name),
        size_bytes,
        etag: None,
        last_modified: Timestamp::from_seconds(1_700_000_000),
        storage_class: StorageClassName::new(class),
    };
    move |facts| {
        if let Known(objects) = &mut facts.objects {
            objects.take(&row);
        }
    }
}

fn heads(facts: &mut PreflightFacts) -> &mut HeadSample {
    match &mut facts.heads {
        Known(heads) => heads,
        Reading::Unknown(_) => panic!("no heads"),
    }
}

fn policy(text: &str) -> Reading<Option<PolicyDocument>> {
    let statement = format!(r#"{{"Statement":[{}]}}"#, text.replace('\'', "\""));
    Known(Some(PolicyDocument::parse(&statement).unwrap()))
}

fn rules(destination: &str) -> Reading<Option<ReplicationFacts>> {
    Known(Some(ReplicationFacts {
        role: "arn:aws:iam::123456789012:role/other".to_owned(),
        rules: vec![ReplicationRuleFacts {
            id: "to-backup".to_owned(),
            enabled: true,
            has_filter: true,
            destination_arn: destination.to_owned(),
        }],
    }))
}

fn lifecycle(change: impl Fn(&mut LifecycleRuleFacts)) -> Reading<Vec<LifecycleRuleFacts>> {
    let mut rule = LifecycleRuleFacts {
        id: "rule".to_owned(),
        enabled: true,
        ..LifecycleRuleFacts::default()
    };
    change(&mut rule);
    Known(vec![rule])
}

fn entry(id: &str, arn: &str, event: &str) -> NotificationEntry {
    NotificationEntry {
        id: Some(id.to_owned()),
        arn: arn.to_owned(),
        events: vec![event.to_owned()],
        filter: KeyFilter::Absent,
    }
}

fn notified(entry: NotificationEntry) -> Reading<NotificationConfiguration> {
    Known(NotificationConfiguration {
        queues: vec![entry],
        ..NotificationConfiguration::default()
    })
}

fn under(key: &str) -> Reading<BucketEncryptionFacts> {
    Known(BucketEncryptionFacts {
        default: ExplicitEncryption::Kms(KmsEncryption {
            key_arn: Some(key.to_owned()),
            ..KmsEncryption::default()
        }),
        blocks_customer_keys: true,
    })
}

fn kms_key(state: &str, policy: &str) -> KeyFacts {
    KeyFacts {
        key: KEY.to_owned(),
        region: Region::new("us-east-1").unwrap(),
        of_source: true,
        state: Known(KeyState {
            state: state.to_owned(),
            aws_managed: false,
        }),
        policy: Known(PolicyDocument::parse(&policy.replace('\'', "\"")).unwrap()),
    }
}

type Change = Box<dyn Fn(&mut PreflightFacts)>;

/// Facts that a check does not pass, with the severity and a part of the evidence or fix.
fn problems() -> Vec<(&'static str, CheckSeverity, &'static str, Change)> {
    let mut rows = bucket_problems();
    rows.extend(access_problems());
    rows.extend(data_problems());
    rows
}

fn row(
    id: &'static str,
    severity: CheckSeverity,
    text: &'static str,
    change: impl Fn(&mut PreflightFacts) + 'static,
) -> (&'static str, CheckSeverity, &'static str, Change) {
    (id, severity, text, Box::new(change))
}

#[expect(clippy::too_many_lines, reason = "one entry for each check")]
fn bucket_problems() -> Vec<(&'static str, CheckSeverity, &'static str, Change)> {
    vec![
        row("buckets-exist", Fail, "create-bucket", |facts| {
            facts.destination.existence = Known(BucketExistence::Missing);
        }),
        row("bucket-regions", Fail, "--source-region eu-west-1", |facts| {
            facts.source.existence = Known(BucketExistence::Exists {
                region: Some("eu-west-1".to_owned()),
            });
        }),
        row("bucket-regions", Warn, "both buckets are in", |facts| {
            facts.destination = bucket("app-data-eu", "us-east-1");
        }),
        row("bucket-owners", Fail, "does not own the source bucket", |facts| {
            facts.source.expected_owner = Some(AccountId::new("111122223333").unwrap());
            facts.source.existence = Known(BucketExistence::OtherOwner);
        }),
        row("bucket-owners", Warn, "--destination-bucket-owner", |facts| {
            facts.destination.is_callers = Known(false);
        }),
        row(
            "opt-in-regions",
            Warn,
            "get-region-opt-status --region-name me-south-1",
            |facts| {
                facts.destination = bucket("app-data-me", "me-south-1");
            },
        ),
        row("source-versioning", Fail, "Status=Enabled", |facts| {
            facts.choices.engine = ReplicationEngine::Crr;
            facts.source.versioning = Known(Versioning::Off);
        }),
        row("source-versioning", Warn, "Suspended", |facts| {
            facts.source.versioning = Known(Versioning::Suspended);
        }),
        row("destination-versioning", Warn, "put-bucket-versioning", |facts| {
            facts.destination.versioning = Known(Versioning::Off);
        }),
        row("destination-versioning", Fail, "shared ownership", |facts| {
            facts.choices.ownership = Ownership::Shared;
            facts.destination.versioning = Known(Versioning::Suspended);
        }),
        row("versioning-age", Warn, "wait 15 minutes", |facts| {
            facts.versions = Known(VersionSample {
                listed: 1,
                oldest_with_id: Some(NOW.minus(std::time::Duration::from_mins(1))),
                ..VersionSample::default()
            });
        }),
        row("notifications", Fail, "`thumbs`", |facts| {
            facts.source.notification = notified(entry("thumbs", "arn:other", "s3:ObjectCreated:Put"));
        }),
        row("replication-rules", Warn, "`to-backup`", |facts| {
            facts.source.replication = rules("arn:aws:s3:::backup");
        }),
        row("replication-rules", Fail, "ReplicationRoleArn=arn", |facts| {
            facts.choices.engine = ReplicationEngine::Both;
            facts.source.replication = rules("arn:aws:s3:::backup");
        }),
        row("destination-replication", Warn, "arn:aws:s3:::backup", |facts| {
            facts.destination.replication = rules("arn:aws:s3:::backup");
        }),
        row("destination-replication", Fail, "return to it", |facts| {
            facts.destination.replication = rules("arn:aws:s3:::app-data");
        }),
        row(
            "default-encryption",
            Warn,
            "SourceKmsKeyArn=arn:aws:kms:us-east-1",
            |facts| {
                facts.source.encryption = under(KEY);
            },
        ),
        row(
            "default-encryption",
            Fail,
            "is in us-east-1, not in eu-central-1",
            |facts| {
                facts.destination.encryption = under(KEY);
            },
        ),
        row("kms-key-policies", Fail, "neither delegates to IAM", |facts| {
            let one = "{'Statement':{'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::1:role/app'},'Action':'kms:*'}}";
            facts.keys = vec![kms_key("Enabled", one)];
        }),
        row("kms-key-policies", Fail, "is Disabled", |facts| {
            facts.keys = vec![kms_key("Disabled", "{'Statement':[]}")];
        }),
        row("customer-keys", Fail, "customer-provided keys", |facts| {
            let mut found = object("aa");
            found.encryption = Encryption::CustomerKey;
            heads(facts).take(&key("secret"), &found);
        }),
        row("customer-keys", Warn, "the destination blocks it", |facts| {
            if let Known(encryption) = &mut facts.source.encryption {
                encryption.blocks_customer_keys = false;
            }
        }),
        row("object-lock", Fail, "ObjectLockEnabled=Enabled", |facts| {
            facts.source.object_lock = Known(Some(BucketObjectLock::default()));
        }),
        row("object-lock", Warn, "for 7 days", |facts| {
            let default = DefaultRetention {
                mode: RetentionMode::Governance,
                days: 7,
            };
            facts.destination.object_lock = Known(Some(BucketObjectLock { default: Some(default) }));
        }),
    ]
}

fn access_problems() -> Vec<(&'static str, CheckSeverity, &'static str, Change)> {
    vec![
        row("object-ownership", Warn, "Acl=copy", |facts| {
            facts.source.ownership = Known(ObjectOwnership::ObjectWriter);
        }),
        row("requester-pays", Warn, "Requester Pays", |facts| {
            facts.source.requester_pays = Known(true);
        }),
        row("source-policy", Fail, "`no-reads` denies s3:GetObject", |facts| {
            facts.source.policy = policy(
                "{'Sid':'no-reads','Effect':'Deny','Principal':'*','Action':'s3:GetObject','Resource':'arn:aws:s3:::app-data/*'}",
            );
        }),
        row("destination-policy", Warn, "s3:x-amz-server-side-encryption", |facts| {
            facts.destination.policy = policy(
                "{'Effect':'Deny','Principal':'*','Action':'s3:PutObject','Resource':'arn:aws:s3:::app-data-eu/*',
                  'Condition':{'StringNotEquals':{'s3:x-amz-server-side-encryption':'aws:kms'}}}",
            );
        }),
        row("service-writers", Warn, "CloudTrail", |facts| {
            facts.source.policy = policy(
                "{'Effect':'Allow','Principal':{'Service':'cloudtrail.amazonaws.com'},'Action':'s3:PutObject','Resource':'*'}",
            );
        }),
        row("service-writers", Warn, "LogDelivery", |facts| {
            let uri = "http://acs.amazonaws.com/groups/s3/LogDelivery".to_owned();
            facts.source.grants = Known(vec![Grant {
                grantee: Grantee::Group(uri),
                permission: "WRITE".to_owned(),
            }]);
        }),
        row("service-writers", Warn, "replication from another bucket", |facts| {
            let mut found = object("aa");
            found.replication_status = Some(ReplicationStatus::Replica);
            heads(facts).take(&key("a"), &found);
        }),
        row("vpc-endpoints", Fail, "aws:SourceVpce vpce-1", |facts| {
            facts.source.policy = policy(
                "{'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::app-data/*',
                  'Condition':{'StringNotEquals':{'aws:SourceVpce':'vpce-1'}}}",
            );
        }),
        row("transfer-acceleration", Warn, "Status=Enabled", |facts| {
            facts.source.accelerated = Known(true);
        }),
        row("lambda-concurrency", Warn, "10 concurrent", |facts| {
            facts.account.lambda = Known(LambdaLimits {
                concurrent: 10,
                unreserved: 10,
            });
        }),
        row("lambda-concurrency", Fail, "0 of them unreserved", |facts| {
            facts.account.lambda = Known(LambdaLimits {
                concurrent: 10,
                unreserved: 0,
            });
        }),
        row("queue-message-size", Fail, "MaximumMessageSize=1048576", |facts| {
            facts.stack.as_mut().unwrap().queue_message_bytes = Known(1024);
        }),
        row("batch-jobs", Warn, "2 unfinished", |facts| {
            facts.account.batch_jobs = Known(2);
        }),
    ]
}

fn data_problems() -> Vec<(&'static str, CheckSeverity, &'static str, Change)> {
    const GIB: u64 = 1 << 30;
    vec![
        row("source-lifecycle", Warn, "expires objects after 30 days", |facts| {
            facts.source.lifecycle = lifecycle(|rule| rule.expires_after_days = Some(30));
        }),
        row("destination-lifecycle", Warn, "moves objects to GLACIER", |facts| {
            facts.destination.lifecycle = lifecycle(|rule| rule.transitions = vec![(Some(1), "GLACIER".to_owned())]);
        }),
        row("destination-lifecycle", Warn, "aborts multipart copies", |facts| {
            facts.destination.lifecycle = lifecycle(|rule| rule.aborts_uploads_after_days = Some(1));
        }),
        row("age-reset", Warn, "counts 90 days", |facts| {
            facts.source.lifecycle = lifecycle(|rule| rule.transitions = vec![(Some(90), "STANDARD_IA".to_owned())]);
        }),
        row("archived-objects", Fail, "GLACIER", listed("a", 1, "DEEP_ARCHIVE")),
        row(
            "intelligent-tiering",
            Warn,
            "Intelligent-Tiering",
            listed("a", 1, "INTELLIGENT_TIERING"),
        ),
        row("large-objects", Warn, "above 5 GiB", listed("a", 6 * GIB, "")),
        row("large-objects", Warn, "above 100 GiB", listed("a", 101 * GIB, "")),
        row("large-objects", Fail, "48.8 TiB", listed("a", 60_000 * GIB, "")),
        row("odd-keys", Warn, "leading slash", listed("/a", 1, "")),
        row("odd-keys", Warn, "double slash", listed("a//b", 1, "")),
        row("odd-keys", Warn, "segment", listed("a/../b", 1, "")),
        row("odd-keys", Warn, "control character", listed("a\u{1}", 1, "")),
        row("odd-keys", Warn, "NFC", listed("e\u{301}", 1, "")),
        row("odd-keys", Warn, "1,024", listed(&"x".repeat(1024), 1, "")),
        row("odd-keys", Warn, "`+`", listed("a+b", 1, "")),
        row("odd-keys", Warn, "`%`", listed("a%b", 1, "")),
        row("odd-keys", Fail, "only white space", listed(" \t", 1, "")),
        row(
            "noncurrent-versions",
            Warn,
            "2 noncurrent versions with 10 bytes, and 1 delete",
            |facts| {
                facts.versions = Known(VersionSample {
                    noncurrent: 2,
                    noncurrent_bytes: 10,
                    delete_markers: 1,
                    ..VersionSample::default()
                });
            },
        ),
        row("incomplete-uploads", Warn, "list-multipart-uploads", |facts| {
            facts.source.uploads = Known(UploadFacts {
                listed: 3,
                ..UploadFacts::default()
            });
        }),
        row("annotations", Warn, "--depth head", |facts| {
            let mut found = object("aa");
            found.annotations = Some(BTreeMap::from([("note".to_owned(), "etag".to_owned())]));
            heads(facts).take(&key("a"), &found);
        }),
    ]
}

/// Denied readings: the change, and all checks that become unknown.
fn denials() -> Vec<(&'static [&'static str], Change)> {
    fn of(
        ids: &'static [&'static str],
        change: impl Fn(&mut PreflightFacts) + 'static,
    ) -> (&'static [&'static str], Change) {
        (ids, Box::new(change))
    }
    vec![
        of(
            &["buckets-exist", "bucket-regions", "bucket-owners", "opt-in-regions"],
            |facts| facts.source.existence = denied(),
        ),
        of(&["bucket-owners"], |facts| facts.source.is_callers = denied()),
        of(&["source-versioning", "versioning-age"], |facts| {
            facts.source.versioning = denied();
        }),
        of(&["destination-versioning"], |facts| {
            facts.destination.versioning = denied();
        }),
        of(&["versioning-age", "noncurrent-versions"], |facts| {
            facts.versions = denied();
        }),
        of(&["notifications"], |facts| facts.source.notification = denied()),
        of(&["replication-rules"], |facts| facts.source.replication = denied()),
        of(&["destination-replication"], |facts| {
            facts.destination.replication = denied();
        }),
        of(&["default-encryption", "kms-key-policies", "customer-keys"], |facts| {
            facts.destination.encryption = denied();
        }),
        of(&["kms-key-policies"], |facts| {
            let mut key = kms_key("Enabled", "{'Statement':[]}");
            key.policy = denied();
            facts.keys = vec![key];
        }),
        of(&["object-ownership"], |facts| facts.source.ownership = denied()),
        of(&["service-writers"], |facts| facts.source.grants = denied()),
        of(&["object-lock"], |facts| facts.destination.object_lock = denied()),
        of(&["source-lifecycle", "age-reset"], |facts| {
            facts.source.lifecycle = denied();
        }),
        of(&["destination-lifecycle"], |facts| {
            facts.destination.lifecycle = denied();
        }),
        of(
            &["archived-objects", "intelligent-tiering", "large-objects", "odd-keys"],
            |facts| {
                facts.objects = denied();
            },
        ),
        of(&["incomplete-uploads"], |facts| facts.destination.uploads = denied()),
        of(&["requester-pays"], |facts| facts.source.requester_pays = denied()),
        of(&["source-policy", "service-writers", "vpc-endpoints"], |facts| {
            facts.source.policy = denied();
        }),
        of(&["destination-policy", "vpc-endpoints"], |facts| {
            facts.destination.policy = denied();
        }),
        of(&["transfer-acceleration"], |facts| {
            facts.source.accelerated = Known(true);
            facts.destination.accelerated = denied();
        }),
        of(
            &["kms-key-policies", "customer-keys", "service-writers", "annotations"],
            |facts| facts.heads = denied(),
        ),
        of(&["lambda-concurrency"], |facts| facts.account.lambda = denied()),
        of(&["queue-message-size"], |facts| {
            facts.stack.as_mut().unwrap().queue_message_bytes = denied();
        }),
        of(&["batch-jobs"], |facts| facts.account.batch_jobs = denied()),
    ]
}

fn report(change: &dyn Fn(&mut PreflightFacts), accepted: &[&str]) -> PreflightReport {
    let mut facts = healthy();
    change(&mut facts);
    let accepted = accepted.iter().map(|id| (*id).to_owned()).collect();
    PreflightReport::new(&facts, &accepted)
}

#[test]
fn every_check_passes_on_healthy_facts() {
    let report = report(&|_| (), &[]);
    let ids: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), CHECKS.len(), "an ID is used twice");
    for row in &report.rows {
        assert_eq!(row.severity, Pass, "{row:?}");
    }
    assert!(report.is_good());
}

#[test]
fn every_check_has_a_problem_that_it_finds_with_a_fix() {
    let mut found = BTreeSet::new();
    for (id, severity, text, change) in problems() {
        let report = report(&change, &[]);
        let row = report.rows.iter().find(|row| row.id == id).unwrap();
        assert_eq!(row.severity, severity, "{row:?}");
        let fix = row.fix.as_deref().unwrap_or_else(|| panic!("no fix: {row:?}"));
        assert!(format!("{} {fix}", row.evidence).contains(text), "{text}: {row:?}");
        assert_eq!(report.is_good(), report.count(Fail) == 0, "{report:?}");
        found.insert(id);
    }
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(found, all);
}

#[test]
fn denied_reading_makes_exactly_its_checks_unknown_until_they_are_accepted() {
    let mut found = BTreeSet::new();
    for (ids, change) in denials() {
        let rows = report(&change, &[]);
        let unknown: BTreeSet<&str> = rows
            .rows
            .iter()
            .filter(|row| row.severity == Unknown)
            .map(|row| row.id)
            .collect();
        assert_eq!(unknown, ids.iter().copied().collect());
        assert!(!rows.is_good());
        assert!(report(&change, ids).is_good());
        let first = &rows.rows[0];
        assert!(
            first
                .fix
                .as_ref()
                .is_some_and(|fix| fix.contains("grant s3:Get") && fix.contains("`aws ")),
            "{first:?}"
        );
        found.extend(unknown);
    }
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(found, all);
}

#[test]
fn entries_of_the_stack_do_not_overlap() {
    for own in [
        entry("s3ferry-ferry-0a1b2c3d", "arn:other", "s3:ObjectCreated:*"),
        entry("any", "arn:aws:sqs:us-east-1:123456789012:ferry", "s3:ObjectCreated:*"),
    ] {
        let change = move |facts: &mut PreflightFacts| facts.source.notification = notified(own.clone());
        assert!(report(&change, &[]).is_good());
    }
}

#[test]
fn key_policy_that_delegates_to_iam_or_names_the_stack_passes() {
    for principal in [
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:role/ferry-ReplicatorRole-X",
    ] {
        let policy =
            format!("{{'Statement':{{'Effect':'Allow','Principal':{{'AWS':'{principal}'}},'Action':'kms:*'}}}}");
        let change = move |facts: &mut PreflightFacts| facts.keys = vec![kms_key("Enabled", &policy)];
        assert!(report(&change, &[]).is_good(), "{principal}");
    }
}

#[test]
fn statement_about_tls_or_other_keys_denies_nothing() {
    for statement in [
        "{'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'*','Condition':{'Bool':{'aws:SecureTransport':false}}}",
        "{'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::app-data/logs/*'}",
        "{'Effect':'Deny','Principal':'*','Action':'s3:PutBucketPolicy','Resource':'arn:aws:s3:::app-data'}",
    ] {
        let change = move |facts: &mut PreflightFacts| facts.source.policy = policy(statement);
        assert!(
            report(&change, &[]).rows.iter().all(|row| row.severity == Pass),
            "{statement}"
        );
    }
}

#[test]
fn rows_are_sorted_worst_first() {
    let change = |facts: &mut PreflightFacts| {
        facts.source.existence = denied();
        facts.source.policy = policy("{'Effect':'Deny','Principal':'*','Action':'s3:GetObject','Resource':'*'}");
        facts.account.batch_jobs = Known(1);
    };
    let severities: Vec<CheckSeverity> = report(&change, &[]).rows.iter().map(|row| row.severity).collect();
    assert!(severities.is_sorted(), "{severities:?}");
    assert_eq!((severities[0], severities.last()), (Fail, Some(&Pass)));
}
