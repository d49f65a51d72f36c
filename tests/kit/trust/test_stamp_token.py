"""Time stamps as authorities make them, and each place in which one may be wrong, held against OpenSSL's reading."""

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rfc3161_client import decode_timestamp_response
from rfc3161_client._rust import verify as cms

from kit.errors import MalformedDocument, StellaError, TimestampInvalid
from kit.trust import stamp_token, timestamp
from kit.trust.certificates import Chain, check
from kit.trust.keys import ECDSA_P256, PemSigner
from tests.stamps import SHA256, STAMPING, StampingAuthority, der, integer

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SIGNATURE = b"the bytes of a signature"
OURS = [(PemSigner.from_seed(ECDSA_P256, bytes(48)).public, SIGNATURE)]
CONFIGURATION = """
[tsa]
default_tsa = own
[own]
serial = {place}/serial
signer_cert = {place}/own.pem
signer_key = {place}/own.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = {chain}
ess_cert_id_alg = {algorithm}
"""


def verify(data: bytes, stamping: StampingAuthority):
    return timestamp.verify(data, OURS, [stamping.authority], path="a.tsr")


@pytest.fixture(scope="module")
def rsa_authority(stamping, tmp_path_factory) -> StampingAuthority:
    """Return an authority whose own key is RSA, below a root that signs by RSA as well."""
    place = tmp_path_factory.mktemp("rsa")
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"rsa {word}")]) for word in ("own", "root")]
    made = []
    for number, (key, name) in enumerate(zip(keys, names, strict=True)):
        begun = x509.CertificateBuilder().subject_name(name).issuer_name(names[1]).public_key(key.public_key())
        begun = begun.serial_number(number + 5).not_valid_before(stamping.own.not_valid_before_utc)
        begun = begun.not_valid_after(stamping.own.not_valid_after_utc)
        begun = begun.add_extension(x509.BasicConstraints(ca=number == 1, path_length=None), critical=True)
        begun = begun.add_extension(STAMPING, critical=True) if number == 0 else begun
        made.append(begun.sign(keys[1], hashes.SHA256()))
    (place / "own.key").write_bytes(keys[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (place / "own.pem").write_bytes(made[0].public_bytes(Encoding.PEM))
    return StampingAuthority(place, made[0], made[1])


def answer(stamping: StampingAuthority, place: Path, *, chain: str = "no", algorithm: str = "sha256") -> bytes:
    """Return the answer of OpenSSL's own authority to our request, as it is: serial number, nonce, names, accuracy."""
    (place / "serial").write_text("01")
    (place / "own.pem").write_bytes(stamping.own.public_bytes(Encoding.PEM))
    (place / "own.key").write_bytes((stamping.place / "own.key").read_bytes())
    (place / "conf").write_text(CONFIGURATION.format(place=place, chain=chain, algorithm=algorithm))
    (place / "query").write_bytes(timestamp.request(SIGNATURE, 1 << 63))
    words = ["openssl", "ts", "-reply", "-config", "conf", "-queryfile", "query", "-out", "answer"]
    subprocess.run(words, cwd=place, check=True, capture_output=True)
    return (place / "answer").read_bytes()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_answer_of_another_authority_program_counts(stamping, tmp_path, algorithm):
    data = answer(stamping, tmp_path, algorithm=algorithm)
    found, theirs = verify(data, stamping), decode_timestamp_response(data).tst_info
    token = stamp_token.read(data)
    assert token.time.replace(microsecond=0) == theirs.gen_time
    assert (token.imprint[1], token.accuracy.microseconds) == (theirs.message_imprint.message, 500_100)
    assert found.earliest < found.time


def test_certificate_that_the_signer_says_is_his_must_be_the_pinned_one(stamping, other_authority, tmp_path):
    """Both have the same names and numbers; the stamp is signed by the one key and names the other's certificate."""
    own = hashlib.sha256(stamping.chain[0]).digest()
    data = answer(stamping, tmp_path)
    token = stamp_token.read(data)
    signer = token.signers[0]
    assert [[one.digest for one in listed] for listed in signer.certified] == [[own]]
    pinned, other = check(stamping.authority), check(other_authority.authority)
    assert timestamp.stamp_signature.fits(token, signer, pinned)
    same_key = Chain(replace(pinned.authority, chain=other.authority.chain), (pinned.own, *pinned.certificates[1:]))
    assert not timestamp.stamp_signature.fits(token, signer, same_key)


@pytest.mark.parametrize("padding", ["pkcs1", "pss"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_rsa_counts_by_both_paddings(rsa_authority, padding, digest):
    info = info_of(NOW)
    data = rsa_authority.respond(info, digest=digest)
    if padding == "pss":
        words = [
            "openssl",
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-outform",
            "DER",
            "-nocerts",
            "-cades",
            "-md",
            digest,
        ]
        words += ["-econtent_type", stamp_token.TST_INFO, "-signer", "own.pem", "-inkey", "own.key"]
        words += ["-keyopt", "rsa_padding_mode:pss"]
        signed = subprocess.run(words, cwd=rsa_authority.place, input=info, capture_output=True, check=True).stdout
        data = der(0x30, der(0x30, integer(0)), signed)
    assert verify(data, rsa_authority).time == "2026-06-01T12:00:00Z"
    with pytest.raises(TimestampInvalid):
        verify(data[:-1] + bytes([data[-1] ^ 1]), rsa_authority)


@pytest.mark.parametrize(("critical", "counts"), [(True, False), (False, True)])
def test_critical_extension_that_nobody_knows_is_refused(stamping, critical, counts):
    marked = der(1, b"\xff") if critical else b""
    extension = der(0xA1, der(0x30, der(6, bytes([0x2A, 3])), marked, der(4, b"x")))
    data = stamping.respond(info_of(NOW, extension))
    if counts:
        assert verify(data, stamping).time == "2026-06-01T12:00:00Z"
    else:
        with pytest.raises(TimestampInvalid, match="critical"):
            verify(data, stamping)


OTHER_TIMES = [
    "20260601120000.50Z",
    "20260601120000.Z",
    "20260601120000.1234567891Z",
    "20260601120000+0000",
    "20260601120060Z",
    "20260631120000Z",
    "+0260601120000Z",
    "20260601120000",
]


@pytest.mark.parametrize("text", ["20260601120000.25Z", "20260601120000.000000001Z"])
def test_parts_of_seconds_widen_the_time(stamping, text):
    found = verify(stamping.stamp(SIGNATURE, NOW, written_time=text), stamping)
    assert (found.earliest, found.time) == ("2026-06-01T12:00:00Z", "2026-06-01T12:00:01Z")


@pytest.mark.parametrize("text", OTHER_TIMES)
def test_time_in_another_form_is_malformed(stamping, text):
    with pytest.raises(MalformedDocument):
        verify(stamping.stamp(SIGNATURE, NOW, written_time=text), stamping)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("06092a864886f70d010702", "06092a864886f70d010701"),
        ("060b2a864886f70d0109100104", "060b2a864886f70d0109100105"),
        ("06092a864886f70d010904", "06092a864886f70d010905"),
        ("06092a864886f70d010903", "06092a864886f70d010904"),
    ],
    ids=["not signed data", "not a time stamp", "no digest of the content", "no type of the content"],
)
def test_token_without_what_binds_it_is_refused(stamping, part, other):
    data = stamping.stamp(SIGNATURE, NOW)
    assert bytes.fromhex(part) in data
    with pytest.raises(StellaError) as refusal:
        verify(data.replace(bytes.fromhex(part), bytes.fromhex(other)), stamping)
    assert refusal.value.reason in {"MalformedDocument", "TimestampInvalid"}


def info_of(time: datetime, *more: bytes) -> bytes:
    imprint = der(0x30, der(0x30, der(6, bytes.fromhex(SHA256)), der(5)), der(4, hashlib.sha256(SIGNATURE).digest()))
    written = der(0x18, time.strftime("%Y%m%d%H%M%SZ").encode())
    return der(0x30, integer(1), der(6, bytes([0x2A, 3, 4, 1])), imprint, integer(7), written, *more)


@settings(max_examples=200)
@given(data=st.data())
def test_whatever_counts_also_counts_for_openssl(stamping, answered, data):
    """One byte is changed, and what we then take to be signed is signed for an independent reader as well."""
    place = data.draw(st.integers(0, len(answered) - 1))
    changed = bytearray(answered)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = verify(bytes(changed), stamping)
    except StellaError:
        return
    chain = check(stamping.authority)
    read = decode_timestamp_response(bytes(changed))
    cms.pkcs7_verify(read.time_stamp_token(), chain.valid[0], list(stamping.chain))
    assert read.tst_info.gen_time == stamp_token.read(bytes(changed)).time.replace(microsecond=0)
    assert found == verify(answered, stamping)


@pytest.fixture(scope="module")
def answered(stamping, tmp_path_factory) -> bytes:
    return answer(stamping, tmp_path_factory.mktemp("answered"), chain="no")
