"""Documents of real generators: what is in them, and that two generators say the same about one file system."""

import json
import random
from collections.abc import Callable

import pytest

from kit.bytes.canonical import decode, encode
from scanner.identity import Package
from scanner.sbom import Sbom, normalised, read_sbom

Real = Callable[[str], bytes]

# name -> format, components, of those with a package of a known ecosystem, edges, version of the operating system
DOCUMENTS: dict[str, tuple[str, int, int, int, str | None]] = {
    "alma8-ejbca.trivy.spdx22.json": ("SPDX 2.2", 999, 996, 998, "8.7"),
    "alpine311-python-sdc-cli.syft.spdx23.json": ("SPDX 2.3", 62, 60, 79, None),
    "alpine311-python-sdc-cli.trivy.spdx22.json": ("SPDX 2.2", 63, 60, 62, "3.11.3"),
    "debian11-airflow.trivy.spdx22.json": ("SPDX 2.2", 722, 715, 723, "11.6"),
    "debian12-web.syft.cdx16.json": ("CycloneDX 1.6", 206, 204, 538, "12"),
    "debian12-web.trivy.cdx16.json": ("CycloneDX 1.6", 199, 197, 493, "12.15"),
    "go-constellation.syft.spdx22.json": ("SPDX 2.2", 1303, 1303, 0, None),
    "go-proton-bridge.cdx12.json": ("CycloneDX 1.2", 202, 202, 232, None),
    "npm-legacy-portal.syft.cdx16.json": ("CycloneDX 1.6", 1608, 1607, 0, None),
    "python-legacy-ml.syft.cdx16.json": ("CycloneDX 1.6", 69, 68, 151, None),
    "python-legacy-ml.syft.spdx23.json": ("SPDX 2.3", 69, 68, 219, None),
    "python-legacy-ml.trivy.cdx16.json": ("CycloneDX 1.6", 69, 68, 68, None),
}
SUBJECTS = {
    "alpine311-python-sdc-cli.syft.spdx23.json": None,
    "alma8-ejbca.trivy.spdx22.json": "primekey/ejbca-ce",
    "go-constellation.syft.spdx22.json": None,
    "go-proton-bridge.cdx12.json": "github.com/ProtonMail/proton-bridge",
    "python-legacy-ml.syft.spdx23.json": "legacy-ml-service",
    "python-legacy-ml.syft.cdx16.json": "legacy-ml-service",
}
SAME_PACKAGES = [
    ("python-legacy-ml.syft.cdx16.json", "python-legacy-ml.syft.spdx23.json"),
    ("python-legacy-ml.syft.cdx16.json", "python-legacy-ml.trivy.cdx16.json"),
    ("alpine311-python-sdc-cli.syft.spdx23.json", "alpine311-python-sdc-cli.trivy.spdx22.json"),
    ("debian12-web.syft.cdx16.json", "debian12-web.trivy.cdx16.json"),
]
# Refs of owners by what they own, where a document tells of the files of an operating system's packages.
OWNED = {
    "alpine311-python-sdc-cli.syft.spdx23.json": {"busybox": "SPDXRef-Package-apk-busybox-12759d529e378149"},
    "debian12-web.syft.cdx16.json": {
        name: f"pkg:deb/debian/python3-{name}@"
        for name in ("certifi", "chardet", "charset-normalizer", "idna", "requests", "six", "urllib3")
    },
}


def packages(sbom: Sbom) -> set[tuple[str, str, str]]:
    found = (one.package for one in sbom.components if one.owner is None)
    return {(one.ecosystem, one.name, one.version) for one in found if isinstance(one, Package)}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_real_document_is_read_in_full(real_sbom: Real, name: str) -> None:
    sbom = read_sbom(real_sbom(name))
    system = sbom.operating_system
    evaluable = sum(isinstance(one.package, Package) for one in sbom.components)
    edges = sum(len(targets) for _, targets in sbom.dependencies)
    assert (
        f"{sbom.format} {sbom.spec_version}",
        len(sbom.components),
        evaluable,
        edges,
        system.version if system else None,
    ) == DOCUMENTS[name]
    # That of constellation says what an image contains, and has no package for the image.
    doubts = 101 if name.startswith("go-constellation") else 0
    assert [one.reason for one in sbom.skipped] == ["unknown-edge"] * doubts
    assert len({one.ref for one in sbom.components}) == len(sbom.components)


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_the_subject_is_what_the_document_describes(real_sbom: Real, name: str) -> None:
    sbom = read_sbom(real_sbom(name))
    assert (sbom.subject.name.partition("@")[0] if sbom.subject else None) == SUBJECTS[name]
    assert sbom.subject is None or sbom.subject in sbom.components


@pytest.mark.parametrize(("first", "second"), SAME_PACKAGES)
def test_two_generators_agree_on_one_file_system(real_sbom: Real, first: str, second: str) -> None:
    one, other = packages(read_sbom(real_sbom(first))), packages(read_sbom(real_sbom(second)))
    assert one == other
    assert len(one) >= 20


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_what_the_operating_system_installed_is_marked(real_sbom: Real, name: str) -> None:
    owners = {one.name: one.owner for one in read_sbom(real_sbom(name)).components if one.owner}
    expected = OWNED.get(name, {})
    assert owners.keys() == expected.keys()
    assert all(owner.startswith(expected[owned]) for owned, owner in owners.items())


@pytest.mark.parametrize("name", ["python-legacy-ml.syft.spdx23.json", "python-legacy-ml.syft.cdx16.json"])
def test_neither_order_nor_layout_of_the_file_matters(real_sbom: Real, name: str) -> None:
    data = real_sbom(name)
    document = json.loads(data)
    shuffle = random.Random(7).shuffle
    for member in ("components", "dependencies", "packages", "relationships"):
        shuffle(document.get(member, []))
    for dependency in document.get("dependencies", []):
        shuffle(dependency["dependsOn"])
    moved = json.dumps(dict(reversed(document.items())), indent=3).encode()
    assert encode(normalised(read_sbom(moved))) == encode(normalised(read_sbom(data)))


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_normalised_document_is_canonical_and_complete(real_sbom: Real, name: str) -> None:
    sbom = read_sbom(real_sbom(name))
    profile = decode(encode(normalised(sbom)), canonical=True)
    assert isinstance(profile, dict)
    assert [one["ref"] for one in profile["components"]] == [one.ref for one in sbom.components]
    assert profile.get("subject") == (sbom.subject.ref if sbom.subject else None)
