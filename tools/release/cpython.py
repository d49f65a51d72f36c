"""Builds CPython, with zlib and libffi, by ``zig cc`` for the oldest C library that a release supports.

Nothing of the build machine gets in: headers and libraries are zig's, paths are replaced, dates are those of 1980; the
same sources give the same bytes in any directory. There is no OpenSSL, no SQLite, no bz2 or lzma: the verifier needs
none of them.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from kit.bytes import digest
from kit.errors import InternalError
from tools.release import zigcc
from tools.release.sources import call

GLIBC = "2.17"
"""The newest version of the C library that anything in a release may need: that of 2012."""

PREFIX = "/opt/stella-python"
STAMP = "built-from"
"""The file of a built interpreter that names all that its bytes follow from."""
BUILT_IN = "/usr/src/stella"
"""What stands in the interpreter's files where the directory of the build would."""

_EPOCH = "315532800"
_STRIPPED = "-Wl,-s"
"""What zig links in brings debugging information, with the directories of its cache; libtool keeps this word."""
_UNTRIED = ("ac_cv_buggy_getaddrinfo=no", "ac_cv_file__dev_ptc=no", "ac_cv_file__dev_ptmx=yes")
"""What configure can find out only where it can run what it compiles: so it is on every Linux."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """zig, and the stand-ins for a host's compiler that call it.

    ``native`` is the interpreter built for this machine, where what is built is for another: it has to be of the very
    version, for it compiles what the other one has built in.
    """

    zig: Path
    tools: Path
    cache: Path
    machine: str
    native: Path | None = None

    @property
    def target(self) -> str:
        """The target of everything that runs on the host's own C library."""
        return f"{self.machine}-linux-gnu.{GLIBC}"

    def environment(self, scratch: Path) -> dict[str, str]:
        """Return the whole environment of a build in a directory."""
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
            "STELLA_BUILT_IN": f"{scratch}={BUILT_IN}",
            "STELLA_ZIG": str(self.zig),
            "STELLA_ZIG_TARGET": self.target,
            "TZ": "UTC",
            "ZIG_GLOBAL_CACHE_DIR": str(self.cache),
            "ZIG_LOCAL_CACHE_DIR": str(self.cache),
        }


def toolchain(zig: Path, work: Path, machine: str, native: Path | None = None) -> Toolchain:
    """Write the stand-ins below the work directory and return the toolchain for a kind of machine."""
    tools = work / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    text = f"#!{sys.executable} -IS\n" + Path(zigcc.__file__).read_text()
    for name in zigcc.TOOLS:
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    cache = work / "zig-cache"
    cache.mkdir(exist_ok=True)
    return Toolchain(zig, tools, cache, machine, native)


def build(sources: Path, work: Path, chain: Toolchain) -> Path:
    """Build the interpreter unless it is there, and return its root: ``bin/python3.11``, ``lib/``."""
    place = work / "python"
    stamp = place / STAMP
    wanted = _built_from(sources, chain)
    if stamp.is_file() and stamp.read_text() == wanted:
        return place
    scratch = work / "scratch"
    for old in (place, scratch):
        shutil.rmtree(old, ignore_errors=True)
    scratch.mkdir()
    before = os.umask(0o022)
    try:
        made = _build(sources, scratch, chain)
    finally:
        os.umask(before)
    made.rename(place)
    stamp.write_text(wanted)
    shutil.rmtree(scratch)
    return place


def _built_from(sources: Path, chain: Toolchain) -> str:
    """Return a digest over what the interpreter's bytes follow from."""
    parts = [(sources / f"{name}.version").read_bytes() for name in ("python3.11", "zlib", "libffi")]
    parts += [Path(module).read_bytes() for module in (__file__, zigcc.__file__)]
    return digest.of_bytes(b"\0".join([chain.target.encode(), *parts]))


def _build(sources: Path, scratch: Path, chain: Toolchain) -> Path:
    libraries = scratch / "libraries"
    _zlib(_copy(sources, "zlib", scratch), libraries, scratch, chain)
    _libffi(_copy(sources, "libffi", scratch), libraries, scratch, chain)
    _cpython(_copy(sources, "python3.11", scratch), libraries, scratch, chain)
    made = scratch / "installed" / PREFIX.lstrip("/")
    for library in ("libz.so.1", "libffi.so.8"):
        shutil.copy(libraries / "lib" / library, made / "lib" / library)
    for directory in [*made.rglob("__pycache__")]:
        shutil.rmtree(directory)  # has the dates of the files beside it
    _replace_paths(made, scratch)
    return made


def _replace_paths(made: Path, scratch: Path) -> None:
    """Name no directory of this machine in any file; a program that does was built wrongly."""
    own, stand_in = os.fsencode(scratch.parent), BUILT_IN.encode()
    for path in sorted(made.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if own not in content:
            continue
        if content.startswith(b"\x7fELF"):
            raise InternalError(detail=f"{path.relative_to(made)} names the directory that it was built in")
        path.write_bytes(content.replace(os.fsencode(scratch), stand_in).replace(own, stand_in))


def _copy(sources: Path, name: str, scratch: Path) -> Path:
    shutil.copytree(sources / name, scratch / name, symlinks=True)
    return scratch / name


def _zlib(source: Path, prefix: Path, scratch: Path, chain: Toolchain) -> None:
    # Its configure knows compilers by their names, and gives a library no name of its own where it knows none.
    shared = f"{chain.tools / 'cc'} -shared {_STRIPPED} -Wl,-soname,libz.so.1"
    environment = chain.environment(scratch) | {"CFLAGS": "-O3 -fPIC", "CHOST": chain.machine, "LDSHARED": shared}
    call(["./configure", f"--prefix={prefix}"], source, environment)
    call(["make", "-j2", "install"], source, environment)


def _libffi(source: Path, prefix: Path, scratch: Path, chain: Toolchain) -> None:
    environment = chain.environment(scratch) | {"CFLAGS": "-O2 -fPIC", "LDFLAGS": _STRIPPED}
    # Closures would otherwise map memory that hardened hosts refuse.
    options = ["--disable-exec-static-tramp", "--disable-docs", "--disable-multi-os-directory", "--disable-static"]
    call(["./configure", *_platforms(chain), f"--prefix={prefix}", *options], source, environment)
    call(["make", "-j2", "install"], source, environment)


def _cpython(source: Path, libraries: Path, scratch: Path, chain: Toolchain) -> None:
    environment = chain.environment(scratch) | {
        "CFLAGS": "-fno-semantic-interposition",
        "CPPFLAGS": f"-I{libraries / 'include'}",
        "LDFLAGS": f"-L{libraries / 'lib'} {_STRIPPED}",
        "OPT": "-DNDEBUG -fwrapv -O3",
    }
    options = ["--enable-shared", "--with-system-ffi", "--without-ensurepip", "--disable-test-modules"]
    options += ["--without-static-libpython", f"--prefix={PREFIX}"]
    if chain.native is None:
        environment["LD_LIBRARY_PATH"] = str(libraries / "lib")
    else:
        environment["LD_LIBRARY_PATH"] = str(chain.native / "lib")
        options += [f"--with-build-python={chain.native / 'bin' / 'python3.11'}", *_UNTRIED]
    call(["./configure", *_platforms(chain), *options], source, environment)
    # libpython3.so, for extensions of any version, has no object file of its own, which zig's linker refuses.
    call(["make", "-j2", "PY3LIBRARY="], source, environment)
    for made in [*source.glob("build/lib.*/_sysconfigdata__linux_*.py")]:
        # Debian's name for it, which a configure that was not made anew gives only where it runs what it compiles.
        shutil.copy(made, made.with_name(made.name.replace("__linux_", "__")))
    call(["make", "install", "PY3LIBRARY=", f"DESTDIR={scratch / 'installed'}"], source, environment)


def _platforms(chain: Toolchain) -> list[str]:
    return [f"--build={os.uname().machine}-linux-gnu", f"--host={chain.machine}-linux-gnu"]
