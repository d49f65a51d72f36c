"""Public keys, fingerprints and signers (docs/format.md section 4.1).

A key has one accepted encoding, and so one fingerprint: SHA-256 of its SubjectPublicKeyInfo in DER. Algorithm and
signature form belong to the key, never to the document that it signed. There is a module for each kind of key; it and
its library are imported when the first key of that kind is met.
"""

from kit.trust.keys.encodings import (
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
)
from kit.trust.keys.private import PemSigner, Signer
from kit.trust.keys.public import MAX_PEM, PublicKey, grouped

__all__ = [
    "ALGORITHMS",
    "ECDSA_P256",
    "ECDSA_P384",
    "ECDSA_P521",
    "ED25519",
    "MAX_PEM",
    "ML_DSA_65",
    "RSA",
    "RSA_PKCS1",
    "RSA_PSS",
    "SEED_SIZES",
    "PemSigner",
    "PublicKey",
    "Signer",
    "grouped",
]
