"""Making the pages of a snapshot again of its advisory lines (docs/format.md section 2.4).

Pages, directories and index follow from the lines, ``snapshot.json`` and the dictionary: docs/format.md section 9. What
comes out is held against the digests in ``snapshot.json`` by the caller.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from kit.bytes.frames import FrameCodec
from kit.bytes.merkle import leaf_hash
from kit.errors import LimitExceeded, MalformedDocument
from kit.snapshot.index import index_lines
from kit.snapshot.intake import Advisory, Normalise, judge
from kit.snapshot.records import ADVISORIES, INDEX, INDEX_PAGES, MAX_PAGE, PAGES, SnapshotInfo
from kit.snapshot.writer import write_advisories, write_index

MADE = (ADVISORIES, INDEX, INDEX_PAGES, PAGES)
"""The members that follow from the lines."""


def rebuild(
    target: Path, content: Iterable[bytes], info: SnapshotInfo, dictionary: bytes | None, normalise: Normalise
) -> None:
    """Write the members :data:`MADE` into a directory that has none of them; ``content`` is lines, in any pieces.

    Raises :class:`MalformedDocument` for a line that is no advisory of a snapshot.
    """
    index: dict[bytes, array[int]] = defaultdict(lambda: array("I"))
    lines = _judged(_lines(content), index, normalise)
    write_advisories(target, lines, FrameCodec(info.compressor.level, dictionary))
    write_index(target, index_lines(index), FrameCodec(info.compressor.level))


def _judged(
    lines: Iterable[bytes], index: dict[bytes, "array[int]"], normalise: Normalise
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (line, leaf hash), and gather the index on the way."""
    for ordinal, line in enumerate(lines):
        advisory = judge(None, line, normalise)
        if not isinstance(advisory, Advisory):
            raise MalformedDocument(path=ADVISORIES, pointer=f"/{ordinal}", detail=advisory.reason)
        for key in advisory.keys:
            index[key].append(ordinal)
        yield line, leaf_hash(line)


def _lines(content: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in content:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MAX_PAGE:
            raise LimitExceeded(path=ADVISORIES, detail="bytes of a line", expected=MAX_PAGE)
        yield from lines
    if rest:
        raise MalformedDocument(path=ADVISORIES, detail="the last line has no end")
