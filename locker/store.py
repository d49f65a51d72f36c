"""One locker: its directory, its pinned root, and who may write (docs/locker.md, "The directory").

A directory is a locker from the moment that its database has facts, which is the last thing that :func:`init` does.
What an interrupted :func:`init` leaves behind carries its mark and is made anew by the next one. Rows and objects may
have moved to servers since (:mod:`locker.move`); trust, quarantine and the locker's key stay in the directory.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from kit.bytes import digest
from kit.errors import AlreadyAccepted, OtherRootPinned, TrustRootRefused, UsageError
from locker import audit_keys, settings
from locker import rows as tables
from locker.acting import Acting, of_process
from locker.cas import Cas, DirectoryCas, open_store
from locker.files import exclusive, refuse_network, sync_directory, typed_errors, writer
from locker.rows import Rows, url_of_file
from locker.settings import Settings
from locker.tiers import Tiers, open_cold
from verifier import site as sites
from verifier.run_dir import stamp
from verifier.site import Site

DATABASE = "locker.db"
OBJECTS = "cas"
QUARANTINE = "quarantine"
WORK = "tmp"
SITE = "site"
AUDIT = audit_keys.DIRECTORY
LOCK = "writers.lock"
MARK = ".locker-init"

_OURS = {
    DATABASE,
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    f"{DATABASE}-journal",
    OBJECTS,
    QUARANTINE,
    WORK,
    SITE,
    LOCK,
    AUDIT,
}
_HARMLESS = {"lost+found"}
_PRIVATE = 0o700


class Locker:
    """An open locker. Reading is free; whatever stores or changes happens inside :meth:`writing`."""

    def __init__(self, path: Path, site: Site, rows: Rows, objects: Cas, chosen: Settings) -> None:
        self.path = path
        self.settings = chosen
        self.site = site
        self.rows = rows
        self.cas = objects
        self.quarantine = path / QUARANTINE
        self.work = path / WORK

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @cached_property
    def tiers(self) -> Tiers:
        """Return the hot store and the cold one; :class:`ServerUnreachable` where that is not there."""
        return Tiers(self.cas, open_cold(self.settings.cold))

    def close(self) -> None:
        """Close the database."""
        self.rows.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be one of the locker's writers; the first of them removes what killed ones left behind.

        Raises :class:`AuditRolledBack` and :class:`AuditForked` where the rows are not those that the audit log signed.
        """
        with ExitStack() as lock:
            with typed_errors(self.path.name):
                lock.enter_context(writer(self.path / LOCK, self._sweep))
            with self.rows.read() as connection:
                audit_keys.hold(connection, self.path / AUDIT)
            yield

    def _sweep(self) -> None:
        self.cas.sweep()
        for leftover in self.work.iterdir():
            leftover.unlink()
        for leftover in self.quarantine.glob(".new-*"):
            shutil.rmtree(leftover)


def init(path: Path, root: bytes, expect_root: str, *, now: datetime, entropy: Callable[[int], bytes]) -> Locker:
    """Make a locker in a directory that is empty or not there yet, and pin its trust root.

    ``expect_root`` is ``SHA256:<hex>``, received by another way than the file; ``entropy`` returns that many random
    bytes, for the key that the locker signs with. Raises :class:`AlreadyAccepted` where this locker is already,
    :class:`OtherRootPinned` where one with another root is, :class:`UsageError` for a directory with anything else in
    it, :class:`UnsuitableFileSystem`, and the errors of :func:`verifier.site.init` for a wrong root.
    """
    with typed_errors(path.name):
        path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        refuse_network(path)
        with exclusive(path):
            _refuse_existing(path, root)
            (path / MARK).touch()
            _clear(path)
            site = sites.init(path / SITE, root, expect_root, entropy=entropy)
            for name in (QUARANTINE, WORK):
                (path / name).mkdir()
            audit_keys.make_key(path / AUDIT, entropy)
            DirectoryCas.create(path / OBJECTS)
            sync_directory(path)
            rows = Rows(url_of_file(path / DATABASE))
            tables.create(rows, {"createdAt": stamp(now), "pinnedRoot": digest.of_bytes(root)})
            (path / MARK).unlink()
            sync_directory(path)
            sync_directory(path.parent)
    rows.act(of_process())
    return Locker(path, site, rows, DirectoryCas(path / OBJECTS), Settings())


def open_locker(path: Path, acting: Acting | None = None) -> Locker:
    """Return the locker in a directory; ``acting`` is whom its timeline names, by default whoever runs this process.

    Raises :class:`UsageError` where there is none, :class:`UnsupportedVersion` for one of another schema,
    :class:`TrustRootRefused` when its pinned root is not the one that it was made with, :class:`ServerUnreachable`.
    """
    chosen = settings.read(path)
    rows = open_rows(path, chosen)
    try:
        site = _checked_site(path, rows)
        rows.act(acting or of_process())
    except BaseException:
        rows.close()
        raise
    return Locker(path, site, rows, open_store(chosen.store, path / OBJECTS), chosen)


def _checked_site(path: Path, rows: Rows) -> Site:
    """Return what the locker trusts, once its rows say that it was made with it."""
    with rows.read() as connection:
        facts = tables.read_facts(connection)
    if facts is None:
        raise UsageError(path=path.name, detail="its making was interrupted; run again: stella locker init")
    with typed_errors(path.name):
        site = sites.load(path / SITE)
    if (found := digest.of_bytes(site.pinned_root)) != facts["pinnedRoot"]:
        raise TrustRootRefused(path=SITE, expected=facts["pinnedRoot"], found=found)
    return site


def open_rows(path: Path, chosen: Settings) -> Rows:
    """Return the database of a locker's directory, whatever is in it; :class:`UsageError` where there is none."""
    if chosen.database is not None:
        return Rows(chosen.database)
    if not (path / DATABASE).is_file():
        raise UsageError(path=path.name, detail="not a locker; make one with: stella locker init")
    with typed_errors(path.name):
        refuse_network(path)
    return Rows(url_of_file(path / DATABASE))


def _refuse_existing(path: Path, root: bytes) -> None:
    """Raise unless the directory is empty, or holds what an interrupted making left."""
    found = {entry.name for entry in path.iterdir()} - _HARMLESS
    if settings.FILE in found:
        raise AlreadyAccepted(path=path.name, detail="this locker exists")
    pinned = _pinned(path / DATABASE) if DATABASE in found else None
    if pinned == digest.of_bytes(root):
        raise AlreadyAccepted(path=path.name, detail="this locker exists")
    if pinned is not None:
        raise OtherRootPinned(path=path.name, expected=pinned, found=digest.of_bytes(root)).then(
            "Give another directory: the locker of another trust root is another locker."
        )
    if found and MARK not in found:
        raise UsageError(path=path.name, detail="the directory is not empty", found=min(found))


def _pinned(database: Path) -> str | None:
    """Return the fingerprint of the root that a locker was made with, nothing for one whose making never ended."""
    rows = Rows(url_of_file(database))
    try:
        with rows.read() as connection:
            facts = tables.read_facts(connection)
    finally:
        rows.close()
    return facts["pinnedRoot"] if facts else None


def _clear(path: Path) -> None:
    """Remove what an interrupted making left; nothing in it was ever acknowledged."""
    for entry in path.iterdir():
        if entry.name in _OURS and entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name in _OURS:
            entry.unlink()
