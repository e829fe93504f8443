//! Bucket settings that are stored and returned as documents, without interpretation.

use super::error::SimErrorCode;

/// A bucket setting that is a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BucketDocument {
    /// Transfer acceleration; stored only.
    Accelerate,
    /// CORS rules.
    Cors,
    /// Default encryption.
    Encryption,
    /// Lifecycle rules; stored, but not applied.
    Lifecycle,
    /// Access logging.
    Logging,
    /// Notification configuration; stored, but ignored: the side door returns all notifications.
    Notification,
    /// Object Lock configuration with its default retention.
    ObjectLock,
    /// Object Ownership: whether access control lists are enabled.
    OwnershipControls,
    /// Bucket policy; statements that deny are applied to writes of objects.
    Policy,
    /// Block Public Access settings.
    PublicAccessBlock,
    /// Replication rules; stored, but not applied.
    Replication,
    /// Requester Pays.
    RequestPayment,
    /// Bucket tags.
    Tagging,
    /// Website hosting.
    Website,
}

/// Response for a document that was never set.
#[derive(Debug, Clone, Copy)]
pub enum UnsetDocument {
    /// This default document.
    Default(&'static str),
    /// An error with this code.
    Missing(&'static str),
}

impl BucketDocument {
    /// All documents.
    pub const ALL: [Self; 14] = [
        Self::Accelerate,
        Self::Cors,
        Self::Encryption,
        Self::Lifecycle,
        Self::Logging,
        Self::Notification,
        Self::ObjectLock,
        Self::OwnershipControls,
        Self::Policy,
        Self::PublicAccessBlock,
        Self::Replication,
        Self::RequestPayment,
        Self::Tagging,
        Self::Website,
    ];

    /// Returns the query parameter and the names of the put, get and delete operation.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Accelerate => (
                "accelerate",
                "PutBucketAccelerateConfiguration",
                "GetBucketAccelerateConfiguration",
                "",
            ),
            Self::Cors => ("cors", "PutBucketCors", "GetBucketCors", "DeleteBucketCors"),
            Self::Encryption => (
                "encryption",
                "PutBucketEncryption",
                "GetBucketEncryption",
                "DeleteBucketEncryption",
            ),
            Self::Lifecycle => (
                "lifecycle",
                "PutBucketLifecycleConfiguration",
                "GetBucketLifecycleConfiguration",
                "DeleteBucketLifecycle",
            ),
            Self::Logging => ("logging", "PutBucketLogging", "GetBucketLogging", ""),
            Self::Notification => (
                "notification",
                "PutBucketNotificationConfiguration",
                "GetBucketNotificationConfiguration",
                "",
            ),
            Self::ObjectLock => (
                "object-lock",
                "PutObjectLockConfiguration",
                "GetObjectLockConfiguration",
                "",
            ),
            Self::OwnershipControls => (
                "ownershipControls",
                "PutBucketOwnershipControls",
                "GetBucketOwnershipControls",
                "DeleteBucketOwnershipControls",
            ),
            Self::Policy => ("policy", "PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"),
            Self::PublicAccessBlock => (
                "publicAccessBlock",
                "PutPublicAccessBlock",
                "GetPublicAccessBlock",
                "DeletePublicAccessBlock",
            ),
            Self::Replication => (
                "replication",
                "PutBucketReplication",
                "GetBucketReplication",
                "DeleteBucketReplication",
            ),
            Self::RequestPayment => (
                "requestPayment",
                "PutBucketRequestPayment",
                "GetBucketRequestPayment",
                "",
            ),
            Self::Tagging => ("tagging", "PutBucketTagging", "GetBucketTagging", "DeleteBucketTagging"),
            Self::Website => ("website", "PutBucketWebsite", "GetBucketWebsite", "DeleteBucketWebsite"),
        }
    }

    /// Returns the query parameter that selects the document.
    pub fn query_name(self) -> &'static str {
        self.names().0
    }

    /// Returns the operation of an HTTP method; `None` if S3 has no such operation.
    pub fn operation(self, method: &str) -> Option<&'static str> {
        let (_, put, get, delete) = self.names();
        let name = match method {
            "PUT" => put,
            "GET" => get,
            "DELETE" => delete,
            _ => "",
        };
        (!name.is_empty()).then_some(name)
    }

    /// Returns the response for a document that was never set.
    pub fn unset(self) -> UnsetDocument {
        match self {
            Self::Accelerate => UnsetDocument::Default("<AccelerateConfiguration/>"),
            Self::Cors => UnsetDocument::Missing("NoSuchCORSConfiguration"),
            Self::Encryption => UnsetDocument::Default(
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                 <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
                 <BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
            ),
            Self::Lifecycle => UnsetDocument::Missing("NoSuchLifecycleConfiguration"),
            Self::Logging => UnsetDocument::Default("<BucketLoggingStatus/>"),
            Self::Notification => UnsetDocument::Default("<NotificationConfiguration/>"),
            Self::ObjectLock => UnsetDocument::Missing("ObjectLockConfigurationNotFoundError"),
            Self::OwnershipControls => UnsetDocument::Default(
                "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>\
                 </OwnershipControls>",
            ),
            Self::Policy => UnsetDocument::Missing("NoSuchBucketPolicy"),
            Self::PublicAccessBlock => UnsetDocument::Missing("NoSuchPublicAccessBlockConfiguration"),
            Self::Replication => UnsetDocument::Missing("ReplicationConfigurationNotFoundError"),
            Self::RequestPayment => UnsetDocument::Default(
                "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
            ),
            Self::Tagging => UnsetDocument::Missing("NoSuchTagSet"),
            Self::Website => UnsetDocument::Missing("NoSuchWebsiteConfiguration"),
        }
    }

    /// Returns the status of a successful put or delete of the document.
    pub fn changed_status(self, method: &str) -> u16 {
        if method == "DELETE" || matches!(self, Self::Policy | Self::Tagging) {
            204
        } else {
            200
        }
    }

    /// Checks whether a text is a valid document of this kind.
    pub fn check(self, text: &str) -> Result<(), SimErrorCode> {
        let opens = if self == Self::Policy { '{' } else { '<' };
        if text.trim_start().starts_with(opens) {
            Ok(())
        } else {
            Err(SimErrorCode::MalformedXml)
        }
    }
}

/// Returns the text of the first XML element with a name.
pub fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().to_owned())
}
