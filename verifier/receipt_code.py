"""The QR code of a receipt's slip (ISO/IEC 18004): as SVG, as PNG, and in a terminal.

The bits come from segno's encoder. Its package also holds writers, which import a network library through the standard
library's XML tools; they are left alone, and a few lines here write what is needed.
"""

import struct
import sys
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from types import ModuleType

import msgspec

from kit.errors import InternalError, LimitExceeded

MAX_VERSION = 25
"""The largest symbol, 117 modules wide: on A5 paper, still half a millimetre a module."""
QUIET = 4
"""Light modules around the symbol, as the standard has them."""
_QUIET_ON_SCREEN = 2
_SCALE = 8
_DARK_ON_LIGHT, _PLAIN = "\x1b[0;30;47m", "\x1b[0m"
_DARK, _LIGHT = "\x1b[40m", "\x1b[47m"
_HALVES = {(0, 0): " ", (1, 0): "\u2580", (0, 1): "\u2584", (1, 1): "\u2588"}


class Code(msgspec.Struct, frozen=True):
    """A QR symbol: its rows of modules, 1 for dark, and its version (1 to 40)."""

    rows: tuple[tuple[int, ...], ...]
    version: int

    def framed(self, quiet: int) -> list[tuple[int, ...]]:
        """Return the rows with light modules around them."""
        width = len(self.rows) + 2 * quiet
        blank, side = (0,) * width, (0,) * quiet
        return [*[blank] * quiet, *((*side, *row, *side) for row in self.rows), *[blank] * quiet]


def make(slip: str) -> Code:
    """Return the symbol of a slip, of error correction level M.

    Raises :class:`LimitExceeded` for a slip that would need a larger symbol than a phone reads from paper.
    """
    made = _encoder().encode(slip, error="m", mode="alphanumeric", micro=False, boost_error=False)
    if made.version > MAX_VERSION:
        raise LimitExceeded(path="QR code", expected=f"version {MAX_VERSION}", found=made.version).then(
            "Carry receipt.dsse.json or the text of the slip: this site's signature is too long for a code."
        )
    return Code(tuple(tuple(int(module) for module in row) for row in made.matrix), made.version)


@cache
def _encoder() -> ModuleType:
    """Import the encoder without running its package: an empty one stands in its place meanwhile."""
    if "segno" in sys.modules:
        return import_module("segno.encoder")
    spec = find_spec("segno")
    if spec is None or spec.submodule_search_locations is None:
        raise InternalError(detail="the package segno is not installed")
    package = ModuleType("segno")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["segno"] = package
    try:
        return import_module("segno.encoder")
    finally:
        del sys.modules["segno"]


def svg(code: Code, *, inline: bool = False) -> str:
    """Return the symbol as an SVG image: one path on a white ground; ``inline`` for the inside of an HTML page."""
    size = len(code.rows) + 2 * QUIET
    runs = []
    for y, row in enumerate(code.rows):
        x = 0
        for dark, modules in groupby(row):
            width = len(list(modules))
            if dark:
                runs.append(f"M{x + QUIET} {y + QUIET}h{width}v1h-{width}z")
            x += width
    head = "" if inline else '<?xml version="1.0" encoding="UTF-8"?>\n'
    space = "" if inline else f' xmlns="http://www.w3.org/2000/svg" width="{size}mm" height="{size}mm"'
    return (
        f'{head}<svg{space} viewBox="0 0 {size} {size}" shape-rendering="crispEdges" role="img" aria-label="QR code">'
        f'<path fill="#fff" d="M0 0h{size}v{size}H0z"/><path d="{"".join(runs)}"/></svg>'
    ) + ("" if inline else "\n")


def png(code: Code) -> bytes:
    """Return the symbol as a PNG image of one bit a pixel (RFC 2083)."""
    lines = bytearray()
    framed = code.framed(QUIET)
    width = len(framed) * _SCALE
    for row in framed:
        bits = "".join(("0" if dark else "1") * _SCALE for dark in row).ljust(-(-width // 8) * 8, "0")
        lines += (b"\x00" + int(bits, 2).to_bytes(len(bits) // 8)) * _SCALE
    header = struct.pack(">2I5B", width, width, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(lines), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def marks(code: Code) -> str:
    """Return the symbol in ASCII, two characters a module: for paper, dark on light."""
    return _lines("".join("##" if dark else "  " for dark in row).rstrip() for row in code.framed(_QUIET_ON_SCREEN))


def for_screen(code: Code, *, columns: int, colours: bool, blocks: bool) -> str | None:
    """Return the symbol for a terminal, or None where it does not fit into its columns.

    Coloured spaces, two a module, wherever there is room; where ``blocks`` may be written, half blocks, one column a
    module. Without ``colours``, as :func:`marks`.
    """
    framed = code.framed(_QUIET_ON_SCREEN)
    if 2 * len(framed) <= columns:
        return _lines(_coloured(row) for row in framed) if colours else marks(code)
    if not (colours and blocks) or len(framed) > columns:
        return None
    uneven = [*framed, (0,) * len(framed)] if len(framed) % 2 else framed
    pairs = zip(uneven[::2], uneven[1::2], strict=True)
    return _lines(
        _DARK_ON_LIGHT + "".join(_HALVES[both] for both in zip(upper, lower, strict=True)) + _PLAIN
        for upper, lower in pairs
    )


def width_of(code: Code) -> int:
    """Return how many columns :func:`marks` needs."""
    return 2 * (len(code.rows) + 2 * _QUIET_ON_SCREEN)


def _coloured(row: Sequence[int]) -> str:
    runs = ((dark, 2 * len(list(modules))) for dark, modules in groupby(row))
    return "".join((_DARK if dark else _LIGHT) + " " * width for dark, width in runs) + _PLAIN


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
