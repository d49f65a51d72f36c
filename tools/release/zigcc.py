"""Stands in for ``cc``, ``ar`` and ``ranlib``: calls zig for one target, and mends what build systems ask of a host.

The program's name says which tool it is. ``STELLA_ZIG`` is the zig program, ``STELLA_ZIG_TARGET`` its target,
``STELLA_BUILT_IN`` the directory of the build and what is written in its stead: ``old=new``.
"""

import os
import sys
from pathlib import Path

TOOLS = {"cc": "cc", "ar": "ar", "ranlib": "ranlib"}
_OF_THE_HOST = ("/usr/include", "/usr/lib", "/usr/local/include", "/usr/local/lib")
_SONAME = "-Wl,-h"
_OF_THE_CORE = "/Modules/pyexpat.c"  # Debian's corrected one uses headers of the core


def mended(words: list[str]) -> list[str]:
    """Return the words without directories of the host, and with a soname as zig's linker reads it."""
    if any(word.endswith(_OF_THE_CORE) for word in words):
        words = [*words, "-DPy_BUILD_CORE_MODULE"]
    kept = [word for word in words if not (word[:2] in {"-I", "-L"} and word[2:].startswith(_OF_THE_HOST))]
    return [f"-Wl,-soname,{word[len(_SONAME) :]}" if word.startswith(_SONAME) else word for word in kept]


def main() -> None:
    """Become the zig tool of the name under which this program was called."""
    zig, tool = os.environ["STELLA_ZIG"], TOOLS[Path(sys.argv[0]).name]
    words = [zig, tool]
    if tool == "cc":
        # Nothing of the build machine's processor: the result runs on any machine of its kind.
        words += ["-target", os.environ["STELLA_ZIG_TARGET"], "-Wno-date-time", "-fno-sanitize=all"]
        words += ["-g0", f"-ffile-prefix-map={os.environ['STELLA_BUILT_IN']}"]
        words += mended(sys.argv[1:])
    else:
        words += sys.argv[1:]
    os.execv(zig, words)  # noqa: S606


if __name__ == "__main__":
    main()
