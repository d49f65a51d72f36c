"""Reading files that others had their hands on."""

import io
import mmap
import os
import stat
from pathlib import Path

from kit.errors import FileMissing


def open_regular(path: Path) -> io.FileIO:
    """Open a regular file for reading, unbuffered; FileMissing when the path is anything else.

    A named pipe would make a plain open() wait for a writer, and a device might never end. Other OSErrors pass through.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise FileMissing(path=path.name) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileMissing(path=path.name, detail="not a regular file")
    return io.FileIO(descriptor, "rb", closefd=True)


def page_buffer(size: int) -> mmap.mmap:
    """Return zeroed memory of at least that size in whole pages, to read files into.

    Where memory does not begin at a multiple of 32 bytes, as bytearrays do not, x86-64 kernels copy files into it at a
    quarter of the speed, which doubles the price of hashing.
    """
    return mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
