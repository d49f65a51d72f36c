"""Sorting advisories outside memory: lines in one file, a small row of sort keys an advisory in a file an ecosystem.

Memory holds the rows of one ecosystem at a time. The order of a snapshot is that of the rows' bytes, because no
part of a row holds a byte as low as the separators.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from kit.snapshot.intake import Advisory

_BETWEEN = b"\0"
_END = b"\n"
_TAB = b"\t"
_FLUSH = 500


class Row(msgspec.Struct, frozen=True, gc=False):
    """What is known of a spilled advisory without reading its line. ``flags`` are its odd reasons."""

    id: bytes
    leaf: bytes
    file: bytes
    offset: int
    length: int
    withdrawn: bool
    flags: bytes
    keys: list[bytes]


class Spill:
    """Advisories on their way from any order into the snapshot's."""

    def __init__(self, directory: Path) -> None:
        self.content_size = 0
        self._written = 0
        self._directory = directory
        self._lines: BinaryIO = (directory / "lines").open("wb", buffering=1 << 17)
        self._reading = os.open(directory / "lines", os.O_RDONLY | os.O_CLOEXEC)
        self._rows: dict[bytes, list[bytes]] = {}
        self._paths: dict[bytes, Path] = {}

    def add(self, advisory: Advisory, file: str | None) -> None:
        """Keep one advisory; ``file`` is its name in the source, without control characters."""
        keys = advisory.keys
        ecosystem, _, package = keys[0].partition(_TAB) if keys else (b"", b"", b"")
        length = len(advisory.line)
        head = b"%b\0%b\0%b\0%b\0%d\0%d\0%d\0%b" % (
            package,
            advisory.id.encode(),
            advisory.leaf.hex().encode(),
            file.encode() if file else b"",
            self._written,
            length,
            advisory.withdrawn,
            ",".join(advisory.odd).encode() if advisory.odd else b"",
        )
        row = _BETWEEN.join((head, *keys))
        rows = self._rows.get(ecosystem)
        if rows is None:
            rows = self._rows[ecosystem] = []
            self._paths[ecosystem] = self._directory / f"rows-{len(self._paths)}"
        rows.append(row)
        self._lines.write(advisory.line)
        self._written += length
        self.content_size += length + 1
        if len(rows) >= _FLUSH:
            self._flush(ecosystem)

    def rows(self) -> Iterator[Row]:
        """Yield all rows in the order of the snapshot; call it when everything was added."""
        self._lines.flush()
        for ecosystem in sorted(self._rows):
            self._flush(ecosystem)
            rows = self._paths[ecosystem].read_bytes().split(_END)
            rows.pop()
            rows.sort()
            for row in rows:
                yield _parse(row)

    def line(self, row: Row) -> bytes:
        """Return the canonical line of a row."""
        return os.pread(self._reading, row.length, row.offset)

    def close(self) -> None:
        """Close the files; they lie in a directory that the caller removes."""
        self._lines.close()
        os.close(self._reading)

    def _flush(self, ecosystem: bytes) -> None:
        with self._paths[ecosystem].open("ab") as file:
            file.writelines(row + _END for row in self._rows[ecosystem])
        self._rows[ecosystem].clear()


def _parse(row: bytes) -> Row:
    _, identity, leaf, file, offset, length, withdrawn, flags, *keys = row.split(_BETWEEN)
    return Row(identity, bytes.fromhex(leaf.decode()), file, int(offset), int(length), withdrawn == b"1", flags, keys)
