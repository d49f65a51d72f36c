"""Version schemes: making keys, and making and sorting them, beside univers.

univers puts much of the work off until two versions are compared, and then does it again for each comparison; a key is
made once and compared by the interpreter.
"""

import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import measure
import world
from univers import versions as peer

from scanner.versions import key

COUNT = 3_000
# ecosystem -> class of univers where it has one, and what versions there end with
SCHEMES: dict[str, tuple[type[peer.Version] | None, Sequence[str]]] = {
    "PyPI": (peer.PypiVersion, ("", "", "rc1", ".post1", ".dev3", "a2", "+local.1")),
    "npm": (peer.SemverVersion, ("", "", "-beta.1", "-rc.10", "-alpha.37")),
    "Go": (peer.GolangVersion, ("", "", "-rc.1", "-0.20211004125949-5bd84dd9b33b")),
    "GitHub Actions": (None, ("", "", "-beta.1")),
    "Pub": (None, ("", "", "+1", "-rc.1")),
    "Julia": (None, ("", "", "+0", "+2")),
    "Bitnami": (None, ("", "-0", "-1", "-12")),
    "NuGet": (peer.NugetVersion, ("", "", "-beta.2", "-rc1")),
    "Maven": (peer.MavenVersion, ("", "", ".Final", "-SNAPSHOT", "-rc2", "-jre", "-alpha-1")),
    "RubyGems": (peer.RubygemsVersion, ("", "", ".rc1", ".pre.2", ".beta3")),
    "Packagist": (peer.ComposerVersion, ("", "", "-beta1", "-RC2")),
    "Hackage": (None, ("", ".1")),
    "CRAN": (None, ("", "-1", "-12")),
    "opam": (None, ("", "~beta1", "+flambda")),
    "Debian": (peer.DebianVersion, ("-1", "-2+b1", "-1+deb12u3", "+dfsg-2.1", "~rc1-1", "-3ubuntu2.1")),
    "Alpine": (peer.AlpineLinuxVersion, ("-r0", "-r3", "_p1-r2", "_rc1-r0", "a-r1")),
    "AlmaLinux": (peer.RpmVersion, ("-1.el8", "-22.el8_7", "-3.module_el8.5.0+119+9a9ec082", "-48.el8_7.alma")),
}


def texts(ecosystem: str, ends: Sequence[str]) -> list[str]:
    """Return versions as they are usually written, no two alike."""
    draw = random.Random(ecosystem)
    found: dict[str, None] = {}
    while len(found) < COUNT:
        numbers = f"{draw.randint(0, 30)}.{draw.randint(0, 60)}.{draw.randint(0, 99)}"
        found["v" * (ecosystem == "Go") + numbers + draw.choice(ends)] = None
    return list(found)


def each(function: Callable[[str], object], values: Sequence[str]) -> None:
    """Call a function on each value."""
    for value in values:
        function(value)


def ordered(function: Callable[[str], Any], values: Sequence[str]) -> None:
    """Sort what a function makes of each value."""
    sorted(map(function, values))


def versions() -> None:
    """Time one key, and one key made and sorted among all, against univers."""
    measure.heading(f"version schemes against univers, {COUNT:,} versions each")
    scale = 1e6 / COUNT
    for ecosystem, (parse, ends) in SCHEMES.items():
        values = texts(ecosystem, ends)
        make: Callable[[str], Any] = partial(key.__wrapped__, ecosystem)
        for what, function, limit in (("make a key", each, 3.0), ("make a key and sort it", ordered, 0.5)):
            row = f"{ecosystem}: {what}"
            ours = partial(function, make, values)
            if parse is None:
                measure.told("", row, f"{measure.call(ours) * scale:.3f} us")
            else:
                found, theirs = measure.paired_calls(ours, partial(function, parse, values))
                measure.ratio("", row, found * scale, theirs * scale, limit, "us")


if __name__ == "__main__":
    sys.path.insert(0, str(world.ROOT))
    versions()
