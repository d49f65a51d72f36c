"""A real PKCS#11 token: SoftHSM 2 with its state in a directory of the test's."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from kit.trust.keys import PublicKey

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/softhsm/libsofthsm2.so")]

LABEL = "release"


@dataclass(frozen=True)
class Token:
    """A token of SoftHSM with three P-256 keys, whose ids are 1, 2 and 3."""

    pin: str
    keys: dict[int, PublicKey]

    def uri(self, number: int) -> str:
        return f"hsm:{number}?label={LABEL}"


@contextlib.contextmanager
def token(home: Path) -> Iterator[Token]:
    """Make a token below a directory and let this process and its children find it."""
    module = next((path for path in MODULES if path.exists()), None)
    if module is None:
        raise FileNotFoundError("SoftHSM 2 is not installed: tools/bootstrap --tests")
    pin = secrets.token_hex(6)
    (home / "tokens").mkdir()
    (home / "conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(home / "conf"))
        environment.setenv("PYKCS11LIB", str(module))
        setup = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", pin, "--so-pin", pin]
        subprocess.run(setup, check=True, capture_output=True)
        keys = {}
        with pkcs11.lib(str(module)).get_token(token_label=LABEL).open(rw=True, user_pin=pin) as opened:
            curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
            parameters = opened.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
            for number in (1, 2, 3):
                public, _ = parameters.generate_keypair(store=True, id=bytes([number]), label=f"key {number}")
                keys[number] = PublicKey.from_spki(encode_ec_public_key(public))
        yield Token(pin, keys)
