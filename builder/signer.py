"""Key files: a private key in PKCS#8 PEM that only its owner can read, and its public half beside it.

``NAME.key.pem`` holds the private key, ``NAME.pub.pem`` the public one. The public file lets a command find the key it
needs by fingerprint without opening any other.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from builder import files
from kit.errors import KeyRefused, UsageError
from kit.trust.keys import MAX_PEM, SEED_SIZES, PemSigner, PublicKey

PRIVATE_SUFFIX = ".key.pem"
PUBLIC_SUFFIX = ".pub.pem"
_BEGIN_PUBLIC = b"-----BEGIN PUBLIC KEY-----"

Entropy = Callable[[int], bytes]
"""A source of that many random bytes, such as ``os.urandom``."""


def create(directory: Path, name: str, algorithm: str, *, entropy: Entropy, password: bytes | None = None) -> PemSigner:
    """Make a key and write both its files; :class:`UsageError` if either is there already."""
    if algorithm not in SEED_SIZES:
        raise KeyRefused(expected=" or ".join(SEED_SIZES), found=algorithm)
    signer = PemSigner.from_seed(algorithm, entropy(SEED_SIZES[algorithm]))
    files.make_directory(directory, 0o700)
    public_file = directory / f"{name}{PUBLIC_SUFFIX}"
    if public_file.exists():
        raise UsageError(path=public_file.name, detail="is already there and is not overwritten")
    files.write_new(directory / f"{name}{PRIVATE_SUFFIX}", signer.to_pem(password), 0o600)
    files.write_new(public_file, signer.public.to_pem())
    return signer


def ensure(
    directory: Path, name: str, algorithm: str, *, entropy: Entropy, password: bytes | None = None
) -> tuple[PemSigner, bool]:
    """Return the key of a name and whether it was made now; its public file is written if only that is missing."""
    private_file, public_file = directory / f"{name}{PRIVATE_SUFFIX}", directory / f"{name}{PUBLIC_SUFFIX}"
    if not private_file.exists():
        return create(directory, name, algorithm, entropy=entropy, password=password), True
    signer = load(private_file, password)
    if signer.public.algorithm != algorithm:
        raise UsageError(path=private_file.name, expected=algorithm, found=signer.public.algorithm)
    if not public_file.exists():
        files.write_new(public_file, signer.public.to_pem())
    return signer, False


def load(path: Path, password: bytes | None = None) -> PemSigner:
    """Read a private key file; :class:`UsageError` if others may read it, :class:`KeyRefused` if it is no key."""
    if path.is_file() and _BEGIN_PUBLIC in _read(path):
        raise KeyRefused(path=str(path), detail="this is a public key, and a private one is needed here").then(
            f"Give the private key's file, NAME{PRIVATE_SUFFIX}."
        )
    if path.is_file() and path.stat().st_mode & 0o077:
        raise UsageError(path=path.name, detail="others can read this private key; run: chmod 600")
    try:
        return PemSigner.from_pem(_read(path), password)
    except KeyRefused as fault:
        fault.details.setdefault("path", path.name)
        raise


def load_public(path: Path, algorithm: str | None = None) -> PublicKey:
    """Read a public key file; an RSA key serves for nothing but its fingerprint until its algorithm is named."""
    try:
        return PublicKey.from_pem(_read(path), algorithm)
    except KeyRefused as fault:
        fault.details.setdefault("path", path.name)
        raise


def find(directory: Path, fingerprints: Iterable[str], password: bytes | None = None) -> list[PemSigner]:
    """Return the signers of those keys whose files are in a directory, in the order of the fingerprints."""
    wanted = set(fingerprints)
    found: dict[str, PemSigner] = {}
    for public_file in sorted(directory.glob(f"*{PUBLIC_SUFFIX}")):
        key = load_public(public_file)
        private_file = public_file.with_name(public_file.name.removesuffix(PUBLIC_SUFFIX) + PRIVATE_SUFFIX)
        if key.fingerprint in wanted and private_file.is_file():
            signer = load(private_file, password)
            if signer.public != key:
                raise UsageError(path=private_file.name, detail="is not the private half of the public key beside it")
            found[key.fingerprint] = signer
    return [signer for _, signer in sorted(found.items())]


def read_passphrase(path: Path) -> bytes:
    """Return the first line of a passphrase file; :class:`UsageError` if it is empty."""
    passphrase = _read(path).split(b"\n", 1)[0].rstrip(b"\r")
    if not passphrase:
        raise UsageError(path=path.name, detail="the first line holds no passphrase")
    return passphrase


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PEM + 1)
    except OSError as fault:
        raise UsageError(path=path.name, detail=fault.strerror or "cannot be read") from fault
    if len(data) > MAX_PEM:
        raise KeyRefused(path=path.name, detail="larger than any key")
    return data
