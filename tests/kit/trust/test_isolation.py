"""The trust modules work in a program that has no socket module, as the frozen verifier is."""

import subprocess
import sys

import pytest

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
