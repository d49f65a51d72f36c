"""Key files: a private key in PKCS#8 PEM that only its owner can read, and its public half beside it.

``NAME.key.pem`` holds the private key, ``NAME.pub.pem`` the public one. The public file lets a command find the key it
needs by fingerprint without opening any other. Where the private key stays in an HSM or KMS, ``NAME.key.uri`` holds its
URI (:mod:`builder.remote_signer`).
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from builder import files
from builder.remote_signer import MAX_URI, SCHEMES, RemoteSigner, is_uri
from kit.errors import KeyRefused, UsageError
from kit.trust.keys import MAX_PEM, SEED_SIZES, PemSigner, PublicKey, Signer

PRIVATE_SUFFIX = ".key.pem"
URI_SUFFIX = ".key.uri"
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
) -> tuple[Signer, bool]:
    """Return the key of a name and whether it was made now; its public file is written if only that is missing.

    A key in an HSM or KMS is of whatever algorithm it is.
    """
    private_file, public_file = directory / f"{name}{PRIVATE_SUFFIX}", directory / f"{name}{PUBLIC_SUFFIX}"
    if (uri_file := directory / f"{name}{URI_SUFFIX}").exists() and not private_file.exists():
        return load(uri_file), False
    if not private_file.exists():
        return create(directory, name, algorithm, entropy=entropy, password=password), True
    signer = load(private_file, password)
    if signer.public.algorithm != algorithm:
        raise UsageError(path=private_file.name, expected=algorithm, found=signer.public.algorithm)
    if not public_file.exists():
        files.write_new(public_file, signer.public.to_pem())
    return signer, False


def write_remote(directory: Path, name: str, public: PublicKey, uri: str) -> None:
    """Write the two files that name a key in an HSM or KMS; :class:`UsageError` if a key of the name is there."""
    files.make_directory(directory, 0o700)
    if (there := directory / f"{name}{PRIVATE_SUFFIX}").exists():
        raise UsageError(path=there.name, detail="is already there and is not overwritten")
    files.write_new(directory / f"{name}{PUBLIC_SUFFIX}", public.to_pem())
    files.write_new(directory / f"{name}{URI_SUFFIX}", f"{uri}\n".encode())


def load(key: Path | str, password: bytes | None = None) -> Signer:
    """Return the signer of a private key file, of a ``NAME.key.uri``, or of ``PUBLIC=URI`` for a key in an HSM or KMS.

    Raises :class:`UsageError` if others may read the private key, :class:`KeyRefused` if it is no key, and what
    :class:`RemoteSigner` raises.
    """
    if (pair := remote(str(key))) is not None:
        public_file, uri = pair
        return RemoteSigner(uri, load_public(public_file))
    path = Path(key)
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


def remote(key: str) -> tuple[Path, str] | None:
    """Return public key file and URI of a key that is not in a file; None for a private key file.

    Raises :class:`UsageError` for a URI whose public key is not named.
    """
    if key.endswith(URI_SUFFIX):
        path = Path(key)
        return path.with_name(path.name.removesuffix(URI_SUFFIX) + PUBLIC_SUFFIX), _first_line(path)
    if is_uri(key):
        raise UsageError(path=key[:MAX_URI], detail="the public key of a key URI must be named").then(
            f"Give both: NAME{PUBLIC_SUFFIX}={key[:MAX_URI]}"
        )
    for scheme in SCHEMES:
        public_file, sign, rest = key.partition(f"={scheme}:")
        if sign and not Path(key).exists():
            return Path(public_file), f"{scheme}:{rest}"
    return None


def load_public(path: Path, algorithm: str | None = None) -> PublicKey:
    """Read a public key file; an RSA key serves for nothing but its fingerprint until its algorithm is named."""
    try:
        return PublicKey.from_pem(_read(path), algorithm)
    except KeyRefused as fault:
        fault.details.setdefault("path", path.name)
        raise


def find(directory: Path, fingerprints: Iterable[str], password: bytes | None = None) -> list[Signer]:
    """Return the signers of those keys whose files are in a directory, in the order of the fingerprints."""
    wanted = set(fingerprints)
    found: dict[str, Signer] = {}
    for public_file in sorted(directory.glob(f"*{PUBLIC_SUFFIX}")):
        key = load_public(public_file)
        name = public_file.name.removesuffix(PUBLIC_SUFFIX)
        files_of_it = [public_file.with_name(name + suffix) for suffix in (PRIVATE_SUFFIX, URI_SUFFIX)]
        private_file = next((path for path in files_of_it if path.is_file()), None)
        if key.fingerprint in wanted and private_file is not None:
            signer = load(private_file, password)
            if signer.public != key:
                raise UsageError(path=private_file.name, detail="is not the private half of the public key beside it")
            found[key.fingerprint] = signer
    return [signer for _, signer in sorted(found.items())]


def read_passphrase(path: Path) -> bytes:
    """Return the first line of a passphrase file; :class:`UsageError` if it is empty."""
    passphrase = _first_bytes(path)
    if not passphrase:
        raise UsageError(path=path.name, detail="the first line holds no passphrase")
    return passphrase


def _first_line(path: Path) -> str:
    return _first_bytes(path).decode("ascii", "replace").strip()


def _first_bytes(path: Path) -> bytes:
    return _read(path).split(b"\n", 1)[0].rstrip(b"\r")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PEM + 1)
    except OSError as fault:
        raise UsageError(path=path.name, detail=fault.strerror or "cannot be read") from fault
    if len(data) > MAX_PEM:
        raise KeyRefused(path=path.name, detail="larger than any key")
    return data
