//! Settings of a bucket that are documents: kept as they were put, given back as they are.

use super::error::SimErrorCode;

/// A setting that is a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BucketDocument {
    /// Requester pays, acceleration and the like: kept only.
    Accelerate,
    /// Cross-origin rules.
    Cors,
    /// Default encryption.
    Encryption,
    /// Lifecycle rules; the simulator does not carry them out.
    Lifecycle,
    /// Access logging.
    Logging,
    /// Where notifications go; the simulator offers them at its side door whatever stands here.
    Notification,
    /// Object Lock and its default retention.
    ObjectLock,
    /// Whether access control lists are in force.
    OwnershipControls,
    /// The bucket policy; the simulator does not carry it out.
    Policy,
    /// Block of public access.
    PublicAccessBlock,
    /// Replication rules; the simulator does not carry them out.
    Replication,
    /// Who pays.
    RequestPayment,
    /// The bucket's tags.
    Tagging,
    /// Website hosting.
    Website,
}

/// What a bucket answers that never got a document.
#[derive(Debug, Clone, Copy)]
pub enum UnsetDocument {
    /// This one.
    Default(&'static str),
    /// An error with this code.
    Missing(&'static str),
}

impl BucketDocument {
    /// All of them.
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

    /// The name in the query, and in operation names between `GetBucket` and the end.
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

    /// The name in the query of a request.
    pub fn query_name(self) -> &'static str {
        self.names().0
    }

    /// The operation that a method means; `None` where S3 has none.
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

    /// What a bucket answers that never got this document.
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

    /// The status of an answer when the document is put or deleted.
    pub fn changed_status(self, method: &str) -> u16 {
        if method == "DELETE" || matches!(self, Self::Policy | Self::Tagging) {
            204
        } else {
            200
        }
    }

    /// Refuses what cannot be the document.
    pub fn check(self, text: &str) -> Result<(), SimErrorCode> {
        let opens = if self == Self::Policy { '{' } else { '<' };
        if text.trim_start().starts_with(opens) {
            Ok(())
        } else {
            Err(SimErrorCode::MalformedXml)
        }
    }
}

/// Returns the text of the first element of a name, as far as settings need one.
pub fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().to_owned())
}
