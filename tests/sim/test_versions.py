"""Versions, delete markers, Object Lock, buckets and regions."""

import base64
import datetime
import hashlib
import zlib

from support import ENDPOINT, SimTestCase, client, raw


class Versions(SimTestCase):
    def test_delete_marker_responses_match_s3(self):
        bucket = self.bucket("Enabled")
        first = self.us.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
        marker = self.us.delete_object(Bucket=bucket, Key="k")
        self.assertTrue(marker["DeleteMarker"])
        status, headers, body = raw("HEAD", f"/{bucket}/k")
        self.assertEqual((status, headers["x-amz-delete-marker"], body), (404, "true", b""))
        status, headers, _ = raw("HEAD", f"/{bucket}/k?versionId={marker['VersionId']}")
        self.assertEqual((status, headers["x-amz-delete-marker"]), (405, "true"))
        self.assertEqual(self.us.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read(), b"1")
        # A delete marker is not an object.
        self.us.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
        self.us.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
        entries = self.us.list_object_versions(Bucket=bucket)
        self.assertEqual([entry["IsLatest"] for entry in entries["Versions"]], [True, False])
        self.assertNotIn("DeleteMarkers", entries)

    def test_missing_and_malformed_versions(self):
        bucket = self.bucket("Enabled")
        self.us.put_object(Bucket=bucket, Key="k", Body=b"1")
        self.refused("NoSuchVersion", self.us.get_object, Bucket=bucket, Key="k", VersionId="0" * 32)
        self.refused("InvalidArgument", self.us.get_object, Bucket=bucket, Key="k", VersionId="no")

    def test_suspended_versioning_replaces_the_null_version(self):
        bucket = self.bucket()
        self.us.put_object(Bucket=bucket, Key="k", Body=b"before")
        switch = lambda status: self.us.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        switch("Enabled")
        kept = self.us.put_object(Bucket=bucket, Key="k", Body=b"kept")["VersionId"]
        switch("Suspended")
        self.assertEqual(self.us.put_object(Bucket=bucket, Key="k", Body=b"null")["VersionId"], "null")
        versions = self.us.list_object_versions(Bucket=bucket)["Versions"]
        self.assertEqual([version["VersionId"] for version in versions], ["null", kept])
        self.us.delete_object(Bucket=bucket, Key="k")
        listed = self.us.list_object_versions(Bucket=bucket)
        self.assertEqual([version["VersionId"] for version in listed["Versions"]], [kept])
        self.assertEqual([marker["VersionId"] for marker in listed["DeleteMarkers"]], ["null"])

    def test_delete_many(self):
        bucket = self.bucket("Enabled")
        version = self.us.put_object(Bucket=bucket, Key="a", Body=b"")["VersionId"]
        etag = self.us.put_object(Bucket=bucket, Key="b", Body=b"")["ETag"]
        objects = [{"Key": "a", "VersionId": version}, {"Key": "b", "ETag": '"0"'}, {"Key": "c"}]
        answer = self.us.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        self.assertEqual(sorted(entry["Key"] for entry in answer["Deleted"]), ["a", "c"])
        self.assertEqual([entry["Code"] for entry in answer["Errors"]], ["PreconditionFailed"])
        answer = self.us.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b", "ETag": etag}], "Quiet": True})
        self.assertNotIn("Errors", answer)
        self.assertNotIn("Deleted", answer)

    def test_delete_many_requires_a_digest_of_its_body(self):
        bucket = self.bucket()
        self.us.put_object(Bucket=bucket, Key="a", Body=b"")
        body = b"<Delete><Object><Key>a</Key></Object></Delete>"
        crc32 = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        delete = lambda **headers: raw("POST", f"/{bucket}?delete", headers, body)
        status, _, document = delete()
        self.assertEqual(status, 400)
        self.assertIn(b"<Code>InvalidRequest</Code>", document)
        self.assertIn(b"Missing required header for this request: Content-MD5 OR x-amz-checksum-*", document)
        status, _, document = delete(**{"content-md5": base64.b64encode(bytes(16)).decode()})
        self.assertEqual(status, 400)
        self.assertIn(b"<Code>BadDigest</Code>", document)
        self.us.head_object(Bucket=bucket, Key="a")
        for digest in ({"content-md5": md5}, {"x-amz-checksum-crc32": crc32}):
            status, _, document = delete(**digest)
            self.assertEqual(status, 200, document)
            self.assertIn(b"<Deleted><Key>a</Key>", document)

    def test_locked_versions_cannot_be_deleted(self):
        bucket = self.bucket(ObjectLockEnabledForBucket=True)
        until = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        version = self.us.put_object(Bucket=bucket, Key="k", Body=b"x", **lock)["VersionId"]
        head = self.us.head_object(Bucket=bucket, Key="k")
        self.assertEqual({name: head[name] for name in lock}, lock)
        delete = lambda **more: self.us.delete_object(Bucket=bucket, Key="k", VersionId=version, **more)
        self.refused("AccessDenied", delete)
        self.refused("AccessDenied", delete, BypassGovernanceRetention=True)
        sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": until - datetime.timedelta(days=1)}
        self.refused("AccessDenied", self.us.put_object_retention, Bucket=bucket, Key="k", Retention=sooner)
        later = {"Mode": "COMPLIANCE", "RetainUntilDate": until + datetime.timedelta(days=1)}
        self.us.put_object_retention(Bucket=bucket, Key="k", Retention=later)
        self.assertEqual(self.us.get_object_retention(Bucket=bucket, Key="k")["Retention"], later)
        # A delete marker requires no permission on the version below.
        self.us.delete_object(Bucket=bucket, Key="k")

    def test_retention_must_end_in_the_future(self):
        bucket = self.bucket(ObjectLockEnabledForBucket=True)
        self.us.put_object(Bucket=bucket, Key="k", Body=b"x")
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        here = {"Bucket": bucket, "Key": "k"}
        lock = {**here, "ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": past}
        answer = self.refused("InvalidArgument", self.us.put_object, Body=b"x", **lock)
        self.assertEqual(answer["Error"]["Message"], "The retain until date must be in the future!")
        self.refused("InvalidArgument", self.us.copy_object, CopySource=f"{bucket}/k", **lock)
        self.refused("InvalidArgument", self.us.create_multipart_upload, **lock)
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": past}
        self.refused("InvalidArgument", self.us.put_object_retention, **here, Retention=retention)
        self.refused("NoSuchObjectLockConfiguration", self.us.get_object_retention, **here)

    def test_legal_hold(self):
        bucket = self.bucket(ObjectLockEnabledForBucket=True)
        version = self.us.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
        delete = lambda: self.us.delete_object(Bucket=bucket, Key="k", VersionId=version)
        self.refused("AccessDenied", delete)
        self.us.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "OFF"})
        self.assertEqual(self.us.get_object_legal_hold(Bucket=bucket, Key="k")["LegalHold"], {"Status": "OFF"})
        delete()

    def test_default_retention_applies_to_new_objects(self):
        bucket = self.bucket("Enabled")
        put = lambda: self.us.put_object(Bucket=bucket, Key="k", Body=b"", ObjectLockLegalHoldStatus="ON")
        self.refused("InvalidRequest", put)
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        self.us.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
        answer = self.us.get_object_lock_configuration(Bucket=bucket)
        self.assertEqual(answer["ObjectLockConfiguration"], configuration)
        version = self.us.put_object(Bucket=bucket, Key="k", Body=b"")["VersionId"]
        self.assertEqual(self.us.head_object(Bucket=bucket, Key="k")["ObjectLockMode"], "GOVERNANCE")
        delete = lambda **more: self.us.delete_object(Bucket=bucket, Key="k", VersionId=version, **more)
        self.refused("AccessDenied", delete)
        delete(BypassGovernanceRetention=True)


class Buckets(SimTestCase):
    def test_requests_for_another_region_are_redirected(self):
        bucket = self.bucket(region="eu-central-1")
        self.eu.put_object(Bucket=bucket, Key="k", Body=b"x")
        scope = "AWS4-HMAC-SHA256 Credential=any/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        status, headers, body = raw("GET", f"/{bucket}/k", {"Authorization": scope})
        self.assertEqual((status, headers["x-amz-bucket-region"]), (301, "eu-central-1"))
        self.assertIn(b"<Code>PermanentRedirect</Code>", body)
        status, headers, body = raw("HEAD", f"/{bucket}/k", {"Authorization": scope})
        self.assertEqual((status, headers["x-amz-bucket-region"], body), (301, "eu-central-1", b""))
        status, headers, _ = raw("HEAD", f"/{bucket}", {"Authorization": scope})
        self.assertEqual((status, headers["x-amz-bucket-region"]), (301, "eu-central-1"))
        # boto3 follows the redirect.
        self.assertEqual(client("us-west-2").head_bucket(Bucket=bucket)["BucketRegion"], "eu-central-1")

    def test_location_listing_and_creation(self):
        bucket = self.bucket(region="eu-west-3")
        self.assertEqual(self.us.get_bucket_location(Bucket=bucket)["LocationConstraint"], "eu-west-3")
        home = self.bucket()
        self.assertIsNone(self.us.get_bucket_location(Bucket=home)["LocationConstraint"])
        names = [entry["Name"] for entry in self.us.list_buckets()["Buckets"]]
        self.assertLess({bucket, home}, set(names) | {"other"})
        self.us.create_bucket(Bucket=home)
        self.refused(
            "BucketAlreadyOwnedByYou",
            client("eu-west-3").create_bucket,
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": "eu-west-3"},
        )
        self.refused("IllegalLocationConstraintException", self.eu.create_bucket, Bucket="no-constraint")
        self.us.put_object(Bucket=home, Key="k", Body=b"")
        self.refused("BucketNotEmpty", self.us.delete_bucket, Bucket=home)
        self.us.delete_object(Bucket=home, Key="k")
        self.us.delete_bucket(Bucket=home)
        self.refused(404, self.us.head_bucket, Bucket=home)
        self.assertTrue(ENDPOINT.startswith("http://127.0.0.1:"))

    def test_settings_are_returned(self):
        bucket = self.bucket()
        self.refused("ReplicationConfigurationNotFoundError", self.us.get_bucket_replication, Bucket=bucket)
        queue = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q", "Events": ["s3:ObjectCreated:*"], "Id": "one"}
        notification = {"QueueConfigurations": [queue]}
        self.us.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notification)
        answer = self.us.get_bucket_notification_configuration(Bucket=bucket)
        self.assertEqual(answer["QueueConfigurations"], [queue])
        controls = self.us.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
        self.assertEqual(controls["Rules"][0]["ObjectOwnership"], "BucketOwnerEnforced")
        self.us.put_bucket_policy(Bucket=bucket, Policy='{"Version": "2012-10-17"}')
        self.assertEqual(self.us.get_bucket_policy(Bucket=bucket)["Policy"], '{"Version": "2012-10-17"}')
        self.assertNotIn("Status", self.us.get_bucket_versioning(Bucket=bucket))
