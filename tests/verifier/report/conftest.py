"""Cases of runs as JSON: result, and where the run had them difference, outputs, journal and receipt."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bytes import canonical
from verifier.report import RunView, view

CASES = Path(__file__).with_name("cases")


@pytest.fixture
def load_case() -> Callable[[str], dict[str, Any]]:
    """Return a reader of cases by name."""

    def load(name: str) -> dict[str, Any]:
        case: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
        return case

    return load


@pytest.fixture
def view_of() -> Callable[[dict[str, Any]], RunView]:
    """Return what makes the view of a case out of the bytes that a run would have written."""

    def make(case: dict[str, Any]) -> RunView:
        return view(
            canonical.encode(case["result"]),
            case.get("difference"),
            outputs={path: canonical.encode(value) for path, value in case.get("outputs", {}).items()},
            journal=[canonical.encode(line) for line in case.get("journal", [])],
            receipt=canonical.encode(case["receipt"]) if "receipt" in case else None,
        )

    return make
