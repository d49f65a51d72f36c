"""kit.bytes.digest: docs/format.md section 1.2."""

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import digest
from kit.errors import FileMissing, MalformedDocument

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_digest_of_nothing():
    assert digest.of_bytes(b"") == EMPTY


@pytest.mark.parametrize("size", [0, 1, 511, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_file_digest_and_size_agree_with_hashlib(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    assert digest.of_file(tmp_path / "f") == ("sha256:" + hashlib.sha256(data).hexdigest(), size)


@given(st.binary())
def test_written_and_raw_forms_convert_into_each_other(data):
    written = digest.of_bytes(data)
    assert digest.check(written) == written
    assert digest.hex_of(written) == hashlib.sha256(data).hexdigest()
    assert digest.of_raw(digest.raw_of(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY + "\n",
        " " + EMPTY,
        EMPTY.upper(),
        EMPTY.replace("sha256", "sha512"),
        EMPTY.removeprefix("sha256:"),
        EMPTY.replace("e", "\u0435"),
        "sha256:" + "g" * 64,
        None,
        7,
    ],
)
def test_malformed_digest_is_refused(text):
    with pytest.raises(MalformedDocument):
        digest.check(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_raw_value_of_another_length_is_refused(size):
    with pytest.raises(MalformedDocument):
        digest.of_raw(bytes(size))


def test_only_regular_files_are_hashed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory", "absent", "absent/below"):
        with pytest.raises(FileMissing):
            digest.of_file(tmp_path / name)
