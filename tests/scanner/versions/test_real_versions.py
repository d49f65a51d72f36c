"""Every version in published advisories and in documents of real generators: which of them have no key."""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from scanner import versions
from scanner.versions import Unparsable

# snapshot -> ecosystem, texts in it, events without a key, how many entries of version lists without a key
FEEDS = {
    "AlmaLinux8/2026-08-21": ("AlmaLinux:8", 4_543, set(), 0),
    "Alpine/2020-06-08": ("Alpine:v3.11", 714, {"2.7.16-33", "4.10-1-r1", "4.8.0.-r1"}, 0),
    "Go/2026-08-21": ("Go", 2_486, set(), 0),
    "PyPI/2024-10-10": ("PyPI", 13_064, {"0.2.0-n653", "2019-09-12"}, 75),
}
ECOSYSTEMS = {
    "alpine": "Alpine:v3.11",
    "apk": "Alpine:v3.11",
    "deb": "Debian:12",
    "golang": "Go",
    "maven": "Maven",
    "npm": "npm",
    "pypi": "PyPI",
    "rpm": "AlmaLinux:8",
}
PURL = re.compile(r'"pkg:([a-z]+)/[^"?#]*@([^"?#@/]+)')


def without_key(ecosystem: str, texts: set[str]) -> set[str]:
    found = set(texts)
    for text in texts:
        with suppress(Unparsable):
            versions.key(ecosystem, text)
            found.discard(text)
    return found


def affected(archive: Path) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(archive) as records:
        for name in records.namelist():
            yield from json.loads(records.read(name)).get("affected") or []


@pytest.mark.parametrize("snapshot", sorted(FEEDS))
def test_advisories_name_no_other_versions_without_a_key(snapshot: str, test_data: Path) -> None:
    ecosystem, count, strange_events, strange_listed = FEEDS[snapshot]
    events: set[str] = set()
    listed: set[str] = set()
    for entry in affected(test_data / "osv" / snapshot / "all.zip"):
        listed.update(entry.get("versions") or [])
        for item in entry.get("ranges") or []:
            if item["type"] != "GIT":
                events.update(text for event in item["events"] for text in event.values())
    assert len(events | listed) == count
    assert without_key(ecosystem, events - {"0"}) == strange_events
    assert len(without_key(ecosystem, listed)) == strange_listed


def test_every_version_in_the_documents_of_generators_has_a_key(test_data: Path) -> None:
    found: dict[str, set[str]] = {}
    for document in (test_data / "sboms").iterdir():
        for kind, text in PURL.findall(document.read_text(encoding="utf-8")):
            found.setdefault(kind, set()).add(unquote(text))
    found.pop("oci")
    assert set(found) == set(ECOSYSTEMS)
    for kind, texts in found.items():
        assert without_key(ECOSYSTEMS[kind], texts) == set(), kind
    assert sum(map(len, found.values())) > 1_500
