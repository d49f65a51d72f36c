"""What a manifest declares is held against what is used, also where a trusted key has signed both."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kit import layout
from kit.bytes import canonical
from kit.result import REFUSED
from tests.attacks import forge
from tests.world import Replay, World
from verifier.run import VERIFY, Plan

Change = Callable[[dict[str, dict[str, object]]], None]


def declare(section: str, name: str, value: str) -> Change:
    def change(document: dict[str, dict[str, object]]) -> None:
        document[section][name] = value

    return change


CLAIMS: dict[str, tuple[Change, str]] = {
    "a verifier of a later version": (declare("engine", "minimumVerifier", "0.1.1"), "VerifierTooOld"),
    "a verifier of a much later version": (declare("engine", "minimumVerifier", "10.0.0"), "VerifierTooOld"),
    "no version of a verifier": (declare("engine", "minimumVerifier", "the newest"), "MalformedDocument"),
    "a version with a sign": (declare("engine", "minimumVerifier", "-1.0.0"), "MalformedDocument"),
    "another compiled policy": (declare("policy", "digest", "sha256:" + "0" * 64), "DigestMismatch"),
    "another policy's name": (declare("policy", "name", "strict"), "MalformedDocument"),
}


@pytest.mark.parametrize("mode", ["strict", VERIFY])
@pytest.mark.parametrize("claim", CLAIMS)
def test_false_claim_of_a_signed_manifest_is_refused(
    world: World, replay: Replay, tmp_path: Path, claim: str, mode: str
) -> None:
    change, reason = CLAIMS[claim]
    result, _ = replay(forge.hostile_kit(world, tmp_path / "kit", change=change), Plan(mode))
    assert (result.verdict, result.reason) == (REFUSED, reason)


MEMBERS = [
    (layout.SEEDS_MEMBER, "seed", "sha256:" + "0" * 64),
    (layout.ENVIRONMENT_MEMBER, "seed", "sha256:" + "0" * 64),
    (layout.ENVIRONMENT_MEMBER, "locale", "tr_TR.UTF-8"),
    (layout.ENVIRONMENT_MEMBER, "timezone", "Europe/Berlin"),
    (layout.SCAN_MEMBER, "id", "5e11a000-0000-4000-8000-00000000000f"),
    (layout.SCAN_MEMBER, "time", "2020-01-01T00:00:00Z"),
    (layout.SCAN_MEMBER, "subject", "another"),
    (layout.SCAN_MEMBER, "contract", "osv-match/0"),
]


@pytest.mark.parametrize(("path", "name", "value"), MEMBERS)
@pytest.mark.parametrize("fault", ["other", "gone"])
def test_carried_document_that_is_not_this_scans_is_refused(
    world: World, replay: Replay, tmp_path: Path, path: str, name: str, value: str, fault: str
) -> None:
    document = json.loads(forge.members_of(world)[path])
    document[name] = value
    if fault == "gone":
        del document[name]
    kit = forge.hostile_kit(world, tmp_path / "kit", members={path: canonical.encode(document)})
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (REFUSED, "MalformedDocument")
    assert f"path {path}, pointer /{name}" in result.sentence


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"seed":1}', b"\xff"])
def test_seeds_of_any_other_form_are_refused(world: World, replay: Replay, tmp_path: Path, data: bytes) -> None:
    result, _ = replay(forge.hostile_kit(world, tmp_path / "kit", members={layout.SEEDS_MEMBER: data}))
    assert (result.verdict, result.exit_code) == (REFUSED, 31)
    assert layout.SEEDS_MEMBER in result.sentence


def test_genuine_declarations_hold(world: World, replay: Replay) -> None:
    result, _ = replay(world.kit)
    checked = next(check for check in result.checks if check.name == "engine-and-tools")
    manifest = json.loads((world.kit / forge.SCAN / layout.MANIFEST_FILE).read_bytes())
    assert checked.evidence is not None
    assert checked.evidence["policy"] == manifest["policy"]["digest"]
