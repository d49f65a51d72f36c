"""Hostile signatures and keys for every algorithm, made here in the manner of Wycheproof."""

import base64
import functools
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import InternalError, KeyRefused, LimitExceeded
from kit.trust import dsse
from kit.trust import keys as key_names
from kit.trust.keys import (
    ALGORITHMS,
    ECDSA_P256,
    ECDSA_P384,
    ECDSA_P521,
    ED25519,
    ML_DSA_65,
    RSA,
    RSA_PKCS1,
    RSA_PSS,
    SEED_SIZES,
    PemSigner,
    PublicKey,
)
from kit.trust.keys import rsa as rsa_keys

MESSAGE = b"DSSEv1 1 a 1 b"
CURVES = {
    ECDSA_P256: (ec.SECP256R1(), hashes.SHA256()),
    ECDSA_P384: (ec.SECP384R1(), hashes.SHA384()),
    ECDSA_P521: (ec.SECP521R1(), hashes.SHA512()),
}
PADDINGS = [RSA_PKCS1, RSA_PSS]
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@functools.cache
def rsa_key(bits=2048, exponent=65537):
    return rsa.generate_private_key(exponent, bits)


def spki_of(private):
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_of(algorithm):
    return PublicKey.from_spki(spki_of(rsa_key()), algorithm)


def tlv(tag, body, *, long=0):
    """Return DER, or with ``long`` BER whose length takes that many bytes."""
    if long:
        return bytes((tag, 0x80 | long)) + len(body).to_bytes(long) + body
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(body).to_bytes(size) + body


def integer(value, *, padded=0):
    size = max(1, ((value if value >= 0 else ~value).bit_length() + 8) // 8)
    return tlv(2, b"\0" * padded + value.to_bytes(size, signed=True))


def pair(r, s):
    return tlv(0x30, integer(r) + integer(s))


def ecdsa_forgeries(algorithm):
    """Yield names and signatures made of a good one, none of which may be accepted."""
    key = PemSigner.from_seed(algorithm, bytes(range(SEED_SIZES[algorithm])))
    curve, own_hash = CURVES[algorithm]
    order = curve.group_order
    size = (curve.key_size + 7) // 8
    good = key.sign(MESSAGE)
    r, s = decode_dss_signature(good)
    assert pair(r, s) == good
    yield "raw r and s", r.to_bytes(size) + s.to_bytes(size)
    yield "raw in an octet string", tlv(4, r.to_bytes(size) + s.to_bytes(size))
    yield "long length of the sequence", tlv(0x30, integer(r) + integer(s), long=2)
    yield "four length bytes", tlv(0x30, integer(r) + integer(s), long=4)
    yield "long length of r", tlv(0x30, tlv(2, integer(r)[2:], long=1) + integer(s))
    yield "zero before r", tlv(0x30, integer(r, padded=1) + integer(s))
    yield "zero before s", tlv(0x30, integer(r) + integer(s, padded=1))
    yield "indefinite length", b"\x30\x80" + integer(r) + integer(s) + b"\0\0"
    yield "byte after", good + b"\0"
    yield "byte inside", tlv(0x30, integer(r) + integer(s) + b"\0")
    yield "null inside", tlv(0x30, integer(r) + integer(s) + b"\x05\0")
    yield "third integer", tlv(0x30, integer(r) + integer(s) + integer(1))
    yield "only r", tlv(0x30, integer(r))
    yield "a set", tlv(0x31, integer(r) + integer(s))
    yield "truncated", good[:-1]
    yield "twice", good + good
    yield "swapped", pair(s, r)
    for name, first, second in (
        ("r is zero", 0, s),
        ("s is zero", r, 0),
        ("both are zero", 0, 0),
        ("both are one", 1, 1),
        ("negative r", -r, s),
        ("negative s", r, -s),
        ("r less the order", r - order, s),
        ("s less the order", r, s - order),
        ("r is the order", order, s),
        ("s is the order", r, order),
        ("r plus the order", r + order, s),
        ("s plus the order", r, s + order),
        ("order less one", order - 1, order - 1),
        ("r huge", r + (order << 512), s),
    ):
        yield name, pair(first, second)
    private = ec.derive_private_key(int.from_bytes(bytes(range(SEED_SIZES[algorithm]))) % (order - 1) + 1, curve)
    assert spki_of(private) == key.public.spki
    for other in (hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512(), hashes.SHA3_256()):
        if other.name != own_hash.name:
            yield f"hash {other.name}", private.sign(MESSAGE, ec.ECDSA(other))
    for other, (foreign, hash_of_it) in CURVES.items():
        if other != algorithm:
            yield f"curve of {other}", ec.derive_private_key(7, foreign).sign(MESSAGE, ec.ECDSA(hash_of_it))


@pytest.mark.parametrize("algorithm", CURVES)
def test_ecdsa_forgery_is_refused(algorithm):
    public = PemSigner.from_seed(algorithm, bytes(range(SEED_SIZES[algorithm]))).public
    accepted = [name for name, signature in ecdsa_forgeries(algorithm) if public.verify(MESSAGE, signature)]
    assert accepted == []


@pytest.mark.parametrize("algorithm", CURVES)
def test_low_and_high_s_are_both_the_standards(algorithm):
    signer = PemSigner.from_seed(algorithm, bytes(range(SEED_SIZES[algorithm])))
    r, s = decode_dss_signature(signer.sign(MESSAGE))
    order = CURVES[algorithm][0].group_order
    assert signer.public.verify(MESSAGE, pair(r, order - s))
    twice = dsse.sign(b"x", dsse.IN_TOTO, [signer])
    r, s = decode_dss_signature(signer.sign(dsse.pae(dsse.IN_TOTO, b"x")))
    other = base64.b64encode(pair(r, order - s))
    both = twice.replace(b'"signatures":[', b'"signatures":[{"sig":"' + other + b'"},')
    found = dsse.verify(both, [signer.public], threshold=1, payload_types=(dsse.IN_TOTO,), name="x")
    assert found.signers == (signer.public,)


def ed25519_forgeries():
    signer = PemSigner.from_seed(ED25519, bytes(range(32)))
    good = signer.sign(MESSAGE)
    point, scalar = good[:32], int.from_bytes(good[32:], "little")
    for times in range(1, 16):
        if (value := scalar + times * ED25519_ORDER) < 2**256:
            yield f"S plus {times} orders", point + value.to_bytes(32, "little")
    yield "S negated", point + (ED25519_ORDER - scalar).to_bytes(32, "little")
    yield "S is the order", point + ED25519_ORDER.to_bytes(32, "little")
    yield "S is zero", point + bytes(32)
    yield "all zero", bytes(64)
    yield "identity and zero", b"\1" + bytes(63)
    yield "sign of R", good[:31] + bytes([good[31] ^ 0x80]) + good[32:]
    yield "byte after", good + b"\0"
    yield "byte missing", good[:-1]
    yield "halves swapped", good[32:] + good[:32]
    yield "prehashed message", signer.sign(hashlib.sha512(MESSAGE).digest())


def test_ed25519_forgery_is_refused():
    public = PemSigner.from_seed(ED25519, bytes(range(32))).public
    assert [name for name, signature in ed25519_forgeries() if public.verify(MESSAGE, signature)] == []


def ml_dsa_forgeries():
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey

    private = MLDSA65PrivateKey.from_seed_bytes(bytes(range(32)))
    good = private.sign(MESSAGE)
    yield "with a context", private.sign(MESSAGE, b"x")
    yield "of the digest", private.sign(hashlib.sha512(MESSAGE).digest())
    yield "in the manner of TUF", private.sign(b"tuf\x01" + hashlib.sha512(MESSAGE).digest())
    yield "of a smaller set", MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))).sign(MESSAGE)
    yield "byte after", good + b"\0"
    yield "byte missing", good[:-1]
    yield "hint of another form", good[:-1] + bytes([good[-1] ^ 0xFF])
    yield "hints not ascending", good[:-61] + bytes([200, 100]) + good[-59:]
    yield "response beyond its bound", good[:48] + bytes(32) + good[80:]
    yield "zero", bytes(len(good))


def test_ml_dsa_forgery_is_refused():
    public = PemSigner.from_seed(ML_DSA_65, bytes(range(32))).public
    assert [name for name, signature in ml_dsa_forgeries() if public.verify(MESSAGE, signature)] == []


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def raw_rsa(block):
    """Return what the private key makes of a block, whatever it holds: the padding is up to the test."""
    numbers = rsa_key().private_numbers()
    modulus = numbers.public_numbers.n
    return pow(int.from_bytes(block), numbers.d, modulus).to_bytes(256)


def pkcs1_forgeries():
    digest = hashlib.sha256(MESSAGE).digest()
    info = SHA256_INFO + digest

    def block(tail, fill=0xFF, kind=1):
        return b"\0" + bytes([kind]) + bytes([fill]) * (256 - 3 - len(tail)) + b"\0" + tail

    assert public_of(RSA_PKCS1).verify(MESSAGE, raw_rsa(block(info)))
    yield "garbage after the digest", raw_rsa(b"\0\1" + b"\xff" * 8 + b"\0" + info + b"\x5a" * (256 - 11 - len(info)))
    yield "garbage before the end", raw_rsa(b"\0\1" + b"\xff" * 8 + b"\0" + b"\x5a" * (256 - 11 - len(info)) + info)
    yield "short padding", raw_rsa((b"\0\1" + b"\xff" * 4 + b"\0" + info).ljust(256, b"\0"))
    yield "zeros as padding", raw_rsa(block(info, fill=0))
    yield "padding of encryption", raw_rsa(block(info, fill=0x7F, kind=2))
    yield "block type zero", raw_rsa(block(info, kind=0))
    yield "no NULL", raw_rsa(block(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest))
    yield "BER length", raw_rsa(block(bytes.fromhex("308131300d060960864801650304020105000420") + digest))
    yield "no DigestInfo", raw_rsa(block(digest))
    yield "digest of another hash", rsa_key().sign(MESSAGE, PKCS1v15(), hashes.SHA512())
    good = rsa_key().sign(MESSAGE, PKCS1v15(), hashes.SHA256())
    yield "other padding", rsa_key().sign(MESSAGE, PSS(MGF1(hashes.SHA256()), 32), hashes.SHA256())
    yield from rsa_shapes(good)


def pss_forgeries():
    def sign(salt, hash_=hashes.SHA256, mask=hashes.SHA256):
        return rsa_key().sign(MESSAGE, PSS(MGF1(mask()), salt), hash_())

    good = sign(32)
    assert public_of(RSA_PSS).verify(MESSAGE, good)
    for salt in (0, 20, 31, 33, 64, 222):
        yield f"salt of {salt} bytes", sign(salt)
    yield "mask of another hash", sign(32, mask=hashes.SHA384)
    yield "another hash", sign(32, hash_=hashes.SHA512, mask=hashes.SHA512)
    yield "another hash, same mask", sign(32, hash_=hashes.SHA3_256)
    yield "other padding", rsa_key().sign(MESSAGE, PKCS1v15(), hashes.SHA256())
    yield from rsa_shapes(good)


def rsa_shapes(good):
    modulus = rsa_key().public_key().public_numbers().n
    number = int.from_bytes(good)
    yield "plus the modulus", (number + modulus).to_bytes(257)
    yield "negated", (modulus - number).to_bytes(256)
    yield "byte before", b"\0" + good
    yield "byte after", good + b"\0"
    yield "byte missing", good[:-1]
    yield "zero", bytes(256)
    yield "one", (1).to_bytes(256)
    yield "modulus less one", (modulus - 1).to_bytes(256)
    yield "modulus", modulus.to_bytes(256)


@pytest.mark.parametrize(("algorithm", "forgeries"), [(RSA_PKCS1, pkcs1_forgeries), (RSA_PSS, pss_forgeries)])
def test_rsa_forgery_is_refused(algorithm, forgeries):
    public = public_of(algorithm)
    assert [name for name, signature in forgeries() if public.verify(MESSAGE, signature)] == []


def refused_rsa_keys():
    modulus = rsa_key().public_key().public_numbers().n
    good = spki_of(rsa_key())
    assert rsa_keys.encode(modulus) == good
    identifier = key_names.RSA_IDENTIFIER
    number, exponent = integer(modulus), integer(65537)

    def spki(pair_, algorithm=identifier, unused=b"\0"):
        return tlv(0x30, algorithm + tlv(3, unused + pair_))

    yield "1024 bits", spki_of(rsa_key(1024))
    yield "2047 bits", spki(tlv(0x30, integer(modulus >> 1 | 1) + exponent))
    yield "8193 bits", spki(tlv(0x30, integer(1 << 8192 | 1) + exponent))
    yield "exponent 3", spki_of(rsa_key(2048, 3))
    for value in (1, 17, 65535, 65536, 65539, 65537 + (1 << 32), -65537):
        yield f"exponent {value}", spki(tlv(0x30, number + integer(value)))
    yield "padded exponent", spki(tlv(0x30, number + integer(65537, padded=1)))
    yield "padded modulus", spki(tlv(0x30, integer(modulus, padded=1) + exponent))
    yield "negative modulus", spki(tlv(0x30, tlv(2, modulus.to_bytes(256)) + exponent))
    yield "even modulus", spki(tlv(0x30, integer(modulus - 1) + exponent))
    yield "small factor", spki(tlv(0x30, integer(_multiple_of(751, modulus)) + exponent))
    yield "no NULL", spki(tlv(0x30, number + exponent), bytes.fromhex("300b06092a864886f70d010101"))
    yield "PSS identifier", spki(tlv(0x30, number + exponent), bytes.fromhex("300b06092a864886f70d01010a"))
    yield (
        "PSS identifier with NULL",
        spki(tlv(0x30, number + exponent), bytes.fromhex("300d06092a864886f70d01010a0500")),
    )
    yield "unused bits", spki(tlv(0x30, number + exponent), unused=b"\1")
    yield "third number", spki(tlv(0x30, number + exponent + integer(1)))
    yield "long length", spki(tlv(0x30, number + exponent, long=3))
    yield "long length outside", tlv(0x30, identifier + tlv(3, b"\0" + tlv(0x30, number + exponent)), long=3)
    yield "bare RSAPublicKey", tlv(0x30, number + exponent)
    yield "byte after", good + b"\0"
    yield "truncated", good[:-1]
    yield "prefix alone", good[:24]
    yield "identifier alone", good[:19]


def _multiple_of(factor, near):
    value = near - near % factor
    return value if value % 2 else value - factor


@pytest.mark.parametrize(("name", "der"), [pytest.param(*case, id=case[0]) for case in refused_rsa_keys()])
def test_odd_rsa_key_is_refused_under_every_name(name, der):
    for algorithm in (None, RSA, *PADDINGS):
        with pytest.raises(KeyRefused):
            PublicKey.from_spki(der, algorithm)


@pytest.mark.parametrize("bits", [2048, 2049, 2056, 3072])
def test_rsa_keys_of_all_sizes_have_the_librarys_encoding(bits):
    private = rsa_key(bits)
    public = PublicKey.from_spki(spki_of(private), RSA_PSS)
    assert rsa_keys.encode(private.public_key().public_numbers().n) == public.spki
    assert public.verify(MESSAGE, private.sign(MESSAGE, PSS(MGF1(hashes.SHA256()), 32), hashes.SHA256()))


def test_rsa_key_verifies_nothing_until_its_padding_is_named():
    bare = PublicKey.from_spki(spki_of(rsa_key()))
    assert bare.algorithm == RSA
    for padding in (PKCS1v15(), PSS(MGF1(hashes.SHA256()), 32)):
        assert not bare.verify(MESSAGE, rsa_key().sign(MESSAGE, padding, hashes.SHA256()))
    assert {public_of(name).fingerprint for name in PADDINGS} == {bare.fingerprint}


def test_one_rsa_key_under_both_paddings_is_not_two_signers():
    with pytest.raises(InternalError):
        dsse.verify(
            b'{"payload":"eA==","payloadType":"a","signatures":[{"sig":"AAAA"}]}',
            [public_of(name) for name in PADDINGS],
            threshold=2,
            payload_types=("a",),
            name="x",
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_refused_under_the_name_of_another_algorithm(algorithm):
    spki = (
        spki_of(rsa_key())
        if algorithm in PADDINGS
        else PemSigner.from_seed(algorithm, bytes(SEED_SIZES[algorithm])).public.spki
    )
    same = PADDINGS if algorithm in PADDINGS else [algorithm]
    assert PublicKey.from_spki(spki, algorithm).algorithm == algorithm
    for other in (*ALGORITHMS, "rsa-pss-sha512", "ED25519", "", "none"):
        if other not in same:
            with pytest.raises(KeyRefused):
                PublicKey.from_spki(spki, other)


@pytest.mark.parametrize("algorithm", CURVES)
def test_odd_point_of_a_curve_is_refused(algorithm):
    prefix, size = key_names.PREFIXES[algorithm], key_names.BODY_SIZES[algorithm]
    good = PemSigner.from_seed(algorithm, bytes(SEED_SIZES[algorithm])).public.raw
    odd = [
        b"\x04" + bytes(size - 1),
        b"\x04" + b"\xff" * (size - 1),
        b"\x00" + good[1:],
        b"\x02" + good[1:],
        bytes([6 + good[-1] % 2]) + good[1:],
        good[:-1] + bytes([good[-1] ^ 1]),
        good[:1] + good[size // 2 + 1 :] + good[1 : size // 2 + 1],
        good[:-1],
        good + b"\0",
    ]
    for point in odd:
        with pytest.raises(KeyRefused):
            PublicKey.from_spki(prefix + point)


def test_signatures_held_against_keys_are_counted():
    keys = [PemSigner.from_seed(ED25519, number.to_bytes(32)).public for number in range(129)]
    entry = b'{"sig":"' + base64.b64encode(b"\1" * 64) + b'"}'
    envelope = b'{"payload":"eA==","payloadType":"a","signatures":[' + b",".join([entry] * 32) + b"]}"
    with pytest.raises(LimitExceeded):
        dsse.verify(envelope, keys, threshold=1, payload_types=("a",), name="x")


GOOD_SPKIS = [
    *(PemSigner.from_seed(name, bytes(size)).public.spki for name, size in SEED_SIZES.items()),
    spki_of(rsa_key()),
]


@st.composite
def near_spkis(draw):
    """Draw an encoding with a few bytes changed, cut out or put in."""
    data = bytearray(draw(st.sampled_from(GOOD_SPKIS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, min(40, len(data) - 1)) | st.integers(0, len(data) - 1))
        action = draw(st.sampled_from(["change", "cut", "put"]))
        if action == "change":
            data[at] = draw(st.integers(0, 255))
        elif action == "cut" and len(data) > 1:
            del data[at]
        else:
            data.insert(at, draw(st.integers(0, 255)))
    return bytes(data)


@given(near_spkis() | st.binary(max_size=64), st.sampled_from([None, RSA, *ALGORITHMS]))
def test_only_what_encodes_again_is_a_key(der, algorithm):
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = PublicKey.from_spki(der, algorithm)
    except KeyRefused:
        return
    assert key.spki == der
    again = load_der_public_key(der).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert again == der


@given(st.sampled_from(GOOD_SPKIS), st.binary(max_size=80) | st.binary(min_size=256, max_size=256))
def test_no_arbitrary_signature_raises_or_holds(spki, signature):
    for algorithm in (None, *PADDINGS) if spki == GOOD_SPKIS[-1] else (None,):
        assert PublicKey.from_spki(spki, algorithm).verify(MESSAGE, signature) is False
