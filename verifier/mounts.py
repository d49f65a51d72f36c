"""Which mounted file system a path lies on, so that a site is told apart from the medium that a kit came on."""

import re
from pathlib import Path

import msgspec

from kit.errors import UsageError

MOUNTS = Path("/proc/self/mountinfo")
TRAVELLING = frozenset(
    ("exfat", "fuseblk", "hfs", "hfsplus", "iso9660", "msdos", "ntfs", "ntfs3", "udf", "vfat"),
)
"""Kinds of file system that media travel with and no Linux host keeps its own data on."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    """A mounted file system: where, and of which kind."""

    point: Path
    kind: str


def mounts(text: str) -> list[Mount]:
    """Return the mounts of a ``mountinfo`` (proc_pid_mountinfo(5)), the latest first."""
    found = []
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        columns, kinds = fields.split(" "), rest.split(" ")
        if len(columns) > 4 and kinds[0]:
            point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), columns[4])
            found.append(Mount(Path(point), kinds[0]))
    return found[::-1]


def mount_of(path: Path, among: list[Mount]) -> Mount | None:
    """Return the mount that a path, whether it is there yet or not, lies on."""
    place = path.resolve()
    around = [mount for mount in among if mount.point == place or mount.point in place.parents]
    return max(around, key=lambda mount: len(mount.point.parts), default=None)


def apart(site: Path, kit: Path, among: list[Mount] | None = None) -> str | None:
    """Refuse a site that lies on the medium of the kit; return what to note where that may be so.

    A medium that carries its own site chooses its own trust root (docs/adr/0010). Raises :class:`UsageError` on a file
    system that media travel with. On one of another kind nothing tells a medium from a disk of the host, so that the
    operator is told; the host's root file system is no medium.
    """
    known = _here() if among is None else among
    own, other = mount_of(site, known), mount_of(kit, known)
    if own is None or own != other or own.point == Path("/"):
        return None
    if own.kind in TRAVELLING:
        raise UsageError(
            path=str(site), detail=f"the site lies on the kit's own medium, {own.point} ({own.kind})"
        ).then("Keep the site on a disk of this host: --site DIR. What comes with a kit says nothing about it.")
    return f"site and kit lie on one file system, {own.point}; were it the medium, it would bring its own trust root"


def _here() -> list[Mount]:
    try:
        return mounts(MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return []
