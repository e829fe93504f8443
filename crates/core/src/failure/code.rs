//! Failure codes: those that decide what happens next, and the text of all others.

use std::fmt;

use super::ErrorReaction::{self, Fail, ReadAgain};
use super::FailureKind::{Bug, Configuration, Permanent, Retry};

macro_rules! failure_codes {
    ($($code:ident)* ; $($named:ident = $text:literal)*) => {
        /// Error code of the service, or s3ferry's name of the cause.
        ///
        /// Only this type knows the text of a code, so no other module compares codes as text.
        ///
        /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum FailureCode {
            $(#[doc = concat!("Code `", stringify!($code), "`.")] $code,)*
            $(#[doc = concat!("Code `", $text, "`.")] $named,)*
            /// Code that changes nothing, made by `From`.
            Other(String),
        }

        impl FailureCode {
            /// Returns the code as in logs and reports.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$code => stringify!($code),)*
                    $(Self::$named => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for FailureCode {
            fn from(text: &str) -> Self {
                match text {
                    $(stringify!($code) => Self::$code,)*
                    $($text => Self::$named,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }
    };
}

failure_codes! {
    AccessDenied AccessDeniedException AccountProblem AllAccessDisabled AuthorizationHeaderMalformed
    BandwidthLimitExceeded ConditionalRequestConflict CredentialsMisconfigured CredentialsNotInProfile
    CredentialsNotLoaded CredentialsTimedOut CredentialsUnavailable CustomerKeyEncrypted EndpointUnreachable
    EntityTooLarge EntityTooSmall ExecutionAlreadyExists ExpiredToken ExpiredTokenException ForeignBucket
    IllegalLocationConstraintException InternalError InvalidAccessKeyId InvalidArgument InvalidBucketName
    InvalidBucketState InvalidObjectState InvalidPart InvalidPartOrder InvalidRequest InvalidStorageClass InvalidTag
    InvalidToken KeyTooLongError ListingOutOfOrder MalformedXML MetadataTooLarge MethodNotAllowed NoAnswer NoSuchBucket
    NoSuchKey NoSuchUpload NoSuchVersion NotFoundException NotImplemented ObjectLockConfigurationNotFoundError
    OperationAborted OwnershipControlsNotFoundError PermanentRedirect PreconditionFailed
    ReplicationConfigurationNotFoundError RequestLimitExceeded RequestNotMade RequestTimeTooSkewed RequestTimeout
    ResponseNotFromS3 ServerSideEncryptionConfigurationNotFoundError ServiceUnavailable SignatureDoesNotMatch SlowDown
    SortLimitsReached SpillFailed StateBucketRequired Status301 Status405 Status501 TemporaryRedirect Throttling
    ThrottlingException TokenRefreshRequired TooManyRequestsException UnreadableListing UnwritableFile;
    KmsDisabled = "KMS.DisabledException"
    KmsInvalidKeyUsage = "KMS.InvalidKeyUsageException"
    KmsInvalidState = "KMS.InvalidStateException"
    KmsInvalidStateOfKms = "KMS.KMSInvalidStateException"
    KmsNotFound = "KMS.NotFoundException"
    KmsThrottling = "KMS.ThrottlingException"
}

impl fmt::Display for FailureCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FailureCode {
    /// Returns whether the credentials or this machine's clock are the cause.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        matches!(
            self,
            Self::AccountProblem
                | Self::CredentialsMisconfigured
                | Self::CredentialsNotInProfile
                | Self::CredentialsNotLoaded
                | Self::CredentialsTimedOut
                | Self::CredentialsUnavailable
                | Self::ExpiredToken
                | Self::ExpiredTokenException
                | Self::InvalidAccessKeyId
                | Self::InvalidToken
                | Self::RequestTimeTooSkewed
                | Self::SignatureDoesNotMatch
                | Self::TokenRefreshRequired
        )
    }

    /// Returns whether a permission is missing. Other services than S3 have codes of their own for this.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        match self {
            Self::AccessDenied | Self::AccessDeniedException => true,
            Self::Other(text) => text.contains("AccessDenied") || text.contains("Unauthorized"),
            _ => false,
        }
    }

    /// Returns whether a service other than S3 rejects the request only for now.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        ["Throttl", "TooManyRequests", "Timeout", "Unavailable", "LimitExceeded"]
            .iter()
            .any(|part| self.as_str().contains(part))
    }

    /// Returns whether an inventory report is not readable.
    #[must_use]
    pub fn is_of_inventory(&self) -> bool {
        self.as_str().starts_with("Inventory")
    }

    /// Returns the reaction that is more specific than that to the status.
    pub(super) fn reaction(&self) -> Option<ErrorReaction> {
        Some(match self {
            Self::ConditionalRequestConflict
            | Self::NoSuchKey
            | Self::NoSuchUpload
            | Self::NoSuchVersion
            | Self::PreconditionFailed => ReadAgain,
            Self::BandwidthLimitExceeded
            | Self::CredentialsTimedOut
            | Self::InternalError
            // The part was copied again since it was listed; a retry lists it again.
            | Self::InvalidPart
            | Self::KmsThrottling
            // Two concurrent writers of one key; the S3 user guide recommends a retry.
            | Self::OperationAborted
            | Self::RequestLimitExceeded
            | Self::RequestTimeout
            | Self::ServiceUnavailable
            | Self::SlowDown
            // The bucket is new and its DNS entry is not propagated yet.
            | Self::TemporaryRedirect
            | Self::Throttling
            | Self::ThrottlingException
            | Self::TooManyRequestsException => Fail(Retry),
            Self::AccessDenied
            | Self::EntityTooLarge
            | Self::InvalidArgument
            | Self::InvalidObjectState
            | Self::InvalidRequest
            | Self::InvalidTag
            | Self::KeyTooLongError
            | Self::MalformedXML
            | Self::MetadataTooLarge
            | Self::MethodNotAllowed
            | Self::NotImplemented
            | Self::RequestNotMade => Fail(Permanent),
            Self::AllAccessDisabled
            | Self::AuthorizationHeaderMalformed
            | Self::IllegalLocationConstraintException
            | Self::InvalidBucketName
            | Self::InvalidBucketState
            | Self::InvalidStorageClass
            | Self::KmsDisabled
            | Self::KmsInvalidKeyUsage
            | Self::KmsInvalidState
            | Self::KmsInvalidStateOfKms
            | Self::KmsNotFound
            | Self::NoSuchBucket
            | Self::PermanentRedirect => Fail(Configuration),
            // A part below 5 MiB that is not the last: no plan has one. Nor has one parts out of order.
            Self::EntityTooSmall | Self::InvalidPartOrder => Fail(Bug),
            code if code.is_of_credentials() => Fail(Configuration),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_keeps_its_text() {
        for text in ["NoSuchKey", "KMS.NotFoundException", "MalformedXML", "BrandNew", ""] {
            assert_eq!(FailureCode::from(text).to_string(), text);
        }
        assert_eq!(FailureCode::from("NoSuchKey"), FailureCode::NoSuchKey);
        assert_eq!(FailureCode::from("KMS.NotFoundException"), FailureCode::KmsNotFound);
    }
}
