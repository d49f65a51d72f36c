"""Where members are read from, whatever holds them: a bundle (kit.bundle.reader) or a directory."""

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from kit.bytes import names
from kit.errors import FileMissing, LimitExceeded, SizeMismatch

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})
_NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO})


class MemberFile(Protocol):
    """A member with random access."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly length bytes from the offset; SizeMismatch when the member does not have them."""
        ...


class MemberSource(Protocol):
    """A set of members by path."""

    def names(self) -> tuple[str, ...]:
        """Return the paths in ascending order."""
        ...

    def read(self, path: str, *, limit: int) -> bytes:
        """Return a whole member of at most limit bytes; FileMissing, LimitExceeded."""
        ...

    def open(self, path: str) -> MemberFile:
        """Return a member for random access; FileMissing."""
        ...


class DirectorySource:
    """Members as files below a directory. Regular files only, and no symbolic link below the root is followed.

    Nothing is verified: what must be known about the bytes is for the reader of them to check.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._files: dict[str, DirectoryFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the directory and every member file; none can be read afterwards."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def names(self) -> tuple[str, ...]:
        """Return the paths of all that is not a directory, in ascending order; HostileName, NameCollision.

        What is neither a file nor a directory is listed too, so that it is met as undeclared or when opened.
        """
        found: list[str] = []
        pending = [""]
        while pending:
            parent = pending.pop()
            descriptor = self._directory(parent)
            try:
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        path = names.check_name(f"{parent}/{entry.name}" if parent else entry.name)
                        (pending if entry.is_dir(follow_symlinks=False) else found).append(path)
            finally:
                os.close(descriptor)
        names.check_names(found)
        return tuple(sorted(found, key=lambda path: path.encode("utf-8")))

    def read(self, path: str, *, limit: int) -> bytes:
        """Return a whole file of at most limit bytes; FileMissing, LimitExceeded, HostileName."""
        file = DirectoryFile(path, self._open(names.check_name(path)))
        try:
            if file.size > limit:
                raise LimitExceeded(path=path, expected=limit, found=file.size)
            return file.read_at(0, file.size)
        finally:
            file.close()

    def open(self, path: str) -> "DirectoryFile":
        """Return a file for random access, open until the source is closed; FileMissing, HostileName."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = DirectoryFile(path, self._open(names.check_name(path)))
        return file

    def _open(self, path: str) -> int:
        parent, _, name = path.rpartition("/")
        try:
            at = self._directory(parent)
            try:
                # Without O_NONBLOCK, opening a named pipe would wait for a writer.
                return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
            finally:
                os.close(at)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise FileMissing(path=path) from None
            if error.errno in _NOT_A_FILE:
                raise FileMissing(path=path, detail="not a regular file") from None
            raise

    def _directory(self, path: str) -> int:
        """Return a descriptor of a directory below the root, reached without following a symbolic link."""
        at = os.dup(self._root)
        for name in filter(None, path.split("/")):
            try:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            finally:
                os.close(at)
            at = inner
        return at


class DirectoryFile:
    """One open file of a DirectorySource."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise FileMissing(path=path, detail="not a regular file")
        self.size = status.st_size

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly length bytes from the offset; SizeMismatch when the file does not have them."""
        end = offset + length
        if not 0 <= offset <= end <= self.size:
            raise SizeMismatch(path=self._path, detail="read past the end", expected=end, found=self.size)
        parts: list[bytes] = []
        while offset < end:
            part = os.pread(self._descriptor, end - offset, offset)
            if not part:
                raise SizeMismatch(path=self._path, detail="shrank while being read", expected=end, found=offset)
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
