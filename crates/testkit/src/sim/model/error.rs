//! Error responses with S3's codes and messages.

use std::fmt;

macro_rules! codes {
    ($($variant:ident = $name:literal, $status:literal, $message:literal;)*) => {
        /// An error code of S3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum SimErrorCode {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant,
            )*
        }

        impl SimErrorCode {
            /// Returns the code as responses contain it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the HTTP status of the code.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                }
            }

            /// Returns S3's default message of the code.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }
        }
    };
}

// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
codes! {
    AccessDenied = "AccessDenied", 403, "Access Denied";
    AnnotationLimitExceeded = "AnnotationLimitExceeded", 400,
        "The request would exceed the maximum number of annotations allowed per object.";
    AnnotationNameTooLong = "AnnotationNameTooLong", 400, "The annotation name exceeds 512 bytes.";
    AccessControlListNotSupported = "AccessControlListNotSupported", 400, "The bucket does not allow ACLs";
    BadDigest = "BadDigest", 400, "The digest you specified did not match what we received";
    BadRequest = "BadRequest", 400, "Bad Request";
    BucketAlreadyExists = "BucketAlreadyExists", 409, "The requested bucket name is not available";
    BucketAlreadyOwnedByYou = "BucketAlreadyOwnedByYou", 409, "The bucket exists and belongs to you already";
    BucketNotEmpty = "BucketNotEmpty", 409, "The bucket you tried to delete is not empty";
    ConditionalRequestConflict = "ConditionalRequestConflict", 409, "A conflicting operation occurred, try again";
    EntityTooLarge = "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed object size.";
    EntityTooSmall = "EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size";
    IllegalLocationConstraint = "IllegalLocationConstraintException", 400,
        "The location constraint is incompatible with the region of the endpoint";
    InternalError = "InternalError", 500, "We encountered an internal error. Please try again.";
    InvalidAnnotationName = "InvalidAnnotationName", 400, "The annotation name you provided is invalid.";
    InvalidArgument = "InvalidArgument", 400, "Invalid Argument";
    InvalidBucketName = "InvalidBucketName", 400, "The specified bucket is not valid.";
    InvalidBucketState = "InvalidBucketState", 409, "The request is not valid for the current state of the bucket.";
    InvalidDigest = "InvalidDigest", 400, "The Content-MD5 you specified was invalid.";
    InvalidObjectState = "InvalidObjectState", 403, "The operation is not valid for the object's storage class";
    InvalidPart = "InvalidPart", 400,
        "One or more of the specified parts could not be found or did not match its entity tag";
    InvalidPartNumber = "InvalidPartNumber", 416, "The requested partnumber is not satisfiable";
    InvalidPartOrder = "InvalidPartOrder", 400, "The list of parts was not in ascending order.";
    InvalidRange = "InvalidRange", 416, "The requested range is not satisfiable";
    InvalidRequest = "InvalidRequest", 400, "Invalid Request";
    InvalidStorageClass = "InvalidStorageClass", 400, "The storage class you specified is not valid";
    InvalidTag = "InvalidTag", 400, "The tag provided was not a valid tag.";
    KeyTooLong = "KeyTooLongError", 400, "Your key is too long";
    MalformedXml = "MalformedXML", 400, "The XML you provided was not well-formed or did not validate";
    MetadataTooLarge = "MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size";
    MethodNotAllowed = "MethodNotAllowed", 405, "The specified method is not allowed against this resource.";
    MissingContentLength = "MissingContentLength", 411, "You must provide the Content-Length HTTP header.";
    RequestHeaderSectionTooLarge = "RequestHeaderSectionTooLarge", 400, "Your request header section exceeds the maximum allowed size.";
    NoSuchAnnotation = "NoSuchAnnotation", 404, "The specified annotation does not exist.";
    NoSuchBucket = "NoSuchBucket", 404, "The specified bucket does not exist";
    NoSuchKey = "NoSuchKey", 404, "The specified key does not exist.";
    NoSuchObjectLockConfiguration = "NoSuchObjectLockConfiguration", 404,
        "The specified object does not have a ObjectLock configuration";
    NoSuchUpload = "NoSuchUpload", 404,
        "The specified upload does not exist. It may have been aborted or completed.";
    NoSuchVersion = "NoSuchVersion", 404, "The specified version does not exist.";
    NotImplemented = "NotImplemented", 501, "A header you provided implies functionality that is not implemented";
    NotModified = "NotModified", 304, "Not Modified";
    PermanentRedirect = "PermanentRedirect", 301,
        "The bucket you are attempting to access must be addressed using the specified endpoint.";
    PreconditionFailed = "PreconditionFailed", 412,
        "At least one of the pre-conditions you specified did not hold";
    RestoreAlreadyInProgress = "RestoreAlreadyInProgress", 409, "Object restore is already in progress";
    SlowDown = "SlowDown", 503, "Please reduce your request rate.";
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimError {
    /// Error code.
    pub code: SimErrorCode,
    /// Message with details.
    pub message: String,
    /// Additional headers of the response: the bucket's region, or that the version is a delete marker.
    pub headers: Vec<(&'static str, String)>,
}

/// Result of an operation.
pub type SimResult<T> = Result<T, SimError>;

impl SimError {
    /// Creates an error with S3's default message.
    pub fn new(code: SimErrorCode) -> Self {
        Self::because(code, code.message())
    }

    /// Creates an error with a specific message.
    pub fn because(code: SimErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<SimErrorCode> for SimError {
    fn from(code: SimErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for SimError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for SimError {}
