"""The content-addressed store, in real directories."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import digest
from kit.errors import DigestMismatch, MalformedDocument, NotWritable, SizeMismatch
from locker import cas, files
from locker.cas import DirectoryCas

DATA = b"evidence" * 300_000
NAME = digest.hex_of(digest.of_bytes(DATA))


@pytest.fixture
def store(tmp_path: Path) -> DirectoryCas:
    DirectoryCas.create(tmp_path / "cas")
    return DirectoryCas(tmp_path / "cas")


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_an_object_lies_under_its_digest(store: DirectoryCas, tmp_path: Path) -> None:
    stored = store.put_bytes(DATA, cas.BUNDLE)
    assert stored.location == f"cas://replay/{NAME[:2]}/{NAME}.tar.zst"
    assert names(tmp_path / "cas") == [f"replay/{NAME[:2]}/{NAME}.tar.zst"]
    assert store.path(stored.digest, cas.BUNDLE).read_bytes() == DATA
    assert store.holds(stored.digest, cas.BUNDLE, len(DATA))
    assert not store.holds(stored.digest, cas.BUNDLE, len(DATA) - 1)
    assert not store.holds(stored.digest, cas.DOCUMENT, len(DATA))


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=5000))
def test_what_goes_in_comes_out(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        DirectoryCas.create(Path(root))
        store = DirectoryCas(Path(root))
        stored = store.put_bytes(data, cas.DOCUMENT)
        assert store.put_bytes(data, cas.DOCUMENT) == stored
        assert store.path(stored.digest, cas.DOCUMENT).read_bytes() == data


@pytest.mark.parametrize(
    ("content", "size", "refusal"),
    [
        (DATA[:-1] + b"X", len(DATA), DigestMismatch),
        (DATA[:-1], len(DATA), SizeMismatch),
        (DATA + b"X", len(DATA), SizeMismatch),
        (b"", len(DATA), SizeMismatch),
    ],
)
def test_other_bytes_are_refused_and_leave_nothing(
    store: DirectoryCas, tmp_path: Path, content: bytes, size: int, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        store.put(BytesIO(content), cas.BUNDLE, digest=digest.of_bytes(DATA), size=size)
    assert names(tmp_path / "cas") == []


@pytest.mark.parametrize("name", ["../x", "sha256:" + "A" * 64, "", "sha256:" + "a" * 63])
def test_a_key_is_made_of_nothing_but_a_digest(name: str) -> None:
    with pytest.raises(MalformedDocument):
        cas.key(name, cas.BUNDLE)


def test_an_object_that_a_disk_changed_is_healed(store: DirectoryCas) -> None:
    stored = store.put_bytes(DATA, cas.BUNDLE)
    path = store.path(stored.digest, cas.BUNDLE)
    path.write_bytes(b"\0" * len(DATA))
    assert store.put_bytes(DATA, cas.BUNDLE) == stored
    assert path.read_bytes() == DATA


def test_many_writers_of_one_object_leave_one(store: DirectoryCas, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: store.put_bytes(DATA, cas.BUNDLE), range(24)))
    assert len(set(stored)) == 1
    assert names(tmp_path / "cas") == [f"replay/{NAME[:2]}/{NAME}.tar.zst"]


def test_bytes_are_flushed_before_they_have_a_name_and_names_before_put_returns(
    store: DirectoryCas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, obstore.rename

    def watched_fsync(descriptor: int) -> None:
        flushed = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path / "cas").as_posix()
        done.append(f"flush {flushed.partition('/')[0] if flushed.startswith('tmp/') else flushed}")
        fsync(descriptor)

    def watched_rename(*arguments: object, **options: object) -> None:
        done.append("rename")
        rename(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(files.os, "fsync", watched_fsync)
    monkeypatch.setattr(obstore, "rename", watched_rename)
    store.put_bytes(DATA, cas.BUNDLE)
    assert done == ["flush tmp", "rename", f"flush replay/{NAME[:2]}", "flush replay", "flush ."]


def test_a_sweep_removes_what_killed_writers_left(store: DirectoryCas, tmp_path: Path) -> None:
    store.put_bytes(DATA, cas.BUNDLE)
    for name in ("0c1d", "0c1d#1"):
        (tmp_path / "cas/tmp" / name).write_bytes(b"half")
    store.sweep()
    assert names(tmp_path / "cas") == [f"replay/{NAME[:2]}/{NAME}.tar.zst"]


def test_a_writer_sweeps_only_when_it_is_alone(tmp_path: Path) -> None:
    swept: list[str] = []
    lock = tmp_path / "lock"
    with files.writer(lock, lambda: swept.append("first")):
        with files.writer(lock, lambda: swept.append("second")):
            pass
        assert swept == ["first"]
    with files.writer(lock, lambda: swept.append("third")):
        assert swept == ["first", "third"]


def test_a_store_that_cannot_be_written_is_told_apart(store: DirectoryCas, tmp_path: Path) -> None:
    fault = OSError(30, "Read-only file system")
    with pytest.raises(NotWritable), files.typed_errors("cas"):
        raise fault
    lost = FileNotFoundError(2, "gone")
    with pytest.raises(FileNotFoundError), files.typed_errors("cas"):
        raise lost
