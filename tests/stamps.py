"""A time-stamping authority for tests: its certificates, and stamps of any time, signed by OpenSSL."""

import base64
import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from msgspec.structs import replace

from kit.trust import trusted_root
from kit.trust.trusted_root import Authority

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
SHA256, SHA512, SHA1 = "608648016503040201", "608648016503040203", "2b0e03021a"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])


def der(tag: int, *parts: bytes) -> bytes:
    """Return one DER element."""
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2)
    return bytes([tag]) + length + body


def integer(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1))


@dataclass(frozen=True)
class Profile:
    """What may be wrong with an authority's own certificate."""

    usage: x509.ExtendedKeyUsage | None = STAMPING
    usage_critical: bool = True
    ca: bool = False
    extra: tuple[x509.ExtensionType, ...] = ()
    not_before: datetime = START
    not_after: datetime = END


@dataclass(frozen=True)
class StampingAuthority:
    """A root and a stamping certificate, with private keys in a directory."""

    place: Path
    own: x509.Certificate
    root: x509.Certificate
    profile: Profile = field(default_factory=Profile)

    @property
    def chain(self) -> tuple[bytes, ...]:
        return (self.own.public_bytes(Encoding.DER), self.root.public_bytes(Encoding.DER))

    @property
    def authority(self) -> Authority:
        return Authority("https://tsa.example", self.chain, START)

    @property
    def fingerprint(self) -> str:
        return f"sha256:{hashlib.sha256(self.chain[0]).hexdigest()}"

    @property
    def chain_file(self) -> Path:
        return self.place / "chain.pem"

    def within(self, start: datetime, end: datetime | None) -> Authority:
        return replace(self.authority, valid_from=start, valid_until=end)

    def trusted_root(self) -> bytes:
        return trusted_root.add(None, self.authority, subject={"commonName": "stamps"})

    def stamp(
        self,
        signature: bytes,
        time: datetime,
        *,
        oid: str = SHA256,
        status: int = 0,
        written_time: str | None = None,
        accuracy: int | None = None,
        digest: str = "sha256",
        certificates: bool = False,
    ) -> bytes:
        """Return a response that stamps a signature, properly signed whatever it says."""
        hashed = {SHA256: hashlib.sha256, SHA512: hashlib.sha512, SHA1: hashlib.sha1}[oid](signature).digest()
        algorithm = der(0x30, der(6, bytes.fromhex(oid)), der(5))
        text = written_time or time.strftime("%Y%m%d%H%M%SZ")
        info = der(
            0x30,
            integer(1),
            der(6, bytes([0x2A, 3, 4, 1])),
            der(0x30, algorithm, der(4, hashed)),
            integer(7),
            der(0x18, text.encode()),
            b"" if accuracy is None else der(0x30, integer(accuracy)),
        )
        return self.respond(info, status=status, digest=digest, certificates=certificates)

    def respond(self, info: bytes, *, status: int = 0, digest: str = "sha256", certificates: bool = False) -> bytes:
        words = [
            "openssl",
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-outform",
            "DER",
            "-econtent_type",
            TST_INFO,
            "-cades",
        ]
        words += ["-signer", str(self.place / "own.pem"), "-inkey", str(self.place / "own.key"), "-md", digest]
        words += [] if certificates else ["-nocerts"]
        signed = subprocess.run(words, input=info, capture_output=True, check=True).stdout
        return der(0x30, der(0x30, integer(status)), signed)


def make_authority(
    place: Path, profile: Profile | None = None, *, name: str = "stamps", serial: int = 2
) -> StampingAuthority:
    """Return an authority whose keys and certificates are made in a directory."""
    profile = profile or Profile()
    place.mkdir(parents=True, exist_ok=True)
    root_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name(f"{name} root")
    root = (
        _begun(root_name, root_name, root_key.public_key(), 1, Profile())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    own = _begun(_name(name), root_name, own_key.public_key(), serial, profile)
    own = own.add_extension(x509.BasicConstraints(ca=profile.ca, path_length=None), critical=True)
    if profile.usage is not None:
        own = own.add_extension(profile.usage, critical=profile.usage_critical)
    for extension in profile.extra:
        own = own.add_extension(extension, critical=True)
    made = StampingAuthority(place, own.sign(root_key, hashes.SHA256()), root, profile)
    _write(place, made, own_key)
    return made


def unknown_extension() -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


def as_document(entry: dict[str, object]) -> bytes:
    return json.dumps({"mediaType": trusted_root.MEDIA_TYPE, trusted_root.AUTHORITIES: [entry]}).encode()


def encoded(chain: tuple[bytes, ...]) -> dict[str, object]:
    return {"certificates": [{"rawBytes": base64.b64encode(one).decode()} for one in chain]}


def _write(place: Path, made: StampingAuthority, key: ec.EllipticCurvePrivateKey) -> None:
    own, root = (one.public_bytes(Encoding.PEM) for one in (made.own, made.root))
    (place / "own.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (place / "own.pem").write_bytes(own)
    (place / "chain.pem").write_bytes(own + root)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, serial: int, profile: Profile
) -> x509.CertificateBuilder:
    begun = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(serial)
    return begun.not_valid_before(profile.not_before).not_valid_after(profile.not_after)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.fixture(scope="session")
def stamping(tmp_path_factory: pytest.TempPathFactory) -> StampingAuthority:
    """Return an authority that tests share."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> StampingAuthority:
    """Return an authority with the same names and serial number, and other keys."""
    return make_authority(tmp_path_factory.mktemp("other-authority"))


def days(number: float) -> timedelta:
    return timedelta(days=number)
