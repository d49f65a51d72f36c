"""What the tests of matching, evaluation and explanation share: feeds in memory, small SBOMs, real data where it is."""

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kit.bytes import canonical, digest
from scanner import identity
from scanner.evaluate import EvaluationInput

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

POLICY = b'schemaVersion = "1.0"\nname = "plain"\n'


class MemoryFeed:
    """A feed snapshot held in memory: canonical lines in the order of ecosystem, package, id."""

    def __init__(self, name: str, records: Iterable[dict]) -> None:
        self.name = name
        self.lines = [canonical.encode_foreign(record) for record in sorted(records, key=_line_order)]
        self.snapshot_digest = digest.of_bytes(b"\n".join(self.lines))
        self._index: dict[tuple[str, str], list[int]] = {}
        for ordinal, line in enumerate(self.lines):
            for key in _packages(json.loads(line)):
                self._index.setdefault(key, []).append(ordinal)
        self.ecosystems = frozenset(ecosystem for ecosystem, _ in self._index)
        self.asked: list[tuple[str, str]] = []

    def records(self, packages: Iterable[tuple[str, str]]) -> Iterator[tuple[int, bytes]]:
        self.asked = list(packages)
        for ordinal in sorted({ordinal for key in self.asked for ordinal in self._index.get(key, ())}):
            yield ordinal, self.lines[ordinal]


def _packages(record: dict) -> set[tuple[str, str]]:
    entries = [entry.get("package") for entry in record.get("affected") or () if isinstance(entry, dict)]
    return {(one["ecosystem"], identity.normalise(one["ecosystem"], one["name"])) for one in entries if one}


def _line_order(record: dict) -> tuple:
    return min(_packages(record), default=("", "")), record.get("id", ""), json.dumps(record, sort_keys=True)


@pytest.fixture(scope="session")
def memory_feed() -> type[MemoryFeed]:
    return MemoryFeed


@pytest.fixture(scope="session")
def make_sbom() -> Callable[..., bytes]:
    def make(*purls: str, versions: dict[str, str] | None = None) -> bytes:
        components = [
            {"type": "library", "bom-ref": f"ref-{place}", "name": purl, "purl": purl}
            for place, purl in enumerate(purls)
        ]
        for component in components:
            if versions and component["purl"] in versions:
                component["version"] = versions[component["purl"]]
        return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}).encode()

    return make


@pytest.fixture(scope="session")
def make_input() -> Callable[..., EvaluationInput]:
    def make(sbom: bytes, *feeds: MemoryFeed, **others: object) -> EvaluationInput:
        fields = {
            "scan_id": "3f0c8f5e-3f4e-4c6e-9d55-0c6f6f1f8a01",
            "time": "2026-01-02T03:04:05Z",
            "subject": "example",
            "sbom": sbom,
            "feeds": list(feeds),
            "vex": [],
            "policy": POLICY,
        }
        return EvaluationInput(**(fields | others))

    return make


@pytest.fixture(scope="session")
def test_data() -> Path:
    folder = Path(os.environ.get("STELLA_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no test data: set STELLA_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def real_records(test_data: Path) -> Callable[[str, str], list[dict]]:
    found: dict[tuple[str, str], list[dict]] = {}

    def read(ecosystem: str, date: str) -> list[dict]:
        if (ecosystem, date) not in found:
            with zipfile.ZipFile(test_data / "osv" / ecosystem / date / "all.zip") as archive:
                found[ecosystem, date] = [json.loads(archive.read(name)) for name in archive.namelist()]
        return found[ecosystem, date]

    return read


@pytest.fixture(scope="session")
def real_feeds(real_records: Callable[[str, str], list[dict]]) -> dict[str, list[MemoryFeed]]:
    return {
        "old": [
            MemoryFeed("go", real_records("Go", "2026-01-28")),
            MemoryFeed("pypi", real_records("PyPI", "2024-01-30")),
        ],
        "new": [
            MemoryFeed("go", real_records("Go", "2026-08-21")),
            MemoryFeed("pypi", real_records("PyPI", "2024-10-10")),
        ],
    }
