"""Time stamps (RFC 3161): what counts, and each way in which one may be wrong."""

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from kit.errors import (
    LimitExceeded,
    MalformedDocument,
    StellaError,
    TimestampExpired,
    TimestampForeign,
    TimestampInvalid,
    TimestampUnknown,
    TrustRootRefused,
)
from kit.trust import certificates, stamp_token, timestamp
from kit.trust.evidence import MAX_STAMP, STAMP
from kit.trust.keys import ECDSA_P256, PemSigner, PublicKey
from tests.stamps import SHA1, SHA512, Profile, StampingAuthority, days, make_authority, unknown_extension

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SIGNER = PemSigner.from_seed(ECDSA_P256, bytes(48))
SIGNATURE = b"the bytes of a signature"
OURS = [(SIGNER.public, SIGNATURE)]


def verify(data: bytes, stamping: StampingAuthority, **changes: object):
    return timestamp.verify(data, OURS, [replace(stamping.authority, **changes)], path="a.tsr")


@pytest.mark.parametrize("certificates_sent", [False, True])
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_stamp_of_a_trusted_authority_says_when_which_signature_existed(stamping, digest, certificates_sent):
    data = stamping.stamp(SIGNATURE, NOW, digest=digest, certificates=certificates_sent)
    found = verify(data, stamping)
    assert (found.signer, found.time, found.earliest) == (
        SIGNER.public.fingerprint,
        "2026-06-01T12:00:00Z",
        "2026-06-01T12:00:00Z",
    )
    assert (found.source, found.by, found.name) == (STAMP, stamping.fingerprint, "https://tsa.example")


def test_public_verifier_of_the_library_agrees(stamping):
    data = decode_timestamp_response(stamping.stamp(SIGNATURE, NOW))
    builder = VerifierBuilder(roots=[stamping.root], intermediates=[]).tsa_certificate(stamping.own)
    assert builder.build().verify_message(data, SIGNATURE)


def test_accuracy_widens_the_time_to_both_sides(stamping):
    found = verify(stamping.stamp(SIGNATURE, NOW, written_time="20260601120000.5Z", accuracy=2), stamping)
    assert (found.earliest, found.time) == ("2026-06-01T11:59:58Z", "2026-06-01T12:00:03Z")


def test_longer_imprint_counts(stamping):
    assert verify(stamping.stamp(SIGNATURE, NOW, oid=SHA512), stamping).time == "2026-06-01T12:00:00Z"


def test_the_stamped_signature_is_found_among_several(stamping):
    other = PemSigner.from_seed(ECDSA_P256, bytes([1]) * 48).public
    data = stamping.stamp(b"second", NOW)
    found = timestamp.verify(data, [*OURS, (other, b"second")], [stamping.authority], path="a.tsr")
    assert found.signer == other.fingerprint


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"oid": SHA1}, TimestampInvalid),
        ({"digest": "sha1"}, TimestampInvalid),
        ({"status": 2}, TimestampInvalid),
        ({"accuracy": 3601}, TimestampInvalid),
        ({"accuracy": 1 << 60}, MalformedDocument),
        ({"written_time": "2026060112Z"}, MalformedDocument),
        ({"written_time": "20241231235959Z"}, TimestampExpired),
        ({"written_time": "20350101000001Z"}, TimestampExpired),
        ({"written_time": "99991231235959Z"}, TimestampExpired),
    ],
    ids=str,
)
def test_genuine_stamp_that_breaks_a_rule_is_refused(stamping, changes, error):
    with pytest.raises(error):
        verify(stamping.stamp(SIGNATURE, NOW, **changes), stamping)


def test_stamp_over_another_signature_is_foreign(stamping):
    with pytest.raises(TimestampForeign):
        verify(stamping.stamp(b"another", NOW), stamping)


def test_altered_time_is_a_forgery_also_where_it_lies_outside_of_every_window(stamping):
    data = stamping.stamp(SIGNATURE, NOW)
    for forged in (b"20260601120001Z", b"20260101000000Z", b"20990101000000Z", b"19700101000000Z"):
        changed = data.replace(b"20260601120000Z", forged)
        assert changed != data
        with pytest.raises(TimestampInvalid, match="does not hold"):
            verify(changed, stamping)


def test_stamp_by_another_key_under_the_same_names_is_a_forgery(stamping, other_authority):
    with pytest.raises(TimestampInvalid):
        verify(other_authority.stamp(SIGNATURE, NOW), stamping)
    with pytest.raises(TimestampInvalid, match="not the authority"):
        verify(other_authority.stamp(SIGNATURE, NOW, certificates=True), stamping)


def test_stamp_of_an_authority_that_nobody_named_is_unknown(stamping, tmp_path):
    stranger = make_authority(tmp_path, name="stranger")
    with pytest.raises(TimestampUnknown, match="stranger"):
        verify(stranger.stamp(SIGNATURE, NOW), stamping)
    with pytest.raises(TimestampUnknown):
        timestamp.verify(stamping.stamp(SIGNATURE, NOW), OURS, [], path="a.tsr")


@pytest.mark.parametrize(
    ("start", "end", "counts"),
    [
        (NOW, NOW, True),
        (NOW - timedelta(seconds=1), NOW, True),
        (NOW, None, True),
        (NOW + timedelta(seconds=1), None, False),
        (NOW - days(9), NOW - timedelta(seconds=1), False),
    ],
)
def test_window_of_the_authority_includes_both_ends(stamping, start, end, counts):
    data = stamping.stamp(SIGNATURE, NOW)
    if counts:
        assert verify(data, stamping, valid_from=start, valid_until=end).time == "2026-06-01T12:00:00Z"
    else:
        with pytest.raises(TimestampExpired):
            verify(data, stamping, valid_from=start, valid_until=end)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_certificate_counts_until_its_last_second(tmp_path, offset):
    short = make_authority(tmp_path, Profile(not_after=NOW))
    data = short.stamp(SIGNATURE, NOW + timedelta(seconds=offset))
    if offset > 0:
        with pytest.raises(TimestampExpired):
            verify(data, short)
    else:
        assert verify(data, short).source == STAMP


HOSTILE = {
    "no key usage": Profile(usage=None),
    "key usage that is not critical": Profile(usage_critical=False),
    "key usage for more": Profile(
        usage=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING])
    ),
    "key usage for something else": Profile(usage=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
    "issuer's certificate": Profile(ca=True),
    "unknown critical extension": Profile(extra=(unknown_extension(),)),
}


@pytest.mark.parametrize("profile", HOSTILE.values(), ids=HOSTILE)
def test_authority_whose_certificate_is_not_for_stamps_alone_is_refused(tmp_path, profile):
    made = make_authority(tmp_path, profile)
    with pytest.raises(TrustRootRefused):
        certificates.check(made.authority)
    with pytest.raises(TrustRootRefused):
        verify(make_authority(tmp_path).stamp(SIGNATURE, NOW), made)


def test_chain_is_held_link_by_link(stamping, other_authority):
    own, root = stamping.chain
    for chain in ((own, other_authority.chain[1]), (own,), (root, own), (own, root, root), (b"\x30\x00",), (root,)):
        with pytest.raises(TrustRootRefused):
            certificates.check(replace(stamping.authority, chain=chain))


def test_windows_without_a_common_moment_are_refused(stamping):
    with pytest.raises(TrustRootRefused, match="no moment in common"):
        certificates.check(stamping.within(datetime(2040, 1, 1, tzinfo=UTC), None))


def test_signer_that_stamps_itself_is_refused(stamping):
    own = PublicKey.from_spki(
        stamping.own.public_key().public_bytes(timestamp.Encoding.DER, timestamp.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(TimestampInvalid, match="its own"):
        timestamp.verify(stamping.stamp(SIGNATURE, NOW), [(own, SIGNATURE)], [stamping.authority], path="a.tsr")


def test_size_is_limited(stamping):
    with pytest.raises(LimitExceeded):
        verify(bytes(MAX_STAMP + 1), stamping)


@given(data=st.binary(max_size=400))
def test_garbage_is_a_typed_error(stamping, data):
    with pytest.raises(MalformedDocument):
        verify(data, stamping)


def test_name_of_no_known_string_type_is_malformed(stamping):
    """The library decodes names when they are asked for, and then raises what it does not document."""
    whole = stamping.stamp(SIGNATURE, NOW)
    name = b"\x0c\x0bstamps root"
    assert name in whole
    with pytest.raises(MalformedDocument):
        verify(whole.replace(name, b"\x06" + name[1:]), stamping)


def test_panic_and_warning_of_the_library_are_malformed_and_silent(stamping, monkeypatch):
    class PanicException(BaseException):
        """As Rust code raises it."""

    def panics(_: bytes) -> None:
        warnings.warn("seen by nobody", stacklevel=1)
        raise PanicException

    monkeypatch.setattr(stamp_token, "read", panics)
    with pytest.raises(MalformedDocument):
        verify(b"", stamping)


def test_interruption_while_reading_is_passed_on(stamping, monkeypatch):
    def interrupted(_: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stamp_token, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify(b"", stamping)


@pytest.mark.parametrize(
    ("part", "other"), [(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"), (b"\x0c\x06stamps", b"\x06\x06stamps")]
)
def test_certificate_of_another_version_or_with_an_unreadable_name_is_refused(stamping, part, other):
    own, root = stamping.chain
    assert own.count(part) == 1
    with pytest.raises(TrustRootRefused):
        certificates.check(replace(stamping.authority, chain=(own.replace(part, other), root)))


@settings(max_examples=300)
@given(data=st.data())
def test_changed_stamp_is_refused_or_says_the_same(stamping, whole_stamp, data):
    place = data.draw(st.integers(0, len(whole_stamp) - 1))
    changed = bytearray(whole_stamp)
    changed[place] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(place, len(changed)))])
    if cut == whole_stamp:
        return
    try:
        found = verify(cut, stamping)
    except StellaError as error:
        found = error.exit_code
    assert found in {20, 21, 31} or found == verify(whole_stamp, stamping)


@pytest.fixture(scope="module")
def whole_stamp(stamping: StampingAuthority) -> bytes:
    return stamping.stamp(SIGNATURE, NOW, certificates=True)


def test_request_asks_for_no_certificates(tmp_path: Path):
    import subprocess

    (tmp_path / "q").write_bytes(timestamp.request(SIGNATURE, 1 << 63))
    said = subprocess.run(
        ["openssl", "ts", "-query", "-in", tmp_path / "q", "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert "Hash Algorithm: sha256" in said
    assert "Certificate required: no" in said
    assert "Nonce: 0x" in said
