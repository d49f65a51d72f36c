"""The content-addressed store: one immutable object a digest (docs/locker.md, "Objects").

The way in is the same for a directory and a bucket: stage under ``tmp/`` while hashing, refuse on mismatch, make
durable, rename if absent. :meth:`Cas.put` returns only when the object outlives a power cut, so a row that is committed
afterwards never points at nothing.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from kit.bytes import digest as digests
from kit.errors import DigestMismatch, FileMissing, SizeMismatch
from locker.cas.keys import PREFIX, STAGING, Stored, key, location
from locker.files import typed_errors

_CHUNK = 1 << 20


class Cas(ABC):
    """A store of objects by digest; a directory or a bucket.

    Any number of processes may put at once; :meth:`sweep` may run only while no process on this machine does.
    """

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    def holds(self, digest: str, suffix: str, size: int) -> bool:
        """Tell whether there is an object under this digest with this size; its bytes are not read."""
        with typed_errors("cas"):
            try:
                return int(obstore.head(self._store, key(digest, suffix))["size"]) == size
            except FileNotFoundError:
                return False

    def has(self, digest: str, suffix: str) -> bool:
        """Tell whether there is an object under this digest, whatever its size."""
        with typed_errors("cas"):
            try:
                obstore.head(self._store, key(digest, suffix))
            except FileNotFoundError:
                return False
            return True

    def put(self, source: BinaryIO, suffix: str, *, digest: str, size: int) -> Stored:
        """Store ``source``, whose bytes must be ``size`` long and hash to ``digest``; idempotent.

        An object that is there already is hashed again, and replaced if it was changed. Raises
        :class:`DigestMismatch`, :class:`SizeMismatch`, :class:`NoSpace`, :class:`NotWritable`,
        :class:`ServerUnreachable`.
        """
        staged, final = f"{STAGING}/{uuid4()}", key(digest, suffix)
        with typed_errors("cas"):
            try:
                self._stage(source, staged, digest, size)
                self._make_durable(staged)
                was_there = self._place(staged, final, digest, size)
            except BaseException:
                # What cannot be removed either is swept away later; the first fault is the one to tell of.
                with suppress(OSError, BaseError):
                    self._discard(staged)
                raise
            self._made_durable(final, was_there=was_there)
        return Stored(digest, size, location(digest, suffix))

    def put_bytes(self, data: bytes, suffix: str) -> Stored:
        """Store a document that is in memory."""
        return self.put(BytesIO(data), suffix, digest=digests.of_bytes(data), size=len(data))

    def put_file(self, path: Path, suffix: str, *, digest: str, size: int) -> Stored:
        """Store a file."""
        with path.open("rb") as source:
            return self.put(source, suffix, digest=digest, size=size)

    def read(self, digest: str, suffix: str) -> Iterator[bytes]:
        """Yield an object's bytes in pieces; nothing is compared with the digest. Raises :class:`FileMissing`."""
        with typed_errors("cas"):
            yield from self._pieces(key(digest, suffix))

    def digest_of(self, digest: str, suffix: str) -> tuple[str, int]:
        """Return the digest and size that an object's bytes really have. Raises :class:`FileMissing`."""
        return _digest(self.read(digest, suffix))

    @contextmanager
    def file(self, digest: str, suffix: str, work: Path) -> Iterator[Path]:
        """Yield an object as a file that can be read; what had to be copied to ``work`` goes at the end.

        Nothing is compared with the digest. Raises :class:`FileMissing`.
        """
        copied = work / str(uuid4())
        try:
            with typed_errors(work.name), copied.open("xb") as target:
                for piece in self.read(digest, suffix):
                    target.write(piece)
            yield copied
        finally:
            copied.unlink(missing_ok=True)

    def remove(self, digest: str, suffix: str) -> None:
        """Remove an object for good, if it is there."""
        with typed_errors("cas"):
            self._discard(key(digest, suffix))

    def names(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of every object, in no order."""
        with typed_errors("cas"):
            for page in obstore.list(self._store, prefix=f"{PREFIX}/"):
                yield from ((entry["path"], int(entry["size"])) for entry in page)

    def staged(self) -> Iterator[tuple[str, datetime]]:
        """Yield name and time of everything that is on its way in, or that a killed writer left there."""
        with typed_errors("cas"):
            for page in obstore.list(self._store, prefix=f"{STAGING}/"):
                yield from ((entry["path"], entry["last_modified"]) for entry in page)

    @abstractmethod
    def sweep(self) -> None:
        """Remove what killed writers left behind; there must be no writer alive on this machine."""

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

    def _place(self, staged: str, final: str, digest: str, size: int) -> bool:
        """Give a staged object its name; tell whether the same bytes lay there before."""
        try:
            obstore.rename(self._store, staged, final, overwrite=False)
        except AlreadyExistsError:
            if _digest(self._pieces(final)) == (digest, size):
                self._discard(staged)
                return True
            obstore.rename(self._store, staged, final, overwrite=True)
        return False

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            found = obstore.get(self._store, name)
        except FileNotFoundError as fault:
            raise FileMissing(path=f"cas://{name}") from fault
        for piece in found.stream(min_chunk_size=_CHUNK):
            yield bytes(piece)

    def _discard(self, name: str) -> None:
        with suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    @abstractmethod
    def _make_durable(self, staged: str) -> None:
        """Flush a staged object's bytes."""

    @abstractmethod
    def _made_durable(self, final: str, *, was_there: bool) -> None:
        """Flush the name of an object, and its bytes where they lay there before."""


def _digest(pieces: Iterable[bytes]) -> tuple[str, int]:
    hashed, size = hashlib.sha256(), 0
    for piece in pieces:
        hashed.update(piece)
        size += len(piece)
    return f"sha256:{hashed.hexdigest()}", size
