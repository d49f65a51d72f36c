"""Hostile documents of 20 MB are refused, or read, within a bounded address space: docs/format.md section 1.1."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")

# Run in a process of its own, whose address space is bounded: 300 MB on top of what the imports and the input take.
PROGRAM = """
import resource, sys
from kit.bytes import canonical
from kit.errors import StellaError

MIB = 1 << 20
SIZE = 20 * MIB
CASES = {
    "digits": lambda: b"1" * SIZE,
    "exponent": lambda: b"1e" + b"1" * SIZE,
    "opening brackets": lambda: b"[" * SIZE,
    "empty arrays": lambda: b"[" + b"[]," * (SIZE // 3) + b"[]]",
    "half a million objects": lambda: b"[" + b'{"a":"bc"},' * 320_000 + b"{}" + b" " * (SIZE - 4_000_000) + b"]",
    "floats": lambda: b"[" + b"1.5," * 490_000 + b"1]",
    "members": lambda: b"{" + b",".join(b'"k%d":1' % index for index in range(490_000)) + b"}",
    "duplicates": lambda: b"{" + b'"a":1,' * 490_000 + b'"a":1}',
    "quotes": lambda: b'"' * SIZE,
    "escapes": lambda: b'"' + b'\\\\"' * (SIZE // 2 - 1) + b'"',
    "wide text": lambda: '{"a":"\\U0001f600'.encode() + b"a" * (SIZE - 20) + b'"}',
    "surrogates": lambda: b'"' + b"\\\\ud83d" * (SIZE // 6) + b'"',
    "backslashes": lambda: b'"' + b"\\\\" * SIZE,
}
canonical.decode(b"{}"), canonical.recode_foreign(b"{}")
with open("/proc/self/statm") as status:
    used = int(status.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 320 * MIB, used + 320 * MIB))
for name, make in CASES.items():
    data = make()
    for read in (canonical.decode, canonical.decode_foreign):
        try:
            read(data)
        except StellaError:
            pass
        except MemoryError:
            print("out of memory:", name)
    del data
print("done")
"""


def test_hostile_documents_take_bounded_memory():
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc here")
    root = Path(__file__).parents[3]
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("done\n", "")
