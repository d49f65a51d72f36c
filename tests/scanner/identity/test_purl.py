"""The package URL parser, by parts and against hostile text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.identity import BadPurl, Purl, parse_purl

# text -> type, namespace, name, version, qualifiers, subpath
PARSED = {
    "pkg:pypi/django@3.2.5": ("pypi", "", "django", "3.2.5", {}, ""),
    "pkg:PYPI/Django": ("pypi", "", "Django", None, {}, ""),
    "PKG:pypi/django@3.2.5": ("pypi", "", "django", "3.2.5", {}, ""),
    "pkg://pypi/django@3.2.5/": ("pypi", "", "django", "3.2.5", {}, ""),
    "pkg:golang/github.com/ProtonMail/proton-bridge@v1.8.0": (
        "golang",
        "github.com/ProtonMail",
        "proton-bridge",
        "v1.8.0",
        {},
        "",
    ),
    "pkg:golang/github.com%2Ffoo%2fbar@v1.0.0": ("golang", "", "github.com/foo/bar", "v1.0.0", {}, ""),
    "pkg:golang/github.com//foo/bar": ("golang", "github.com/foo", "bar", None, {}, ""),
    "pkg:golang/google.golang.org/genproto@abc#/googleapis/./api/../annotations/": (
        "golang",
        "google.golang.org",
        "genproto",
        "abc",
        {},
        "googleapis/api/annotations",
    ),
    "pkg:npm/%40angular/animation@12.3.1": ("npm", "@angular", "animation", "12.3.1", {}, ""),
    "pkg:npm/@angular/animation@12.3.1": ("npm", "@angular", "animation", "12.3.1", {}, ""),
    "pkg:npm/@angular/animation": ("npm", "@angular", "animation", None, {}, ""),
    "pkg:golang/example.org/tool@feature/branch": ("golang", "example.org", "tool", "feature/branch", {}, ""),
    "pkg:deb/debian/bsdutils@1:2.38.1-5%2Bdeb12u3?distro=debian-12&arch=amd64": (
        "deb",
        "debian",
        "bsdutils",
        "1:2.38.1-5+deb12u3",
        {"arch": "amd64", "distro": "debian-12"},
        "",
    ),
    "pkg:oci/airflow@sha256:54f8?repository_url=index.docker.io%2Fbitnami%2Fairflow&arch=": (
        "oci",
        "",
        "airflow",
        "sha256:54f8",
        {"repository_url": "index.docker.io/bitnami/airflow"},
        "",
    ),
    "pkg:oci/dhi%2Floki": ("oci", "", "dhi/loki", None, {}, ""),
    "pkg:generic/a%20b@1%2F2?Key=a=b%26c": ("generic", "", "a b", "1/2", {"key": "a=b&c"}, ""),
    "pkg:generic/f%C3%BC": ("generic", "", "f\u00fc", None, {}, ""),
    "pkg:pypi/foo@1+2": ("pypi", "", "foo", "1+2", {}, ""),
}

REFUSED = [
    "",
    "pkg",
    "pkg:",
    "pkg:/",
    "pkg:pypi",
    "pkg:pypi/",
    "pkg:pypi/@1.0",
    "pkg:maven/@1.3.4",
    "pkg:/pypi",
    "pypi/django@1",
    "http:pypi/django",
    "pkg :pypi/django",
    "pkg:1pypi/django",
    "pkg:py pi/django",
    "pkg:p\u00fdpi/django",
    "pkg:p%79pi/django",
    "pkg:pypi/django%",
    "pkg:pypi/django%2",
    "pkg:pypi/django%zz",
    "pkg:pypi/django%+1",
    "pkg:pypi/django%ff",
    "pkg:pypi/django%c0%af",
    "pkg:pypi/django%00",
    "pkg:pypi/django%0a",
    "pkg:pypi/djan\tgo",
    "pkg:pypi/django@1\x7f",
    "pkg:pypi/django?a",
    "pkg:pypi/django?=b",
    "pkg:pypi/django?1a=b",
    "pkg:pypi/django?a b=c",
    "pkg:pypi/django?a=1&a=2",
    "pkg:pypi/django?a=1&A=2",
    "pkg:pypi/django?a=%",
    "pkg:pypi/django#%",
    "pkg:pypi/" + "a" * 4_096,
]


@pytest.mark.parametrize("text", sorted(PARSED))
def test_parts_are_split_and_decoded(text: str) -> None:
    kind, namespace, name, version, qualifiers, subpath = PARSED[text]
    assert parse_purl(text) == Purl(kind, namespace, name, version, tuple(sorted(qualifiers.items())), subpath)


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_that_is_no_package_url_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(BadPurl, match=r"^[a-z][a-z ]+$"):
        parse_purl(text)


@given(
    st.lists(st.sampled_from(["pkg:", "/", "@", "?", "=", "&", "#", "%", "%2F", "%zz", "pypi", "a", "é"])).map("".join)
)
def test_any_arrangement_of_the_signs_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse_purl(text)
    except BadPurl:
        return
    assert parsed.name
    assert parsed.type == parsed.type.lower()
    assert list(parsed.qualifiers) == sorted(set(parsed.qualifiers))


def escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


plain = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(plain, max_size=3), plain, plain, st.dictionaries(st.sampled_from(["a", "b.c"]), plain))
def test_fully_escaped_parts_come_back_as_they_were(
    namespace: list[str], name: str, version: str, qualifiers: dict[str, str]
) -> None:
    path = "/".join(escaped(part) for part in [*namespace, name])
    query = "&".join(f"{key}={escaped(value)}" for key, value in qualifiers.items())
    parsed = parse_purl(
        f"pkg:generic/{path}@{escaped(version)}?{query}" if query else f"pkg:generic/{path}@{escaped(version)}"
    )
    assert parsed == Purl("generic", "/".join(namespace), name, version, tuple(sorted(qualifiers.items())), "")
