//! Small scenarios of one key, whose every interleaving is walked.

use s3ferry_core::policy::Ownership;

use super::mutants::Mutant;

/// What an object has: content, owner in its metadata and, with exclusive ownership, stage in its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectSpec(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

impl ObjectSpec {
    /// What the source holds when the first event is sent.
    pub(crate) const FIRST: Self = Self("one", "team a", "test");
    pub(crate) const OTHER: Self = Self("two", "team a", "test");
    pub(crate) const OTHER_METADATA: Self = Self("one", "team b", "test");
    pub(crate) const OTHER_TAGS: Self = Self("one", "team a", "live");
    /// Without tags.
    pub(crate) const UNTAGGED: Self = Self("one", "team a", "");
    pub(crate) const UNTAGGED_OTHER_METADATA: Self = Self("one", "team b", "");
}

/// What the destination holds before the first event is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// An object of the same second as the source's.
    SameSecond(ObjectSpec),
    /// An object that an application wrote earlier than the source's.
    Older(ObjectSpec),
    /// An object that an application wrote later than the source's.
    Newer(ObjectSpec),
    /// A copy of what the source held before.
    Copy,
    /// A copy that an application deleted.
    DeletedCopy,
}

/// What an application does, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Nothing,
    Put(ObjectSpec),
    Tag(&'static str),
    Delete,
    /// Changes the content and keeps all metadata, including a marker.
    Edit,
    /// Writes the oldest object again as it was, including a marker.
    Restore,
    /// Completes an upload that was created before the first event was delivered.
    Upload,
}

/// When the event of the source's write is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecondInvocation {
    /// At once, while the first invocation runs.
    Concurrent,
    /// After the first invocation.
    After,
    /// After two concurrent invocations of the first event.
    AfterDuplicate,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent possibility")]
pub(crate) struct Scenario {
    pub(crate) ownership: Ownership,
    pub(crate) source_versioned: bool,
    pub(crate) destination_versioned: bool,
    pub(crate) before: Before,
    pub(crate) at_source: Write,
    pub(crate) at_destination: Write,
    pub(crate) second: SecondInvocation,
    /// Whether the first invocation may crash at any step; its message is delivered again.
    pub(crate) crash: bool,
    /// Whether the source's objects are copied multipart.
    pub(crate) large: bool,
    /// Whether the first invocation is a sync of an object without tags that only the source lists.
    pub(crate) listed: bool,
    /// Whether each write is a second later than the one before.
    pub(crate) ticks: bool,
    pub(crate) mutant: Mutant,
}
