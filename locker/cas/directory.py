"""A store in a local directory, whose renames are made to outlive a power cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from obstore.store import LocalStore

from kit.bytes import digest as digests
from kit.errors import FileMissing
from locker.cas.keys import PREFIX, STAGING, key
from locker.cas.store import Cas
from locker.files import sync_directory, sync_file, typed_errors


class DirectoryCas(Cas):
    """Objects as files; the library flushes nothing, so this does."""

    def __init__(self, root: Path) -> None:
        super().__init__(LocalStore(prefix=root))
        self._root = root

    @staticmethod
    def create(root: Path) -> None:
        """Make the directories of an empty store."""
        for name in (PREFIX, STAGING):
            (root / name).mkdir(parents=True, exist_ok=True)
        sync_directory(root)

    def path(self, digest: str, suffix: str) -> Path:
        """Return where an object lies or would lie."""
        return self._root / key(digest, suffix)

    @contextmanager
    def file(self, digest: str, suffix: str, work: Path) -> Iterator[Path]:  # noqa: ARG002
        """Yield the object's own file."""
        path = self.path(digest, suffix)
        if not path.is_file():
            raise FileMissing(path=f"cas://{key(digest, suffix)}")
        yield path

    def digest_of(self, digest: str, suffix: str) -> tuple[str, int]:
        """Return the digest and size that an object's bytes really have, read without the store's client."""
        with typed_errors("cas"), self.file(digest, suffix, self._root) as path:
            return digests.of_file(path)

    def sweep(self) -> None:
        """Remove what killed writers left behind; there must be no writer alive."""
        for leftover in (self._root / STAGING).iterdir():
            leftover.unlink()

    def _make_durable(self, staged: str) -> None:
        sync_file(self._root / staged)

    def _made_durable(self, final: str, *, was_there: bool) -> None:
        path = self._root / final
        if was_there:
            sync_file(path)
        for directory in (path.parent, path.parent.parent, self._root):
            sync_directory(directory)
