"""Write what is derived from code: docs/reason-codes.md and kit/schemas/*.schema.json.

Run by ``make docs``; tests hold both.

Usage: python -m tools.write_docs [--check]
"""

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kit import delta, errors, kitfile, manifest, result, seal, syncfile, volume
from kit.snapshot.records import SnapshotInfo
from kit.trust.keyring import Keyring
from scanner import explain, outputs

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS: dict[str, type[msgspec.Struct]] = {
    "manifest": manifest.Manifest,
    "kit": kitfile.Kit,
    "volume": volume.Volume,
    "delta": delta.Delta,
    "seal": seal.Seal,
    "result": result.Result,
    "receipt": result.Receipt,
    "site-results": syncfile.SiteResults,
    "snapshot": SnapshotInfo,
    "keyring": Keyring,
    "findings": outputs.FindingsDocument,
    "verdict": outputs.VerdictDocument,
    "vex": outputs.VexOutput,
    "difference": explain.Difference,
}

HEAD = """# Reason codes

Every refusal has one code, one exit code, one sentence and one next step. The code is stable: scripts and people on the
phone may rely on it. This page is written from `kit/errors/` by `make docs`.

| exit | code | what happened | what to do next |
|---|---|---|---|
"""


def reason_codes() -> str:
    """Return docs/reason-codes.md."""
    classes = [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.StellaError) and cls is not errors.StellaError
    ]
    classes.sort(key=lambda cls: (cls.exit_code, cls.__name__))
    rows = [f"| {cls.exit_code} | `{cls.__name__}` | {cls.sentence} | {cls.next_step} |" for cls in classes]
    return HEAD + "\n".join(rows) + "\n"


def schema(name: str, cls: type[msgspec.Struct]) -> str:
    """Return the JSON Schema (2020-12) of one of our documents."""
    document = msgspec.json.schema(cls, schema_hook=lambda _: {"description": "any value of the profile"})
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://stella-ops.org/schemas/offline-kit/{name}.schema.json",
    } | _without_null(document)
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _without_null(value: object) -> object:
    """Drop null as an alternative and as a default: an absent member is absent, never null."""
    if isinstance(value, list):
        return [_without_null(item) for item in value if item != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_null(item) for key, item in value.items() if not (key == "default" and item is None)}
    alternatives = kept.get("anyOf")
    if isinstance(alternatives, list) and len(alternatives) == 1:
        del kept["anyOf"]
        kept |= alternatives[0]
    return kept


def derived() -> Iterator[tuple[Path, str]]:
    """Yield every derived file and its content."""
    yield ROOT / "docs" / "reason-codes.md", reason_codes()
    for name, cls in SCHEMAS.items():
        yield ROOT / "kit" / "schemas" / f"{name}.schema.json", schema(name, cls)


def main() -> int:
    """Write the files, or with --check tell which are out of date."""
    stale = [path for path, content in derived() if not path.is_file() or path.read_text() != content]
    if "--check" in sys.argv:
        print("\n".join(f"out of date: {path.relative_to(ROOT)}" for path in stale))
        return 1 if stale else 0
    for path, content in derived():
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
