"""Package identity: what a component is in the advisory data, or why it is not looked up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.identity import NotEvaluated, Package, from_purl, normalise

MAVEN = ("Maven", "org.apache.commons:commons-lang3", "3.12.0")
FOUND = [
    ("pkg:pypi/zope.interface@5.4.0", None, ("PyPI", "zope-interface", "5.4.0")),
    ("pkg:pypi/Zope_-._Interface@5.4.0", None, ("PyPI", "zope-interface", "5.4.0")),
    ("pkg:pypi/django", "3.2.5", ("PyPI", "django", "3.2.5")),
    ("pkg:pypi/django@3.2.5", "9.9", ("PyPI", "django", "3.2.5")),
    ("pkg:pypi/django", " 3.2.5 ", ("PyPI", "django", "3.2.5")),
    ("pkg:golang/github.com/ProtonMail/go-crypto@v1.0.0", None, ("Go", "github.com/protonmail/go-crypto", "v1.0.0")),
    ("pkg:golang/github.com%2FProtonMail/go-crypto@v1.0.0", None, ("Go", "github.com/protonmail/go-crypto", "v1.0.0")),
    ("pkg:golang/gopkg.in/yaml.v3@v3.0.0", None, ("Go", "gopkg.in/yaml.v3", "v3.0.0")),
    ("pkg:golang/stdlib@1.19", None, ("Go", "stdlib", "1.19")),
    ("pkg:golang/go@1.19", None, ("Go", "stdlib", "1.19")),
    ("pkg:golang/std@go1.21.0", None, ("Go", "stdlib", "go1.21.0")),
    ("pkg:golang/toolchain@1.21.0", None, ("Go", "toolchain", "1.21.0")),
    ("pkg:golang/tailscale.com@v1.2.3", None, ("Go", "tailscale.com", "v1.2.3")),
    # A major version suffix in the subpath belongs to the module path; a directory that is merely called so does not.
    ("pkg:golang/github.com/foo/bar@v2.1.0#v2", None, ("Go", "github.com/foo/bar/v2", "v2.1.0")),
    ("pkg:golang/github.com/foo/bar@2.1.0#v2/pkg", None, ("Go", "github.com/foo/bar/v2", "2.1.0")),
    ("pkg:golang/github.com/foo/bar#v10/x", "v10.0.0", ("Go", "github.com/foo/bar/v10", "v10.0.0")),
    ("pkg:golang/github.com/foo/bar/v2@v2.1.0#v2", None, ("Go", "github.com/foo/bar/v2", "v2.1.0")),
    ("pkg:golang/github.com/foo/bar@v1.1.0#v2", None, ("Go", "github.com/foo/bar", "v1.1.0")),
    ("pkg:golang/github.com/foo/bar@v1.1.0#v1", None, ("Go", "github.com/foo/bar", "v1.1.0")),
    ("pkg:golang/github.com/foo/bar@v2.1.0+incompatible#v2", None, ("Go", "github.com/foo/bar", "v2.1.0+incompatible")),
    ("pkg:npm/%40angular/core@12.3.1", None, ("npm", "@angular/core", "12.3.1")),
    ("pkg:npm/@angular/core@12.3.1", None, ("npm", "@angular/core", "12.3.1")),
    ("pkg:npm/left-pad@1.3.0", None, ("npm", "left-pad", "1.3.0")),
    ("pkg:npm/JSONStream@1.3.5", None, ("npm", "JSONStream", "1.3.5")),
    ("pkg:maven/org.apache.commons/commons-lang3@3.12.0?type=jar", None, MAVEN),
    ("pkg:nuget/Newtonsoft.Json@12.0.1", None, ("NuGet", "newtonsoft.json", "12.0.1")),
    ("pkg:gem/nokogiri@1.15.0?platform=java", None, ("RubyGems", "nokogiri", "1.15.0")),
    ("pkg:composer/Drupal/ColorBox@1.2.3", None, ("Packagist", "drupal/colorbox", "1.2.3")),
    ("pkg:cargo/rand_core@0.6.4", None, ("crates.io", "rand_core", "0.6.4")),
    ("pkg:hackage/3d-graphics-examples@0.0.0.2", None, ("Hackage", "3d-graphics-examples", "0.0.0.2")),
    ("pkg:pub/Http@0.13.3", None, ("Pub", "http", "0.13.3")),
    ("pkg:hex/Plug@1.11.0", None, ("Hex", "plug", "1.11.0")),
    ("pkg:hex/acme/foo@2.3.0", None, ("Hex", "acme/foo", "2.3.0")),
    ("pkg:cran/A3@1.0.0", None, ("CRAN", "A3", "1.0.0")),
    ("pkg:bioconductor/BiocGenerics@0.46.0", None, ("Bioconductor", "BiocGenerics", "0.46.0")),
    ("pkg:swift/github.com/Apple/swift-nio@2.40.0", None, ("SwiftURL", "github.com/apple/swift-nio", "2.40.0")),
    ("pkg:opam/dune@3.1", None, ("opam", "dune", "3.1")),
    ("pkg:bitnami/WordPress@6.2.0?arch=arm64", None, ("Bitnami", "wordpress", "6.2.0")),
    ("pkg:julia/Dates@1.9.0?uuid=ade2ca70-3891-5945-98fb-dc099432e06a", None, ("Julia", "Dates", "1.9.0")),
    ("pkg:github/Actions/Checkout@v4", None, ("GitHub Actions", "actions/checkout", "v4")),
    ("pkg:golang/google.golang.org/genproto@v2.0.0#api/v2", None, ("Go", "google.golang.org/genproto", "v2.0.0")),
]
NOT_FOUND = [
    (None, "1.0", "no-purl"),
    ("", "1.0", "no-purl"),
    ("django==3.2.5", "1.0", "bad-purl"),
    ("pkg:pypi/%zz@1", None, "bad-purl"),
    ("pkg:pypi/namespace/django@1", None, "bad-purl"),
    ("pkg:generic/openssl@3.0.1", None, "unsupported-ecosystem"),
    ("pkg:oci/airflow@sha256:54f8", None, "unsupported-ecosystem"),
    ("pkg:npm/angular/core@1", None, "bad-purl"),
    ("pkg:npm/%40a/b/c@1", None, "bad-purl"),
    ("pkg:cargo/serde/derive@1", None, "bad-purl"),
    ("pkg:maven/commons-lang3@3.12.0", None, "bad-purl"),
    ("pkg:composer/colorbox@1", None, "bad-purl"),
    ("pkg:github/checkout@v4", None, "bad-purl"),
    ("pkg:swift/nio@2", None, "bad-purl"),
    ("pkg:npm/left-pad", None, "no-version"),
    ("pkg:maven/a/b", " ", "no-version"),
    ("pkg:pypi/django", None, "no-version"),
    ("pkg:pypi/django", "", "no-version"),
    ("pkg:pypi/django@", " \t", "no-version"),
    ("pkg:golang/stdlib", None, "no-version"),
]


@pytest.mark.parametrize(("purl", "version", "package"), FOUND)
def test_a_component_is_found_under_its_package(purl: str, version: str | None, package: tuple[str, str, str]) -> None:
    assert from_purl(purl, version=version) == Package(*package)


@pytest.mark.parametrize(("purl", "version", "reason"), NOT_FOUND)
def test_what_is_not_evaluated_says_why(purl: str | None, version: str | None, reason: str) -> None:
    found = from_purl(purl, version=version)
    assert isinstance(found, NotEvaluated)
    assert found.reason == reason


@given(st.none() | st.text() | st.text().map("pkg:pypi/".__add__), st.none() | st.text())
def test_any_text_is_a_package_or_a_reason(purl: str | None, version: str | None) -> None:
    found = from_purl(purl, version=version)
    if isinstance(found, Package):
        assert found.name == normalise(found.ecosystem, found.name)
        assert found.version


ECOSYSTEMS = ["PyPI", "PyPI:x", "Go", "Debian:12", "npm", "SwiftURL", "NuGet", "Packagist", "GitHub Actions", ""]
AWKWARD = st.lists(st.sampled_from(["https://", "git://", ".git", "/", ".", "-", "A", "a", "\u0130"])).map("".join)


@given(st.sampled_from(ECOSYSTEMS) | st.text(), st.text() | AWKWARD)
def test_normalisation_is_total_and_changes_nothing_twice(ecosystem: str, name: str) -> None:
    once = normalise(ecosystem, name)
    assert normalise(ecosystem, once) == once


@given(st.text(st.characters(max_codepoint=127)))
def test_pypi_names_follow_pep_503(name: str) -> None:
    assert normalise("PyPI", name) == re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["github.com/Masterminds/sprig", "github.com/0xJacky/Nginx-UI"])
def test_go_module_paths_are_compared_without_regard_to_case(name: str) -> None:
    assert normalise("Go", name) == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        "github.com/apple/swift-nio",
        "https://github.com/apple/swift-nio.git",
        "https://github.com/Apple/Swift-NIO",
        "ssh://git@github.com/apple/swift-nio.git/",
    ],
)
def test_a_swift_package_has_one_name_however_its_repository_is_addressed(name: str) -> None:
    assert normalise("SwiftURL", name) == "github.com/apple/swift-nio"


@pytest.mark.parametrize(
    "purl",
    [
        "pkg:pypi/django%20@1",
        "pkg:pypi/%20django@1",
        "pkg:pypi/dj%D0%B0ngo@1",
        "pkg:pypi/django%E2%80%8B@1",
        "pkg:npm/%E2%80%8Blodash@1.0.0",
        "pkg:npm/foo%2Flodash@1.0.0",
        "pkg:pypi/foo%2Fdjango@1",
        "pkg:maven/org/apache/log4j@1",
        "pkg:golang/a/%C2%A0b@v1.0.0",
        "pkg:deb/debian/open%20ssl@1?distro=debian-12",
        "pkg:deb/debian/openssl@1?distro=debian-12&upstream=open%20ssl",
    ],
)
def test_a_name_that_no_package_can_have_is_not_evaluated(purl: str) -> None:
    found = from_purl(purl)
    assert isinstance(found, NotEvaluated)
    assert found.reason == "bad-purl"


@pytest.mark.parametrize(
    "purl", ["pkg:npm/%40s%2Fn@1.0.0", "pkg:npm/!a'(x)~@1.0.0", "pkg:golang/gopkg.in/a+b.v1@v1.0.0"]
)
def test_a_strange_name_that_a_package_can_have_is_evaluated(purl: str) -> None:
    assert isinstance(from_purl(purl), Package)
