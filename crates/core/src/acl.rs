//! Access control lists, as far as copies restate them.

use std::collections::BTreeSet;

use serde::Serialize;

/// The explicit grants of an object, without the full control that every object's owner has.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acl {
    /// Who may do what.
    pub grants: BTreeSet<Grant>,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What, by S3's name, such as `READ`.
    pub permission: String,
}

/// Who is granted something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Grantee {
    /// An account, by its canonical user id.
    Account(String),
    /// A group that S3 defines, by its URI.
    Group(String),
    /// An account, by its e-mail address.
    Email(String),
}
