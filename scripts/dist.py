#!/usr/bin/env python3
"""Assembles dist/, what a release consists of. `make dist` builds the programs first and then runs it.

The same programs have the same bytes in dist/: files are sorted, and times and permissions are fixed.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import third_party

ROOT = pathlib.Path(__file__).resolve().parent.parent

FUNCTIONS = ["replicator", "final-sync", "bucket-wiring"]

# Machine in the header of an ELF file, and target of the compiler, by Lambda's name of the architecture.
MACHINES = {"x86_64": 62, "arm64": 183}
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}

# The architecture of `source.yaml`; the template of another one has its name.
DEFAULT_ARCHITECTURE = "x86_64"

# The earliest time that a zip file can have.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
TAR_TIME = 315532800

SAMCONFIG_HEAD = """\
# Parameters of the two stacks. Replace every FILL-IN, then run `sam deploy --config-env destination` and
# `sam deploy --config-env source` in this folder. README.md says more.
"""


class NotComplete(Exception):
    """Why dist/ is not complete."""


def zip_of(bootstrap: pathlib.Path, architecture: str) -> bytes:
    """Returns the deployment package of a function: https://docs.aws.amazon.com/lambda/latest/dg/rust-package.html"""
    try:
        program = bootstrap.read_bytes()
    except OSError as error:
        raise NotComplete(f"{bootstrap}: {error.strerror}; run make dist") from error
    machine = int.from_bytes(program[18:20], "little")
    if program[:4] != b"\x7fELF" or machine != MACHINES[architecture]:
        raise NotComplete(f"{bootstrap} is no program for {architecture}")
    entry = zipfile.ZipInfo("bootstrap", ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    # A regular file that everyone may run.
    entry.external_attr = 0o100755 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, program, compresslevel=9)
    return packed.getvalue()


def source_template(text: str, architecture: str) -> str:
    """Returns `source.yaml` with the zip files of one architecture."""
    changes = [(rf"CodeUri: \.\./target/lambda/{name}\n", f"CodeUri: functions/{architecture}/{name}.zip\n")
               for name in FUNCTIONS]
    changes += [
        (r"    Description: Architecture that .*\n    AllowedValues: \[x86_64, arm64\]\n    Default: \S+\n",
         "    Description: Architecture of the functions that this template deploys.\n"
         f"    AllowedValues: [{architecture}]\n    Default: {architecture}\n"),
    ]
    for before, after in changes:
        text, count = re.subn(before, after, text)
        if count != 1:
            raise NotComplete(f"infra/source.yaml has {count} times {before!r}, expected once")
    return text


def samconfig(text: str) -> str:
    """Returns `samconfig.toml` with a comment for readers without the repository."""
    _, version, rest = text.partition("version = 0.1\n")
    return SAMCONFIG_HEAD + version + rest


def output_of(cli: pathlib.Path, *arguments: str) -> str:
    """Returns what the CLI prints."""
    return subprocess.run([cli, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def cli_commands(cli: pathlib.Path) -> list[str]:
    """Returns the names of the commands in the CLI's help."""
    _, _, commands = output_of(cli, "--help").partition("\nCommands:\n")
    names = re.findall(r"^  ([a-z-]+)\b", commands.partition("\n\n")[0], flags=re.MULTILINE)
    return [name for name in names if name != "help"]


def cli_files(cli: pathlib.Path) -> dict[str, bytes]:
    """Returns the CLI, its completions and its manual pages."""
    files = {"bin/s3ferry": cli.read_bytes()}
    completions = {"bash": "s3ferry.bash", "zsh": "_s3ferry", "fish": "s3ferry.fish"}
    for shell, name in completions.items():
        files[f"completions/{name}"] = output_of(cli, "completions", shell).encode()
    files["man/s3ferry.1"] = output_of(cli, "man").encode()
    for command in cli_commands(cli):
        files[f"man/s3ferry-{command}.1"] = output_of(cli, "man", command).encode()
    return files


def third_party_files(version: str, architectures: list[str], host: str) -> dict[str, bytes]:
    """Returns the bills of materials and the licences."""
    targets = [TARGETS[architecture] for architecture in architectures]
    programs = {"s3ferry-functions": targets, "s3ferry-cli": [host]}
    files = {}
    for package, of_package in programs.items():
        document = third_party.bill_of_materials(ROOT, package, version, of_package)
        files[f"sbom/{package}.cdx.json"] = json.dumps(document, indent=1).encode() + b"\n"
    licences = third_party.third_party_licences(ROOT, list(programs), sorted({*targets, host}))
    files["THIRD-PARTY-LICENSES.txt"] = licences.encode()
    return files


def contents(arguments: argparse.Namespace, version: str, host: str) -> dict[str, bytes]:
    """Returns every file of dist/ by its path, without the checksums."""
    source = (ROOT / "infra/source.yaml").read_text(encoding="utf-8")
    files = {
        "README.md": (ROOT / "infra/RELEASE.md").read_bytes(),
        "samconfig.toml": samconfig((ROOT / "infra/samconfig.toml").read_text(encoding="utf-8")).encode(),
        "destination.yaml": (ROOT / "infra/destination.yaml").read_bytes(),
    }
    for name in ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"]:
        files[name] = (ROOT / name).read_bytes()
    folders = dict(folder.split("=", 1) for folder in arguments.functions)
    for architecture, folder in folders.items():
        is_default = architecture == DEFAULT_ARCHITECTURE
        template = "source.yaml" if is_default else f"source-{architecture}.yaml"
        files[template] = source_template(source, architecture).encode()
        for name in FUNCTIONS:
            bootstrap = pathlib.Path(folder) / name / "bootstrap"
            files[f"functions/{architecture}/{name}.zip"] = zip_of(bootstrap, architecture)
    files.update(cli_files(arguments.cli))
    files.update(third_party_files(version, list(folders), host))
    return files


def mode(path: str) -> int:
    """Returns the permissions of a file in dist/."""
    return 0o755 if path.startswith("bin/") else 0o644


def write(dist: pathlib.Path, files: dict[str, bytes]) -> None:
    """Replaces dist/ by these files."""
    if dist.exists():
        shutil.rmtree(dist)
    for path, content in files.items():
        target = dist / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode(path))


def archive(target: pathlib.Path, folder: str, files: dict[str, bytes]) -> None:
    """Writes a .tar.gz of these files below one folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, content in sorted(files.items()):
                entry = tarfile.TarInfo(f"{folder}/{path}")
                entry.size, entry.mtime, entry.mode = len(content), TAR_TIME, mode(path)
                tar.addfile(entry, io.BytesIO(content))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=pathlib.Path, required=True, help="folder that is replaced")
    parser.add_argument("--functions", action="append", required=True, metavar="ARCHITECTURE=FOLDER",
                        help="folder of cargo lambda for an architecture")
    parser.add_argument("--cli", type=pathlib.Path, required=True, help="the CLI's binary")
    parser.add_argument("--archives", type=pathlib.Path, help="folder of the .tar.gz")
    arguments = parser.parse_args()
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    version = manifest["workspace"]["package"]["version"]
    host = re.search(r"^host: (\S+)$", output_of(pathlib.Path("rustc"), "-vV"), flags=re.MULTILINE).group(1)
    try:
        files = contents(arguments, version, host)
    except (NotComplete, OSError, subprocess.CalledProcessError) as error:
        print(f"dist.py: {error}", file=sys.stderr)
        return 1
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items()))
    files["SHA256SUMS"] = sums.encode()
    write(arguments.dist, files)
    if arguments.archives:
        name = f"s3ferry-{version}-{host}"
        archive(arguments.archives / f"{name}.tar.gz", name, files)
    print(f"{arguments.dist}: {len(files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
