"""How a feed is stored does not count: a snapshot on disk gives the outputs of the same records in memory."""

import json

import pytest

from kit.bundle import DirectorySource
from kit.bytes import digest
from kit.snapshot import SnapshotReader
from kit.snapshot.writer import About, write_snapshot
from scanner import identity, outputs
from scanner.evaluate import evaluate

INDEPENDENT = (outputs.SBOM, outputs.FINDINGS, outputs.VEX, outputs.FINDING_TREE, outputs.TRACE)


@pytest.fixture
def stored(tmp_path):
    opened = []

    def store(name: str, records: list[dict]) -> SnapshotReader:
        target, scratch = tmp_path / name, tmp_path / f"{name}-scratch"
        target.mkdir()
        scratch.mkdir()
        source = [(None, json.dumps(record).encode()) for record in records]
        about = About(name=name, source="test", snapshot_time="2024-01-01T00:00:00Z")
        write_snapshot(target, source, about, normalise=identity.normalise, scratch=scratch)
        opened.append(DirectorySource(target))
        return SnapshotReader(opened[-1], "", digest.of_bytes((target / "snapshot.json").read_bytes()))

    yield store
    for source in opened:
        source.__exit__(None, None, None)


def test_a_stored_feed_gives_the_outputs_of_one_in_memory(stored, crafted, crafted_records, memory_feed):
    in_memory = [memory_feed(name, records) for name, records in crafted_records.items()]
    on_disk = [stored(name, records) for name, records in crafted_records.items()]
    expected, found = evaluate(crafted(feeds=in_memory)), evaluate(crafted(feeds=on_disk))
    assert {path: found[path] for path in INDEPENDENT} == {path: expected[path] for path in INDEPENDENT}
