"""Whatever time stamp counts here also counts for OpenSSL and for rfc3161-client, however it was changed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec.structs import replace
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

from kit.errors import MalformedDocument, StellaError, TimestampInvalid, TrustRootRefused
from kit.trust import certificates, der, stamp_signature, stamp_token, timestamp
from kit.trust.keys import ECDSA_P256, PemSigner
from kit.trust.stamp_token import Algorithm, Certified
from kit.trust.trusted_root import Authority
from tests.stamp_trees import Forge, changed, encode, parse
from tests.stamps import END, STAMPING, START, Profile, StampingAuthority, make_authority

SIGNATURE = b"the bytes of a signature"
OURS = [(PemSigner.from_seed(ECDSA_P256, bytes(48)).public, SIGNATURE)]
KEYS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
}
CONFIGURATION = """
[tsa]
default_tsa = own
[own]
serial = serial
signer_cert = own.pem
signer_key = own.key
certs = root.pem
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_chain = {chain}
ess_cert_id_alg = {named}
{more}
"""
EVERYTHING = "accuracy = secs:1, millisecs:500\nordering = yes\ntsa_name = yes"
GRANTED_WITH_CHANGES = "byte 8"
"""The one change that makes status 1 of 0, which RFC 3161 calls granted as well and the library does not."""


def made(place: Path, kind: str) -> StampingAuthority:
    """Return an authority with a key of a kind."""
    place.mkdir()
    keys = [KEYS[kind](), ec.generate_private_key(ec.SECP256R1())]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, word)]) for word in ("own", "root")]
    found = []
    for number, (key, name) in enumerate(zip(keys, names, strict=True)):
        begun = x509.CertificateBuilder().subject_name(name).issuer_name(names[1]).public_key(key.public_key())
        begun = begun.serial_number(number + 5).not_valid_before(START).not_valid_after(END)
        begun = begun.add_extension(x509.BasicConstraints(ca=number == 1, path_length=None), critical=True)
        begun = begun.add_extension(STAMPING, critical=True) if number == 0 else begun
        found.append(begun.sign(keys[1], hashes.SHA256()))
    (place / "own.key").write_bytes(keys[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name, certificate in zip(("own.pem", "root.pem"), found, strict=True):
        (place / name).write_bytes(certificate.public_bytes(Encoding.PEM))
    return StampingAuthority(place, *found)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory) -> dict[str, StampingAuthority]:
    place = tmp_path_factory.mktemp("oracles")
    return {kind: made(place / kind, kind) for kind in KEYS}


def openssl(place: Path, *words: str) -> bool:
    return subprocess.run(["openssl", "ts", *words], check=False, cwd=place, capture_output=True).returncode == 0


def answer(
    by: StampingAuthority, *, digest: str = "sha256", chain: str = "no", named: str = "sha256", more: str = EVERYTHING
) -> bytes:
    """Return the answer of OpenSSL's authority, without certificates in it."""
    conf = CONFIGURATION.format(digest=digest, chain=chain, named=named, more=more)
    for name, data in (("conf", conf.encode()), ("serial", b"01"), ("data", SIGNATURE)):
        (by.place / name).write_bytes(data)
    assert openssl(by.place, "-query", "-data", "data", "-sha256", "-out", "query")
    assert openssl(by.place, "-reply", "-config", "conf", "-queryfile", "query", "-out", "answer")
    return (by.place / "answer").read_bytes()


def counts(data: bytes, by: StampingAuthority) -> bool:
    try:
        timestamp.verify(data, OURS, [by.authority], path="a.tsr")
    except StellaError:
        return False
    return True


def counts_for_openssl(data: bytes, by: StampingAuthority) -> bool:
    (by.place / "changed").write_bytes(data)
    (by.place / "data").write_bytes(SIGNATURE)
    words = ["-verify", "-in", "changed", "-data", "data", "-CAfile", "root.pem", "-untrusted", "own.pem"]
    return openssl(by.place, *words)


def counts_for_library(data: bytes, by: StampingAuthority) -> bool:
    verifier = VerifierBuilder(roots=[by.root]).tsa_certificate(by.own).build()
    try:
        return verifier.verify_message(decode_timestamp_response(data), SIGNATURE)
    except (ValueError, VerificationError):
        return False


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(
    ("digest", "chain", "named", "more"),
    [
        ("sha256", "no", "sha1", ""),
        ("sha384", "yes", "sha256", EVERYTHING),
        ("sha512", "yes", "sha1", EVERYTHING),
        ("sha256", "yes", "sha512", ""),
    ],
)
def test_genuine_stamp_counts_for_all_three(authorities, kind, digest, chain, named, more):
    by = authorities[kind]
    data = answer(by, digest=digest, chain=chain, named=named, more=more)
    assert (counts(data, by), counts_for_openssl(data, by), counts_for_library(data, by)) == (True, True, True)


def variants(by: StampingAuthority, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Return a stamp changed in many ways: as it is sent, and where it is signed also with a signature that fits."""
    forge = Forge(load_pem_private_key((by.place / "own.key").read_bytes(), None), data)
    for at in range(len(data)):
        yield f"byte {at}", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    for name, tree in changed(forge.tree):
        yield f"sent: {name}", encode(tree)
    for name, info in changed(forge.info):
        yield f"info: {name}", forge.with_info(info)
    for name, attributes in changed(forge.attributes):
        yield f"attributes: {name}", forge.with_attributes(attributes, ordered=False)
        yield f"ordered attributes: {name}", forge.with_attributes(attributes, ordered=True)


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_whatever_counts_however_changed_counts_for_both(authorities, kind):
    by = authorities[kind]
    data = answer(by, chain="yes")
    changes = [(name, one) for name, one in variants(by, data) if one != data and counts(one, by)]
    assert len(changes) > 20
    openssl_refuses = {name for name, one in changes if not counts_for_openssl(one, by)}
    library_refuses = {name for name, one in changes if not counts_for_library(one, by)}
    assert not openssl_refuses
    assert library_refuses == {GRANTED_WITH_CHANGES}


def test_signer_must_say_which_certificate_is_his(authorities):
    by = authorities["p256"]
    token = stamp_token.read(answer(by))
    (signer,), chain = token.signers, certificates.check(by.authority)
    own, root = (
        Certified(stamp_token.SHA256, stamp_signature.HASHES[stamp_token.SHA256](one).digest(), None)
        for one in by.chain
    )
    name = by.own.issuer.public_bytes()

    def fits(*certified: tuple[Certified, ...]) -> bool:
        return stamp_signature.fits(token, replace(signer, certified=certified), chain)

    assert all((fits((own,)), fits((own, root)), fits((own,), (own, root)), fits((replace(own, named=(name, 5)),))))
    wrong = replace(own, digest=bytes(32))
    for certified in ((), ((),), ((root,),), ((root, own),), ((own, own),), ((own, wrong),), ((own,), (wrong,))):
        assert not fits(*certified)
    for named in ((name, 6), (by.own.subject.public_bytes(), 5)):
        assert not fits((replace(own, named=named),))


def test_stamp_that_names_no_certificate_is_refused(authorities):
    by = authorities["p256"]
    forge = Forge(load_pem_private_key((by.place / "own.key").read_bytes(), None), answer(by))
    forge.attributes[1] = [one for one in forge.attributes[1] if one[1][0][1] != SIGNING_CERTIFICATE_V2]
    data = forge.with_attributes(forge.attributes, ordered=True)
    assert not counts_for_openssl(data, by)
    with pytest.raises(TimestampInvalid, match="which certificate"):
        timestamp.verify(data, OURS, [by.authority], path="a.tsr")


SIGNING_CERTIFICATE_V2 = bytes.fromhex("2a864886f70d010910022f")


def test_signature_with_another_hash_than_the_digest_is_none(authorities):
    by = authorities["p256"]
    token, chain = stamp_token.read(answer(by)), certificates.check(by.authority)
    (signer,) = token.signers
    key = load_pem_private_key((by.place / "own.key").read_bytes(), None)
    for last, used, holds in ((2, hashes.SHA256(), True), (4, hashes.SHA512(), False)):
        signature = key.sign(signer.attributes, ec.ECDSA(used))
        mixed = replace(signer, algorithm=Algorithm(f"1.2.840.10045.4.3.{last}", b""), signature=signature)
        assert stamp_signature.fits(token, mixed, chain) is holds


@pytest.mark.parametrize("name", ["unsigned attributes", "revocation lists", "another version", "an unknown status"])
def test_what_no_signature_covers_has_no_place(authorities, name):
    by = authorities["p256"]
    tree = parse(answer(by))[0]
    signed = tree[1][1][1][1][1][0]
    if name == "unsigned attributes":
        attribute = [der.SEQUENCE, [der.encode(der.OID, b"\x2a\x03"), [der.SET, [b"\5\0"]]]]
        signed[1][-1][1][0][1].append([0xA1, [attribute]])
    elif name == "revocation lists":
        signed[1].insert(-1, [0xA1, []])
    elif name == "another version":
        signed[1][0][1] = b"\1"
    else:
        tree[1][0][1][0][1] = b"\6"
    with pytest.raises(MalformedDocument):
        timestamp.verify(encode(tree), OURS, [by.authority], path="a.tsr")


def test_authority_must_have_the_name_that_its_stamp_gives(authorities):
    by = authorities["p256"]
    name = stamp_token.read(answer(by)).name
    assert name == der.encode(0xA4, by.own.subject.public_bytes())
    assert stamp_signature.is_named(name, by.own)
    assert stamp_signature.is_named(name.replace(b"\x0c\x03own", b"\x13\x03own"), by.own)
    assert not stamp_signature.is_named(der.encode(0xA4, by.root.subject.public_bytes()), by.own)
    assert not stamp_signature.is_named(der.encode(0x86, b"https://tsa.example"), by.own)


@pytest.mark.parametrize("other", [None, "key_encipherment", "key_cert_sign", "crl_sign"])
def test_key_of_an_authority_is_for_signatures_alone(tmp_path, other):
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    usage = x509.KeyUsage(**{name: name in {"digital_signature", other} for name in names})
    by = make_authority(tmp_path, Profile(extra=(usage,)))
    if other is None:
        assert certificates.check(by.authority).own == by.own
    else:
        with pytest.raises(TrustRootRefused, match="something else"):
            certificates.check(by.authority)


def test_time_at_the_end_of_the_calendar_is_malformed(authorities, stamping):
    with pytest.raises(MalformedDocument):
        timestamp.verify(
            stamping.stamp(SIGNATURE, START, written_time="99991231235959Z", accuracy=9),
            OURS,
            [stamping.authority],
            path="a.tsr",
        )


def test_certificate_whose_key_is_bound_to_pss_is_refused(tmp_path):
    words = [
        "-newkey",
        "rsa-pss",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-noenc",
        "-subj",
        "/CN=pss",
        "-keyout",
        "own.key",
        "-outform",
        "DER",
    ]
    made = subprocess.run(["openssl", "req", "-x509", *words], check=True, cwd=tmp_path, capture_output=True).stdout
    with pytest.raises(TrustRootRefused, match="RSA-PSS alone"):
        certificates.check(Authority("", (made,), START))
