"""Threats of docs/threat-model.md, end to end: the first fifteen are refused here, and accepted by a naive verifier.

The naive verifier is tests/attacks/naive.py. A test that it passes would prove nothing.
"""

import base64
import dataclasses
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec.structs import replace

from builder import feeds, signer, signing, trust, trust_change, trust_publish
from builder.attest import attest
from builder.trust_publish import Office
from kit import kitfile, layout
from kit.bytes import canonical, digest
from kit.ledger import checkpoint, proof
from kit.result import INTACT, REFUSED, VERIFIED, Result
from kit.trust import dsse, statement
from kit.trust.keys import PemSigner
from kit.trust.rootpack import Versions
from tests.attacks import forge
from tests.attacks.naive import Naive, believes_log, opens_sockets
from tests.world import FEED, INPUTS, NOW, STRICTLY, Replay, World
from verifier import inspect
from verifier import site as sites
from verifier.run import VERIFY, Plan
from verifier.run_dir import stamp

DAY = timedelta(days=1)
ORIGIN = "log.example/stella"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Envelope = dict[str, object]
Signature = dict[str, str]


@pytest.fixture
def site(world: World, tmp_path: Path) -> sites.Site:
    return world.new_site(tmp_path / "site")


@pytest.fixture
def kit(world: World, tmp_path: Path) -> Path:
    return world.copy_kit(tmp_path / "kit")


def outcome(run: tuple[Result, Path]) -> tuple[str, str]:
    return run[0].verdict, run[0].reason


def looked(kit: Path, site: sites.Site, now: datetime = NOW) -> str | None:
    """Return the reason that `stella look` gives for what a run would refuse."""
    trust_of_kit: dict[str, str] = inspect.look(kit, site, now, place=site.path)["trust"]  # type: ignore[assignment]
    return trust_of_kit.get("reason")


def change(path: Path, edit: Callable[[Envelope], object]) -> None:
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_bytes(canonical.encode(document))


def carry(kit: Path, rootpack: Path) -> None:
    """Put another RootPack into a kit, in both of its places."""
    for place in (kit / layout.ROOTPACK_DIRECTORY, kit / forge.SCAN / layout.ROOTPACK_DIRECTORY):
        shutil.rmtree(place)
        shutil.copytree(rootpack, place)


def refresh_sums(kit: Path) -> None:
    """Write SHA256SUMS anew over what lies there: anybody can."""
    paths = sorted(path for path in kit.rglob("*") if path.is_file() and path.name != layout.SUMS_FILE)
    lines = [f"{forge.digest_of(path).removeprefix('sha256:')}  {path.relative_to(kit)}\n" for path in paths]
    (kit / layout.SUMS_FILE).write_text("".join(lines))


# 1 to 3: envelopes


def test_01_swapped_payload_type(kit: Path, replay: Replay) -> None:
    change(kit / layout.KIT_ENVELOPE, lambda it: it.update(payloadType="application/vnd.example.other+json"))
    refresh_sums(kit)
    assert outcome(replay(kit)) == (REFUSED, "SignatureInvalid")
    assert Naive().accepts(kit, NOW)


@pytest.fixture
def pair(world: World, kit: Path, tmp_path: Path) -> tuple[Path, PemSigner, PemSigner]:
    """Return a kit under a RootPack that demands two kit keys, signed by the first alone; and both keys."""
    rootpack = Path(shutil.copytree(world.rootpack, tmp_path / "rootpack"))
    second = signer.create(tmp_path / "keys", "kit-2", "ecdsa-p256-sha256", entropy=random.Random(22).randbytes)
    then = NOW - timedelta(hours=6)
    trust.add_key(rootpack, world.keys, second.public, usage="kit", owner="second", now=then, threshold=2)
    carry(kit, rootpack)
    return kit, world.kit_signer, second


def sign_all(kit: Path, signers: list[PemSigner], trick: Callable[[list[Signature]], list[Signature]]) -> None:
    """Sign manifest and kit, and play a trick on the signatures of each."""

    def play(path: Path) -> None:
        change(path, lambda it: it.update(signatures=trick(it["signatures"])))  # type: ignore[arg-type]

    scan = kit / forge.SCAN
    forge.sign_manifest(scan, json.loads((scan / layout.MANIFEST_FILE).read_bytes()), signers)
    play(scan / layout.MANIFEST_ENVELOPE)
    forge.seal(kit, signers)
    play(kit / layout.KIT_ENVELOPE)
    refresh_sums(kit)


def malleated(signature: Signature) -> Signature:
    """Return the other signature that fits whatever an ECDSA signature fits; no key is needed to make it."""
    r, s = decode_dss_signature(base64.b64decode(signature["sig"]))
    return signature | {"sig": base64.b64encode(encode_dss_signature(r, P256_ORDER - s)).decode()}


TWICE: dict[str, Callable[[list[Signature]], list[Signature]]] = {
    "the same signature": lambda found: [found[0], found[0]],
    "the same without a key id": lambda found: [found[0], {"sig": found[0]["sig"]}],
    "its malleated twin": lambda found: [found[0], malleated(found[0])],
}


@pytest.mark.parametrize("trick", TWICE)
def test_02_one_signer_twice_is_no_threshold(
    pair: tuple[Path, PemSigner, PemSigner], replay: Replay, trick: str
) -> None:
    kit, first, second = pair
    sign_all(kit, [first], TWICE[trick])
    assert outcome(replay(kit)) == (REFUSED, "SignatureInvalid")
    assert Naive().accepts(kit, NOW)
    sign_all(kit, [first, second], lambda found: found)
    assert outcome(replay(kit)) == (VERIFIED, "Ok")


def test_03_key_id_of_another_signer(pair: tuple[Path, PemSigner, PemSigner], replay: Replay) -> None:
    kit, first, second = pair
    sign_all(kit, [first], lambda found: [found[0], found[0] | {"keyid": second.public.fingerprint}])
    assert outcome(replay(kit)) == (REFUSED, "SignatureInvalid")
    assert Naive().accepts(kit, NOW)


# 4 to 8: what a site remembers


def renewed(world: World, place: Path, now: datetime) -> Path:
    """Return the RootPack after one more publication."""
    rootpack = Path(shutil.copytree(world.rootpack, place))
    trust.refresh(Office(rootpack, world.keys, now))
    return rootpack


def test_04_older_rootpack_in_a_newer_kit(world: World, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    new = renewed(world, tmp_path / "rootpack", NOW)
    assert outcome(replay(world.build_kit(tmp_path / "two", root_pack=new, sequence=2), site=site))[0] == VERIFIED
    kit = world.build_kit(tmp_path / "three", sequence=3)
    assert outcome(replay(kit, site=site)) == (REFUSED, "OlderThanAccepted")
    assert looked(kit, site) == "OlderThanAccepted"
    assert Naive().accepts(kit, NOW)


def test_05_kit_older_than_the_last(world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    naive, newer = Naive(), world.build_kit(tmp_path / "two", sequence=2)
    assert outcome(replay(newer, site=site)) == (VERIFIED, "Ok")
    assert naive.accepts(newer, NOW)
    assert outcome(replay(kit, site=site)) == (REFUSED, "OlderThanAccepted")
    assert looked(kit, site) == "OlderThanAccepted"
    assert naive.accepts(kit, NOW)


def test_06_rootpack_of_the_kit_is_no_first_trust(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = forge.stranger(tmp_path / "stranger").make_kit(world, tmp_path / "strangers-kit")
    assert outcome(replay(kit)) == (REFUSED, "TrustRootRefused")
    assert Naive().accepts(kit, NOW)


def test_07_clock_set_back_revives_nothing(kit: Path, replay: Replay, site: sites.Site) -> None:
    naive = Naive()
    assert outcome(replay(kit, site=site, now=NOW + 130 * DAY)) == (REFUSED, "TrustExpired")
    assert not naive.accepts(kit, NOW + 130 * DAY)
    assert outcome(replay(kit, site=site, now=NOW)) == (REFUSED, "TrustExpired")
    assert naive.accepts(kit, NOW)


@pytest.mark.parametrize("what", ["kit", "rootpack"])
def test_08_time_from_the_future_does_not_brick_the_site(
    world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path, what: str
) -> None:
    # Signed by trusted keys: a builder whose clock went wild, or a thief of the online key.
    naive, far = Naive(), NOW + 150 * DAY
    if what == "kit":
        ahead = forge.hostile_kit(world, tmp_path / "ahead", createdAt=stamp(far), sequence=2)
    else:
        ahead = world.build_kit(tmp_path / "ahead", root_pack=renewed(world, tmp_path / "pack", far), sequence=2)
    reason = {"kit": "KitFromFuture", "rootpack": "TrustFromFuture"}[what]
    assert outcome(replay(ahead, site=site)) == (REFUSED, reason)
    assert looked(ahead, site) == reason
    assert naive.accepts(ahead, NOW)
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    assert not naive.accepts(kit, NOW)


# 9 to 11: logs


@pytest.fixture
def logged(world: World, tmp_path: Path) -> tuple[Path, Path, PemSigner]:
    """Return a RootPack that trusts a log, the record whose entry is the second of two, and the log's key."""
    rootpack = Path(shutil.copytree(world.rootpack, tmp_path / "rootpack"))
    log_key = signer.create(tmp_path / "keys", "log-1", "ed25519", entropy=random.Random(7).randbytes)
    trust.add_key(rootpack, world.keys, log_key.public, usage="log", owner=ORIGIN, now=NOW - timedelta(hours=12))
    own = Path(shutil.copytree(world.record, tmp_path / "records" / world.record.name))
    other = Path(shutil.copytree(world.record, tmp_path / "other" / world.record.name))
    # The same scan signed by another key is another envelope, and so another entry.
    second = signer.create(tmp_path / "keys", "kit-2", "ecdsa-p256-sha256", entropy=random.Random(2).randbytes)
    trust.add_key(rootpack, world.keys, second.public, usage="kit", owner="second", now=NOW - timedelta(hours=6))
    forge.sign_manifest(other, json.loads((other / layout.MANIFEST_FILE).read_bytes()), [second])
    attest([other, own], signing.own_pack(rootpack), tmp_path / "log", log_key, now=stamp(NOW))
    return rootpack, own, log_key


def proof_of(record: Path) -> Path:
    return next((record / layout.EVIDENCE_DIRECTORY).glob("*.tlog-proof"))


@pytest.fixture
def judge_log(
    world: World, replay: Replay, tmp_path: Path, logged: tuple[Path, Path, PemSigner], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, object]], tuple[str, str]]:
    """Return what changes the proof, builds a kit with it and verifies that; and asks the naive reader as well."""
    rootpack, own, log_key = logged

    def judge(changes: dict[str, object]) -> tuple[str, str]:
        place = proof_of(own)
        spoilt = replace(proof.parse_inclusion(place.read_bytes(), "proof"), **changes)  # type: ignore[arg-type]
        place.write_bytes(proof.encode_inclusion(spoilt))
        assert believes_log(place.read_bytes(), [log_key.public])
        for stale in (own / layout.EVIDENCE_DIRECTORY).glob("*.tlog-consistency"):
            stale.unlink()
        monkeypatch.setattr("builder.assemble._check_proofs", lambda *_: None)  # a builder that looks away
        kit = world.build_kit(tmp_path / "logged-kit", records=[own], root_pack=rootpack)
        return outcome(replay(kit, Plan(VERIFY), ledger=True))

    return judge


def test_09_log_proof_as_it_stands_holds(judge_log: Callable[[dict[str, object]], tuple[str, str]]) -> None:
    assert judge_log({}) == (INTACT, "Ok")


@pytest.mark.parametrize("index", [3, 5, 2**40 + 1])
def test_09_index_outside_of_the_tree(judge_log: Callable[[dict[str, object]], tuple[str, str]], index: int) -> None:
    assert judge_log({"index": index}) == (REFUSED, "LedgerProofWrong")


def test_09_proof_for_another_tree_size(
    judge_log: Callable[[dict[str, object]], tuple[str, str]], logged: tuple[Path, Path, PemSigner]
) -> None:
    # The log itself signs the old root under a larger size; the path to the root is the same.
    _, own, log_key = logged
    tree = checkpoint.parse(
        proof.parse_inclusion(proof_of(own).read_bytes(), "proof").checkpoint.split(b"\n\n")[0] + b"\n", "checkpoint"
    )
    larger = checkpoint.sign(replace(tree, size=4), log_key)
    assert judge_log({"checkpoint": larger}) == (REFUSED, "LedgerProofWrong")


def test_10_checkpoint_of_another_log_by_the_same_key(
    judge_log: Callable[[dict[str, object]], tuple[str, str]], logged: tuple[Path, Path, PemSigner]
) -> None:
    _, own, log_key = logged
    text = proof.parse_inclusion(proof_of(own).read_bytes(), "proof").checkpoint.split(b"\n\n")[0] + b"\n"
    other = replace(checkpoint.parse(text, "checkpoint"), origin="log.example/other")
    assert judge_log({"checkpoint": checkpoint.sign(other, log_key)}) == (REFUSED, "LedgerUnknown")


def test_11_entry_of_another_envelope(
    judge_log: Callable[[dict[str, object]], tuple[str, str]], logged: tuple[Path, Path, PemSigner], tmp_path: Path
) -> None:
    _, own, _ = logged
    foreign = proof.parse_inclusion(proof_of(tmp_path / "other" / own.name).read_bytes(), "proof")
    changes = {"index": foreign.index, "hashes": foreign.hashes, "extra": foreign.extra}
    assert judge_log(changes) == (REFUSED, "LedgerEntryForeign")


# 12 to 15


def test_12_revoked_key_signs_with_an_old_date(world: World, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    rootpack = Path(shutil.copytree(world.rootpack, tmp_path / "rootpack"))
    keys = Path(shutil.copytree(world.keys, tmp_path / "keys"))
    stolen = world.kit_signer
    new = signer.create(keys, "kit-2", "ecdsa-p256-sha256", entropy=random.Random(2).randbytes)
    office = Office(rootpack, keys, NOW + 5 * DAY)
    trust.carry_out(office, trust_change.rotating([(stolen.public, new.public)], overlap=timedelta(0)))
    revoking = trust_change.revoking(
        [stolen.public.fingerprint], state="compromised", since=stamp(NOW + 2 * DAY), reason="stolen"
    )
    trust.carry_out(office, revoking)
    kit = world.copy_kit(tmp_path / "kit")
    carry(kit, rootpack)
    forge.seal(kit, [stolen], createdAt=stamp(NOW + DAY), sequence=2)
    assert outcome(replay(kit, site=site, now=NOW + 6 * DAY)) == (REFUSED, "SignerRevoked")
    assert looked(kit, site, NOW + 6 * DAY) == "SignerRevoked"
    assert Naive().accepts(kit, NOW + 6 * DAY)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (layout.KIT_FILE, b'"sequence":', b'"sequence":9,"sequence":'),
        (layout.KIT_FILE, b'"sequence":', b'"se\\u0071uence":9,"sequence":'),
        (layout.KIT_ENVELOPE, b'"payload":', b'"payload":"e30=","payload":'),
        (layout.KIT_ENVELOPE, b'"signatures":', b'"signatures":[],"signatures":'),
    ],
    ids=["list", "list, escaped", "payload", "signatures"],
)
def test_13_member_twice(world: World, kit: Path, replay: Replay, path: str, old: bytes, new: bytes) -> None:
    data = (kit / path).read_bytes().replace(old, new, 1)
    (kit / path).write_bytes(data)
    if path == layout.KIT_FILE:
        # A trusted key signs exactly these bytes: one reader of them sees another number than the other.
        kept = kitfile.parse((world.kit / path).read_bytes())
        claim = statement.make({path: digest.of_bytes(data)}, kitfile.PREDICATE_TYPE, kitfile.predicate(kept))
        (kit / layout.KIT_ENVELOPE).write_bytes(dsse.sign(claim, dsse.IN_TOTO, [world.kit_signer]))
    refresh_sums(kit)
    assert outcome(replay(kit)) == (REFUSED, "DuplicateMember")
    assert Naive().accepts(kit, NOW)


def test_14_feed_of_another_kit(world: World, kit: Path, replay: Replay, tmp_path: Path) -> None:
    # Genuine signatures over list and manifest; the bundle beside them holds another, equally genuine feed.
    later = feeds.add(tmp_path / "feeds", FEED, INPUTS / "advisories-later", snapshot_time="2026-05-29T00:00:00Z")
    members = {f"feeds/{FEED}/{path.name}": path.read_bytes() for path in later.directory.iterdir()}
    content = {path: data for path, data in forge.members_of(world).items() if not path.startswith("feeds/")}
    forge.pack(kit / forge.SCAN / layout.INPUT_BUNDLE, content | members)
    refresh_sums(kit)
    result, _ = replay(kit, STRICTLY)
    assert (result.verdict, result.exit_code) == (REFUSED, 30)
    assert Naive().accepts(kit, NOW)


PROBE = """
import sys
from pathlib import Path
from tests.attacks.naive import opens_sockets
before = opens_sockets()
if sys.argv[1] == "guarded":
    from verifier import guard
    guard.enforce([Path(sys.argv[2])])
print(before, opens_sockets())
"""


@pytest.mark.parametrize(("guarded", "said"), [("guarded", "True False"), ("naive", "True True")])
def test_15_no_socket_once_the_first_byte_is_read(tmp_path: Path, guarded: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, guarded, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == said, done.stderr


def test_16_version_far_ahead_by_a_stolen_online_key(
    world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    rootpack = Path(shutil.copytree(world.rootpack, tmp_path / "rootpack"))
    stolen = signer.load(world.keys / "online.key.pem")
    targets = (rootpack / "metadata" / "1.targets.json").read_bytes()
    vast = Versions(root=1, timestamp=2**40, snapshot=2**40, targets=1)
    by = {"snapshot": [stolen], "timestamp": [stolen]}
    ahead = trust_publish.compose_online(vast, (1, targets), by, NOW, trust_publish.LIFETIMES)
    trust_publish.write_files(rootpack, ahead)
    (rootpack / "metadata" / "1.snapshot.json").unlink()
    # A genuine scan with this RootPack, on a medium of its own: the thief needs no kit key for that.
    lone = kit / forge.SCAN
    shutil.rmtree(lone / layout.ROOTPACK_DIRECTORY)
    shutil.copytree(rootpack, lone / layout.ROOTPACK_DIRECTORY)
    assert outcome(replay(lone, site=site, scan_only=True)) == (VERIFIED, "Ok")
    later = world.build_kit(tmp_path / "two", root_pack=renewed(world, tmp_path / "renewed", NOW), sequence=2)
    assert outcome(replay(later, site=site)) == (REFUSED, "OlderThanAccepted")

    mended, keys = (Path(shutil.copytree(each, tmp_path / f"new-{each.name}")) for each in (world.rootpack, world.keys))
    new = signer.create(keys, "online-2", "ed25519", entropy=random.Random(3).randbytes)
    rotation = trust_change.rotating([(stolen.public, new.public)], overlap=timedelta(0))
    trust.carry_out(Office(mended, keys, NOW), rotation)
    cure = world.build_kit(tmp_path / "three", root_pack=mended, sequence=3)
    assert outcome(replay(cure, site=site)) == (VERIFIED, "Ok")
    assert outcome(replay(lone, site=site, scan_only=True)) == (REFUSED, "OlderThanAccepted")


def test_18_online_key_freezes_no_longer_than_the_keepers_signed_for(
    world: World, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    # Its thief says that the state of today is current until the end of time, and when that was said he may leave out.
    rootpack = Path(shutil.copytree(world.rootpack, tmp_path / "rootpack"))
    stolen = signer.load(world.keys / "online.key.pem")
    targets = (rootpack / "metadata" / "1.targets.json").read_bytes()
    endless = dataclasses.replace(trust_publish.LIFETIMES, online=datetime(9999, 12, 31, tzinfo=UTC) - NOW)
    by = {"snapshot": [stolen], "timestamp": [stolen]}
    before = Versions(root=1, timestamp=1, snapshot=1, targets=1)
    trust_publish.write_files(rootpack, trust_publish.compose_online(before, (1, targets), by, NOW, endless))
    (rootpack / "metadata" / "1.snapshot.json").unlink()
    kit = world.build_kit(tmp_path / "frozen", root_pack=rootpack, staleness_window_hours=24 * 3650)
    assert outcome(replay(kit, site=site, now=NOW + 190 * DAY)) == (VERIFIED, "Ok")
    assert outcome(replay(kit, site=site, now=NOW + 200 * DAY)) == (REFUSED, "TrustExpired")


def test_naive_verifier_refuses_what_is_plainly_wrong(kit: Path) -> None:
    assert Naive().accepts(kit, NOW)
    assert opens_sockets()
    with (kit / "README.txt").open("ab") as file:
        file.write(b"more")
    assert not Naive().accepts(kit, NOW)
