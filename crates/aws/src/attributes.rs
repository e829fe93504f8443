//! Attributes that a HEAD does not show: tags, annotations, ACLs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Once;
use std::sync::atomic::Ordering;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{self, ObjectOwnership, Permission, Type};
use s3ferry_core::acl::{Acl, Grant, Grantee};
use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts};
use s3ferry_core::failure::{ErrorReaction, Failure, FailureCode};
use s3ferry_core::names::{ObjectKey, VersionId};

use crate::annotation_page::{self, AnnotationPage};
use crate::bucket_reader::BucketReader;
use crate::classify::{AttemptedOperation, ErrorAnswer};

/// The reason why an attribute of one version could not be read.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    /// The version no longer exists.
    Gone(Failure),
    /// The request failed.
    Failed(Failure),
}

impl ReadFailure {
    fn of(mut answer: ErrorAnswer, attempted: &AttemptedOperation) -> Self {
        if answer.code == Some(FailureCode::MethodNotAllowed) {
            // A delete marker is now the current version of the key.
            answer.code = Some(FailureCode::NoSuchKey);
        }
        let reaction = answer.reaction();
        let failure = answer.into_failure(attempted);
        match reaction {
            ErrorReaction::ReadAgain => Self::Gone(failure),
            ErrorReaction::Fail(_) => Self::Failed(failure),
        }
    }

    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Gone(failure) | Self::Failed(failure) => failure,
        }
    }
}

/// Returns the IAM action of a request. IAM has one for requests with a version and one for requests without.
pub(crate) fn action(version_id: Option<&VersionId>, of_version: &'static str, of_key: &'static str) -> &'static str {
    version_id.map_or(of_key, |_| of_version)
}

impl BucketReader {
    /// Reads `attributes` of the version that `facts` describe. Only the version connects these requests with the HEAD.
    pub(crate) async fn with_attributes(
        &self,
        key: &ObjectKey,
        mut facts: ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<ObjectFacts, ReadFailure> {
        let version_id = facts.version_id.clone();
        let version_id = version_id.as_ref();
        if attributes.contains(&Attribute::Tags) {
            facts.tags = Some(self.tags(key, version_id).await?);
        }
        if attributes.contains(&Attribute::Annotations) {
            facts.annotations = Some(self.annotations(key, version_id).await?);
        }
        if attributes.contains(&Attribute::Acl) {
            facts.acl = Some(self.acl(key, version_id).await?.explicit);
        }
        Ok(facts)
    }

    async fn tags(
        &self,
        key: &ObjectKey,
        version_id: Option<&VersionId>,
    ) -> Result<BTreeMap<String, String>, ReadFailure> {
        let answer = self
            .client
            .get_object_tagging()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .set_version_id(version_id.map(ToString::to_string))
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let answer = answer.map_err(|error| {
            let action = action(version_id, "s3:GetObjectVersionTagging", "s3:GetObjectTagging");
            ReadFailure::of(ErrorAnswer::of(&error), &self.attempted(key, action))
        })?;
        let tags = answer.tag_set.into_iter();
        Ok(tags.map(|tag| (tag.key, tag.value)).collect())
    }

    /// Lists the annotations, name to ETag. A store that does not support annotations has none.
    pub(crate) async fn annotations(
        &self,
        key: &ObjectKey,
        version_id: Option<&VersionId>,
    ) -> Result<BTreeMap<String, String>, ReadFailure> {
        let mut found = BTreeMap::new();
        let mut token = None;
        while !self.lacks_annotations.load(Ordering::Relaxed) {
            let answer = self
                .client
                .list_object_annotations()
                .bucket(self.bucket.as_str())
                .key(key.as_str())
                .set_version_id(version_id.map(ToString::to_string))
                .set_continuation_token(token)
                .set_expected_bucket_owner(self.owner())
                .send()
                .await;
            let page = match answer {
                Ok(page) => AnnotationPage {
                    entries: page
                        .annotations
                        .into_iter()
                        .flatten()
                        .map(|entry| (entry.annotation_name, entry.e_tag.unwrap_or_default()))
                        .collect(),
                    next: page.next_continuation_token,
                },
                Err(error) if lacks_annotation_support(&error) => {
                    self.lacks_annotations.store(true, Ordering::Relaxed);
                    self.warn_that_annotations_are_unknown();
                    break;
                }
                Err(error) => annotation_page::page_without_key(key, &error).ok_or_else(|| {
                    let action = action(
                        version_id,
                        "s3:ListObjectVersionAnnotations",
                        "s3:ListObjectAnnotations",
                    );
                    ReadFailure::of(ErrorAnswer::of(&error), &self.attempted(key, action))
                })?,
            };
            token = page.next.filter(|token| !token.is_empty());
            let entries = page.entries.into_iter();
            found.extend(entries.map(|(name, etag)| (name, etag.trim_matches('"').to_owned())));
            if token.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn warn_that_annotations_are_unknown(&self) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::warn!(s3.bucket = %self.bucket, "the store does not support annotations: they are not read");
        });
    }

    /// Reads the explicit grants and the owner of the object.
    pub(crate) async fn acl(&self, key: &ObjectKey, version_id: Option<&VersionId>) -> Result<OwnedAcl, ReadFailure> {
        let answer = self
            .client
            .get_object_acl()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .set_version_id(version_id.map(ToString::to_string))
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let answer = answer.map_err(|error| {
            let action = action(version_id, "s3:GetObjectVersionAcl", "s3:GetObjectAcl");
            ReadFailure::of(ErrorAnswer::of(&error), &self.attempted(key, action))
        })?;
        let owner = answer.owner().and_then(types::Owner::id).map(str::to_owned);
        let own = owner.clone().map(|owner| Grant {
            grantee: Grantee::Account(owner),
            permission: Permission::FullControl.as_str().to_owned(),
        });
        let grants: BTreeSet<Grant> = answer.grants().iter().filter_map(grant_of).collect();
        let grants = grants.into_iter().filter(|grant| Some(grant) != own.as_ref());
        Ok(OwnedAcl {
            explicit: Acl {
                grants: grants.collect(),
            },
            owner,
        })
    }

    /// Returns whether objects of the bucket have ACLs.
    ///
    /// A bucket without ownership controls is older than that feature: its objects have ACLs.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>
    pub(crate) async fn has_acl(&self) -> Result<bool, Failure> {
        self.has_acl.get_or_try_init(|| self.read_owner()).await.copied()
    }

    async fn read_owner(&self) -> Result<bool, Failure> {
        let answer = self
            .client
            .get_bucket_ownership_controls()
            .bucket(self.bucket.as_str())
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let rules = answer
                    .ownership_controls()
                    .map(types::OwnershipControls::rules)
                    .unwrap_or_default();
                let is_enforced = |rule: &types::OwnershipControlsRule| {
                    rule.object_ownership() == &ObjectOwnership::BucketOwnerEnforced
                };
                Ok(!rules.iter().any(is_enforced))
            }
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.code == Some(FailureCode::OwnershipControlsNotFoundError) {
                    return Ok(true);
                }
                Err(answer.into_failure(&self.bucket_attempted("s3:GetBucketOwnershipControls")))
            }
        }
    }

    pub(crate) fn bucket_attempted(&self, action: &'static str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: self.bucket.arn(&self.region),
            when_denied: format!("the credentials need {action} on the bucket"),
        }
    }
}

/// The ACL of an object, and the object's owner.
#[derive(Debug)]
pub(crate) struct OwnedAcl {
    /// Grants other than the owner's full control.
    pub(crate) explicit: Acl,
    /// Canonical id of the owner.
    pub(crate) owner: Option<String>,
}

pub(crate) fn grant_of(grant: &types::Grant) -> Option<Grant> {
    let permission = grant.permission()?.as_str().to_owned();
    let grantee = grant.grantee()?;
    let grantee = match grantee.r#type() {
        Type::CanonicalUser => Grantee::Account(grantee.id()?.to_owned()),
        Type::Group => Grantee::Group(grantee.uri()?.to_owned()),
        Type::AmazonCustomerByEmail => Grantee::Email(grantee.email_address()?.to_owned()),
        _ => return None,
    };
    Some(Grant { grantee, permission })
}

/// Returns whether a response shows that the store does not support annotations.
///
/// Such a store returns an error, or it returns the object itself, with an `ETag` that no list has.
fn lacks_annotation_support<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let code = code.map(FailureCode::from);
    let is_object = error
        .raw_response()
        .is_some_and(|response| response.status().as_u16() == 200 && response.headers().contains_key("etag"));
    code == Some(FailureCode::NotImplemented) || (code.is_none() && is_object)
}
