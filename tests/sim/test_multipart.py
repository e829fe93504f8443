"""Multipart uploads and multipart copies."""

import base64
import hashlib
import urllib.parse

from support import GIB, MIB, SimTestCase, client, raw


class Multipart(SimTestCase):
    def test_etag_parts_and_attributes(self):
        bucket = self.bucket()
        parts = [b"a" * 5 * MIB, b"b" * 5 * MIB, b"c"]
        self.upload(self.us, bucket, "k", parts, ChecksumAlgorithm="SHA256", Tagging="a=b", Metadata={"m": "v"})
        digests = b"".join(hashlib.md5(part).digest() for part in parts)
        head = self.us.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        self.assertEqual(head["ETag"], f'"{hashlib.md5(digests).hexdigest()}-3"')
        part_digests = b"".join(hashlib.sha256(part).digest() for part in parts)
        composite = base64.b64encode(hashlib.sha256(part_digests).digest()).decode()
        self.assertEqual(head["ChecksumSHA256"], composite + "-3")
        self.assertEqual((head["ChecksumType"], head["TagCount"], head["Metadata"]), ("COMPOSITE", 1, {"m": "v"}))
        part = self.us.head_object(Bucket=bucket, Key="k", PartNumber=2)
        self.assertEqual((part["PartsCount"], part["ContentLength"]), (3, 5 * MIB))
        for number, shown in enumerate(["0-5242879", "5242880-10485759", "10485760-10485760"], 1):
            part = self.us.head_object(Bucket=bucket, Key="k", PartNumber=number)
            answer = part["ResponseMetadata"]
            self.assertEqual(answer["HTTPStatusCode"], 206)
            self.assertEqual(answer["HTTPHeaders"]["content-range"], f"bytes {shown}/10485761")
        self.assertEqual(self.us.get_object(Bucket=bucket, Key="k", PartNumber=3)["Body"].read(), b"c")
        self.refused(416, self.us.head_object, Bucket=bucket, Key="k", PartNumber=4)
        wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
        shown = self.us.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=wanted)
        self.assertEqual(shown["ETag"], head["ETag"].strip('"'))
        self.assertEqual((shown["ObjectSize"], shown["StorageClass"]), (10 * MIB + 1, "STANDARD"))
        sizes = [part["Size"] for part in shown["ObjectParts"]["Parts"]]
        self.assertEqual((sizes, shown["ObjectParts"]["TotalPartsCount"]), ([5 * MIB, 5 * MIB, 1], 3))
        self.assertIn("ChecksumSHA256", shown["ObjectParts"]["Parts"][0])

    def test_parts_are_listed_only_if_they_have_checksums(self):
        bucket = self.bucket()
        self.synthetic(bucket, "plain", 20 * MIB, part_size_bytes=8 * MIB)
        shown = self.us.get_object_attributes(Bucket=bucket, Key="plain", ObjectAttributes=["ObjectParts"])
        self.assertEqual(shown["ObjectParts"]["TotalPartsCount"], 3)
        self.assertNotIn("Parts", shown["ObjectParts"])
        self.synthetic(bucket, "many", 2500 * 5 * MIB, part_size_bytes=5 * MIB, checksum="CRC32")
        page = self.us.get_object_attributes(Bucket=bucket, Key="many", ObjectAttributes=["ObjectParts"])
        self.assertEqual(len(page["ObjectParts"]["Parts"]), 1000)
        self.assertTrue(page["ObjectParts"]["IsTruncated"])
        page = self.us.get_object_attributes(
            Bucket=bucket, Key="many", ObjectAttributes=["ObjectParts"], PartNumberMarker=2000
        )
        self.assertEqual(len(page["ObjectParts"]["Parts"]), 500)
        self.assertFalse(page["ObjectParts"]["IsTruncated"])

    def test_completion_checks_parts_order_sizes_and_total(self):
        bucket = self.bucket()
        s3 = client(request_checksum_calculation="when_required")
        upload = {"Bucket": bucket, "Key": "k"}
        upload["UploadId"] = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        etags = [s3.upload_part(**upload, PartNumber=n, Body=b"x" * 5 * MIB)["ETag"] for n in (1, 2)]
        etags.append(s3.upload_part(**upload, PartNumber=3, Body=b"x")["ETag"])
        part = lambda number, etag: {"PartNumber": number, "ETag": etag}

        def complete(*parts, **more):
            return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": list(parts)}, **more)

        first, second, third = (part(number, etag) for number, etag in enumerate(etags, 1))
        self.refused("InvalidPartOrder", lambda: complete(second, first))
        self.refused("InvalidPart", lambda: complete(part(1, '"0"')))
        self.refused("InvalidPart", lambda: complete(first, part(9, etags[0])))
        small = [b"too small", b"last"]
        self.refused("EntityTooSmall", lambda: self.upload(s3, bucket, "small", small))
        self.refused("InvalidRequest", lambda: complete(first, second, third, MpuObjectSize=1))
        self.refused("NoSuchKey", lambda: complete(first, second, third, IfMatch='"0"'))
        complete(first, second, third, MpuObjectSize=10 * MIB + 1, IfNoneMatch="*")
        self.refused("NoSuchUpload", lambda: complete(first))
        self.refused("NoSuchUpload", s3.list_parts, **upload)

    def test_composite_checksums_must_be_named_on_completion(self):
        bucket = self.bucket()
        upload = {"Bucket": bucket, "Key": "k"}
        answer = self.us.create_multipart_upload(**upload, ChecksumAlgorithm="SHA1")
        upload["UploadId"] = answer["UploadId"]
        part = self.us.upload_part(**upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA1")
        named = {"PartNumber": 1, "ETag": part["ETag"]}
        complete = lambda: self.us.complete_multipart_upload(**upload, MultipartUpload={"Parts": [named]})
        self.refused("InvalidRequest", complete)
        named["ChecksumSHA1"] = part["ChecksumSHA1"]
        complete()

    def test_multipart_copy_of_terabytes_has_the_same_etag(self):
        source = self.bucket("Enabled")
        destination = self.bucket(region="eu-central-1")
        size, part_size = 20 * 5 * GIB + 12345, 5 * GIB
        made = self.synthetic(source, "big", size, seed=9, part_size_bytes=part_size)
        upload = {"Bucket": destination, "Key": "big"}
        upload["UploadId"] = self.eu.create_multipart_upload(**upload)["UploadId"]
        from_source = {"Bucket": source, "Key": "big", "VersionId": made["version_id"]}
        parts = []
        for number, start in enumerate(range(0, size, part_size), 1):
            end = min(start + part_size, size) - 1
            answer = self.eu.upload_part_copy(
                **upload,
                PartNumber=number,
                CopySource=from_source,
                CopySourceRange=f"bytes={start}-{end}",
                CopySourceIfMatch=made["etag"],
            )
            parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        self.assertEqual(len(self.eu.list_parts(**upload)["Parts"]), 21)
        answer = self.eu.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, MpuObjectSize=size)
        self.assertEqual(answer["ETag"], f'"{made["etag"]}"')
        source_head = self.us.head_object(Bucket=source, Key="big", ChecksumMode="ENABLED")
        destination_head = self.eu.head_object(Bucket=destination, Key="big", ChecksumMode="ENABLED")
        self.assertEqual(destination_head["ChecksumCRC64NVME"], source_head["ChecksumCRC64NVME"])
        last = {"Range": f"bytes={size - 10}-"}
        read = lambda s3, bucket: s3.get_object(Bucket=bucket, Key="big", **last)["Body"].read()
        self.assertEqual(read(self.us, source), read(self.eu, destination))

    def test_invalid_ranges_numbers_and_sources_are_refused(self):
        source = self.bucket()
        self.synthetic(source, "k", 6 * GIB)
        upload = {"Bucket": source, "Key": "copy"}
        upload["UploadId"] = self.us.create_multipart_upload(**upload)["UploadId"]
        copy = lambda **more: self.us.upload_part_copy(
            **({**upload, "PartNumber": 1, "CopySource": f"{source}/k"} | more)
        )
        self.refused("InvalidRequest", copy)
        self.refused("InvalidArgument", copy, CopySourceRange=f"bytes=0-{6 * GIB}")
        self.refused("InvalidArgument", copy, PartNumber=10001, CopySourceRange="bytes=0-1")
        self.refused("PreconditionFailed", copy, CopySourceIfMatch='"0"', CopySourceRange="bytes=0-1")
        self.refused("NoSuchUpload", copy, UploadId="none", CopySourceRange="bytes=0-1")
        copy(CopySourceRange="bytes=0-1")
        self.us.abort_multipart_upload(**upload)
        self.refused("NoSuchUpload", self.us.abort_multipart_upload, **upload)

    def test_completed_upload_is_ordered_by_its_start(self):
        for versioning in ("Enabled", None):
            bucket = self.bucket(versioning)
            s3 = client(request_checksum_calculation="when_required")
            upload = {"Bucket": bucket, "Key": "k"}
            upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
            part = s3.upload_part(**upload, PartNumber=1, Body=b"upload")
            s3.put_object(Bucket=bucket, Key="k", Body=b"written since")
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            s3.complete_multipart_upload(**upload, MultipartUpload=parts)
            self.assertEqual(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"written since")
            versions = s3.list_object_versions(Bucket=bucket)["Versions"]
            self.assertEqual(len(versions), 2 if versioning else 1)

    def test_delete_after_the_start_of_an_upload_is_newer(self):
        for versioning in ("Enabled", None):
            bucket = self.bucket(versioning)
            s3 = client(request_checksum_calculation="when_required")
            s3.put_object(Bucket=bucket, Key="k", Body=b"before")
            upload = {"Bucket": bucket, "Key": "k"}
            upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
            part = s3.upload_part(**upload, PartNumber=1, Body=b"upload")
            s3.delete_object(Bucket=bucket, Key="k")
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            complete = lambda **more: s3.complete_multipart_upload(**upload, MultipartUpload=parts, **more)
            self.refused("ConditionalRequestConflict", complete, IfNoneMatch="*")
            complete()
            self.refused(404, s3.head_object, Bucket=bucket, Key="k")

    def test_responses_are_valid_xml_for_every_key(self):
        bucket = self.bucket()
        for key, written in (("a\x01b", "a&#x1;b"), ("a\ufffeb", "a&#xFFFE;b"), ("a\rb", "a&#xD;b")):
            path = f"/{bucket}/{urllib.parse.quote(key)}"
            status, _, body = raw("POST", f"{path}?uploads", body=b"")
            self.assertEqual(status, 200)
            self.assertIn(f"<Key>{written}</Key>", body.decode())
        status, _, body = raw("GET", f"/{bucket}?uploads")
        self.assertEqual((status, body.decode().count("&#x")), (200, 3))

    def test_uploads_name_their_initiator(self):
        bucket = self.bucket()
        us = [client(access_key=key) for key in ("one", "one", "another")]
        for number, s3 in enumerate(us):
            s3.create_multipart_upload(Bucket=bucket, Key=f"key-{number}")
        uploads = self.us.list_multipart_uploads(Bucket=bucket)["Uploads"]
        first, second, third = [upload["Initiator"]["ID"] for upload in uploads]
        self.assertEqual(first, second)
        self.assertNotEqual(first, third)
        self.assertTrue(first.startswith("arn:aws:iam::"), first)
        parts = self.us.list_parts(Bucket=bucket, Key="key-2", UploadId=uploads[2]["UploadId"])
        self.assertEqual(parts["Initiator"]["ID"], third)

    def test_uploads_and_parts_are_listed_in_pages(self):
        bucket = self.bucket()
        self.synthetic(bucket, "source", 1100)
        begin = lambda key: self.us.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        uploads = [(key, begin(key)) for key in ("b", "a", "b", "c/d")]
        listed, marker = [], {}
        while True:
            page = self.us.list_multipart_uploads(Bucket=bucket, MaxUploads=1, **marker)
            listed += [(entry["Key"], entry["UploadId"]) for entry in page.get("Uploads", [])]
            if not page["IsTruncated"]:
                break
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        self.assertEqual(listed, [uploads[1], uploads[0], uploads[2], uploads[3]])
        upload = {"Bucket": bucket, "Key": "a", "UploadId": uploads[1][1]}
        for number in range(1, 1101):
            self.us.upload_part_copy(
                **upload, PartNumber=number, CopySource=f"{bucket}/source", CopySourceRange=f"bytes=0-{number - 1}"
            )
        page = self.us.list_parts(**upload)
        self.assertEqual((len(page["Parts"]), page["NextPartNumberMarker"]), (1000, 1000))
        page = self.us.list_parts(**upload, PartNumberMarker=1000)
        self.assertEqual([part["Size"] for part in page["Parts"]], list(range(1001, 1101)))
        self.assertFalse(page["IsTruncated"])
