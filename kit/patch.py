"""Chunks: a piece of new bytes as one frame that refers to a window of old ones (docs/format.md section 2.4).

A frame keeps the rules of docs/format.md section 1.5; its dictionary is the window as it is (zstd's raw content, which
has no id). One chunk at a time is in memory, on both sides. ``zstd -d --patch-from=WINDOW FRAME`` reads it as well.
"""

from collections.abc import Callable, Iterable, Iterator

import zstandard

from kit.bytes import frames
from kit.delta import Chunk, max_window
from kit.errors import MalformedFrame, SizeMismatch

CHUNK = frames.MAX_CONTENT
ReadAt = Callable[[int, int], bytes]
"""Returns exactly so many bytes of the base from an offset on."""

_PARAMETERS = zstandard.ZstdCompressionParameters(
    window_log=25,
    hash_log=23,
    chain_log=24,
    search_log=5,
    min_match=6,
    target_length=64,
    strategy=zstandard.STRATEGY_LAZY2,
    write_checksum=True,
    write_content_size=True,
    write_dict_id=False,
)
"""Tables as large as window and chunk: with those of zstd's levels most of the window would go unseen."""


def encode(
    target: Iterable[bytes], size: int, base: ReadAt, base_size: int, out: Callable[[bytes], object]
) -> list[Chunk]:
    """Write the frames of new bytes, given in pieces and ``size`` long together; return the chunks.

    Each window lies around the place in the base that has the same share of it before it.
    """
    chunks: list[Chunk] = []
    done = 0
    for piece in _cut(target):
        offset, window = _window(done, len(piece), size, base_size)
        frame = _compressor(base(offset, window)).compress(piece)
        out(frame)
        chunks.append(Chunk(size=len(piece), stored=len(frame), offset=offset if window else 0, window=window))
        done += len(piece)
    return chunks


def decode(frame: bytes, chunk: Chunk, base: ReadAt) -> bytes:
    """Return the bytes of a chunk; :class:`MalformedFrame` for a frame that is not just what the chunk says."""
    if frames.frame_length(frame, max_content=chunk.size) != (chunk.stored, chunk.size) or len(frame) != chunk.stored:
        raise MalformedFrame(detail="not the one frame of its chunk", expected=chunk.stored, found=len(frame))
    old = base(chunk.offset, chunk.window)
    if len(old) != chunk.window:
        raise SizeMismatch(detail="the base ends before the window does", expected=chunk.window, found=len(old))
    dictionary = zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if old else None
    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=frames.MAX_WINDOW)
    try:
        data = decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise MalformedFrame(detail=f"does not decode on its base: {error}") from error
    if len(data) != chunk.size:
        raise MalformedFrame(detail="content size", expected=chunk.size, found=len(data))
    return data


def _compressor(window: bytes) -> zstandard.ZstdCompressor:
    if not window:
        return zstandard.ZstdCompressor(level=9, write_checksum=True, write_content_size=True, write_dict_id=False)
    dictionary = zstandard.ZstdCompressionDict(window, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(compression_params=_PARAMETERS, dict_data=dictionary)


def _window(done: int, length: int, size: int, base_size: int) -> tuple[int, int]:
    """Return offset and length of the part of the base that a piece is most like, as far as places tell."""
    most = max_window(length)
    if base_size <= most:
        return 0, base_size
    middle = (2 * done + length) * base_size // (2 * size)
    offset = min(max(0, middle - most // 2), base_size - most)
    return offset, most


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of :data:`CHUNK`, the last one shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
    if held:
        yield bytes(held)
