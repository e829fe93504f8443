//! Names of the S3 operations, which request counts and fault rules use.

use crate::sim::model::document::BucketDocument;

/// Properties of a request that determine its operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestShape<'a> {
    pub(crate) method: &'a str,
    pub(crate) has_bucket: bool,
    pub(crate) has_key: bool,
    pub(crate) has_copy_source: bool,
    pub(crate) query: &'a [(String, String)],
}

/// Operations other than those of bucket documents.
const OTHERS: [&str; 49] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjectAnnotation",
    "DeleteObjectTagging",
    "DeleteObjects",
    "GetBucketAcl",
    "GetBucketLocation",
    "GetBucketVersioning",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAnnotation",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectAnnotations",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutBucketAcl",
    "PutBucketVersioning",
    "PutObject",
    "PutObjectAcl",
    "PutObjectAnnotation",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "RestoreObject",
    "SelectObjectContent",
    "UpdateObjectEncryption",
    "UploadPart",
    "UploadPartCopy",
    // Operations that are not implemented, but have a name.
    "GetBucketPolicyStatus",
    "GetBucketAnalyticsConfiguration",
    "GetBucketIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration",
    "GetBucketMetricsConfiguration",
    "GetObjectTorrent",
    UNKNOWN,
];

/// Name of a request that is no known S3 operation.
pub(crate) const UNKNOWN: &str = "Unknown";

/// Returns the names of all operations.
pub fn names() -> Vec<&'static str> {
    let documents = BucketDocument::ALL
        .into_iter()
        .flat_map(|document| ["PUT", "GET", "DELETE"].map(|method| document.operation(method)))
        .flatten();
    let mut names: Vec<_> = OTHERS
        .into_iter()
        .filter(|name| *name != UNKNOWN)
        .chain(documents)
        .collect();
    names.sort_unstable();
    names
}

impl RequestShape<'_> {
    fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(key, _)| key == name)
    }

    /// Returns the bucket document that the request reads or writes.
    pub(crate) fn document(&self) -> Option<BucketDocument> {
        if !self.has_bucket || self.has_key {
            return None;
        }
        BucketDocument::ALL
            .into_iter()
            .find(|document| self.has(document.query_name()))
    }

    /// Returns the name of the operation.
    pub(crate) fn operation(&self) -> &'static str {
        if let Some(document) = self.document() {
            return document.operation(self.method).unwrap_or(UNKNOWN);
        }
        match (self.has_bucket, self.has_key) {
            (false, _) if self.method == "GET" => "ListBuckets",
            (false, _) => UNKNOWN,
            (true, false) => self.of_bucket(),
            (true, true) => self.of_object(),
        }
    }

    fn of_bucket(&self) -> &'static str {
        match self.method {
            "HEAD" => "HeadBucket",
            "PUT" if self.has("versioning") => "PutBucketVersioning",
            "PUT" if self.has("acl") => "PutBucketAcl",
            "PUT" => "CreateBucket",
            "DELETE" => "DeleteBucket",
            "POST" if self.has("delete") => "DeleteObjects",
            "GET" if self.has("location") => "GetBucketLocation",
            "GET" if self.has("versioning") => "GetBucketVersioning",
            "GET" if self.has("acl") => "GetBucketAcl",
            "GET" if self.has("policyStatus") => "GetBucketPolicyStatus",
            "GET" if self.has("analytics") => "GetBucketAnalyticsConfiguration",
            "GET" if self.has("intelligent-tiering") => "GetBucketIntelligentTieringConfiguration",
            "GET" if self.has("inventory") => "GetBucketInventoryConfiguration",
            "GET" if self.has("metrics") => "GetBucketMetricsConfiguration",
            "GET" if self.has("uploads") => "ListMultipartUploads",
            "GET" if self.has("versions") => "ListObjectVersions",
            "GET"
                if self
                    .query
                    .iter()
                    .any(|(name, value)| name == "list-type" && value == "2") =>
            {
                "ListObjectsV2"
            }
            "GET" => "ListObjects",
            _ => UNKNOWN,
        }
    }

    fn of_object(&self) -> &'static str {
        match self.method {
            "HEAD" => "HeadObject",
            "GET" => self.reading(),
            "PUT" => self.writing(),
            "DELETE" if self.has("tagging") => "DeleteObjectTagging",
            "DELETE" if self.has("annotation") => "DeleteObjectAnnotation",
            "DELETE" if self.has("uploadId") => "AbortMultipartUpload",
            "DELETE" => "DeleteObject",
            "POST" if self.has("uploads") => "CreateMultipartUpload",
            "POST" if self.has("restore") => "RestoreObject",
            "POST" if self.has("select") => "SelectObjectContent",
            "POST" if self.has("uploadId") => "CompleteMultipartUpload",
            _ => UNKNOWN,
        }
    }

    fn reading(&self) -> &'static str {
        let table = [
            ("attributes", "GetObjectAttributes"),
            ("acl", "GetObjectAcl"),
            ("legal-hold", "GetObjectLegalHold"),
            ("retention", "GetObjectRetention"),
            ("tagging", "GetObjectTagging"),
            ("torrent", "GetObjectTorrent"),
            ("annotationName", "GetObjectAnnotation"),
            ("annotation", "ListObjectAnnotations"),
            ("uploadId", "ListParts"),
        ];
        self.first_of(&table, "GetObject")
    }

    fn writing(&self) -> &'static str {
        let table = [
            ("acl", "PutObjectAcl"),
            ("legal-hold", "PutObjectLegalHold"),
            ("retention", "PutObjectRetention"),
            ("tagging", "PutObjectTagging"),
            ("annotation", "PutObjectAnnotation"),
            ("encryption", "UpdateObjectEncryption"),
        ];
        let of_part = self.has("partNumber") && self.has("uploadId");
        let otherwise = match (of_part, self.has_copy_source) {
            (true, true) => "UploadPartCopy",
            (true, false) => "UploadPart",
            (false, true) => "CopyObject",
            (false, false) => "PutObject",
        };
        self.first_of(&table, otherwise)
    }

    fn first_of(&self, table: &[(&str, &'static str)], otherwise: &'static str) -> &'static str {
        table
            .iter()
            .find(|(query, _)| self.has(query))
            .map_or(otherwise, |(_, operation)| operation)
    }
}
