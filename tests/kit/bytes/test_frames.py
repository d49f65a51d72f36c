"""kit.bytes.frames: docs/format.md section 1.5, hostile frames, and the zstd program."""

import contextlib
import gzip
import hashlib
import io
import os
import random
import shutil
import subprocess

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import frames
from kit.errors import LimitExceeded, MalformedFrame

MIB = 1 << 20
SIZES = [1, 2, 255, 256, 257, 511, 65_535, 65_536, 65_791, 65_792, 131_072, 131_073, MIB, 4 * MIB]
MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
CONTENT = b"the quick brown fox " * 40


def compressed(data=CONTENT, **changes):
    """Return a frame of the library's own, with options other than ours."""
    options = {"write_checksum": True, "write_content_size": True} | changes
    return zstandard.ZstdCompressor(**options).compress(data)


def built(descriptor, rest, blocks=b"\x09\x00\x00\x61", checksum=bytes(4)):
    """Return a frame made by hand: descriptor, rest of the header, blocks (by default one raw "a"), checksum."""
    return MAGIC + bytes([descriptor]) + rest + blocks + checksum


def block(kind, size, data=b"", *, last=True):
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + data


@pytest.fixture(scope="module")
def dictionary():
    """Return the bytes of a small trained dictionary."""
    source = random.Random(7)
    words = [b"%08x" % source.getrandbits(32) for _ in range(50)]
    samples = [b" ".join(source.choice(words) for _ in range(60)) for _ in range(200)]
    return zstandard.train_dictionary(4096, samples).as_bytes()


def patterns():
    random_bytes = random.Random(1).randbytes(4 * MIB)
    return {"random": random_bytes, "zeros": bytes(4 * MIB), "text": CONTENT * (4 * MIB // len(CONTENT) + 1)}


@pytest.mark.parametrize("size", SIZES)
def test_frame_gives_its_content_back_and_its_lengths_are_known_beforehand(size):
    codec = frames.FrameCodec()
    for data in patterns().values():
        content = data[:size]
        frame = codec.compress(content)
        assert len(frame) <= frames.bound(size)
        assert codec.length(frame) == frames.frame_length(frame) == (len(frame), size)
        assert frames.frame_length(b"xx" + frame + b"yy", 2) == (len(frame), size)
        assert codec.decompress(frame) == frames.decompress_frame(frame) == content
        assert codec.compress(content) == frames.compress_frame(content) == frame


@pytest.mark.parametrize("level", [1, 3, 9, 19])
def test_every_level_stays_within_the_rules(level):
    content = CONTENT * 3000
    assert frames.decompress_frame(frames.compress_frame(content, level)) == content


@pytest.mark.parametrize("level", [0, -1, 20, 22])
def test_level_outside_the_rules_is_refused(level):
    with pytest.raises(LimitExceeded):
        frames.FrameCodec(level)


def test_golden_frames_of_the_locked_library(vectors):
    """Compressed bytes change with libzstd: an upgrade must be seen here, and never touches a content root."""
    cases = vectors("frames")
    if cases["library"] != frames.LIBRARY:
        pytest.skip(f"golden frames are of {cases['library']}, this is {frames.LIBRARY}")
    for name, data in patterns().items():
        for level in (1, 3, 9):
            frame = frames.compress_frame(data[: cases["size"]], level)
            assert hashlib.sha256(frame).hexdigest() == cases["sha256"][f"{name} {level}"]


def test_zstd_program_reads_our_frames_and_we_read_its(tmp_path):
    if shutil.which("zstd") is None:
        pytest.skip("no zstd program here")
    content = CONTENT * 5_000
    ours = frames.compress_frame(content) + frames.compress_frame(b"more")
    shown = subprocess.run(["zstd", "-dc"], input=ours, capture_output=True, check=True).stdout
    assert shown == content + b"more"
    (tmp_path / "f").write_bytes(content)
    theirs = subprocess.run(["zstd", "-c", "--check", tmp_path / "f"], capture_output=True, check=True).stdout
    assert frames.decompress_frame(theirs) == content


@pytest.mark.parametrize("size", [0, 4 * MIB + 1])
def test_content_outside_the_rules_is_not_compressed(size):
    with pytest.raises(LimitExceeded):
        frames.compress_frame(bytes(size))


HOSTILE = {
    "nothing": b"",
    "one byte": b"\x28",
    "magic alone": MAGIC,
    "wrong magic": b"\x29" + compressed()[1:],
    "gzip in disguise": gzip.compress(CONTENT, mtime=0),
    "tar in disguise": bytes(1024),
    "legacy 0.1": b"\x1e\xb5\x2f\xfd" + compressed()[4:],
    "legacy 0.7": b"\x27\xb5\x2f\xfd" + compressed()[4:],
    "magicless": compressed()[4:],
    "skippable alone": SKIPPABLE,
    "skippable before": SKIPPABLE + compressed(),
    "skippable after": compressed() + SKIPPABLE,
    "skippable of the last magic": b"\x5f" + SKIPPABLE[1:] + compressed(),
    "garbage before": b"x" + compressed(),
    "garbage after": compressed() + b"x",
    "zeros after": compressed() + bytes(512),
    "second frame": compressed() + compressed(),
    "cut magic after": compressed() + MAGIC[:3],
    "no content size": compressed(write_content_size=False),
    "no checksum": compressed(write_checksum=False),
    "no content": compressed(b""),
    "too much content": compressed(bytes(4 * MIB + 1)),
    "bomb": compressed(bytes(64 * MIB)),
    "window of 128 MiB": built(0x84, b"\x88\x01\x00\x00\x00"),
    "window of 8 MiB and a little": built(0x84, b"\x69\x01\x00\x00\x00"),
    "window of the largest kind": built(0x84, b"\xff\x01\x00\x00\x00"),
    "window of 2^27 by the library": zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27, write_checksum=True)
    ).compress(random.Random(3).randbytes(9 * MIB)),
    "single segment of 8 exabytes": built(0xE4, b"\xff" * 7 + b"\x7f"),
    "reserved bit": built(0x2C, b"\x01"),
    "unused bit": built(0x34, b"\x01"),
    "dictionary id": built(0x25, b"\x07\x01"),
    "dictionary id of four bytes": built(0x27, b"\x07\x00\x00\x00\x01"),
    "dictionary id of zero": built(0x25, b"\x00\x01"),
    "reserved block type": built(0x24, b"\x01", block(3, 1, b"a")),
    "block larger than its window": built(0x24, b"\x01", block(0, 2, b"ab")),
    "block larger than 128 KiB": built(0xA4, (4 * MIB).to_bytes(4, "little"), block(0, 131_073, bytes(131_073))),
    "too many blocks": built(0xA4, (4 * MIB).to_bytes(4, "little"), block(0, 0, last=False) * 4096 + block(0, 0)),
    "more blocks than the content warrants": built(0x24, b"\x01", block(0, 0, last=False) * 90 + block(0, 1, b"a")),
    "no last block": built(0x24, b"\x01", block(0, 1, b"a", last=False)),
    "wrong checksum": compressed()[:-1] + bytes([compressed()[-1] ^ 1]),
    "checksum of nothing": built(0x24, b"\x01"),
    "more content than declared": built(0x24, b"\x02", block(1, 2, b"a", last=False) + block(1, 2, b"a")),
    "less content than declared": built(0x24, b"\x03", block(1, 2, b"a")),
    "bomb of repeated bytes": built(
        0xA4, (131_072).to_bytes(4, "little"), block(1, 131_072, b"\0", last=False) * 9 + block(1, 131_072, b"\0")
    ),
    "compressed block of nonsense": built(0x24, b"\x40", block(2, 8, b"\xff" * 8)),
    "compressed block of nothing": built(0x24, b"\x40", block(2, 0)),
}


def read_all(data):
    codec = frames.FrameCodec()
    return [codec.decode(frame, content) for _, frame, content in frames.read_frames(io.BytesIO(data))]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frame_is_refused(name):
    for read in (frames.decompress_frame, frames.FrameCodec().decompress):
        with pytest.raises(MalformedFrame):
            read(HOSTILE[name])
    if name != "second frame":
        with pytest.raises(MalformedFrame):
            read_all(HOSTILE[name])


@pytest.mark.parametrize("name", ["random", "zeros", "text"])
def test_every_truncation_is_refused(name):
    frame = frames.compress_frame(patterns()[name][:200_000])
    cuts = (
        range(len(frame)) if len(frame) < 300 else [*range(200), len(frame) // 2, *range(len(frame) - 20, len(frame))]
    )
    for cut in cuts:
        with pytest.raises(MalformedFrame):
            frames.decompress_frame(frame[:cut])
        with pytest.raises(MalformedFrame):
            list(frames.read_frames(io.BytesIO(frame[:cut])))


def test_largest_window_is_accepted():
    frame = built(0x84, b"\x68\x01\x00\x00\x00")
    assert frames.frame_length(frame) == (len(frame), 1)


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda rest: MAGIC + rest))
def test_any_bytes_are_refused_or_are_one_whole_frame(data):
    try:
        content = frames.decompress_frame(data)
    except MalformedFrame:
        return
    assert zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False) == content


@given(st.data(), st.sampled_from([CONTENT, os.urandom(300), bytes(1000)]))
def test_changed_frame_is_refused_or_has_the_same_content(data, content):
    frame = bytearray(frames.compress_frame(content))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedFrame):
        assert frames.decompress_frame(bytes(frame)) == content


def test_file_of_frames_is_walked_whole_whatever_the_sizes():
    source = random.Random(5)
    contents = [source.randbytes(size) for size in (1, 3 * MIB, 4 * MIB, 5, 4 * MIB, 4 * MIB, 4 * MIB, 700, 1)]
    contents += [bytes(4 * MIB)] * 3 + [source.randbytes(1000) for _ in range(50)]
    packed = [frames.compress_frame(content) for content in contents]
    file = io.BytesIO(b"".join(packed))
    codec = frames.FrameCodec()
    offset = 0
    for expected, frame, (found_at, found, content) in zip(contents, packed, frames.read_frames(file), strict=True):
        assert (found_at, bytes(found), content) == (offset, frame, len(expected))
        assert codec.decode(found, content) == expected
        offset += len(frame)


@pytest.mark.parametrize("limit", [1, 2, 100, 4000, 4096, 5000])
def test_file_of_small_frames_is_walked_whole(limit):
    source = random.Random(limit)
    codec = frames.FrameCodec(max_content=limit)
    contents = [source.randbytes(source.randint(1, limit)) for _ in range(400)]
    file = io.BytesIO(b"".join(map(codec.compress, contents)))
    assert [codec.decode(frame, size) for _, frame, size in frames.read_frames(file, codec)] == contents


class Trickle(io.RawIOBase):
    """A file that gives a few bytes at a time."""

    def __init__(self, data):
        self._rest = memoryview(data)

    def readinto(self, buffer):
        count = min(len(buffer), len(self._rest), 7)
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def test_short_reads_are_no_end_of_file():
    packed = b"".join(frames.compress_frame(bytes([index]) * (index + 1)) for index in range(30))
    assert [content for _, _, content in frames.read_frames(Trickle(packed))] == list(range(1, 31))


def test_dictionary_is_demanded_by_its_id(dictionary):
    content = CONTENT[:300]
    codec = frames.FrameCodec(dictionary=dictionary)
    frame = codec.compress(content)
    assert codec.dictionary_id > 0
    assert codec.decompress(frame) == content
    assert codec.length(frame) == (len(frame), 300)
    with pytest.raises(MalformedFrame):
        frames.decompress_frame(frame)
    with pytest.raises(MalformedFrame):
        codec.decompress(frames.compress_frame(content))
    other = bytearray(dictionary)
    other[4] ^= 1
    with pytest.raises(MalformedFrame):
        frames.FrameCodec(dictionary=bytes(other)).decompress(frame)


@pytest.mark.parametrize(
    "data",
    [b"", b"raw content that nobody trained" * 10, b"\x37\xa4\x30\xec", b"\x37\xa4\x30\xec\x01\0\0\0" + bytes(40)],
)
def test_what_is_no_trained_dictionary_is_refused(data):
    with pytest.raises(MalformedFrame):
        frames.FrameCodec(dictionary=data).decompress(built(0x25, b"\x01\x01"))


def test_smaller_content_limit_is_kept(dictionary):
    for trained in (None, dictionary):
        codec = frames.FrameCodec(dictionary=trained, max_content=100)
        frame = codec.compress(bytes(100))
        assert codec.decompress(frame) == bytes(100)
        larger = frames.FrameCodec(dictionary=trained).compress(bytes(101))
        with pytest.raises(MalformedFrame):
            codec.decompress(larger)
        with pytest.raises(LimitExceeded):
            codec.compress(bytes(101))
    for limit in (0, 4 * MIB + 1):
        with pytest.raises(LimitExceeded):
            frames.FrameCodec(max_content=limit)
