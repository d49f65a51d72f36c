"""Deltas: a kit without what its site proved to have, made whole there to the very bytes, or refused with a reason."""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder import delta as maker
from builder import feeds, signer, split, trust
from builder import plan as plans
from builder.assemble import KitRequest
from builder.record import record
from kit import delta as deltas
from kit import errors, layout, patch, receipt_slip
from kit import result as results
from kit.bytes import canonical, digest
from kit.trust import dsse, statement
from kit.trust.keys import Signer
from tests.attacks import forge
from tests.verifier.conftest import Host
from tests.world import FEED, NOW, SCAN_ID, Replay, World, scan_request
from verifier import delta as delta_side
from verifier import delta_members, evidence, guard, inspect, receipt_intake, site_kits
from verifier.run_dir import stamp

LATER_SCAN = "5e11a000-0000-4000-8000-0000000000d2"


def nothing(_: object) -> None:
    """Hear nothing."""


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def advisories(place: Path, *, changed: bool) -> Path:
    """Write some hundred advisories, the third one changed and one more where asked."""
    place.mkdir()
    chance = random.Random(7)
    for number in range(300):
        words = " ".join(chance.choices(["overflow", "parser", "bypass", "token", "crash", "path"], k=40))
        document = {
            "id": f"PYSEC-2026-{number}",
            "modified": "2026-05-01T00:00:00Z",
            "details": words + (" Fixed later." if changed and number == 3 else ""),
            "affected": [{"package": {"ecosystem": "PyPI", "name": f"package-{number}"}, "versions": ["1.0"]}],
        }
        (place / f"PYSEC-2026-{number}.json").write_text(json.dumps(document))
    if changed:
        document["id"] = "PYSEC-2026-3000"
        (place / "PYSEC-2026-3000.json").write_text(json.dumps(document))
    return place


class Delivered:
    """Two kits of one sender, the first of which a site took in and said so."""

    def __init__(self, world: World, host: Host, home: Path) -> None:
        self.world, self.host, self.home = world, host, home
        self.rootpack = home / "rootpack"
        shutil.copytree(world.rootpack, self.rootpack)
        trust.add_key(
            self.rootpack,
            world.keys,
            host.site.signer.public,
            usage="site",
            owner="site-7",
            now=NOW - timedelta(minutes=30),
        )
        self.key = signer.load(world.keys / "kit-1.key.pem")
        old, new = (
            feeds.add(home / f"feeds-{changed}", "bulk", advisories(home / f"advisories-{changed}", changed=changed))
            for changed in (False, True)
        )
        program = home / "bin" / "linux-x86_64"
        program.mkdir(parents=True)
        (program / "stella").write_bytes(random.Random(1).randbytes(200_000))
        (program / "notes").write_bytes(random.Random(2).randbytes(30_000))
        self.base = self._kit("base", SCAN_ID, old.directory, program, 1)
        (program / "notes").write_bytes(random.Random(2).randbytes(30_000) + b"more")
        self.kit = self._kit("next", LATER_SCAN, new.directory, program, 2)

    def _kit(self, name: str, scan: str, feed: Path, program: Path, sequence: int) -> Path:
        wanted = scan_request(self.world.feed, scan_id=scan, feeds={FEED: self.world.feed, "bulk": feed})
        made, _ = record(wanted, [self.key], self.home / f"records-{name}")
        place = self.home / name
        return self.world.build_kit(
            place, records=[made], programs=[program], sequence=sequence, root_pack=self.rootpack
        )

    def receipt(self) -> Path:
        """Take the base in, and return the signed receipt of it."""
        taken = self.host.take_in(self.base)
        assert taken.last.verdict == results.INTACT, taken.last.sentence
        return taken.runs[-1] / evidence.RECEIPT_ENVELOPE

    def proven(self, receipt: Path) -> maker.Proven:
        return maker.proven(receipt, self.base, self.rootpack, NOW)

    def delta(self, receipt: Path, name: str = "delta") -> Path:
        maker.make(self.kit, self.proven(receipt), self.home / name, [self.key], nothing)
        return self.home / name


@pytest.fixture
def delivered(world: World, host: Host, tmp_path: Path) -> Delivered:
    return Delivered(world, host, tmp_path)


def test_a_delta_is_made_whole_to_the_very_kit(delivered: Delivered, host: Host, replay: Replay) -> None:
    medium = delivered.delta(delivered.receipt())
    told = json.loads((medium / layout.DELTA_FILE).read_bytes())
    assert {one["path"]: one["how"] for one in told["objects"]} == {
        "bin/linux-x86_64/notes": "patch",
        "bin/linux-x86_64/stella": "same",
        f"replay/{LATER_SCAN}/inputbundle.tar.zst": "bundle",
        f"replay/{LATER_SCAN}/outputbundle.tar.zst": "bundle",
    }
    assert host.take_in(medium).last.verdict == results.INTACT
    assert files(host.current) == files(delivered.kit)
    assert replay(host.current, site=host.site, scan_id=LATER_SCAN)[0].verdict == results.VERIFIED
    assert sum(map(len, files(medium / "delta").values())) < 2000


def resign(medium: Path, key: Signer, change: Callable[[dict[str, object]], None]) -> None:
    """Change what DELTA.json says, and sign it anew, as a trusted but faulty sender would."""
    document = json.loads((medium / layout.DELTA_FILE).read_bytes())
    change(document)
    encoded = canonical.encode(document)
    delta = canonical.decode_record(encoded, deltas.Delta)
    payload = statement.make(
        {layout.DELTA_FILE: digest.of_bytes(encoded)}, deltas.PREDICATE_TYPE, deltas.predicate(delta)
    )
    (medium / layout.DELTA_FILE).write_bytes(encoded)
    (medium / layout.DELTA_ENVELOPE).write_bytes(dsse.sign(payload, dsse.IN_TOTO, [key]))
    resum(medium)


def resum(medium: Path) -> None:
    """Write SHA256SUMS anew, as whoever changes a medium would."""
    there = {path: data for path, data in files(medium).items() if path != layout.SUMS_FILE}
    lines = [f"{digest.hex_of(digest.of_bytes(data))}  {path}\n" for path, data in sorted(there.items())]
    (medium / layout.SUMS_FILE).write_text("".join(lines))


@pytest.fixture(scope="module")
def sent(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Delivered, Path, Path]]:
    """Return what a sender has, a receipt of the base, and a delta on it: made once, copied to be broken."""
    home = tmp_path_factory.mktemp("sent")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(guard, "enforce", lambda _: guard.GuardReport(layers=(), probe="none"))
        world.new_site(home / "host" / "site")
        delivered = Delivered(world, Host(home / "host"), home / "sender")
        receipt = delivered.receipt()
        yield delivered, receipt, delivered.delta(receipt)


@pytest.fixture
def site(sent: tuple[Delivered, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host that has taken in the base."""
    monkeypatch.setattr(guard, "enforce", lambda _: guard.GuardReport(layers=(), probe="none"))
    shutil.copytree(sent[0].host.home, tmp_path / "host", symlinks=True)
    return Host(tmp_path / "host")


@pytest.fixture
def medium(sent: tuple[Delivered, Path, Path], tmp_path: Path) -> Path:
    """Return a copy of the delta."""
    return Path(shutil.copytree(sent[2], tmp_path / "medium"))


Sent = tuple[Delivered, Path, Path]
INPUT = f"replay/{LATER_SCAN}/{layout.INPUT_BUNDLE}"


def test_a_receipt_of_an_import_says_what_the_site_holds(sent: Sent) -> None:
    delivered, receipt, _ = sent
    said = receipt_intake.of_rootpack(delivered.rootpack, NOW).genuine(receipt.read_bytes(), "receipt").receipt
    assert said.holds == digest.of_bytes((delivered.base / layout.KIT_FILE).read_bytes())
    assert receipt_slip.decode(receipt_slip.encode(receipt.read_bytes())) == receipt.read_bytes()


@pytest.mark.parametrize("wanted", [{"dry_run": True}, {"in_place": True}])
def test_a_kit_that_was_not_kept_is_proven_by_no_receipt(
    delivered: Delivered, host: Host, wanted: dict[str, bool]
) -> None:
    taken = host.take_in(delivered.base, **wanted)
    with pytest.raises(errors.ReceiptUnfit, match="of the mode import"):
        delivered.proven(taken.runs[-1] / evidence.RECEIPT_ENVELOPE)


def test_a_printed_receipt_is_as_good(sent: Sent) -> None:
    delivered, receipt, _ = sent
    assert delivered.proven(receipt.parent / "receipt.txt").record == delivered.proven(receipt).record


def test_a_receipt_that_was_changed_is_worth_nothing(sent: Sent, tmp_path: Path) -> None:
    delivered, receipt, _ = sent
    document = json.loads(receipt.read_bytes())
    document["signatures"][0]["sig"] = "A" * 86 + "=="
    (tmp_path / "receipt.dsse.json").write_text(json.dumps(document))
    with pytest.raises(errors.SignatureInvalid):
        delivered.proven(tmp_path / "receipt.dsse.json")


def test_a_receipt_of_a_site_that_nobody_enrolled_is_worth_nothing(sent: Sent, world: World) -> None:
    delivered, receipt, _ = sent
    with pytest.raises(errors.SignerUnknown):
        maker.proven(receipt, delivered.base, world.rootpack, NOW)


def test_a_receipt_of_another_kit_is_told(sent: Sent) -> None:
    delivered, receipt, _ = sent
    with pytest.raises(errors.ReceiptUnfit) as caught:
        maker.proven(receipt, delivered.kit, delivered.rootpack, NOW)
    assert "the receipt that is about default-000002-" in caught.value.next_step


def test_a_base_that_changed_at_home_is_not_built_on(sent: Sent, tmp_path: Path) -> None:
    delivered, receipt, _ = sent
    base = shutil.copytree(delivered.base, tmp_path / "base")
    (base / "bin/linux-x86_64/stella").write_bytes(b"another")
    with pytest.raises(errors.DigestMismatch):
        maker.proven(receipt, base, delivered.rootpack, NOW)


def test_the_same_is_made_of_the_same(sent: Sent) -> None:
    delivered, receipt, made = sent
    assert files(delivered.delta(receipt, "again")) == files(made)


def test_a_medium_can_be_checked_without_our_program(sent: Sent) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", layout.SUMS_FILE], cwd=sent[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    listed = {line[66:] for line in (sent[2] / layout.SUMS_FILE).read_text().splitlines()}
    assert listed == set(files(sent[2])) - {layout.SUMS_FILE}


def test_a_site_without_the_base_says_what_to_bring_and_takes_the_whole_kit(
    sent: Sent, host: Host, world: World, medium: Path
) -> None:
    delivered = sent[0]
    refused = host.take_in(medium)
    assert (refused.last.reason, refused.last.exit_code, refused.quarantined) == ("DeltaBaseMissing", 41, None)
    delta = deltas.parse((medium / layout.DELTA_FILE).read_bytes())
    for said in (delta.base.kit_id, delta.base.receipt, INPUT):
        assert said in refused.last.sentence
    assert f"ask for the full kit {delta.kit_id}" in refused.last.next_step
    assert host.site.state.accepted == ()
    assert host.take_in(delivered.kit).last.verdict == results.INTACT
    assert files(host.current) == files(delivered.kit)


def test_a_site_that_got_its_base_back_goes_on(sent: Sent, host: Host, medium: Path) -> None:
    assert host.take_in(medium).last.reason == "DeltaBaseMissing"
    host.take_in(sent[0].base)
    assert host.take_in(medium).last.verdict == results.INTACT
    assert files(host.current) == files(sent[0].kit)


@pytest.mark.parametrize(
    "path", ["bin/linux-x86_64/stella", "bin/linux-x86_64/notes", f"replay/{SCAN_ID}/{layout.INPUT_BUNDLE}"]
)
def test_a_base_that_is_damaged_is_no_base(sent: Sent, site: Host, medium: Path, path: str) -> None:
    kept = next(site.store.kits.iterdir()) / path
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)
    refused = site.take_in(medium)
    assert (refused.last.reason, refused.quarantined) == ("DeltaBaseMissing", None)
    assert f"damaged here: {path}" in refused.last.sentence
    assert site.take_in(sent[0].kit).last.verdict == results.INTACT


def test_a_delta_is_not_verified_where_it_lies(site: Host, medium: Path, replay: Replay) -> None:
    refused, _ = replay(medium, site=site.site, scan_id=LATER_SCAN)
    assert (refused.reason, refused.exit_code) == ("DeltaNotRebuilt", 41)
    assert "stella offline import" in refused.next_step


def test_a_delta_is_not_activated_in_place(site: Host, medium: Path) -> None:
    with pytest.raises(errors.UsageError, match="--in-place takes a whole kit"):
        site.take_in(medium, in_place=True)


def test_a_dry_run_of_a_delta_activates_nothing(site: Host, medium: Path) -> None:
    before = site.site.state.activations
    taken = site.take_in(medium, dry_run=True)
    assert (taken.last.verdict, taken.activation) == (results.INTACT, None)
    assert site.site.state.activations == before


def test_a_second_import_of_the_delta_or_of_the_whole_kit_is_known(sent: Sent, site: Host, medium: Path) -> None:
    site.take_in(medium)
    for again in (medium, sent[0].kit):
        with pytest.raises(errors.AlreadyAccepted):
            site.take_in(again)


def test_volumes_of_a_delta(sent: Sent, site: Host, tmp_path: Path, medium: Path) -> None:
    made = split.split(medium, 90_000, tmp_path / "cut", [sent[0].key], nothing)
    assert len(made) > 1
    places = sorted((tmp_path / "cut").iterdir())
    split.join(places, tmp_path / "joined", nothing)
    assert files(tmp_path / "joined") == files(medium)
    assert site.take_in(places[-1]).last.reason == "VolumeMissing"
    assert site.take_in(*places[:-1]).last.verdict == results.INTACT
    assert files(site.current) == files(sent[0].kit)
    assert list(site.store.incoming.iterdir()) == []


def chunks(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        chunk
        for one in document["objects"]
        for part in [one, *one.get("members", [])]
        for chunk in part.get("chunks", [])
    ]


def changing(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for chunk in chunks(document):
            if chunk.get("window"):
                chunk[name] = value if not callable(value) else value(chunk[name])

    return change


def more_members(document: dict[str, Any]) -> None:
    bundle = next(one for one in document["objects"] if one["path"] == INPUT)
    bundle["members"][0]["path"] = "another/member"


def another_file(document: dict[str, Any]) -> None:
    document["objects"][0]["path"] = "bin/linux-x86_64/other"
    document["objects"][0]["stored"]["path"] = "delta/bin/linux-x86_64/other"


def documents_left_out(document: dict[str, Any]) -> None:
    bundle = next(one for one in document["objects"] if one["path"] == INPUT)
    bundle["path"] = "rootpack/metadata/1.root.json"


def many_chunks(document: dict[str, Any]) -> None:
    one = next(one for one in document["objects"] if one["how"] == "patch")
    one["chunks"] = one["chunks"] * (deltas.MAX_CHUNKS + 1)


def bomb(document: dict[str, Any]) -> None:
    bundle = next(one for one in document["objects"] if one["path"] == INPUT)
    member = bundle["members"][0]
    member["chunks"] = [{"size": 4 << 20, "stored": 400}] * 40


LIES: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    (
        "a chunk that decodes to more than is said",
        changing("size", lambda size: size - 1),
        "SizeMismatch|MalformedFrame",
    ),
    ("a window beyond the base", changing("offset", 1 << 40), "SizeMismatch"),
    ("a window that is another", changing("window", 10), "MalformedFrame"),
    ("a window larger than any", changing("window", deltas.MAX_WINDOW + 1), "LimitExceeded"),
    ("a chunk larger than any", changing("size", 5 << 20), "LimitExceeded"),
    ("frames that do not add up", changing("stored", lambda stored: stored + 1), "SizeMismatch"),
    ("a member that the bundle does not have", more_members, "MalformedDocument"),
    ("a file that the kit does not have", another_file, "FileUndeclared"),
    ("a file that must be on every medium", documents_left_out, "DigestMismatch|MalformedDocument|SizeMismatch"),
    ("more chunks than any", many_chunks, "LimitExceeded|SizeMismatch"),
    ("a bomb", bomb, "LimitExceeded|SizeMismatch"),
]


@pytest.mark.parametrize(("change", "reason"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_delta_that_lies_is_refused(
    sent: Sent, site: Host, medium: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    before = site.site.state.activations
    resign(medium, sent[0].key, change)
    refused = site.take_in(medium)
    assert refused.last.reason in reason.split("|"), refused.last.sentence
    assert site.site.state.activations == before
    assert files(site.current) == files(sent[0].base)


def test_a_delta_by_nobody_is_refused(sent: Sent, site: Host, medium: Path) -> None:
    resign(medium, site.site.signer, lambda _: None)
    refused = site.take_in(medium)
    assert (refused.last.reason, refused.last.exit_code) == ("SignerUnknown", 21)
    assert files(site.current) == files(sent[0].base)


@pytest.mark.parametrize("where", [f"delta/{INPUT}", "delta/bin/linux-x86_64/notes", layout.DELTA_FILE])
def test_a_flipped_bit_of_a_delta_is_refused(sent: Sent, site: Host, medium: Path, where: str) -> None:
    data = bytearray((medium / where).read_bytes())
    data[len(data) // 2] ^= 1
    (medium / where).write_bytes(data)
    refused = site.take_in(medium)
    assert refused.last.exit_code in (30, 31, 40)
    assert files(site.current) == files(sent[0].base)


def test_a_file_more_or_less_is_refused(site: Host, medium: Path) -> None:
    (medium / "delta/more").write_bytes(b"more")
    assert site.take_in(medium).last.reason == "FileUndeclared"
    (medium / "delta/more").unlink()
    (medium / f"delta/{INPUT}").unlink()
    assert site.take_in(medium).last.reason == "FileMissing"


@pytest.mark.parametrize("at", range(0, 40, 5))
def test_a_death_on_the_way_leaves_the_base_active_and_the_next_import_goes_on(
    sent: Sent, site: Host, medium: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    class Died(BaseException):
        """What a kill is to the code that it meets."""

    left = [at]

    def until(real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Died
            return real(*given, **named)

        return call

    with monkeypatch.context() as patched:
        for module, name in ((delta_members, "write"), (delta_side, "sync_directory"), (os, "fsync"), (os, "replace")):
            patched.setattr(module, name, until(getattr(module, name)))
        try:
            site.take_in(medium)
        except Died:
            assert files(site.current) == files(sent[0].base)
    with suppress(errors.AlreadyAccepted):
        assert site.take_in(medium).last.verdict == results.INTACT
    assert files(site.current) == files(sent[0].kit)
    assert list(site.store.incoming.iterdir()) == []


def test_look_says_what_a_delta_builds_on(sent: Sent, site: Host, medium: Path) -> None:
    told = inspect.look(medium, site.site, NOW, place=site.home / "site")
    claimed = told["claimed"]
    assert isinstance(claimed, dict)
    delta = deltas.parse((medium / layout.DELTA_FILE).read_bytes())
    assert (claimed["deltaOn"], claimed["leftOut"]) == (delta.base.kit_id, len(delta.objects))
    assert str(told["nextStep"]).startswith("stella offline import")


def test_the_site_promises_what_its_newest_receipt_says(sent: Sent, site: Host, medium: Path) -> None:
    (kept,) = site_kits.promised(site.site.state.activations)
    assert kept == digest.of_bytes((sent[0].base / layout.KIT_FILE).read_bytes())
    site.take_in(medium)
    assert list(site_kits.promised(site.site.state.activations)) == [
        digest.of_bytes((medium / layout.KIT_FILE).read_bytes())
    ]


def test_a_plan_tells_what_a_delta_would_save(sent: Sent) -> None:
    delivered, receipt, made = sent
    records = [path for path in (delivered.home / "records-next").iterdir() if path.is_dir()]
    request = KitRequest(
        records, delivered.rootpack, [delivered.home / "bin/linux-x86_64"], "default", 2, stamp(NOW), 1
    )
    saving = plans.make(request, delivered.home / "planned", on=delivered.proven(receipt).base).delta
    assert saving is not None
    assert saving.left_out == 200_000
    assert sum(map(len, files(made / "delta").values())) < saving.at_most


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
def test_the_zstd_program_reads_our_chunks_and_we_read_its(tmp_path: Path) -> None:
    chance = random.Random(5)
    old = chance.randbytes(300_000)
    new = old[1000:200_000] + chance.randbytes(500) + old[150_000:]
    frames: list[bytes] = []
    (chunk,) = patch.encode([new], len(new), lambda at, length: old[at : at + length], len(old), frames.append)
    (tmp_path / "old").write_bytes(old[chunk.offset : chunk.offset + chunk.window])
    (tmp_path / "new").write_bytes(new)
    (tmp_path / "ours.zst").write_bytes(frames[0])
    run = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    run(["zstd", "-d", "--patch-from=old", "ours.zst", "-o", "read"])
    assert (tmp_path / "read").read_bytes() == new
    run(["zstd", "-12", "--patch-from=old", "new", "-o", "theirs.zst"])
    theirs = (tmp_path / "theirs.zst").read_bytes()
    assert (
        patch.decode(
            theirs, msgspec.structs.replace(chunk, stored=len(theirs)), lambda at, length: old[at : at + length]
        )
        == new
    )
    assert len(frames[0]) < 1.1 * len(theirs)


@pytest.mark.parametrize("words", [("--base", "b"), ("--since-receipt", "r"), ("--delta-out", "d")])
def test_options_of_a_delta_belong_together(tmp_path: Path, sent: Sent, words: tuple[str, str]) -> None:
    record = next(path for path in (sent[0].home / "records-next").iterdir() if path.is_dir())
    plain = ("--record", record, "--rootpack", sent[0].rootpack, "--key", sent[0].world.keys / "kit-1.key.pem")
    done = forge.stella("kit", "build", *plain, "--sequence", "3", "--out", "kit", *words, cwd=tmp_path)
    assert (done.code, "--since-receipt" in done.err) == (2, True), done.err
    assert not (tmp_path / "kit").exists()
