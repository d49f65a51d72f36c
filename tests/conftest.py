"""What tests of several rooms share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import softhsm

pytest_plugins = ["tests.stamps", "tests.world"]


@pytest.fixture(scope="session")
def frozen_verifier():
    """Return the frozen verifier of this checkout (``one_file``, ``folder_program``), built if a source changed."""
    from builder import freeze

    root = Path(__file__).parents[1]
    return freeze.freeze(root, root / "build")


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[softhsm.Token]:
    """Return the one PKCS#11 token of this process: its library is configured when it is first used."""
    with softhsm.token(tmp_path_factory.mktemp("softhsm")) as made:
        yield made
