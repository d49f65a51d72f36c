"""XML and tag-value: what their syntax allows and our readers do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from scanner.sbom import cyclonedx_xml, read_sbom

NAMESPACE = "http://cyclonedx.org/schema/bom/1.6"
ONE = "<components><component><name>a</name></component></components>"


def bom(inner: str, head: str = "", namespace: str = NAMESPACE) -> bytes:
    return f'{head}<bom xmlns="{namespace}">{inner}</bom>'.encode()


def nested(depth: int) -> str:
    return "<x>" * depth + "</x>" * depth


@pytest.mark.parametrize(
    "data",
    [
        bom(ONE),
        b"\xef\xbb\xbf" + bom(ONE, '<?xml version="1.0" encoding="UTF-8"?>'),
        b"\n  " + bom(ONE),
        bom(ONE, "<?xml version='1.0' encoding='us-ascii'?><!-- c --><?pi x?>"),
        f'<b:bom xmlns:b="{NAMESPACE}">{ONE.replace("<", "<b:").replace("<b:/", "</b:")}</b:bom>'.encode(),
        bom(ONE + '<x:y xmlns:x="urn:other"><x:components/></x:y><services><service/></services>'),
        bom(ONE.replace("<name>", '<name xmlns="urn:other">not</name><name>')),
        bom(ONE.replace("<name>a</name>", "<name><![CDATA[a]]><b>c</b></name>")),
        bom(nested(63) + ONE),
    ],
    ids=range(9),
)
def test_what_xml_allows_beside_the_inventory_does_not_matter(data: bytes) -> None:
    (one,) = read_sbom(data).components
    assert (one.ref, one.name) == ("#/components/0", "a")


LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(9))


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"<", MalformedDocument),
        (b"<bom/>", MalformedDocument),
        (b'<sbom xmlns="http://cyclonedx.org/schema/bom/1.6"/>', MalformedDocument),
        (bom(ONE)[:-1], MalformedDocument),
        (bom(ONE) + b"<x/>", MalformedDocument),
        (bom("<a></b>"), MalformedDocument),
        (bom("\x01"), MalformedDocument),
        (bom("&e;"), MalformedDocument),
        (bom("").replace(b"</bom>", b"\xff</bom>"), MalformedDocument),
        (bom(ONE, "<!DOCTYPE bom>"), MalformedDocument),
        (bom("&e8;", f"<!DOCTYPE bom [{LAUGHS}]>"), MalformedDocument),
        (bom("&e;", '<!DOCTYPE bom [<!ENTITY e SYSTEM "file:///etc/passwd">]>'), MalformedDocument),
        (bom(ONE, '<!DOCTYPE bom SYSTEM "http://127.0.0.1/x.dtd">'), MalformedDocument),
        (bom(ONE, '<?xml version="1.0" encoding="ISO-8859-1"?>'), MalformedDocument),
        (bom(ONE, '<?xml version="1.0" encoding="UTF-16"?>'), MalformedDocument),
        (bom(ONE).decode().encode("utf-16"), MalformedDocument),
        (bom(ONE, namespace="http://cyclonedx.org/schema/bom/1.1"), UnsupportedVersion),
        (bom(ONE, namespace="http://cyclonedx.org/schema/bom/1.8"), UnsupportedVersion),
        (bom(ONE + ONE), DuplicateMember),
        (bom(ONE.replace("<name>", "<name>b</name><name>")), DuplicateMember),
        (bom(nested(64)), LimitExceeded),
        (bom(nested(100_000)), LimitExceeded),
        (bom("<components>" + "<component><components>" * 40), LimitExceeded),
        (bom("<x/>" * 1_000_001), LimitExceeded),
        (bom("<x " + " ".join(f'a{n}=""' for n in range(1_000_001)) + "/>"), LimitExceeded),
        (bom("<components>" + "<component/>" * 100_001 + "</components>"), LimitExceeded),
        (b"<x>" + b" " * (24 << 20), LimitExceeded),
    ],
    ids=range(27),
)
def test_xml_that_is_no_plain_document_is_refused(data: bytes, refusal: type[StellaError]) -> None:
    with pytest.raises(refusal):
        read_sbom(data)


def test_a_refusal_of_xml_names_the_line() -> None:
    with pytest.raises(MalformedDocument) as refused:
        read_sbom(bom("\n\n<a></b>"))
    assert refused.value.details["line"] == 3


def test_dependencies_in_xml_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bom("<dependencies>" + '<dependency ref="a"/>' * 3 + "</dependencies>")
    assert len(read_sbom(data).skipped) == 3
    monkeypatch.setitem(cyclonedx_xml._LIMITS, "dependency", (2, "dependencies of an SBOM"))
    with pytest.raises(LimitExceeded):
        read_sbom(data)


def test_dependencies_inside_dependencies_are_edges_at_every_level() -> None:
    refs = "".join(f'<component bom-ref="{ref}"><name>{ref}</name></component>' for ref in "abcd")
    tree = (
        '<dependency ref="a"><dependency ref="b"><dependency ref="c"/></dependency><dependency ref="d"/></dependency>'
    )
    sbom = read_sbom(bom(f"<components>{refs}</components><dependencies>{tree}</dependencies>"))
    assert sbom.dependencies == (("a", ("b", "d")), ("b", ("c",)))


def test_references_that_are_missing_in_xml_are_noted() -> None:
    sbom = read_sbom(bom(ONE + '<dependencies><dependency/><dependency ref="x"/></dependencies>'))
    assert [(one.pointer, one.reason) for one in sbom.skipped] == [
        ("/dependencies/0/ref", "malformed"),
        ("/dependencies/1/ref", "unknown-ref"),
    ]


markup = st.lists(
    st.sampled_from(
        [
            *("<component", "</component>", "<components>", "</components>", "<name>", "</name>", "<purl>", "</purl>"),
            *(
                ' bom-ref="a"',
                ">",
                "/>",
                "<dependencies>",
                '<dependency ref="a">',
                "</dependency>",
                "a",
                "pkg:pypi/a@1",
            ),
            *("<properties>", "<property", ' name="x"', "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "&x;", "<?x?>"),
        ]
    ),
    max_size=12,
).map("".join)


@given(markup | st.text())
def test_any_markup_is_read_or_refused(inner: str) -> None:
    try:
        sbom = read_sbom(bom(inner))
    except StellaError:
        return
    assert sbom.spec_version == "1.6"


HEAD = "SPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\n"


def tags(*lines: str) -> bytes:
    return (HEAD + "\n".join(lines)).encode()


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"SPDXVersion: SPDX-2.1\n", UnsupportedVersion),
        (b"SPDXVersion:\n", MalformedDocument),
        (tags("PackageName"), MalformedDocument),
        (tags("Package Name: a"), MalformedDocument),
        (tags("PackageComment: <text>never", "ends"), MalformedDocument),
        (tags("PackageName: a") + b"\xff", MalformedDocument),
        (tags("SPDXVersion: SPDX-2.2"), DuplicateMember),
        (tags("PackageName: a", "PackageVersion: 1", "PackageVersion: 2"), DuplicateMember),
        (tags() + b"\n" * 1_700_000, LimitExceeded),
        (tags() + b" " * (24 << 20), LimitExceeded),
        (b"\xef\xbb\xbf" + tags(), MalformedDocument),
    ],
    ids=range(11),
)
def test_tags_that_are_no_document_are_refused(data: bytes, refusal: type[StellaError]) -> None:
    with pytest.raises(refusal):
        read_sbom(data)


def test_a_refusal_of_tags_names_the_line() -> None:
    with pytest.raises(MalformedDocument) as refused:
        read_sbom(tags("PackageName: a", "", "nonsense"))
    assert refused.value.details["line"] == 5


def test_a_package_in_tags_is_malformed_or_read_like_one_in_json() -> None:
    sbom = read_sbom(
        tags(
            *("# c", "PackageName: a", "SPDXID: SPDXRef-a", "PackageVersion: 1", "Unknown: x"),
            *("ExternalRef: PACKAGE-MANAGER purl pkg:pypi/a@1", "ExternalRefComment: x"),
            *("Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-a", "Relationship: too few", "Relationship: a b c d"),
            *("PackageName: b", "SPDXID: SPDXRef-b", "ExternalRef: PACKAGE-MANAGER purl", "PackageName:"),
            *("FileName: ./f", "SPDXID: SPDXRef-f", "PackageVersion: 9", "Relationship: SPDXRef-a CONTAINS SPDXRef-f"),
            *("PackageDescription: <text>", "PackageName: not", "</text>"),
        )
    )
    assert [(one.ref, one.version, one.purl) for one in sbom.components] == [("SPDXRef-a", "1", "pkg:pypi/a@1")]
    assert sbom.subject == sbom.components[0]
    assert [(one.pointer, one.reason) for one in sbom.skipped] == [
        ("/packages/1/externalRefs/0/referenceLocator", "malformed"),
        ("/packages/2/name", "malformed"),
        ("/relationships/1/relatedSpdxElement", "malformed"),
        ("/relationships/2/spdxElementId", "malformed"),
    ]


lines = st.lists(
    st.sampled_from(
        [
            *(
                "PackageName: a",
                "SPDXID: SPDXRef-a",
                "PackageVersion: 1",
                "<text>",
                "</text>",
                "PackageComment: <text>x",
            ),
            *(
                "Relationship: SPDXRef-a CONTAINS SPDXRef-a",
                "RelationshipComment: y",
                "ExternalRef: A purl pkg:pypi/a@1",
            ),
            *("FileName: f", "", "# c", ":", "DocumentName: n"),
        ]
    )
    | st.text(),
    max_size=12,
)


@given(lines)
def test_any_lines_are_read_or_refused(inner: list[str]) -> None:
    try:
        sbom = read_sbom(tags(*inner))
    except StellaError:
        return
    assert sbom.spec_version == "2.3"


@pytest.mark.parametrize("namespace", ["http://cyclonedx.org/schema/bom/1.5", ""])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("<components><component {}><name>a</name></component></components>", "/components/0"),
        ("<components><component><name>a</name><purl {}>pkg:a/b</purl></component></components>", "/components/0/purl"),
        (
            "<components><component><name>a</name><components {}/></component></components>",
            "/components/0/components",
        ),
        ("<metadata><component {}><name>a</name></component></metadata>", "/metadata/component"),
        ("<dependencies><dependency {} ref='a'/></dependencies>", "/dependencies/0"),
    ],
)
def test_an_element_in_the_namespace_of_another_version_is_listed(namespace: str, body: str, pointer: str) -> None:
    document = f'<bom xmlns="http://cyclonedx.org/schema/bom/1.6">{body.format(f"xmlns={namespace!r}")}</bom>'
    assert [(one.pointer, one.reason) for one in read_sbom(document.encode()).skipped] == [(pointer, "malformed")]
