#!/usr/bin/env python3
"""Prints the section of CHANGELOG.md for a release: release_notes.py v0.1.0.

Fails if the tag is not the version in Cargo.toml, or if the section is missing, empty or unreleased.
"""

import pathlib
import re
import sys
import tomllib


class NotReleasable(Exception):
    """Why the tag must not become a release."""


def notes(tag: str, cargo_toml: str, changelog: str) -> str:
    """Returns the notes of the release `tag`, in Markdown."""
    version = tomllib.loads(cargo_toml)["workspace"]["package"]["version"]
    if tag != f"v{version}":
        raise NotReleasable(f"the tag {tag} is not v{version}, the version in Cargo.toml")
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, body = section.partition("\n")
        if heading.split(",")[0].strip() != version:
            continue
        if not re.fullmatch(r".*, \d{4}-\d{2}-\d{2}", heading.strip()):
            raise NotReleasable(f"CHANGELOG.md has no date for {version}: the heading is `{heading.strip()}`")
        if not body.strip():
            raise NotReleasable(f"CHANGELOG.md says nothing about {version}")
        return body.strip() + "\n"
    raise NotReleasable(f"CHANGELOG.md has no section for {version}")


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: release_notes.py TAG", file=sys.stderr)
        return 2
    root = pathlib.Path(__file__).resolve().parent.parent
    cargo_toml, changelog = ((root / name).read_text(encoding="utf-8") for name in ("Cargo.toml", "CHANGELOG.md"))
    try:
        print(notes(sys.argv[1], cargo_toml, changelog), end="")
    except NotReleasable as error:
        print(f"release_notes.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
