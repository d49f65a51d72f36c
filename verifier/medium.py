"""Reading a kit's directory from a medium that nobody vouches for: regular files, bounded, never through a link."""

import os
import stat
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path

from kit.bytes import digest, names
from kit.errors import FileMissing, FileUndeclared, LimitExceeded, SizeMismatch

MAX_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class Medium:
    """The files below a directory, by relative path, with their sizes as they were found."""

    root: Path
    sizes: dict[str, int]

    def read(self, path: str, *, limit: int) -> bytes:
        """Return a small file's bytes; raises :class:`FileMissing` or :class:`LimitExceeded`."""
        if path not in self.sizes:
            raise FileMissing(path=path)
        if self.sizes[path] > limit:
            raise LimitExceeded(path=path, expected=limit, found=self.sizes[path])
        with BufferedReader(self._open(path)) as source:
            data = source.read(limit + 1)
        if len(data) != self.sizes[path]:
            raise SizeMismatch(path=path, expected=self.sizes[path], found=len(data))
        return data

    def digest(self, path: str) -> tuple[str, int]:
        """Return a file's digest and size."""
        with self._open(path) as source:
            return digest.of_stream(source)

    def below(self, prefix: str) -> dict[str, str]:
        """Return the paths below a prefix: path relative to it, to path in the kit."""
        return {path.removeprefix(prefix): path for path in self.sizes if path.startswith(prefix)}

    def _open(self, path: str) -> FileIO:
        try:
            descriptor = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise FileMissing(path=path) from None
        return FileIO(descriptor, "rb")


def survey(root: Path) -> Medium:
    """List a kit's directory. Raises :class:`FileUndeclared` for anything that is neither a file nor a directory."""
    sizes: dict[str, int] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path + "/")
                elif stat.S_ISREG(status.st_mode):
                    sizes[names.check_name(path)] = status.st_size
                else:
                    raise FileUndeclared(path=names.check_name(path), detail="neither a file nor a directory")
                if len(sizes) + len(pending) > MAX_ENTRIES:
                    raise LimitExceeded(expected=MAX_ENTRIES, detail="entries in the kit")
    return Medium(root, dict(sorted(sizes.items())))


def read_file(path: Path, *, limit: int) -> bytes:
    """Return the bytes of one file that an operator named; raises :class:`FileMissing` or :class:`LimitExceeded`."""
    try:
        with path.open("rb") as source:
            data = source.read(limit + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise FileMissing(path=path.name) from None
    if len(data) > limit:
        raise LimitExceeded(path=path.name, expected=limit)
    return data
