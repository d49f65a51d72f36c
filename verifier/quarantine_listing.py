"""What lies on media that were refused: found without following a link, and listed within bounds (docs/format.md 2.3).

No medium makes a record grow without end: so many entries are looked at, so many are listed, and a digest over all that
were looked at stands for the rest.
"""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from kit.bytes import canonical, digest, names

MAX_WALKED = 65_536
"""How many entries of the media are looked at."""
MAX_LISTED = 4096
MAX_NAMES = 512 << 10
"""How many of them a record lists, and how many characters their names may have together."""


class Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the quarantine's records."""


class KeptFile(Document, frozen=True):
    """One entry of the medium as it was found; ``member`` is its place in the bundle, where it is kept."""

    name: str
    kind: str = "file"
    size: int = 0
    member: str | None = None


class Listing(Document, frozen=True):
    """All that was found on the media, where ``files`` of an entry may list but the first of it.

    ``digest`` is over ``[name,kind,size]`` of each, a line of canonical JSON with its line feed, in order. ``is_cut``
    says that the media held still more, which nobody looked at.
    """

    entries: int
    bytes: int
    digest: str
    is_cut: bool = False


class Found(msgspec.Struct, frozen=True):
    """One entry of the media, and where it lies."""

    path: Path
    file: KeptFile


def found_on(media: Mapping[str, Path]) -> tuple[list[Found], bool]:
    """Return what lies on the media, and whether there is more than anybody looks at."""
    found: list[Found] = []
    left = MAX_WALKED
    for prefix, root in media.items():
        left = _walk(prefix, root, found, left)
    return found, left < 0


def listing_of(found: Sequence[Found], *, is_cut: bool) -> Listing:
    """Return the count, the bytes and the digest of all that was found."""
    whole = hashlib.sha256()
    for one in found:
        whole.update(canonical.encode([one.file.name, one.file.kind, one.file.size]) + b"\n")
    return Listing(
        entries=len(found),
        bytes=sum(one.file.size for one in found),
        digest=digest.of_raw(whole.digest()),
        is_cut=is_cut,
    )


def first_of(files: Sequence[KeptFile], most: int) -> tuple[KeptFile, ...]:
    """Return as many files as a record may list: those in the bundle before the others, in their order."""
    chosen: set[int] = set()
    room = MAX_NAMES
    for number in sorted(range(len(files)), key=lambda number: files[number].member is None)[:most]:
        room -= len(files[number].name) + len(files[number].member or "")
        if room < 0:
            break
        chosen.add(number)
    return tuple(file for number, file in enumerate(files) if number in chosen)


def _walk(prefix: str, root: Path, found: list[Found], left: int) -> int:
    """Add what lies below a directory in the order of names, without following a link.

    Return how many entries more may be looked at; below zero where there were too many.
    """
    pending = [root]
    while pending and left >= 0:
        directory = pending.pop()
        try:
            with os.scandir(directory) as there:
                inside = sorted(Path(entry.path) for entry in islice(there, left + 1))
        except OSError:
            found.append(Found(directory, KeptFile(name=_shown(prefix, root, directory), kind="unreadable")))
            continue
        for path in inside:
            left -= 1
            if left < 0:
                break
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                pending.append(path)
                continue
            kind = "file" if stat.S_ISREG(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else "other"
            size = status.st_size if kind == "file" else 0
            found.append(Found(path, KeptFile(name=_shown(prefix, root, path), kind=kind, size=size)))
    return left


def _shown(prefix: str, root: Path, path: Path) -> str:
    return names.shown(prefix + path.relative_to(root).as_posix())
