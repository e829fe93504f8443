//! A bucket of the emulator: creation, reads, listings, configuration.

use std::collections::BTreeMap;

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, NotificationConfiguration,
    VersioningConfiguration,
};

use crate::emulator::Emulator;
use crate::upload::TestHeaders;
use crate::{HarnessError, Result};

/// A bucket and a client of its region.
#[derive(Clone, Debug)]
pub struct TestBucket {
    /// Client of the bucket's region.
    pub client: aws_sdk_s3::Client,
    /// Name of the bucket.
    pub name: String,
    region: String,
}

/// Content and attributes that must be equal on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestObject {
    /// Content.
    pub body: Vec<u8>,
    /// System headers.
    pub headers: TestHeaders,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Storage class; `STANDARD` if S3 sends none.
    pub storage_class: String,
    /// Website redirect location.
    pub website_redirect: Option<String>,
}

/// Entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTestObject {
    /// Size.
    pub size_bytes: i64,
    /// `ETag`, which is the MD5 of the content for single-part uploads in these buckets.
    pub etag: String,
}

impl TestBucket {
    /// Returns a handle of an existing bucket.
    #[must_use]
    pub fn at(emulator: &Emulator, region: &str, name: &str) -> Self {
        Self::new(emulator.s3(region), region, name)
    }

    /// Returns a handle of a bucket, with a client of its region.
    #[must_use]
    pub fn new(client: aws_sdk_s3::Client, region: &str, name: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
            region: region.to_owned(),
        }
    }

    /// Returns the region of the bucket.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns whether versioning is enabled.
    pub async fn has_versioning(&self) -> Result<bool> {
        let asked = self.client.get_bucket_versioning().bucket(&self.name).send().await;
        let answer = asked.map_err(HarnessError::aws(format!("GetBucketVersioning {}", self.name)))?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }

    /// Deletes the bucket, which must be empty.
    pub async fn remove(&self) -> Result<()> {
        let asked = self.client.delete_bucket().bucket(&self.name).send().await;
        asked.map_err(HarnessError::aws(format!("DeleteBucket {}", self.name)))?;
        Ok(())
    }

    /// Returns key and id of every incomplete multipart upload under `prefix`.
    pub async fn uploads(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let (mut key_marker, mut upload_id_marker) = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.name)
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_upload_id_marker(upload_id_marker)
                .send()
                .await
                .map_err(HarnessError::aws(format!("ListMultipartUploads {}", self.name)))?;
            found.extend(page.uploads().iter().map(|upload| {
                let (key, id) = (upload.key().unwrap_or_default(), upload.upload_id().unwrap_or_default());
                (key.to_owned(), id.to_owned())
            }));
            if page.is_truncated() != Some(true) {
                return Ok(found);
            }
            (key_marker, upload_id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// Aborts every incomplete multipart upload under `prefix`.
    pub async fn abort_uploads(&self, prefix: &str) -> Result<()> {
        for (key, upload_id) in self.uploads(prefix).await? {
            self.client
                .abort_multipart_upload()
                .bucket(&self.name)
                .key(&key)
                .upload_id(upload_id)
                .send()
                .await
                .map_err(HarnessError::aws(format!("AbortMultipartUpload {key}")))?;
        }
        Ok(())
    }

    /// Creates the bucket in its region.
    pub async fn create(&self) -> Result<()> {
        // S3 rejects us-east-1 as a location constraint.
        let location = (self.region != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.region.as_str()))
                .build()
        });
        self.client
            .create_bucket()
            .bucket(&self.name)
            .set_create_bucket_configuration(location)
            .send()
            .await
            .map_err(HarnessError::aws(format!("CreateBucket {}", self.name)))?;
        Ok(())
    }

    /// Enables versioning.
    pub async fn enable_versioning(&self) -> Result<()> {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        self.client
            .put_bucket_versioning()
            .bucket(&self.name)
            .versioning_configuration(enabled)
            .send()
            .await
            .map_err(HarnessError::aws(format!("PutBucketVersioning {}", self.name)))?;
        Ok(())
    }

    /// Deletes the current object of a key.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
            .map_err(HarnessError::aws(format!("DeleteObject {key}")))?;
        Ok(())
    }

    /// Deletes every version and every delete marker.
    pub async fn empty(&self) -> Result<()> {
        self.remove_versions("").await
    }

    /// Deletes every version and every delete marker under `prefix`.
    pub async fn remove_versions(&self, prefix: &str) -> Result<()> {
        for (key, version_id) in self.versions(prefix).await? {
            self.client
                .delete_object()
                .bucket(&self.name)
                .key(&key)
                .set_version_id(version_id)
                .send()
                .await
                .map_err(HarnessError::aws(format!("DeleteObject {key}")))?;
        }
        Ok(())
    }

    /// Returns key and version id of every version and delete marker under `prefix`.
    pub async fn versions(&self, prefix: &str) -> Result<Vec<(String, Option<String>)>> {
        let mut found = Vec::new();
        let (mut key_marker, mut version_id_marker) = (None, None);
        loop {
            let page = self
                .client
                .list_object_versions()
                .bucket(&self.name)
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_id_marker)
                .send()
                .await
                .map_err(HarnessError::aws(format!("ListObjectVersions {}", self.name)))?;
            let pair = |key: Option<&str>, version_id: Option<&str>| {
                (key.unwrap_or_default().to_owned(), version_id.map(str::to_owned))
            };
            let versions = page.versions().iter();
            found.extend(versions.map(|version| pair(version.key(), version.version_id())));
            let markers = page.delete_markers().iter();
            found.extend(markers.map(|marker| pair(marker.key(), marker.version_id())));
            if page.is_truncated() != Some(true) {
                return Ok(found);
            }
            (key_marker, version_id_marker) = (page.next_key_marker, page.next_version_id_marker);
        }
    }

    /// Reads the current object of a key; `None` if it is absent.
    pub async fn read(&self, key: &str) -> Result<Option<TestObject>> {
        let answer = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(HarnessError::aws(format!("GetObject {key}"))(error)),
        };
        // Read first, because reading the body consumes the response.
        let headers = TestHeaders {
            content_type: answer.content_type.clone(),
            cache_control: answer.cache_control.clone(),
            content_disposition: answer.content_disposition.clone(),
            content_encoding: answer.content_encoding.clone(),
            content_language: answer.content_language.clone(),
            expires: answer.expires_string.clone(),
        };
        let metadata = answer.metadata.clone().unwrap_or_default().into_iter().collect();
        let storage_class = answer
            .storage_class
            .as_ref()
            .map_or_else(|| "STANDARD".to_owned(), |class| class.as_str().to_owned());
        let website_redirect = answer.website_redirect_location.clone();
        let body = answer
            .body
            .collect()
            .await
            .map_err(HarnessError::aws(format!("the body of {key}")))?
            .to_vec();
        let tags = self.tags(key).await?;
        Ok(Some(TestObject {
            body,
            headers,
            metadata,
            tags,
            storage_class,
            website_redirect,
        }))
    }

    /// Lists the current objects under `prefix`.
    pub async fn list(&self, prefix: &str) -> Result<BTreeMap<String, ListedTestObject>> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .into_paginator()
            .send();
        let mut found = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(HarnessError::aws(format!("ListObjectsV2 {}", self.name)))?;
            for object in page.contents() {
                let key = object.key().unwrap_or_default().to_owned();
                let etag = object.e_tag().unwrap_or_default().to_owned();
                found.insert(
                    key,
                    ListedTestObject {
                        size_bytes: object.size().unwrap_or_default(),
                        etag,
                    },
                );
            }
        }
        Ok(found)
    }

    /// Reads the notification configuration of the bucket.
    pub async fn notification(&self) -> Result<NotificationConfiguration> {
        let answer = self
            .client
            .get_bucket_notification_configuration()
            .bucket(&self.name)
            .send()
            .await
            .map_err(HarnessError::aws(format!(
                "GetBucketNotificationConfiguration {}",
                self.name
            )))?;
        Ok(NotificationConfiguration::builder()
            .set_topic_configurations(answer.topic_configurations)
            .set_queue_configurations(answer.queue_configurations)
            .set_lambda_function_configurations(answer.lambda_function_configurations)
            .set_event_bridge_configuration(answer.event_bridge_configuration)
            .build())
    }

    /// Replaces the notification configuration of the bucket.
    pub async fn set_notification(&self, configuration: NotificationConfiguration) -> Result<()> {
        self.client
            .put_bucket_notification_configuration()
            .bucket(&self.name)
            .notification_configuration(configuration)
            .send()
            .await
            .map_err(HarnessError::aws(format!(
                "PutBucketNotificationConfiguration {}",
                self.name
            )))?;
        Ok(())
    }

    async fn tags(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let answer = self
            .client
            .get_object_tagging()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
            .map_err(HarnessError::aws(format!("GetObjectTagging {key}")))?;
        Ok(answer
            .tag_set()
            .iter()
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::compare::differences;
    use crate::deployment::Deployment;
    use crate::emulator::EmulatorOptions;
    use crate::workload::{odd_keys, rich_objects};

    #[tokio::test]
    async fn whole_workload_reads_back_as_it_was_written() {
        let deployment = Deployment::prepare(EmulatorOptions::default()).await.expect("emulator");
        let source = &deployment.source;
        for case in odd_keys("live/").into_iter().chain(rich_objects("live/")) {
            let upload = &case.upload;
            upload.write(source).await.expect(case.title);
            let object = source.read(&upload.key).await.expect(case.title).expect("exists");
            assert!(object.body == upload.body, "{}", case.title);
            assert_eq!(object.metadata, upload.metadata, "{}", case.title);
            assert_eq!(object.tags, upload.tags, "{}", case.title);
            assert_eq!(object.website_redirect, upload.website_redirect, "{}", case.title);
            let class = upload.storage_class.as_ref().map_or("STANDARD", |class| class.as_str());
            assert_eq!(object.storage_class, class, "{}", case.title);
            assert_eq!(object.headers.expires, upload.headers.expires, "{}", case.title);
            if upload.headers.cache_control.is_some() {
                assert_eq!(object.headers, upload.headers, "{}", case.title);
            }
        }
        assert_eq!(source.list("live/").await.expect("listing").len(), 17);

        deployment.destination.create().await.expect("destination");
        let found = differences(source, &deployment.destination, "")
            .await
            .expect("comparison");
        assert_eq!(found.len(), 17, "everything is missing at the destination");
        source.empty().await.expect("empties");
        assert!(source.list("").await.expect("listing").is_empty());
    }
}
