"""Builds CPython, with zlib and libffi, by ``zig cc`` for the oldest C library that a release supports.

Nothing of the build machine gets in: headers and libraries are zig's, paths are fixed, dates are those of 1980. There
is no OpenSSL, no SQLite, no bz2 or lzma: the verifier needs none of them.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.release import zigcc
from tools.release.sources import call

GLIBC = "2.17"
"""The newest version of the C library that anything in a release may need: that of 2012."""

PREFIX = "/opt/stella-python"
_EPOCH = "315532800"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """zig, and the stand-ins for a host's compiler that call it."""

    zig: Path
    tools: Path
    cache: Path
    machine: str

    @property
    def target(self) -> str:
        """The target of everything that runs on the host's own C library."""
        return f"{self.machine}-linux-gnu.{GLIBC}"

    def environment(self) -> dict[str, str]:
        """Return the whole environment of a build."""
        return {
            "AR": str(self.tools / "ar"),
            "CC": str(self.tools / "cc"),
            "HOME": str(self.cache),
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "PKG_CONFIG_LIBDIR": os.devnull,
            "RANLIB": str(self.tools / "ranlib"),
            "READELF": "/usr/bin/readelf",
            "SOURCE_DATE_EPOCH": _EPOCH,
            "STELLA_ZIG": str(self.zig),
            "STELLA_ZIG_TARGET": self.target,
            "TZ": "UTC",
            "ZIG_GLOBAL_CACHE_DIR": str(self.cache),
            "ZIG_LOCAL_CACHE_DIR": str(self.cache),
        }


def toolchain(zig: Path, work: Path) -> Toolchain:
    """Write the stand-ins below the work directory and return the toolchain for this machine's kind."""
    tools = work / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    text = f"#!{sys.executable} -IS\n" + Path(zigcc.__file__).read_text()
    for name in zigcc.TOOLS:
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    cache = work / "zig-cache"
    cache.mkdir(exist_ok=True)
    return Toolchain(zig, tools, cache, os.uname().machine)


def build(sources: Path, work: Path, chain: Toolchain) -> Path:
    """Build the interpreter unless it is there, and return its root: ``bin/python3.11``, ``lib/``."""
    place = work / "python"
    stamp = place / "versions"
    versions = "".join((sources / f"{name}.version").read_text() for name in ("python3.11", "zlib", "libffi"))
    if stamp.is_file() and stamp.read_text() == versions:
        return place
    scratch = work / "scratch"
    for old in (place, scratch):
        shutil.rmtree(old, ignore_errors=True)
    scratch.mkdir()
    shared = scratch / "libraries"
    _zlib(_copy(sources, "zlib", scratch), shared, chain)
    _libffi(_copy(sources, "libffi", scratch), shared, chain)
    _cpython(_copy(sources, "python3.11", scratch), shared, scratch / "installed", chain)
    made = scratch / "installed" / PREFIX.lstrip("/")
    for library in ("libz.so.1", "libffi.so.8"):
        shutil.copy(shared / "lib" / library, made / "lib" / library)
    made.rename(place)
    stamp.write_text(versions)
    shutil.rmtree(scratch)
    return place


def _copy(sources: Path, name: str, scratch: Path) -> Path:
    shutil.copytree(sources / name, scratch / name, symlinks=True)
    return scratch / name


def _zlib(source: Path, prefix: Path, chain: Toolchain) -> None:
    # Its configure knows compilers by their names, and gives a library no name of its own where it knows none.
    shared = f"{chain.tools / 'cc'} -shared -Wl,-soname,libz.so.1"
    environment = chain.environment() | {"CFLAGS": "-O3 -fPIC", "CHOST": chain.machine, "LDSHARED": shared}
    call(["./configure", f"--prefix={prefix}"], source, environment)
    call(["make", "-j2", "install"], source, environment)


def _libffi(source: Path, prefix: Path, chain: Toolchain) -> None:
    environment = chain.environment() | {"CFLAGS": "-O2 -fPIC"}
    # Closures would otherwise map memory that hardened hosts refuse.
    options = ["--disable-exec-static-tramp", "--disable-docs", "--disable-multi-os-directory", "--disable-static"]
    call(["./configure", *_platforms(chain), f"--prefix={prefix}", *options], source, environment)
    call(["make", "-j2", "install"], source, environment)


def _cpython(source: Path, libraries: Path, installed: Path, chain: Toolchain) -> None:
    environment = chain.environment() | {
        "CFLAGS": "-fno-semantic-interposition",
        "CPPFLAGS": f"-I{libraries / 'include'}",
        "LDFLAGS": f"-L{libraries / 'lib'}",
        "LD_LIBRARY_PATH": str(libraries / "lib"),
        "OPT": "-DNDEBUG -fwrapv -O3",
    }
    options = ["--enable-shared", "--with-system-ffi", "--without-ensurepip", "--disable-test-modules"]
    options += ["--without-static-libpython", f"--prefix={PREFIX}"]
    call(["./configure", *_platforms(chain), *options], source, environment)
    # libpython3.so, for extensions of any version, has no object file of its own, which zig's linker refuses.
    call(["make", "-j2", "PY3LIBRARY="], source, environment)
    call(["make", "install", "PY3LIBRARY=", f"DESTDIR={installed}"], source, environment)


def _platforms(chain: Toolchain) -> list[str]:
    name = f"{chain.machine}-linux-gnu"
    return [f"--build={name}", f"--host={name}"]
