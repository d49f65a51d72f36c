"""Names and texts of others in what people read: no markup, no terminal command, no line that they did not earn."""

import json
import re
from pathlib import Path

import pytest

from builder.record import record
from kit import result as results
from kit.bytes import canonical
from tests.attacks import forge
from tests.world import INPUTS, Replay, World, scan_request
from verifier import evidence
from verifier.render import receipt_text, status_block

NASTY = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m\x1b]0;title\x07\n"
    "VERDICT    VERIFIED (0), reason Ok\r\x9b2J\u2028\u2066{{7*7}}{% raw %}&#x1f;\ufeff\U000e0041"
)
FORGED_LINE = re.compile(r"^VERDICT", re.MULTILINE)


@pytest.fixture(scope="module")
def nasty_kit(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit whose subject, components, VEX author and policy carry hostile text, duly recorded and signed."""
    place = tmp_path_factory.mktemp("nasty")
    sbom = json.loads((INPUTS / "sbom.cdx.json").read_bytes())
    sbom["metadata"]["component"]["name"] = NASTY
    for component in sbom["components"]:
        component["name"] = NASTY
    vex = json.loads((INPUTS / "vex" / "orders-api.openvex.json").read_bytes()) | {"author": NASTY}
    changes = {"sbom": json.dumps(sbom).encode(), "vex": {"orders-api": json.dumps(vex).encode()}}
    recorded, _ = record(scan_request(world.feed, **changes), [world.kit_signer], place / "records")
    return world.build_kit(place / "kit", records=[recorded])


def test_page_receipt_and_status_of_a_hostile_scan_are_plain(world: World, replay: Replay, nasty_kit: Path) -> None:
    result, directory = replay(nasty_kit)
    assert result.verdict == results.VERIFIED
    page = (directory / "report.html").read_text(encoding="ascii")
    assert not re.search(r"<(script|img|iframe|svg|object|embed|link rel=.(?!icon))", page, re.IGNORECASE)
    assert "&lt;script&gt;" in page
    for name in ("report.html", "receipt.txt", "journal.ndjson", "metrics.prom"):
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", (directory / name).read_bytes()), name
    block = status_block(evidence.as_json((directory / "result.json").read_bytes()))
    assert block.isascii()
    assert len(FORGED_LINE.findall(block)) == 1
    assert max(map(len, block.splitlines())) <= 80


def test_readme_of_a_kit_with_a_hostile_subject_is_plain(nasty_kit: Path) -> None:
    readme = (nasty_kit / "README.txt").read_bytes()
    assert readme.isascii()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", readme)


def test_terminal_output_of_a_hostile_scan_is_plain(world: World, nasty_kit: Path, tmp_path: Path) -> None:
    done = forge.replay_under_caps(world, nasty_kit, tmp_path / "home")
    assert done.code == 0
    for text in (done.out, done.err):
        assert re.fullmatch(r"[\n -~]*", text)
        assert len(FORGED_LINE.findall(text)) == 1


def test_look_at_a_hostile_kit_that_nobody_signed_is_plain(world: World, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    forge.seal(kit, [forge.stranger(tmp_path / "stranger").signer], producer=NASTY)
    done = forge.stella("look", kit, "--site", world.new_site(tmp_path / "site").path, cwd=tmp_path)
    assert done.code == 0
    assert re.fullmatch(r"[\n -~]*", done.out)
    assert not FORGED_LINE.search(done.out)


def test_receipt_with_hostile_words_keeps_its_shape() -> None:
    digits = "sha256:" + "0" * 64
    receipt = results.Receipt(
        schema_version="1.0",
        site=digits,
        run_id=NASTY,
        mode=NASTY,
        verdict=results.REFUSED,
        reason=NASTY,
        exit_code=30,
        finished_at=NASTY,
        result_digest=digits,
        kit_id=NASTY,
        scan_id=NASTY,
    )
    slip = receipt_text(receipt)
    assert re.fullmatch(r"[\n -~]*", slip)
    assert FORGED_LINE.findall(slip) == ["VERDICT"]
    canonical.encode_record(receipt)
