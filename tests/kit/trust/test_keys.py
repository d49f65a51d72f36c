"""Keys: admission, fingerprints, signatures, against the RFCs' vectors and openssl."""

import base64
import hashlib
import subprocess
import sys

import pytest
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import KeyRefused
from kit.trust.keys import (
    ED25519,
    ML_DSA_65,
    SEED_SIZES,
    PemSigner,
    PublicKey,
    grouped,
)

P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")

# Arithmetic on Ed25519 (RFC 8032 section 5.1), only to make the points that nobody should trust.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover(y):
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    return None if (x * x - square) % P else (x, y)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def times(number, point):
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


def encode_point(x, y):
    return (y | (x & 1) << 255).to_bytes(32, "little")


def torsion():
    """Return the eight points of small order: what is left of any point after multiplying by the large order."""
    generator = next(
        point for y in range(2, 100) if (on := recover(y)) and times(4, point := times(ORDER, on)) != (0, 1)
    )
    return [times(number, generator) for number in range(8)]


def bad_points():
    small = torsion()
    assert len(set(small)) == 8
    for number, (x, y) in enumerate(small):
        yield f"small order {number}", encode_point(x, y)
        if y + P < 2**255:
            yield f"small order {number}, y not reduced", (y + P | (x & 1) << 255).to_bytes(32, "little")
        if x == 0:
            yield f"small order {number}, sign of zero", (y | 1 << 255).to_bytes(32, "little")
    base = recover(4 * pow(5, -1, P) % P)
    for number in range(1, 8):
        yield f"mixed order {number}", encode_point(*add(base, small[number]))
    off = next(y for y in range(2, 100) if recover(y) is None)
    yield "off the curve", off.to_bytes(32, "little")
    yield "all bits", b"\xff" * 32


@pytest.mark.parametrize(("name", "point"), [pytest.param(*case, id=case[0]) for case in bad_points()])
def test_odd_ed25519_point_is_refused(name, point):
    with pytest.raises(KeyRefused):
        PublicKey.from_ed25519(point)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_ed25519_point_of_another_length_is_refused(size):
    with pytest.raises(KeyRefused):
        PublicKey.from_ed25519(bytes(size))


def test_ed25519_matches_rfc_8032_vector():
    signer = PemSigner.from_seed(
        ED25519, bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert signer.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    expected = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b"
    )
    assert signer.sign(b"") == expected
    assert signer.public.verify(b"", expected)


def test_ecdsa_matches_rfc_6979_vector():
    scalar = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    expected = encode_dss_signature(
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    )
    assert PemSigner(ec.derive_private_key(scalar, ec.SECP256R1())).sign(b"sample") == expected


P384_SCALAR = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5"
P521_SCALAR = (
    "0fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0"
    "c08b0e996b83538"
)
RFC_6979 = [
    (
        ec.SECP384R1(),
        P384_SCALAR,
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    ),
    (
        ec.SECP521R1(),
        P521_SCALAR,
        (
            "0c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91"
            "f9b15bf05ec36e377fa"
        ),
        (
            "0617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc4"
            "3997f1ee0e44da4a67a"
        ),
    ),
]


@pytest.mark.parametrize(("curve", "scalar", "r", "s"), RFC_6979, ids=["P-384", "P-521"])
def test_larger_curves_match_rfc_6979_vectors(curve, scalar, r, s):
    signer = PemSigner(ec.derive_private_key(int(scalar, 16), curve))
    assert signer.sign(b"sample") == encode_dss_signature(int(r, 16), int(s, 16))


def refused_encodings():
    key = ec.derive_private_key(5, ec.SECP256R1()).public_key()
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    der = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield "empty", b""
    yield "truncated", (P256_PREFIX + point)[:-1]
    yield "trailing byte", P256_PREFIX + point + b"\0"
    yield "hybrid point", P256_PREFIX + bytes([6 + point[-1] % 2]) + point[1:]
    yield "compressed form byte", P256_PREFIX + b"\x02" + point[1:]
    yield "off the curve", P256_PREFIX + point[:-1] + bytes([point[-1] ^ 1])
    yield "zero point", P256_PREFIX + b"\x04" + bytes(64)
    yield (
        "compressed",
        bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
        + key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint),
    )
    yield "secp256k1", ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*der)
    yield "brainpool", ec.generate_private_key(ec.BrainpoolP384R1()).public_key().public_bytes(*der)
    yield "P-224", ec.generate_private_key(ec.SECP224R1()).public_key().public_bytes(*der)
    yield "ML-DSA-44", mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes(*der)
    yield "ML-DSA-87", mldsa.MLDSA87PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes(*der)
    yield "Ed448", ed448.Ed448PrivateKey.generate().public_key().public_bytes(*der)


@pytest.mark.parametrize(("name", "der"), [pytest.param(*case, id=case[0]) for case in refused_encodings()])
def test_other_algorithms_and_encodings_are_refused(name, der):
    with pytest.raises(KeyRefused):
        PublicKey.from_spki(der)


def test_a_key_has_one_fingerprint(algorithm, make_signer):
    public = make_signer("one", algorithm).public
    again = PublicKey.from_pem(b"\r\n".join(public.to_pem().splitlines()) + b"\r\n")
    assert again == public
    assert public.fingerprint == "sha256:" + hashlib.sha256(public.spki).hexdigest()
    assert grouped(public.fingerprint).replace(" ", "") == public.fingerprint.removeprefix("sha256:")


def test_signatures_are_deterministic_and_bound_to_the_message(algorithm, make_signer):
    signer = make_signer("one", algorithm)
    signature = signer.sign(b"message")
    assert (signature == make_signer("one", algorithm).sign(b"message")) == (algorithm != ML_DSA_65)
    assert signer.public.verify(b"message", signature)
    assert not signer.public.verify(b"massage", signature)
    assert not make_signer("two", algorithm).public.verify(b"message", signature)


def test_every_flipped_bit_of_a_signature_is_refused(algorithm, make_signer):
    signer = make_signer("one", algorithm)
    signature = signer.sign(b"message")
    for bit in range(0, len(signature) * 8, 1 if len(signature) < 100 else 41):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not signer.public.verify(b"message", bytes(flipped)), bit


@pytest.mark.parametrize("signature", [b"", b"\0", bytes(64), b"\x30\x00", b"\x30\x06\x02\x01\x00\x02\x01\x00"])
def test_shapeless_signatures_are_refused(algorithm, make_signer, signature):
    assert not make_signer("one", algorithm).public.verify(b"message", signature)


def test_raw_ecdsa_signature_is_refused(make_signer):
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    signer = make_signer("one")
    r, s = decode_dss_signature(signer.sign(b"message"))
    assert not signer.public.verify(b"message", r.to_bytes(32) + s.to_bytes(32))


@pytest.mark.parametrize("password", [None, b"correct horse"])
def test_private_key_survives_its_file(algorithm, make_signer, password):
    signer = make_signer("one", algorithm)
    pem = signer.to_pem(password)
    assert (b"ENCRYPTED" in pem) == (password is not None)
    assert PemSigner.from_pem(pem, password).public == signer.public


def test_keys_as_we_write_them_load_without_the_general_reader(tmp_path, algorithm, make_signer):
    path = tmp_path / "key.pem"
    path.write_bytes(make_signer("one", algorithm).to_pem())
    program = (
        "import pathlib, sys; from kit.trust.keys import PemSigner;"
        "print(PemSigner.from_pem(pathlib.Path(sys.argv[1]).read_bytes()).public.fingerprint,"
        "'cryptography.hazmat.primitives.serialization' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [make_signer("one", algorithm).public.fingerprint, "False"]


def test_a_changed_private_key_is_what_the_general_reader_makes_of_it(algorithm, make_signer):
    pem = make_signer("one", algorithm).to_pem()
    der = base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))
    for at in range(len(der)):
        changed = bytearray(der)
        changed[at] ^= 1
        text = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(changed) + b"\n-----END PRIVATE KEY-----\n"
        try:
            expected = serialization.load_pem_private_key(text, None).public_key()
        except (ValueError, UnsupportedAlgorithm, InternalError):
            expected = None
        try:
            found = PemSigner.from_pem(text).public
        except KeyRefused:
            found = None
        usable = isinstance(expected, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | mldsa.MLDSA65PublicKey)
        assert (found is not None) is usable, at
        if found is not None:
            form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            assert found.spki == expected.public_bytes(*form), at


def test_wrong_passphrase_is_refused(make_signer):
    sealed, bare = make_signer("one").to_pem(b"right"), make_signer("one").to_pem()
    for pem, password in ((sealed, b"wrong"), (sealed, None), (bare, b"any"), (b"no key", None)):
        with pytest.raises(KeyRefused):
            PemSigner.from_pem(pem, password)


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256K1()), ed448.Ed448PrivateKey.generate(), rsa.generate_private_key(65537, 2048)],
    ids=["secp256k1", "Ed448", "RSA"],
)
def test_private_key_of_another_kind_is_refused(key):
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(KeyRefused):
        PemSigner.from_pem(pem)


@pytest.mark.parametrize(
    ("kind", "size"), [*((name, size - 1) for name, size in SEED_SIZES.items()), (ED25519, 48), ("rsa-pss-sha256", 32)]
)
def test_wrong_seed_is_refused(kind, size):
    with pytest.raises(KeyRefused):
        PemSigner.from_seed(kind, bytes(size))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_key_or_refused(data):
    for read in (PublicKey.from_spki, PublicKey.from_pem, PublicKey.from_ed25519):
        try:
            key = read(data)
        except KeyRefused:
            continue
        assert PublicKey.from_spki(key.spki) == key


@given(st.binary(min_size=32, max_size=32))
def test_admitted_ed25519_points_are_those_of_libsodium_and_load_elsewhere(point):
    try:
        key = PublicKey.from_ed25519(point)
    except KeyRefused:
        return
    ed25519.Ed25519PublicKey.from_public_bytes(key.raw)
