"""Lists of numbers, fewer before more: Haskell packages, the Haskell compiler, R packages (docs/matching.md 3.8)."""

import re
from typing import Final, TypeAlias

from scanner.versions.form import read

Key: TypeAlias = tuple[int, ...]
# numbers, stage, number of the pre-release
CompilerKey: TypeAlias = tuple[Key, int, int]

_HACKAGE: Final = re.compile(r"(?:0|[1-9][0-9]*+)(?:\.(?:0|[1-9][0-9]*+))*")
_GHC: Final = re.compile(r"([0-9]++(?:\.[0-9]++)*)(?:-(alpha|beta|rc)([0-9]++))?")
_CRAN: Final = re.compile(r"[0-9]++(?:[.-][0-9]++)*")
_STAGES: Final = {"alpha": 0, "beta": 1, "rc": 2, None: 3}


def hackage_key(version: str) -> Key:
    """Return the sortable key of a version of a Haskell package: ``1.0`` comes before ``1.0.0``."""
    return tuple(map(int, read(_HACKAGE, version)[0].split(".")))


def ghc_key(version: str) -> CompilerKey:
    """Return the sortable key of a version of the Haskell compiler, a release or ``-alpha1``, ``-beta1``, ``-rc1``."""
    numbers, stage, count = read(_GHC, version).groups()
    return tuple(map(int, numbers.split("."))), _STAGES[stage], int(count or 0)


def cran_key(version: str) -> Key:
    """Return the sortable key of a version of an R package; ``.`` and ``-`` separate alike."""
    return tuple(map(int, read(_CRAN, version)[0].replace("-", ".").split(".")))
