"""Packages of operating systems: release, epoch and source, in the spellings of the generators."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.identity import NotEvaluated, Package, Source, System, from_purl, locate, parse_purl, system

DEBIAN = System("debian", "12")

# package URL -> ecosystem, name, version
RELEASES = [
    # Debian: number, point release, code name, alone or after the system's name
    ("pkg:deb/debian/bash@5.2?distro=debian-12", "Debian:12"),
    ("pkg:deb/debian/bash@5.2?distro=debian-12.15", "Debian:12"),
    ("pkg:deb/debian/bash@5.2?distro=bookworm", "Debian:12"),
    ("pkg:deb/debian/bash@5.2?distro=Bookworm", "Debian:12"),
    ("pkg:deb/debian/bash@5.2?distro=debian-bookworm", "Debian:12"),
    ("pkg:deb/debian/bash@5.2?distro=12", "Debian:12"),
    ("pkg:deb/debian/bash@5.2?distro=debian-3.1", "Debian:3.1"),
    ("pkg:deb/debian/bash@5.2?distro=sarge", "Debian:3.1"),
    ("pkg:deb/debian/bash@5.2?distro=debian-3.0", "Debian:3"),
    ("pkg:deb/debian/bash@5.2?distro=debian-2.2", "Debian:2.2"),
    ("pkg:deb/debian/bash@5.2?os_name=debian&os_version=12&os_distro=bookworm", "Debian:12"),
    ("pkg:deb/bash@5.2?distro=debian-12", "Debian:12"),
    ("pkg:deb/bash@5.2?distro=bookworm", "Debian:12"),
    ("pkg:deb/echo/bash@5.2", "Echo"),
    # Ubuntu: long-term releases are those of April of even years
    ("pkg:deb/ubuntu/bash@5.2?distro=ubuntu-22.04", "Ubuntu:22.04:LTS"),
    ("pkg:deb/ubuntu/bash@5.2?distro=ubuntu-22.04.3", "Ubuntu:22.04:LTS"),
    ("pkg:deb/ubuntu/bash@5.2?distro=jammy", "Ubuntu:22.04:LTS"),
    ("pkg:deb/ubuntu/bash@5.2?distro=22.04", "Ubuntu:22.04:LTS"),
    ("pkg:deb/ubuntu/bash@5.2?distro=ubuntu-23.04", "Ubuntu:23.04"),
    ("pkg:deb/ubuntu/bash@5.2?distro=mantic", "Ubuntu:23.10"),
    ("pkg:deb/bash@5.2?distro=jammy", "Ubuntu:22.04:LTS"),
    ("pkg:deb/ubuntu/bash@4.3-7ubuntu1.8%2Besm2?distro=ubuntu-14.04", "Ubuntu:Pro:14.04:LTS"),
    # apk
    ("pkg:apk/alpine/zlib@1.2?distro=alpine-3.11.6", "Alpine:v3.11"),
    ("pkg:apk/alpine/zlib@1.2?distro=3.11.6", "Alpine:v3.11"),
    ("pkg:apk/alpine/zlib@1.2?distro=alpine-v3.18", "Alpine:v3.18"),
    ("pkg:apk/alpine/zlib@1.2?distro=v3.18", "Alpine:v3.18"),
    ("pkg:alpine/zlib@1.2?distro=alpine-3.11.3", "Alpine:v3.11"),
    ("pkg:apk/wolfi/zlib@1.2", "Wolfi"),
    ("pkg:apk/wolfi/zlib@1.2?distro=wolfi-20230201", "Wolfi"),
    ("pkg:apk/chainguard/zlib@1.2?distro=chainguard-20230214", "Chainguard"),
    ("pkg:apk/minimos/zlib@1.2", "MinimOS"),
    ("pkg:apk/alpaquita/zlib@1.2?distro=alpaquita-23", "Alpaquita:23"),
    ("pkg:apk/alpaquita/zlib@1.2?distro=alpaquita-stream", "Alpaquita:stream"),
    # rpm
    ("pkg:rpm/almalinux/zlib@1.2?distro=almalinux-8.7", "AlmaLinux:8"),
    ("pkg:rpm/alma/zlib@1.2?distro=alma-8.7", "AlmaLinux:8"),
    ("pkg:rpm/rocky/zlib@1.2?distro=rocky-9.3", "Rocky Linux:9"),
    ("pkg:rpm/rocky-linux/zlib@1.2?distro=rocky-linux-9", "Rocky Linux:9"),
    ("pkg:rpm/opensuse/zlib@1.2?distro=opensuse-leap-15.5", "openSUSE:Leap 15.5"),
    ("pkg:rpm/opensuse.leap/zlib@1.2?distro=opensuse.leap-15.5", "openSUSE:Leap 15.5"),
    ("pkg:rpm/opensuse/zlib@1.2?distro=opensuse-tumbleweed-20240801", "openSUSE:Tumbleweed"),
    ("pkg:rpm/opensuse-tumbleweed/zlib@1.2?distro=opensuse-tumbleweed", "openSUSE:Tumbleweed"),
    ("pkg:rpm/mageia/zlib@1.2?distro=mageia-9", "Mageia:9"),
    ("pkg:rpm/photon/zlib@1.2?distro=photon-3.0", "Photon OS:3.0"),
    ("pkg:rpm/azurelinux/zlib@1.2?distro=azurelinux-3.0", "Azure Linux:3"),
    ("pkg:rpm/mariner/zlib@1.2?distro=mariner-2.0", "Azure Linux:2"),
    ("pkg:rpm/openeuler/zlib@1.2?distro=openEuler-22.03-LTS-SP1", "openEuler:22.03-LTS-SP1"),
    ("pkg:rpm/openeuler/zlib@1.2?distro=openEuler-24.03-LTS", "openEuler:24.03-LTS"),
]
NOT_LOOKED_UP = [
    ("pkg:deb/debian/bash@5.2", "no-release"),
    ("pkg:deb/debian/bash@5.2?distro=sid", "no-release"),
    ("pkg:deb/debian/bash@5.2?distro=debian-unstable", "no-release"),
    ("pkg:deb/debian/bash@5.2?distro=ubuntu-22.04", "no-release"),
    ("pkg:deb/debian/bash@5.2?distro=trixie/sid", "no-release"),
    ("pkg:deb/bash@5.2", "no-release"),
    ("pkg:deb/ubuntu/bash@5.2?distro=ubuntu", "no-release"),
    ("pkg:deb/ubuntu/bash@5.2?distro=ubuntu-22", "no-release"),
    ("pkg:apk/alpine/zlib@1.2?distro=alpine-edge", "no-release"),
    ("pkg:apk/alpine/zlib@1.2?distro=3.19_alpha20230901", "no-release"),
    ("pkg:apk/alpine/zlib@1.2?distro=3", "no-release"),
    ("pkg:rpm/openeuler/zlib@1.2?distro=openeuler-22.03", "no-release"),
    ("pkg:rpm/openeuler/zlib@1.2?distro=openEuler-22.03-LTS-SP", "no-release"),
    ("pkg:rpm/opensuse/zlib@1.2?distro=opensuse-leap-micro-5.5", "no-release"),
    ("pkg:rpm/redhat/zlib@1.2?distro=redhat-8.7", "ambiguous-release"),
    ("pkg:rpm/rhel/zlib@1.2?distro=rhel-9.4", "ambiguous-release"),
    ("pkg:rpm/suse/zlib@1.2?distro=sles-15.5", "ambiguous-release"),
    ("pkg:rpm/fedora/zlib@1.2?distro=fedora-39", "unsupported-ecosystem"),
    ("pkg:rpm/centos/zlib@1.2?distro=centos-7", "unsupported-ecosystem"),
    ("pkg:rpm/amzn/zlib@1.2?distro=amzn-2", "unsupported-ecosystem"),
    ("pkg:rpm/debian/zlib@1.2?distro=debian-12", "unsupported-ecosystem"),
    ("pkg:deb/raspbian/zlib@1.2?distro=raspbian-11", "unsupported-ecosystem"),
    ("pkg:deb/debian/bash?distro=debian-12", "no-version"),
]
SOURCES = [
    # (package URL, source named beside it) -> name, version
    ("pkg:deb/debian/adduser@3.134?distro=debian-12", None, ("adduser", "3.134")),
    ("pkg:deb/debian/git-man@1:2.39?distro=debian-12&upstream=git", None, ("git", "1:2.39")),
    ("pkg:deb/debian/git-man@2.39?distro=debian-12&epoch=1", Source("git", "1:2.39"), ("git", "1:2.39")),
    (
        "pkg:deb/debian/bash@5.2.15-2%2Bb13?distro=debian-12&upstream=bash%405.2.15-2",
        None,
        ("bash", "5.2.15-2"),
    ),
    # The epoch of a binary package need not be that of its source.
    (
        "pkg:deb/debian/bsdutils@1:2.38.1-5?distro=debian-12&upstream=util-linux%402.38.1-5",
        None,
        ("util-linux", "2.38.1-5"),
    ),
    (
        "pkg:deb/debian/bsdutils@2.38.1-5?distro=debian-12&epoch=1",
        Source("util-linux", "2.38.1-5"),
        ("util-linux", "2.38.1-5"),
    ),
    ("pkg:deb/debian/diffutils@3.8-4?distro=debian-12&epoch=1", None, ("diffutils", "1:3.8-4")),
    ("pkg:deb/debian/diffutils@1:3.8-4?distro=debian-12&epoch=1", None, ("diffutils", "1:3.8-4")),
    ("pkg:deb/debian/diffutils@3.8-4?distro=debian-12&epoch=0", None, ("diffutils", "3.8-4")),
    ("pkg:deb/debian/diffutils@0:3.8-4?distro=debian-12", None, ("diffutils", "3.8-4")),
    ("pkg:deb/debian/diffutils@3.8-4?distro=debian-12&epoch=x", None, ("diffutils", "3.8-4")),
    # The package URL's word counts before the generator's other one.
    ("pkg:deb/debian/a@1?distro=debian-12&upstream=b%402", Source("c", "3"), ("b", "2")),
    ("pkg:apk/alpine/xz-libs@5.2.4-r0?distro=3.11.3", Source("xz", "5.2.4-r0"), ("xz", "5.2.4-r0")),
    ("pkg:alpine/ca-cacert@1-r0?upstream=ca-certificates&distro=alpine-3.11", None, ("ca-certificates", "1-r0")),
    # Of an RPM the source is named by its file, which has no epoch.
    (
        "pkg:rpm/rocky/openssl-libs@1.1.1k-7.el8?epoch=1&distro=rocky-8.7&upstream=openssl-1.1.1k-7.el8.src.rpm",
        None,
        ("openssl", "1:1.1.1k-7.el8"),
    ),
    (
        "pkg:rpm/opensuse/libz1@1.2.13-150500.4?distro=opensuse-leap-15.5&upstream=zlib-1.2.13-150500.4.src.rpm",
        None,
        ("zlib", "1.2.13-150500.4"),
    ),
    # AlmaLinux advisories list binary packages.
    (
        "pkg:rpm/alma/device-mapper@1.02.181-6.el8?epoch=8&distro=alma-8.7",
        Source("lvm2", "8:2.03.14-6.el8"),
        ("device-mapper", "8:1.02.181-6.el8"),
    ),
]


@pytest.mark.parametrize(("purl", "ecosystem"), RELEASES)
def test_a_release_is_read_in_every_spelling(purl: str, ecosystem: str) -> None:
    found = from_purl(purl)
    assert isinstance(found, Package)
    assert found.ecosystem == ecosystem


@pytest.mark.parametrize(("purl", "reason"), NOT_LOOKED_UP)
def test_a_release_that_is_unknown_is_not_guessed(purl: str, reason: str) -> None:
    found = from_purl(purl)
    assert isinstance(found, NotEvaluated)
    assert found.reason == reason


@pytest.mark.parametrize(("purl", "source", "expected"), SOURCES)
def test_advisories_speak_of_the_source_and_its_version(
    purl: str, source: Source | None, expected: tuple[str, str]
) -> None:
    found = from_purl(purl, source=source)
    assert isinstance(found, Package)
    assert (found.name, found.version) == expected


@pytest.mark.parametrize(
    ("purl", "host", "ecosystem"),
    [
        ("pkg:deb/debian/bash@5.2", DEBIAN, "Debian:12"),
        ("pkg:deb/bash@5.2", DEBIAN, "Debian:12"),
        ("pkg:deb/debian/bash@5.2?distro=debian-11", DEBIAN, "Debian:11"),
        ("pkg:deb/debian/bash@5.2?distro=sid", DEBIAN, "no-release"),
        ("pkg:deb/ubuntu/bash@5.2", DEBIAN, "no-release"),
        ("pkg:rpm/bash@5.2", DEBIAN, "unsupported-ecosystem"),
        ("pkg:deb/debian/bash@5.2", System("debian", None), "no-release"),
        ("pkg:alpine/zlib@1", System("alpine", "v3.11"), "Alpine:v3.11"),
    ],
)
def test_the_systems_release_counts_where_the_package_names_none(purl: str, host: System, ecosystem: str) -> None:
    found = from_purl(purl, host=host)
    assert (found.ecosystem if isinstance(found, Package) else found.reason) == ecosystem


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        ("debian", "12.15", DEBIAN),
        ("Debian", "12", DEBIAN),
        ("alpine", "3.11.3", System("alpine", "v3.11")),
        ("alma", "8.7", System("almalinux", "8")),
        ("opensuse-leap", "15.5", System("opensuse", "Leap 15.5")),
        ("opensuse.tumbleweed", "20240801", System("opensuse", "Tumbleweed")),
        ("Azure Linux", "3.0", None),
        ("debian", "", System("debian", None)),
        ("plan9", "4", None),
    ],
)
def test_an_operating_system_component_tells_system_and_release(
    name: str, release: str, expected: System | None
) -> None:
    assert system(name, release) == expected


def test_what_a_package_url_itself_names_is_the_binary_package_in_any_release() -> None:
    named = parse_purl("pkg:deb/debian/libssl3@3.0?distro=debian-12&upstream=openssl")
    assert locate(named, "3.0") == ("Debian", "libssl3")
    assert locate(parse_purl("pkg:alpine/zlib"), "") == ("Alpine", "zlib")


words = st.sampled_from(
    ["debian", "ubuntu", "rpm", "12", ".", "-", ":", "v3", "bookworm", "LTS", "SP", "\u0663", "\u017f", " "]
)


@given(
    st.sampled_from(["deb", "rpm", "apk", "alpine"]),
    st.sampled_from(["", "debian/", "ubuntu/", "alpine/", "rocky/", "opensuse/", "openeuler/", "x/"]),
    st.lists(words).map("".join) | st.text(max_size=8).filter(str.isalnum),
    st.lists(words).map("".join),
)
def test_any_spelling_is_a_release_or_a_reason(kind: str, namespace: str, distro: str, epoch: str) -> None:
    found = from_purl(f"pkg:{kind}/{namespace}name@1?distro={distro}&epoch={epoch}&upstream={distro}")
    if isinstance(found, Package):
        assert found.ecosystem.isascii()
        assert found.version
    else:
        assert found.reason in {"no-release", "ambiguous-release", "unsupported-ecosystem", "bad-purl"}
