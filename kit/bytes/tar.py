"""The one form of tar member that we write and accept (POSIX ustar, pax where it must be): docs/format.md section 1.4.

There is no parser here on purpose: a reader knows the signed member list, encodes each header itself and compares.
"""

import hashlib

from kit.bytes.names import shown
from kit.errors import HostileName, LimitExceeded

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_SIZE = (1 << 53) - 1

_USTAR_SIZE_LIMIT = 8**11
_NAME_BYTES = 100
_PREFIX_BYTES = 155
_EXECUTABLE_PREFIX = "tools/"

_PAX_NAME = b"././@PaxHeader"

# The fields that are the same for every member of a kind: mode to gid, mtime, and type to device numbers.
_OWNER = b"0000000\0" * 2
_DATA_MODE = b"0000644\0" + _OWNER
_TOOL_MODE = b"0000755\0" + _OWNER
_TIME = b"00000000000\0"
_MAGIC = bytes(100) + b"ustar\00000" + bytes(64) + b"0000000\0" * 2
_FILE = b"0" + _MAGIC
_EXTENDED = b"x" + _MAGIC
_NO_PREFIX = bytes(_PREFIX_BYTES + 12)
_SUMS = {field: sum(field) for field in (_DATA_MODE, _TOOL_MODE, _FILE, _EXTENDED)}
_CONSTANT_SUM = sum(_TIME) + 8 * ord(" ")


def header(path: str, size: int) -> bytes:
    """Return all header blocks of a member: one ustar block, or a pax header, its record block(s) and a ustar block.

    The path must have passed names.check_name, whose length limit keeps records small.
    """
    if not 0 <= size <= MAX_SIZE:
        raise LimitExceeded(path=path, detail="member size", found=size)
    raw = path.encode("utf-8")
    if b"\0" in raw or not raw:
        raise HostileName(path=shown(path), detail="empty or with a zero byte")
    mode = _TOOL_MODE if path.startswith(_EXECUTABLE_PREFIX) else _DATA_MODE
    if len(raw) <= _NAME_BYTES and size < _USTAR_SIZE_LIMIT and path.isascii():
        return _block(b"", raw, mode, size, _FILE)
    place = _split(raw) if path.isascii() else None
    records = b""
    if place is None:
        records += _record(b"path", raw)
        # A reader without pax support still sees distinct, harmless names.
        place = (b"", b"pax." + hashlib.sha256(raw).hexdigest().encode("ascii"))
    ustar_size = size
    if size >= _USTAR_SIZE_LIMIT:
        records += _record(b"size", b"%d" % size)
        ustar_size = 0
    block = _block(place[0], place[1], mode, ustar_size, _FILE)
    if not records:
        return block
    extension = _block(b"", _PAX_NAME, _DATA_MODE, len(records), _EXTENDED)
    return extension + records + bytes(padding(len(records))) + block


def padding(size: int) -> int:
    """Return the number of zero bytes that follow content of that size."""
    return -size % BLOCK


def length(path: str, size: int) -> int:
    """Return the number of bytes that a member takes in the tar stream: headers, content and padding."""
    plain = len(path) <= _NAME_BYTES and size < _USTAR_SIZE_LIMIT and path.isascii()
    return (BLOCK if plain else len(header(path, size))) + size + padding(size)


def _block(prefix: bytes, name: bytes, mode: bytes, size: int, kind: bytes) -> bytes:
    octal = b"%011o\0" % size
    checksum = _CONSTANT_SUM + _SUMS[mode] + _SUMS[kind] + sum(prefix) + sum(name) + sum(octal)
    tail = prefix.ljust(_PREFIX_BYTES + 12, b"\0") if prefix else _NO_PREFIX
    return b"".join((name.ljust(_NAME_BYTES, b"\0"), mode, octal, _TIME, b"%06o\0 " % checksum, kind, tail))


def _split(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return (prefix, name) cut at the leftmost slash that leaves at most 100 bytes of name, or None."""
    if len(raw) <= _NAME_BYTES:
        return b"", raw
    cut = raw.find(b"/", len(raw) - _NAME_BYTES - 1)
    if not 0 < cut <= _PREFIX_BYTES or cut == len(raw) - 1:
        return None
    return raw[:cut], raw[cut + 1 :]


def _record(key: bytes, value: bytes) -> bytes:
    r"""Return a pax record ``<length> <key>=<value>\n``, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    total = rest + len(str(rest))
    total = rest + len(str(total))
    return b"%d %b=%b\n" % (total, key, value)
