"""One inventory in two forms is read as one: JSON and XML, JSON and tag-value, SPDX 2 and SPDX 3."""

import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scanner.sbom import Sbom, read_sbom

Convert = Callable[[dict[str, Any]], bytes]
Real = Callable[[str], bytes]


def content(data: bytes, **changes: Any) -> Sbom:
    return replace(read_sbom(data), digest="", **changes)


# What XML can carry, with characters beyond the BMP, markup, and spaces that may not be lost.
words = st.text(st.sampled_from("ab/<&>\"' \u00e9\u2028\U0001f600@:"), min_size=1, max_size=6)
refs = st.sampled_from(["r1", "r2", "r3", "&r", "\U0001f600"])
purls = st.sampled_from(
    ["pkg:pypi/a@1", "pkg:npm/%40a/b@1?x=1&y=2", "pkg:deb/debian/python3-a@1.0-1?distro=debian-12", "nonsense", "pkg:%"]
)
properties = st.fixed_dictionaries(
    {
        "name": st.sampled_from(
            ["syft:location:0:path", "aquasecurity:trivy:SrcName", "aquasecurity:trivy:SrcEpoch", "x"]
        ),
        "value": st.sampled_from(["/usr/lib/python3/dist-packages/a/x", "1", "source"]) | words,
    }
)
plain = st.fixed_dictionaries(
    {"name": words},
    optional={
        "version": words,
        "purl": purls,
        "type": st.sampled_from(["library", "operating-system", "file"]),
        "bom-ref": refs,
        "properties": st.lists(properties, max_size=3),
        "evidence": st.fixed_dictionaries(
            {"occurrences": st.lists(st.fixed_dictionaries({"location": st.just("/usr/lib/a")}), max_size=2)}
        ),
    },
)
components = st.recursive(
    plain,
    lambda inner: st.builds(lambda one, nested: one | {"components": nested}, plain, st.lists(inner, max_size=3)),
    max_leaves=6,
)
documents = st.fixed_dictionaries(
    {"bomFormat": st.just("CycloneDX"), "specVersion": st.sampled_from(["1.2", "1.4", "1.5", "1.6", "1.7"])},
    optional={
        "metadata": st.fixed_dictionaries({"component": components}),
        "components": st.lists(components, max_size=4),
        "dependencies": st.lists(
            st.fixed_dictionaries({"ref": refs, "dependsOn": st.lists(refs, max_size=3)}), max_size=3
        ),
    },
)


@given(document=documents)
def test_cyclonedx_in_xml_is_read_as_in_json(cyclonedx_xml: Convert, document: dict[str, Any]) -> None:
    assert content(cyclonedx_xml(document)) == content(json.dumps(document).encode())


@pytest.mark.parametrize("version", [SchemaVersion.V1_2, SchemaVersion.V1_7])
@pytest.mark.parametrize("name", ["python-legacy-ml.trivy.cdx16.json", "go-proton-bridge.cdx12.json"])
def test_the_reference_writers_two_forms_are_read_alike(real_sbom: Real, name: str, version: SchemaVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bom = Bom.from_json(json.loads(real_sbom(name)))
        written = {
            form: make_outputter(bom, form, version).output_as_string(indent=indent).encode()
            for form, indent in ((OutputFormat.JSON, None), (OutputFormat.XML, 2))
        }
    sbom = content(written[OutputFormat.XML])
    assert sbom == content(written[OutputFormat.JSON])
    assert sbom.spec_version == version.to_version()
    assert len(sbom.components) >= 69
    assert sbom.dependencies


ids = st.sampled_from(["SPDXRef-a", "SPDXRef-b", "SPDXRef-c", "SPDXRef-OperatingSystem-1", "SPDXRef-\u00e9"])
names = st.text(st.sampled_from("ab <>:\u00e9\U0001f600"), min_size=1).map(str.strip).filter(bool)
packages = st.fixed_dictionaries(
    {"name": names},
    optional={
        "SPDXID": ids,
        "versionInfo": st.sampled_from(["1.0", "NOASSERTION", "NONE", "12.1"]),
        "sourceInfo": st.sampled_from(
            ["built package from: s 1:2-3", "acquired package info from x: /usr/a, /b", "a\nb"]
        ),
        "primaryPackagePurpose": st.sampled_from(["OPERATING-SYSTEM", "OPERATING_SYSTEM", "LIBRARY"]),
        "externalRefs": st.lists(
            st.fixed_dictionaries(
                {
                    "referenceCategory": st.just("PACKAGE-MANAGER"),
                    "referenceType": st.sampled_from(["purl", "cpe23Type"]),
                    "referenceLocator": st.sampled_from(["pkg:pypi/a@1", "pkg:deb/debian/a@1", "pkg:%", "x"]),
                }
            ),
            max_size=3,
        ),
    },
)
relationships = st.fixed_dictionaries(
    {
        "spdxElementId": ids | st.just("SPDXRef-DOCUMENT"),
        "relationshipType": st.sampled_from(["CONTAINS", "DEPENDS_ON", "DEPENDENCY_OF", "OTHER", "DESCRIBES"]),
        "relatedSpdxElement": ids,
    },
    optional={"comment": st.sampled_from(["ownership-by-file-overlap: x", "evident-by: y", "two\nlines"])},
)
spdx_documents = st.fixed_dictionaries(
    {
        "spdxVersion": st.sampled_from(["SPDX-2.2", "SPDX-2.3"]),
        "SPDXID": st.just("SPDXRef-DOCUMENT"),
        "packages": st.lists(packages, max_size=5),
    },
    optional={
        "name": names,
        "relationships": st.lists(relationships, max_size=5),
        "documentDescribes": st.lists(ids, max_size=2),
    },
)


@given(document=spdx_documents)
def test_spdx_in_tag_value_is_read_as_in_json(spdx_tags: Convert, document: dict[str, Any]) -> None:
    assert content(spdx_tags(document)) == content(json.dumps(document).encode())


@pytest.mark.parametrize(
    "name",
    [
        "alpine311-python-sdc-cli.syft.spdx23.json",
        "alpine311-python-sdc-cli.trivy.spdx22.json",
        "alma8-ejbca.trivy.spdx22.json",
        "go-constellation.syft.spdx22.json",
        "python-legacy-ml.syft.spdx23.json",
    ],
)
def test_real_spdx_in_tag_value_and_as_a_graph_is_read_as_in_json(
    real_sbom: Real, spdx_tags: Convert, spdx_graph: Convert, name: str
) -> None:
    document = json.loads(real_sbom(name))
    for relationship in document["relationships"]:
        # Trivy's misspelling has no counterpart in SPDX 3.
        relationship["relationshipType"] = (
            relationship["relationshipType"].replace("DESCRIBE", "DESCRIBES").replace("SS", "S")
        )
    for package in document["packages"]:
        if package["SPDXID"].startswith("SPDXRef-OperatingSystem-"):
            package["primaryPackagePurpose"] = "OPERATING-SYSTEM"
    expected = content(json.dumps(document).encode())
    assert content(spdx_tags(document)) == expected
    graph = content(spdx_graph(document), spec_version=expected.spec_version)
    assert [one.reason for one in graph.skipped] == [one.reason for one in expected.skipped]
    assert replace(graph, skipped=expected.skipped) == expected
    assert len(expected.components) > 60
