"""Listings of objects and versions."""

from support import SimTestCase


class Listings(SimTestCase):
    def setUp(self):
        super().setUp()
        self.name = self.bucket("Enabled")
        for key in ["a", "a/1", "a/2", "b", "b/", "b/x/y", "Z", "é", "z"]:
            self.us.put_object(Bucket=self.name, Key=key, Body=b"")

    def keys(self, **more):
        answer = self.us.list_objects_v2(Bucket=self.name, **more)
        keys = [entry["Key"] for entry in answer.get("Contents", [])]
        return keys, [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]

    def test_keys_are_in_utf_8_order(self):
        self.assertEqual(self.keys(), (["Z", "a", "a/1", "a/2", "b", "b/", "b/x/y", "z", "é"], []))

    def test_prefix_delimiter_and_start(self):
        self.assertEqual(self.keys(Delimiter="/"), (["Z", "a", "b", "z", "é"], ["a/", "b/"]))
        self.assertEqual(self.keys(Prefix="b/", Delimiter="/"), (["b/"], ["b/x/"]))
        self.assertEqual(self.keys(StartAfter="b"), (["b/", "b/x/y", "z", "é"], []))
        self.assertEqual(self.keys(StartAfter="a/1", Delimiter="/")[1], ["a/", "b/"])
        self.assertEqual(self.keys(MaxKeys=0), ([], []))

    def test_pages_of_every_size_are_complete(self):
        for delimiter in ({}, {"Delimiter": "/"}):
            whole = self.keys(**delimiter)
            for size in range(1, 10):
                pages = self.us.get_paginator("list_objects_v2").paginate(
                    Bucket=self.name, PaginationConfig={"PageSize": size}, **delimiter
                )
                keys, prefixes = [], []
                for page in pages:
                    keys += [entry["Key"] for entry in page.get("Contents", [])]
                    prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
                self.assertEqual((keys, prefixes), whole)
                pages = self.us.get_paginator("list_objects").paginate(
                    Bucket=self.name, PaginationConfig={"PageSize": size}, **delimiter
                )
                keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
                self.assertEqual(keys, whole[0])

    def test_versions_in_pages(self):
        for body in (b"1", b"2"):
            self.us.put_object(Bucket=self.name, Key="a", Body=body)
        self.us.delete_object(Bucket=self.name, Key="z")
        whole = None
        for size in (1000, 1, 2, 5):
            pages = self.us.get_paginator("list_object_versions").paginate(
                Bucket=self.name, PaginationConfig={"PageSize": size}
            )
            found = []
            for page in pages:
                for kind in ("Versions", "DeleteMarkers"):
                    found += [(entry["Key"], entry["VersionId"], kind, entry["IsLatest"]) for entry in page.get(kind, [])]
            found.sort(key=lambda entry: (entry[0], entry[1]))
            whole = whole or found
            self.assertEqual(found, whole)
        self.assertEqual(len(whole), 12)
        self.assertEqual(sum(entry[3] for entry in whole), 9)

    def test_names_that_xml_cannot_carry_are_encoded(self):
        key = "control\x01 and+plus"
        self.us.put_object(Bucket=self.name, Key=key, Body=b"")
        self.assertIn(key, self.keys()[0])
