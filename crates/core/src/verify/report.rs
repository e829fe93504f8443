//! Report of a verification, for JSON and HTML.

use serde::Serialize;

use super::tally::{ObjectTotals, VerificationTotals, VerificationVerdict};
use super::{ProofMethod, VerificationDepth};
use crate::diff::DifferentKey;
use crate::numerals::grouped;

/// Schema of the report. It changes with every change that readers must know of.
pub const SCHEMA: &str = "s3ferry-verification/1";

/// Properties of a verification run in its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportHeader {
    /// Program that created the report.
    pub tool: ReportTool,
    /// Identity that ran the verification.
    pub operator: String,
    /// Start time, in RFC 3339.
    pub started_at: String,
    /// End time, in RFC 3339.
    pub ended_at: String,
    /// Both buckets.
    #[serde(flatten)]
    pub sides: ReportSides,
    /// Method of the comparison.
    pub comparison: ComparisonMethod,
    /// Reason why the verification stopped early, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// Completion reports whose checksums were used.
    pub job_reports: Vec<ChecksumJobReport>,
    /// File that lists every key that is not equal, if it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences_file: Option<String>,
    /// Manifests of the keys that need computed checksums, if they were written.
    pub inconclusive_manifests: Vec<String>,
    /// Messages in the replicator's queues at the end, if the queues were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<QueuedMessages>,
}

/// Numbers of unprocessed messages of the replicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueuedMessages {
    /// Number of messages in the queue.
    pub queue: u64,
    /// Number of messages in the dead-letter queue.
    pub dead_letters: u64,
}

impl QueuedMessages {
    /// Returns whether both queues are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue + self.dead_letters == 0
    }
}

/// Program that created the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportTool {
    /// Name of the program.
    pub name: &'static str,
    /// Version of the program.
    pub version: &'static str,
}

/// Both buckets of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportSides {
    /// Source bucket.
    pub source: BucketTotals,
    /// Destination bucket.
    pub destination: BucketTotals,
}

/// Objects of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BucketTotals {
    /// Bucket name.
    pub bucket: String,
    /// Prefix of the keys.
    pub prefix: String,
    /// Region of the bucket.
    pub region: String,
    /// Number and total size of the objects.
    #[serde(flatten)]
    pub amount: ObjectTotals,
}

/// Method of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparisonMethod {
    /// Depth of the comparison.
    pub depth: VerificationDepth,
    /// Attributes that were compared, and those that were not.
    #[serde(flatten)]
    pub attributes: ComparedAttributes,
    /// Sample of keys, if one was selected.
    pub sample: Option<SampleDescription>,
    /// Whether contents are read if nothing that both sides store is comparable.
    pub reads_contents: bool,
    /// Maximum size of an object whose content is read.
    pub max_read_bytes: u64,
    /// Ownership of the destination.
    pub ownership: &'static str,
}

/// Attributes that were compared, and those that were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedAttributes {
    /// Compared attributes.
    pub compared: Vec<String>,
    /// Attributes that were not compared.
    pub not_compared: Vec<String>,
}

/// Sample of the keys in both listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleDescription {
    /// Requested size of the sample.
    pub asked: u64,
    /// Actual size of the sample.
    pub drawn: u64,
    /// Number of keys from which the sample was selected.
    pub population: u64,
    /// Seed. The same seed and the same keys produce the same sample.
    pub seed: u64,
}

/// Completion report of a job that computed checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecksumJobReport {
    /// Side of the objects.
    pub side: &'static str,
    /// Location of the report.
    pub location: String,
    /// Number of checksums in the report.
    pub computed: u64,
    /// Number of objects on which the job failed.
    pub failed: u64,
}

/// Objects that were verified as equal by one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofCount {
    /// Proof method.
    pub by: ProofMethod,
    /// Description of the method.
    pub meaning: &'static str,
    /// Number and total size of the objects.
    #[serde(flatten)]
    pub amount: ObjectTotals,
}

/// Number of keys with one kind of difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferenceCount {
    /// Kind of difference.
    pub kind: &'static str,
    /// Number of keys. A key may have several kinds.
    pub keys: u64,
}

/// Examples of keys that are not equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DifferenceExamples {
    /// Keys in the report.
    pub shown: Vec<DifferentKey>,
    /// Number of further keys.
    pub left_out: u64,
}

impl DifferenceExamples {
    /// Adds a key, or counts it if there are already `most` examples.
    pub fn take(&mut self, key: &DifferentKey, most: usize) {
        if self.shown.len() < most {
            self.shown.push(key.clone());
        } else {
            self.left_out += 1;
        }
    }
}

/// Report of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerificationReport {
    /// Schema of the report.
    pub schema: &'static str,
    /// Verdict.
    pub verdict: VerificationVerdict,
    /// Verdict in one sentence.
    pub statement: String,
    /// Properties of the run.
    #[serde(flatten)]
    pub header: ReportHeader,
    /// Number of keys on either side.
    pub keys: u64,
    /// Number of objects that were verified as equal.
    pub equal: u64,
    /// Number of keys that differ.
    pub different: u64,
    /// Number of keys with an external write at the destination, which stays.
    pub ahead: u64,
    /// Number of inconclusive keys.
    pub inconclusive: u64,
    /// Number of inconclusive keys that were not readable.
    pub unread: u64,
    /// Number of keys that were deleted on both sides after they were listed.
    pub gone: u64,
    /// Number of keys outside the sample.
    pub not_examined: u64,
    /// Number of keys that changed during their comparison and were read again.
    pub changed: u64,
    /// Number of bytes read from both sides.
    pub read_bytes: u64,
    /// Equal objects by proof method.
    pub compared_by: Vec<ProofCount>,
    /// Differing keys by kind of difference.
    pub differences: Vec<DifferenceCount>,
    /// Examples of keys that are not equal.
    pub examples: DifferenceExamples,
    /// Scope of the statement for buckets in use.
    pub consistency: &'static str,
}

/// Scope of the statement for buckets in use.
const CONSISTENCY: &str = "Each key was compared at some time between start and end, not all keys at the same time. A \
    key that was not equal, or whose content was read, was read once more afterwards, and compared again if it had \
    changed. Writes after the comparison of a key are not covered.";

impl VerificationReport {
    /// Creates the report.
    #[must_use]
    pub fn new(
        header: ReportHeader,
        tally: &VerificationTotals,
        verdict: VerificationVerdict,
        examples: DifferenceExamples,
    ) -> Self {
        let compared = tally.equal.iter().map(|(by, amount)| ProofCount {
            by: *by,
            meaning: by.meaning(),
            amount: *amount,
        });
        let differences = tally.counts.by_kind().map(|(kind, keys)| DifferenceCount {
            kind: kind.as_str(),
            keys,
        });
        Self {
            schema: SCHEMA,
            verdict,
            statement: statement(verdict, tally, &header),
            keys: tally.keys,
            equal: tally.equal_objects(),
            different: tally.different,
            ahead: tally.ahead,
            inconclusive: tally.inconclusive,
            unread: tally.unread,
            gone: tally.gone,
            not_examined: tally.not_examined,
            changed: tally.changed,
            read_bytes: tally.read_bytes,
            compared_by: compared.collect(),
            differences: differences.collect(),
            examples,
            consistency: CONSISTENCY,
            header,
        }
    }
}

fn statement(verdict: VerificationVerdict, tally: &VerificationTotals, header: &ReportHeader) -> String {
    let depth = header.comparison.depth.as_str();
    match verdict {
        VerificationVerdict::NothingToCompare => {
            "Both sides are empty: there is nothing to compare. Check both buckets and the prefix.".to_owned()
        }
        VerificationVerdict::Verified => format!(
            "All {} objects of the source are equal at the destination, which has no other objects (depth {depth}).",
            grouped(tally.equal_objects())
        ),
        VerificationVerdict::DestinationAhead => format!(
            "{} objects of the source are equal at the destination (depth {depth}). {} keys have an external write at \
             the destination: it is as new as the source object or newer, or the source has no object. Nothing else \
             differs.",
            grouped(tally.equal_objects()),
            grouped(tally.ahead)
        ),
        VerificationVerdict::NoDifferenceInSample => {
            let (drawn, of) = header
                .comparison
                .sample
                .as_ref()
                .map_or((0, 0), |sample| (sample.drawn, sample.population));
            let (drawn, of) = (grouped(drawn), grouped(of));
            format!(
                "No difference in a sample of {drawn} of {of} objects (depth {depth}). The other objects exist on both \
                 sides with the same size, and were not compared further.{}",
                match tally.ahead {
                    0 => String::new(),
                    ahead => format!(" {} keys have an external write at the destination.", grouped(ahead)),
                }
            )
        }
        VerificationVerdict::Different if tally.inconclusive == 0 => {
            format!("{} of {} keys differ.", grouped(tally.different), grouped(tally.keys))
        }
        VerificationVerdict::Different => format!(
            "{} of {} keys differ; inconclusive: {}.",
            grouped(tally.different),
            grouped(tally.keys),
            grouped(tally.inconclusive)
        ),
        VerificationVerdict::Inconclusive => format!(
            "No difference was found, but {} of {} keys are inconclusive.",
            grouped(tally.inconclusive),
            grouped(tally.keys)
        ),
        VerificationVerdict::Incomplete => format!(
            "The verification is incomplete: {} keys are equal, {} differ, and the others were not compared.",
            grouped(tally.equal_objects()),
            grouped(tally.different)
        ),
    }
}
