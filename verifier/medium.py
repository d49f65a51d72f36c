"""Reading a kit's directory from a medium that nobody vouches for: regular files, bounded, never through a link."""

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

import msgspec

from kit.bytes import digest, names
from kit.bytes.files import open_regular
from kit.errors import FileMissing, FileUndeclared, LimitExceeded, NameCollision, SizeMismatch

MAX_ENTRIES = 100_000
_ANOTHER_KIND = (errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR)


class Medium(msgspec.Struct, frozen=True):
    """The files below a directory, by relative path, with their sizes as they were found.

    A document is read once: whoever asks again gets the same bytes, and their digest, so that a medium that changes
    meanwhile cannot show one file to one check and another to the next.
    """

    root: Path
    sizes: dict[str, int]
    _held: dict[str, bytes] = msgspec.field(default_factory=dict)

    def read(self, path: str, *, limit: int, hold: bool = True) -> bytes:
        """Return a small file's bytes; raises :class:`FileMissing` or :class:`LimitExceeded`.

        Without ``hold`` they are forgotten: for what is read once, or held against a digest at each reading.
        """
        if path in self._held:
            return self._held[path]
        if path not in self.sizes:
            raise FileMissing(path=path)
        if self.sizes[path] > limit:
            raise LimitExceeded(path=path, expected=limit, found=self.sizes[path])
        with BufferedReader(self.open(path)) as source:
            data = source.read(limit + 1)
        if len(data) != self.sizes[path]:
            raise SizeMismatch(path=path, expected=self.sizes[path], found=len(data))
        if hold:
            self._held[path] = data
        return data

    def digest(self, path: str) -> tuple[str, int]:
        """Return a file's digest and size: those of the bytes that were used, if it was read."""
        if path in self._held:
            return digest.of_bytes(self._held[path]), len(self._held[path])
        with self.open(path) as source:
            return digest.of_stream(source)

    def below(self, prefix: str) -> dict[str, str]:
        """Return the paths below a prefix: path relative to it, to path in the kit."""
        return {path.removeprefix(prefix): path for path in self.sizes if path.startswith(prefix)}

    def open(self, path: str) -> FileIO:
        """Open a file that is still what the survey saw: regular, and of that size.

        Never waits, never follows a link.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self.root / path, flags)
        except FileNotFoundError:
            raise FileMissing(path=path) from None
        except OSError as error:
            if error.errno in _ANOTHER_KIND:
                raise FileUndeclared(path=path, detail="is no longer a regular file") from None
            raise
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size == self.sizes[path]:
            return FileIO(descriptor, "rb")
        os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileUndeclared(path=path, detail="is no longer a regular file")
        raise SizeMismatch(path=path, expected=self.sizes[path], found=status.st_size)


def survey(root: Path) -> Medium:
    """List a kit's directory.

    Raises :class:`FileUndeclared` for anything that is neither a file nor a directory, :class:`HostileName` and
    :class:`NameCollision` for a name that is not allowed, of an empty directory too.
    """
    sizes: dict[str, int] = {}
    folded: dict[str, str] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                other = folded.setdefault(names.fold(path), path)
                if other != path:
                    raise NameCollision(path=names.shown(path), found=names.shown(other))
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(names.check_name(path) + "/")
                elif stat.S_ISREG(status.st_mode):
                    sizes[names.check_name(path)] = status.st_size
                else:
                    raise FileUndeclared(path=names.check_name(path), detail="neither a file nor a directory")
                if len(sizes) + len(pending) > MAX_ENTRIES:
                    raise LimitExceeded(expected=MAX_ENTRIES, detail="entries in the kit")
    return Medium(root, dict(sorted(sizes.items())))


def read_file(path: Path, *, limit: int) -> bytes:
    """Return the bytes of one regular file that an operator named, without ever waiting for a pipe.

    Raises :class:`FileMissing` or :class:`LimitExceeded`.
    """
    try:
        with BufferedReader(open_regular(path)) as source:
            data = source.read(limit + 1)
    except FileMissing as error:
        raise error.then(f"Check the path: is {path.name} the file that you mean?") from None
    if len(data) > limit:
        raise LimitExceeded(path=path.name, expected=limit)
    return data
