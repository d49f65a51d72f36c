"""The same bytes under any locale, time zone, hash seed and optimisation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import hashlib, json, sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from scanner.evaluate import EvaluationInput, evaluate
from scanner.explain import explain
from kit.bytes import canonical

spec = spec_from_file_location("shared_fixtures", "tests/scanner/conftest.py")
shared = module_from_spec(spec)
spec.loader.exec_module(shared)
data = Path("tests/scanner/evaluate/data")
feeds = [shared.MemoryFeed(name, json.loads((data / f"{name}.json").read_bytes())) for name in ("pypi", "go")]
vex = [(path.name, path.read_bytes()) for path in (data / "vex").iterdir()]
sbom, policy = (data / "sbom.json").read_bytes(), (data / "policy.toml").read_bytes()
fields = ("3f0c8f5e-3f4e-4c6e-9d55-0c6f6f1f8a01", "2026-01-02T03:04:05Z", "example", sbom)
given = EvaluationInput(*fields, feeds, vex, policy)
poorer = EvaluationInput(*fields, feeds[:1], vex[:1], b'schemaVersion = "1.0"\\nname = "other"\\n')
outputs, others = evaluate(given), evaluate(poorer)
difference = canonical.encode_record(explain(outputs, others, given, poorer))
print(json.dumps({path: hashlib.sha256(item).hexdigest() for path, item in [*outputs.items(), ("diff", difference)]}))
"""
SURROUNDINGS = {
    "utf-8 locale, eastern": {"LC_ALL": "C.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"},
    "turkish, western": {
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "TZ": "America/St_Johns",
        "PYTHONHASHSEED": "4294967295",
    },
    "optimised": {
        "LC_ALL": "C",
        "TZ": "Pacific/Apia",
        "PYTHONHASHSEED": "77",
        "PYTHONOPTIMIZE": "2",
        "PYTHONUTF8": "0",
    },
}


def digests(surroundings: dict[str, str]) -> dict[str, str]:
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment | surroundings, cwd=ROOT, capture_output=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    return digests({"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"})


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_the_outputs_do_not_depend_on_the_surroundings(name, plain):
    assert digests(SURROUNDINGS[name]) == plain
