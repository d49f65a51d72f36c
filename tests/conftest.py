"""What tests of several rooms share."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.stamps", "tests.world"]


@pytest.fixture(scope="session")
def frozen_verifier():
    """Return the frozen verifier of this checkout (``one_file``, ``folder_program``), built if a source changed."""
    from builder import freeze

    root = Path(__file__).parents[1]
    return freeze.freeze(root, root / "build")
