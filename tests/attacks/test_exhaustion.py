"""Small media that ask for much: of memory, of time, of the journal. Caps are generous."""

import json
import os
import random
from pathlib import Path

import pytest

from builder import trust_publish
from kit.result import REFUSED
from kit.trust.keys import PemSigner, PublicKey
from tests.attacks import forge
from tests.world import Replay, World
from verifier import run_dir

MEMORY = 400
"""Cap for one process: megabytes of address space (an idle run has below 200)."""


def test_flood_of_rootpack_files_is_refused_before_they_are_read(world: World, tmp_path: Path) -> None:
    # Nothing is signed yet when the RootPack is read; sparse files cost the attacker nothing.
    kit = world.copy_kit(tmp_path / "kit")
    for number in range(600):
        with (kit / "rootpack" / "targets" / f"flood-{number}").open("wb") as target:
            target.truncate(forge.MEGABYTE)
    done = forge.replay_under_caps(world, kit, tmp_path / "home", memory=MEMORY)
    assert done.code in (23, 31, 32), done.err[-300:]
    looked = forge.stella("look", kit, cwd=tmp_path, memory=MEMORY)
    assert looked.code == 31, looked.err[-300:]


def test_unsigned_root_costs_no_more_than_the_keys_of_the_pinned_one(
    world: World, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A next root that nobody trusted signed must not have its own thousand signatures checked first.
    entropy = random.Random(5).randbytes
    signers = [PemSigner.from_seed("ed25519", entropy(32)) for _ in range(200)]
    kit = world.copy_kit(tmp_path / "kit")
    (kit / "rootpack" / "metadata" / "2.root.json").write_bytes(next_root(world, signers))
    calls: list[bool] = []
    genuine = PublicKey.verify

    def counted(key: PublicKey, message: bytes, signature: bytes) -> bool:
        calls.append(True)
        return genuine(key, message, signature)

    monkeypatch.setattr(PublicKey, "verify", counted)
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (REFUSED, "TrustRootRefused")
    assert len(calls) <= 64


def next_root(world: World, signers: list[PemSigner]) -> bytes:
    from securesystemslib.formats import encode_canonical

    signed = json.loads(world.root)["signed"]
    keys = {key.keyid: key.to_dict() for key in map(trust_publish.tuf_key, [signer.public for signer in signers])}
    signed |= {"version": 2, "keys": keys}
    for role, entry in signed["roles"].items():
        entry |= {"keyids": list(keys), "threshold": len(keys) if role == "root" else 1}
    message = encode_canonical(signed).encode()
    signatures = [
        {"keyid": keyid, "sig": signer.sign(message).hex()} for keyid, signer in zip(keys, signers, strict=True)
    ]
    return json.dumps({"signed": signed, "signatures": signatures}).encode()


@pytest.mark.parametrize("member", ["schemaVersion", "inputs/sbom/digest", "inputs/vex/0/path"])
def test_long_text_in_a_refusal_does_not_make_the_run_count_for_nothing(
    world: World, replay: Replay, tmp_path: Path, member: str
) -> None:
    def change(document: dict[str, object]) -> None:
        *place, last = member.split("/")
        inner: object = document
        for step in place:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]  # type: ignore[index]
        inner[last] = "a" * (2 * forge.MEGABYTE)  # type: ignore[index]

    result, directory = replay(forge.hostile_kit(world, tmp_path / "kit", change=change))
    assert result.verdict == REFUSED
    assert run_dir.is_finished(directory)
    assert (directory / "result.json").stat().st_size < forge.MEGABYTE


@pytest.mark.parametrize("hours", [2**53 - 1, 10**12])
def test_window_beyond_the_calendar_is_no_internal_error(
    world: World, replay: Replay, tmp_path: Path, hours: int
) -> None:
    result, _ = replay(forge.hostile_kit(world, tmp_path / "kit", stalenessWindowHours=hours))
    assert result.reason != "InternalError"


def test_deep_directories_end_in_a_refusal_on_record(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    here = os.open(kit, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 120, dir_fd=here)
        deeper = os.open("d" * 120, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code in (31, 32)) == (REFUSED, True)


DOCUMENTS = {
    "nested arrays": b"[" * forge.MEGABYTE,
    "nested objects": b'{"a":' * 180_000,
    "long number": b'{"payload":' + b"9" * (forge.MEGABYTE - 20) + b"}",
    "long exponent": b'{"payload":1e' + b"9" * (forge.MEGABYTE - 20) + b"}",
    "many values": b'{"x":[' + b"0," * 500_000 + b"0]}",
    "zero bytes": bytes(forge.MEGABYTE),
    "doubled members": b"{" + b'"a":1,' * 150_000 + b'"a":1}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "sixteen bits": "{}".encode("utf-16"),
}


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(
    "path", ["kit.dsse.json", f"{forge.SCAN}/manifest.dsse.json", "rootpack/metadata/timestamp.json"]
)
def test_hostile_document_of_the_largest_size_is_refused(
    world: World, replay: Replay, tmp_path: Path, path: str, document: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / path).write_bytes(DOCUMENTS[document])
    result, _ = replay(kit)
    assert (result.verdict, result.exit_code in (20, 23, 31)) == (REFUSED, True), result.sentence
