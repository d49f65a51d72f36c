"""Hostile SBOMs: any bytes end in a value or in one typed refusal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes.canonical import encode
from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, StellaError
from scanner.sbom import normalised, read_sbom

MEMBERS = [
    *("bomFormat", "specVersion", "components", "metadata", "component", "dependencies", "ref", "dependsOn", "bom-ref"),
    *("name", "version", "purl", "type", "spdxVersion", "SPDXID", "packages", "relationships", "documentDescribes"),
    *("versionInfo", "externalRefs", "referenceType", "referenceLocator", "relationshipType", "primaryPackagePurpose"),
    *("spdxElementId", "relatedSpdxElement", "@graph", "properties", "evidence", "occurrences", "location", "value"),
]
texts = st.sampled_from(
    [
        "",
        "a",
        "purl",
        "pkg:pypi/a@1",
        "pkg:golang/go@1#v2",
        "pkg:%",
        "CONTAINS",
        "DESCRIBES",
        "SPDXRef-DOCUMENT",
        "\0",
        "\u202e",
    ]
)
parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS) | texts, inner, max_size=5),
    max_leaves=30,
)
heads = st.sampled_from(
    [
        {"bomFormat": "CycloneDX", "specVersion": "1.4"},
        {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT"},
        {"spdxVersion": "SPDX-2.2"},
        {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"},
        {},
    ]
)
members = st.dictionaries(st.sampled_from(MEMBERS), st.lists(parts, max_size=4) | parts, max_size=6)


@given(heads, members)
def test_any_document_of_the_right_members_is_read_or_refused(head: dict[str, Any], body: dict[str, Any]) -> None:
    data = json.dumps(body | head).encode()
    try:
        sbom = read_sbom(data)
    except StellaError:
        return
    assert encode(normalised(sbom)) == encode(normalised(read_sbom(data)))
    refs = {one.ref for one in sbom.components}
    assert len(refs) == len(sbom.components)
    assert all({source, *targets} <= refs for source, targets in sbom.dependencies)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_a_typed_error(data: bytes) -> None:
    with pytest.raises(StellaError):
        read_sbom(data)


SMALL = json.dumps(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"component": {"name": "app", "bom-ref": "r"}},
        "components": [{"name": "a", "purl": "pkg:pypi/a@1", "bom-ref": "a"}],
        "dependencies": [{"ref": "r", "dependsOn": ["a"]}],
    }
).encode()


@given(st.integers(0, len(SMALL) - 1), st.binary(max_size=3))
def test_a_damaged_document_is_read_or_refused(place: int, patch: bytes) -> None:
    try:
        read_sbom(SMALL[:place] + patch + SMALL[place + len(patch) :])
        read_sbom(SMALL[:place])
    except StellaError:
        pass


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", MalformedDocument),
        (b"[]", MalformedDocument),
        (b"null", MalformedDocument),
        (b"{}", MalformedDocument),
        (b'{"bomFormat": "cyclonedx"}', MalformedDocument),
        (b'{"bomFormat": ["CycloneDX"]}', MalformedDocument),
        (b'\xef\xbb\xbf{"bomFormat": "CycloneDX", "specVersion": "1.6"}', MalformedDocument),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": NaN}', MalformedDocument),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "x": "\\ud800"}', MalformedDocument),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6"} {}', MalformedDocument),
        (b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "specVersion": "1.5"}', DuplicateMember),
        (b'{"bomFormat": "CycloneDX", "components": [{"name": "a", "name": "b"}]}', DuplicateMember),
        (b'{"bomFormat": "CycloneDX", "x": ' + b"[" * 100 + b"]" * 100 + b"}", LimitExceeded),
        (b'{"bomFormat": "CycloneDX", "x": ' + b"[" * 100_000, LimitExceeded),
        (b'{"bomFormat": "CycloneDX"}' + b" " * (24 << 20), LimitExceeded),
    ],
    ids=range(15),
)
def test_a_document_that_two_readers_could_see_differently_is_refused(data: bytes, refusal: type[StellaError]) -> None:
    with pytest.raises(refusal):
        read_sbom(data)


def test_many_refs_in_the_form_of_positions_stay_unique() -> None:
    components = [{"name": "x", "bom-ref": "#/components/99" + "#" * n} for n in range(99)] + [{"name": "y"}]
    data = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}).encode()
    assert len(read_sbom(data).components) == 100


def test_a_document_has_no_more_components_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.sbom.model.MAX_COMPONENTS", 3)
    packages = [{"name": "a"}] * 4
    for head, member in (
        ({"bomFormat": "CycloneDX", "specVersion": "1.6"}, "components"),
        ({"spdxVersion": "SPDX-2.3"}, "packages"),
    ):
        assert len(read_sbom(json.dumps(head | {member: packages[:3]}).encode()).components) == 3
        with pytest.raises(LimitExceeded):
            read_sbom(json.dumps(head | {member: packages}).encode())


def test_beyond_some_point_skipped_parts_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.foreign.MAX_LISTED", 2)
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [1, {"name": "a"}, 2, 3, 4]}
    sbom = read_sbom(json.dumps(document).encode())
    assert [(one.pointer, one.reason, one.detail) for one in sbom.skipped] == [
        ("", "more", "2 further parts"),
        ("/components/0", "malformed", "not an object"),
        ("/components/2", "malformed", "not an object"),
    ]
    assert len(sbom.components) == 1
