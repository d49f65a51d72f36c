"""Real feeds, where the test data is at hand: counts, deep verification, and reading with ordinary tools."""

import json
import os
import subprocess
import zipfile
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from builder import feeds
from scanner.identity import normalise

DATA = Path(os.environ.get("STELLA_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "osv"
TIME = "2026-09-01T00:00:00Z"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no test data (STELLA_TEST_DATA)")


def records_of(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        return [json.loads(archive.read(name)) for name in archive.namelist()]


@pytest.mark.parametrize(
    ("source", "advisories", "withdrawn", "ecosystems", "has_dictionary"),
    [
        ("PyPI/2024-10-10", 2_661, 10, ["PyPI"], False),
        ("Go/2026-08-21", 4_291, 17, ["Go"], False),
        ("Alpine/2020-06-08", 1_948, 0, ["Alpine:v3.10", "Alpine:v3.11"], False),
        ("AlmaLinux8/2026-08-21", 2_040, 0, ["AlmaLinux:10", "AlmaLinux:8", "AlmaLinux:9"], True),
    ],
)
def test_real_feed_becomes_a_sound_snapshot(
    tmp_path: Path,
    source: str,
    advisories: int,
    withdrawn: int,
    ecosystems: list[str],
    has_dictionary: bool,
) -> None:
    archive = DATA / source / "all.zip"
    added = feeds.add(tmp_path, "real", archive, snapshot_time=TIME)
    info = added.info
    assert (info.advisories, info.withdrawn) == (advisories, withdrawn)
    assert [item.ecosystem for item in info.ecosystems] == ecosystems
    assert (info.refused_count, info.odd_count) == (0, 0)
    assert (info.member("dict") is not None) == has_dictionary
    with feeds.opened(added.directory) as reader:
        reader.verify_quick()
        assert reader.verify_deep(normalise).index_not_derived is None
        expected: dict[tuple[str, str], set[str]] = {}
        for record in records_of(archive):
            for entry in record["affected"]:
                package = entry["package"]
                key = package["ecosystem"], normalise(package["ecosystem"], package["name"])
                expected.setdefault(key, set()).add(record["id"])
        assert info.packages == len(expected)
        for key in sorted(expected)[:: max(1, len(expected) // 50)]:
            assert {json.loads(line)["id"] for _, line in reader.records([key])} == expected[key]


@pytest.mark.skipif(which("zstd") is None or which("jq") is None, reason="zstd or jq is not installed")
@pytest.mark.parametrize("source", ["Alpine/2020-06-08", "AlmaLinux8/2026-08-21"])
def test_auditor_reads_a_real_snapshot_with_zstd_grep_and_jq(tmp_path: Path, source: str) -> None:
    added = feeds.add(tmp_path, "real", DATA / source / "all.zip", snapshot_time=TIME)
    dictionary = "-D dict " if (added.directory / "dict").exists() else ""
    shown = subprocess.run(
        ["sh", "-c", f"zstd -dc {dictionary}advisories.ndjson.zst | jq -r .id | sort"],
        cwd=added.directory,
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert shown.stdout.split() == sorted(record["id"] for record in records_of(DATA / source / "all.zip"))
    entry = subprocess.run(
        ["sh", "-c", "zstd -dc index.tsv.zst | head -n 1"],
        cwd=added.directory,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    ecosystem, package, ordinals = entry.rstrip("\n").split("\t")
    with feeds.opened(added.directory) as reader:
        assert ",".join(map(str, reader.lookup(ecosystem, package))) == ordinals
