"""Valid documents with one part replaced, removed or doubled: read but for that part, or refused with its place."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes.canonical import encode
from kit.errors import LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from scanner.sbom import normalised, read_sbom
from tests.fuzz.targets import CYCLONEDX, SPDX2, SPDX3

DOCUMENTS = {"cyclonedx": CYCLONEDX, "spdx2": SPDX2, "spdx3": SPDX3}
OTHERS = (
    None,
    True,
    0,
    1.5,
    "",
    "a",
    "SPDXRef-a",
    "pkg:pypi/a@1",
    "pkg:deb/x",
    [],
    {},
    [[]],
    [{}],
    ["a"],
    {"name": "x"},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield (*path, step)
        yield from places(one, (*path, step))


def owner_of(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document


CASES = [(name, path) for name, document in DOCUMENTS.items() for path in places(document)]


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_a_part_of_another_shape_is_skipped_or_refused_with_its_place(other: Any) -> None:
    for name, path in CASES:
        document = copy.deepcopy(DOCUMENTS[name])
        owner_of(document, path)[path[-1]] = copy.deepcopy(other)
        try:
            sbom = read_sbom(json.dumps(document).encode())
        except MalformedDocument as refusal:
            pointer = refusal.details["pointer"]
            assert pointer == "" or f"/{path[0]}".startswith(str(pointer)), (name, path)
        except UnsupportedVersion:
            assert path[-1] in {"specVersion", "spdxVersion"}
        else:
            assert all(one.pointer.startswith("/") for one in sbom.skipped), (name, path)


@given(st.lists(st.tuples(st.sampled_from(CASES), st.sampled_from(OTHERS), st.booleans()), min_size=1, max_size=4))
def test_several_faults_at_once_are_read_the_same_way_twice(faults: list[tuple[tuple[str, Any], Any, bool]]) -> None:
    name = faults[0][0][0]
    document = copy.deepcopy(DOCUMENTS[name])
    for (_, path), other, doubled in faults:
        try:
            owner = owner_of(document, path)
            if doubled and isinstance(owner, list):
                owner.append(copy.deepcopy(owner[path[-1]]))
            else:
                owner[path[-1]] = copy.deepcopy(other)
        except (KeyError, IndexError, TypeError):
            continue
    data = json.dumps(document).encode()
    try:
        sbom = read_sbom(data)
    except StellaError:
        return
    assert encode(normalised(sbom)) == encode(normalised(read_sbom(data)))
    assert len({one.ref for one in sbom.components}) == len(sbom.components)


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_edges_are_counted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data = json.dumps(DOCUMENTS[name]).encode()
    assert read_sbom(data).components
    monkeypatch.setattr("scanner.sbom.model.MAX_EDGES", 0)
    if name == "spdx3":
        assert read_sbom(data).dependencies == ()
    else:
        with pytest.raises(LimitExceeded):
            read_sbom(data)
