//! The summary of a sync, as JSON and as lines.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use s3ferry_core::diff::SideName;
use s3ferry_core::outcome::WithheldWrite;
use serde_json::json;

use super::{SHOWN, SyncResults};
use crate::commands::sync::manifest_keys::ManifestCounts;
use crate::sides::BucketPair;
use crate::text::grouped;

const INTERRUPTED_LINE: &str = "of these interrupted multipart copies: with --state-bucket the next run resumes them";

impl SyncResults {
    pub(super) fn summary(&self, sides: &BucketPair, stopped_by: Option<&str>) -> serde_json::Value {
        json!({
            "type": "summary",
            "stopped_by": stopped_by,
            "source": sides.source.location.to_string(),
            "destination": sides.destination.location.to_string(),
            "dry_run": self.is_dry,
            "manifest": self.manifest.as_ref().map(ManifestCounts::json),
            "source_keys": self.compared.source_keys,
            "source_bytes": self.compared.source_bytes,
            "destination_keys": self.compared.destination_keys,
            "destination_bytes": self.compared.destination_bytes,
            "copied": self.copied,
            "copied_bytes": self.copied_bytes,
            "copied_not_comparable": self.not_comparable,
            "attributes_updated": self.attributes_updated,
            "deleted": self.deleted,
            "found_equal": self.equal,
            "gone": self.gone,
            "gone_at_source": self.gone_at_source,
            "deleted_before": self.deleted_before,
            "extra_at_destination": self.extra,
            "conflicts": self.conflicts,
            "not_preserved": self.not_preserved,
            "not_done": self.not_done,
            "interrupted": self.interrupted,
            "failed": self.failed,
            "failed_by": self.failed_by.json(),
            "unanswered_writes": self.unanswered,
            "precondition_failures": self.precondition_failures.load(Ordering::Relaxed),
            "uploads_left": self.uploads_left,
            "would": self.would.iter().map(|(write, count)| (write.as_str(), count)).collect::<BTreeMap<_, _>>(),
            "source_inventory": sides.inventories.json(SideName::Source),
            "destination_inventory": sides.inventories.json(SideName::Destination),
            "failures": (self.failures.lines > 0).then(|| self.failures.path.display().to_string()),
        })
    }

    pub(super) fn lines(&self, sides: &BucketPair, is_stopped: bool) -> Vec<String> {
        let keys = self.compared.source_keys.max(self.compared.destination_keys);
        let mut lines = Vec::new();
        let would = self.would.values().sum::<u64>();
        if would > SHOWN {
            let more = grouped(would - SHOWN);
            lines.push(format!("... and {more} more: --output json names them all"));
        }
        if would > 0 {
            lines.push(String::new());
        }
        let (source, destination) = (&sides.source.location, &sides.destination.location);
        let compared = match &self.manifest {
            Some(manifest) => format!("{} keys of {}", grouped(manifest.keys), manifest.name),
            None => format!("{} keys compared", grouped(keys)),
        };
        lines.push(format!("{source} -> {destination}: {compared}"));
        lines.extend(sides.inventories.lines());
        let above = lines.len();
        let counts = self.counted();
        lines.extend(
            counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("  {:>12}  {what}", grouped(*count))),
        );
        lines.extend(
            self.would
                .iter()
                .map(|(write, count)| format!("  {:>12}  {}", grouped(*count), description(*write))),
        );
        lines.extend(self.failed_by.lines());
        if self.copied_bytes > 0 {
            lines.push(format!("  {:>12}  bytes copied", grouped(self.copied_bytes)));
        }
        if lines.len() == above && !is_stopped {
            lines.push("  nothing to do".to_owned());
        }
        if self.failures.lines > 0 {
            lines.push(format!("named one by one in {}", self.failures.path.display()));
        }
        lines
    }

    /// Returns the counts with what they are of.
    fn counted(&self) -> Vec<(u64, &'static str)> {
        let manifest = self.manifest.clone().unwrap_or_default();
        vec![
            (manifest.duplicates, "rows of the manifest repeat a key and are skipped"),
            (
                manifest.outside_prefix,
                "rows of the manifest are outside the prefix and are skipped",
            ),
            (self.copied, "copied"),
            (
                self.not_comparable,
                "of these copied again, because nothing that both sides store can be compared",
            ),
            (self.attributes_updated, "attributes updated"),
            (self.deleted, "deleted"),
            (self.equal, "read and found equal"),
            (self.gone, "absent on both sides"),
            (
                self.gone_at_source,
                "absent at the source; the destination's objects stay",
            ),
            (self.deleted_before, "read because s3ferry deleted them earlier"),
            (self.conflicts, "conflicts: the destination object is as new or newer"),
            (self.not_preserved, "copied without some attributes of the source"),
            (self.not_done, "not done yet: run the same command again"),
            (self.interrupted, INTERRUPTED_LINE),
            (self.failed, "failed"),
            (self.extra, "only at the destination, not deleted"),
            (
                self.uploads_left,
                "may have left an incomplete multipart copy at the destination: run the same command again",
            ),
            (
                self.unanswered,
                "written by a request without a response: if it takes effect late, sync --depth head finds it",
            ),
            (
                self.precondition_failures.load(Ordering::Relaxed),
                "failed preconditions, read again: another writer, such as another sync, was first",
            ),
        ]
    }
}

/// Returns what the summary says of keys with a withheld write.
fn description(write: WithheldWrite) -> &'static str {
    match write {
        WithheldWrite::Copy => "would be copied",
        WithheldWrite::MultipartCopy => "would be copied by multipart copy",
        WithheldWrite::UpdateAttributes => "would get the source's tags, Object Lock, annotations or grants",
        WithheldWrite::Delete => "would be deleted",
        WithheldWrite::RemoveVersion => "would have s3ferry's version removed, which hides an application's write",
    }
}
