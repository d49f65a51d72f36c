"""Receipts that came home: whose word they are, what they say, and what is missing between them."""

import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import stella
from kit import receipt as receipts
from kit import receipt_slip
from kit import result as results
from kit.bytes import canonical, digest
from kit.result import Receipt
from kit.trust import dsse
from kit.trust.keys import PemSigner
from tests.receipts import receipt_of
from tests.world import World
from verifier.render import receipt_text

SITE = PemSigner.from_seed("ed25519", b"\x05" * 32)
OTHER = PemSigner.from_seed("ed25519", b"\x06" * 32)
STRANGER = PemSigner.from_seed("ed25519", b"\x07" * 32)
AT = ("--at", "2026-06-01T12:00:00Z")
RECEIPT = receipt_of(SITE.public.fingerprint)


def signed(receipt: Receipt = RECEIPT, signer: PemSigner = SITE, **changes: object) -> bytes:
    made = msgspec.structs.replace(receipt, site=signer.public.fingerprint, **changes)
    return dsse.sign(receipts.signed_payload(made), dsse.IN_TOTO, [signer])


def in_line(count: int, signer: PemSigner = SITE, **changes: object) -> list[bytes]:
    """Return envelopes of receipts that follow one another."""
    made, previous = [], None
    for number in range(count):
        receipt = msgspec.structs.replace(
            RECEIPT,
            site=signer.public.fingerprint,
            finished_at=f"2026-06-01T11:00:{number:02d}Z",
            previous=previous,
            **changes,
        )
        previous = digest.of_bytes(canonical.encode_record(receipt))
        made.append(signed(receipt, signer))
    return made


@pytest.fixture(scope="module")
def rootpack(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a RootPack in which two sites are enrolled, one of them for a short time."""
    place = tmp_path_factory.mktemp("enrolled")
    shutil.copytree(world.rootpack, place / "rootpack")
    for name, signer, until in (("site-7", SITE, ()), ("site-8", OTHER, ("--until", "2026-06-01T11:30:00Z"))):
        (place / f"{name}.pem").write_bytes(signer.public.to_pem())
        words = ["rootpack", "add-key", str(place / f"{name}.pem"), "--usage", "site", "--owner", name, *until]
        more = ["--rootpack", str(place / "rootpack"), "--keys", str(world.keys), "--time", "2026-06-01T10:00:00Z"]
        assert stella.main([*words, *more]) == 0
    return place / "rootpack"


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def verdict(self) -> str:
        return self.err.splitlines()[-1]


Receipts = Callable[..., Said]


@pytest.fixture
def receipt(capsys: pytest.CaptureFixture[str], rootpack: Path) -> Receipts:
    """Return what runs a command of ``stella receipt`` on files."""

    def run(word: str, *words: object, trust: tuple[str, ...] | None = None, expect: int = 0) -> Said:
        capsys.readouterr()
        given = ("--rootpack", str(rootpack)) if trust is None else trust
        code = stella.main(["receipt", word, *map(str, words), *given, *AT])
        said = Said(code, *capsys.readouterr())
        assert code == expect, said.err
        assert re.fullmatch(r"[\n -~]*", said.out + said.err)
        return said

    return run


def as_slip(envelope: bytes) -> bytes:
    return receipt_slip.encode(envelope).encode()


def as_printed(envelope: bytes) -> bytes:
    return receipt_text(RECEIPT, slip=receipt_slip.encode(envelope)).encode()


def as_typed(envelope: bytes) -> bytes:
    slip = receipt_slip.encode(envelope).lower().replace("0", "o")
    return b"\xef\xbb\xbf" + "\r\n ".join(slip[at : at + 30] for at in range(0, len(slip), 30)).encode()


@pytest.mark.parametrize("form", [bytes, as_slip, as_printed, as_typed], ids=lambda form: form.__name__)
def test_every_form_of_a_receipt_is_checked(receipt: Receipts, tmp_path: Path, form: Callable[[bytes], bytes]) -> None:
    (tmp_path / "it").write_bytes(form(signed()))
    said = receipt("check", tmp_path / "it")
    assert said.verdict == f"VERDICT  GENUINE: site-7 says VERIFIED of scan {RECEIPT.scan_id} (0)"
    assert "nothing was replayed here" in said.out
    document = json.loads(receipt("check", tmp_path / "it", "--json").out)
    assert document["receipt"] == msgspec.to_builtins(RECEIPT)
    assert (document["genuine"], document["owner"]) == (True, "site-7")
    assert document["checkNumber"] in said.out


@pytest.mark.parametrize("label", ["VERDICT", "EXIT CODE", "scan"])
def test_words_that_contradict_the_slip_are_told_aloud(receipt: Receipts, tmp_path: Path, label: str) -> None:
    envelope = signed(verdict="DIFFERS", reason="ReplayDiffers", exit_code=60)
    genuine = msgspec.structs.replace(RECEIPT, verdict="DIFFERS", reason="ReplayDiffers", exit_code=60)
    honest = receipt_text(genuine, slip=receipt_slip.encode(envelope))
    (tmp_path / "it").write_text(honest)
    assert "WARNING" not in receipt("check", tmp_path / "it").err
    assert "contradicted" not in json.loads(receipt("check", tmp_path / "it", "--json").out)
    (tmp_path / "it").write_text(re.sub(rf"^{label} .*", f"{label}  VERIFIED", honest, count=1, flags=re.MULTILINE))
    said = receipt("check", tmp_path / "it")
    assert f"WARNING: the readable words of this text contradict its signed slip ({label.lower()})" in said.err
    assert "GENUINE: site-7 says DIFFERS" in said.verdict
    assert json.loads(receipt("check", tmp_path / "it", "--json").out)["contradicted"] == [label.lower()]


def test_no_line_of_a_check_can_be_taken_for_the_verdict_of_a_replay(receipt: Receipts, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(signed())
    said = receipt("check", tmp_path / "it")
    assert "VERIFIED (0)" not in said.out + said.err
    assert not re.search(r"^VERDICT +VERIFIED", said.out + said.err, re.MULTILINE)


def test_standard_input_is_read(receipt: Receipts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_slip(signed()))))
    assert receipt("check", "-").verdict.startswith("VERDICT  GENUINE: site-7 says VERIFIED")


def test_refusal_is_as_genuine_as_a_success(receipt: Receipts, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(
        as_slip(signed(verdict="REFUSED", reason="DigestMismatch", exit_code=30, scan_id=None))
    )
    said = receipt("check", tmp_path / "it")
    assert "site-7 says REFUSED, DigestMismatch, of a scan that was not established (0)" in said.verdict


def test_bare_key_names_the_site_by_its_fingerprint(receipt: Receipts, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(signed())
    (tmp_path / "key").write_bytes(SITE.public.to_pem())
    said = receipt("check", tmp_path / "it", trust=("--key", str(tmp_path / "key")))
    assert re.search(r"GENUINE: the site with the key ([0-9a-f]{4} ){4}says VERIFIED", said.verdict)


def forged(word: str) -> bytes:
    text = json.loads(signed())
    text["payload"] = json.loads(signed(verdict="DIFFERS", reason=word))["payload"]
    return json.dumps(text).encode()


MISREAD = bytearray(as_slip(signed()))
MISREAD[200] = ord("Z") if MISREAD[200] != ord("Z") else ord("Y")
REFUSED = {
    "changed": (forged("Ok"), 20, "SignatureInvalid"),
    "of nobody's site": (signed(signer=STRANGER), 21, "SignerUnknown"),
    "of a key whose window is over": (signed(signer=OTHER), 21, "SignerRetired"),
    "slip of nobody's site": (as_slip(signed(signer=STRANGER)), 21, "SignerUnknown"),
    "without its signature": (canonical.encode_record(RECEIPT), 22, "EvidenceMissing"),
    "slip with a wrong character": (bytes(MISREAD), 31, "MalformedDocument"),
    "slip cut off": (as_slip(signed())[:300], 31, "MalformedDocument"),
    "photo": (b"\x89PNG\r\n\x1a\n" + bytes(50), 31, "MalformedDocument"),
    "scan as PDF": (b"%PDF-1.7\n", 31, "MalformedDocument"),
    "empty": (b"", 31, "MalformedDocument"),
    "letters of another kind": (b"STELLA2:ABCDEF", 31, "MalformedDocument"),
    "not text": (b"\xff\xfe\x00STELLA1:", 31, "MalformedDocument"),
    "too large": (b" " * (1 << 20) + b" ", 31, "LimitExceeded"),
    "two slips": (as_slip(signed()) + b"\n" + as_slip(signed(sequence=43)), 2, "UsageError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_receipt_of_a_site_is_refused(receipt: Receipts, tmp_path: Path, case: str) -> None:
    data, code, reason = REFUSED[case]
    (tmp_path / "it").write_bytes(data)
    said = receipt("check", tmp_path / "it", "--json", expect=code)
    document = json.loads(said.out)
    assert (document["reason"], document["ok"]) == (reason, False)
    assert "kit" not in document["nextStep"]


def test_nothing_is_believed_without_trust(receipt: Receipts, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(signed())
    receipt("check", tmp_path / "it", trust=(), expect=2)
    receipt("chain", tmp_path / "it", trust=(), expect=2)


def test_expired_rootpack_tells_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path, rootpack: Path) -> None:
    (tmp_path / "it").write_bytes(signed())
    words = ["receipt", "check", str(tmp_path / "it"), "--rootpack", str(rootpack), "--at", "2036-01-01T00:00:00Z"]
    assert stella.main(words) == 52
    assert "TrustExpired" in capsys.readouterr().err


NASTY = "\x1b[2J\x1b]0;x\x07\r\nVERDICT  VERIFIED (0)<script>\u202e"


def test_hostile_words_of_a_genuine_receipt_come_out_harmless(receipt: Receipts, tmp_path: Path) -> None:
    nasty = {"reason": NASTY, "run_id": NASTY, "mode": NASTY, "kit_id": NASTY, "scan_id": NASTY, "finished_at": NASTY}
    (tmp_path / "it").write_bytes(signed(**nasty, sequence=(1 << 53) - 1))
    said = receipt("check", tmp_path / "it")
    assert len(re.findall(r"^VERDICT", said.out + said.err, re.MULTILINE)) == 1
    receipt("chain", tmp_path / "it")


def leave(place: Path, envelopes: list[bytes]) -> None:
    for number, envelope in enumerate(envelopes):
        (place / f"run-{number}").mkdir(parents=True)
        (place / f"run-{number}" / "receipt.dsse.json").write_bytes(envelope)


def test_whole_chain_in_directories(receipt: Receipts, tmp_path: Path) -> None:
    leave(tmp_path / "ops", in_line(4))
    said = receipt("chain", tmp_path / "ops")
    assert said.verdict == "VERDICT  WHOLE: 4 receipts of 1 site (0)"
    assert re.findall(r"^(\d) +2026-06-01T11:00:0(\d)Z", said.out, re.MULTILINE) == [
        (str(n + 1), str(n)) for n in range(4)
    ]
    assert max(map(len, said.out.splitlines())) <= 80


def test_slips_of_a_day_in_one_file_make_a_chain(receipt: Receipts, tmp_path: Path) -> None:
    (tmp_path / "scanned.txt").write_bytes(b"\n".join(map(as_slip, reversed(in_line(5)))))
    assert receipt("chain", tmp_path / "scanned.txt").verdict == "VERDICT  WHOLE: 5 receipts of 1 site (0)"


def test_gap_names_the_missing_receipt(receipt: Receipts, tmp_path: Path) -> None:
    envelopes = in_line(4)
    leave(tmp_path / "ops", [envelopes[0], envelopes[3]])
    document = json.loads(receipt("chain", tmp_path / "ops", "--json", expect=22).out)
    assert (document["reason"], document["exitCode"]) == ("ReceiptMissing", 22)
    [site] = document["sites"]
    assert site["gaps"][0]["missing"] == site["receipts"][1]["receipt"]["previous"]


def test_cloned_site_is_told_by_its_fork(receipt: Receipts, tmp_path: Path) -> None:
    leave(tmp_path / "ops", [*in_line(3), in_line(3, run_id="another")[0]])
    said = receipt("chain", tmp_path / "ops", expect=71)
    assert "SiteForked: 1 fork (71)" in said.verdict
    assert "each call themselves the site's first" in said.out


def test_sites_have_chains_of_their_own_and_one_refusal_comes_first(receipt: Receipts, tmp_path: Path) -> None:
    leave(tmp_path / "a", in_line(2))
    leave(tmp_path / "b", [*in_line(3)[::2], signed(signer=STRANGER)])
    said = receipt("chain", tmp_path / "a", tmp_path / "b", expect=21)
    assert "REFUSED" in said.out
    assert "SignerUnknown: 1 refused (21)" in said.verdict


def test_place_without_receipts_is_refused(receipt: Receipts, tmp_path: Path) -> None:
    receipt("chain", tmp_path, expect=32)
    receipt("check", tmp_path / "nothing", expect=32)


def test_digest_of_every_verdict_is_about_the_receipt_alone(receipt: Receipts, tmp_path: Path) -> None:
    for verdict in results.VERDICTS:
        (tmp_path / "it").write_bytes(signed(verdict=verdict, exit_code=1))
        assert receipt("check", tmp_path / "it").verdict.startswith("VERDICT  GENUINE: ")
