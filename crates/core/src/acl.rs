//! Access control lists, as far as copies set them.

use std::collections::BTreeSet;

use serde::Serialize;

/// Explicit grants of an object, without the full control that every object's owner has.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acl {
    /// Grants, each of one permission to one grantee.
    pub grants: BTreeSet<Grant>,
}

/// Permission of one grantee.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// Account or group that has the permission.
    pub grantee: Grantee,
    /// Permission by S3's name, such as `READ`.
    pub permission: String,
}

/// Account or group that a grant names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Grantee {
    /// Account, by its canonical user id.
    Account(String),
    /// Group that S3 defines, by its URI.
    Group(String),
    /// Account, by its e-mail address.
    Email(String),
}
