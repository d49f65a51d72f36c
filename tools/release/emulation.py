"""Runs programs for another kind of machine: by qemu, which the kernel is told of for one process and its children.

The registration lives in namespaces of that process alone (Linux 6.7 and newer); it asks for no root and leaves nothing
behind. On an older kernel qemu has to be registered for the whole machine: packages qemu-user-static, binfmt-support.
"""

import os
import shutil
from pathlib import Path

from kit.errors import FileMissing
from tools.release.sources import package

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_AARCH64 = (
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
)
_HEADERS = {"aarch64": _AARCH64}
"""How programs begin, by machine: the bytes, and which of their bits count."""


def words_before(machine: str, root: Path | None = None) -> list[str]:
    """Return the words to put before a command, so that it and its children may be programs for another machine.

    ``root`` has the loader and the C library that those ask of a host; None for programs that ask for none. Returns
    no words for this machine's own kind, raises :class:`FileMissing` without qemu.
    """
    if machine == os.uname().machine:
        return []
    qemu = shutil.which(f"qemu-{machine}-static")
    if qemu is None:
        raise FileMissing(path=f"qemu-{machine}-static", detail="run tools/bootstrap --release")
    places = ["env", f"QEMU_LD_PREFIX={root}"] if root else []
    if (_BINFMT / f"qemu-{machine}").exists():
        return places
    begin, mask = _HEADERS[machine]
    line = f":qemu-{machine}:M::{begin}:{mask}:{qemu}:PF"
    told = f'mount -t binfmt_misc none {_BINFMT} && printf %s "$0" >{_BINFMT}/register && exec "$@"'
    return [*places, "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", told, line]


def root(sources: Path, machine: str, place: Path) -> Path:
    """Make the root of a foreign machine below a directory: its C library, and the run-time library of compilers."""
    made = place / "root"
    shutil.rmtree(made, ignore_errors=True)
    for name in ("libc6", "libgcc-s1"):
        shutil.copytree(package(sources, name, machine), made, symlinks=True, dirs_exist_ok=True)
    return made


def programs(machine: str, place: Path, root: Path, loader: str) -> Path:
    """Write stand-ins for what the freezer calls on programs, and return their directory, to be first in PATH."""
    made = place / "programs"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for name in ("objcopy", "objdump", "strip"):
        found = shutil.which(f"{machine}-linux-gnu-{name}")
        if found is None:
            raise FileMissing(path=f"{machine}-linux-gnu-{name}", detail="run tools/bootstrap --release")
        (made / name).symlink_to(found)
    # The host's ldd asks the host's loader, which takes no programs for another machine.
    (made / "ldd").write_text(f'#!/bin/sh\nexec "{root / "lib" / loader}" --list "$@"\n')
    (made / "ldd").chmod(0o755)
    return made
