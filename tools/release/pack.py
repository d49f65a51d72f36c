"""Packs the folder form behind the launcher (``launcher.c``): one file that needs nothing of its host.

After the launcher stand the members' contents, each an LZ4 block where that is smaller, then a table of records of 512
bytes, then a trailer of 24. Numbers are little-endian. The same folder gives the same bytes.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

MAGIC = b"STELLA1\n"
RECORD = struct.Struct("<QQQII480s")
TRAILER = struct.Struct("<QQ8s")
DIRECTORY, FILE, LINK = 0, 1, 2

Compress = Callable[[bytes], bytes]

_BEST = 12


def pack(launcher: bytes, folder: Path, compress: Compress) -> bytes:
    """Return launcher, members, table and trailer; members are in the order of their paths."""
    out = bytearray(launcher)
    table = bytearray()
    paths = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
    for path in paths:
        kind, mode, content = _member(path)
        stored = compress(content) if kind == FILE and content else content
        stored = stored if len(stored) < len(content) else content
        name = os.fsencode(path.relative_to(folder))
        table += RECORD.pack(len(out), len(stored), len(content), kind, mode, name)
        out += stored
    out += bytes(-len(out) % 8)
    start = len(out)
    return bytes(out + table + TRAILER.pack(start, len(paths), MAGIC))


def _member(path: Path) -> tuple[int, int, bytes]:
    if path.is_symlink():
        return LINK, 0, os.fsencode(path.readlink())
    if path.is_dir():
        return DIRECTORY, 0o700, b""
    return FILE, 0o700 if path.stat().st_mode & stat.S_IXUSR else 0o600, path.read_bytes()


def lz4(library: Path) -> Compress:
    """Return the best compression of an LZ4 library, which the launcher's own source is also part of."""
    loaded = ctypes.CDLL(str(library))

    def compress(content: bytes) -> bytes:
        room = loaded.LZ4_compressBound(len(content))
        target = ctypes.create_string_buffer(room)
        size = loaded.LZ4_compress_HC(content, target, len(content), room, _BEST)
        return target.raw[:size]

    return compress
