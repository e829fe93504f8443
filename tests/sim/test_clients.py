"""Other clients, unmodified: the AWS CLI, s5cmd and rclone."""

import os
import pathlib
import subprocess
import sys
import tempfile

from support import ENDPOINT, MIB, SimTestCase

TOOLS = pathlib.Path(sys.executable).parent


class Clients(SimTestCase):
    def setUp(self):
        super().setUp()
        scratch = tempfile.TemporaryDirectory(prefix="s3ferry-clients-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.files = {"a b.txt": b"small", "sub/ü.bin": os.urandom(20 * MIB), "empty": b""}
        for name, content in self.files.items():
            path = self.folder / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def run_tool(self, name, *arguments, region="us-east-1", **variables):
        """Runs a client without the caller's configuration. Returns its output."""
        environment = {
            "PATH": f"{TOOLS}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": ENDPOINT,
            "S3_ENDPOINT_URL": ENDPOINT,
            **variables,
        }
        command = [str(TOOLS / name), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def assert_holds_files(self, s3, bucket, prefix=""):
        for name, content in self.files.items():
            body = s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read()
            self.assertTrue(body == content, name)

    def assert_folder_holds_files(self, folder):
        for name, content in self.files.items():
            self.assertTrue((folder / name).read_bytes() == content, name)

    def test_aws_cli(self):
        bucket = self.bucket()
        other = self.bucket(region="eu-central-1")
        aws = lambda *arguments, **more: self.run_tool("aws", "s3", *arguments, **more)
        aws("sync", "--no-progress", str(self.folder / "in"), f"s3://{bucket}/")
        self.assert_holds_files(self.us, bucket)
        # The AWS CLI uses multipart uploads above 8 MiB.
        self.assertIn("-", self.us.head_object(Bucket=bucket, Key="sub/ü.bin")["ETag"])
        aws("sync", "--no-progress", f"s3://{bucket}", f"s3://{other}", "--source-region", "us-east-1", region="eu-central-1")
        self.assert_holds_files(self.eu, other)
        aws("cp", "--no-progress", "--recursive", f"s3://{other}", str(self.folder / "out"), region="eu-central-1")
        self.assert_folder_holds_files(self.folder / "out")
        self.assertIn("sub/ü.bin", aws("ls", "--recursive", f"s3://{bucket}"))
        aws("rm", "--recursive", f"s3://{bucket}")
        self.assertNotIn("Contents", self.us.list_objects_v2(Bucket=bucket))

    def test_s5cmd(self):
        bucket = self.bucket()
        s5cmd = lambda *arguments: self.run_tool("s5cmd", *arguments)
        s5cmd("cp", "--part-size", "5", f"{self.folder}/in/*", f"s3://{bucket}/x/")
        self.assert_holds_files(self.us, bucket, "x/")
        s5cmd("cp", f"s3://{bucket}/x/*", f"s3://{bucket}/y/")
        s5cmd("cp", f"s3://{bucket}/y/*", f"{self.folder}/out/")
        self.assert_folder_holds_files(self.folder / "out")
        self.assertEqual(s5cmd("ls", f"s3://{bucket}/y/*").count("\n"), len(self.files))
        s5cmd("rm", f"s3://{bucket}/*")
        self.assertNotIn("Contents", self.us.list_objects_v2(Bucket=bucket))

    def test_rclone(self):
        bucket = self.bucket()
        remote = f":s3,provider=Other,env_auth=true,region=us-east-1,endpoint='{ENDPOINT}',force_path_style=true:{bucket}"
        rclone = lambda *arguments: self.run_tool("rclone", "--config", "/dev/null", *arguments)
        rclone("sync", str(self.folder / "in"), remote)
        self.assert_holds_files(self.us, bucket)
        rclone("check", str(self.folder / "in"), remote)
        rclone("copy", remote, f"{remote}/copy")
        self.assert_holds_files(self.us, bucket, "copy/")
        rclone("sync", f"{remote}/copy", str(self.folder / "out"))
        self.assert_folder_holds_files(self.folder / "out")
