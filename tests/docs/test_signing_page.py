"""docs/signing.md: its commands work as they stand there, with a real token."""

import re
import shlex
import shutil
from pathlib import Path
from random import Random

import pytest

import stella
from builder import signer
from builder.remote_signer import PIN
from kit import layout
from kit.trust import dsse
from kit.trust.keys import ECDSA_P256
from tests.softhsm import Token
from tests.world import INPUTS, ROOT

PAGE = (ROOT / "docs" / "signing.md").read_text()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a release engineer's directory: a RootPack with two kit keys, a recorded scan, and Bob's copy of it."""
    for name in ("STELLA_FEEDS", "STELLA_ROOTPACK", "STELLA_KEYS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    for name in ("sbom.cdx.json", "policy.toml"):
        shutil.copyfile(INPUTS / name, name)
    run(f"stella feed add pypi {INPUTS / 'advisories'}")
    run("stella rootpack init --single-signer --owner release-engineering")
    for number, name in enumerate(("kit-2", "bob"), 5):
        signer.create(Path("keys"), name, ECDSA_P256, entropy=Random(number).randbytes)
        run(f"stella rootpack add-key keys/{name}.pub.pem --usage kit --owner {name}")
    scan = "stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml"
    run(f"{scan} --key keys/kit-1.key.pem --out records")
    (record,) = Path("records").iterdir()
    shutil.copytree(record, "from-bob")
    run("stella scan sign from-bob --key keys/bob.key.pem")
    return Path.cwd()


def run(line: str) -> None:
    """Carry a command of the page out."""
    if "<scan-id>" in line:
        line = line.replace("<scan-id>", next(Path("records").iterdir()).name)
    assert stella.main(shlex.split(line)[1:]) == 0, line


def signers(place: Path) -> set[str]:
    """Return the files of the public keys that signed the record."""
    keys = {path.name: signer.load_public(path) for path in sorted((place / "keys").glob("*.pub.pem"))}
    envelope = (next((place / "records").iterdir()) / layout.MANIFEST_ENVELOPE).read_bytes()
    opened = dsse.open_unjudged(envelope, list(keys.values()), name="envelope")
    made = {entry.signer.fingerprint for entry in opened.entries if entry.signer is not None}
    return {name for name, key in keys.items() if key.fingerprint in made}


def test_every_command_of_the_page_works(desk: Path, token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PIN, token.pin)
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 9
    for line in lines:
        if not line.startswith("export PYKCS11LIB="):  # the token's fixture did that
            run(line)
    assert signers(desk) == {"kit-1.pub.pem", "kit-2.pub.pem", "bob.pub.pem", "kit-3.pub.pem"}
