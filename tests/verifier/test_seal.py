"""Sealed kits: opened by the keys that they were sealed to, and by nobody and nothing else."""

import base64
import json
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.poly1305 import Poly1305
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox

from builder import seal as sealer
from builder import split
from kit import errors, layout
from kit import result as results
from kit import seal as seals
from kit.bytes import digest
from kit.seal import OpeningKey, SealingKey
from tests.attacks import forge
from tests.verifier.conftest import Host
from tests.world import NOW, Replay, World
from verifier import inspect
from verifier import seal as opener

AT = "2026-06-01T12:00:00Z"
MINE, OTHER = OpeningKey(bytes(range(32))), OpeningKey(bytes(range(1, 33)))


def nothing(_: object) -> None:
    """Hear nothing."""


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def kit(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a kit with a program that takes several chunks."""
    home = tmp_path_factory.mktemp("plain")
    program = home / "linux-x86_64"
    program.mkdir()
    (program / "stella").write_bytes(random.Random(8).randbytes(3 * seals.CHUNK))
    (program / "notes").write_bytes(b"")
    return world.build_kit(home / "kit", programs=[program])


@pytest.fixture(scope="module")
def made(kit: Path) -> Path:
    sealer.seal(kit, [MINE.public], kit.parent / "sealed", os.urandom, nothing)
    return kit.parent / "sealed"


@pytest.fixture
def sealed(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "sealed"))


@pytest.fixture
def site(host: Host) -> Host:
    """Return a host that has the key to which the kit was sealed."""
    place = host.home / "site" / opener.KEY_FILE
    place.write_bytes(MINE.to_pem())
    place.chmod(0o600)
    return host


PROGRAM = "sealed/bin/linux-x86_64/stella"


def test_what_is_opened_is_the_kit(kit: Path, sealed: Path, tmp_path: Path) -> None:
    opener.open_medium(sealed, MINE, tmp_path / "opened", nothing)
    assert files(tmp_path / "opened") == files(kit)
    assert (tmp_path / "opened").stat().st_mode & 0o077 == 0


def test_nothing_of_a_hidden_file_is_on_the_medium(kit: Path, sealed: Path) -> None:
    medium = b"".join(files(sealed).values())
    hidden = {path: data for path, data in files(kit).items() if not opener.stays_clear(path)}
    assert len(hidden) > 6
    for path, data in hidden.items():
        if len(data) >= 64 and path not in (layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE):
            twice = path.partition("rootpack/")[1] and data in files(kit / "rootpack").values()
            assert twice or data[-64:] not in medium, path


def test_who_sent_what_and_how_big_stays_readable(kit: Path, sealed: Path, host: Host) -> None:
    told = inspect.look(sealed, host.site, NOW, place=host.home / "site")
    assert inspect.state(told) == inspect.SIGNED
    claimed = told["claimed"]
    assert isinstance(claimed, dict)
    assert claimed["sealedFor"] == [MINE.public.fingerprint]
    assert claimed["scans"] == [{"id": next((kit / "replay").iterdir()).name, "manifest": "sealed"}]
    assert str(told["nextStep"]).startswith("stella offline import")
    done = subprocess.run(["sha256sum", "--check", "--quiet", layout.SUMS_FILE], cwd=sealed, check=False)
    assert done.returncode == 0


def test_an_import_opens_checks_and_leaves_no_copy(kit: Path, sealed: Path, site: Host, replay: Replay) -> None:
    taken = site.take_in(sealed)
    assert taken.last.verdict == results.INTACT, taken.last.sentence
    assert files(site.current) == files(kit)
    assert list(site.store.incoming.iterdir()) == []
    assert replay(site.current, site=site.site)[0].verdict == results.VERIFIED


def test_volumes_are_sealed_one_by_one(world: World, kit: Path, site: Host, tmp_path: Path) -> None:
    split.split(kit, 500_000, tmp_path / "cut", [world.kit_signer], nothing)
    places = []
    for place in sorted((tmp_path / "cut").iterdir()):
        sealer.seal(place, [MINE.public], tmp_path / "sealed" / place.name, os.urandom, nothing)
        places.append(tmp_path / "sealed" / place.name)
    assert len(places) > 1
    assert site.take_in(places[-1]).last.reason == "VolumeMissing"
    assert site.take_in(*places[:-1]).last.verdict == results.INTACT
    assert files(site.current) == files(kit)


def test_each_of_several_recipients_opens_it(kit: Path, tmp_path: Path) -> None:
    sealer.seal(kit, [MINE.public, OTHER.public, MINE.public], tmp_path / "sealed", os.urandom, nothing)
    for number, key in enumerate((MINE, OTHER)):
        opener.open_medium(tmp_path / "sealed", key, tmp_path / f"opened-{number}", nothing)
        assert files(tmp_path / f"opened-{number}") == files(kit)


def test_two_seals_of_one_kit_have_nothing_in_common(kit: Path, made: Path, tmp_path: Path) -> None:
    sealer.seal(kit, [MINE.public], tmp_path / "again", os.urandom, nothing)
    assert (tmp_path / "again" / PROGRAM).read_bytes()[:64] != (made / PROGRAM).read_bytes()[:64]


@pytest.mark.parametrize("key", [OTHER, None], ids=["another", "none"])
def test_another_key_or_none_opens_nothing(sealed: Path, tmp_path: Path, key: OpeningKey | None) -> None:
    with pytest.raises(errors.SealKeyMissing) as caught:
        opener.open_medium(sealed, key, tmp_path / "opened", nothing)
    assert caught.value.details["expected"] == MINE.public.fingerprint
    assert not (tmp_path / "opened").exists()


def chunks(path: Path) -> tuple[bytes, list[bytes]]:
    """Return the header and the chunks of a sealed file."""
    data, size = path.read_bytes(), seals.CHUNK + seals.OVERHEAD
    rest = data[seals.HEADER :]
    return data[: seals.HEADER], [rest[at : at + size] for at in range(0, len(rest), size)]


def reordered(medium: Path) -> None:
    header, (first, second, *others) = chunks(medium / PROGRAM)
    (medium / PROGRAM).write_bytes(header + b"".join([second, first, *others]))


def doubled(medium: Path) -> None:
    header, (first, _, *others) = chunks(medium / PROGRAM)
    (medium / PROGRAM).write_bytes(header + b"".join([first, first, *others]))


def truncated(medium: Path) -> None:
    (medium / PROGRAM).write_bytes((medium / PROGRAM).read_bytes()[:-1])


def without_its_last_chunk(medium: Path) -> None:
    header, (*first, _) = chunks(medium / PROGRAM)
    (medium / PROGRAM).write_bytes(header + b"".join(first))


def with_a_chunk_of_another_file(medium: Path) -> None:
    stream = medium / "sealed/replay"
    (bundle,) = stream.rglob("outputbundle.tar.zst")
    header, listed = chunks(medium / PROGRAM)
    other = bundle.read_bytes()
    (medium / PROGRAM).write_bytes(header + (other + b"".join(listed))[: sum(map(len, listed))])


def with_more_behind(medium: Path) -> None:
    (medium / PROGRAM).write_bytes((medium / PROGRAM).read_bytes() + b"more")


def flipped(medium: Path) -> None:
    data = bytearray((medium / PROGRAM).read_bytes())
    data[len(data) // 2] ^= 1
    (medium / PROGRAM).write_bytes(data)


def files_exchanged(medium: Path) -> None:
    """Two files of one size, each with a stream that is whole: only what they are bound to differs."""
    place = next((medium / "sealed/replay").iterdir())
    names = sorted(path for path in place.iterdir() if path.is_file())
    pair = next(((a, b) for a in names for b in names if a != b), None)
    assert pair is not None
    a, b = pair[0].read_bytes(), pair[1].read_bytes()
    pair[0].write_bytes(b[: len(a)].ljust(len(a), b"x"))


def wrapped_key_changed(medium: Path) -> None:
    document = json.loads((medium / layout.SEAL_FILE).read_bytes())
    wrapped = bytearray(base64.b64decode(document["recipients"][0]["wrapped"]))
    wrapped[-1] ^= 1
    document["recipients"][0]["wrapped"] = base64.b64encode(wrapped).decode()
    (medium / layout.SEAL_FILE).write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))


def of_another_kit(medium: Path) -> None:
    document = json.loads((medium / layout.SEAL_FILE).read_bytes())
    document["kitDigest"] = digest.of_bytes(b"another")
    (medium / layout.SEAL_FILE).write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))


def a_file_more(medium: Path) -> None:
    (medium / "sealed/more").write_bytes(b"more")


def a_file_less(medium: Path) -> None:
    (medium / PROGRAM).unlink()


BROKEN: list[tuple[Callable[[Path], None], str]] = [
    (reordered, "SealBroken"),
    (doubled, "SealBroken"),
    (truncated, "SizeMismatch"),
    (without_its_last_chunk, "SizeMismatch"),
    (with_a_chunk_of_another_file, "SealBroken"),
    (with_more_behind, "SizeMismatch"),
    (flipped, "SealBroken"),
    (files_exchanged, "SealBroken"),
    (wrapped_key_changed, "SealBroken"),
    (of_another_kit, "SealBroken"),
    (a_file_more, "FileUndeclared"),
    (a_file_less, "FileMissing"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN, ids=[change.__name__ for change, _ in BROKEN])
def test_a_sealed_medium_that_was_changed_is_refused_and_nothing_is_left(
    sealed: Path, site: Host, tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    change(sealed)
    with pytest.raises(getattr(errors, reason)):
        opener.open_medium(sealed, MINE, tmp_path / "opened", nothing)
    assert [path.name for path in tmp_path.iterdir() if "opened" in path.name] == []
    with pytest.raises(getattr(errors, reason)):
        site.take_in(sealed)
    assert list(site.store.incoming.iterdir()) == []
    assert site.site.state.accepted == ()


def test_a_stream_of_one_file_is_not_that_of_another(kit: Path) -> None:
    key, kit_digest = bytes(32), digest.of_bytes(b"kit")
    stream = list(sealer.sealed(iter([b"content"]), key, kit_digest, "a", 7))
    assert b"".join(seals.opened(stream, key, kit_digest, "a", 7)) == b"content"
    for other in ((kit_digest, "b", 7), (kit_digest, "a", 8), (digest.of_bytes(b"other"), "a", 7)):
        with pytest.raises(errors.SealBroken):
            list(seals.opened(stream, key, *other))


def test_a_forged_kit_that_is_sealed_is_refused_after_opening(world: World, site: Host, tmp_path: Path) -> None:
    forged = world.copy_kit(tmp_path / "forged")
    document = json.loads((forged / layout.KIT_ENVELOPE).read_bytes())
    document["signatures"][0]["sig"] = base64.b64encode(b"0" * 70).decode()
    (forged / layout.KIT_ENVELOPE).write_text(json.dumps(document))
    sealer.seal(forged, [MINE.public], tmp_path / "sealed", os.urandom, nothing)
    refused = site.take_in(tmp_path / "sealed")
    assert refused.last.reason in ("SignatureInvalid", "SignerUnknown")
    kept = b"".join(path.read_bytes() for path in (site.store.quarantine).rglob("*") if path.is_file())
    assert (forged / "replay").is_dir()
    assert next((forged / "replay").rglob("manifest.json")).read_bytes() not in kept


def test_a_kit_that_is_not_what_its_list_says_is_not_sealed(world: World, tmp_path: Path) -> None:
    damaged = world.copy_kit(tmp_path / "damaged")
    (bundle,) = damaged.rglob("inputbundle.tar.zst")
    data = bytearray(bundle.read_bytes())
    data[100] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(errors.DigestMismatch):
        sealer.seal(damaged, [MINE.public], tmp_path / "sealed", os.urandom, nothing)
    assert not (tmp_path / "sealed").exists()


@pytest.mark.parametrize("at", range(0, 24, 4))
def test_a_death_while_opening_leaves_nothing_that_looks_finished(
    sealed: Path, site: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    class Died(BaseException):
        """What a kill is to the code that it meets."""

    left = [at]

    def dying(piece: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", nothing)  # the dead remove nothing
        patched.setattr(opener.shutil, "rmtree", lambda *_, **__: None)
        try:
            opener.open_medium(sealed, MINE, tmp_path / "opened", dying)
        except Died:
            assert not (tmp_path / "opened").exists()
    if not (tmp_path / "opened").exists():
        opener.open_medium(sealed, MINE, tmp_path / "opened", nothing)
    assert [path.name for path in tmp_path.iterdir() if "opened" in path.name] == ["opened"]


def test_the_commands(world: World, kit: Path, tmp_path: Path) -> None:
    world.new_site(tmp_path / "ops/site")
    made = forge.stella("offline", "encryption-key", "--json", cwd=tmp_path)
    assert made.code == 0, made.err
    told = json.loads(made.out)
    key = tmp_path / "ops/site/seal.key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    again = json.loads(forge.stella("offline", "encryption-key", "--json", cwd=tmp_path).out)
    assert again["encryptionKey"] == told["encryptionKey"]
    done = forge.stella("kit", "seal", kit, "--to", "ops/site/seal.pub.pem", "--out", "sealed", cwd=tmp_path)
    assert done.code == 0, done.err
    scan = next((kit / "replay").iterdir()).name
    for words in (("verify", "sealed"), ("replay", "sealed", "--strict", "--offline")):
        refused = forge.stella(*words, cwd=tmp_path)
        assert (refused.code, "KitSealed" in refused.err) == (22, True), refused.err
    opened = forge.stella("offline", "open", "sealed", "--out", "opened", cwd=tmp_path)
    assert (opened.code, "OPENED, NOT VERIFIED" in opened.err) == (0, True), opened.err
    assert files(tmp_path / "opened") == files(kit)
    taken = forge.stella("offline", "import", "sealed", "--at", AT, cwd=tmp_path)
    assert (taken.code, "ACTIVATED" in taken.err) == (0, True), taken.err
    manifest = f"ops/kits/current/default/replay/{scan}/manifest.json"
    assert forge.stella("replay", manifest, "--strict", "--offline", "--at", AT, cwd=tmp_path).code == 0
    key.chmod(0o644)
    assert forge.stella("offline", "open", "sealed", "--out", "more", cwd=tmp_path).code == 31


def test_keys_are_those_of_openssl_and_others_are_refused() -> None:
    private = load_pem_private_key(MINE.to_pem(), None)
    public = load_pem_public_key(MINE.public.to_pem())
    assert private.public_key().public_bytes_raw() == public.public_bytes_raw() == MINE.public.point  # type: ignore[union-attr]
    assert SealingKey.from_pem(MINE.public.to_pem()) == MINE.public
    assert OpeningKey.from_pem(MINE.to_pem()) == MINE
    for pem in (MINE.to_pem(), b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(errors.KeyRefused):
            SealingKey.from_pem(pem)
    weak = SealingKey(bytes(32)).to_pem()
    with pytest.raises(errors.KeyRefused, match="small order"):
        SealingKey.from_pem(weak)


def test_the_wrapped_key_opens_with_another_program_of_sealed_boxes(made: Path) -> None:
    seal = seals.parse((made / layout.SEAL_FILE).read_bytes())
    wrapped = base64.b64decode(seal.recipients[0].wrapped)
    assert SealedBox(PrivateKey(MINE.secret)).decrypt(wrapped) == MINE.unwrap(seal)


def rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & 0xFFFFFFFF


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Return the subkey of draft-irtf-cfrg-xchacha-03 section 2.2."""
    words = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            for one, two, three, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                words[one] = (words[one] + words[two]) & 0xFFFFFFFF
                words[three] = rotated(words[three] ^ words[one], by)
    return struct.pack("<8I", *words[:4], *words[12:])


def chacha20(key: bytes, nonce: bytes, block: int, data: bytes) -> bytes:
    return Cipher(algorithms.ChaCha20(key, struct.pack("<I", block) + nonce), None).encryptor().update(data)


def independent(stream: list[bytes], key: bytes, bound: Callable[[int], bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield content and tag of each chunk of a secret stream, by its specification and another library's primitives."""
    header, *listed = stream
    subkey, counter, inner = hchacha20(key, header[:16]), 1, header[16:]
    for index, chunk in enumerate(listed):
        nonce = struct.pack("<I", counter) + inner
        body, mac, extra = chunk[1:-16], chunk[-16:], bound(index)
        tag = chacha20(subkey, nonce, 1, chunk[:1] + bytes(63))
        authentic = Poly1305(chacha20(subkey, nonce, 0, bytes(64))[:32])
        authentic.update(extra + bytes(-len(extra) % 16) + chunk[:1] + tag[1:] + body)
        authentic.update(bytes((16 - 64 + len(body)) % 16) + struct.pack("<QQ", len(extra), 64 + len(body)))
        authentic.verify(mac)
        yield chacha20(subkey, nonce, 2, body), tag[0]
        inner = bytes(a ^ b for a, b in zip(inner, mac, strict=False))
        counter += 1


@settings(max_examples=20, deadline=None)
@given(
    size=st.sampled_from([0, 1, 15, 16, 17, 1000, seals.CHUNK - 1, seals.CHUNK, seals.CHUNK + 1, 2 * seals.CHUNK]),
    seed=st.integers(0, 1 << 32),
    path=st.sampled_from(["a", "replay/x/inputbundle.tar.zst", "bin/linux-x86_64/stella"]),
)
def test_a_stream_is_read_by_an_independent_reader(size: int, seed: int, path: str) -> None:
    chance = random.Random(seed)
    data, key, kit_digest = chance.randbytes(size), chance.randbytes(32), digest.of_bytes(chance.randbytes(8))
    pieces = [data[at : at + seals.CHUNK] for at in range(0, max(size, 1), seals.CHUNK)]
    stream = list(sealer.sealed(iter(pieces), key, kit_digest, path, size))
    assert sum(map(len, stream)) == seals.stored_size(size)
    found = list(independent(stream, key, lambda index: seals.associated(kit_digest, path, size, index)))
    assert b"".join(part for part, _ in found) == data
    assert [tag for _, tag in found] == [0] * (len(pieces) - 1) + [3]
    assert b"".join(seals.opened(stream, key, kit_digest, path, size)) == data


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_whatever_calls_itself_a_seal_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(errors.StellaError):
        seals.parse(data)
