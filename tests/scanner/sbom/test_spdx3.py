"""SPDX 3: elements of a graph, identifiers, relationships, and the parts that generators get wrong."""

import json
from typing import Any

import pytest

from kit.errors import MalformedDocument, UnsupportedVersion
from scanner.identity import Package
from scanner.sbom import Sbom, read_sbom

CREATION = {"type": "CreationInfo", "@id": "_:creation", "specVersion": "3.0.1"}


def read(*elements: Any, creation: Any = CREATION) -> Sbom:
    context = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
    return read_sbom(json.dumps({"@context": context, "@graph": [creation, *elements]}).encode())


def package(name: str, **members: Any) -> dict[str, Any]:
    return {
        "type": "software_Package",
        "spdxId": f"urn:{name}",
        "creationInfo": "_:creation",
        "name": name,
        "software_packageVersion": "1.0",
        "software_packageUrl": f"pkg:pypi/{name}@1.0",
    } | members


def related(source: str, kind: str, *targets: str, **members: Any) -> dict[str, Any]:
    head = {"type": "Relationship", "spdxId": f"urn:{source}:{kind}", "relationshipType": kind}
    return head | {"from": source, "to": list(targets)} | members


def notes(sbom: Sbom) -> list[tuple[str, str]]:
    return [(one.pointer, one.reason) for one in sbom.skipped]


def identifier(purl: str, kind: str = "packageUrl") -> dict[str, str]:
    return {"type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": purl}


@pytest.mark.parametrize("version", ["3.0.0", "3.0.1"])
def test_every_supported_version_is_read(version: str) -> None:
    sbom = read(package("a"), creation=CREATION | {"specVersion": version})
    assert (sbom.format, sbom.spec_version, len(sbom.components)) == ("SPDX", version, 1)


@pytest.mark.parametrize("version", ["2.3", "3.1.0", "3.0.2", "4.0.0", " 3.0.1"])
def test_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedVersion):
        read(package("a"), creation=CREATION | {"specVersion": version})


def test_creation_information_may_stand_inside_an_element() -> None:
    sbom = read(creation=package("a", creationInfo={"type": "CreationInfo", "specVersion": "3.0.0"}))
    assert (sbom.spec_version, len(sbom.components)) == ("3.0.0", 1)


def test_a_package_has_name_version_purl_purpose_and_ref() -> None:
    (one,) = read(package("a", software_primaryPurpose="operatingSystem")).components
    assert (one.ref, one.name, one.version, one.purl, one.type) == (
        "urn:a",
        "a",
        "1.0",
        "pkg:pypi/a@1.0",
        "operating-system",
    )
    assert one.package == Package("PyPI", "a", "1.0")


@pytest.mark.parametrize(
    "members",
    [
        {"externalIdentifier": [identifier("pkg:npm/b@2")]},
        {"externalIdentifier": [identifier("cpe:2.3:a:x", "cpe23"), identifier("pkg:npm/b@2", "packageURL")]},
        {"externalIdentifiers": [identifier("pkg:npm/b@2", "purl")]},
    ],
)
def test_a_purl_may_be_an_external_identifier(members: dict[str, Any]) -> None:
    (one,) = read(package("b", software_packageUrl=None, **members)).components
    assert one.purl == "pkg:npm/b@2"


def test_of_several_purls_the_first_that_is_known_counts_and_the_others_are_noted() -> None:
    sbom = read(package("b", externalIdentifier=[identifier("pkg:generic/a@1"), identifier("pkg:pypi/b@1.0")]))
    assert sbom.components[0].purl == "pkg:pypi/b@1.0"
    assert notes(sbom) == [("/@graph/1/externalIdentifier/0", "other-purl")]


def test_dependencies_and_contents_are_edges() -> None:
    sbom = read(
        *(package(name) for name in "abcd"),
        {"type": "software_File", "spdxId": "urn:file"},
        related("urn:a", "contains", "urn:b", "urn:c", "urn:file", "NoneElement"),
        related("urn:b", "dependsOn", "urn:c"),
        related("urn:c", "hasStaticLink", "urn:d") | {"type": "LifecycleScopedRelationship", "scope": "build"},
        related("urn:d", "hasDeclaredLicense", "urn:a"),
        related("urn:d", "dependsOn") | {"to": "urn:a"},
    )
    assert sbom.dependencies == (
        ("urn:a", ("urn:b", "urn:c")),
        ("urn:b", ("urn:c",)),
        ("urn:c", ("urn:d",)),
        ("urn:d", ("urn:a",)),
    )
    assert sbom.skipped == ()


@pytest.mark.parametrize("kind", ["expandsTo", "hasOptionalComponent", "DEPENDSON", "packagedBy"])
def test_what_only_sounds_unlike_a_dependency_is_an_edge(kind: str) -> None:
    iri = f"https://spdx.org/rdf/3.0.1/terms/Core/RelationshipType/{kind}"
    edge = ("urn:b", ("urn:a",)) if kind == "packagedBy" else ("urn:a", ("urn:b",))
    for spelling in (kind, iri):
        assert read(package("a"), package("b"), related("urn:a", spelling, "urn:b")).dependencies == (edge,)


@pytest.mark.parametrize(
    "relationship",
    [
        related("urn:a", "dependsOn", "urn:file"),
        related("urn:file", "dependsOn", "urn:b"),
        related("urn:file", "contains", "urn:b"),
        related("urn:file", "dependsOn", "urn:file"),
        related("urn:a", "contains", "urn:nowhere"),
        related("urn:a", "dependsOn", "NoAssertionElement"),
        related("urn:a", "generates", "urn:b"),
        related("urn:a", "other", "urn:b"),
        related("urn:a", "requires", "urn:b"),
        related("urn:a", "requires", "urn:b") | {"type": "security_VexAffectedVulnAssessmentRelationship"},
    ],
)
def test_what_may_be_a_path_and_is_no_edge_is_listed(relationship: dict[str, Any]) -> None:
    file = {"type": "software_File", "spdxId": "urn:file"}
    sbom = read(package("a"), package("b"), file, relationship)
    assert (sbom.dependencies, notes(sbom)) == ((), [("/@graph/4", "unknown-edge")])


@pytest.mark.parametrize(
    "kind",
    [
        *("ai_AIPackage", "dataset_DatasetPackage", "software:Package", "spdx:software_Package"),
        *("https://spdx.org/rdf/3.0.1/terms/Software/Package", "https://spdx.org/rdf/3.0.1/terms/AI/AIPackage"),
    ],
)
def test_a_package_of_a_subclass_or_of_a_longer_spelling_is_a_component(kind: str) -> None:
    sbom = read(package("a", type=kind))
    assert ([one.ref for one in sbom.components], sbom.skipped) == (["urn:a"], ())


@pytest.mark.parametrize(
    "element",
    [
        package("a", type="software_Parcel"),
        {"type": "acme_Package", "spdxId": "urn:a"},
        package("a", type="software_File"),
        {"type": "Agent", "spdxId": "urn:a", "externalIdentifier": [identifier("pkg:pypi/a@1")]},
        package("a", type="Relationship", relationshipType="describes", to=[], **{"from": "urn:x"}),
    ],
)
def test_an_element_that_may_be_a_package_is_listed(element: dict[str, Any]) -> None:
    sbom = read(element)
    assert sbom.components == ()
    assert {one.reason for one in sbom.skipped} == {"malformed"}


DOCUMENT = {"type": "SpdxDocument", "spdxId": "urn:document", "name": "orders"}
COLLECTION = {"type": "software_Sbom", "spdxId": "urn:sbom", "rootElement": ["urn:a"]}


@pytest.mark.parametrize(
    "elements",
    [
        [DOCUMENT | {"rootElement": ["urn:a"]}],
        [DOCUMENT | {"rootElement": ["urn:sbom", "urn:document"]}, COLLECTION],
        [DOCUMENT, related("urn:document", "describes", "urn:a")],
    ],
)
def test_the_root_is_the_subject(elements: list[dict[str, Any]]) -> None:
    sbom = read(*elements, package("b"), package("a"))
    assert sbom.name == "orders"
    assert sbom.subject is not None
    assert sbom.subject.ref == "urn:a"


def test_of_several_roots_none_is_the_subject() -> None:
    assert read(DOCUMENT | {"rootElement": ["urn:a", "urn:b"]}, package("a"), package("b")).subject is None


def test_a_malformed_element_is_skipped_with_its_place() -> None:
    sbom = read(
        package("a"),
        7,
        {"spdxId": "urn:x"},
        package("b") | {"name": None},
        package("c", externalIdentifier=["pkg:pypi/c"]),
        related("urn:a", "contains") | {"to": [3]},
        {"type": "Relationship", "from": "urn:a"},
        package("d", spdxId="urn:a"),
    )
    assert {one.ref for one in sbom.components} == {"urn:a", "#/@graph/8"}
    assert notes(sbom) == [
        ("/@graph/2", "malformed"),
        ("/@graph/3/type", "malformed"),
        ("/@graph/4/name", "malformed"),
        ("/@graph/5/externalIdentifier/0", "malformed"),
        ("/@graph/6/to/0", "malformed"),
        ("/@graph/7/relationshipType", "malformed"),
        ("/@graph/8/spdxId", "duplicate-ref"),
    ]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"@graph": {}}, "/@graph"),
        ({"@graph": []}, "/@graph"),
        ({"@graph": [package("a")]}, "/@graph"),
    ],
)
def test_a_malformed_document_is_refused_with_the_place(document: dict[str, Any], pointer: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        read_sbom(json.dumps(document).encode())
    assert refused.value.details["pointer"] == pointer
