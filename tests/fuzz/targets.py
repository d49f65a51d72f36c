"""What is fuzzed with coverage: a reader joins by one entry of TARGETS.

A target is a function of bytes that returns, or raises a typed refusal; anything else that it raises is a finding.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass

Reading = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """A function of bytes, the packages to instrument, documents to start from, and words that mutations may insert."""

    name: str
    load: Callable[[], Reading]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...]
    packages: tuple[str, ...] = ("scanner",)


def _sbom() -> Reading:
    sboms = importlib.import_module("scanner.sbom")
    canonical = importlib.import_module("kit.bytes.canonical")
    errors = importlib.import_module("kit.errors")

    def read(data: bytes) -> None:
        try:
            sbom = sboms.read_sbom(data)
        except errors.StellaError:
            return
        refs = {one.ref for one in sbom.components}
        if len(refs) != len(sbom.components) or any({one, *to} - refs for one, to in sbom.dependencies):
            raise RuntimeError("refs are not unique, or an edge leads nowhere")
        if canonical.encode(sboms.normalised(sbom)) != canonical.encode(sboms.normalised(sboms.read_sbom(data))):
            raise RuntimeError("two readings of one document differ")

    return read


def _purl() -> Reading:
    identity = importlib.import_module("scanner.identity")

    def read(data: bytes) -> None:
        found = identity.from_purl(data.decode("utf-8", "replace"), version="1", host=identity.System("debian", "12"))
        if isinstance(found, identity.Package) and identity.normalise(found.ecosystem, found.name) != found.name:
            raise RuntimeError("the name is not in its normal form")

    return read


def _ledger() -> Reading:
    note = importlib.import_module("kit.ledger.note")
    checkpoint = importlib.import_module("kit.ledger.checkpoint")
    proof = importlib.import_module("kit.ledger.proof")
    errors = importlib.import_module("kit.errors")
    readers = (
        (note.parse, lambda read: note.encode(read.text, read.signatures)),
        (checkpoint.parse, lambda read: read.text),
        (proof.parse_inclusion, proof.encode_inclusion),
        (proof.parse_consistency, proof.encode_consistency),
    )

    def read(data: bytes) -> None:
        for parse, encode in readers:
            try:
                value = parse(data, "file")
            except errors.StellaError:
                continue
            if encode(value) != data:
                raise RuntimeError("a text was read that has another spelling")

    return read


_HASH = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ="
_LEDGER = (
    f"log.example/a\n7\n{_HASH}\n",
    f"log.example/a\n7\n{_HASH}\n\n\u2014 log.example/a AAAAAAE=\n",
    f"c2sp.org/tlog-proof@v1\nextra AAEC\nindex 3\n{_HASH}\n\nlog.example/a\n",
    f"stella-ops.org/tlog-consistency@v1\norigin log.example/a\nsize 9\nold 3 {_HASH}\n{_HASH}\n",
)

_PARTS = [
    {"bom-ref": "s", "type": "operating-system", "name": "debian", "version": "12"},
    {"bom-ref": "d", "name": "python3-a", "purl": "pkg:deb/debian/python3-a@1%2Bx?arch=all&upstream=a%401"},
    {
        "bom-ref": "p",
        "name": "a",
        "version": "1",
        "purl": "pkg:pypi/a@1",
        "components": [{"name": "in"}],
        "properties": [{"name": "syft:location:0:path", "value": "/usr/lib/python3/dist-packages/a"}],
        "evidence": {"occurrences": [{"location": "usr/lib/a"}]},
    },
]
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"name": "app", "bom-ref": "app"}},
    "components": _PARTS,
    "dependencies": [{"ref": "app", "dependsOn": ["p", "d"]}],
}
_XML = (
    '<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"><metadata><component type="file"><name>app'
    '</name></component></metadata><components><component bom-ref="p" type="library"><name>a</name><version>1</version>'
    '<purl>pkg:pypi/a@1</purl><properties><property name="syft:location:0:path">/usr/a</property></properties>'
    "<evidence><occurrences><occurrence><location>a</location></occurrence></occurrences></evidence></component></components>"
    '<dependencies><dependency ref="p"><dependency ref="q"/></dependency></dependencies></bom>'
)
_TAGS = (
    "SPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: n\n# c\nPackageName: a\nSPDXID: SPDXRef-a\n"
    "PackageVersion: 1\nPackageSourceInfo: <text>built package from: s 1\nx</text>\nPrimaryPackagePurpose: LIBRARY\n"
    "ExternalRef: PACKAGE-MANAGER purl pkg:pypi/a@1\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-a\n"
    "RelationshipComment: ownership-by-file-overlap\nFileName: f\n"
)
SPDX2 = {
    "spdxVersion": "SPDX-2.3",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "n",
    "documentDescribes": ["a"],
    "packages": [
        {
            "SPDXID": "a",
            "name": "a",
            "versionInfo": "1",
            "sourceInfo": "built package from: s 1-2",
            "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:alpine/a@1?distro=3.11.3"}],
        }
    ],
    "relationships": [
        {
            "spdxElementId": "a",
            "relationshipType": "OTHER",
            "relatedSpdxElement": "a",
            "comment": "ownership-by-file-overlap",
        }
    ],
}
SPDX3 = {
    "@graph": [
        {"type": "CreationInfo", "specVersion": "3.0.1"},
        {"type": "SpdxDocument", "spdxId": "d", "name": "n", "rootElement": ["a"]},
        {
            "type": "software_Package",
            "spdxId": "a",
            "name": "a",
            "software_packageUrl": "pkg:rpm/alma/a@1",
            "software_packageVersion": "1",
            "software_primaryPurpose": "operatingSystem",
            "externalIdentifier": [{"externalIdentifierType": "packageUrl", "identifier": "pkg:pypi/a@1"}],
        },
        {"type": "Relationship", "from": "a", "to": ["a"], "relationshipType": "contains", "comment": "x"},
    ]
}
_JSON_WORDS = ("null", "[]", "{}", "[{", "}]", ',"', '":', "1.5", "\\ud83d\\ude00", "true")
_PURLS = (
    *("pkg:deb/debian/bash@5.2?distro=debian-12.1&epoch=1&upstream=b%401", "pkg:alpine/zlib@1?distro=alpine-3.11.3"),
    *("pkg:rpm/rocky/a@1?upstream=a-1-2.src.rpm&distro=rocky-9", "pkg:golang/a/b@v2.0.0#v2/c", "pkg:maven/a/b@1"),
    *("pkg:swift/github.com/a/b.git@1", "pkg:npm/%40a/b@1", "pkg:rpm/opensuse/a@1?distro=opensuse-leap-15.5"),
)

TARGETS = (
    Target("cyclonedx-json", _sbom, (json.dumps(CYCLONEDX).encode(),), ("components", "bom-ref", *_JSON_WORDS)),
    Target(
        "cyclonedx-xml",
        _sbom,
        (_XML.encode(),),
        ("<component>", "</component>", "<!DOCTYPE a>", "&amp;", "<![CDATA[", "]]>"),
    ),
    Target("spdx2-json", _sbom, (json.dumps(SPDX2).encode(),), ("packages", "CONTAINS", *_JSON_WORDS)),
    Target("spdx2-tags", _sbom, (_TAGS.encode(),), ("<text>", "</text>", "PackageName: ", "Relationship: ", "\n")),
    Target("spdx3-json", _sbom, (json.dumps(SPDX3).encode(),), ("describes", "software_Sbom", *_JSON_WORDS)),
    Target(
        "purl", _purl, tuple(one.encode() for one in _PURLS), ("distro=", "ubuntu-22.04", "sles", "%40", "bookworm")
    ),
    Target(
        "ledger",
        _ledger,
        tuple(one.encode() for one in _LEDGER),
        ("\n\n", "\u2014 ", "index ", "extra ", "old ", _HASH),
        packages=("kit.ledger",),
    ),
)
