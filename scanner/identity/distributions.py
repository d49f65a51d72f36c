"""Operating systems: their spellings, their releases, and their names in the advisory data (docs/matching.md, 1.4)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from scanner.identity.model import NotEvaluated, System
from scanner.identity.names import lower

_DIGITS: Final = frozenset("0123456789")


def _pairs(table: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in table.split(", "))


_DEBIAN_NAMES: Final = _pairs(
    "buzz=1.1, rex=1.2, bo=1.3, hamm=2, slink=2.1, potato=2.2, woody=3, sarge=3.1, etch=4, lenny=5, squeeze=6, "
    "wheezy=7, jessie=8, stretch=9, buster=10, bullseye=11, bookworm=12, trixie=13, forky=14, duke=15"
)
_UBUNTU_NAMES: Final = _pairs(
    "trusty=14.04, utopic=14.10, vivid=15.04, wily=15.10, xenial=16.04, yakkety=16.10, zesty=17.04, artful=17.10, "
    "bionic=18.04, cosmic=18.10, disco=19.04, eoan=19.10, focal=20.04, groovy=20.10, hirsute=21.04, impish=21.10, "
    "jammy=22.04, kinetic=22.10, lunar=23.04, mantic=23.10, noble=24.04, oracular=24.10, plucky=25.04, "
    "questing=25.10"
)


def _numbers(release: str) -> list[str] | None:
    """Return the parts of a dotted number, None for any other text."""
    parts = release.split(".")
    if not all(part and _DIGITS.issuperset(part) and len(part) <= 8 for part in parts):
        return None
    return parts


def _major(release: str) -> str | None:
    numbers = _numbers(release)
    return numbers[0] if numbers else None


def _debian(release: str) -> str | None:
    named = _DEBIAN_NAMES.get(release)
    if named:
        return named
    numbers = _numbers(release)
    if not numbers:
        return None
    # Until 3.1 the second number told releases apart; since then it counts the updates of one.
    minor = numbers[1] if len(numbers) > 1 and numbers[0] in {"1", "2", "3"} else "0"
    return numbers[0] if minor == "0" else f"{numbers[0]}.{minor}"


def _ubuntu(release: str) -> str | None:
    numbers = _numbers(_UBUNTU_NAMES.get(release, release))
    if not numbers or len(numbers) < 2 or len(numbers[0]) > 2 or len(numbers[1]) != 2:
        return None
    long_term = numbers[1] == "04" and int(numbers[0]) % 2 == 0
    return f"{numbers[0]}.{numbers[1]}:LTS" if long_term else f"{numbers[0]}.{numbers[1]}"


def _alpine(release: str) -> str | None:
    numbers = _numbers(release.removeprefix("v"))
    return f"v{numbers[0]}.{numbers[1]}" if numbers and len(numbers) > 1 else None


def _dotted(release: str) -> str | None:
    numbers = _numbers(release)
    return f"{numbers[0]}.{numbers[1] if len(numbers) > 1 else '0'}" if numbers else None


def _opensuse(release: str) -> str | None:
    if release == "tumbleweed":
        return "Tumbleweed"
    version = _dotted(release.removeprefix("leap-"))
    return f"Leap {version}" if version else None


def _openeuler(release: str) -> str | None:
    """Return a release that names its support term: advisories are filed under none that does not."""
    number, _, term = release.upper().partition("-")
    numbers = _numbers(number)
    support, _, pack = term.partition("-")
    known = support == "LTS" and (
        not pack or (pack.startswith("SP") and len(pack) > 2 and _DIGITS.issuperset(pack[2:]))
    )
    return f"{number}-{term}" if numbers and len(numbers) == 2 and known and release.isascii() else None


class Distribution(msgspec.Struct, frozen=True):
    """How the advisory data name a system and its packages.

    ``kind`` is the Package URL type. ``release`` makes a release of a spelling; without it the ecosystem has none.
    Advisories speak of source packages unless ``binary``. With ``ambiguous`` set, releases are filed under product
    streams that nothing in an SBOM names.
    """

    ecosystem: str
    kind: str
    release: Callable[[str], str | None] | None
    binary: bool = False
    ambiguous: str = ""


DISTRIBUTIONS: Final[Mapping[str, Distribution]] = {
    "alpaquita": Distribution("Alpaquita", "apk", lambda release: release if release == "stream" else _major(release)),
    "alpine": Distribution("Alpine", "apk", _alpine),
    "chainguard": Distribution("Chainguard", "apk", None),
    "minimos": Distribution("MinimOS", "apk", None),
    "wolfi": Distribution("Wolfi", "apk", None),
    "debian": Distribution("Debian", "deb", _debian),
    "echo": Distribution("Echo", "deb", None),
    "ubuntu": Distribution("Ubuntu", "deb", _ubuntu),
    "almalinux": Distribution("AlmaLinux", "rpm", _major, binary=True),
    "azurelinux": Distribution("Azure Linux", "rpm", _major),
    "mageia": Distribution("Mageia", "rpm", _major),
    "openeuler": Distribution("openEuler", "rpm", _openeuler),
    "opensuse": Distribution("openSUSE", "rpm", _opensuse),
    "photon": Distribution("Photon OS", "rpm", _dotted),
    "rocky": Distribution("Rocky Linux", "rpm", _major),
    "redhat": Distribution("Red Hat", "rpm", None, binary=True, ambiguous="advisories are filed by product stream"),
    "suse": Distribution("SUSE", "rpm", None, ambiguous="advisories are filed by product and module"),
}

# What Package URLs, distro qualifiers and operating-system components call a system, in lower case.
_SPELLINGS: Final = _pairs(
    "alma=almalinux, azure-linux=azurelinux, azure=azurelinux, mariner=azurelinux, cbl-mariner=azurelinux, "
    "bellsoft-alpaquita=alpaquita, photon os=photon, rhel=redhat, rocky-linux=rocky, rockylinux=rocky, "
    "rocky linux=rocky, red hat=redhat, opensuse-leap=opensuse, opensuse-tumbleweed=opensuse, "
    "opensuse.leap=opensuse, opensuse leap=opensuse, opensuse tumbleweed=opensuse, opensuse.tumbleweed=opensuse, "
    "sles=suse, sled=suse, sles_sap=suse, sle-micro=suse, suse linux enterprise server=suse, "
    "suse linux enterprise micro=suse"
) | {name: name for name in DISTRIBUTIONS}
_SEPARATORS: Final = frozenset("-: ")
_MAX_DISTRO: Final = 100


def system_id(spelling: str) -> str | None:
    """Return the id of a system by one of its names, None for a system without advisory data here."""
    return _SPELLINGS.get(lower(spelling.strip()))


def system(name: str, release: str) -> System | None:
    """Return a system by a name and a spelling of its release, None for one without advisory data here."""
    known = system_id(name)
    if known is None:
        return None
    release = lower(release.strip())
    if known == "opensuse" and "tumbleweed" in lower(name):
        release = "tumbleweed"
    reading = DISTRIBUTIONS[known].release
    return System(known, reading(release) if reading and release else None)


@lru_cache(maxsize=1 << 10)
def from_distro(text: str, expected: str | None) -> System | None:
    """Return the system that a ``distro`` qualifier names: ``debian-12``, ``bookworm``, ``alpine-3.11.6``, ``3.11.6``.

    ``expected`` is the id of the system that the package's namespace names, if any: it says whose release stands alone,
    and a qualifier of another system tells nothing (``None``).
    """
    text = lower(text.strip())
    if len(text) > _MAX_DISTRO:
        return None
    for end in range(len(text), 0, -1):
        if (end == len(text) or text[end] in _SEPARATORS) and text[:end] in _SPELLINGS:
            found = system(text[:end], text[end + 1 :])
            return found if found and expected in {None, found.id} else None
    if expected is not None:
        return system(expected, text)
    named = "debian" if text in _DEBIAN_NAMES else "ubuntu" if text in _UBUNTU_NAMES else None
    return system(named, text) if named else None


def ecosystem_of(found: System) -> str | NotEvaluated:
    """Return the ecosystem of a system's release in the advisory data, or why there is none to look in."""
    known = DISTRIBUTIONS[found.id]
    if known.ambiguous:
        return NotEvaluated("ambiguous-release", f"{known.ecosystem}: {known.ambiguous}")
    if known.release is None:
        return known.ecosystem
    if found.release is None:
        return NotEvaluated("no-release", known.ecosystem)
    return f"{known.ecosystem}:{found.release}"
