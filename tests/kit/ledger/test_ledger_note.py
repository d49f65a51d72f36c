"""Signed notes: vectors, what is refused, and that no input ends in anything but an error of ours."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.errors import LimitExceeded, MalformedDocument, StellaError
from kit.ledger import checkpoint, note
from kit.ledger.note import TYPE_ECDSA, TYPE_ED25519, NoteKey
from kit.trust.keys import PublicKey

TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
SIGNED = TEXT + f"\n\u2014 PeterNeumann {SIGNATURE}\n".encode()
POINT = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
LINE = "\u2014 log.example AAAAAAE=\n"


def test_published_vector_verifies():
    key = NoteKey("PeterNeumann", PublicKey.from_ed25519(POINT))
    assert key.key_id(TYPE_ED25519).hex() == "c74f20a3"
    read = note.parse(SIGNED, "note")
    line = note.by_key(read, [key])[key]
    assert read.text == TEXT
    assert key.public.verify(read.text, line.value)
    assert note.encode(read.text, read.signatures) == SIGNED


def test_key_of_ecdsa_is_named_by_its_encoding_alone(signer):
    public = signer(1, "ecdsa-p256-sha256").public
    ids = {NoteKey(name, public).key_id(TYPE_ECDSA) for name in ("a", "b")}
    assert ids == {bytes.fromhex(public.hints[1])[:4]}


@pytest.mark.parametrize(
    "line",
    [
        "\u2014 log.example AAAAAAE=\r\n",
        "\u2014 log.example AAAAAAE=",
        "- log.example AAAAAAE=\n",
        "\u2014  AAAAAAE=\n",
        "\u2014 log+example AAAAAAE=\n",
        "\u2014 log\u00a0example AAAAAAE=\n",
        "\u2014 log example AAAAAAE=\n",
        "\u2014 log.example AAAAAAE\n",
        "\u2014 log.example AAAAAAF=\n",
        "\u2014 log.example AAAAAAE= \n",
        "\u2014 log.example AAAAAA-_\n",
        "\u2014 log.example AAAAAA==\n",
        "\u2014 log.example \n",
        "\u2014 log.example\n",
        "\u2014log.example AAAAAAE=\n",
        LINE + LINE,
        LINE + "\n",
        "\n",
        "",
    ],
)
def test_signature_line_that_is_none_is_refused(line):
    note.parse(f"text\n\n{LINE}".encode(), "note")
    with pytest.raises(MalformedDocument):
        note.parse(f"text\n\n{line}".encode(), "note")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        f"text\n{LINE}".encode(),
        f"\n\n{LINE}".encode(),
        f"text\r\n\r\n{LINE}".encode(),
        f"te\txt\n\n{LINE}".encode(),
        f"te\x00xt\n\n{LINE}".encode(),
        b"te\xffxt\n\n" + LINE.encode(),
        b"\xed\xa0\x80\n\n" + LINE.encode(),
    ],
)
def test_text_that_is_none_is_refused(data):
    with pytest.raises(MalformedDocument):
        note.parse(data, "note")


def test_text_ends_at_the_last_blank_line():
    assert note.parse(f"a\n\n\u2014 b AAAAAAE=\n\n{LINE}".encode(), "note").text.decode() == "a\n\n\u2014 b AAAAAAE=\n"


def test_numbers_of_signatures_and_bytes_are_limited():
    lines = "".join(f"\u2014 log{number} AAAAAAE=\n" for number in range(note.MAX_SIGNATURES + 1))
    assert len(note.parse(("a\n\n" + lines.rpartition("\u2014")[0]).encode(), "note").signatures) == 64
    for data in (f"a\n\n{lines}", "a" * note.MAX_BYTES + f"\n\n{LINE}"):
        with pytest.raises(LimitExceeded):
            note.parse(data.encode(), "note")


def test_same_name_and_another_key_id_is_another_key(signer):
    key = NoteKey("log.example", signer(1).public)
    other = note.SignatureLine("log.example", b"none", b"x" * 64)
    text = b"hello\n"
    both = note.encode(text, [other, note.sign(text, "log.example", signer(1))])
    assert list(note.by_key(note.parse(both, "note"), [key])) == [key]
    assert note.by_key(note.parse(note.encode(text, [other]), "note"), [key]) == {}


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_name_that_no_key_can_have_signs_nothing(signer, name):
    with pytest.raises(MalformedDocument):
        note.sign(b"text\n", name, signer(1))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
@example(SIGNED)
def test_any_bytes_are_read_or_refused(data):
    for reader in (note.parse, checkpoint.parse):
        try:
            read = reader(data, "note")
        except StellaError:
            continue
        if isinstance(read, note.Note):
            assert note.encode(read.text, read.signatures) == data
        else:
            assert read.text == data


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
@example(SIGNED.rpartition(b"\n\n")[2])
@example(b"\n")
def test_any_signature_lines_are_read_or_refused(data):
    try:
        read = note.parse_signatures(data, "lines")
    except StellaError:
        return
    assert read
    assert note.encode_signatures(read) == data


@given(st.text(alphabet="0123456789\u0661-+ _", max_size=20))
def test_number_has_one_spelling(text):
    number = note.read_number(text, 1 << 53) if text else None
    if number is not None:
        assert str(number) == text
