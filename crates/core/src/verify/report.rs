//! The report of a verification, as it is written to JSON and shown to people.

use serde::Serialize;

use super::tally::{ObjectTotals, VerificationTotals, VerificationVerdict};
use super::{ProofMethod, VerificationDepth};
use crate::diff::DifferentKey;
use crate::numerals::grouped;

/// Names the form of the report; changed with every change that a reader must know of.
pub const SCHEMA: &str = "s3ferry-verification/1";

/// What a report says of the run, apart from what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportHeader {
    /// What made the report.
    pub tool: ReportTool,
    /// Who had it made.
    pub operator: String,
    /// When it was begun, in RFC 3339.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// Both buckets.
    #[serde(flatten)]
    pub sides: ReportSides,
    /// How it looked at them.
    pub comparison: ComparisonMethod,
    /// What made it stop before its end, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// The reports of jobs whose checksums were used.
    pub job_reports: Vec<ChecksumJobReport>,
    /// The file that names every key that is not equal, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences_file: Option<String>,
    /// The manifests of what checksums would settle, if they were written.
    pub inconclusive_manifests: Vec<String>,
    /// Messages that were still in the replicator's queues at the end, where those were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<QueuedMessages>,
}

/// Messages of the replicator that were not worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueuedMessages {
    /// In its queue.
    pub queue: u64,
    /// In its dead-letter queue.
    pub dead_letters: u64,
}

impl QueuedMessages {
    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue + self.dead_letters == 0
    }
}

/// What made the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportTool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Both buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportSides {
    /// The bucket that is migrated.
    pub source: BucketTotals,
    /// The bucket that is migrated to.
    pub destination: BucketTotals,
}

/// The objects of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BucketTotals {
    /// The bucket.
    pub bucket: String,
    /// How the keys begin.
    pub prefix: String,
    /// Its region.
    pub region: String,
    /// How many there are and how large.
    #[serde(flatten)]
    pub amount: ObjectTotals,
}

/// How the objects were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparisonMethod {
    /// What was demanded of an object.
    pub depth: VerificationDepth,
    /// What was compared.
    #[serde(flatten)]
    pub attributes: ComparedAttributes,
    /// The sample, if one was drawn.
    pub sample: Option<SampleDescription>,
    /// Whether contents were read where nothing stored could settle them.
    pub reads_contents: bool,
    /// The largest object that is read.
    pub max_read_bytes: u64,
    /// Who writes to the destination.
    pub ownership: &'static str,
}

/// What was compared, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedAttributes {
    /// What was.
    pub compared: Vec<String>,
    /// What was not.
    pub not_compared: Vec<String>,
}

/// A sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleDescription {
    /// How many keys were asked for.
    pub asked: u64,
    /// How many were drawn.
    pub drawn: u64,
    /// Out of how many.
    pub population: u64,
    /// The seed: with the same keys it draws the same sample.
    pub seed: u64,
}

/// The completion report of a job that computed checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecksumJobReport {
    /// Of which side's objects.
    pub side: &'static str,
    /// Where it is.
    pub location: String,
    /// How many checksums it holds.
    pub computed: u64,
    /// On how many objects the job failed.
    pub failed: u64,
}

/// Objects that were told equal in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofCount {
    /// In which.
    pub by: ProofMethod,
    /// What that means.
    pub meaning: &'static str,
    /// How many.
    #[serde(flatten)]
    pub amount: ObjectTotals,
}

/// How many keys differ in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferenceCount {
    /// In which.
    pub kind: &'static str,
    /// How many; a key may differ in several.
    pub keys: u64,
}

/// Some of the keys that are not equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DifferenceExamples {
    /// The keys.
    pub shown: Vec<DifferentKey>,
    /// How many more there are.
    pub left_out: u64,
}

impl DifferenceExamples {
    /// Takes a key, unless there are `most` already.
    pub fn take(&mut self, key: &DifferentKey, most: usize) {
        if self.shown.len() < most {
            self.shown.push(key.clone());
        } else {
            self.left_out += 1;
        }
    }
}

/// The report of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerificationReport {
    /// The form of the report.
    pub schema: &'static str,
    /// What it says.
    pub verdict: VerificationVerdict,
    /// The same in a sentence.
    pub statement: String,
    /// The run.
    #[serde(flatten)]
    pub header: ReportHeader,
    /// How many keys either side has.
    pub keys: u64,
    /// How many objects were told equal.
    pub equal: u64,
    /// How many keys differ.
    pub different: u64,
    /// Of how many the destination has an application's write that stays.
    pub ahead: u64,
    /// Of how many it cannot be told.
    pub inconclusive: u64,
    /// How many of those could not be read.
    pub unread: u64,
    /// How many are gone on both sides since they were listed.
    pub gone: u64,
    /// How many the sample leaves out.
    pub not_examined: u64,
    /// How many changed while they were compared, and were read again.
    pub changed: u64,
    /// How many bytes were read of both sides.
    pub read_bytes: u64,
    /// By what the equal ones were told equal.
    pub compared_by: Vec<ProofCount>,
    /// In what keys differ.
    pub differences: Vec<DifferenceCount>,
    /// Some of the keys that are not equal.
    pub examples: DifferenceExamples,
    /// What the report does and does not stand for.
    pub consistency: &'static str,
}

/// What a report of buckets in use stands for.
const CONSISTENCY: &str = "Every key was compared at one moment between start and end, not all keys at the same one. A key \
     that was not equal, or whose content was read, was read once more afterwards; where it had changed it was compared \
     again. What is written after a key was compared is not covered.";

impl VerificationReport {
    /// Puts a report together.
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
            "Neither side has an object: there is nothing to compare. Check both buckets and the prefix.".to_owned()
        }
        VerificationVerdict::Verified => format!(
            "All {} objects of the source are at the destination and equal, and it has no others (depth {depth}).",
            grouped(tally.equal_objects())
        ),
        VerificationVerdict::DestinationAhead => format!(
            "{} objects of the source are at the destination and equal (depth {depth}). Of {} keys applications wrote the \
             destination's object: it is as new as the source's or newer, or the source has none. Nothing else differs.",
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
                "No difference in a sample of {drawn} of {of} objects (depth {depth}); nothing is said of the others, \
                 except that they are on both sides in the same size.{}",
                match tally.ahead {
                    0 => String::new(),
                    ahead => format!(
                        " Applications wrote the destination's object of {} keys.",
                        grouped(ahead)
                    ),
                }
            )
        }
        VerificationVerdict::Different if tally.inconclusive == 0 => {
            format!("{} of {} keys differ.", grouped(tally.different), grouped(tally.keys))
        }
        VerificationVerdict::Different => format!(
            "{} of {} keys differ; of {} more it cannot be told.",
            grouped(tally.different),
            grouped(tally.keys),
            grouped(tally.inconclusive)
        ),
        VerificationVerdict::Inconclusive => format!(
            "No difference is known, but of {} of {} keys it cannot be told whether they are equal.",
            grouped(tally.inconclusive),
            grouped(tally.keys)
        ),
        VerificationVerdict::Incomplete => format!(
            "The comparison did not come to its end: {} keys are equal, {} differ, and nothing is said of the rest.",
            grouped(tally.equal_objects()),
            grouped(tally.different)
        ),
    }
}
