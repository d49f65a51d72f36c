"""Zstandard frames in the one form that we write and accept: RFC 8878 section 3.1.1, docs/format.md section 1.5.

A frame's end is found by walking its block headers before anything is decoded, so that a frame can claim neither more
memory than its declared content nor bytes that are not its own.
"""

import mmap
from collections.abc import Iterator
from typing import Protocol

import zstandard

from kit.bytes.files import page_buffer
from kit.errors import LimitExceeded, MalformedFrame

MAX_CONTENT = 4 << 20
MAX_WINDOW = 8 << 20
MAX_BLOCKS = 4096
DEFAULT_LEVEL = 3
LIBRARY = "libzstd " + ".".join(str(part) for part in zstandard.ZSTD_VERSION)

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_TAIL = b"\x2a\x4d\x18"
_LEGACY_TAIL = b"\xb5\x2f\xfd"
_BLOCK_MAX = 128 << 10
_CHECKSUM_BYTES = 4
_HEADER_MAX = 18
_RLE, _RESERVED = 1, 3

Buffer = bytes | bytearray | memoryview


class Readable(Protocol):
    """A file opened for reading bytes, buffered or not."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from its start; return how many bytes, 0 at the end of the file."""
        ...


def bound(content: int) -> int:
    """Return the most bytes that a frame of that content may take (libzstd's own bound, header and checksum)."""
    margin = (_BLOCK_MAX - content) >> 11 if content < _BLOCK_MAX else 0
    return content + (content >> 8) + margin + _HEADER_MAX + _CHECKSUM_BYTES


MAX_FRAME = bound(MAX_CONTENT)


class FrameCodec:
    """One compressor and one decompressor of one level and dictionary. Not to be shared between threads.

    The call shape is fixed: one shot, content size known, single-threaded, checksum on. A dictionary is the bytes of
    a dictionary that zstd trained; its id then stands in every frame and is demanded of every frame.
    """

    __slots__ = ("_compressor", "_decompressor", "_dictionary", "_level", "dictionary_id", "max_content")

    def __init__(
        self, level: int = DEFAULT_LEVEL, dictionary: bytes | None = None, *, max_content: int = MAX_CONTENT
    ) -> None:
        if not 1 <= level <= 19:
            raise LimitExceeded(detail="compression level outside 1 to 19", found=level)
        if not 0 < max_content <= MAX_CONTENT:
            raise LimitExceeded(detail="frame content limit", found=max_content)
        self.max_content = max_content
        self.dictionary_id = 0
        self._level = level
        self._dictionary = None
        if dictionary is not None:
            self._dictionary = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_FULLDICT)
            self.dictionary_id = self._dictionary.dict_id()
            if self.dictionary_id == 0:
                raise MalformedFrame(detail="not a trained dictionary")
        self._compressor: zstandard.ZstdCompressor | None = None
        try:
            self._decompressor = zstandard.ZstdDecompressor(dict_data=self._dictionary, max_window_size=MAX_WINDOW)
        except zstandard.ZstdError as error:
            raise MalformedFrame(detail=f"dictionary does not load: {error}") from error

    def compress(self, data: Buffer) -> bytes:
        """Return one frame that holds the data, 1 byte to the content limit."""
        if not 0 < len(data) <= self.max_content:
            raise LimitExceeded(detail="frame content", found=len(data), expected=self.max_content)
        if self._compressor is None:
            # Not made for those who only read: with a dictionary it takes megabytes.
            self._compressor = zstandard.ZstdCompressor(
                level=self._level,
                dict_data=self._dictionary,
                write_checksum=True,
                write_content_size=True,
                write_dict_id=True,
                threads=0,
            )
        return self._compressor.compress(data)

    def length(self, buffer: Buffer, offset: int = 0) -> tuple[int, int]:
        """Return (bytes of the frame at the offset, bytes of its content), from its headers alone.

        MalformedFrame when the frame breaks a rule or the buffer ends before it does.
        """
        return frame_length(buffer, offset, dictionary_id=self.dictionary_id, max_content=self.max_content)

    def decompress(self, frame: Buffer) -> bytes:
        """Return the content of exactly one frame; MalformedFrame for anything else, more or less."""
        compressed, content = self.length(frame)
        if compressed != len(frame):
            raise MalformedFrame(detail="bytes after the frame", found=len(frame) - compressed)
        return self.decode(frame, content)

    def decode(self, frame: Buffer, content: int) -> bytes:
        """Return the content of a frame whose lengths the caller took from length() and cut to."""
        try:
            data = self._decompressor.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise MalformedFrame(detail=f"does not decode: {error}") from error
        if len(data) != content:
            raise MalformedFrame(detail="content size", expected=content, found=len(data))
        return data


def compress_frame(data: Buffer, level: int = DEFAULT_LEVEL) -> bytes:
    """Return one frame that holds the data; for many frames keep a FrameCodec."""
    return FrameCodec(level).compress(data)


def decompress_frame(frame: Buffer) -> bytes:
    """Return the content of exactly one frame without dictionary; for many frames keep a FrameCodec."""
    return FrameCodec().decompress(frame)


def frame_length(
    buffer: Buffer,
    offset: int = 0,
    *,
    dictionary_id: int = 0,
    max_content: int = MAX_CONTENT,
) -> tuple[int, int]:
    """Return (bytes of the frame at the offset, bytes of its content) by walking its headers.

    MalformedFrame when the frame breaks a rule or the buffer ends before it does.
    """
    found = _walk(buffer, offset, len(buffer), dictionary_id, max_content)
    if found is None:
        raise MalformedFrame(detail="truncated")
    return found


def _walk(
    buffer: Buffer | mmap.mmap, offset: int, end: int, dictionary_id: int, max_content: int
) -> tuple[int, int] | None:
    """Return what frame_length returns, or None when the frame does not end before the given end of the bytes."""
    magic = bytes(buffer[offset : offset + 4])
    if magic != _MAGIC or end < offset + 5:
        _refuse_magic(magic[: end - offset])
        return None
    layout = _LAYOUTS[buffer[offset + 4]]
    if isinstance(layout, str):
        raise MalformedFrame(detail=layout)
    window_bytes, dictionary_bytes, size_bytes, size_base = layout
    position = offset + 5 + window_bytes
    size_at = position + dictionary_bytes
    first_block = size_at + size_bytes
    if first_block > end:
        return None
    if dictionary_bytes or dictionary_id:
        found = int.from_bytes(buffer[position:size_at], "little")
        if found != dictionary_id or not found:
            raise MalformedFrame(detail="dictionary id", expected=dictionary_id, found=found)
    content = int.from_bytes(buffer[size_at:first_block], "little") + size_base
    if not 0 < content <= max_content:
        raise MalformedFrame(detail="frame content", found=content, expected=max_content)
    window = _window(buffer[position - 1]) if window_bytes else content
    if window > MAX_WINDOW:
        raise MalformedFrame(detail="window", expected=MAX_WINDOW, found=window)
    after = _walk_blocks(buffer, first_block, end, offset + bound(content), min(window, _BLOCK_MAX))
    return None if after is None else (after - offset, content)


def _walk_blocks(buffer: Buffer | mmap.mmap, position: int, end: int, limit: int, block_max: int) -> int | None:
    """Return where the frame that has its first block at the position ends, None when that is past the end."""
    for _ in range(MAX_BLOCKS):
        if position + 3 > end:
            return None
        head = buffer[position] | buffer[position + 1] << 8 | buffer[position + 2] << 16
        size = head >> 3
        kind = head >> 1 & 3
        if kind == _RESERVED or size > block_max:
            raise MalformedFrame(detail="reserved block type" if kind == _RESERVED else "block size", found=size)
        position += 4 if kind == _RLE else 3 + size
        if position + _CHECKSUM_BYTES > limit:
            raise MalformedFrame(detail="frame is longer than its content warrants")
        if head & 1:
            position += _CHECKSUM_BYTES
            return position if position <= end else None
    raise MalformedFrame(detail="too many blocks in a frame", expected=MAX_BLOCKS)


def _window(descriptor: int) -> int:
    """Return the window size of a window descriptor (section 3.1.1.1.2)."""
    base = 1 << (10 + (descriptor >> 3))
    return base + (base >> 3) * (descriptor & 7)


def _layout(descriptor: int) -> tuple[int, int, int, int] | str:
    """Return the bytes of window, dictionary id and content size and what to add to the last, or what is wrong."""
    if descriptor & 0x18:
        return "reserved bit in the frame header"
    if not descriptor & 0x04:
        return "no checksum"
    single_segment = descriptor >> 5 & 1
    size_bytes = (single_segment, 2, 4, 8)[descriptor >> 6]
    if not size_bytes:
        return "no content size"
    return 1 - single_segment, (0, 1, 2, 4)[descriptor & 3], size_bytes, 256 if size_bytes == 2 else 0


_LAYOUTS = tuple(_layout(descriptor) for descriptor in range(256))


def _refuse_magic(magic: bytes) -> None:
    if _MAGIC.startswith(magic):
        return
    if magic[1:] == _SKIPPABLE_TAIL and magic[0] >> 4 == 5:
        detail = "skippable frame"
    elif magic[1:] == _LEGACY_TAIL and 0x1E <= magic[0] <= 0x27:
        detail = "legacy frame"
    else:
        detail = "not a Zstandard frame"
    raise MalformedFrame(detail=detail, found=magic.hex())


def read_frames(file: Readable, codec: FrameCodec | None = None) -> Iterator[tuple[int, memoryview, int]]:
    """Yield (offset in the file, frame bytes, content length) for each frame of a file of frames and nothing else.

    The memoryview is valid until the next step. Reads from the file's current position, which counts as offset 0, to
    its end. MalformedFrame for a frame that breaks a rule, an empty file, or bytes that are no frame.
    """
    codec = codec or FrameCodec()
    buffer = page_buffer(2 * bound(codec.max_content) + mmap.PAGESIZE)
    view = memoryview(buffer)
    start = filled = consumed = 0
    while True:
        found = _walk(buffer, start, filled, codec.dictionary_id, codec.max_content)
        if found is not None:
            compressed, content = found
            yield consumed, view[start : start + compressed], content
            start += compressed
            consumed += compressed
            continue
        # The cut frame goes to the front, so that its end, where reading goes on, stays at the beginning of a page.
        rest = filled - start
        front = -rest % mmap.PAGESIZE
        view[front : front + rest] = view[start:filled]
        start, filled = front, front + rest
        count = _fill(file, view[filled:])
        filled += count
        if count == 0:
            break
    if start < filled:
        raise MalformedFrame(detail="truncated", offset=consumed)
    if consumed == 0:
        raise MalformedFrame(detail="empty")


def _fill(file: Readable, view: memoryview) -> int:
    """Read until the view is full or the file ends, and return how many bytes were read."""
    filled = 0
    while filled < len(view):
        count = file.readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled
