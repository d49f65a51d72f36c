"""Which components a package of the operating system installed: stated by the generator, or by place, name, version."""

import json
from typing import Any

import pytest

from scanner.sbom import Sbom, normalised, read_sbom

DEBIAN = "pkg:deb/debian/python3-urllib3@1.26.12-1%2Bdeb12u1?distro=debian-12"
PLACE = "/usr/lib/python3/dist-packages/urllib3-1.26.12.egg-info/PKG-INFO"


def component(ref: str, purl: str, *paths: str) -> dict[str, Any]:
    properties = [{"name": f"syft:location:{place}:path", "value": path} for place, path in enumerate(paths)]
    return {"bom-ref": ref, "type": "library", "name": ref, "purl": purl, "properties": properties}


def read(*components: dict[str, Any]) -> Sbom:
    return read_sbom(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}).encode())


def owners(sbom: Sbom) -> dict[str, str]:
    return {one.ref: one.owner for one in sbom.components if one.owner}


@pytest.mark.parametrize(
    ("system", "purl", "path", "owned"),
    [
        (DEBIAN, "pkg:pypi/urllib3@1.26.12", PLACE, True),
        (DEBIAN, "pkg:pypi/URLlib3@1.26.12", PLACE.lstrip("/"), True),
        ("pkg:deb/debian/python3-urllib3@2:1.26.12~rc1-1", "pkg:pypi/urllib3@1.26.12", PLACE, True),
        ("pkg:deb/debian/python3-zope.interface@5.5.2-1", "pkg:pypi/zope-interface@5.5.2", PLACE, True),
        (
            "pkg:apk/alpine/py3-urllib3@1.26.12-r0",
            "pkg:pypi/urllib3@1.26.12",
            "/usr/lib/python3.8/site-packages/x",
            True,
        ),
        ("pkg:alpine/py3-urllib3@1.26.12-r0", "pkg:pypi/urllib3@1.26.12", "/usr/lib/python3.8/site-packages/x", True),
        (
            "pkg:rpm/alma/python3-urllib3@1.26.12-5.el8",
            "pkg:pypi/urllib3@1.26.12",
            "/usr/lib/python3.6/site-packages/x",
            True,
        ),
        ("pkg:deb/debian/node-semver@7.3.5-1", "pkg:npm/semver@7.3.5", "/usr/share/nodejs/semver/package.json", True),
        ("pkg:deb/debian/ruby-rack@2.2.6-1", "pkg:gem/rack@2.2.6", "/usr/share/rubygems-integration/all/x", True),
        # another place, version or name
        (DEBIAN, "pkg:pypi/urllib3@1.26.12", "/usr/local/lib/python3.11/dist-packages/urllib3/x", False),
        (DEBIAN, "pkg:pypi/urllib3@1.26.12", "/srv/usr/lib/python3/dist-packages/urllib3/x", False),
        (DEBIAN, "pkg:pypi/urllib3@1.26.1", PLACE, False),
        (DEBIAN, "pkg:pypi/urllib3@1.26.13", PLACE, False),
        (DEBIAN, "pkg:pypi/urllib3", PLACE, False),
        (DEBIAN, "pkg:pypi/urllib@1.26.12", PLACE, False),
        (DEBIAN, "pkg:npm/urllib3@1.26.12", PLACE, False),
        (DEBIAN, "pkg:deb/debian/urllib3@1.26.12", PLACE, False),
        ("pkg:pypi/python3-urllib3@1.26.12", "pkg:pypi/urllib3@1.26.12", PLACE, False),
        ("pkg:apk/alpine/py3-urllib3@1.26.12-r0", "pkg:pypi/urllib3@1.26.12", "/usr/lib/site-packages/x", False),
    ],
)
def test_place_name_and_version_together_tell_the_owner(system: str, purl: str, path: str, owned: bool) -> None:
    sbom = read(component("system", system), component("inner", purl, path))
    assert owners(sbom) == ({"inner": "system"} if owned else {})
    assert len(sbom.components) == 2


@pytest.mark.parametrize(
    "members",
    [
        {"properties": [{"name": "aquasecurity:trivy:FilePath", "value": PLACE[1:]}]},
        {"evidence": {"occurrences": [{"location": PLACE}]}},
    ],
)
def test_places_are_read_as_other_generators_write_them(members: dict[str, Any]) -> None:
    inner = {"bom-ref": "inner", "name": "urllib3", "version": "1.26.12", "purl": "pkg:pypi/urllib3"} | members
    assert owners(read(component("system", DEBIAN), inner)) == {"inner": "system"}


def test_of_two_owners_the_first_by_ref_counts() -> None:
    sbom = read(component("b", DEBIAN), component("a", DEBIAN), component("inner", "pkg:pypi/urllib3@1.26.12", PLACE))
    assert owners(sbom) == {"inner": "a"}


def test_the_owner_stands_in_the_normalised_sbom() -> None:
    sbom = read(component("system", DEBIAN), component("inner", "pkg:pypi/urllib3@1.26.12", PLACE))
    assert [one.get("owner") for one in normalised(sbom)["components"]] == [None, "system"]


OVERLAP = "ownership-by-file-overlap: indicates that the parent package claims ownership of a child package"


@pytest.mark.parametrize(
    ("kind", "comment", "owned"),
    [
        ("OTHER", OVERLAP, True),
        ("OTHER", "evident-by: a file", False),
        ("OTHER", None, False),
        ("CONTAINS", OVERLAP, False),
    ],
)
def test_a_generators_statement_counts(kind: str, comment: str | None, owned: bool) -> None:
    def package(name: str, purl: str) -> dict[str, Any]:
        reference = {"referenceType": "purl", "referenceLocator": purl}
        return {"SPDXID": f"SPDXRef-{name}", "name": name, "externalRefs": [reference]}

    packages = [package("system", DEBIAN), package("inner", "pkg:pypi/other@1"), package("also", DEBIAN)]
    relationships = [
        {"spdxElementId": source, "relationshipType": kind, "relatedSpdxElement": target, "comment": comment}
        for source, target in (
            ("SPDXRef-system", "SPDXRef-inner"),
            ("SPDXRef-system", "SPDXRef-also"),
            ("SPDXRef-inner", "SPDXRef-system"),
            ("SPDXRef-inner", "SPDXRef-none"),
        )
    ]
    document = {"spdxVersion": "SPDX-2.3", "packages": packages, "relationships": relationships}
    assert owners(read_sbom(json.dumps(document).encode())) == ({"SPDXRef-inner": "SPDXRef-system"} if owned else {})


@pytest.mark.parametrize("other", ["/app/lib/urllib3", "/usr/lib/python3/dist-packages/../../../../app/urllib3", ""])
def test_a_component_that_is_also_elsewhere_is_not_owned(other: str) -> None:
    assert owners(read(component("os", DEBIAN), component("py", "pkg:pypi/urllib3@1.26.12", PLACE))) == {"py": "os"}
    for paths in ((PLACE, other), (other, PLACE), (other,)):
        assert owners(read(component("os", DEBIAN), component("py", "pkg:pypi/urllib3@1.26.12", *paths))) == {}


def test_a_component_with_a_place_that_cannot_be_read_is_not_owned() -> None:
    one = component("py", "pkg:pypi/urllib3@1.26.12", PLACE) | {"evidence": {"occurrences": [7]}}
    assert owners(read(component("os", DEBIAN), one)) == {}


def test_the_recorded_sbom_says_what_is_looked_up_where_the_package_url_does_not() -> None:
    source = {"name": "aquasecurity:trivy:SrcName", "value": "nothing"}
    version = {"name": "aquasecurity:trivy:SrcVersion", "value": "99"}
    purl = "pkg:deb/debian/openssl@1.0?distro=debian-12"
    plain, spoofed = component("a", purl), component("b", purl) | {"properties": [source, version]}
    written: Any = normalised(read(plain, spoofed))["components"]
    assert [one.get("package") for one in written] == [
        None,
        {"ecosystem": "Debian:12", "name": "nothing", "version": "99"},
    ]
