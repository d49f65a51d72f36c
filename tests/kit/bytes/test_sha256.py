"""SHA-256 by either library is the same, and short and long inputs meet without a seam."""

import hashlib
import importlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import sha256


@pytest.fixture
def without_openssl(monkeypatch):
    """Return the module as an interpreter without OpenSSL has it."""
    plain = pytest.importorskip("_sha256")
    monkeypatch.setattr(hashlib, "sha256", plain.sha256)
    yield importlib.reload(sha256)
    monkeypatch.undo()
    importlib.reload(sha256)


LENGTHS = [0, 1, 55, 56, 64, sha256._SHORT - 1, sha256._SHORT, sha256._SHORT + 1, 4096, 1 << 20]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_both_ways_give_what_openssl_gives(length, kind, without_openssl):
    data = bytes(number * 7 & 0xFF for number in range(length))
    expected = importlib.import_module("_hashlib").openssl_sha256(data).digest()
    assert not without_openssl.has_openssl()
    assert without_openssl.of(kind(data)) == expected
    hasher = without_openssl.new()
    hasher.update(kind(data[: length // 3]))
    hasher.update(kind(data[length // 3 :]))
    assert hasher.digest() == expected


@given(pieces=st.lists(st.binary(max_size=900), max_size=6))
def test_pieces_hash_like_the_whole(pieces):
    hasher = sha256.new()
    for piece in pieces:
        hasher.update(piece)
    whole = b"".join(pieces)
    assert hasher.digest() == sha256._of_plain(whole) == sha256.of(whole) == hashlib.sha256(whole).digest()


def test_short_inputs_load_no_signature_library(without_openssl, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.hashes", None)
    assert without_openssl.of(b"x") == hashlib.sha256(b"x").digest()
    with pytest.raises(ImportError):
        without_openssl.of(bytes(sha256._SHORT + 1))
