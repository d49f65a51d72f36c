"""Files that are written from code are up to date, and our documents satisfy their published schemas."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from kit import errors, layout
from tests.world import SCAN_ID, Replay, World
from tools import write_docs

SCHEMAS = Path(write_docs.ROOT) / "kit" / "schemas"


@pytest.mark.parametrize("path", [path for path, _ in write_docs.derived()], ids=lambda path: path.name)
def test_derived_file_is_up_to_date(path: Path) -> None:
    expected = dict(write_docs.derived())[path]
    assert path.read_text() == expected, "run: make docs"


def test_reason_codes_are_unique_and_complete() -> None:
    page = write_docs.reason_codes()
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.StellaError) and cls is not errors.StellaError:
            assert page.count(f"| `{name}` |") == 1
            assert cls.sentence.endswith(".")
            assert cls.next_step


def check(schema: str, document: bytes) -> None:
    described = json.loads((SCHEMAS / f"{schema}.schema.json").read_bytes())
    Draft202012Validator.check_schema(described)
    Draft202012Validator(described, format_checker=FormatChecker()).validate(json.loads(document))


def test_documents_of_a_kit_satisfy_their_schemas(world: World) -> None:
    check("kit", (world.kit / layout.KIT_FILE).read_bytes())
    check("manifest", (world.kit / layout.scan_directory(SCAN_ID) / layout.MANIFEST_FILE).read_bytes())
    check("snapshot", (world.feed / "snapshot.json").read_bytes())
    check("keyring", next((world.rootpack / "targets").iterdir()).read_bytes())


def test_documents_of_a_run_satisfy_their_schemas(world: World, replay: Replay) -> None:
    from verifier.run import WHAT_IF, Plan

    _, run = replay(world.kit, Plan(WHAT_IF, "feeds", world.later_feed))
    check("result", (run / "result.json").read_bytes())
    check("receipt", (run / "receipt.json").read_bytes())
    check("difference", (run / "diff.json").read_bytes())
    check("findings", (run / "outputs" / "findings.json").read_bytes())
    check("verdict", (run / "outputs" / "verdict.json").read_bytes())
    check("vex", (run / "outputs" / "vex.json").read_bytes())


def test_unknown_member_breaks_the_schema(world: World) -> None:
    document = json.loads((world.kit / layout.KIT_FILE).read_bytes()) | {"surprise": 1}
    with pytest.raises(Exception, match="surprise"):
        check("kit", json.dumps(document).encode())
