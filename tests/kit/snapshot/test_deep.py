"""Deep verification: what is sound passes in any division, and every lie of a sealed snapshot is found."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.errors import MalformedDocument, MerkleRootMismatch
from kit.snapshot import SnapshotInfo, SnapshotReader, check_pages, conclude
from kit.snapshot.layout import PAGE_ENTRY
from kit.snapshot.records import PAGES, EcosystemCount

Build = Callable[..., tuple[Path, SnapshotInfo]]
Reopen = Callable[[Path], SnapshotReader]
Forge = Callable[..., Path]

OTHER_ROOT = "sha256:" + "ab" * 32


def test_sound_snapshot_passes_with_and_without_its_index(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo], normalise: Any
) -> None:
    place, info = sound
    check = reopen(place).verify_deep(normalise)
    assert (check.advisories, check.pages, check.index_entries) == (info.advisories, info.pages, info.packages)
    assert check.index_not_derived is None
    assert reopen(place).verify_deep(None).index_not_derived == "no name normalisation was given"


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_of_the_pages_join_to_the_same_result(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo], normalise: Any, parts: int
) -> None:
    place, info = sound
    bounds = [info.pages * part // parts for part in range(parts + 1)]
    found = [check_pages(reopen(place), start, stop, normalise) for start, stop in itertools.pairwise(bounds)]
    assert conclude(reopen(place), found) == reopen(place).verify_deep(normalise)


@pytest.mark.parametrize("choose", [lambda parts: [], lambda parts: parts[1:], lambda parts: parts[:1]])
def test_parts_that_leave_pages_out_are_refused(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo], choose: Callable[[list[Any]], list[Any]]
) -> None:
    place, info = sound
    parts = [check_pages(reopen(place), 0, 2, None), check_pages(reopen(place), 2, info.pages, None)]
    with pytest.raises(MalformedDocument):
        conclude(reopen(place), choose(parts))


def line(identity: str, *packages: str, **more: Any) -> bytes:
    """Return a canonical line over Go packages."""
    affected = [{"package": {"ecosystem": "Go", "name": name}} for name in packages]
    value = {"affected": affected, "id": identity, "modified": "2026-01-01T00:00:00Z"} | more
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


ONE, TWO, THREE = line("T-1", "a"), line("T-2", "a", "c"), line("T-3", "b")
LONG = line("T-4", "d", details="x" * 16384)
ENTRIES = [b"Go\ta\t0,1", b"Go\tb\t2", b"Go\tc\t1"]


def test_forged_snapshot_of_true_content_passes(forge: Forge, reopen: Reopen, normalise: Any) -> None:
    place = forge([[ONE, TWO, THREE]], [ENTRIES])
    assert reopen(place).verify_deep(normalise).advisories == 3


@pytest.mark.parametrize(
    ("pages", "index", "fields"),
    [
        pytest.param([[TWO, ONE, THREE]], [ENTRIES], {}, id="lines out of order"),
        pytest.param([[ONE, ONE, THREE]], [[b"Go\ta\t0,1", b"Go\tb\t2"]], {}, id="line twice"),
        pytest.param([[ONE, TWO, THREE.replace(b",", b", ", 1)]], [ENTRIES], {}, id="line not canonical"),
        pytest.param([[ONE, TWO, b"{}"]], [ENTRIES], {}, id="line that is no record"),
        pytest.param([[ONE, TWO, THREE[:-1] + b',"id":"T-9"}']], [ENTRIES], {}, id="duplicate member"),
        pytest.param([[ONE], [TWO, THREE]], [ENTRIES], {}, id="page cut too early"),
        pytest.param([[ONE, TWO, THREE, LONG, LONG]], [ENTRIES], {}, id="page cut too late"),
        pytest.param([[ONE, TWO, THREE]], [ENTRIES[:1], ENTRIES[1:]], {}, id="index page cut too early"),
        pytest.param([[ONE, TWO, THREE]], [ENTRIES[:2]], {}, id="index entry missing"),
        pytest.param([[ONE, TWO, THREE]], [[*ENTRIES, b"Go\tx\t1"]], {}, id="index entry invented"),
        pytest.param([[ONE, TWO, THREE]], [[b"Go\ta\t0", *ENTRIES[1:]]], {}, id="ordinal missing"),
        pytest.param([[ONE, TWO, THREE]], [[*ENTRIES[:2], b"Go\tc\t1,2"]], {}, id="ordinal invented"),
        pytest.param([[ONE, TWO, THREE]], [[ENTRIES[0], ENTRIES[2], ENTRIES[1]]], {}, id="index out of order"),
        pytest.param([[ONE, TWO, THREE]], [ENTRIES], {"withdrawn": 1}, id="withdrawn"),
        pytest.param(
            [[ONE, TWO, THREE]],
            [ENTRIES],
            {"ecosystems": (EcosystemCount(ecosystem="Go", advisories=2, packages=3),)},
            id="ecosystem count",
        ),
        pytest.param(
            [[ONE, TWO, THREE]],
            [ENTRIES],
            {"ecosystems": (EcosystemCount(ecosystem="npm", advisories=3, packages=3),)},
            id="ecosystem name",
        ),
        pytest.param([[ONE, TWO, THREE]], [ENTRIES], {"content_root": OTHER_ROOT}, id="content root"),
        pytest.param([[ONE, TWO, THREE]], [ENTRIES], {"index_root": OTHER_ROOT}, id="index root"),
        pytest.param([[ONE, TWO, THREE]], [ENTRIES], {"page_root": OTHER_ROOT}, id="page root"),
    ],
)
def test_lie_is_found(
    forge: Forge, reopen: Reopen, normalise: Any, pages: Any, index: Any, fields: dict[str, Any]
) -> None:
    reader = reopen(forge(pages, index, **fields))
    reader.verify_quick()
    with pytest.raises((MalformedDocument, MerkleRootMismatch)):
        reader.verify_deep(normalise)


def test_sub_root_of_another_page_is_found(
    build: Build, reopen: Reopen, reseal: Callable[..., None], sources: list[Any]
) -> None:
    place, _ = build(sources)
    data = (place / PAGES).read_bytes()
    reseal(
        place, {PAGES: data[: PAGE_ENTRY.size - 1] + bytes([data[PAGE_ENTRY.size - 1] ^ 1]) + data[PAGE_ENTRY.size :]}
    )
    reopen(place).verify_quick()
    with pytest.raises(MerkleRootMismatch):
        reopen(place).verify_deep(None)


def test_index_of_another_normalisation_is_found(reopen: Reopen, sound: tuple[Path, SnapshotInfo]) -> None:
    place, _ = sound
    with pytest.raises(MalformedDocument):
        reopen(place).verify_deep(lambda _, name: name)
