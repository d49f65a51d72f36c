"""The trust modules work in a program that has no socket module, as the frozen verifier is."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder import freeze_prepared
from kit.trust import keys

ABSENT = [
    "_asyncio",
    "_decimal",
    "_hashlib",
    "_multiprocessing",
    "_socket",
    "_ssl",
    "asyncio",
    "concurrent",
    "email",
    "ftplib",
    "html",
    "http",
    "imaplib",
    "multiprocessing",
    "pydoc",
    "requests",
    "rich",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "tkinter",
    "unittest",
    "urllib.request",
    "urllib3",
    "webbrowser",
    "xml",
    "xmlrpc",
]

PROGRAM = """
import sys

for name in {absent!r}:
    sys.modules[name] = None

from datetime import UTC, datetime
from pathlib import Path

from kit.trust import dsse, keyring, keys, metadata, rootpack, statement

signer = keys.PemSigner.from_pem(keys.PemSigner.from_seed(keys.ECDSA_P256, bytes(48)).to_pem())
payload = statement.make({{"a": "sha256:" + "ab" * 32}}, "https://example.org/1", {{}})
envelope = dsse.sign(payload, dsse.IN_TOTO, [signer])
dsse.verify(envelope, [signer.public], threshold=1, payload_types=(dsse.IN_TOTO,), name="x")
files = rootpack.read_directory(Path(sys.argv[1]))
pack = rootpack.load(
    files, pinned_root=files["metadata/1.root.json"], reference_time=datetime(2026, 11, 23, 12, tzinfo=UTC)
)
print(pack.root_version)
"""


@pytest.fixture
def directory(publisher, tmp_path):
    for name, data in publisher.files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_trust_needs_no_network_module(directory):
    program = PROGRAM.format(absent=ABSENT)
    done = subprocess.run([sys.executable, "-c", program, directory], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


STAMP_PROGRAM = """
import sys

for name in {absent!r}:
    if name != "email":
        sys.modules[name] = None

from datetime import UTC, datetime
from pathlib import Path

from kit.trust import keys, timestamp
from kit.trust.trusted_root import parse

signer = keys.PemSigner.from_seed(keys.ECDSA_P256, bytes(48)).public
given = [Path(name).read_bytes() for name in sys.argv[1:]]
print(timestamp.verify(given[0], [(signer, b"signature")], parse(given[1]), path="x").time)
"""


def test_time_stamps_need_no_network_module(stamping, tmp_path):
    """The one module that imports socket, of which X.509 names want a function, is frozen in other words."""
    freeze_prepared.stand_ins(tmp_path)
    token, root = tmp_path / "token", tmp_path / "root"
    token.write_bytes(stamping.stamp(b"signature", datetime(2026, 6, 1, tzinfo=UTC)))
    root.write_bytes(stamping.trusted_root())
    done = subprocess.run(
        [sys.executable, "-c", STAMP_PROGRAM.format(absent=ABSENT), token, root],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2026-06-01T00:00:00Z\n", "")


def test_trust_without_time_stamps_imports_nothing_that_judges_them():
    program = "import sys, verifier.run; print([n for n in sys.modules if 'rfc3161' in n or n == 'cryptography.x509'])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_envelope_modules_do_not_import_tuf():
    program = "import sys, kit.trust.dsse, kit.trust.statement; print('tuf' in sys.modules, 'nacl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False False\n"


def test_verifying_imports_the_library_of_the_key_alone():
    program = """
import sys
from kit.trust import dsse, keys

spki, signature = (bytes.fromhex(word) for word in sys.argv[1:])
keys.PublicKey.from_spki(spki).verify(b"m", signature)
others = ("asymmetric.mldsa", "serialization.base", "x509", "kit.trust.keys.rsa", "nacl")
print([name for name in sys.modules if name.endswith(others)])
"""
    signer = keys.PemSigner.from_seed(keys.ECDSA_P256, bytes(48))
    words = [signer.public.spki.hex(), signer.sign(b"m").hex()]
    done = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
