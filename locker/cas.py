"""The content-addressed store: one immutable object a digest, in a directory (docs/locker.md, "Objects").

An object's key is made of its digest alone, ``replay/<first 2 hex>/<sha256><suffix>``. The way in is: stage under
``tmp/`` while hashing, refuse on mismatch, flush, rename if absent, flush the directories. :meth:`Cas.put` returns only
then, so a row that is committed afterwards never points at nothing.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore

from kit.bytes import digest as digests
from kit.errors import DigestMismatch, SizeMismatch
from locker.files import sync_directory, sync_file, typed_errors

BUNDLE = ".tar.zst"
"""Suffix of a bundle's key."""
EVIDENCE = ".evidence"
"""Suffix of a proof's key, whatever its form."""
DOCUMENT = ".json"
"""Suffix of a manifest's or an envelope's key."""

_PREFIX = "replay"
_STAGING = "tmp"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that is safely on the disk."""

    digest: str
    size: int
    location: str


def key(digest: str, suffix: str) -> str:
    """Return an object's key below the store's root; ``digest`` is ``sha256:<hex>``."""
    name = digests.hex_of(digest)
    return f"{_PREFIX}/{name[:2]}/{name}{suffix}"


def location(digest: str, suffix: str) -> str:
    """Return the URI that rows and people use for an object."""
    return f"cas://{key(digest, suffix)}"


class Cas:
    """A store in a local directory.

    Any number of processes may put at once; :meth:`sweep` may run only while none does.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._store = LocalStore(prefix=root)

    @staticmethod
    def create(root: Path) -> None:
        """Make the directories of an empty store."""
        for name in (_PREFIX, _STAGING):
            (root / name).mkdir(parents=True, exist_ok=True)
        sync_directory(root)

    def path(self, digest: str, suffix: str) -> Path:
        """Return where an object lies or would lie."""
        return self._root / key(digest, suffix)

    def holds(self, digest: str, suffix: str, size: int) -> bool:
        """Tell whether there is an object under this digest with this size; its bytes are not read."""
        try:
            return self.path(digest, suffix).stat().st_size == size
        except FileNotFoundError:
            return False

    def put(self, source: BinaryIO, suffix: str, *, digest: str, size: int) -> Stored:
        """Store ``source``, whose bytes must be ``size`` long and hash to ``digest``; idempotent.

        An object that is there already is hashed again, and replaced if a failing disk has changed it. Raises
        :class:`DigestMismatch`, :class:`SizeMismatch`, :class:`NoSpace`, :class:`NotWritable`.
        """
        staged = f"{_STAGING}/{uuid4()}"
        with typed_errors("cas"):
            try:
                self._stage(source, staged, digest, size)
                sync_file(self._root / staged)
                self._place(staged, key(digest, suffix), digest, size)
            except BaseException:
                (self._root / staged).unlink(missing_ok=True)
                raise
        return Stored(digest, size, location(digest, suffix))

    def put_bytes(self, data: bytes, suffix: str) -> Stored:
        """Store a document that is in memory."""
        return self.put(BytesIO(data), suffix, digest=digests.of_bytes(data), size=len(data))

    def put_file(self, path: Path, suffix: str, *, digest: str, size: int) -> Stored:
        """Store a file."""
        with path.open("rb") as source:
            return self.put(source, suffix, digest=digest, size=size)

    def sweep(self) -> None:
        """Remove what killed writers left behind; there must be no writer alive."""
        for leftover in (self._root / _STAGING).iterdir():
            leftover.unlink()

    def _stage(self, source: BinaryIO, staged: str, digest: str, size: int) -> None:
        hashed = hashlib.sha256()
        copied = 0
        with obstore.open_writer(self._store, staged, buffer_size=_CHUNK) as target:
            while copied <= size and (chunk := source.read(_CHUNK)):
                hashed.update(chunk)
                copied += len(chunk)
                target.write(chunk)
        if copied != size:
            raise SizeMismatch(expected=size, found=copied)
        if (found := f"sha256:{hashed.hexdigest()}") != digest:
            raise DigestMismatch(expected=digest, found=found)

    def _place(self, staged: str, final: str, digest: str, size: int) -> None:
        path = self._root / final
        try:
            obstore.rename(self._store, staged, final, overwrite=False)
        except AlreadyExistsError:
            if digests.of_file(path) == (digest, size):
                (self._root / staged).unlink()
                sync_file(path)
            else:
                obstore.rename(self._store, staged, final, overwrite=True)
        for directory in (path.parent, path.parent.parent, self._root):
            sync_directory(directory)
