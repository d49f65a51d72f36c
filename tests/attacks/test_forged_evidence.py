"""What a run leaves behind, tampered with afterwards: it must not speak for the site any more."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit import journal
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, SignatureInvalid, SignerUnknown, StellaError
from kit.trust import dsse, statement
from kit.trust.keys import PemSigner
from tests.attacks import forge
from tests.world import SCAN_ID, Replay, World
from verifier import evidence, sync
from verifier import site as sites

LATER = "2026-06-02T00:00:00Z"


@dataclass(frozen=True)
class Ran:
    """A site with one finished run, VERIFIED or REFUSED, below ``ops``."""

    site: sites.Site
    ops: Path
    directory: Path


@pytest.fixture
def verified(world: World, replay: Replay, tmp_path: Path) -> Ran:
    return run(replay, world.new_site(tmp_path / "site"), world.copy_kit(tmp_path / "kit"), tmp_path / "ops")


@pytest.fixture
def refused(world: World, replay: Replay, tmp_path: Path) -> Ran:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / "README.txt").write_bytes(b"tampered")
    return run(replay, world.new_site(tmp_path / "site"), kit, tmp_path / "ops")


def run(replay: Replay, site: sites.Site, kit: Path, ops: Path) -> Ran:
    _, left = replay(kit, site=site)
    directory = ops / "replay" / SCAN_ID / left.name
    shutil.copytree(left, directory)
    return Ran(site, ops, directory)


def rewrite(path: Path, **changes: object) -> None:
    path.write_bytes(canonical.encode(json.loads(path.read_bytes()) | changes))


PASSED = {"verdict": results.VERIFIED, "reason": "Ok", "exitCode": 0}


@pytest.mark.parametrize("name", ["result.json", "receipt.json"])
def test_refusal_rewritten_as_verified_is_not_shown(refused: Ran, name: str) -> None:
    rewrite(refused.directory / name, **PASSED)
    read = evidence.read_run if name == "result.json" else evidence.read_receipt
    with pytest.raises(DigestMismatch):
        read(refused.directory, refused.site.signer.public)


@pytest.mark.parametrize("name", ["result.json", "receipt.json"])
def test_refusal_rewritten_and_signed_by_another_site_is_not_shown(refused: Ran, name: str) -> None:
    rewrite(refused.directory / name, **PASSED)
    other = PemSigner.from_seed("ed25519", random.Random(9).randbytes(32))
    kind = results.RESULT_TYPE if name == "result.json" else results.RECEIPT_TYPE
    payload = statement.make({name: forge.digest_of(refused.directory / name)}, kind, {})
    envelope = refused.directory / name.replace(".json", ".dsse.json")
    envelope.write_bytes(dsse.sign(payload, dsse.IN_TOTO, [other]))
    read = evidence.read_run if name == "result.json" else evidence.read_receipt
    with pytest.raises((SignerUnknown, SignatureInvalid)):
        read(refused.directory, refused.site.signer.public)


def test_receipt_signed_as_a_result_is_not_shown(refused: Ran) -> None:
    shutil.copyfile(refused.directory / "receipt.dsse.json", refused.directory / "result.dsse.json")
    with pytest.raises(DigestMismatch):
        evidence.read_run(refused.directory, refused.site.signer.public)


def test_refusal_rewritten_as_verified_does_not_travel(refused: Ran, tmp_path: Path) -> None:
    rewrite(refused.directory / "result.json", **PASSED)
    with pytest.raises(StellaError) as caught:
        sync.export(refused.ops, refused.site, tmp_path / "out.stella-sync", LATER)
    assert caught.value.reason == "UsageError"


def test_journal_finished_by_hand_does_not_make_a_cut_off_run_travel(verified: Ran, tmp_path: Path) -> None:
    # The run died before its result was signed; somebody adds the line that is missing.
    for name in ("result.json", "result.dsse.json"):
        (verified.directory / name).unlink()
    path = verified.directory / "journal.ndjson"
    lines = path.read_bytes().splitlines()[:-1]
    lines.append(journal.line(len(lines), digest.of_bytes(lines[-1]), LATER, journal.FINISHED, PASSED))
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(StellaError):
        sync.export(verified.ops, verified.site, tmp_path / "out.stella-sync", LATER)


@pytest.mark.parametrize("place", ["another run", "another scan"])
def test_result_copied_to_another_place_does_not_travel_twice(verified: Ran, tmp_path: Path, place: str) -> None:
    scan, run_id = verified.directory.parent, verified.directory.name
    copy = scan / "20990101T000000Z-00000000" if place == "another run" else scan.with_name("0" + SCAN_ID[1:]) / run_id
    shutil.copytree(verified.directory, copy)
    described, skipped = sync.export(verified.ops, verified.site, tmp_path / "out.stella-sync", LATER)
    assert [entry.path for entry in described.runs] == [f"runs/{SCAN_ID}/{run_id}"]
    assert len(skipped) == 1


def test_link_in_a_run_directory_carries_no_file_of_the_host_away(verified: Ran, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"what only this host knows")
    (verified.directory / "diff.json").symlink_to(tmp_path / "secret")
    described, _ = sync.export(verified.ops, verified.site, tmp_path / "out.stella-sync", LATER)
    secret = forge.digest_of(tmp_path / "secret")
    assert secret not in {member.digest for member in described.bundle.members}


@pytest.mark.parametrize("name", ["record.ndjson", "diff.json"])
def test_document_changed_after_the_run_does_not_travel_under_the_sites_signature(
    verified: Ran, tmp_path: Path, name: str
) -> None:
    (verified.directory / name).write_bytes(b'{"provenance":{"verdict":"FORGED"}}\n')
    changed = forge.digest_of(verified.directory / name)
    described, _ = sync.export(verified.ops, verified.site, tmp_path / "out.stella-sync", LATER)
    assert changed not in {member.digest for member in described.bundle.members}


@pytest.mark.parametrize("name", ["diff.json", "outputs/findings.json", "outputs/verdict.json", "journal.ndjson"])
def test_page_made_anew_shows_nothing_that_the_site_did_not_sign(verified: Ran, name: str) -> None:
    forged: dict[str, dict[str, object]] = {
        "diff.json": {"schemaVersion": "1.0", "equal": False, "members": [], "causes": {"forged-here": 1}},
        "outputs/findings.json": {"schemaVersion": "1.0", "findings": [], "notEvaluated": [], "forged-here": 1},
        "outputs/verdict.json": {"schemaVersion": "1.0", "verdict": "forged-here", "counts": {"findings": 0}},
    }
    result = evidence.read_run(verified.directory, verified.site.signer.public)
    genuine = evidence.page(verified.directory, result)
    path = verified.directory / name
    path.parent.mkdir(exist_ok=True)
    if name == "journal.ndjson":
        lines = path.read_bytes().splitlines()
        lines.insert(1, journal.line(1, digest.of_bytes(lines[0]), LATER, "forged-here", {}))
        path.write_bytes(b"\n".join(lines) + b"\n")
    else:
        path.write_bytes(canonical.encode(forged[name]))
    try:
        page = evidence.page(verified.directory, result)
    except StellaError:
        return
    assert page == genuine


@pytest.mark.parametrize("words", [("report",), ("report", "--html", "page.html"), ("receipt",)])
def test_what_nobody_checked_does_not_look_checked(refused: Ran, tmp_path: Path, words: tuple[str, ...]) -> None:
    # At a host without a site there is no key to check with, so anybody may have written the run's documents.
    verb, *options = words
    done = forge.stella(verb, refused.directory, *options, cwd=tmp_path)
    assert "NOT CHECKED" in done.out
    assert "NOT CHECKED" in done.err.splitlines()[-1]
    if options:
        page = (tmp_path / "page.html").read_text()
        assert "<h1>NOT CHECKED<" in page
        assert "<title>NOT CHECKED" in page


def test_receipt_of_another_result_is_not_on_the_page(refused: Ran, tmp_path: Path) -> None:
    rewrite(refused.directory / "receipt.json", resultDigest="sha256:" + "0" * 64)
    done = forge.stella("report", refused.directory, "--html", "page.html", cwd=tmp_path)
    assert (done.code, (tmp_path / "page.html").exists()) == (30, False)
