//! What is known of one key's reconcile while it runs, and how a turn of it can go.

use s3ferry_core::decide::{BucketCapabilities, DefaultEncryption};
use s3ferry_core::facts::{Attribute, AttributeSet, HIDDEN_IN_HEAD, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::order::{CopyOrder, SourcePin, WriteCondition};
use s3ferry_core::outcome::Outcome;
use s3ferry_core::policy::AclRule;
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UploadId;
use s3ferry_core::version_history::{RemovedVersion, VersionExamination};

use crate::ports::{WriteError, WrittenObject};

/// What is known of one key's reconcile while it runs.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that happened or not")]
pub(super) struct Attempt {
    /// What somebody said has changed.
    pub(super) hinted: AttributeSet,
    /// What must be read beyond a HEAD.
    pub(super) attributes: AttributeSet,
    /// What the destination does not keep.
    pub(super) not_preserved: AttributeSet,
    pub(super) passes: u32,
    pub(super) progress: bool,
    /// Whether this turn copied parts that the next one will find.
    pub(super) went_further: bool,
    /// Whether a write found an object where a read had found none.
    pub(super) absence_refuted: bool,
    pub(super) outcome_unknown: bool,
    pub(super) write_under_way: bool,
    pub(super) last_failure: Option<Failure>,
    pub(super) capabilities: Option<BucketCapabilities>,
    /// How the destination bucket encrypts by default.
    pub(super) default_encryption: DefaultEncryption,
    /// Whether the encryption of an object turned out to be changed by a copy only.
    pub(super) encrypts_by_copy: bool,
    /// Whether the last copy replaced an object that nothing stored could be compared with.
    pub(super) not_comparable: bool,
    /// Whose the destination's versions are, in shared mode.
    pub(super) history: Option<VersionExamination>,
    /// Whether the source's object that this pass read is a copy of s3ferry, where that was asked.
    pub(super) source_is_copy: Option<bool>,
    /// What this reconcile removed of the destination's versions.
    pub(super) removed: Vec<RemovedVersion>,
    /// Whether shared mode was found to be possible.
    pub(super) may_share: bool,
    /// What an earlier turn copied, where there is more to read or to write than bytes.
    pub(super) copied: Option<UnfinishedCopy>,
    /// Whether an earlier turn deleted the destination's object, and left it to the next one to see what came of it.
    pub(super) deleted: bool,
    /// Whether the upload journal may hold an entry of the key.
    pub(super) may_be_journaled: bool,
    /// An upload that this invocation began and that no journal names: nobody else could put it away.
    pub(super) unjournaled: Option<UploadId>,
    /// Whether an upload may have been begun that nobody knows of.
    pub(super) may_be_orphaned: bool,
    pub(super) deadline: Timestamp,
}

impl Attempt {
    /// Begins with what is `hinted`; grants are read only where they are copied, for nobody has the right to read them
    /// else.
    pub(super) fn new(hinted: &AttributeSet, acl: AclRule, deadline: Timestamp) -> Self {
        let is_read = |attribute: &&Attribute| **attribute != Attribute::Acl || acl == AclRule::Copy;
        Self {
            may_be_journaled: hinted.contains(&Attribute::UnfinishedUpload),
            unjournaled: None,
            may_be_orphaned: hinted.contains(&Attribute::UnfinishedUpload),
            attributes: hinted.iter().filter(is_read).copied().collect(),
            hinted: hinted.clone(),
            not_preserved: AttributeSet::new(),
            passes: 0,
            progress: false,
            went_further: false,
            absence_refuted: false,
            outcome_unknown: false,
            write_under_way: false,
            last_failure: None,
            capabilities: None,
            default_encryption: DefaultEncryption::NotRead,
            encrypts_by_copy: false,
            not_comparable: false,
            history: None,
            source_is_copy: None,
            removed: Vec::new(),
            may_share: false,
            copied: None,
            deleted: false,
            deadline,
        }
    }

    /// Tells whether the destination still holds what an earlier turn copied, and the source what it was copied of. Only
    /// then is a copy that nothing stored can verify known to be equal.
    pub(super) fn has_just_copied(&self, source: &ObjectState, destination: &ObjectState) -> bool {
        let (Some(copy), Some(source), Some(destination)) = (&self.copied, source.facts(), destination.facts()) else {
            return false;
        };
        let written = &copy.written;
        copy.pin == SourcePin::of(source)
            && written.version_id == destination.version_id
            && written.etag == destination.etag
    }

    /// Reads again, and what a HEAD does not show, too: what landed may be a copy of the version before, which had equal
    /// bytes and other tags or annotations.
    pub(super) fn precondition_failed(&mut self) -> PassResult {
        self.attributes.extend(HIDDEN_IN_HEAD);
        PassResult::ReadAgain
    }

    /// Takes note of a copy, and leaves it to the next turn to read and to write the rest.
    pub(super) fn copied(&mut self, written: WrittenObject, order: &CopyOrder) -> PassResult {
        self.copied = Some(UnfinishedCopy {
            pin: order.pin.clone(),
            written,
            size_bytes: order.size_bytes,
        });
        PassResult::ReadAgain
    }

    /// Takes a write under `condition` that did not report success.
    pub(super) fn conditional_write_failed(&mut self, condition: &WriteCondition, error: WriteError) -> PassResult {
        self.absence_refuted |= error == WriteError::PreconditionFailed && *condition == WriteCondition::Absent;
        self.write_failed(error)
    }

    /// Takes a write that did not report success.
    pub(super) fn write_failed(&mut self, error: WriteError) -> PassResult {
        match error {
            WriteError::PreconditionFailed => self.precondition_failed(),
            WriteError::Failed(failure) => after_failure(failure),
            // Not repeated blindly: the next turn reads what became of it.
            WriteError::OutcomeUnknown(failure) => {
                self.outcome_unknown = true;
                self.attributes.extend(HIDDEN_IN_HEAD);
                PassResult::ReadLater(failure)
            }
        }
    }
}

/// A copy whose write does not carry everything: the rest follows in another turn.
#[derive(Debug)]
pub(super) struct UnfinishedCopy {
    /// What was copied.
    pub(super) pin: SourcePin,
    /// What it became.
    pub(super) written: WrittenObject,
    pub(super) size_bytes: u64,
}

/// How one turn of the loop went.
pub(super) enum PassResult {
    Ended(Outcome),
    /// The world moved: read again at once.
    ReadAgain,
    /// Something failed that may pass: read again after a while.
    ReadLater(Failure),
}

/// A failure ends the reconcile unless time can heal it.
pub(super) fn after_failure(failure: Failure) -> PassResult {
    if failure.kind.is_passing() {
        PassResult::ReadLater(failure)
    } else {
        PassResult::Ended(Outcome::Failed(failure))
    }
}
