"""Real VEX documents live outside the repository; without them the tests that need them are skipped."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_openvex() -> Mapping[str, bytes]:
    return _documents("openvex", "*/*.json")


@pytest.fixture(scope="session")
def real_csaf() -> Mapping[str, bytes]:
    return _documents("csaf", "*.json")


@pytest.fixture(scope="session")
def real_cyclonedx() -> Mapping[str, bytes]:
    return _documents("cyclonedx", "*.json")


def _documents(kind: str, pattern: str) -> Mapping[str, bytes]:
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("STELLA_TEST_DATA", default)) / "vex" / kind
    if not folder.is_dir():
        pytest.skip("no test data: set STELLA_TEST_DATA")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.glob(pattern))}
