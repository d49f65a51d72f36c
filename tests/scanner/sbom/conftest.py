"""Real SBOMs live outside the repository; without them the tests that need them are skipped."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_sbom() -> Callable[[str], bytes]:
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("STELLA_TEST_DATA", default)) / "sboms"
    if not folder.is_dir():
        pytest.skip("no test data: set STELLA_TEST_DATA")
    return lambda name: (folder / name).read_bytes()
