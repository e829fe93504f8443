"""The side door, faults and notifications."""

import urllib.request

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, HTTPClientError, ReadTimeoutError

from support import ENDPOINT, MIB, SimTestCase, client, side_door

DROPPED = (ConnectionClosedError, EndpointConnectionError, HTTPClientError)


class SideDoor(SimTestCase):
    def test_requests_are_counted_by_operation(self):
        bucket = self.bucket()
        side_door("DELETE", "requests")
        self.us.put_object(Bucket=bucket, Key="k", Body=b"")
        self.us.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k")
        self.us.list_objects_v2(Bucket=bucket)
        self.assertEqual(side_door("GET", "requests"), (200, {"PutObject": 1, "CopyObject": 1, "ListObjectsV2": 1}))
        side_door("DELETE", "requests")
        self.assertEqual(side_door("GET", "requests"), (200, {}))

    def test_invalid_documents_are_named(self):
        status, answer = side_door("PUT", "faults", [{"operation": "CopyObjects", "nth": 1, "fault": "throttle"}])
        self.assertEqual((status, answer["field"], answer["value"]), (400, "operation", "CopyObjects"))
        for rule in ({"nth": 1, "probability": 1.0}, {}, {"nth": 0}, {"probability": 2}):
            status, answer = side_door("PUT", "faults", [{"operation": "PutObject", "fault": "slow", **rule}])
            self.assertEqual(status, 400, rule)
        status, answer = side_door("PUT", "objects", {"bucket": "none", "key": "k", "size_bytes": 1, "seed": 1})
        self.assertEqual(status, 404)
        status, answer = side_door("PUT", "objects", {"bucket": "none", "key": "k", "size_bytes": -1, "seed": 1})
        self.assertEqual(status, 400)
        self.assertIn("error", answer)
        bucket = self.bucket()
        for key, expected in (("", 400), ("ü" * 512, 200), ("ü" * 512 + "x", 400)):
            status, answer = side_door("PUT", "objects", {"bucket": bucket, "key": key, "size_bytes": 1, "seed": 1})
            self.assertEqual((status, answer.get("field")), (expected, None if expected == 200 else "key"))
        self.assertEqual(side_door("GET", "nothing")[0], 404)
        self.assertEqual(side_door("GET", "health")[1]["status"], "ok")

    def test_objects_of_50_tb(self):
        bucket = self.bucket()
        made = self.synthetic(bucket, "k", 50 * 10**12, part_size_bytes=5 * 1024**3, metadata={"a": "b"}, tags={"c": "d"})
        head = self.us.head_object(Bucket=bucket, Key="k", PartNumber=1)
        self.assertEqual((head["PartsCount"], head["Metadata"], head["TagCount"]), (9314, {"a": "b"}, 1))
        self.assertEqual(head["ETag"], f'"{made["etag"]}"')
        self.assertEqual(self.events(), [("ObjectCreated:CompleteMultipartUpload", "k")])

    def test_events(self):
        bucket = self.bucket("Enabled")
        key = "a b+c%20%ü/日.txt"
        self.us.put_object(Bucket=bucket, Key=key, Body=b"12")
        self.us.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
        self.us.put_object_tagging(Bucket=bucket, Key="copy", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        self.us.delete_object_tagging(Bucket=bucket, Key="copy")
        version = self.us.list_object_versions(Bucket=bucket, Prefix="copy")["Versions"][0]["VersionId"]
        self.us.delete_object(Bucket=bucket, Key="copy")
        self.us.delete_object(Bucket=bucket, Key="copy", VersionId=version)
        records = side_door("GET", "events")[1]["Records"]
        names = [record["eventName"] for record in records]
        created, removed, tagged = "ObjectCreated:", "ObjectRemoved:", "ObjectTagging:"
        self.assertEqual(
            names,
            [created + "Put", created + "Copy", tagged + "Put", tagged + "Delete"]
            + [removed + "DeleteMarkerCreated", removed + "Delete"],
        )
        first = records[0]["s3"]["object"]
        self.assertEqual((first["key"], first["size"]), ("a+b%2Bc%2520%25%C3%BC/%E6%97%A5.txt", 2))
        sequencers = [record["s3"]["object"].get("sequencer") for record in records]
        written = [sequencer for sequencer in sequencers if sequencer]
        self.assertEqual(written, sorted(set(written)))
        self.assertEqual(sequencers[2:4], [None, None])
        self.assertEqual(side_door("GET", "events")[1]["Records"], [])


class Faults(SimTestCase):
    def setUp(self):
        super().setUp()
        self.name = self.bucket()

    def rule(self, operation, fault, **more):
        more.setdefault("nth", 1)
        self.faults({"operation": operation, "fault": fault, **more})

    def put(self, **more):
        return self.us.put_object(Bucket=self.name, Key="k", Body=b"x", **more)

    def exists(self):
        return "Contents" in self.us.list_objects_v2(Bucket=self.name)

    def test_throttle_error_and_conflict_have_no_effect(self):
        for fault, code in (
            ("throttle", "SlowDown"),
            ("internal-error", "InternalError"),
            ("conflict", "ConditionalRequestConflict"),
        ):
            self.rule("PutObject", fault)
            self.refused(code, self.put)
            self.assertFalse(self.exists())
        self.put()

    def test_throttled_head_has_only_a_status(self):
        self.put()
        self.rule("HeadObject", "throttle")
        self.refused(503, self.us.head_object, Bucket=self.name, Key="k")

    def test_ok_with_error_is_an_error_below_200(self):
        self.put()
        self.rule("CopyObject", "ok-with-error")
        copy = lambda: self.us.copy_object(Bucket=self.name, Key="c", CopySource=f"{self.name}/k")
        # botocore converts this response to a 500.
        answer = self.refused("InternalError", copy)
        self.assertIn(answer["ResponseMetadata"]["HTTPStatusCode"], (200, 500))
        self.refused(404, self.us.head_object, Bucket=self.name, Key="c")
        copy()

    def test_lost_response_has_its_effect(self):
        self.rule("PutObject", "lost-response")
        with self.assertRaises(DROPPED):
            self.put()
        self.assertTrue(self.exists())

    def test_reset_has_no_effect(self):
        self.rule("PutObject", "reset")
        with self.assertRaises(DROPPED):
            self.put()
        self.assertFalse(self.exists())

    def test_late_effect_happens_after_other_requests(self):
        self.rule("PutObject", "late", delay_ms=1, after_requests=4, after_ms=600_000)
        with self.assertRaises(DROPPED):
            self.put()
        self.assertFalse(self.exists())
        seen = False
        while not seen:
            seen = self.exists()
        requests = side_door("GET", "requests")[1]
        self.assertGreaterEqual(requests["ListObjectsV2"], 4)

    def test_late_effect_happens_after_its_delay(self):
        self.rule("PutObject", "late", delay_ms=1, after_requests=10**6, after_ms=1)
        with self.assertRaises(DROPPED):
            self.put()
        while side_door("GET", "health")[1]["late_requests"]:
            pass
        self.assertTrue(self.exists())

    def test_slow_request_succeeds(self):
        self.rule("PutObject", "slow", delay_ms=1)
        self.put()
        self.assertTrue(self.exists())

    def test_timeout_sends_no_response(self):
        self.rule("PutObject", "timeout")
        with self.assertRaises(ReadTimeoutError):
            client(read_timeout=0.2).put_object(Bucket=self.name, Key="k", Body=b"x")
        self.assertFalse(self.exists())

    def test_probability_depends_on_the_seed_and_times_limits_faults(self):
        self.rule("PutObject", "throttle", nth=2, times=2)
        self.put()
        self.refused("SlowDown", self.put)
        self.refused("SlowDown", self.put)
        self.put()
        self.faults({"operation": "PutObject", "fault": "throttle", "probability": 1, "times": 1})
        self.refused("SlowDown", self.put)
        self.put()

    def test_botocore_retries_past_a_throttle(self):
        self.rule("PutObject", "throttle", times=2)
        patient = client(retries={"total_max_attempts": 5, "mode": "standard"})
        patient.put_object(Bucket=self.name, Key="k", Body=b"x" * MIB)
        self.assertTrue(self.exists())


class Connection(SimTestCase):
    def test_side_door_is_not_counted(self):
        side_door("DELETE", "requests")
        urllib.request.urlopen(f"{ENDPOINT}/_sim/health").read()
        self.assertEqual(side_door("GET", "requests")[1], {})
