"""The crates in s3ferry's programs: a bill of materials (CycloneDX) and their licence texts.

Both come from cargo: `cargo tree` lists the crates that a program links, with its features and for its target, and
`cargo metadata` says where their sources are.
"""

import json
import pathlib
import re
import subprocess
import tomllib

# Files of a crate that contain its licence.
LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", re.IGNORECASE)

# One line of `cargo tree`: name and version, then the path of a crate of the workspace.
TREE_LINE = re.compile(r"^(\S+) v(\S+)")

CYCLONEDX = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def cargo(root: pathlib.Path, *arguments: str) -> str:
    """Returns the output of a cargo command."""
    command = ["cargo", *arguments]
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked_crates(root: pathlib.Path, package: str, targets: list[str]) -> list[dict]:
    """Returns the metadata of the crates that a package links for any of the targets, ordered by name and version."""
    linked = set()
    for target in targets:
        tree = cargo(root, "tree", "--locked", "--package", package, "--edges", "normal,no-proc-macro",
                     "--prefix", "none", "--target", target)
        linked.update(match.groups() for match in map(TREE_LINE.match, tree.splitlines()) if match)
    metadata = json.loads(cargo(root, "metadata", "--locked", "--format-version", "1"))
    crates = {(crate["name"], crate["version"]): crate for crate in metadata["packages"]}
    return [crates[identity] for identity in sorted(linked)]


def bill_of_materials(root: pathlib.Path, package: str, version: str, targets: list[str]) -> dict:
    """Returns the CycloneDX document of a package. It has neither a time nor a serial number: the same sources have the
    same document."""
    lock = tomllib.loads((root / "Cargo.lock").read_text(encoding="utf-8"))
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    components = [
        component(crate, checksums[crate["name"], crate["version"]])
        for crate in linked_crates(root, package, targets)
        if crate["name"] != package
    ]
    return {
        "$schema": CYCLONEDX,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": package, "name": package, "version": version}},
        "components": components,
    }


def component(crate: dict, checksum: str | None) -> dict:
    """Returns the component of a crate."""
    reference = f"pkg:cargo/{crate['name']}@{crate['version']}"
    described = {"type": "library", "bom-ref": reference, "name": crate["name"], "version": crate["version"],
                 "purl": reference}
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if crate["license"]:
        # Old manifests separate alternatives with a slash.
        described["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", crate["license"])}]
    if crate["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": crate["repository"]}]
    return described


def licence_texts(crate: dict) -> list[str]:
    """Returns the licence texts in the sources of a crate."""
    folder = pathlib.Path(crate["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and LICENCE_FILE.match(path.name))
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in files if path.suffix != ".rs"]


def third_party_licences(root: pathlib.Path, packages: list[str], targets: list[str]) -> str:
    """Returns the licences of all crates in the programs, with each text once."""
    crates = {}
    for package in packages:
        for crate in linked_crates(root, package, targets):
            if crate["source"]:
                crates[crate["name"], crate["version"]] = crate
    of_text: dict[str, list[str]] = {}
    lines = ["Third-party crates in the s3ferry CLI and functions", "", "Crates", ""]
    for (name, version), crate in sorted(crates.items()):
        texts = licence_texts(crate)
        without = "" if texts else " (its package contains no licence text)"
        lines.append(f"  {name} {version}: {crate['license'] or 'see its licence file'}{without}")
        for text in texts:
            of_text.setdefault(text, []).append(f"{name} {version}")
    for text, names in sorted(of_text.items(), key=lambda item: item[1]):
        lines += ["", "=" * 80, "", *names, "", "-" * 80, "", text]
    return "\n".join(lines) + "\n"
