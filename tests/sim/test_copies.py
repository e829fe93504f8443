"""CopyObject: preserved and reset attributes, refused requests."""

import hashlib

from support import GIB, MIB, SimTestCase


class Copies(SimTestCase):
    def setUp(self):
        super().setUp()
        self.source = self.bucket("Enabled")
        self.destination = self.bucket("Enabled", region="eu-central-1")

    def copy(self, key="k", source_key="k", **settings):
        settings.setdefault("CopySource", {"Bucket": self.source, "Key": source_key})
        return self.eu.copy_object(Bucket=self.destination, Key=key, **settings)

    def head(self, key="k", **more):
        return self.eu.head_object(Bucket=self.destination, Key=key, **more)

    def test_metadata_and_tags_are_preserved_and_the_rest_is_reset(self):
        preserved = {"ContentType": "text/csv", "CacheControl": "no-store", "Metadata": {"owner": "a"}}
        reset = {"StorageClass": "STANDARD_IA", "WebsiteRedirectLocation": "/x"}
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x", Tagging="a=b", **preserved, **reset)
        self.copy()
        head = self.head()
        self.assertEqual({name: head[name] for name in preserved}, preserved)
        self.assertEqual(head["TagCount"], 1)
        for name in reset:
            self.assertNotIn(name, head)

    def test_directives_replace(self):
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x", Tagging="a=b", Metadata={"owner": "a"})
        self.copy(MetadataDirective="REPLACE", Metadata={"new": "1"}, TaggingDirective="REPLACE", Tagging="c=d")
        head = self.head()
        self.assertEqual((head["Metadata"], head["ContentType"]), ({"new": "1"}, "binary/octet-stream"))
        tags = self.eu.get_object_tagging(Bucket=self.destination, Key="k")["TagSet"]
        self.assertEqual(tags, [{"Key": "c", "Value": "d"}])

    def test_unknown_directives_are_refused(self):
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x")
        self.refused("InvalidArgument", self.copy, MetadataDirective="KEEP")
        self.refused("InvalidArgument", self.copy, TaggingDirective="KEEP")
        self.copy(MetadataDirective="COPY", TaggingDirective="COPY")

    def test_destination_conditions(self):
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x")
        self.refused("NoSuchKey", self.copy, IfMatch='"0"')
        etag = self.copy(IfNoneMatch="*")["CopyObjectResult"]["ETag"]
        self.refused("PreconditionFailed", self.copy, IfNoneMatch="*")
        self.refused("PreconditionFailed", self.copy, IfMatch='"0"')
        self.copy(IfMatch=etag)
        self.eu.delete_object(Bucket=self.destination, Key="k")
        self.copy(IfNoneMatch="*")

    def test_source_pins(self):
        old = self.us.put_object(Bucket=self.source, Key="k", Body=b"old")
        self.us.put_object(Bucket=self.source, Key="k", Body=b"new")
        source = {"Bucket": self.source, "Key": "k", "VersionId": old["VersionId"]}
        answer = self.copy(CopySource=source, CopySourceIfMatch=old["ETag"])
        self.assertEqual(answer["CopySourceVersionId"], old["VersionId"])
        body = self.eu.get_object(Bucket=self.destination, Key="k")["Body"].read()
        self.assertEqual(body, b"old")
        self.refused("PreconditionFailed", self.copy, CopySourceIfMatch=old["ETag"])
        self.refused("PreconditionFailed", self.copy, CopySource=source, CopySourceIfNoneMatch=old["ETag"])
        source["VersionId"] = "0" * 32
        self.refused("NoSuchVersion", self.copy, CopySource=source)

    def test_delete_markers_cannot_be_copied(self):
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x")
        marker = self.us.delete_object(Bucket=self.source, Key="k")["VersionId"]
        self.refused("NoSuchKey", self.copy)
        source = {"Bucket": self.source, "Key": "k", "VersionId": marker}
        self.refused("InvalidRequest", self.copy, CopySource=source)

    def test_limit_is_5_gib(self):
        self.synthetic(self.source, "at", 5 * GIB)
        self.synthetic(self.source, "above", 5 * GIB + 1)
        self.copy(source_key="at")
        self.refused("InvalidRequest", self.copy, source_key="above")

    def test_copy_of_a_multipart_object_has_a_single_part(self):
        parts = [b"a" * 5 * MIB, b"b"]
        self.upload(self.us, self.source, "k", parts, ChecksumAlgorithm="SHA256")
        self.assertTrue(self.us.head_object(Bucket=self.source, Key="k")["ETag"].endswith('-2"'))
        result = self.copy()["CopyObjectResult"]
        self.assertEqual(result["ETag"], f'"{hashlib.md5(b"".join(parts)).hexdigest()}"')
        self.assertEqual(result["ChecksumType"], "FULL_OBJECT")
        self.assertNotIn("-", result["ChecksumSHA256"])
        self.assertNotIn("PartsCount", self.head(PartNumber=1))

    def test_checksum_algorithm_is_preserved_unless_another_is_requested(self):
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x", ChecksumAlgorithm="SHA256")
        self.assertIn("ChecksumSHA256", self.copy()["CopyObjectResult"])
        self.assertIn("ChecksumSHA1", self.copy(ChecksumAlgorithm="SHA1")["CopyObjectResult"])
        self.synthetic(self.source, "old", 10, checksum=False)
        old = self.us.head_object(Bucket=self.source, Key="old", ChecksumMode="ENABLED")
        self.assertNotIn("ChecksumCRC64NVME", old)
        self.assertIn("ChecksumCRC64NVME", self.copy(source_key="old")["CopyObjectResult"])

    def test_copy_onto_itself_requires_a_change(self):
        self.us.put_object(Bucket=self.source, Key="k", Body=b"x")
        onto_itself = {"Bucket": self.source, "Key": "k", "CopySource": {"Bucket": self.source, "Key": "k"}}
        self.refused("InvalidRequest", self.us.copy_object, **onto_itself)
        self.us.copy_object(**onto_itself, MetadataDirective="REPLACE")
        self.us.copy_object(**onto_itself, StorageClass="STANDARD_IA")

    def test_odd_source_keys(self):
        for key in ["a b", "a+b%2Bc%20", "ü/日本", "q'\"&<>", "?x=y#z", "../dots/."]:
            self.us.put_object(Bucket=self.source, Key=key, Body=key.encode())
            self.copy(key=key, source_key=key)
            body = self.eu.get_object(Bucket=self.destination, Key=key)["Body"].read()
            self.assertEqual(body, key.encode())

    def test_missing_metadata_is_counted(self):
        self.synthetic(self.source, "k", 1, missing_metadata=2)
        self.copy()
        self.assertEqual(self.head()["MissingMeta"], 2)
