"""Was the key good when it signed? Answered by what others vouch for, at sites, lockers and builders alike."""

import random
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from builder import attest, signer, signing, tile_log, timestamps, trust, trust_change
from builder.assemble import KitRequest, assemble
from builder.trust_publish import Office
from kit import layout
from kit.bytes import canonical, digest
from kit.errors import SignerRetired, SignerUnfit, StellaError, UsageError
from kit.ledger import checkpoint, proof
from kit.result import INTACT, REFUSED, VERIFIED, Result
from kit.trust import revocations
from kit.trust.keys import PemSigner
from kit.trust.revocations import LastGood
from locker import store
from locker.ingest import ingest
from tests.stamps import StampingAuthority, make_authority
from tests.world import NOW, Replay, World
from verifier import site as sites
from verifier.run import VERIFY, Plan
from verifier.run_dir import stamp

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
INTACTLY = Plan(VERIFY)
LOG, WITNESS = "log.example/stella", "witness.example/w"
LATE = NOW + 6 * DAY


class Builder:
    """A builder of its own: a RootPack that trusts an authority, a log and a witness, and a record to be stamped."""

    def __init__(self, world: World, stamping: StampingAuthority, place: Path) -> None:
        self.world, self.stamping, self.place = world, stamping, place
        self.pack_dir = Path(shutil.copytree(world.rootpack, place / "office-pack"))
        self.keys = Path(shutil.copytree(world.keys, place / "office-keys"))
        self.record = Path(shutil.copytree(world.record, place / "office-records" / world.record.name))
        self.old = world.kit_signer
        self.new, self.log, self.witness = (self._key(name, 40 + at) for at, name in enumerate(("kit-2", "log", "wit")))

    def _key(self, name: str, seed: int) -> PemSigner:
        algorithm = "ecdsa-p256-sha256" if name == "kit-2" else "ed25519"
        return signer.create(self.keys, name, algorithm, entropy=random.Random(seed).randbytes)

    def change(self, change: trust_change.Change, now: datetime) -> None:
        trust.carry_out(Office(self.pack_dir, self.keys, now), change)

    def trust_authority(self, chain: tuple[bytes, ...] | None = None) -> None:
        chain = chain or self.stamping.chain
        self.change(trust_change.stamping(chain, uri="https://tsa.example"), NOW - 20 * HOUR)

    def trust_log(self, *, witness: bool) -> None:
        self.change(trust_change.adding(self.log.public, usage="log", owner=LOG), NOW - 20 * HOUR)
        if witness:
            self.change(trust_change.adding(self.witness.public, usage="witness", owner=WITNESS), NOW - 19 * HOUR)

    def revoke(self, state: str, since: datetime, last_good: LastGood | None = None) -> None:
        change = trust_change.rotating([(self.old.public, self.new.public)], overlap=timedelta(days=90))
        self.change(change, NOW + 5 * DAY)
        names = [self.old.public.fingerprint]
        change = trust_change.revoking(names, state=state, since=stamp(since), reason="", last_good=last_good)
        self.change(change, NOW + 5 * DAY)

    def stamp(self, directory: Path, time: datetime, by: StampingAuthority | None = None) -> Path:
        """Put a stamp beside an envelope, whatever it is worth."""
        where = timestamps.place(directory, signing.own_pack(self.pack_dir))
        return self.put(directory, (by or self.stamping).stamp(where.signatures[0][1], time))

    def put(self, directory: Path, data: bytes, name: str = "a.tsr") -> Path:
        place = directory / layout.EVIDENCE_DIRECTORY / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        return place

    def attest(self, *, witnessed: datetime | None = None) -> None:
        pack = signing.own_pack(self.pack_dir)
        (done,) = attest.attest([self.record], pack, self.place / "office-log", self.log, now=stamp(NOW - 18 * HOUR))
        path = self.record / next(name for name in done.files if name.endswith(".tlog-proof"))
        if witnessed is not None:
            read = proof.parse_inclusion(path.read_bytes(), "x")
            seen = checkpoint.cosign(read.checkpoint, WITNESS, self.witness, time=int(witnessed.timestamp()))
            path.write_bytes(proof.encode_inclusion(proof.InclusionProof(read.index, read.hashes, seen, read.extra)))

    def alone(self) -> Path:
        """Return the record with the RootPack of now, as a scan directory that stands alone."""
        target = self.place / f"alone-{len(list(self.place.glob('alone-*')))}"
        shutil.copytree(self.record, target)
        shutil.copytree(self.pack_dir, target / layout.ROOTPACK_DIRECTORY)
        return target

    def kit(self, created: datetime, by: PemSigner | None = None) -> Path:
        target = self.place / f"office-kit-{len(list(self.place.glob('office-kit-*')))}"
        request = KitRequest([self.record], self.pack_dir, [], "default", 1, stamp(created), 24 * 30)
        assemble(request, [by or self.new], target)
        return target


@pytest.fixture
def office(world: World, stamping: StampingAuthority, tmp_path: Path) -> Builder:
    return Builder(world, stamping, tmp_path)


@pytest.fixture
def judge(office: Builder, replay: Replay) -> Callable[..., Result]:
    """Return what a fresh site says of the record as it lies there."""

    def say(now: datetime = LATE, site: sites.Site | None = None) -> Result:
        return replay(office.alone(), INTACTLY, scan_only=True, now=now, site=site)[0]

    return say


def said(result: Result) -> str:
    return result.verdict if result.verdict != REFUSED else result.reason


# Retired keys, and time stamps


def test_retired_signer_counts_where_an_authority_saw_the_signature_before(
    office: Builder, judge: Callable[..., Result], stamping: StampingAuthority
) -> None:
    office.trust_authority()
    office.revoke("retired", NOW + 3 * DAY)
    assert said(judge()) == "SignerRetired"
    office.stamp(office.record, NOW + DAY)
    result = judge()
    assert said(result) == INTACT
    (check,) = [each for each in result.checks if each.name == "manifest-envelope"]
    assert check.evidence is not None
    assert check.evidence["times"] == [
        {
            "by": stamping.fingerprint,
            "file": "a.tsr",
            "name": "https://tsa.example",
            "signer": office.old.public.fingerprint,
            "source": "RFC 3161 time stamp",
            "time": stamp(NOW + DAY),
        }
    ]
    assert any("retired since" in note and "a.tsr" in note and stamp(NOW + DAY) in note for note in result.notes)


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(-2, "SignerRetired"), (-1, INTACT), (3 - 1 / 86400, INTACT), (3, "SignerRetired"), (5, "SignerRetired")],
)
def test_stamp_counts_inside_the_window_and_before_the_retirement(
    office: Builder, judge: Callable[..., Result], days: float, verdict: str
) -> None:
    office.trust_authority()
    office.revoke("retired", NOW + 3 * DAY)
    office.stamp(office.record, NOW + days * DAY)
    assert said(judge()) == verdict


def test_stamp_keeps_a_signature_good_whose_key_left_its_window(office: Builder, judge: Callable[..., Result]) -> None:
    office.trust_authority()
    change = trust_change.rotating([(office.old.public, office.new.public)], overlap=timedelta(0))
    office.change(change, NOW + 3 * DAY)
    assert said(judge()) == "SignerRetired"
    office.stamp(office.record, NOW + DAY)
    result = judge()
    assert said(result) == INTACT
    assert any("out of its window" in note for note in result.notes)


def test_compromised_key_is_saved_by_no_date(office: Builder, judge: Callable[..., Result]) -> None:
    office.trust_authority()
    office.revoke("compromised", NOW + 3 * DAY)
    office.stamp(office.record, NOW - 20 * HOUR)
    assert said(judge()) == "SignerRevoked"


def test_stamp_that_does_not_hold_is_never_carried_in_silence(
    office: Builder, judge: Callable[..., Result], tmp_path: Path
) -> None:
    office.trust_authority()
    place = office.stamp(office.record, NOW)
    good = place.read_bytes()
    stranger = make_authority(tmp_path / "stranger", name="stranger")
    ((_, signature),) = timestamps.place(office.record, signing.own_pack(office.pack_dir)).signatures
    cases = {
        "TimestampInvalid": good.replace(b"20260601120000Z", b"20260530120000Z"),
        "TimestampForeign": office.stamping.stamp(b"another scan's signature", NOW),
        "TimestampUnknown": stranger.stamp(signature, NOW),
        "MalformedDocument": good[:-1],
        "LimitExceeded": bytes(40 << 10),
    }
    assert said(judge()) == INTACT
    for reason, data in cases.items():
        place.write_bytes(data)
        assert said(judge()) == reason


def test_stamp_nobody_can_judge_is_carried_and_said(office: Builder, judge: Callable[..., Result]) -> None:
    office.put(office.record, b"whatever")
    result = judge()
    assert said(result) == INTACT
    assert any("trusts no time-stamping authority" in note for note in result.notes)


def test_stamp_ahead_of_the_reference_time_does_not_count(office: Builder, judge: Callable[..., Result]) -> None:
    office.trust_authority()
    office.stamp(office.record, NOW + 2 * DAY)
    result = judge(now=NOW)
    assert said(result) == INTACT
    assert any("lies ahead" in note for note in result.notes)
    assert all("times" not in (check.evidence or {}) for check in result.checks)


def test_too_many_stamps_are_refused(office: Builder, judge: Callable[..., Result]) -> None:
    office.trust_authority()
    data = office.stamp(office.record, NOW).read_bytes()
    for number in range(16):
        office.put(office.record, data, f"{number}.tsr")
    assert said(judge()) == "LimitExceeded"


# Logs and witnesses


@pytest.mark.parametrize(("days", "verdict"), [(1, INTACT), (3, "SignerRetired"), (9, "LedgerQuorumMissing")])
def test_retired_signer_counts_where_a_witness_saw_the_entry_before(
    office: Builder, judge: Callable[..., Result], days: int, verdict: str
) -> None:
    office.trust_log(witness=True)
    office.attest(witnessed=NOW + days * DAY)
    office.revoke("retired", NOW + 3 * DAY)
    result = judge()
    if verdict == "LedgerQuorumMissing":
        assert said(result) == "SignerRetired"
        assert verdict in result.sentence
    else:
        assert said(result) == verdict


def test_log_without_a_time_saves_no_retired_key(office: Builder, judge: Callable[..., Result]) -> None:
    office.trust_log(witness=False)
    office.attest()
    assert said(judge()) == INTACT
    office.revoke("retired", NOW + 3 * DAY)
    assert said(judge()) == "SignerRetired"


@pytest.mark.parametrize(
    ("good", "verdict"),
    [
        (None, "SignerRevoked"),
        (LastGood(origin=LOG, index=0), INTACT),
        (LastGood(origin=LOG, index=7), INTACT),
        (LastGood(origin="other.example/log", index=7), "SignerRevoked"),
    ],
)
def test_compromised_signer_counts_up_to_the_last_good_entry_of_a_log(
    office: Builder, judge: Callable[..., Result], good: LastGood | None, verdict: str
) -> None:
    office.trust_log(witness=False)
    office.attest()
    office.revoke("compromised", NOW - 30 * HOUR, good)
    assert said(judge()) == verdict


def test_entry_after_the_last_good_one_does_not_count(office: Builder, judge: Callable[..., Result]) -> None:
    office.trust_log(witness=False)

    with tile_log.opened(office.place / "office-log", LOG, office.log) as log:
        log.append([b"an earlier entry"])
    office.attest()
    office.revoke("compromised", NOW - 30 * HOUR, LastGood(origin=LOG, index=0))
    assert said(judge()) == "SignerRevoked"


def test_revocation_is_never_softened_by_a_last_good_entry(office: Builder) -> None:
    office.revoke("compromised", NOW, LastGood(origin=LOG, index=5))
    names = [office.old.public.fingerprint]
    for good in (LastGood(origin=LOG, index=6), LastGood(origin="x", index=1)):
        change = trust_change.revoking(names, state="compromised", since=stamp(NOW), reason="", last_good=good)
        with pytest.raises(UsageError, match="softened"):
            office.change(change, LATE)
    office.change(trust_change.revoking(names, state="compromised", since=stamp(NOW), reason="later"), LATE)
    (entry,) = signing.own_pack(office.pack_dir).revoked
    assert entry.last_good is None


# Kits, builders, lockers


def test_new_kit_carries_an_old_record_whose_signer_retired_since(office: Builder, replay: Replay) -> None:
    office.trust_authority()
    office.revoke("retired", NOW + 3 * DAY)
    with pytest.raises(SignerUnfit):
        office.kit(LATE)
    office.stamp(office.record, NOW + DAY)
    result, _ = replay(office.kit(LATE), now=LATE)
    assert said(result) == VERIFIED


def test_stamp_over_a_kit_keeps_the_kit_good_and_is_a_file_that_may_be_there(
    office: Builder, replay: Replay, world: World, tmp_path: Path
) -> None:
    office.trust_authority()
    kit = office.kit(NOW, office.old)
    office.stamp(kit, NOW + HOUR)
    site = world.new_site(tmp_path / "stamped-site")
    result, _ = replay(kit, now=NOW + HOUR / 2, site=site)
    assert said(result) == VERIFIED
    # It is the newest time that anybody vouched for.
    floor = sites.load(site.path).state.time_floor
    assert floor is not None
    assert (floor.time, floor.source) == (stamp(NOW + HOUR), "RFC 3161 time stamp")
    office.put(kit, office.stamping.stamp(b"another kit's signature", NOW), "b.tsr")
    assert said(replay(kit, now=NOW + 2 * HOUR)[0]) == "TimestampForeign"
    (kit / "evidence" / "b.tsr").rename(kit / "evidence" / "b.txt")
    assert said(replay(kit, now=NOW + 2 * HOUR)[0]) == "FileUndeclared"


def test_stamp_over_a_kit_that_nobody_can_judge_is_undeclared(office: Builder, replay: Replay) -> None:
    kit = office.kit(NOW, office.old)
    office.put(kit, b"whatever")
    assert said(replay(kit)[0]) == "FileUndeclared"


def test_locker_accepts_what_a_site_accepts(office: Builder, world: World, tmp_path: Path) -> None:
    office.trust_authority()
    office.revoke("retired", NOW + 3 * DAY)
    entropy = random.Random(9).randbytes
    locker = store.init(tmp_path / "locker", world.root, digest.of_bytes(world.root), now=NOW, entropy=entropy)
    with pytest.raises(SignerRetired):
        ingest(locker, office.alone(), now=LATE)
    office.stamp(office.record, NOW + DAY)
    assert ingest(locker, office.alone(), now=LATE).status == "verified"


# Stricter words


def test_strictest_keeps_the_earlier_last_good_entry_or_none() -> None:
    def entry(**more: object) -> revocations.Revocation:
        members = {"fingerprint": f"sha256:{'ab' * 32}", "state": "compromised", "since": stamp(NOW)}
        return revocations.Revocation(**(members | more))  # type: ignore[arg-type]

    good, better = LastGood(origin=LOG, index=3), LastGood(origin=LOG, index=5)
    earlier = entry(last_good=good, since=stamp(NOW - DAY))
    cases = [
        (entry(last_good=good), entry(last_good=better), entry(last_good=good)),
        (entry(last_good=good), entry(), entry()),
        (entry(last_good=good), entry(last_good=LastGood(origin="x", index=1)), entry()),
        (entry(last_good=good), entry(state="retired"), entry(last_good=good)),
        (entry(last_good=good), earlier, earlier),
    ]
    for one, other, expected in cases:
        assert revocations.strictest([one], [other]) == (expected,)
        assert revocations.strictest([other], [one]) == (expected,)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "retired", "last_good": LastGood(origin=LOG, index=1)},
        {"last_good": LastGood(origin="", index=1)},
        {"last_good": LastGood(origin=LOG, index=-1)},
        {"last_good": LastGood(origin="x" * 161, index=1)},
    ],
)
def test_last_good_entry_that_says_nothing_sensible_is_refused(change: dict[str, object]) -> None:
    members = {"fingerprint": f"sha256:{'ab' * 32}", "state": "compromised", "since": stamp(NOW), **change}
    with pytest.raises(StellaError):
        revocations.make([revocations.Revocation(**members)])  # type: ignore[arg-type]


def test_lists_without_a_last_good_entry_keep_their_bytes() -> None:
    entry = revocations.Revocation(fingerprint=f"sha256:{'ab' * 32}", state="retired", since=stamp(NOW))
    assert canonical.encode_record(revocations.make([entry])) == (
        b'{"keys":[{"fingerprint":"sha256:' + b"ab" * 32 + b'","since":"2026-06-01T12:00:00Z","state":"retired"}],'
        b'"schemaVersion":"1.0"}'
    )
