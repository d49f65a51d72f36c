"""The release under test: what ``make release`` left, named by STELLA_RELEASE."""

import os
import shutil
from pathlib import Path

import pytest

from builder import freeze


@pytest.fixture(scope="session")
def released():
    """Return the release of this machine's kind, as a freeze.Frozen."""
    place = os.environ.get("STELLA_RELEASE")
    if not place:
        pytest.skip("no release here: make release, then make release-check")
    return freeze.Frozen(Path(place) / freeze.platform())


@pytest.fixture(scope="session")
def tool():
    """Return the path of a program, or skip."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find
