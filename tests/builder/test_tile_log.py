"""Our own log in its directory: deterministic, one writer, whole after a kill at any moment."""

import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from builder import attest, files, tile_log
from kit.bytes import merkle
from kit.errors import LedgerSignatureInvalid, MerkleRootMismatch, UsageError
from kit.ledger import checkpoint
from kit.ledger.note import NoteKey
from kit.ledger.tiles import TileTree, tiles_of
from kit.trust.keys import PemSigner

NAME = "log.example/own"
KEY = PemSigner.from_seed("ed25519", bytes(range(32)))
TRUST = checkpoint.Trust((NoteKey(NAME, KEY.public),))


def entries(count: int, start: int = 0) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(start, start + count)]


def append(directory: Path, new: list[bytes], key: PemSigner = KEY, name: str = NAME) -> list[int]:
    with tile_log.opened(directory, name, key) as log:
        return log.append(new)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def signed_tree(directory: Path) -> checkpoint.Checkpoint:
    return checkpoint.open_signed((directory / "checkpoint").read_bytes(), TRUST, path="checkpoint").checkpoint


def check_whole(directory: Path, expected: list[bytes]) -> None:
    """Hold the files of a log against the plain tree over its entries."""
    leaves = [merkle.leaf_hash(each) for each in expected]
    tree = TileTree(len(leaves), lambda path: (directory / path).read_bytes())
    assert signed_tree(directory) == checkpoint.Checkpoint(NAME, len(leaves), merkle.root(leaves))
    assert tree.root() == merkle.root(leaves)
    assert [tree.leaf(at) for at in range(len(leaves))] == leaves
    for tile in tiles_of(len(leaves)):
        assert (directory / tile.path).is_file()


@pytest.mark.parametrize("steps", [[1], [1, 1, 1], [255, 1, 1], [256], [300, 300], [1, 600]])
def test_log_grows_in_any_steps(tmp_path: Path, steps: list[int]) -> None:
    done = 0
    for step in steps:
        assert append(tmp_path / "log", entries(step, done)) == list(range(done, done + step))
        done += step
        check_whole(tmp_path / "log", entries(done))


def test_same_entries_and_key_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for at in range(0, 520, 130):
            append(tmp_path / name, entries(130, at))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not [path for path in contents(tmp_path / "a") if path.startswith(("tile/0/000.p", "tile/entries/000.p"))]


def test_entry_has_one_place(tmp_path: Path) -> None:
    append(tmp_path, entries(300))
    before = contents(tmp_path)
    assert append(tmp_path, [b"entry 7", b"entry 299", b"entry 7"]) == [7, 299, 7]
    assert contents(tmp_path) == before
    assert append(tmp_path, [b"new", b"entry 0", b"new"]) == [300, 0, 300]


def test_writer_that_dies_at_any_write_leaves_the_old_log_and_is_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path / "log", entries(255))
    real, plain = files.write_atomic, tmp_path / "plain"
    append(plain, entries(255))
    append(plain, [b"other"])
    writes = len(contents(plain).keys() - contents(tmp_path / "log").keys()) + 1
    for survived in range(writes):
        log = tmp_path / f"log-{survived}"
        shutil.copytree(tmp_path / "log", log)
        left = iter([None] * survived)

        def dying(path: Path, data: bytes, mode: int = 0o644, left: object = left) -> None:
            next(left)  # type: ignore[call-overload]
            real(path, data, mode)

        monkeypatch.setattr(files, "write_atomic", dying)
        with pytest.raises(StopIteration):
            append(log, [b"never finished"])
        monkeypatch.setattr(files, "write_atomic", real)
        check_whole(log, entries(255))
        assert append(log, [b"other"]) == [255]
        check_whole(log, [*entries(255), b"other"])


def test_killed_writer_frees_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    append(log, entries(3))
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with tile_log.opened(log, NAME, KEY):
                os.write(told, b"x")
                signal.pause()
        finally:
            os._exit(1)
    os.read(ready, 1)
    try:
        with pytest.raises(UsageError, match="another command"):
            append(log, [b"x"])
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)
    assert append(log, [b"x"]) == [3]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_log_is_not_grown(tmp_path: Path, damage: str) -> None:
    append(tmp_path, entries(300))
    for name in ("tile/0/000", "tile/0/001.p/44"):
        log = tmp_path / "copy" / damage / name.replace("/", "-")
        shutil.copytree(tmp_path, log, ignore=shutil.ignore_patterns("copy"))
        data = bytearray((log / name).read_bytes())
        if damage == "remove":
            (log / name).unlink()
        else:
            data[40] ^= 1
            (log / name).write_bytes(data if damage == "flip" else data[:-1])
        before = contents(log)
        with pytest.raises(MerkleRootMismatch):
            append(log, [b"more"])
        assert contents(log) == before


def test_entries_that_are_not_the_tree_s_are_not_carried_on(tmp_path: Path) -> None:
    append(tmp_path, entries(3))
    place = tmp_path / "tile/entries/000.p/3"
    place.write_bytes(place.read_bytes().replace(b"entry 1", b"entry X"))
    with pytest.raises(MerkleRootMismatch):
        append(tmp_path, [b"more"])


def test_log_belongs_to_its_key_and_name(tmp_path: Path) -> None:
    append(tmp_path, entries(3))
    other = PemSigner.from_seed("ed25519", bytes(32))
    with pytest.raises(UsageError):
        append(tmp_path, [b"x"], name="log.example/other")
    forged = checkpoint.sign(checkpoint.Checkpoint(NAME, 3, bytes(32)), KEY)
    signed = (tmp_path / "checkpoint").read_bytes()
    (tmp_path / "checkpoint").write_bytes(forged.rpartition(b"\n\n")[0] + b"\n\n" + signed.rpartition(b"\n\n")[2])
    with pytest.raises(LedgerSignatureInvalid):
        append(tmp_path, [b"x"])
    for name in ("", "with space", "with+plus"):
        with pytest.raises(UsageError):
            append(tmp_path / "new", [b"x"], key=other, name=name)
    assert not (tmp_path / "new").exists()


def test_any_growth_is_consistent_with_every_tree_before(tmp_path: Path) -> None:
    chance = random.Random(5)
    seen: list[checkpoint.Checkpoint] = []
    done = 0
    for _ in range(6):
        step = chance.choice([1, 2, 100, 256])
        append(tmp_path, entries(step, done))
        done += step
        now = signed_tree(tmp_path)
        tree = TileTree(now.size, lambda path: (tmp_path / path).read_bytes())
        for old in seen:
            path = tree.consistency(old.size)
            assert merkle.verify_consistency(old.size, now.size, old.root, now.root, path)
        seen.append(now)


def test_files_of_a_log_have_one_stem() -> None:
    assert attest.stem(NAME) == attest.stem(NAME) != attest.stem("log.example/other")


def test_no_log_can_choose_a_name_whose_files_replace_another_logs() -> None:
    assert len(attest.stem(NAME)) == len("log-") + 128 // 4
