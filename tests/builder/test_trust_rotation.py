"""The life of a RootPack over years and keepers: rotation, dual approval by files, and what is refused on the way."""

import base64
import itertools
import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tuf.api.metadata import Metadata

from builder import files, signer, trust, trust_change, trust_draft, trust_publish, trust_view
from builder.trust_change import Change
from builder.trust_draft import Draft
from builder.trust_publish import Office
from kit.bytes import canonical
from kit.errors import (
    AlreadyAccepted,
    DraftsDiffer,
    FileUndeclared,
    MalformedDocument,
    OlderThanAccepted,
    SignaturesMissing,
    StellaError,
    TrustExpired,
    TrustRootRefused,
    UsageError,
)
from kit.trust import revocations, rootpack
from kit.trust.keys import PublicKey
from kit.trust.rootpack import RootPackFiles, TrustedPack

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
QUARTER = timedelta(days=90)


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


@dataclass
class House:
    """A RootPack, the keepers' key directories, and the builder's with the online key."""

    home: Path

    @property
    def pack(self) -> Path:
        return self.home / "rootpack"

    def keys(self, who: str) -> Path:
        return self.home / who

    def public(self, name: str) -> PublicKey:
        return signer.load_public(next(self.home.rglob(f"{name}.pub.pem")))

    def make(self, who: str, name: str, algorithm: str = "ed25519") -> PublicKey:
        return signer.create(self.keys(who), name, algorithm, entropy=entropy(hash_of(name))).public

    def office(self, who: str, now: datetime = NOW) -> Office:
        return Office(self.pack, self.keys(who), now)

    def files(self) -> rootpack.RootPackFiles:
        return trust_view.current_files(self.pack)

    def propose(self, who: str, change: Change, now: datetime = NOW) -> Draft:
        return trust.propose(self.office(who, now), change)[0]

    def sign(self, who: str, draft: Draft) -> Draft:
        return trust_draft.sign(trust_draft.open_on(draft, self.files()), self.keys(who), None)[0]

    def load(self, at: datetime, pin: bytes | None = None, floors: rootpack.Versions | None = None):
        found = self.files()
        pinned = pin or found["metadata/1.root.json"]
        return rootpack.load(found, pinned_root=pinned, reference_time=at, floors=floors)


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode())


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a RootPack of 2 of 3, each keeper with one root and one targets key, the builder with the rest."""
    made = House(tmp_path)
    trust.init(made.pack, made.keys("builder"), now=NOW, owner="release", entropy=entropy(1))
    for number, who in enumerate(("ann", "bob", "eve"), start=1):
        made.keys(who).mkdir()
        for role in ("root", "targets"):
            for path in made.keys("builder").glob(f"{role}-{number}.*"):
                shutil.move(path, made.keys(who) / path.name)
    return made


def swap(house: House, name: str = "root-3", new: str = "root-4", who: str = "eve") -> Change:
    fresh = house.make(who, new)
    return trust_change.rotating([(house.public(name), fresh)], overlap=timedelta(0))


# Dual approval


def test_two_keepers_sign_on_two_machines_and_a_third_publishes(house: House) -> None:
    pin = house.files()["metadata/1.root.json"]
    draft = house.propose("ann", swap(house))
    with pytest.raises(SignaturesMissing):
        trust.publish(house.office("builder"), [draft])
    assert house.load(NOW).root_version == 1
    both = house.sign("bob", trust_draft.parse(canonical.encode_record(draft)))
    trust.publish(house.office("builder"), [both])
    pack = house.load(NOW, pin)
    assert (pack.root_version, pack.versions.targets) == (2, 2)


def test_copies_signed_side_by_side_are_put_together(house: House) -> None:
    change = swap(house)
    unsigned = house.propose("builder", change)
    copies = [house.sign(who, unsigned) for who in ("ann", "bob")]
    for copy in copies:
        with pytest.raises(SignaturesMissing) as refusal:
            trust.publish(house.office("builder"), [copy])
        assert (refusal.value.details["expected"], refusal.value.details["found"]) == (2, 1)
    trust.publish(house.office("builder"), copies)
    assert house.load(NOW).root_version == 2


def test_signing_twice_or_publishing_a_copy_twice_counts_once(house: House) -> None:
    draft = house.propose("ann", swap(house))
    again = house.sign("ann", draft)
    assert again == draft
    with pytest.raises(SignaturesMissing):
        trust.publish(house.office("builder"), [draft, again, draft])


def test_threshold_is_that_of_the_role_that_lacks_it(house: House) -> None:
    # A new root needs the old keepers and the new ones; all three root keys change here.
    pairs = [
        (house.public(f"root-{n}"), house.make(who, f"new-{n}")) for n, who in ((1, "ann"), (2, "bob"), (3, "eve"))
    ]
    office = house.office("ann")
    draft = trust.propose(office, trust_change.rotating(pairs, overlap=timedelta(0)))[0]
    for who in ("ann", "bob"):
        for path in house.keys(who).glob("root-*"):
            path.unlink()
    only_new = trust_draft.sign(
        trust_draft.open_on(
            house.propose("builder", trust_change.rotating(pairs, overlap=timedelta(0))), house.files()
        ),
        house.keys("ann"),
        None,
    )[0]
    only_new = house.sign("bob", only_new)
    with pytest.raises(SignaturesMissing) as refusal:
        trust.publish(house.office("builder"), [only_new])
    assert refusal.value.details["role"] == "root of root 1"
    assert trust_draft.open_on(draft, house.files()).demands[0].is_met is False


def test_site_refuses_a_next_root_that_only_new_keys_signed(house: House) -> None:
    pairs = [(house.public(f"root-{n}"), house.make("mallory", f"new-{n}")) for n in (1, 2, 3)]
    draft = house.sign("mallory", house.propose("builder", trust_change.rotating(pairs, overlap=timedelta(0))))
    assert draft.root is not None
    forged = dict(house.files()) | {"metadata/2.root.json": draft.root.encode()}
    with pytest.raises(TrustRootRefused) as refusal:
        rootpack.load(forged, pinned_root=forged["metadata/1.root.json"], reference_time=NOW)
    assert refusal.value.details == {
        "path": "metadata/2.root.json",
        "detail": "too few distinct keys signed",
        "expected": 2,
        "found": 0,
    }


def test_site_refuses_a_half_signed_root_laid_into_the_directory(house: House) -> None:
    draft = house.propose("ann", swap(house))
    assert draft.root is not None
    forged = dict(house.files()) | {"metadata/2.root.json": draft.root.encode()}
    with pytest.raises(TrustRootRefused) as refusal:
        rootpack.load(forged, pinned_root=forged["metadata/1.root.json"], reference_time=NOW)
    assert (refusal.value.details["expected"], refusal.value.details["found"]) == (2, 1)


def test_garbage_signatures_neither_count_nor_reach_the_pack(house: House) -> None:
    draft = house.propose("ann", swap(house))
    document = json.loads(str(draft.root))
    document["signatures"] += [{"keyid": "ab" * 32, "sig": "00"}]
    bob = next(
        key for key in document["signed"]["roles"]["root"]["keyids"] if key != document["signatures"][0]["keyid"]
    )
    document["signatures"] += [{"keyid": bob, "sig": "11" * 64}]
    spoiled = trust_draft.parse(
        canonical.encode(json.loads(canonical.encode_record(draft)) | {"root": canonical.encode(document).decode()})
    )
    with pytest.raises(SignaturesMissing):
        trust.publish(house.office("builder"), [spoiled])
    trust.publish(house.office("builder"), [house.sign("bob", spoiled)])
    published = json.loads(house.files()["metadata/2.root.json"])
    assert len(published["signatures"]) == 2


# Drafts that are refused


def test_draft_of_another_publication_is_refused(house: House) -> None:
    draft = house.sign("bob", house.propose("ann", swap(house)))
    trust.publish(house.office("builder"), [draft])
    with pytest.raises(OlderThanAccepted):
        trust.publish(house.office("builder"), [draft])
    with pytest.raises(OlderThanAccepted):
        house.sign("eve", draft)


def test_different_drafts_are_not_put_together(house: House) -> None:
    one = house.propose("ann", swap(house))
    other = house.propose("bob", trust_change.rotating([], overlap=timedelta(0)))
    with pytest.raises(DraftsDiffer):
        trust.publish(house.office("builder"), [one, other])


def test_contents_that_the_keepers_did_not_sign_are_refused(house: House) -> None:
    draft = house.sign("bob", house.propose("ann", swap(house)))
    document = json.loads(canonical.encode_record(draft))
    for contents, refusal in (
        ({**document["contents"], "keyring.json": base64.b64encode(b"{}").decode()}, TrustRootRefused),
        ({**document["contents"], "pins.json": "AA=="}, FileUndeclared),
        ({}, TrustRootRefused),
        ({"keyring.json": "*"}, MalformedDocument),
    ):
        changed = trust_draft.parse(canonical.encode(document | {"contents": contents}))
        with pytest.raises(refusal):
            trust.publish(house.office("builder"), [changed])
    assert house.load(NOW).root_version == 1


@pytest.mark.parametrize("version", [1, 3])
def test_skipped_or_repeated_root_version_is_refused(house: House, version: int) -> None:
    draft = house.propose("ann", swap(house))
    document = json.loads(str(draft.root))
    document["signed"]["version"] = version
    changed = json.loads(canonical.encode_record(draft)) | {"root": canonical.encode(document).decode()}
    with pytest.raises(OlderThanAccepted):
        trust_draft.open_on(trust_draft.parse(canonical.encode(changed)), house.files())


def test_site_refuses_a_chain_with_a_gap(house: House) -> None:
    for number in (2, 3):
        house_keys(house)
        change = trust_change.rotating([], overlap=timedelta(0))
        trust.carry_out(house.office("all", NOW + number * QUARTER), change)
    found = dict(house.files())
    pin = found["metadata/1.root.json"]
    del found["metadata/2.root.json"]
    with pytest.raises(TrustRootRefused) as refusal:
        rootpack.load(found, pinned_root=pin, reference_time=NOW + 3 * QUARTER)
    assert refusal.value.details == {"path": "metadata/2.root.json", "detail": "is missing"}


def test_replayed_old_publication_is_refused_once_a_newer_is_known(house: House) -> None:
    old = house.files()
    house_keys(house)
    trust.refresh(house.office("all", NOW + QUARTER))
    floors = house.load(NOW + QUARTER).versions
    with pytest.raises(OlderThanAccepted):
        rootpack.load(old, pinned_root=old["metadata/1.root.json"], reference_time=NOW, floors=floors)


def house_keys(house: House) -> None:
    """Bring all private keys together, as in a ceremony in one room."""
    house.keys("all").mkdir(exist_ok=True)
    for who in ("ann", "bob", "eve", "builder"):
        for path in house.keys(who).glob("*.pem"):
            files.write_atomic(house.keys("all") / path.name, path.read_bytes(), 0o600)


# Rotation in one command


def test_everything_is_rotated_at_once_and_the_kit_key_overlaps(house: House) -> None:
    house_keys(house)
    names = ["root-1", "root-2", "root-3", "targets-1", "targets-2", "targets-3", "online", "kit-1"]
    old_kit = house.public("kit-1")
    pairs = [(house.public(name), house.make("all", f"next-{name}", house.public(name).algorithm)) for name in names]
    pin = house.files()["metadata/1.root.json"]
    later = NOW + QUARTER
    trust.carry_out(house.office("all", later), trust_change.rotating(pairs, overlap=timedelta(days=30)))
    pack = house.load(later, pin)
    new_kit = dict(pairs)[old_kit]
    moments = {days: set(pack.keys("kit", trust_view.text(later + timedelta(days=days)))) for days in (-1, 0, 30, 31)}
    assert moments == {-1: {old_kit}, 0: {old_kit, new_kit}, 30: {old_kit, new_kit}, 31: {new_kit}}
    view = trust_view.show(house.pack, now=later)
    shown = {key.fingerprint for role in view.roles for key in role.keys}
    assert shown == {new.fingerprint for old, new in pairs if old != old_kit}


def test_years_of_rotations_walk_from_the_first_pin(house: House) -> None:
    house_keys(house)
    pin = house.files()["metadata/1.root.json"]
    previous = "root-1"
    for number in range(2, 12):
        fresh = house.make("all", f"gen-{number}")
        change = trust_change.rotating([(house.public(previous), fresh)], overlap=timedelta(0))
        trust.carry_out(house.office("all", NOW + number * QUARTER), change)
        previous = f"gen-{number}"
    assert house.load(NOW + 11 * QUARTER, pin).root_version == 11
    # python-tuf agrees with every link.
    roots = [Metadata.from_bytes(house.files()[f"metadata/{number}.root.json"]) for number in range(1, 12)]
    for before, after in itertools.pairwise(roots):
        before.signed.verify_delegate("root", after.signed_bytes, after.signatures)
        after.signed.verify_delegate("root", after.signed_bytes, after.signatures)


def test_lost_root_key_is_replaced_by_the_others(house: House) -> None:
    # The private half is gone; its public half is kept beside the RootPack, as docs/operator.md says.
    lost = house.public("root-3")
    shutil.rmtree(house.keys("eve"))
    change = trust_change.rotating([(lost, house.make("eve", "root-4"))], overlap=timedelta(0))
    draft = house.propose("ann", change)
    trust.publish(house.office("builder"), [house.sign("bob", draft)])
    assert house.load(NOW).root_version == 2


@pytest.mark.parametrize(
    ("pair", "refusal"),
    [
        (("other", "root-4"), UsageError),
        (("root-1", "root-2"), AlreadyAccepted),
        (("root-1", "kit-1"), AlreadyAccepted),
    ],
)
def test_impossible_rotation_is_refused(house: House, pair: tuple[str, str], refusal: type[StellaError]) -> None:
    for name in ("other", "root-4"):
        house.make("spare", name)
    keys = [(house.public(pair[0]), house.public(pair[1]))]
    with pytest.raises(refusal):
        house.propose("ann", trust_change.rotating(keys, overlap=timedelta(0)))


def test_draft_that_lay_too_long_is_not_published(house: House) -> None:
    draft = house.sign("bob", house.propose("ann", swap(house)))
    late = NOW + timedelta(days=201)
    assert trust_draft.describe(trust_draft.open_on(draft, house.files()), late).notes
    with pytest.raises(TrustExpired):
        trust.publish(house.office("builder", late), [draft])


class CutOff(Exception):
    """The machine stops."""


@pytest.mark.parametrize("writes", range(6))
def test_interrupted_rotation_of_the_online_key_leaves_a_whole_pack(
    house: House, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    house_keys(house)
    before = house.files()
    pair = (house.public("online"), house.make("all", "online-2"))
    change = trust_change.rotating([pair], overlap=timedelta(0))
    left = [writes]
    real = files.write_atomic

    def write_then_stop(path: Path, data: bytes, mode: int = 0o644) -> None:
        if not left[0]:
            raise CutOff
        left[0] -= 1
        real(path, data, mode)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomic", write_then_stop)
        with suppress(CutOff):
            trust.carry_out(house.office("all"), change)
    done = house.files() != before
    assert house.load(NOW).root_version == (2 if done else 1)
    trust.refresh(house.office("all", NOW + timedelta(days=1)))
    assert rootpack.load(
        rootpack.read_directory(house.pack), pinned_root=before["metadata/1.root.json"], reference_time=NOW
    ).root_version == (2 if done else 1)


# What a keeper sees


def test_keeper_sees_what_is_changed_not_what_is_said(house: House) -> None:
    stranger = house.make("mallory", "mine", "ecdsa-p256-sha256")
    draft = house.propose("ann", trust_change.adding(stranger, usage="kit", owner="release"))
    seen = trust_draft.describe(trust_draft.open_on(draft, house.files()), NOW)
    assert seen.changes == (
        f"keyring gets kit key {stranger.fingerprint} of release, ecdsa-p256-sha256, from 2026-11-23T12:00:00Z",
        "targets 2 holds until 2027-06-11T12:00:00Z",
    )
    assert [(demand.role, demand.threshold, len(demand.signed)) for demand in seen.demands] == [("targets", 2, 1)]


def test_keeper_sees_how_long_a_renewal_is_to_hold(house: House) -> None:
    # A change of nothing but the end of time: it would take the bound from every freeze.
    def endless(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        made = trust_change.rotating([], overlap=timedelta(0))(found, pack, office)
        root = str(made.root).replace("2027-12-28T12:00:00Z", "9999-12-31T23:59:59Z")
        return msgspec.structs.replace(made, root=root)

    seen = trust_draft.describe(trust_draft.open_on(house.propose("ann", endless), house.files()), NOW)
    assert "root 2 holds until 9999-12-31T23:59:59Z" in seen.changes


def test_keeper_sees_that_a_revocation_would_be_softened(house: House) -> None:
    name = house.public("kit-1").fingerprint
    first = trust_change.revoking([name], state="compromised", since="2026-11-01T00:00:00Z", reason="")
    trust.publish(house.office("builder"), [house.sign("bob", house.propose("ann", first))])

    def softer(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        entry = revocations.Revocation(fingerprint=name, state="retired", since="2026-11-02T00:00:00Z")
        listed = canonical.encode_record(revocations.make([entry]))
        return trust_change.draft_of(found, pack, office, {**pack.targets, revocations.FILE: listed})

    seen = trust_draft.describe(trust_draft.open_on(house.propose("ann", softer), house.files()), NOW)
    assert seen.changes[0] == (
        f"SOFTENED: {name}, compromised since 2026-11-01T00:00:00Z becomes retired since 2026-11-02T00:00:00Z"
    )


def test_fingerprint_of_a_change_does_not_depend_on_who_signed(house: House) -> None:
    draft = house.propose("ann", swap(house))
    prints = {trust_draft.open_on(one, house.files()).fingerprint for one in (draft, house.sign("bob", draft))}
    assert len(prints) == 1


def test_one_key_in_two_encodings_counts_once(house: House) -> None:
    # The same point, once as Ed25519 hex and once more under an id of its own: a root with it is refused as a whole.
    found = house.files()
    root = Metadata.from_bytes(found["metadata/1.root.json"])
    key = trust_publish.tuf_key(house.public("root-1"))
    twin = trust_publish.tuf_key(house.public("root-1"))
    twin.keyid = "ab" * 32
    root.signed.roles["root"].keyids = [key.keyid, twin.keyid]
    root.signed.keys[twin.keyid] = twin
    with pytest.raises(TrustRootRefused):
        rootpack.check_root(root.to_bytes())
