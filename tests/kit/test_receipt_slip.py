"""Slips: read back into exactly the signed bytes, in one spelling, whatever a phone or a hand makes of their layout."""

import base64
import json
import random
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import receipt as receipts
from kit import receipt_slip as slips
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import LimitExceeded, MalformedDocument, NotCanonical, SignatureInvalid, StellaError
from kit.result import Receipt, ReferenceTime
from kit.trust import dsse
from kit.trust.keys import PemSigner
from tests.receipts import receipt_of

SITE = PemSigner.from_seed("ed25519", b"\x01" * 32)
P256_SITE = PemSigner.from_seed("ecdsa-p256-sha256", b"\x02" * 48)


def envelope_of(receipt: Receipt, signer: PemSigner = SITE) -> bytes:
    return dsse.sign(receipts.signed_payload(receipt), dsse.IN_TOTO, [signer])


def genuine(envelope: bytes, signer: PemSigner = SITE) -> receipts.Genuine:
    verified = dsse.verify(envelope, [signer.public], threshold=1, payload_types=(dsse.IN_TOTO,), name="it")
    return receipts.genuine(verified, "it")


TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=127)
DIGESTS = st.binary(min_size=32, max_size=32).map(digest.of_raw)
TIMES = (
    st.datetimes()
    .filter(lambda moment: moment.year >= 1970)
    .map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
)
JUDGED = st.builds(ReferenceTime, time=TIMES, source=TEXTS, clock=st.none() | TIMES)
RECEIPTS = st.builds(
    Receipt,
    schema_version=st.just("1.0"),
    site=st.just(SITE.public.fingerprint),
    run_id=TEXTS,
    mode=TEXTS | st.sampled_from(slips.WORDS),
    verdict=st.sampled_from(results.VERDICTS),
    reason=TEXTS | st.sampled_from(slips.WORDS),
    exit_code=st.integers(0, 255),
    finished_at=TIMES,
    result_digest=DIGESTS,
    reference_time=st.none() | JUDGED,
    kit_id=st.none() | TEXTS,
    sequence=st.none() | st.integers(0, (1 << 53) - 1),
    scan_id=st.none() | st.uuids().map(str),
    manifest_digest=st.none() | DIGESTS,
    previous=st.none() | DIGESTS,
)
RECEIPT = receipt_of(
    SITE.public.fingerprint,
    run_id="20261123t130502z-4f1c",
    verdict="REFUSED",
    reason="DigestMismatch",
    exit_code=30,
    finished_at="2026-11-23T13:05:04Z",
    reference_time=ReferenceTime(time="2026-11-23T13:05:03Z", source="site clock"),
    previous=digest.of_bytes(b"previous"),
)
SLIP = slips.encode(envelope_of(RECEIPT))


@given(RECEIPTS)
def test_slip_is_another_spelling_of_the_signed_envelope(receipt: Receipt) -> None:
    envelope = envelope_of(receipt)
    slip = slips.encode(envelope)
    assert set(slip) <= set(string.digits + string.ascii_uppercase + ":")
    assert slips.decode(slip) == envelope
    assert genuine(slips.decode(slip)).receipt == receipt


def test_words_keep_their_places() -> None:
    assert slips.WORDS == (
        "VERIFIED", "INTACT", "DIFFERS", "WHAT-IF", "REFUSED", "Ok",
        "verify", "strict", "what-if:feeds", "what-if:tools", "what-if:policy",
        "site clock", "--at (audit)", "1.0",
    )  # fmt: skip
    assert set(results.VERDICTS) <= set(slips.WORDS)
    assert {results.AUDIT, results.SCHEMA_VERSION} <= set(slips.WORDS)


def test_slip_of_old_stays_readable() -> None:
    assert digest.of_bytes(SLIP.encode()) == "sha256:c26f42633c3f6bcc3a7ff51cf2db5b33abdc6d5c00aeb627e45409ca21295c86"


def test_every_member_of_a_receipt_has_a_place_in_a_slip() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(Receipt)}
    assert {name for name, _, _ in (*slips._ALWAYS, *slips._SOMETIMES)} == names


def test_slip_of_a_p256_site_is_one_too() -> None:
    envelope = envelope_of(msgspec.structs.replace(RECEIPT, site=P256_SITE.public.fingerprint), P256_SITE)
    assert slips.decode(slips.encode(envelope)) == envelope


@given(st.integers(0, 1 << 32), st.sampled_from([slips.PREFIX, "Stella1:"]), st.sampled_from(["", "\n", " .", "\n-- "]))
def test_layout_case_and_lookalikes_do_not_matter(seed: int, prefix: str, end: str) -> None:
    chance = random.Random(seed)
    written = []
    for sign in SLIP.removeprefix(slips.PREFIX):
        written.append(chance.choice({"0": "0Oo", "1": "1IiLl"}.get(sign, sign + sign.lower())))
        written.append(chance.choice(["", "", "", "", " ", "\n", "\r\n", "\t", "\u00a0"]))
    assert slips.find(f"Dear all,\nthe code says\n{prefix}{''.join(written)}{end}") == [SLIP]


def test_several_slips_are_found_in_their_order() -> None:
    other = slips.encode(envelope_of(msgspec.structs.replace(RECEIPT, sequence=43)))
    assert slips.find(f"{SLIP}\n{other.lower()}\n") == [SLIP, other]
    assert slips.find("a text without one, STELLA 1:") == []


@given(st.integers(0, len(SLIP) - len(slips.PREFIX) - 1), st.sampled_from(slips._ALPHABET))
def test_one_wrong_character_is_told_from_a_forgery(at: int, sign: str) -> None:
    at += len(slips.PREFIX)
    changed = SLIP[:at] + sign + SLIP[at + 1 :]
    if changed == SLIP:
        return
    with pytest.raises(MalformedDocument) as refused:
        slips.decode(changed)
    assert "Scan the code again" in refused.value.next_step


@pytest.mark.parametrize("at", [0, 1, 7, 100, 400, len(SLIP) - 9])
def test_cut_off_slip_is_malformed(at: int) -> None:
    with pytest.raises(MalformedDocument):
        slips.decode(SLIP[: len(slips.PREFIX) + at])


def sealed(body: bytes) -> str:
    return slips.PREFIX + slips._to_text(body)


def changed(**members: object) -> Receipt:
    return msgspec.structs.replace(RECEIPT, **members)


BODY = slips._body(RECEIPT, b"\x07" * 64)
SIGNATURE = b"\x40" + b"\x07" * 64
HOSTILE = {
    "nothing": b"",
    "an unknown word": b"\xff" + BODY[1:],
    "a control character": BODY.replace(b"DigestMismatch", b"Digest\x1b[2J\r\n!!"),
    "a character beyond ASCII": BODY.replace(b"DigestMismatch", b"Digest\xe9ismatch"),
    "a word spelled out": BODY.replace(bytes([0x80 + slips.WORDS.index("strict")]), b"\x06strict", 1),
    "a number in two spellings": BODY.replace(SIGNATURE, b"\xc0\x00" + b"\x07" * 64),
    "a number without end": BODY.replace(SIGNATURE, b"\xff" * 64),
    "a signature longer than the slip": BODY.replace(SIGNATURE, b"\xff\xff\xff\x7f" + b"\x07" * 64),
    "more after the signature": BODY + b"\x00",
    "a member that nobody knows": BODY.replace(b"\x3f\x00\x6b", b"\x7f\x00\x6b", 1),
    "a time after the year 9999": BODY.replace(bytes.fromhex("006b043a00"), bytes.fromhex("ff6b043a00"), 1),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_slip_is_refused(case: str) -> None:
    with pytest.raises((MalformedDocument, NotCanonical)) as refused:
        slips.decode(sealed(HOSTILE[case]))
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


def test_slip_beyond_its_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitExceeded):
        slips.decode(slips.PREFIX + "0" * slips.MAX_CHARACTERS)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_back_alike_or_refused(data: bytes) -> None:
    try:
        envelope = slips.decode(sealed(data))
    except StellaError:
        return
    assert slips.encode(envelope) == sealed(data)


@given(st.text(max_size=300))
def test_any_text_holds_slips_in_the_one_form_or_none(text: str) -> None:
    for slip in slips.find(text + "STELLA1:" + text):
        assert set(slip) <= set(slips._ALPHABET + "STELLA:")


UNFIT = {
    "two signatures": lambda: dsse.sign(receipts.signed_payload(RECEIPT), dsse.IN_TOTO, [SITE, P256_SITE]),
    "a control character": lambda: envelope_of(changed(reason="a\nb")),
    "a text too long": lambda: envelope_of(changed(run_id="x" * 128)),
    "a scan that is no UUID": lambda: envelope_of(changed(scan_id="scan")),
    "a scan in capitals": lambda: envelope_of(changed(scan_id="5E11A000-0000-4000-8000-00000000000A")),
    "a time of another form": lambda: envelope_of(changed(finished_at="yesterday")),
    "a negative exit code": lambda: envelope_of(changed(exit_code=-1)),
    "another statement": lambda: dsse.sign(b"{}", dsse.IN_TOTO, [SITE]),
    "not canonical": lambda: json.dumps(json.loads(envelope_of(RECEIPT)), indent=1).encode(),
    "not JSON": lambda: b"\x00",
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_what_no_slip_can_say_is_refused_and_never_shortened(case: str) -> None:
    with pytest.raises(MalformedDocument):
        slips.encode(UNFIT[case]())


def test_changed_slip_does_not_verify() -> None:
    signature = base64.b64decode(json.loads(envelope_of(RECEIPT))["signatures"][0]["sig"])
    forged = sealed(slips._body(changed(verdict="VERIFIED", reason="Ok", exit_code=0), signature))
    with pytest.raises(SignatureInvalid):
        genuine(slips.decode(forged))


def test_site_cannot_write_another_sites_receipt() -> None:
    envelope = envelope_of(changed(site=P256_SITE.public.fingerprint))
    with pytest.raises(SignatureInvalid, match="names another site"):
        genuine(envelope)


def test_statement_about_another_receipt_is_refused() -> None:
    from kit.trust import statement

    fields = msgspec.to_builtins(RECEIPT)
    said = statement.make({receipts.FILE: digest.of_bytes(b"another")}, results.RECEIPT_TYPE, fields)
    with pytest.raises(StellaError) as refused:
        genuine(dsse.sign(said, dsse.IN_TOTO, [SITE]))
    assert refused.value.reason == "DigestMismatch"
    said = statement.make({receipts.FILE: digest.of_bytes(b"x")}, results.RESULT_TYPE, fields)
    with pytest.raises(StellaError) as refused:
        genuine(dsse.sign(said, dsse.IN_TOTO, [SITE]))
    assert refused.value.reason == "UnsupportedVersion"


def test_check_number_is_eight_digits_of_the_digest() -> None:
    assert receipts.check_number("sha256:" + "0" * 15 + "7" + "f" * 48) == "0000 0007"
    found = digest.of_bytes(canonical.encode_record(RECEIPT))
    assert receipts.check_number(found).replace(" ", "") == f"{int(found[7:23], 16) % 10**8:08d}"
