"""Keys in an HSM or KMS: a real token signs records, kits and RootPacks; nothing that a store gives is believed."""

import json
import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, Signature

import stella
from builder import remote_signer, signer, trust
from builder.remote_signer import PIN, RemoteSigner
from kit import layout
from kit.errors import FileMissing, KeyStoreFailed, SigningFailed, StellaError, UsageError
from kit.trust import dsse
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner
from tests.softhsm import Token
from tests.world import FEED, INPUTS, NOW, SCAN_ID, SCAN_TIME, World
from verifier import session
from verifier.run_dir import stamp


@pytest.fixture
def pin(token: Token, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(PIN, token.pin)
    return token.pin


def test_a_token_signs_and_openssl_would_agree(token: Token, pin: str) -> None:
    made = RemoteSigner(token.uri(1), token.keys[1])
    signature = made.sign(b"message")
    assert token.keys[1].verify(b"message", signature)
    assert all(decode_dss_signature(signature))
    assert made.sign(b"message") != signature, "an HSM's ECDSA takes a random number each time"
    assert (
        load_pem_public_key(token.keys[1].to_pem()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        == made.public.spki
    )


def test_another_key_of_the_token_is_told_by_its_signature(token: Token, pin: str) -> None:
    with pytest.raises(SigningFailed) as refusal:
        RemoteSigner(token.uri(2), token.keys[1]).sign(b"message")
    assert refusal.value.details["expected"] == token.keys[1].fingerprint


@pytest.mark.parametrize("uri", ["hsm:9?label=release", "hsm:1?label=other"])
def test_a_key_or_token_that_is_not_there(token: Token, pin: str, uri: str) -> None:
    with pytest.raises(KeyStoreFailed):
        RemoteSigner(uri, token.keys[1]).sign(b"message")


def test_a_wrong_pin_is_tried_once_and_not_repeated_in_the_error(token: Token, monkeypatch) -> None:
    monkeypatch.setenv(PIN, "73571234")
    with pytest.raises(KeyStoreFailed, match="PinIncorrect") as refusal:
        RemoteSigner(token.uri(1), token.keys[1]).sign(b"message")
    assert "73571234" not in f"{refusal.value}{refusal.value.next_step}"
    assert "locks itself" in refusal.value.next_step


def test_a_pin_is_typed_once_where_there_is_a_terminal(token: Token, monkeypatch) -> None:
    monkeypatch.delenv(PIN, raising=False)
    made = RemoteSigner(token.uri(1), token.keys[1])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(UsageError) as refusal:
        made.sign(b"message")
    assert PIN in refusal.value.next_step
    asked = []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(remote_signer, "getpass", lambda prompt: asked.append(prompt) or token.pin)
    assert made.sign(b"one")
    assert made.sign(b"two")
    assert asked == [f"PIN of {token.uri(1)}: "]


def test_a_tokens_key_is_named_by_its_two_files(token: Token, pin: str, tmp_path: Path, capsys) -> None:
    words = ["rootpack", "read-key", token.uri(2), "--name", "kit-2", "--keys", str(tmp_path / "keys"), "--json"]
    assert stella.main(words) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == token.keys[2].fingerprint
    made = signer.load(tmp_path / "keys" / "kit-2.key.uri")
    assert (made.public, made.public.verify(b"x", made.sign(b"x"))) == (token.keys[2], True)
    for uri, name, code in (
        (token.uri(3), "kit-2", 2), (token.uri(9), "nine", 60), ("awskms:x", "other", 2), ("hsm:2?pin=1", "pin", 2),
        (token.uri(3), "../three", 2),
    ):  # fmt: skip
        assert stella.main([*words[:2], uri, "--name", name, *words[5:]]) == code
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["kit-2.key.uri", "kit-2.pub.pem"]


# A whole way


@dataclass
class Desk:
    """A RootPack that trusts keys of the token, and the commands."""

    place: Path
    world: World
    token: Token
    capsys: pytest.CaptureFixture[str]

    @property
    def rootpack(self) -> Path:
        return self.place / "rootpack"

    def pair(self, number: int) -> str:
        return f"{self.place / f'hsm-{number}.pub.pem'}={self.token.uri(number)}"

    def run(self, *words: object) -> dict[str, object]:
        code = stella.main([*map(str, words), "--rootpack", str(self.rootpack), "--json"])
        out = self.capsys.readouterr().out
        assert code == 0, out
        return json.loads(out)

    def scan(self, key: object) -> Path:
        self.run(
            "scan", "--record", "--sbom", INPUTS / "sbom.cdx.json", "--policy", INPUTS / "policy.toml", "--feed",
            f"{FEED}={self.world.feed}", "--scan-id", SCAN_ID, "--time", SCAN_TIME, "--key", key,
            "--out", self.place / "records",
        )  # fmt: skip
        return self.place / "records" / SCAN_ID


@pytest.fixture
def desk(world: World, token: Token, pin: str, tmp_path: Path, capsys, monkeypatch) -> Desk:
    for name in ("rootpack", "keys"):
        shutil.copytree(getattr(world, name), tmp_path / name)
    monkeypatch.setattr(session, "clock", lambda: NOW)
    for number, public in token.keys.items():
        (tmp_path / f"hsm-{number}.pub.pem").write_bytes(public.to_pem())
    made = Desk(tmp_path, world, token, capsys)
    trust.add_key(
        made.rootpack, tmp_path / "keys", token.keys[1], usage="kit", owner="hsm", now=NOW - timedelta(hours=1)
    )
    return made


def test_an_hsm_signs_a_scan_and_a_kit_that_a_site_verifies(desk: Desk, replay) -> None:
    record = desk.scan(desk.pair(1))
    desk.run("scan", "sign", record, "--key", desk.place / "keys/kit-1.key.pem")
    words = ("kit", "build", "--record", record, "--key", desk.pair(1), "--sequence", "1", "--out", desk.place / "kit")
    desk.run(*words)
    result, _ = replay(desk.place / "kit")
    assert (result.verdict, result.reason) == ("VERIFIED", "Ok")
    signed = [entry.document for entry in result.signers if entry.owner == "hsm"]
    assert signed == ["kit.dsse.json", f"replay/{SCAN_ID}/manifest.dsse.json"]
    again = (*words[:-1], desk.place / "again")
    desk.run(*again)
    different = [
        path.relative_to(desk.place / "kit").as_posix()
        for path in sorted((desk.place / "kit").rglob("*"))
        if path.is_file()
        and path.read_bytes() != (desk.place / "again" / path.relative_to(desk.place / "kit")).read_bytes()
    ]
    assert different == [layout.SUMS_FILE, layout.KIT_ENVELOPE], "the HSM's signature, and the sums that list it"


def test_a_rootpack_is_rotated_to_keys_of_an_hsm_and_sites_follow(desk: Desk, replay) -> None:
    keys = desk.place / "keys"
    for name, number in (("targets-2", 2), ("online-2", 3)):
        (keys / f"{name}.pub.pem").write_bytes(desk.token.keys[number].to_pem())
        (keys / f"{name}.key.uri").write_text(desk.token.uri(number) + "\n")
    desk.run(
        "rootpack", "rotate", "--old", keys / "targets-1.pub.pem", "--new", keys / "targets-2.pub.pem",
        "--old", keys / "online.pub.pem", "--new", keys / "online-2.pub.pem", "--keys", keys, "--time", stamp(NOW),
    )  # fmt: skip
    shown = desk.run("rootpack", "publish", "--keys", keys, "--time", stamp(NOW))
    holders = {role["role"]: [key["fingerprint"] for key in role["keys"]] for role in shown["roles"]}
    assert holders["targets"] == [desk.token.keys[2].fingerprint]
    assert holders["timestamp"] == holders["snapshot"] == [desk.token.keys[3].fingerprint]
    record = desk.scan(desk.pair(1))
    desk.run("kit", "build", "--record", record, "--key", desk.pair(1), "--sequence", "1", "--out", desk.place / "kit")
    result, _ = replay(desk.place / "kit")
    assert (result.verdict, result.root_pack.root_version) == ("VERIFIED", 2)


def test_a_log_key_and_a_founding_ceremony_may_be_in_the_hsm(desk: Desk) -> None:
    keys = desk.place / "founding"
    keys.mkdir()
    (keys / "root-1.pub.pem").write_bytes(desk.token.keys[2].to_pem())
    (keys / "root-1.key.uri").write_text(desk.token.uri(2))
    founded = trust.init(
        desk.place / "founded", keys, now=NOW, owner="hsm", entropy=Random(3).randbytes, ceremony=trust.SINGLE_SIGNER
    )
    assert {key.name: key.created for key in founded.key_files}["root-1"] is False
    trust.add_key(
        desk.rootpack, desk.place / "keys", desk.token.keys[3], usage="log", owner="log.example/hsm",
        now=NOW - timedelta(hours=1),
    )  # fmt: skip
    record = desk.scan(desk.pair(1))
    done = desk.run("attest", record, "--log", desk.place / "log", "--log-key", desk.pair(3))
    assert [(log["log"], log["records"][0]["size"]) for log in done["logs"]] == [("log.example/hsm", 1)]


# Key stores that are not there, or give something else


class Store:
    """What a store answers, under the scheme of one that is known."""

    def __init__(self, monkeypatch, answer) -> None:
        store = self

        class Fake:
            @classmethod
            def from_priv_key_uri(cls, uri, key, secrets_handler):
                if isinstance(answer, type) and issubclass(answer, UnsupportedLibraryError):
                    raise answer("missing")
                store.key = key
                return cls()

            def sign(self, message):
                if isinstance(answer, Exception):
                    raise answer
                return Signature(store.key.keyid, answer(message).hex())

        monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "awskms", Fake)


OWN = PemSigner.from_seed(ECDSA_P256, bytes(range(48)))
OTHER = PemSigner.from_seed(ECDSA_P256, bytes(range(1, 49)))
EDWARDS = PemSigner.from_seed(ED25519, bytes(range(32)))


def raw(signature: bytes) -> bytes:
    return b"".join(number.to_bytes(32) for number in decode_dss_signature(signature))


WRONG = {
    "another key's": OTHER.sign,
    "raw r and s": lambda message: raw(OWN.sign(message)),
    "garbage": lambda message: b"\x30" * 70,
    "nothing": lambda message: b"",
    "of other bytes": lambda message: OWN.sign(message + b"."),
    "with a tail": lambda message: OWN.sign(message) + b"\0",
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_what_is_no_signature_of_the_public_key_is_never_used(monkeypatch, answer) -> None:
    Store(monkeypatch, answer)
    with pytest.raises(SigningFailed):
        dsse.sign(b"{}", dsse.IN_TOTO, [RemoteSigner("awskms:alias/kit", OWN.public)])


@pytest.mark.parametrize("key", [OWN, EDWARDS], ids=["P-256", "Ed25519"])
def test_a_store_that_signs_well_gives_the_envelope_that_a_file_would(monkeypatch, key: PemSigner) -> None:
    Store(monkeypatch, key.sign)
    made = dsse.sign(b"{}", dsse.IN_TOTO, [RemoteSigner("awskms:alias/kit", key.public)])
    assert made == dsse.sign(b"{}", dsse.IN_TOTO, [key])


@pytest.mark.parametrize("fault", [OSError("no route to \x1b[2J host"), RuntimeError(), ValueError("odd")])
def test_a_store_that_does_not_answer_is_told_in_ascii(monkeypatch, fault: Exception) -> None:
    Store(monkeypatch, fault)
    with pytest.raises(KeyStoreFailed) as refusal:
        RemoteSigner("awskms:alias/kit", OWN.public).sign(b"")
    assert str(refusal.value).isprintable()
    assert type(fault).__name__ in refusal.value.details["detail"]


def test_an_extra_that_is_missing_is_told_with_the_line_that_installs_it(monkeypatch) -> None:
    Store(monkeypatch, UnsupportedLibraryError)
    with pytest.raises(UsageError) as refusal:
        RemoteSigner("awskms:alias/kit", OWN.public)
    assert refusal.value.next_step == "Install it: pip install 'securesystemslib[awskms]'"
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    with pytest.raises(UsageError) as refusal:
        RemoteSigner("hsm:2", OWN.public)
    assert refusal.value.next_step == "Install it: pip install 'stella-offline-kit[hsm]'"


BAD = [
    "hsm:2?pin-value=1234", "hsm:2?label=a&pin=1234", "hsm:2?pin=", "hsm:two", "hsm:2?label=\n", "file:/etc/passwd",
    "hsm:" + "9" * 2000, "hsm:\u0662", "HSM:2", "", "gnupg:abc", "file2:key",
]  # fmt: skip


@pytest.mark.parametrize("uri", BAD)
def test_another_uri_is_the_users_error_and_no_pin_is_repeated(uri: str) -> None:
    with pytest.raises(UsageError) as refusal:
        RemoteSigner(uri, OWN.public)
    assert "1234" not in str(refusal.value)


def test_a_key_store_is_named_together_with_its_public_key(tmp_path: Path, monkeypatch) -> None:
    Store(monkeypatch, OWN.sign)
    public_file = tmp_path / "kit=1.pub.pem"
    public_file.write_bytes(OWN.public.to_pem())
    assert signer.load(f"{public_file}=awskms:alias/kit").public == OWN.public
    with pytest.raises(UsageError, match="public key") as refusal:
        signer.load("awskms:alias/kit")
    assert refusal.value.next_step == "Give both: NAME.pub.pem=awskms:alias/kit"
    (tmp_path / "kit=1.key.uri").write_text("awskms:alias/kit\r\n")
    assert signer.load(tmp_path / "kit=1.key.uri").public == OWN.public
    assert [one.public for one in signer.find(tmp_path, [OWN.public.fingerprint])] == [OWN.public]
    with pytest.raises((UsageError, FileMissing)):
        signer.load(f"{tmp_path / 'none.pub.pem'}=awskms:alias/kit")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff\xfe", b"awskms", b"x" * 20000])
def test_a_file_that_holds_no_key_uri_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kit.pub.pem").write_bytes(OWN.public.to_pem())
    (tmp_path / "kit.key.uri").write_bytes(content)
    with pytest.raises(StellaError) as refusal:
        signer.load(tmp_path / "kit.key.uri")
    assert refusal.value.exit_code in {2, 31}
