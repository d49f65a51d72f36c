"""The written contract by example: one small source, the bytes it gives, and trees computed by their definition."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bytes.frames import LIBRARY
from kit.snapshot import SnapshotInfo, SnapshotReader
from kit.snapshot.layout import PAGE_ENTRY
from kit.snapshot.records import PAGES, RECORD
from kit.snapshot.writer import About

DATA = Path(__file__).parent / "data"
ABOUT = About(name="golden", source="golden.ndjson", snapshot_time="2026-03-01T00:00:00Z")

INDEX = [
    "Alpine:v3.20\tdemo\t2",
    "Go\texample.org/demo/parser\t3,5",
    "PyPI\tdemo-parser\t4,5",
]


def spelled(ecosystem: str, name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-") if ecosystem == "PyPI" else name


@pytest.fixture
def golden(build: Callable[..., tuple[Path, SnapshotInfo]]) -> tuple[Path, SnapshotInfo]:
    source = [(None, line) for line in (DATA / "golden.ndjson").read_bytes().splitlines()]
    return build(source, about=ABOUT, normalise=spelled)


def tree_head(leaves: list[bytes]) -> bytes:
    """Return MTH(leaves) exactly as RFC 6962 section 2.1 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + tree_head(leaves[:half]) + tree_head(leaves[half:])).digest()


def test_lines_are_the_expected_ones(
    golden: tuple[Path, SnapshotInfo], reopen: Callable[[Path], SnapshotReader]
) -> None:
    reader = reopen(golden[0])
    assert b"".join(line + b"\n" for line in reader.page_lines(0)) == (DATA / "golden.advisories.ndjson").read_bytes()
    assert [line.decode() for line in reader.index_lines()] == INDEX


def test_roots_follow_from_the_definition(golden: tuple[Path, SnapshotInfo]) -> None:
    place, info = golden
    lines = (DATA / "golden.advisories.ndjson").read_bytes().splitlines()
    entries = (place / PAGES).read_bytes()
    assert info.content_root == "sha256:" + tree_head(lines).hex()
    assert info.index_root == "sha256:" + tree_head([line.encode() for line in INDEX]).hex()
    assert info.page_root == "sha256:" + tree_head([entries]).hex()
    assert PAGE_ENTRY.unpack(entries)[6] == tree_head(lines)


def test_record_and_members_are_the_checked_in_bytes(golden: tuple[Path, SnapshotInfo]) -> None:
    place, _ = golden
    expected: dict[str, Any] = json.loads((DATA / "golden.snapshot.json").read_bytes())
    found: dict[str, Any] = json.loads((place / RECORD).read_bytes())
    if f"libzstd {expected['compressor']['version']}" != LIBRARY:
        # Frames, and what counts or digests them, are the library's; everything else is ours.
        for document in (expected, found):
            for name in ("compressor", "members", "pageRoot"):
                del document[name]
    assert found == expected
