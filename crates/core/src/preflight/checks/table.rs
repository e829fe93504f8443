//! IDs, meanings and commands of all checks.

use super::{PreflightCheck, access, buckets, data, encryption, events, lifecycle, limits, policies, s3api};

/// All checks, in the order of the documentation.
pub const CHECKS: &[PreflightCheck] = &[
    PreflightCheck {
        id: "buckets-exist",
        finds: "fail: a bucket does not exist",
        meaning: "Both buckets exist and can be reached. No other check can be answered without them.",
        command: |facts| s3api("head-bucket", &facts.destination),
        find: buckets::exist,
    },
    PreflightCheck {
        id: "bucket-regions",
        finds: "fail: a bucket is in another region; warn: both are in one region",
        meaning: "Each bucket is in the region that was named. A request to another region is refused.",
        command: |facts| s3api("get-bucket-location", &facts.source),
        find: buckets::regions,
    },
    PreflightCheck {
        id: "bucket-owners",
        finds: "fail: another account owns a bucket; warn: the account of the credentials does not own it, and no owner is expected",
        meaning: "The expected accounts own the buckets. Another account can take the name of a deleted bucket.",
        command: |facts| {
            format!(
                "{} --expected-bucket-owner ACCOUNT",
                s3api("head-bucket", &facts.source)
            )
        },
        find: buckets::owners,
    },
    PreflightCheck {
        id: "opt-in-regions",
        finds: "warn: a region is an opt-in region",
        meaning: "Every account that takes part must enable an opt-in region, and session tokens of the global STS endpoint \
                  are not valid there.",
        command: |facts| {
            format!(
                "aws account get-region-opt-status --region-name {}",
                facts.destination.region
            )
        },
        find: buckets::opt_in_regions,
    },
    PreflightCheck {
        id: "source-versioning",
        finds: "fail: off or suspended with `crr` or `both`; warn: suspended",
        meaning: "S3 replication requires versioning at the source.",
        command: |facts| s3api("get-bucket-versioning", &facts.source),
        find: buckets::source_versioning,
    },
    PreflightCheck {
        id: "destination-versioning",
        finds: "fail: not enabled with `crr`, `both` or shared ownership; warn: not enabled",
        meaning: "Shared ownership and S3 replication require versioning at the destination. Without it, an overwrite or \
                  delete there cannot be undone.",
        command: |facts| s3api("get-bucket-versioning", &facts.destination),
        find: buckets::destination_versioning,
    },
    PreflightCheck {
        id: "versioning-age",
        finds: "warn: no version is older than 15 minutes",
        meaning: "For up to 15 minutes after versioning is first enabled, S3 may answer 404 for objects that exist.",
        command: |facts| format!("{} --max-items 1", s3api("list-object-versions", &facts.source)),
        find: buckets::versioning_age,
    },
    PreflightCheck {
        id: "notifications",
        finds: "fail: a notification overlaps with the events that the stack needs; names its ID and the way out",
        meaning: "S3 accepts no two notifications for the same event of a key. An existing one keeps the stack from deploying.",
        command: |facts| s3api("get-bucket-notification-configuration", &facts.source),
        find: events::notifications,
    },
    PreflightCheck {
        id: "replication-rules",
        finds: "fail: other rules use another role or the old form, with `crr` or `both`; warn: other rules",
        meaning: "S3 allows one replication role per bucket, and no rules of the old form beside new ones.",
        command: |facts| s3api("get-bucket-replication", &facts.source),
        find: events::replication_rules,
    },
    PreflightCheck {
        id: "destination-replication",
        finds: "fail: an enabled rule replicates back to the source; warn: any other enabled rule",
        meaning: "Replication rules of the destination copy every copy once more.",
        command: |facts| s3api("get-bucket-replication", &facts.destination),
        find: events::destination_replication,
    },
    PreflightCheck {
        id: "default-encryption",
        finds: "fail: the default key is in another region; warn: a KMS key, or a weaker default at the destination",
        meaning: "Copies get the default encryption of the destination. A KMS key must be in the bucket's region, and the \
                  roles need permission to use it.",
        command: |facts| s3api("get-bucket-encryption", &facts.destination),
        find: encryption::default_encryption,
    },
    PreflightCheck {
        id: "kms-key-policies",
        finds: "fail: a key is not enabled, or its policy neither delegates to IAM nor names a role of the stack",
        meaning: "The key policies of both sides must let the roles of the stack use the keys.",
        command: |_| "aws kms get-key-policy --policy-name default --key-id KEY".to_owned(),
        find: encryption::key_policies,
    },
    PreflightCheck {
        id: "customer-keys",
        finds: "fail: objects under SSE-C; warn: the destination blocks SSE-C and the source does not",
        meaning: "Only the owner of a customer-provided key (SSE-C) can copy its objects. New buckets block SSE-C since April \
                  2026.",
        command: |facts| s3api("get-bucket-encryption", &facts.destination),
        find: encryption::customer_keys,
    },
    PreflightCheck {
        id: "object-ownership",
        finds: "warn: the source has access control lists",
        meaning: "Access control lists of objects are not copied, unless you ask for it and both buckets have them.",
        command: |facts| s3api("get-bucket-ownership-controls", &facts.source),
        find: access::object_ownership,
    },
    PreflightCheck {
        id: "object-lock",
        finds: "fail: the source has Object Lock and the destination does not; warn: a default retention at the destination",
        meaning: "Copies are locked only if the destination has Object Lock. Locked copies cannot be removed in a rollback.",
        command: |facts| s3api("get-object-lock-configuration", &facts.destination),
        find: lifecycle::object_lock,
    },
    PreflightCheck {
        id: "source-lifecycle",
        finds: "warn: an enabled rule expires or archives current objects",
        meaning: "A rule that expires or archives objects during the migration races with their copies.",
        command: |facts| s3api("get-bucket-lifecycle-configuration", &facts.source),
        find: lifecycle::source,
    },
    PreflightCheck {
        id: "destination-lifecycle",
        finds: "warn: an enabled rule expires or archives copies, or aborts multipart copies within two days",
        meaning: "A rule of the destination can expire or archive copies before the cutover.",
        command: |facts| s3api("get-bucket-lifecycle-configuration", &facts.destination),
        find: lifecycle::destination,
    },
    PreflightCheck {
        id: "age-reset",
        finds: "warn: an enabled rule of the source counts days",
        meaning: "A copy begins with age zero: rules that count days fire later, and the storage costs last longer.",
        command: |facts| s3api("get-bucket-lifecycle-configuration", &facts.source),
        find: lifecycle::age_reset,
    },
    PreflightCheck {
        id: "archived-objects",
        finds: "fail: objects in `GLACIER` or `DEEP_ARCHIVE`",
        meaning: "An archived object cannot be copied until it is restored.",
        command: |facts| s3api("list-objects-v2", &facts.source),
        find: data::archived,
    },
    PreflightCheck {
        id: "intelligent-tiering",
        finds: "warn: objects in Intelligent-Tiering",
        meaning: "A copy in Intelligent-Tiering begins in the Frequent Access tier. Objects in the archive tiers must be restored.",
        command: |facts| s3api("list-bucket-intelligent-tiering-configurations", &facts.source),
        find: data::intelligent_tiering,
    },
    PreflightCheck {
        id: "large-objects",
        finds: "fail: above 48.8 TiB; warn: above 100 GiB or 5 GiB",
        meaning: "Objects above 5 GiB need a multipart copy, which S3's own copy operation does not do. Those above some 100 GB \
                  need several invocations.",
        command: |facts| s3api("list-objects-v2", &facts.source),
        find: data::large,
    },
    PreflightCheck {
        id: "odd-keys",
        finds: "fail: white space only; warn: leading slash, `//`, `.` or `..` segments, control characters, not NFC, 1,024 bytes, `+`, `%`",
        meaning: "s3ferry copies these keys unchanged, except those of white space only. Other programs may change or skip them.",
        command: |facts| s3api("list-objects-v2", &facts.source),
        find: data::odd_keys,
    },
    PreflightCheck {
        id: "noncurrent-versions",
        finds: "warn: noncurrent versions or delete markers, with their bytes",
        meaning: "s3ferry copies current objects only. Noncurrent versions and delete markers remain at the source.",
        command: |facts| s3api("list-object-versions", &facts.source),
        find: data::noncurrent,
    },
    PreflightCheck {
        id: "incomplete-uploads",
        finds: "warn: multipart uploads in progress on either side",
        meaning: "An upload that began earlier completes with the bucket configuration of its start, even after a cutover.",
        command: |facts| s3api("list-multipart-uploads", &facts.source),
        find: data::incomplete_uploads,
    },
    PreflightCheck {
        id: "requester-pays",
        finds: "warn: either bucket is a Requester Pays bucket",
        meaning: "Copies from a Requester Pays bucket work only with credentials of its own account.",
        command: |facts| s3api("get-bucket-request-payment", &facts.source),
        find: access::requester_pays,
    },
    PreflightCheck {
        id: "source-policy",
        finds: "fail: a statement denies everyone an action that s3ferry needs; warn: it denies some principals, or on a condition",
        meaning: "A Deny in the source's bucket policy can keep the roles of the stack from reading it.",
        command: |facts| s3api("get-bucket-policy", &facts.source),
        find: policies::source,
    },
    PreflightCheck {
        id: "destination-policy",
        finds: "fail: a statement denies everyone an action that s3ferry needs; warn: it demands headers, denies some principals, or on a condition",
        meaning: "A Deny in the destination's bucket policy can refuse copies, or demand headers that copies do not have.",
        command: |facts| s3api("get-bucket-policy", &facts.destination),
        find: policies::destination,
    },
    PreflightCheck {
        id: "service-writers",
        finds: "warn: a policy, a grant or an object shows access logs, CloudTrail, inventories or replication into the source",
        meaning: "AWS services that write to the source must be moved before you freeze it: they do not retry elsewhere.",
        command: |facts| s3api("get-bucket-policy", &facts.source),
        find: access::service_writers,
    },
    PreflightCheck {
        id: "vpc-endpoints",
        finds: "fail: a Deny requires a VPC or VPC endpoint; warn: an Allow does",
        meaning: "Cross-region copies do not pass S3 VPC endpoints, so a policy that requires one refuses them.",
        command: |facts| s3api("get-bucket-policy", &facts.source),
        find: policies::vpc_endpoints,
    },
    PreflightCheck {
        id: "transfer-acceleration",
        finds: "warn: enabled at the source only",
        meaning: "S3 rejects cross-region copies on the accelerated endpoint; copies do not get faster by it. Applications that \
                  use the endpoint need it at the destination too.",
        command: |facts| s3api("get-bucket-accelerate-configuration", &facts.source),
        find: limits::transfer_acceleration,
    },
    PreflightCheck {
        id: "annotations",
        finds: "warn: objects with annotations",
        meaning: "Annotations are not in inventories, and not available in every region. Comparisons of listings miss them.",
        command: |facts| format!("{} --key KEY", s3api("list-object-annotations", &facts.source)),
        find: data::annotations,
    },
    PreflightCheck {
        id: "lambda-concurrency",
        finds: "fail: below 2 unreserved executions; warn: 10 or less",
        meaning: "The functions share the account's concurrency in the source region. A new account has 10.",
        command: |facts| format!("aws lambda get-account-settings --region {}", facts.source.region),
        find: limits::lambda_concurrency,
    },
    PreflightCheck {
        id: "queue-message-size",
        finds: "fail: the queue of `--stack` takes less than 64 KB; warn: less than 1 MiB",
        meaning: "S3 sends messages of up to 64 KB, and drops an event without a trace if the queue refuses it.",
        command: |_| "aws sqs get-queue-attributes --attribute-names MaximumMessageSize --queue-url URL".to_owned(),
        find: limits::queue_message_size,
    },
    PreflightCheck {
        id: "batch-jobs",
        finds: "warn: unfinished jobs",
        meaning: "Jobs of S3 Batch Operations in the account share its throughput, and run by their priority.",
        command: |facts| {
            format!(
                "aws s3control list-jobs --account-id ACCOUNT --region {}",
                facts.source.region
            )
        },
        find: limits::batch_jobs,
    },
];
