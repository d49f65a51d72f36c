"""Names of the algorithms, and the one encoding of each kind of public key (docs/format.md section 4.1).

RFC 5480 for ECDSA, RFC 8410 for Ed25519, RFC 9881 for ML-DSA, RFC 3279 section 2.3.1 for RSA. All but RSA's are a
constant prefix and a body of fixed size, so no ASN.1 is parsed.
"""

ECDSA_P256 = "ecdsa-p256-sha256"
ECDSA_P384 = "ecdsa-p384-sha384"
ECDSA_P521 = "ecdsa-p521-sha512"
ED25519 = "ed25519"
ML_DSA_65 = "ml-dsa-65"
RSA_PSS = "rsa-pss-sha256"
RSA_PKCS1 = "rsa-pkcs1-sha256"

ALGORITHMS = (ECDSA_P256, ECDSA_P384, ECDSA_P521, ED25519, ML_DSA_65, RSA_PKCS1, RSA_PSS)

RSA = "rsa"
"""What is known of an RSA key by itself: it does not tell its padding, and verifies nothing until somebody names it."""

SEED_SIZES = {ECDSA_P256: 48, ECDSA_P384: 64, ECDSA_P521: 82, ED25519: 32, ML_DSA_65: 32}
"""Bytes of randomness a key is made of, where keys are made here; EC keys take 128 bits or more beyond their order
(FIPS 186-5, appendix A.2.1)."""

PREFIXES = {
    ECDSA_P256: bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    ECDSA_P384: bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
    ECDSA_P521: bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"),
    ED25519: bytes.fromhex("302a300506032b6570032100"),
    ML_DSA_65: bytes.fromhex("308207b2300b0609608648016503040312038207a100"),
}
BODY_SIZES = {ECDSA_P256: 65, ECDSA_P384: 97, ECDSA_P521: 133, ED25519: 32, ML_DSA_65: 1952}

RSA_IDENTIFIER = bytes.fromhex("300d06092a864886f70d0101010500")
RSA_PREFIX_SIZE = 24
"""Bytes before the RSAPublicKey: of every admitted size each length takes three bytes."""


def kind_of(spki: bytes) -> str | None:
    """Return the algorithm that an encoding tells, :data:`RSA` where it leaves the padding open, None for no key."""
    for algorithm, prefix in PREFIXES.items():
        if len(spki) == len(prefix) + BODY_SIZES[algorithm] and spki.startswith(prefix):
            return algorithm
    return RSA if spki[4:19] == RSA_IDENTIFIER else None
