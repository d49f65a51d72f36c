"""Shared by the tests of kit.bytes: the checked-in vectors."""

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def vectors():
    """Return the vectors of one file below data/, by its stem."""

    def load(stem: str) -> Any:
        return json.loads((DATA / f"{stem}.json").read_text(encoding="utf-8"))

    return load
