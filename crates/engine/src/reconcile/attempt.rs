//! The state of one key's reconcile while it runs, and the results of its passes.

use s3ferry_core::bucket_settings::{BucketCapabilities, DefaultEncryption};
use s3ferry_core::facts::{Attribute, AttributeSet, HIDDEN_IN_HEAD, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::order::{CopyOrder, SourcePin, WriteCondition};
use s3ferry_core::outcome::Outcome;
use s3ferry_core::policy::AclRule;
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UploadId;
use s3ferry_core::version_history::{RemovedVersion, VersionExamination};

use crate::ports::{WriteError, WrittenObject};

/// The state of one key's reconcile while it runs.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The attributes that hints named as changed.
    pub(super) hinted: AttributeSet,
    /// The attributes to read in addition to a HEAD request.
    pub(super) attributes: AttributeSet,
    /// The source attributes that the destination does not have.
    pub(super) not_preserved: AttributeSet,
    pub(super) passes: u32,
    pub(super) writes: AttemptedWrites,
    pub(super) uploads: KnownUploads,
    pub(super) shared: SharedState,
    /// Whether a write found an object at a key for which a read had found none.
    pub(super) absence_refuted: bool,
    pub(super) last_failure: Option<Failure>,
    pub(super) capabilities: Option<BucketCapabilities>,
    /// The default encryption of the destination bucket.
    pub(super) default_encryption: DefaultEncryption,
    /// Whether the encryption of the object can be changed by a copy only.
    pub(super) encrypts_by_copy: bool,
    /// Whether the last copy replaced an object with which nothing was comparable.
    pub(super) not_comparable: bool,
    /// The copy of an earlier pass that requires further reads or writes.
    pub(super) copied: Option<UnfinishedCopy>,
    pub(super) deadline: Timestamp,
}

/// The writes of a reconcile.
#[derive(Debug, Default)]
pub(super) struct AttemptedWrites {
    /// Whether anything was written.
    pub(super) progress: bool,
    /// Whether the response of a write was lost.
    pub(super) outcome_unknown: bool,
    /// Whether a write is sent and has no response yet.
    pub(super) under_way: bool,
}

/// What is known of the multipart uploads of the key.
#[derive(Debug)]
pub(super) struct KnownUploads {
    /// Whether this pass copied parts that the next one resumes from.
    pub(super) copied_parts: bool,
    /// Whether the upload journal may hold an entry of the key.
    pub(super) may_be_journaled: bool,
    /// An unjournaled upload of this invocation, which no other invocation could abort.
    pub(super) unjournaled: Option<UploadId>,
    /// Whether an upload with an unknown id may have been created.
    pub(super) may_be_orphaned: bool,
}

/// The state that only shared mode has.
#[derive(Debug, Default)]
pub(super) struct SharedState {
    /// Whether the requirements of shared mode were checked and met.
    pub(super) is_shareable: bool,
    /// The examined version history of the destination.
    pub(super) history: Option<VersionExamination>,
    /// Whether the source object is s3ferry's copy from the reverse direction, if this pass examined it.
    pub(super) source_is_copy: Option<bool>,
    /// The versions of the destination that this reconcile removed.
    pub(super) removed: Vec<RemovedVersion>,
    /// Whether an earlier pass deleted the destination object and left the check of the result to the next pass.
    pub(super) deleted: bool,
}

impl Attempt {
    /// Creates the state from the attributes that hints named.
    ///
    /// The ACL is read only if ACLs are copied: otherwise the role lacks the permission to read it.
    pub(super) fn new(hinted: &AttributeSet, acl: AclRule, deadline: Timestamp) -> Self {
        let is_read = |attribute: &&Attribute| **attribute != Attribute::Acl || acl == AclRule::Copy;
        let may_be_unfinished = hinted.contains(&Attribute::UnfinishedUpload);
        Self {
            attributes: hinted.iter().filter(is_read).copied().collect(),
            hinted: hinted.clone(),
            not_preserved: AttributeSet::new(),
            passes: 0,
            writes: AttemptedWrites::default(),
            uploads: KnownUploads {
                copied_parts: false,
                may_be_journaled: may_be_unfinished,
                unjournaled: None,
                may_be_orphaned: may_be_unfinished,
            },
            shared: SharedState::default(),
            absence_refuted: false,
            last_failure: None,
            capabilities: None,
            default_encryption: DefaultEncryption::NotRead,
            encrypts_by_copy: false,
            not_comparable: false,
            copied: None,
            deadline,
        }
    }

    /// Returns whether the destination still has the copy of an earlier pass, and the source the object that it is of.
    ///
    /// Only then is a copy known to be equal if nothing comparable is stored.
    pub(super) fn has_just_copied(&self, source: &ObjectState, destination: &ObjectState) -> bool {
        let (Some(copy), Some(source), Some(destination)) = (&self.copied, source.facts(), destination.facts()) else {
            return false;
        };
        let written = &copy.written;
        copy.pin == SourcePin::of(source)
            && written.version_id == destination.version_id
            && written.etag == destination.etag
    }

    /// Requests another pass that also reads the attributes that a HEAD does not show.
    ///
    /// The write that landed may be a copy of the previous version, with equal content and other tags or annotations.
    pub(super) fn precondition_failed(&mut self) -> PassResult {
        self.attributes.extend(HIDDEN_IN_HEAD);
        PassResult::ReadAgain
    }

    /// Records a copy, and leaves further reads and writes to the next pass.
    pub(super) fn copied(&mut self, written: WrittenObject, order: &CopyOrder) -> PassResult {
        self.copied = Some(UnfinishedCopy {
            pin: order.pin.clone(),
            written,
            size_bytes: order.size_bytes,
        });
        PassResult::ReadAgain
    }

    /// Handles a write with a condition that did not report success.
    pub(super) fn conditional_write_failed(&mut self, condition: &WriteCondition, error: WriteError) -> PassResult {
        self.absence_refuted |= error == WriteError::PreconditionFailed && *condition == WriteCondition::Absent;
        self.write_failed(error)
    }

    /// Handles a write that did not report success.
    pub(super) fn write_failed(&mut self, error: WriteError) -> PassResult {
        match error {
            WriteError::PreconditionFailed => self.precondition_failed(),
            WriteError::Failed(failure) => after_failure(failure),
            // Not repeated: the next pass reads whether it landed.
            WriteError::OutcomeUnknown(failure) => {
                self.writes.outcome_unknown = true;
                self.attributes.extend(HIDDEN_IN_HEAD);
                PassResult::ReadLater(failure)
            }
        }
    }
}

/// A copy whose write does not include every attribute: another pass writes the rest.
#[derive(Debug)]
pub(super) struct UnfinishedCopy {
    /// The source version that was copied.
    pub(super) pin: SourcePin,
    /// The object that was written.
    pub(super) written: WrittenObject,
    pub(super) size_bytes: u64,
}

/// The result of one pass.
pub(super) enum PassResult {
    Ended(Outcome),
    /// A side changed concurrently: read again at once.
    ReadAgain,
    /// A transient failure: read again after a wait.
    ReadLater(Failure),
}

/// Returns a pass to repeat after a transient failure, and the end of the reconcile after any other.
pub(super) fn after_failure(failure: Failure) -> PassResult {
    if failure.kind.is_passing() {
        PassResult::ReadLater(failure)
    } else {
        PassResult::Ended(Outcome::Failed(failure))
    }
}
