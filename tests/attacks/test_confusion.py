"""Genuine signatures in the wrong place, mixed kits, borrowed key ids, two readings of one document: all refused."""

import base64
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from builder import feeds
from builder.record import record
from kit import kitfile, layout
from kit import manifest as manifests
from kit import result as results
from kit.bytes import canonical, digest
from kit.result import REFUSED, VERIFIED
from kit.trust import dsse, statement
from tests.attacks import forge
from tests.world import FEED, INPUTS, NOW, Replay, World, scan_request
from verifier.run import WHAT_IF, Plan
from verifier.run_dir import stamp

ENVELOPES = {
    layout.KIT_FILE: layout.KIT_ENVELOPE,
    f"{forge.SCAN}/{layout.MANIFEST_FILE}": f"{forge.SCAN}/{layout.MANIFEST_ENVELOPE}",
}


@pytest.fixture(scope="module")
def other(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another genuine kit of the same signer and scan id: later feed, other policy, other VEX, other time."""
    place = tmp_path_factory.mktemp("other")
    feed = feeds.add(place / "feeds", FEED, INPUTS / "advisories-later", snapshot_time="2026-05-29T00:00:00Z")
    changes = {
        "policy": (INPUTS / "policy.toml").read_bytes().replace(b"warn", b"fail"),
        "vex": {},
        "time": "2026-05-30T09:00:00Z",
    }
    recorded, _ = record(scan_request(feed.directory, **changes), [world.kit_signer], place / "records")
    return world.build_kit(place / "kit", records=[recorded], created_at=stamp(NOW - timedelta(hours=2)))


MIXTURES = {
    "kit list": [layout.KIT_FILE],
    "kit envelope": [layout.KIT_ENVELOPE],
    "kit list and envelope": [layout.KIT_FILE, layout.KIT_ENVELOPE],
    "kit list, envelope and sums": [layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE],
    "manifest": [f"{forge.SCAN}/{layout.MANIFEST_FILE}"],
    "manifest envelope": [f"{forge.SCAN}/{layout.MANIFEST_ENVELOPE}"],
    "manifest and envelope": [f"{forge.SCAN}/{layout.MANIFEST_FILE}", f"{forge.SCAN}/{layout.MANIFEST_ENVELOPE}"],
    "input bundle": [f"{forge.SCAN}/{layout.INPUT_BUNDLE}"],
    "output bundle": [f"{forge.SCAN}/{layout.OUTPUT_BUNDLE}"],
    "both bundles": [f"{forge.SCAN}/{layout.INPUT_BUNDLE}", f"{forge.SCAN}/{layout.OUTPUT_BUNDLE}"],
    "the whole scan": [forge.SCAN],
}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_mixture_of_two_genuine_kits_is_refused(
    world: World, replay: Replay, other: Path, tmp_path: Path, mixture: str
) -> None:
    assert replay(other)[0].verdict == VERIFIED
    kit = world.copy_kit(tmp_path / "kit")
    for path in MIXTURES[mixture]:
        if (other / path).is_dir():
            shutil.copytree(other / path, kit / path, dirs_exist_ok=True)
        else:
            shutil.copyfile(other / path, kit / path)
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code in (20, 30)) == (REFUSED, True), result.sentence


def forged_envelopes(world: World, place: Path) -> dict[str, bytes]:
    """Return envelopes whose signatures are genuine, of trusted keys, but about something else."""
    own = {name: (place / path).read_bytes() for name, path in ENVELOPES.items()}
    raw = {name: digest.of_bytes((place / name).read_bytes()) for name in ENVELOPES}
    kit, manifest = ENVELOPES
    claims = {
        "of a result": (results.RESULT_TYPE, {"result.json": raw[kit]}),
        "of a receipt": (results.RECEIPT_TYPE, {"receipt.json": raw[kit]}),
        "of a kit about a manifest": (kitfile.PREDICATE_TYPE, {layout.KIT_FILE: raw[manifest]}),
        "of a manifest about a kit": (manifests.PREDICATE_TYPE, {layout.MANIFEST_FILE: raw[kit]}),
        "without a type": (kitfile.PREDICATE_TYPE + "0", {layout.KIT_FILE: raw[kit]}),
        "about a name in other case": (kitfile.PREDICATE_TYPE, {"kit.json": raw[kit]}),
        "about two things": (kitfile.PREDICATE_TYPE, {layout.KIT_FILE: raw[kit], "KIT.json.bak": raw[kit]}),
        "with an empty predicate": (kitfile.PREDICATE_TYPE, {layout.KIT_FILE: raw[kit]}),
    }
    made = {
        name: dsse.sign(statement.make(subjects, kind, {}), dsse.IN_TOTO, [world.kit_signer])
        for name, (kind, subjects) in claims.items()
    }
    return made | {"of the manifest": own[manifest], "of the kit": own[kit]}


FORGED = [
    "of a result", "of a receipt", "of a kit about a manifest", "of a manifest about a kit", "without a type",
    "about a name in other case", "about two things", "with an empty predicate",
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "envelope"),
    [(document, envelope) for document in ENVELOPES for envelope in FORGED]
    + [(layout.KIT_FILE, "of the manifest"), (f"{forge.SCAN}/{layout.MANIFEST_FILE}", "of the kit")],
)
def test_genuine_envelope_about_something_else_is_refused(
    world: World, replay: Replay, tmp_path: Path, document: str, envelope: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    forged = forged_envelopes(world, kit)[envelope]
    (kit / ENVELOPES[document]).write_bytes(forged)
    if document != layout.KIT_FILE:
        forge.seal(kit, [world.kit_signer])
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code in (30, 31)) == (REFUSED, True), result.sentence


def change_envelope(change: Callable[[dict[str, object]], object]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return changed


def payload_of(document: dict[str, object]) -> str:
    return str(document["payload"])


def respell(document: dict[str, object]) -> None:
    """Say the same in other bytes: the statement with a space more."""
    spaced = base64.b64decode(payload_of(document)) + b" "
    document["payload"] = base64.b64encode(spaced).decode()


def loosen(document: dict[str, object]) -> None:
    """Spell the payload's base64 in a second way, with bits that count for nothing."""
    text = payload_of(document)
    body = text.rstrip("=")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = letters[letters.index(body[-1]) | (15 if text.endswith("==") else 3)]
    document["payload"] = (body[:-1] + last + "=" * (len(text) - len(body))) if text != body else body + "="


TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "no signature": change_envelope(lambda it: it.update(signatures=[])),
    "signatures are no list": change_envelope(lambda it: it.update(signatures={})),
    "another payload type": change_envelope(lambda it: it.update(payloadType="application/json")),
    "payload type in other case": change_envelope(lambda it: it.update(payloadType=dsse.IN_TOTO.upper())),
    "payload with a space": change_envelope(respell),
    "payload spelled otherwise": change_envelope(loosen),
    "payload twice": lambda data: data.replace(b'{"payload":', b'{"payload":"e30=","payload":', 1),
    "payload twice, escaped": lambda data: data.replace(b'{"payload":', b'{"pa\\u0079load":"e30=","payload":', 1),
    "bytes after the end": lambda data: data + b"{}",
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "not a number": lambda data: data[:-1] + b',"x":NaN}',
    "lone surrogate": lambda data: data[:-1] + b',"x":"\\ud800"}',
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("path", ENVELOPES.values())
def test_envelope_that_can_be_read_twice_is_refused(
    world: World, replay: Replay, tmp_path: Path, path: str, trick: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    before = (kit / path).read_bytes()
    (kit / path).write_bytes(TRICKS[trick](before))
    assert (kit / path).read_bytes() != before
    if path != layout.KIT_ENVELOPE:
        forge.seal(kit, [world.kit_signer])
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code in (20, 21, 22, 31)) == (REFUSED, True), result.sentence


def test_borrowed_key_id_makes_no_signer(world: World, replay: Replay, tmp_path: Path) -> None:
    stranger = forge.stranger(tmp_path / "stranger")
    kit = world.copy_kit(tmp_path / "kit")
    forge.seal(kit, [stranger.signer])
    document = json.loads((kit / layout.KIT_ENVELOPE).read_bytes())
    document["signatures"][0]["keyid"] = world.kit_signer.public.fingerprint
    (kit / layout.KIT_ENVELOPE).write_bytes(canonical.encode(document))
    assert replay(kit)[0].reason == "SignatureInvalid"


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "member twice": lambda data: data.replace(b'"sequence":1', b'"sequence":1,"sequence":1', 1),
    "other order": lambda data: json.dumps(dict(reversed(json.loads(data).items())), separators=(",", ":")).encode(),
    "white space": lambda data: data.replace(b",", b", ", 1),
    "escaped letter": lambda data: data.replace(b'"channel"', b'"channe\\u006c"', 1),
    "number with an exponent": lambda data: data.replace(b'"sequence":1', b'"sequence":1e0', 1),
    "unknown member": lambda data: data[:-1] + b',"zzz":1}',
    "line feed after the end": lambda data: data + b"\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_signed_kit_list_in_another_spelling_is_refused(
    world: World, replay: Replay, tmp_path: Path, spelling: str
) -> None:
    # The trusted key signed exactly these bytes; two readers could still see two contents.
    kit = world.copy_kit(tmp_path / "kit")
    parsed = kitfile.parse((kit / layout.KIT_FILE).read_bytes())
    raw = SPELLINGS[spelling]((kit / layout.KIT_FILE).read_bytes())
    payload = statement.make({layout.KIT_FILE: digest.of_bytes(raw)}, kitfile.PREDICATE_TYPE, kitfile.predicate(parsed))
    (kit / layout.KIT_FILE).write_bytes(raw)
    (kit / layout.KIT_ENVELOPE).write_bytes(dsse.sign(payload, dsse.IN_TOTO, [world.kit_signer]))
    forge.write_sums(kit, parsed)
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code) == (REFUSED, 31), result.sentence


@pytest.mark.parametrize(
    "name", ["kit.JSON", "readme.TXT", "README.txt\n", "bin/\u202etxt.sh", "re\u0301sume\u0301", "nul"]
)
def test_file_under_a_deceptive_name_is_refused(world: World, replay: Replay, tmp_path: Path, name: str) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / name).parent.mkdir(exist_ok=True)
    (kit / name).write_bytes(b"x")
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code in (31, 32)) == (REFUSED, True), result.sentence


def test_what_if_that_gives_the_recorded_bytes_is_not_verified(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    result, directory = replay(kit, Plan(WHAT_IF, "policy", INPUTS / "policy.toml"))
    assert all(entry.equal for entry in result.outputs)
    assert (result.verdict, result.mode) == ("WHAT-IF", "what-if:policy")
    payload = json.loads(base64.b64decode(json.loads((directory / "result.dsse.json").read_bytes())["payload"]))
    assert payload["predicate"]["verificationResult"] == "FAILED"
    assert "WHAT-IF" in (directory / "receipt.txt").read_text()
