"""Two tiers of objects: a hot store, and a cold one where there is one (docs/locker.md, "Tiers").

An object is read from wherever it is. The hot copy goes only after the cold one was read again and hashed; where one
store is all there is, the tier is a word in the object's row and nothing moves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from kit.errors import DigestMismatch, FileMissing, ServerUnreachable
from locker.cas import BUNDLE, Cas, DirectoryCas, Pieces, open_store
from locker.cas.keys import PREFIX, STAGING
from locker.files import typed_errors
from locker.holds import object_lock
from locker.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class Tiers:
    """The stores of one locker; ``cold`` is nothing where there is one store only."""

    hot: Cas
    cold: Cas | None

    def holds(self, digest: str, size: int) -> bool:
        """Tell whether a bundle is in either store with this size; its bytes are not read."""
        return any(store.holds(digest, BUNDLE, size) for store in self.stores())

    def in_hot(self, digest: str) -> bool:
        """Tell whether a bundle is in the hot store, whatever its bytes."""
        return self.hot.has(digest, BUNDLE)

    def digest_of(self, digest: str) -> tuple[str, int]:
        """Return digest and size of the bytes that a bundle really has; :class:`FileMissing` where it is nowhere."""
        return self._having(digest).digest_of(digest, BUNDLE)

    @contextmanager
    def file(self, digest: str, work: Path) -> Iterator[Path]:
        """Yield a bundle as a file that can be read; :class:`FileMissing` where it is in neither store."""
        with self._having(digest).file(digest, BUNDLE, work) as path:
            yield path

    def copy_to_cold(self, digest: str, size: int) -> None:
        """Put a bundle into the cold store, if there is one, and make sure that it can be read there.

        Raises :class:`DigestMismatch` where the hot copy is damaged, and nothing is there to copy.
        """
        if self.cold is None or self.cold_is_whole(digest, size):
            return
        source = cast("BinaryIO", Pieces(self.hot.read(digest, BUNDLE)))
        self.cold.put(source, BUNDLE, digest=digest, size=size)
        if not self.cold_is_whole(digest, size):
            raise DigestMismatch(path="cold", expected=digest, detail="what was written is read back otherwise")

    def cold_is_whole(self, digest: str, size: int) -> bool:
        """Read the cold copy and tell whether it is what its name says; with one store, that copy."""
        try:
            return (self.cold or self.hot).digest_of(digest, BUNDLE) == (digest, size)
        except FileMissing:
            return False

    def drop_hot(self, digest: str) -> None:
        """Remove the hot copy of a bundle that has a cold one; with one store, nothing."""
        if self.cold is not None:
            object_lock.remove(self.hot, digest)

    def remove(self, digest: str) -> str:
        """Remove a bundle from both stores, older versions included; return what a certificate may say of it.

        Raises :class:`RefusedByHold` where a store's own lock stands against it.
        """
        return "; ".join(sorted({object_lock.remove(store, digest) for store in self.stores()}))

    def stores(self) -> tuple[Cas, ...]:
        """Return the hot store, then the cold one if there is one."""
        return (self.hot,) if self.cold is None else (self.hot, self.cold)

    def stores_with(self, digest: str) -> tuple[Cas, ...]:
        """Return the stores that have a bundle, whatever its bytes."""
        return tuple(store for store in self.stores() if store.has(digest, BUNDLE))

    def _having(self, digest: str) -> Cas:
        return next(iter(self.stores_with(digest)), self.hot)


def open_cold(settings: StoreSettings | None) -> Cas | None:
    """Return the cold store; its directory must be there, so that a disk that is not mounted is not taken for empty.

    Raises :class:`ServerUnreachable` where it is not.
    """
    if settings is None:
        return None
    if (directory := settings.directory) is None:
        return open_store(settings, Path())
    with typed_errors("cold"):
        if not (directory / PREFIX).is_dir():
            raise ServerUnreachable(path=directory.name, detail="no cold store is here").then(
                f"Mount it, or make a new one: mkdir -p {directory / PREFIX} {directory / STAGING}"
            )
    return DirectoryCas(directory)
