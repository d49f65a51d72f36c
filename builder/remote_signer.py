"""Private keys that stay in an HSM (PKCS#11) or a KMS, reached through securesystemslib by a key URI.

The store signs, and nothing that it gives is believed: a signature is used only if the public key, which is known from
elsewhere, fits it. The libraries of a store are imported when its first key is met.
"""

import os
import sys
from getpass import getpass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from kit.errors import KeyStoreFailed, SigningFailed, StellaError, UsageError
from kit.trust.keys import PublicKey

if TYPE_CHECKING:
    from securesystemslib.signer import Signer as StoreSigner  # type: ignore[attr-defined]  # see below

PIN = "STELLA_HSM_PIN"
"""The environment variable that may hold the PIN of a token; else a terminal is asked."""
MAX_URI = 1024
_INSTALL = {
    "hsm": "stella-offline-kit[hsm]",
    "awskms": "securesystemslib[awskms]",
    "azurekms": "securesystemslib[azurekms]",
    "gcpkms": "securesystemslib[gcpkms]",
    "hv": "securesystemslib[vault]",
}
"""The key stores by the scheme of their URIs, and what is to be installed for each."""
SCHEMES = tuple(_INSTALL)


def is_uri(text: str) -> bool:
    """Tell whether a text names a key in one of the key stores."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in SCHEMES


def read_public(uri: str) -> PublicKey:
    """Return the public key that a PKCS#11 token shows for a URI ``hsm:ID?label=TOKEN``; no PIN is given.

    Raises :class:`UsageError`, :class:`KeyStoreFailed` where there is no such key to see, and :class:`KeyRefused`.
    """
    checked = urlsplit(_checked(uri))
    if checked.scheme != "hsm" or not checked.path.isdecimal():
        raise UsageError(path=uri[:MAX_URI], expected="hsm:ID?label=TOKEN", detail="only a token shows its public keys")
    try:
        from securesystemslib.exceptions import UnsupportedLibraryError
        from securesystemslib.signer import HSMSigner  # type: ignore[attr-defined]  # re-exported without saying so

        _, key = HSMSigner.import_(int(checked.path), dict(parse_qsl(checked.query)).get("label"))
    except (ImportError, UnsupportedLibraryError) as fault:
        raise _not_installed(uri) from fault
    except Exception as fault:  # a token's library raises whatever it likes
        raise KeyStoreFailed(path=uri, detail=_words(fault)) from fault
    return PublicKey.from_pem(key.keyval["public"].encode())


class RemoteSigner:
    """A key in an HSM or KMS. An ECDSA signature by it differs from one time to the next."""

    __slots__ = ("_pin", "_store", "_uri", "public")

    def __init__(self, uri: str, public: PublicKey) -> None:
        """Prepare the store's library; :class:`UsageError` for another URI, or where the library is not installed."""
        self._uri = _checked(uri)
        self._pin: str | None = None
        self.public = public
        self._store = self._opened()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message; :class:`KeyStoreFailed`, :class:`SigningFailed` where there is none."""
        try:
            signature = bytes.fromhex(self._store.sign(message).signature)
        except StellaError:
            raise
        except Exception as fault:  # a store raises whatever its library does
            raise self._failed(fault) from fault
        if not self.public.verify(message, signature):
            detail = "the signature is by another key, over other bytes or in another form"
            raise SigningFailed(path=self._uri, expected=self.public.fingerprint, detail=detail)
        return signature

    def _opened(self) -> "StoreSigner":
        try:
            from cryptography.hazmat.primitives.serialization import load_der_public_key
            from securesystemslib.exceptions import UnsupportedLibraryError
            from securesystemslib.signer import (  # type: ignore[attr-defined]  # re-exported without saying so
                Signer,
                SSlibKey,
            )
        except ImportError as fault:
            raise _not_installed(self._uri) from fault
        try:
            key = SSlibKey.from_crypto(load_der_public_key(self.public.spki))
            return Signer.from_priv_key_uri(self._uri, key, self._secret)
        except UnsupportedLibraryError as fault:
            raise _not_installed(self._uri) from fault
        except ValueError as fault:
            raise UsageError(path=self._uri, detail=_words(fault)) from fault
        except Exception as fault:  # a store's library may look for its configuration here
            raise self._failed(fault) from fault

    def _secret(self, what: str) -> str:
        """Return the PIN, asked for once: a token counts the wrong ones."""
        if self._pin is None:
            self._pin = os.environ.get(PIN) or self._typed(what)
        return self._pin

    def _typed(self, what: str) -> str:
        if not sys.stdin.isatty():
            raise UsageError(path=self._uri, detail=f"needs its {what}, and there is no terminal to ask").then(
                f"Put the {what} into the environment variable {PIN}."
            )
        return getpass(f"{what.upper()} of {self._uri}: ")

    def _failed(self, fault: Exception) -> StellaError:
        return KeyStoreFailed(path=self._uri, detail=_words(fault))


def _checked(uri: str) -> str:
    """Return a URI that one of the key stores may get; a secret in it would be in every process list."""
    if not is_uri(uri) or len(uri) > MAX_URI or not uri.isascii() or not uri.isprintable():
        expected = f"a key URI: {', '.join(f'{scheme}:...' for scheme in SCHEMES)}"
        raise UsageError(expected=expected, found=ascii(uri[:80])[1:-1])
    unknown = [name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True) if name != "label"]
    if unknown:
        detail = f"a key URI has no parameter but label; a PIN is given in {PIN} or typed"
        raise UsageError(path=uri.partition("?")[0], found=unknown[0][:32], detail=detail)
    return uri


def _not_installed(uri: str) -> UsageError:
    return UsageError(path=uri, detail="what reaches this key store is not installed").then(
        f"Install it: pip install '{_INSTALL[uri.partition(':')[0]]}'"
    )


def _words(fault: Exception) -> str:
    """Return what another library's error says, its kind first: some say nothing else."""
    return ascii(f"{type(fault).__name__}: {fault}".removesuffix(": "))[1:-1][:240]
