//! Objects, versions and uploads of the source.

use super::{CheckResult, joined, quoted};
use crate::numerals::grouped;
use crate::preflight::facts::PreflightFacts;
use crate::preflight::report::Finding;
use crate::preflight::sample::KeyOddity;

pub(super) fn archived(facts: &PreflightFacts) -> CheckResult {
    let objects = facts.objects.known()?;
    let in_archives = objects.in_classes(&["GLACIER", "DEEP_ARCHIVE"]);
    if in_archives == 0 {
        return Ok(Finding::pass(format!("none {}", objects.scope())));
    }
    Ok(Finding::fail(
        format!(
            "{} {} are in GLACIER or DEEP_ARCHIVE",
            grouped(in_archives),
            objects.scope()
        ),
        "restore them with an S3InitiateRestoreObject job of S3 Batch Operations over the manifest of `s3ferry manifest \
         --by-class`, or leave them at the source",
    ))
}

pub(super) fn intelligent_tiering(facts: &PreflightFacts) -> CheckResult {
    let objects = facts.objects.known()?;
    let tiered = objects.in_classes(&["INTELLIGENT_TIERING"]);
    if tiered == 0 {
        return Ok(Finding::pass(format!("none {}", objects.scope())));
    }
    let evidence = format!("{} {} are in Intelligent-Tiering", grouped(tiered), objects.scope());
    let heads = facts.heads.known()?;
    let configurations = facts.source.archive_tierings.known()?;
    if heads.archived.keys == 0 && configurations.is_empty() {
        return Ok(Finding::warn(
            format!("{evidence}, without archive tiers"),
            "expect the Frequent Access price for 30 days after the copy",
        ));
    }
    Ok(Finding::warn(
        format!(
            "{evidence}; configurations with archive tiers: {}; {} archived {}",
            if configurations.is_empty() {
                "none".to_owned()
            } else {
                quoted(configurations.iter().map(String::as_str))
            },
            heads.archived.described(),
            heads.scope()
        ),
        "restore objects of the archive tiers first: take the inventory column IntelligentTieringAccessTier for a manifest",
    ))
}

pub(super) fn large(facts: &PreflightFacts) -> CheckResult {
    let objects = facts.objects.known()?;
    let mut parts = Vec::new();
    if objects.above_maximum.keys > 0 {
        parts.push(Finding::fail(
            format!(
                "{} above 48.8 TiB, the maximum of a multipart upload",
                objects.above_maximum.described()
            ),
            "split these objects",
        ));
    }
    if objects.above_invocation.keys > 0 {
        parts.push(Finding::warn(
            format!("{} above 100 GiB", objects.above_invocation.described()),
            "copy them with `s3ferry sync --state-bucket` or the state machine, which resume a multipart copy",
        ));
    }
    if objects.above_copy_limit.keys > 0 {
        parts.push(Finding::warn(
            format!(
                "{} {} above 5 GiB",
                objects.above_copy_limit.described(),
                objects.scope()
            ),
            "do not use S3's own copy operation for them; s3ferry copies them by multipart copy",
        ));
    }
    Ok(joined(parts, format!("none above 5 GiB {}", objects.scope())))
}

pub(super) fn odd_keys(facts: &PreflightFacts) -> CheckResult {
    let objects = facts.objects.known()?;
    let parts = objects.odd_keys.iter().map(|(oddity, examples)| {
        let evidence = format!("{}: {}", oddity.as_str(), examples.described());
        if *oddity == KeyOddity::OnlyWhiteSpace {
            Finding::fail(
                evidence,
                "rename these objects: the AWS SDK sends no request for their keys",
            )
        } else {
            Finding::warn(
                evidence,
                "test the programs that read such keys against the destination before the cutover",
            )
        }
    });
    Ok(joined(parts.collect(), format!("none {}", objects.scope())))
}

pub(super) fn noncurrent(facts: &PreflightFacts) -> CheckResult {
    let versions = facts.versions.known()?;
    let scope = if versions.complete {
        format!("of all {} versions", grouped(versions.listed))
    } else {
        format!("of the first {} versions only (a sample)", grouped(versions.listed))
    };
    if versions.noncurrent == 0 && versions.delete_markers == 0 {
        return Ok(Finding::pass(format!("none {scope}")));
    }
    Ok(Finding::warn(
        format!(
            "{} noncurrent versions with {} bytes, and {} delete markers, {scope}",
            grouped(versions.noncurrent),
            grouped(versions.noncurrent_bytes),
            grouped(versions.delete_markers)
        ),
        "if the history must move, use ReplicationEngine=crr with S3 Batch Replication; else keep the source, or expire them \
         first with a NoncurrentVersionExpiration rule",
    ))
}

pub(super) fn incomplete_uploads(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for (side, bucket) in facts.sides() {
        let uploads = bucket.uploads.known()?;
        if uploads.listed > 0 {
            let more = if uploads.more { " or more" } else { "" };
            let oldest = uploads
                .oldest
                .map(|oldest| format!(", the oldest of {}", oldest.to_rfc3339()));
            parts.push(Finding::warn(
                format!(
                    "{}{more} at the {side}{}",
                    grouped(uploads.listed),
                    oldest.unwrap_or_default()
                ),
                format!(
                    "before the cutover, wait for them or abort them: `aws s3api list-multipart-uploads --bucket {}`",
                    bucket.name
                ),
            ));
        }
    }
    Ok(joined(parts, "no multipart upload in progress"))
}

pub(super) fn annotations(facts: &PreflightFacts) -> CheckResult {
    let heads = facts.heads.known()?;
    if let Some(unknown) = &heads.annotations_failed {
        return Err(unknown.clone());
    }
    let scope = format!(
        "of {} objects that were read (a sample)",
        grouped(heads.read_annotations)
    );
    if heads.annotated.keys == 0 {
        return Ok(Finding::pass(format!("none {scope}")));
    }
    Ok(Finding::warn(
        format!("{} {scope}", heads.annotated.described()),
        "verify with --depth head, and check that the destination region supports annotations",
    ))
}
