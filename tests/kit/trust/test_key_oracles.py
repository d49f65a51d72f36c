"""Keys and signatures, both ways, against openssl, securesystemslib and cryptography's general reader."""

import functools
import hashlib
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from kit.trust.keys import (
    ALGORITHMS,
    ECDSA_P256,
    ECDSA_P384,
    ECDSA_P521,
    ED25519,
    ML_DSA_65,
    RSA_PKCS1,
    RSA_PSS,
    SEED_SIZES,
    PemSigner,
    PublicKey,
)

HASHES = {ECDSA_P256: hashes.SHA256(), ECDSA_P384: hashes.SHA384(), ECDSA_P521: hashes.SHA512()}
PADDINGS = {RSA_PKCS1: PKCS1v15(), RSA_PSS: PSS(MGF1(hashes.SHA256()), 32)}
RSA_SCHEMES = {RSA_PKCS1: "rsa-pkcs1v15-sha256", RSA_PSS: "rsassa-pss-sha256"}
OPENSSL_KEYS = {
    ECDSA_P256: ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ECDSA_P384: ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ECDSA_P521: ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ED25519: ["ED25519"],
    RSA_PKCS1: ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    RSA_PSS: ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}
PSS_OPTIONS = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
OPENSSL_SIGNING = {
    ECDSA_P256: ["-digest", "sha256"],
    ECDSA_P384: ["-digest", "sha384"],
    ECDSA_P521: ["-digest", "sha512"],
    ED25519: [],
    RSA_PKCS1: ["-digest", "sha256"],
    RSA_PSS: ["-digest", "sha256", *PSS_OPTIONS],
}

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")


@functools.cache
def private_key(algorithm):
    """Return a private key of the library; what it is made of is the same in every run but for RSA."""
    if algorithm in PADDINGS:
        return rsa.generate_private_key(65537, 2048)
    seed = hashlib.shake_256(algorithm.encode()).digest(SEED_SIZES[algorithm])
    return load_pem_private_key(PemSigner.from_seed(algorithm, seed).to_pem(), None)


def sign(algorithm, message):
    """Sign as the library does by its own choice."""
    if algorithm in PADDINGS:
        return private_key(algorithm).sign(message, PADDINGS[algorithm], hashes.SHA256())
    if algorithm in HASHES:
        return private_key(algorithm).sign(message, ec.ECDSA(HASHES[algorithm]))
    return private_key(algorithm).sign(message)


def public_of(algorithm):
    spki = private_key(algorithm).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey.from_spki(spki, algorithm)


def sslib_key(algorithm):
    return SSlibKey.from_crypto(private_key(algorithm).public_key(), "id", RSA_SCHEMES.get(algorithm))


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, **options).stdout


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_general_reader_knows_every_admitted_key_and_its_pem(algorithm):
    public = public_of(algorithm)
    loaded = load_der_public_key(public.spki)
    assert loaded == private_key(algorithm).public_key()
    assert loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) == public.to_pem()
    assert PublicKey.from_pem(public.to_pem(), algorithm) == public


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(message=st.binary(max_size=80), at=st.integers(0, 1 << 16), change=st.integers(0, 255))
def test_securesystemslib_says_the_same_of_good_and_changed_signatures(algorithm, message, at, change):
    # TUF signs a digest with ML-DSA (TAP 21); an envelope is signed as it is.
    signed = b"tuf\x01" + hashlib.sha512(message).digest() if algorithm == ML_DSA_65 else message
    signature = bytearray(sign(algorithm, signed))
    signature[at % len(signature)] ^= change
    try:
        sslib_key(algorithm).verify_signature(Signature("id", signature.hex()), message)
        expected = True
    except UnverifiedSignatureError:
        expected = False
    assert public_of(algorithm).verify(signed, bytes(signature)) is expected
    assert expected is (change == 0)


@pytest.mark.parametrize("algorithm", SEED_SIZES)
def test_securesystemslib_accepts_what_we_sign(algorithm):
    signer = PemSigner(private_key(algorithm))
    signed = b"tuf\x01" + hashlib.sha512(b"message").digest() if algorithm == ML_DSA_65 else b"message"
    sslib_key(algorithm).verify_signature(Signature("id", signer.sign(signed).hex()), b"message")
    with pytest.raises(UnverifiedSignatureError):
        sslib_key(algorithm).verify_signature(Signature("id", signer.sign(signed + b"!").hex()), b"message")


@needs_openssl
@pytest.mark.parametrize("algorithm", OPENSSL_KEYS)
def test_we_verify_what_openssl_signs(tmp_path, algorithm):
    key, message = tmp_path / "key.pem", tmp_path / "message"
    message.write_bytes(b"DSSEv1 1 a 1 b")
    run("openssl", "genpkey", "-algorithm", *OPENSSL_KEYS[algorithm], "-out", key)
    shown = run("openssl", "pkey", "-in", key, "-pubout")
    signed = run("openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message, *OPENSSL_SIGNING[algorithm])
    public = PublicKey.from_pem(shown, algorithm)
    assert public.to_pem() == shown
    assert public.verify(message.read_bytes(), signed)
    assert not public.verify(message.read_bytes() + b"!", signed)
    if algorithm in SEED_SIZES:
        assert PemSigner.from_pem(key.read_bytes()).public == public


@needs_openssl
@pytest.mark.parametrize("algorithm", OPENSSL_KEYS)
def test_openssl_verifies_what_is_signed_here(tmp_path, algorithm):
    public, message, signature = tmp_path / "public.pem", tmp_path / "message", tmp_path / "signature"
    message.write_bytes(b"DSSEv1 1 a 1 b")
    public.write_bytes(public_of(algorithm).to_pem())
    made = sign(algorithm, b"DSSEv1 1 a 1 b")
    if algorithm in SEED_SIZES:
        made = PemSigner(private_key(algorithm)).sign(b"DSSEv1 1 a 1 b")
    signature.write_bytes(made)
    words = ["-pubin", "-inkey", public, "-rawin", "-in", message, "-sigfile", signature, *OPENSSL_SIGNING[algorithm]]
    assert b"Verified Successfully" in run("openssl", "pkeyutl", "-verify", *words)


@needs_openssl
@pytest.mark.parametrize("algorithm", [name for name in SEED_SIZES if name in OPENSSL_KEYS])
@pytest.mark.parametrize("phrase", [None, b"correct horse"])
def test_openssl_reads_the_private_keys_that_we_write(tmp_path, algorithm, phrase):
    path = tmp_path / "key.pem"
    path.write_bytes(PemSigner(private_key(algorithm)).to_pem(phrase))
    words = ["-passin", f"pass:{phrase.decode()}"] if phrase else []
    assert run("openssl", "pkey", "-in", path, "-pubout", *words) == public_of(algorithm).to_pem()


@pytest.mark.parametrize("algorithm", SEED_SIZES)
def test_private_keys_are_written_as_the_library_writes_them(algorithm):
    pem = private_key(algorithm).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert PemSigner.from_pem(pem).to_pem() == pem
    assert PemSigner.from_pem(pem).public == public_of(algorithm)
