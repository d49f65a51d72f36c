"""What the tests of the readers share: real SBOMs, which live outside the repository, and converters between forms."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_sbom() -> Callable[[str], bytes]:
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("STELLA_TEST_DATA", default)) / "sboms"
    if not folder.is_dir():
        pytest.skip("no test data: set STELLA_TEST_DATA")
    return lambda name: (folder / name).read_bytes()


def _component(one: dict[str, Any]) -> str:
    attributes = "".join(f" {name}={quoteattr(one[name])}" for name in ("type", "bom-ref") if name in one)
    inner = "".join(f"<{name}>{escape(one[name])}</{name}>" for name in ("name", "version", "purl") if name in one)
    if "properties" in one:
        pairs = [(item.get("name", ""), item.get("value", "")) for item in one["properties"]]
        texts = (f"<property name={quoteattr(name)}>{escape(value)}</property>" for name, value in pairs)
        inner += f"<properties>{''.join(texts)}</properties>"
    if "components" in one:
        inner += f"<components>{''.join(map(_component, one['components']))}</components>"
    if "evidence" in one:
        seen = (
            f"<occurrence><location>{escape(item['location'])}</location></occurrence>"
            for item in one["evidence"]["occurrences"]
        )
        inner += f"<evidence><occurrences>{''.join(seen)}</occurrences></evidence>"
    return f"<component{attributes}><licenses/>{inner}</component>"


def _dependency(one: dict[str, Any]) -> str:
    targets = "".join(f"<dependency ref={quoteattr(ref)}/>" for ref in one.get("dependsOn", ()))
    return f"<dependency ref={quoteattr(one['ref'])}>{targets}</dependency>"


@pytest.fixture(scope="session")
def cyclonedx_xml() -> Callable[[dict[str, Any]], bytes]:
    """Return a converter of what our CycloneDX reader reads from its JSON form into XML."""

    def convert(document: dict[str, Any]) -> bytes:
        parts = [
            f'<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/{document["specVersion"]}" version="1">'
        ]
        if "component" in document.get("metadata", {}):
            parts.append(f"<metadata><tools><tool/></tools>{_component(document['metadata']['component'])}</metadata>")
        if "components" in document:
            parts.append(f"<components>{''.join(map(_component, document['components']))}</components>")
        if "dependencies" in document:
            parts.append(f"<dependencies>{''.join(map(_dependency, document['dependencies']))}</dependencies>")
        return "".join([*parts, "</bom>"]).encode()

    return convert


def _tag(name: str, value: str) -> str:
    return f"{name}: <text>{value}</text>" if "\n" in value else f"{name}: {value}"


@pytest.fixture(scope="session")
def spdx_tags() -> Callable[[dict[str, Any]], bytes]:
    """Return a converter of what our SPDX 2 reader reads from its JSON form into tag-value."""
    members = {
        "SPDXID": "SPDXID",
        "versionInfo": "PackageVersion",
        "sourceInfo": "PackageSourceInfo",
        "primaryPackagePurpose": "PrimaryPackagePurpose",
    }

    def convert(document: dict[str, Any]) -> bytes:
        lines = [f"SPDXVersion: {document['spdxVersion']}", "DataLicense: CC0-1.0", "# a comment", ""]
        lines += [_tag("SPDXID", document["SPDXID"])] if "SPDXID" in document else []
        lines += [_tag("DocumentName", document["name"])] if "name" in document else []
        lines += ["FileName: ./a", "SPDXID: SPDXRef-File-a", "LicenseConcluded: NOASSERTION"]
        for one in document.get("files", ()):
            lines += ["FileName: ./b", f"SPDXID: {one['SPDXID']}"]
        for package in document.get("packages", ()):
            lines += ["", _tag("PackageName", package["name"])]
            lines += [_tag(tag, package[member]) for member, tag in members.items() if member in package]
            for reference in package.get("externalRefs", ()):
                names = ("referenceCategory", "referenceType", "referenceLocator")
                lines.append("ExternalRef: " + " ".join(reference[name] for name in names))
        for one in document.get("relationships", ()):
            lines.append(f"Relationship: {one['spdxElementId']} {one['relationshipType']} {one['relatedSpdxElement']}")
            lines += [_tag("RelationshipComment", one["comment"])] if "comment" in one else []
        for ref in document.get("documentDescribes", ()):
            lines.append(f"Relationship: {document['SPDXID']} DESCRIBES {ref}")
        return "\n".join([*lines, "LicenseID: LicenseRef-a", "ExtractedText: <text>a\nb: c</text>", ""]).encode()

    return convert


@pytest.fixture(scope="session")
def spdx_graph() -> Callable[[dict[str, Any]], bytes]:
    """Return a converter of what our SPDX 2 reader reads from its JSON form into SPDX 3 JSON-LD."""
    kinds = {"CONTAINS": "contains", "DEPENDS_ON": "dependsOn", "DEPENDENCY_OF": "dependsOn", "DESCRIBES": "describes"}

    def purpose(text: str) -> str:
        first, *others = text.lower().replace("_", "-").split("-")
        return first + "".join(word.capitalize() for word in others)

    def package(one: dict[str, Any]) -> dict[str, Any]:
        element: dict[str, Any] = {"type": "software_Package", "creationInfo": "_:creation", "name": one["name"]}
        element |= {"spdxId": one["SPDXID"]} if "SPDXID" in one else {}
        if one.get("versionInfo") not in {None, "NOASSERTION", "NONE"}:
            element["software_packageVersion"] = one["versionInfo"]
        element |= {"software_sourceInfo": one["sourceInfo"]} if "sourceInfo" in one else {}
        element |= (
            {"software_primaryPurpose": purpose(one["primaryPackagePurpose"])} if "primaryPackagePurpose" in one else {}
        )
        purls = [ref["referenceLocator"] for ref in one.get("externalRefs", ()) if ref["referenceType"] == "purl"]
        element["externalIdentifier"] = [
            {"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": purl} for purl in purls
        ]
        return element

    def convert(document: dict[str, Any]) -> bytes:
        roots = list(document.get("documentDescribes", ()))
        head = {"type": "SpdxDocument", "spdxId": document["SPDXID"], "name": document.get("name")}
        graph: list[Any] = [
            {"type": "CreationInfo", "@id": "_:creation", "specVersion": "3.0.1"},
            head | {"creationInfo": "_:creation", "rootElement": roots},
            *({"type": "software_File", "spdxId": one["SPDXID"]} for one in document.get("files", ())),
            *map(package, document["packages"]),
        ]
        for number, one in enumerate(document.get("relationships", ())):
            ends = [one["spdxElementId"], one["relatedSpdxElement"]]
            ends = ends[::-1] if one["relationshipType"] == "DEPENDENCY_OF" else ends
            kind = kinds.get(one["relationshipType"], "other")
            element = {"type": "Relationship", "spdxId": f"urn:relationship:{number}", "relationshipType": kind}
            graph.append(element | {"from": ends[0], "to": [ends[1]], "comment": one.get("comment")})
        return json.dumps({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph}).encode()

    return convert
