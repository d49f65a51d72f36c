"""Proofs: presence, absence and single advisories, honest and tampered with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.errors import MalformedDocument, MerkleRootMismatch, StellaError
from kit.snapshot import (
    AdvisoryProof,
    PackageProof,
    SnapshotInfo,
    SnapshotReader,
    verify_advisory,
    verify_package,
)

Build = Callable[..., tuple[Path, SnapshotInfo]]
Reopen = Callable[[Path], SnapshotReader]

NAMES = st.text("abc", min_size=1, max_size=3)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(NAMES, max_size=12), NAMES)
def test_every_package_is_proven_present_or_absent(
    build: Build, reopen: Reopen, make_record: Callable[..., bytes], names: set[str], asked: str
) -> None:
    place, info = build([(None, make_record(f"T-{name}", ("Go", name))) for name in names])
    reader = reopen(place)
    proof = reader.prove("Go", asked)
    assert verify_package(proof, info) == reader.lookup("Go", asked)
    assert bool(reader.lookup("Go", asked)) == (asked in names)
    assert len(proof.entries) <= 2


@pytest.fixture
def reader(build: Build, reopen: Reopen, make_record: Callable[..., bytes]) -> SnapshotReader:
    return reopen(build([(None, make_record(f"T-{name}", ("Go", name), size=5_000)) for name in "bdfhjln"])[0])


@pytest.mark.parametrize("package", ["a", "b", "c", "m", "n", "o"])
def test_proof_survives_being_written_and_read(reader: SnapshotReader, package: str) -> None:
    proof = reader.prove("Go", package)
    again = canonical.decode_record(canonical.encode_record(proof), PackageProof)
    assert verify_package(again, reader.info) == reader.lookup("Go", package)


def entries(proof: PackageProof, *changed: Any) -> PackageProof:
    return msgspec.structs.replace(proof, entries=tuple(changed))


@pytest.mark.parametrize(
    ("package", "spoil"),
    [
        ("c", entries),
        ("c", lambda proof: entries(proof, proof.entries[0])),
        ("c", lambda proof: entries(proof, proof.entries[1])),
        ("c", lambda proof: entries(proof, *proof.entries[::-1])),
        ("c", lambda proof: entries(proof, *proof.entries, proof.entries[1])),
        ("c", lambda proof: msgspec.structs.replace(proof, package="e")),
        ("c", lambda proof: msgspec.structs.replace(proof, package="b")),
        ("c", lambda proof: msgspec.structs.replace(proof, ecosystem="npm")),
        ("d", lambda proof: msgspec.structs.replace(proof, package="e")),
        ("d", lambda proof: entries(proof, msgspec.structs.replace(proof.entries[0], entry="Go\td\t1,2"))),
        ("d", lambda proof: entries(proof, msgspec.structs.replace(proof.entries[0], position=2))),
        ("d", lambda proof: entries(proof, msgspec.structs.replace(proof.entries[0], position=-1))),
        ("d", lambda proof: entries(proof, msgspec.structs.replace(proof.entries[0], path=()))),
        ("d", lambda proof: entries(proof, msgspec.structs.replace(proof.entries[0], path=("00" * 32,) * 3))),
        ("d", lambda proof: entries(proof, msgspec.structs.replace(proof.entries[0], path=("xyz",)))),
        ("d", lambda proof: msgspec.structs.replace(proof, package="d\td")),
    ],
)
def test_tampered_package_proof_shows_nothing(
    reader: SnapshotReader, package: str, spoil: Callable[[PackageProof], PackageProof]
) -> None:
    with pytest.raises((MerkleRootMismatch, MalformedDocument)):
        verify_package(spoil(reader.prove("Go", package)), reader.info)


def test_neighbours_that_are_not_adjacent_show_no_absence(reader: SnapshotReader) -> None:
    left, right = reader.prove("Go", "b").entries[0], reader.prove("Go", "f").entries[0]
    with pytest.raises(MerkleRootMismatch):
        verify_package(PackageProof(ecosystem="Go", package="d", entries=(left, right)), reader.info)


def test_proof_against_another_snapshot_shows_nothing(
    reader: SnapshotReader, build: Build, make_record: Callable[..., bytes]
) -> None:
    _, other = build([(None, make_record(f"T-{name}", ("Go", name))) for name in "bdfhjl"])
    for package in "abc":
        with pytest.raises(MerkleRootMismatch):
            verify_package(reader.prove("Go", package), other)


def test_absence_needs_no_entry_only_where_the_index_is_empty(build: Build, reopen: Reopen) -> None:
    place, info = build([])
    assert verify_package(reopen(place).prove("Go", "a"), info) == ()
    false = msgspec.structs.replace(info, index_root="sha256:" + "00" * 32)
    with pytest.raises(MerkleRootMismatch):
        verify_package(reopen(place).prove("Go", "a"), false)


def test_every_advisory_is_proven_by_its_page_and_the_directory(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo]
) -> None:
    place, info = sound
    reader = reopen(place)
    for ordinal in range(0, info.advisories, 7):
        number = reader.pages.number_of(ordinal)
        line = reader.page_lines(number)[ordinal - reader.pages[number].first]
        proof = canonical.decode_record(canonical.encode_record(reader.prove_advisory(ordinal)), AdvisoryProof)
        verify_advisory(proof, line, info)
    with pytest.raises(IndexError):
        reader.prove_advisory(info.advisories)
    with pytest.raises(IndexError):
        reader.prove_advisory(-1)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"ordinal": 1}, MerkleRootMismatch),
        ({"ordinal": 10_000}, MerkleRootMismatch),
        ({"ordinal": -1}, MerkleRootMismatch),
        ({"page": 1}, MerkleRootMismatch),
        ({"page": -1}, MerkleRootMismatch),
        ({"line_path": ()}, MerkleRootMismatch),
        ({"page_path": ()}, MerkleRootMismatch),
        ({"page_entry": "00" * 88}, MerkleRootMismatch),
        ({"page_entry": "00"}, MalformedDocument),
        ({"page_entry": "x"}, MalformedDocument),
        ({"line_path": ("0",)}, MalformedDocument),
    ],
)
def test_tampered_advisory_proof_shows_nothing(
    reader: SnapshotReader, fields: dict[str, Any], error: type[StellaError]
) -> None:
    proof = reader.prove_advisory(0)
    line = reader.page_lines(0)[0]
    verify_advisory(proof, line, reader.info)
    with pytest.raises(error):
        verify_advisory(msgspec.structs.replace(proof, **fields), line, reader.info)


def test_proof_holds_for_its_own_line_only(reader: SnapshotReader) -> None:
    first, second = reader.page_lines(0)[:2]
    with pytest.raises(MerkleRootMismatch):
        verify_advisory(reader.prove_advisory(0), second, reader.info)
    with pytest.raises(MerkleRootMismatch):
        verify_advisory(reader.prove_advisory(0), first + b" ", reader.info)
