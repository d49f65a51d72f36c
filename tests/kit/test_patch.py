"""Chunks of deltas: what is encoded comes back, whatever the windows, and anything else is refused; DELTA.json too."""

import random
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import delta as deltas
from kit import errors, patch
from kit.bytes import canonical, digest
from kit.delta import Base, Chunk, Delta, Object, Stored

DIGEST = digest.of_bytes(b"")


def edited(old: bytes, seed: int) -> bytes:
    """Return bytes with some pieces changed, moved, left out and added."""
    chance = random.Random(seed)
    new = bytearray(old)
    for _ in range(chance.randrange(6)):
        at, length = chance.randrange(len(new) + 1), chance.randrange(2000)
        kind = chance.randrange(4)
        if kind == 0:
            new[at:at] = chance.randbytes(length)
        elif kind == 1:
            del new[at : at + length]
        elif kind == 2:
            new[at : at + length] = chance.randbytes(length)
        else:
            piece = new[at : at + length]
            del new[at : at + length]
            new += piece
    return bytes(new)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 40_000), seed=st.integers(0, 1 << 32), pieces=st.integers(1, 9_000))
def test_what_is_encoded_comes_back_in_many_chunks_with_small_windows(size: int, seed: int, pieces: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(patch, "CHUNK", 5_000)
        patched.setattr(patch, "max_window", lambda _: 16_000)
        old = random.Random(seed).randbytes(size // 2) + b"advisory " * (size // 20)
        new = edited(old, seed)
        frames: list[bytes] = []
        given_in = [new[at : at + pieces] for at in range(0, len(new), pieces)]
        chunks = patch.encode(given_in, len(new), lambda at, length: old[at : at + length], len(old), frames.append)
    assert sum(chunk.size for chunk in chunks) == len(new)
    assert all(chunk.offset + chunk.window <= len(old) for chunk in chunks)
    parts = [
        patch.decode(frame, chunk, lambda at, length: old[at : at + length])
        for frame, chunk in zip(frames, chunks, strict=True)
    ]
    assert b"".join(parts) == new


OLD = random.Random(1).randbytes(10_000)
NEW = OLD[:4_000] + b"something new" + OLD[4_000:]


@pytest.fixture(scope="module")
def one() -> tuple[bytes, Chunk]:
    frames: list[bytes] = []
    (chunk,) = patch.encode([NEW], len(NEW), lambda at, length: OLD[at : at + length], len(OLD), frames.append)
    return frames[0], chunk


def test_an_edit_takes_few_bytes(one: tuple[bytes, Chunk]) -> None:
    assert len(one[0]) < 100


@pytest.mark.parametrize("base", [OLD[::-1], OLD[:5_000], b"", bytes(10_000)], ids=["reversed", "cut", "none", "zeros"])
def test_another_base_never_gives_other_bytes(one: tuple[bytes, Chunk], base: bytes) -> None:
    with pytest.raises((errors.MalformedFrame, errors.SizeMismatch)):
        patch.decode(one[0], one[1], lambda at, length: base[at : at + length])


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 10_000), value=st.integers(1, 255))
def test_a_flipped_bit_of_a_frame_never_gives_other_bytes(at: int, value: int) -> None:
    frames: list[bytes] = []
    (chunk,) = patch.encode([NEW], len(NEW), lambda at, length: OLD[at : at + length], len(OLD), frames.append)
    broken = bytearray(frames[0])
    broken[at % len(broken)] ^= value
    with suppress(errors.MalformedFrame, errors.LimitExceeded):
        assert patch.decode(bytes(broken), chunk, lambda at, length: OLD[at : at + length]) == NEW


@pytest.mark.parametrize("changes", [{"size": 10_012}, {"size": 1}, {"stored": 1}, {"window": 9_000}, {"offset": 1}])
def test_a_chunk_that_is_said_to_be_another_is_refused(one: tuple[bytes, Chunk], changes: dict[str, int]) -> None:
    with pytest.raises((errors.MalformedFrame, errors.SizeMismatch)):
        patch.decode(one[0], msgspec.structs.replace(one[1], **changes), lambda at, length: OLD[at : at + length])


def delta_of(**changes: object) -> Delta:
    base = Base(kit_id="default-000001-0123456789ab", digest=DIGEST, site=DIGEST, receipt=DIGEST)
    stored = Stored(path="delta/bin/a/b", size=100, digest=DIGEST)
    chunks = (Chunk(size=5000, stored=100, window=10),)
    one = Object(
        path="bin/a/b", size=5000, digest=DIGEST, how="patch", base="bin/a/b", base_digest=DIGEST, stored=stored,
        chunks=chunks,
    )  # fmt: skip
    wanted = {"objects": (msgspec.structs.replace(one, **changes),)}
    return Delta(
        schema_version="1.0", kit_id="default-000002-0123456789ab", kit_digest=DIGEST, compressor="libzstd", base=base,
        **wanted,
    )  # fmt: skip


def test_a_delta_is_read_as_it_was_written() -> None:
    assert deltas.parse(canonical.encode_record(delta_of())) == delta_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"how": "magic"},
        {"how": "same"},
        {"how": "same", "stored": None, "chunks": (), "digest": digest.of_bytes(b"other")},
        {"how": "bundle"},
        {"size": 4999},
        {"chunks": (Chunk(size=5000, stored=99),)},
        {"chunks": (Chunk(size=0, stored=100),)},
        {"chunks": (Chunk(size=5000, stored=100, offset=-1),)},
        {"chunks": (Chunk(size=5000, stored=100, window=deltas.MAX_WINDOW + 1),)},
        {"chunks": (Chunk(size=5000, stored=100, window=4 * 5000 + (64 << 10) + 1),)},
        {"chunks": (Chunk(size=(4 << 20) + 1, stored=100),)},
        {"path": "../a", "stored": Stored(path="delta/../a", size=100, digest=DIGEST)},
        {"stored": Stored(path="delta/bin/a/c", size=100, digest=DIGEST)},
    ],
)
def test_a_delta_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(errors.StellaError) as caught:
        deltas.parse(canonical.encode_record(delta_of(**changes)))
    assert caught.value.exit_code in (30, 31)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_whatever_calls_itself_a_delta_is_refused(data: bytes) -> None:
    with pytest.raises(errors.StellaError):
        deltas.parse(data)
