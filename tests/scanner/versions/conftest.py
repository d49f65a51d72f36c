"""The tests of the version schemes."""

import random
from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")

# What versions of a scheme are made of; near enough that most of what is drawn has a key.
PIECES = {
    "apk": ["_alpha", "_rc2", "_p", "_git20200101", "a", "z", "~ab", "-r0", "-r12", ".0", ".01", ".00", ".1"],
    "bitnami": ["-0", "-1", "-10", "-a", "-1.2", "+b"],
    "composer": ["-dev", "-alpha", "beta1", ".RC2", "-p1", "-patch", "_b", ".x-dev", "-stable", ".0", "-1"],
    "cran": ["-0", "-1", "-10", ".00"],
    "dpkg": ["~", "~rc1", "a", "A", "+b1", "-1", "-0", ".", "..", "+deb12u1", ".00", "+", "ba"],
    "gem": [".a", ".b1", ".pre", ".0", ".rc.1", "-x86_64-linux", "-1", "a", ".RC1", ".0.0"],
    "ghc": ["-alpha1", "-rc1", "-rc2", ".20220807"],
    "go": ["-rc.1", "-0.20200101000000-0123456789ab", "+incompatible", "rc1", "beta2"],
    "hackage": [".0", ".0.0", ".10"],
    "julia": ["-DEV", "-rc1", "+0", "+1", "+10", "+a"],
    "maven": ["-SNAPSHOT", "-alpha-1", "a1", ".Final", ".GA", "-rc2", ".SP1", "-jre", "-1", ".0", "-0", "-", ".", "x"],
    "nuget": ["-beta", "-BETA.1", "-rc.10", "+meta", ".0", "-ci.99999999999", "-a-b"],
    "opam": ["~", "~beta1", "-1", "+x", "a", ".0", "-", ".", "v"],
    "pep440": ["a1", "b0", "rc2", "-alpha", ".post1", "-1", ".dev0", "+1", "+a.2", ".0"],
    "pub": ["-a", "-1", "-01", "-rc.1", "+1", "+a", "+1.2", "+01"],
    "rpm": ["~", "~rc1", "^", "^git1", "a", ".", "_", "-1", "-1.el8", "+", "A", ".00"],
    "semver": ["-0", "-alpha", "-alpha.1", "-rc.10", "-x-y", "+b", "+b.01"],
    "semver-tag": ["-beta", "-rc.1", "+b"],
}
PREFIXES = {
    "dpkg": ["", "", "0:", "1:"],
    "rpm": ["", "", "0:", "1:"],
    "go": ["", "v", "go"],
    "julia": ["", "v"],
    "composer": ["", "v"],
    "semver-tag": ["", "v"],
    "pep440": ["", "", "v", "1!"],
    "opam": ["", "v", "~"],
    "maven": ["", "", "r", "x."],
}
COUNTS = ["0", "0", "1", "1", "2", "9", "10", "18446744073709551616"]


def _likely(scheme: str, count: int) -> list[str]:
    """Return texts most of which are versions of a scheme, always the same."""
    draw = random.Random(scheme)

    def some(least: int, most: int, choice: list[str]) -> list[str]:
        return draw.choices(choice, k=draw.randint(least, most))

    return [
        draw.choice(PREFIXES.get(scheme, [""]))
        + ".".join(some(*draw.choice([(1, 4), (3, 3)]), COUNTS))
        + "".join(some(0, 3, PIECES[scheme]))
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def likely() -> Callable[[str, int], list[str]]:
    """Give the function that makes texts most of which are versions of a scheme."""
    return _likely
