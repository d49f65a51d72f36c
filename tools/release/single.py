"""Makes the single file of a release: the folder form with a loader and a C library of its own, behind the launcher."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from tools.release import pack
from tools.release.cpython import Toolchain
from tools.release.sources import call, package

LIBRARIES = ("libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1")
"""What the frozen program asks of a C library."""

LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
"""The freezer's start-up code knows a loader by this name."""


def make(folder: Path, sources: Path, work: Path, chain: Toolchain) -> bytes:
    """Return the single file's bytes for a folder form; the folder stays as it is."""
    native = replace(chain, machine=os.uname().machine)
    lz4 = sources / "lz4" / "lib"
    loader = LOADERS[chain.machine]
    compile_ = [chain.zig, "cc", "-Wall", "-Wextra", "-Werror", f"-I{lz4}", lz4 / "lz4.c"]
    static = ["-target", f"{chain.machine}-linux-musl", "-static", "-Os", "-s", f'-DLOADER="{loader}"']
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        whole, launcher, library = (Path(scratch, name) for name in ("whole", "launcher", "liblz4.so"))
        source = Path(__file__).with_name("launcher.c")
        call([*compile_, *static, source, "-o", launcher], work, chain.environment(work))
        shared = ["-target", native.target, "-O2", "-shared", "-fPIC"]
        call([*compile_, *shared, lz4 / "lz4hc.c", "-o", library], work, native.environment(work))
        shutil.copytree(folder, whole, symlinks=True)
        host = package(sources, "libc6", chain.machine) / "lib" / f"{chain.machine}-linux-gnu"
        for name in (loader, *LIBRARIES):
            shutil.copy(host / name, whole / "_internal" / name)
            (whole / "_internal" / name).chmod(0o755)
        return pack.pack(launcher.read_bytes(), whole, pack.lz4(library))
