"""The crafted scan: two feeds, an SBOM, two VEX documents and a policy, small enough to check by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.evaluate import EvaluationInput

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def crafted_records() -> dict[str, list[dict]]:
    return {name: json.loads((DATA / f"{name}.json").read_bytes()) for name in ("go", "pypi")}


@pytest.fixture(scope="session")
def crafted(crafted_records, memory_feed, make_input) -> Callable[..., EvaluationInput]:
    def make(**others: object) -> EvaluationInput:
        fields = {
            "vex": [(path.name, path.read_bytes()) for path in sorted((DATA / "vex").iterdir())],
            "policy": (DATA / "policy.toml").read_bytes(),
        }
        feeds = [memory_feed(name, records) for name, records in crafted_records.items()]
        return make_input((DATA / "sbom.json").read_bytes(), *feeds, **(fields | others))

    return make
