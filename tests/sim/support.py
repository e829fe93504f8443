"""Shared by the simulator's tests: clients, buckets, the side door."""

import itertools
import json
import os
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["S3SIM_ENDPOINT"]
GIB = 1024**3
MIB = 1024**2

_numbers = itertools.count(1)


def client(region="us-east-1", access_key="any", **config):
    """Creates a client without retries, so that the test sees every response of the simulator."""
    settings = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key="any",
        config=Config(**settings),
    )


def side_door(method, name, document=None):
    """Calls the side door. Returns status and document."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{ENDPOINT}/_sim/{name}", method=method, data=body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def raw(method, path, headers=None, body=None):
    """Sends a request without a client library. Returns status, headers and body."""
    request = urllib.request.Request(ENDPOINT + path, method=method, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


class SimTestCase(unittest.TestCase):
    """A test case with clients of two regions."""

    maxDiff = None

    def setUp(self):
        self.us = client()
        self.eu = client("eu-central-1")
        side_door("PUT", "faults", [])
        side_door("GET", "events")

    def bucket(self, versioning=None, region="us-east-1", **settings):
        """Creates a new bucket."""
        name = f"bucket-{next(_numbers)}"
        s3 = client(region)
        if region != "us-east-1":
            settings["CreateBucketConfiguration"] = {"LocationConstraint": region}
        s3.create_bucket(Bucket=name, **settings)
        if versioning:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
        return name

    def synthetic(self, bucket, key, size_bytes, seed=1, **settings):
        """Creates a synthetic object."""
        document = {"bucket": bucket, "key": key, "size_bytes": size_bytes, "seed": seed, **settings}
        status, answer = side_door("PUT", "objects", document)
        self.assertEqual(status, 200, answer)
        return answer

    def faults(self, *rules):
        """Sets fault rules."""
        status, answer = side_door("PUT", "faults", list(rules))
        self.assertEqual(status, 200, answer)

    def events(self):
        """Receives the notifications. Returns name and key of each."""
        records = side_door("GET", "events")[1]["Records"]
        return [(record["eventName"], record["s3"]["object"]["key"]) for record in records]

    def refused(self, code, call, **arguments):
        """Asserts that a call fails with a code, or with a status if S3 sends no code. Returns the response."""
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        self.assertEqual(caught.exception.response["Error"]["Code"], str(code))
        return caught.exception.response

    def upload(self, s3, bucket, key, contents, **settings):
        """Uploads contents as parts. Returns the response to the completion."""
        upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key, **settings)["UploadId"]
        checksum = {name: value for name, value in settings.items() if name == "ChecksumAlgorithm"}
        parts = []
        for number, content in enumerate(contents, 1):
            answer = s3.upload_part(
                Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=content, **checksum
            )
            part = {"PartNumber": number, "ETag": answer["ETag"]}
            part |= {name: value for name, value in answer.items() if name.startswith("Checksum")}
            parts.append(part)
        return s3.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
