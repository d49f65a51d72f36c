"""CycloneDX: nesting, duplicates, references and the parts that generators get wrong."""

import json
from typing import Any

import pytest

from kit.errors import MalformedDocument, UnsupportedVersion
from scanner.sbom import Sbom, read_sbom


def bom(**members: Any) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", **members}).encode()


def read(**members: Any) -> Sbom:
    return read_sbom(bom(**members))


def library(name: str, **members: Any) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": "1.0", "purl": f"pkg:pypi/{name}@1.0", **members}


def notes(sbom: Sbom) -> list[tuple[str, str]]:
    return [(one.pointer, one.reason) for one in sbom.skipped]


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"])
def test_every_supported_version_is_read(version: str) -> None:
    sbom = read(specVersion=version, components=[library("a")])
    assert (sbom.format, sbom.spec_version, len(sbom.components)) == ("CycloneDX", version, 1)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.8", "2.0", "1.60", " 1.6"])
def test_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedVersion):
        read(specVersion=version)


def test_a_document_without_components_is_empty() -> None:
    sbom = read()
    assert (sbom.components, sbom.dependencies, sbom.subject, sbom.name) == ((), (), None, None)


def test_components_are_sorted_by_purl_name_version_and_ref() -> None:
    sbom = read(
        components=[
            {"name": "z", "bom-ref": "2"},
            library("b", **{"bom-ref": "4"}),
            library("b", **{"bom-ref": "3"}),
            {"name": "z", "bom-ref": "1"},
            library("a", **{"bom-ref": "9"}),
        ]
    )
    assert [one.ref for one in sbom.components] == ["1", "2", "9", "3", "4"]


def test_nested_components_are_read_and_contained_in_their_owner() -> None:
    sbom = read(
        metadata={"component": {"bom-ref": "app", "name": "app", "components": [library("b", **{"bom-ref": "b"})]}},
        components=[library("a", **{"bom-ref": "a", "components": [library("c", **{"bom-ref": "c"})]})],
    )
    assert {one.ref for one in sbom.components} == {"app", "a", "b", "c"}
    assert sbom.dependencies == (("a", ("c",)), ("app", ("b",)))
    assert sbom.subject is not None
    assert sbom.subject.ref == "app"


def test_nesting_is_read_to_the_depth_that_the_document_may_have() -> None:
    component: dict[str, Any] = library("a")
    for _ in range(28):
        component = library("a", components=[component])
    assert len(read(components=[component]).components) == 29


def test_the_same_package_twice_is_two_components() -> None:
    sbom = read(components=[library("a", **{"bom-ref": "1"}), library("a", **{"bom-ref": "2"})])
    assert [one.ref for one in sbom.components] == ["1", "2"]
    assert sbom.skipped == ()


def test_a_component_without_a_ref_is_known_by_its_position() -> None:
    sbom = read(
        metadata={"component": {"name": "app"}},
        components=[library("a"), library("b", components=[library("c")]), library("d", **{"bom-ref": ""})],
    )
    assert {one.name: one.ref for one in sbom.components} == {
        "app": "#/metadata/component",
        "a": "#/components/0",
        "b": "#/components/1",
        "c": "#/components/1/components/0",
        "d": "#/components/2",
    }


def test_a_ref_that_is_taken_is_noted_and_replaced() -> None:
    sbom = read(
        components=[library("a", **{"bom-ref": "x"}), library("b", **{"bom-ref": "x"}), library("c")],
        dependencies=[{"ref": "#/components/2", "dependsOn": ["x"]}],
    )
    assert {one.name: one.ref for one in sbom.components} == {"a": "x", "b": "#/components/1", "c": "#/components/2"}
    assert notes(sbom) == [("/components/1/bom-ref", "duplicate-ref")]
    assert sbom.dependencies == (("#/components/2", ("x",)),)


def test_a_ref_in_the_form_of_a_position_takes_no_other_component() -> None:
    sbom = read(components=[library("a", **{"bom-ref": "#/components/1"}), library("b"), library("c")])
    assert {one.ref for one in sbom.components} == {"#/components/1", "#/components/1#", "#/components/2"}


def test_dependencies_are_sorted_without_repetition_or_loop() -> None:
    refs = [library(name, **{"bom-ref": name}) for name in "abc"]
    sbom = read(
        components=refs,
        dependencies=[
            {"ref": "c", "dependsOn": ["b", "a", "b", "c"]},
            {"ref": "a", "dependsOn": ["b"]},
            {"ref": "b"},
            {"ref": "c", "dependsOn": None},
        ],
    )
    assert sbom.dependencies == (("a", ("b",)), ("c", ("a", "b")))


def test_references_to_nothing_are_noted() -> None:
    sbom = read(
        components=[library("a", **{"bom-ref": "a"})],
        dependencies=[{"ref": "ghost", "dependsOn": ["a"]}, {"ref": "a", "dependsOn": ["ghost", 7]}],
    )
    assert sbom.dependencies == ()
    assert notes(sbom) == [
        ("/dependencies/0/ref", "unknown-ref"),
        ("/dependencies/1/dependsOn/0", "unknown-ref"),
        ("/dependencies/1/dependsOn/1", "malformed"),
    ]


def test_null_and_empty_members_are_absent_members() -> None:
    sbom = read(
        metadata=None,
        components=[{"name": "a", "version": None, "purl": "", "bom-ref": None, "components": None, "type": None}],
        dependencies=None,
    )
    (one,) = sbom.components
    assert (one.version, one.purl, one.type, one.ref) == (None, None, None, "#/components/0")
    assert sbom.skipped == ()


MALFORMED = [
    ("text", "/components/1"),
    (None, "/components/1"),
    ([], "/components/1"),
    ({}, "/components/1/name"),
    ({"name": ""}, "/components/1/name"),
    ({"name": 7}, "/components/1/name"),
    ({"name": "x", "version": 1.5}, "/components/1/version"),
    ({"name": "x", "purl": ["pkg:pypi/x"]}, "/components/1/purl"),
    ({"name": "x", "bom-ref": {}}, "/components/1/bom-ref"),
    ({"name": "x", "type": False}, "/components/1/type"),
]


@pytest.mark.parametrize(("part", "pointer"), MALFORMED)
def test_a_malformed_component_is_skipped_with_its_place(part: Any, pointer: str) -> None:
    sbom = read(components=[library("a"), part, library("b")])
    assert [one.name for one in sbom.components] == ["a", "b"]
    assert notes(sbom) == [(pointer, "malformed")]


def test_what_a_malformed_component_contains_is_read_all_the_same() -> None:
    sbom = read(components=[library("top", components=[{"name": 7, "components": [library("inner")]}])])
    assert {one.name for one in sbom.components} == {"top", "inner"}
    assert sbom.dependencies == (("#/components/0", ("#/components/0/components/0/components/0",)),)
    assert notes(sbom) == [("/components/0/components/0/name", "malformed")]


def test_a_malformed_list_inside_a_component_is_skipped() -> None:
    sbom = read(components=[library("a", components={"name": "b"})])
    assert [one.name for one in sbom.components] == ["a"]
    assert notes(sbom) == [("/components/0/components", "malformed")]


def test_a_malformed_subject_is_skipped() -> None:
    sbom = read(metadata={"component": {"version": "1"}}, components=[library("a")])
    assert sbom.subject is None
    assert notes(sbom) == [("/metadata/component/name", "malformed")]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"components": {}}, "/components"),
        ({"components": "none"}, "/components"),
        ({"dependencies": {}}, "/dependencies"),
        ({"metadata": []}, "/metadata"),
        ({"specVersion": None}, "/specVersion"),
        ({"specVersion": 1.6}, "/specVersion"),
    ],
)
def test_a_malformed_document_is_refused_with_the_place(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(**members)
    assert refused.value.details["pointer"] == pointer
