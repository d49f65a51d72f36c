"""A client's walk from visit to visit, in a table: our reader beside python-tuf's, on the same repositories.

The cases are those of tuf-conformance, and those that only a reader meets who gets whole directories. A client comes
with the first root, remembers what it accepted, and is shown a repository at a time. Where the two answers differ, the
case says why; ours is nowhere the more lenient one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Key, MetaFile, Snapshot, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater

from kit.errors import StellaError
from kit.trust import metadata, rootpack
from kit.trust.trusted import Versions

Files = dict[str, bytes]
OK = "Ok"
FORGED = "TrustRootRefused"
OLDER, EXPIRED, UNDECLARED = "OlderThanAccepted", "TrustExpired", "FileUndeclared"
UNSIGNED, BAD_VERSION, THEIR_EXPIRED = "UnsignedMetadataError", "BadVersionNumberError", "ExpiredMetadataError"
UNREADABLE, MISMATCH, TOO_LONG = "DeserializationError", "LengthOrHashMismatchError", "DownloadLengthMismatchError"
VAST = 2**40


@dataclass(frozen=True)
class Visit:
    """A repository as it is shown to the client, so many days after the first."""

    files: Files
    days: int = 0


@dataclass
class Ours:
    """Our reader with a site's memory."""

    pin: bytes
    floors: Versions | None = None

    def sees(self, files: Files, at: datetime) -> str:
        try:
            pack = rootpack.load(files, pinned_root=self.pin, reference_time=at, floors=self.floors)
        except StellaError as error:
            return error.reason
        self.floors = pack.floors_after(self.floors)
        return OK


@dataclass
class Theirs:
    """python-tuf's client with its cache; it asks for files one by one, as from a mirror."""

    pin: bytes
    cache: Path
    files: Files = field(default_factory=dict)

    def sees(self, files: Files, at: datetime) -> str:
        client = Updater(
            str(self.cache), "mirror/metadata", str(self.cache), "mirror/targets", Shelf(files), bootstrap=self.pin
        )
        client._trusted_set.reference_time = at  # the one thing that it offers no argument for
        try:
            client.refresh()
            for name in sorted(client._trusted_set.targets.targets):
                client.download_target(client.get_targetinfo(name), str(self.cache / f"target-{name}"))
        except (RepositoryError, DownloadError) as error:
            return type(error).__name__
        return OK


@dataclass
class Shelf(FetcherInterface):
    """Hands out files by name."""

    files: Files

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix("mirror/")
        if name not in self.files:
            raise DownloadHTTPError(name, 404)
        yield self.files[name]


def newer(publisher, **changes) -> Files:
    """Publish once more, with a new root where something of it is changed."""
    publisher.version += 1
    for name, value in changes.items():
        setattr(publisher, name, value)
    if any(name.startswith(("root_", "online_keys", "targets_keys")) for name in changes):
        publisher.publish_root()
    return publisher.files()


# Roots


def sound(p):
    return [Visit(p.files())]


def three_roots(p):
    p.publish_root()
    p.publish_root()
    return [Visit(newer(p, root_keys=("root-1", "root-2", "root-4")))]


def chain_of_strangers_keys(p):
    p.publish_root()
    return [Visit(newer(p, root_keys=("x-1", "x-2", "x-3"), root_signers=("x-1", "x-2")))]


def below_the_old_threshold(p):
    p.publish_root()
    return [Visit(newer(p, root_keys=("root-1", "x-2", "x-3"), root_signers=("root-1", "x-2", "x-3")))]


def below_the_new_threshold(p):
    p.publish_root()
    return [Visit(newer(p, root_keys=("root-1", "x-2", "x-3"), root_signers=("root-1", "root-2")))]


def version_skipped(p):
    p.publish_root()
    p.publish_root(version=3)
    return [Visit(p.files())]


def version_inside_is_another(p):
    p.publish_root()
    p.publish_root(version=2, record=p.root_record(3))
    return [Visit(p.files())]


def root_with_its_old_number(p):
    p.publish_root()
    p.publish_root(version=2, record=p.root_record(1))
    return [Visit(p.files())]


def expired_on_the_way(p):
    p.root_expires = p.issued_at - timedelta(days=1)
    p.publish_root()
    p.root_expires = p.issued_at + timedelta(days=400)
    p.publish_root()
    return [Visit(p.files())]


def expired_at_the_end(p):
    p.publish_root()
    p.root_expires = p.issued_at - timedelta(days=1)
    p.publish_root()
    return [Visit(p.files())]


def expires_at_this_very_second(p):
    p.root_expires = p.issued_at
    return [Visit(p.files())]


def date_with_an_offset(p):
    signed = json.loads(p.publish_root())["signed"] | {"expires": "2027-11-23T12:00:00+00:00", "version": 2}
    p.roots[2] = p.sign_plain(signed, p.root_signers)
    return [Visit(p.files())]


def date_with_a_fraction(p):
    signed = json.loads(p.publish_root())["signed"] | {"expires": "2027-11-23T12:00:00.0Z", "version": 2}
    p.roots[2] = p.sign_plain(signed, p.root_signers)
    return [Visit(p.files())]


def keys_under_borrowed_ids(p):
    """Key ids that are no hashes of their keys: two roots can mean two keys by one id."""
    record = p.root_record(2)
    for number, name in enumerate(("root-1", "root-2")):
        key = p.signer(name).public_key
        record.revoke_key(key.keyid, "root")
        record.add_key(Key.from_dict(f"{number}" * 64, key.to_dict()), "root")
    p.publish_root()
    data = json.loads(p.sign(record, ("root-1", "root-2")))
    ids = {p.signer(name).public_key.keyid: f"{number}" * 64 for number, name in enumerate(("root-1", "root-2"))}
    more = [entry | {"keyid": ids[entry["keyid"]]} for entry in data["signatures"]]
    data["signatures"] += more
    p.roots[2] = json.dumps(data).encode()
    return [Visit(p.files())]


def one_key_under_two_ids(p):
    """The twin is written with the older name of its type, so that its id is the hash of other bytes."""
    p.root_keys = ("root-1", "ec-2", "root-3")
    p.root_signers = ("root-1", "ec-2")
    p.publish_root()
    record = p.root_record(2)
    plain = p.signer("ec-2").public_key.to_dict()
    twin = plain | {"keytype": "ecdsa-sha2-nistp256"}
    name = metadata.key_id(twin["keytype"], twin["scheme"], twin["keyval"])
    record.add_key(Key.from_dict(name, twin), "root")
    p.publish_root(record=record)
    return [Visit(p.files())]


def one_keeper_counted_twice(p):
    """The next root, by one keeper alone: his key stands under two ids, and signs under both."""
    one_key_under_two_ids(p)
    listed = json.loads(p.roots[2])["signed"] | {"version": 3}
    (twin,) = [name for name, key in listed["keys"].items() if key["keytype"] == "ecdsa-sha2-nistp256"]
    signed = json.loads(p.sign_plain(listed, ("ec-2",)))
    signed["signatures"].append(signed["signatures"][0] | {"keyid": twin})
    p.roots[3] = json.dumps(signed).encode()
    return [Visit(p.files())]


def role_names_a_key_twice(p):
    signed = json.loads(p.publish_root())["signed"] | {"version": 2}
    signed["roles"]["root"]["keyids"].append(signed["roles"]["root"]["keyids"][0])
    p.roots[2] = p.sign_plain(signed, p.root_signers)
    return [Visit(p.files())]


def forged_root_before_the_pin(p):
    p.publish_root()
    p.publish_root()
    return [Visit(p.files() | {"metadata/1.root.json": b"{}"})]


def member_twice(p):
    p.publish_root()
    p.roots[2] = p.publish_root().replace(b'"version":2', b'"version":9,"version":2')
    assert b'"version":9' in p.roots[2]
    return [Visit(p.files())]


# What is current


def expired_role(role: str):
    def case(p):
        setattr(p, f"{role}_expires", p.issued_at + timedelta(days=1))
        return [Visit(p.files(), 2)]

    case.told = f"expired_{role}"
    return case


def frozen_until_it_expires(p):
    files = p.files()
    return [Visit(files), Visit(files, 60), Visit(files, 121)]


def the_same_again(p):
    files = p.files()
    return [Visit(files), Visit(files, 60)]


def rolled_back(role: str):
    def case(p):
        old = p.files()
        new = newer(p)
        if role == "all":
            return [Visit(new), Visit(old)]
        # The newest of the others: only one role goes back, signed by its own key.
        p.version = 3
        targets = Targets(version=1 if role == "targets" else 3, expires=p.targets_expires)
        keyring = p.keyring()
        targets.targets["keyring.json"] = TargetFile.from_data("keyring.json", keyring, ["sha256"])
        targets_data = p.sign(targets, p.targets_signers)
        snapshot = Snapshot(
            version=1 if role == "snapshot" else 3,
            expires=p.snapshot_expires,
            meta={"targets.json": MetaFile.from_data(targets.version, targets_data, ["sha256"])},
        )
        snapshot_data = p.sign(snapshot, p.online_signers)
        files = {path: data for path, data in new.items() if path.startswith("targets/") or "root" in path}
        files |= {
            f"metadata/{targets.version}.targets.json": targets_data,
            f"metadata/{snapshot.version}.snapshot.json": snapshot_data,
        }
        p.version = 1 if role == "timestamp" else 3
        files |= p.timestamp_files(MetaFile.from_data(snapshot.version, snapshot_data, ["sha256"]))
        return [Visit(new), Visit(files)]

    case.told = f"rolled_back_{role}"
    return case


def root_taken_away(p):
    p.publish_root()
    p.publish_root()
    new = p.files()
    return [Visit(new), Visit({path: data for path, data in new.items() if path != "metadata/2.root.json"})]


def snapshot_of_another_publication(p):
    old = p.files()
    return [Visit(old | {"metadata/1.snapshot.json": newer(p)["metadata/2.snapshot.json"]})]


def targets_of_another_publication(p):
    old = p.files()
    new = newer(p, keyring_changes={"thresholds": {"kit": 1}})
    return [Visit(old | {"metadata/1.targets.json": new["metadata/2.targets.json"]})]


def role_signed_by_another_role(p):
    return [Visit(p.files() | newer(p, online_signers=("targets-1",)))]


def targets_signed_by_the_online_key(p):
    return [Visit(newer(p, targets_signers=("online",)))]


def changed_keyring(p):
    files = p.files()
    (path,) = [path for path in files if path.endswith("keyring.json")]
    return [Visit(files | {path: files[path].replace(b"release", b"relaese")})]


def longer_keyring(p):
    files = p.files()
    (path,) = [path for path in files if path.endswith("keyring.json")]
    return [Visit(files | {path: files[path] + b"\n"})]


def names_without(member: str):
    def case(p):
        files = p.files()
        data = files["metadata/1.snapshot.json"]
        meta = MetaFile.from_data(1, data, ["sha256"])
        setattr(meta, member, None)
        return [Visit(files | p.timestamp_files(meta))]

    case.told = f"names_without_{member}"
    return case


def file_that_nobody_names(p):
    return [Visit(p.files() | {"targets/extra.json": b"{}"})]


def unknown_target(p):
    return [Visit(newer(p, extra_targets={"extra.json": b"{}"}))]


def delegation(p):
    files = p.files()
    targets = json.loads(files["metadata/1.targets.json"])["signed"]
    targets["delegations"] = {"keys": {}, "roles": []}
    data = p.sign_plain(targets, p.targets_signers)
    snapshot = Snapshot(
        version=1, expires=p.snapshot_expires, meta={"targets.json": MetaFile.from_data(1, data, ["sha256"])}
    )
    return [Visit(files | {"metadata/1.targets.json": data} | p.snapshot_files(snapshot))]


def threshold_of_targets(p):
    p.targets_keys, p.targets_threshold = ("targets-1", "targets-2", "targets-3"), 2
    return [Visit(p.files())]


# A stolen online key that runs ahead


def run_ahead(p) -> tuple[Files, Files]:
    """Return a publication, and one by a thief of the online key with a version that nobody can follow."""
    p.publish_root()
    good = p.files()
    p.version = VAST
    targets = {path: data for path, data in good.items() if "targets" in path}
    data = good["metadata/1.targets.json"]
    snapshot = Snapshot(
        version=VAST, expires=p.snapshot_expires, meta={"targets.json": MetaFile.from_data(1, data, ["sha256"])}
    )
    ahead = targets | {"metadata/1.root.json": p.roots[1]} | p.snapshot_files(snapshot)
    p.version = 1
    return good, ahead


def ahead_and_no_new_key(p):
    good, ahead = run_ahead(p)
    return [Visit(good), Visit(ahead), Visit(newer(p))]


def ahead_and_a_new_key(p):
    good, ahead = run_ahead(p)
    return [Visit(good), Visit(ahead), Visit(newer(p, online_keys=("online-2",), online_signers=("online-2",)))]


def ahead_again_after_the_new_key(p):
    good, ahead = run_ahead(p)
    new = newer(p, online_keys=("online-2",), online_signers=("online-2",))
    return [Visit(good), Visit(ahead), Visit(new), Visit(ahead | {"metadata/2.root.json": p.roots[2]})]


def new_key_releases_nothing_of_its_own(p):
    good, ahead = run_ahead(p)
    first = newer(p, online_keys=("online-2",), online_signers=("online-2",))
    return [Visit(good), Visit(ahead), Visit(newer(p)), Visit(first)]


def second_key_beside_the_stolen_one(p):
    """The thief's key still counts, so what it signed could come back: the floor stays."""
    good, ahead = run_ahead(p)
    new = newer(p, online_keys=("online", "online-2"), online_signers=("online-2",))
    return [Visit(good), Visit(ahead), Visit(new)]


def key_that_comes_back_releases_nothing(p):
    """The first key, the second, the first again: what the first one signed long ago must not count anew."""
    p.publish_root()
    old = p.files()
    new = newer(p, online_keys=("online-2",), online_signers=("online-2",))
    newer(p, online_keys=("online",), online_signers=("online",))
    roots = {f"metadata/{number}.root.json": data for number, data in p.roots.items()}
    return [Visit(old), Visit(new), Visit(old | roots)]


def targets_floor_stays_when_one_keeper_changes(p):
    p.targets_keys, p.targets_threshold = ("targets-1", "targets-2", "targets-3"), 2
    p.targets_signers = ("targets-1", "targets-2")
    p.publish_root()
    old = p.files()
    new = newer(p)
    p.targets_keys = ("targets-1", "targets-2", "targets-4")
    p.publish_root()
    p.version = 3
    data = old["metadata/1.targets.json"]
    snapshot = Snapshot(
        version=3, expires=p.snapshot_expires, meta={"targets.json": MetaFile.from_data(1, data, ["sha256"])}
    )
    back = {path: data for path, data in old.items() if "targets" in path} | p.snapshot_files(snapshot)
    roots = {f"metadata/{number}.root.json": data for number, data in p.roots.items()}
    return [Visit(new), Visit(back | roots)]


TABLE = [
    # case, our answer, python-tuf's, and why they differ
    (sound, OK, OK, ""),
    (three_roots, OK, OK, ""),
    (chain_of_strangers_keys, FORGED, UNSIGNED, ""),
    (below_the_old_threshold, FORGED, UNSIGNED, ""),
    (below_the_new_threshold, FORGED, UNSIGNED, ""),
    (version_skipped, FORGED, OK, "it never asks for what lies behind a gap"),
    (version_inside_is_another, FORGED, BAD_VERSION, ""),
    (root_with_its_old_number, FORGED, BAD_VERSION, ""),
    (expired_on_the_way, OK, OK, ""),
    (expired_at_the_end, EXPIRED, THEIR_EXPIRED, ""),
    (expires_at_this_very_second, EXPIRED, THEIR_EXPIRED, ""),
    (date_with_an_offset, FORGED, UNREADABLE, ""),
    (date_with_a_fraction, FORGED, UNREADABLE, ""),
    (keys_under_borrowed_ids, FORGED, OK, "it takes any text for a key id"),
    (one_key_under_two_ids, FORGED, OK, "it counts key ids (python-tuf issue 1429)"),
    (one_keeper_counted_twice, FORGED, OK, "one keeper alone meets its threshold of two"),
    (role_names_a_key_twice, FORGED, UNREADABLE, ""),
    (forged_root_before_the_pin, FORGED, OK, "it never asks for roots before its own"),
    (member_twice, FORGED, OK, "its JSON reader keeps the last of two members"),
    (expired_role("timestamp"), EXPIRED, THEIR_EXPIRED, ""),
    (expired_role("snapshot"), EXPIRED, THEIR_EXPIRED, ""),
    (expired_role("targets"), EXPIRED, THEIR_EXPIRED, ""),
    (frozen_until_it_expires, EXPIRED, THEIR_EXPIRED, ""),
    (the_same_again, OK, OK, ""),
    (rolled_back("all"), OLDER, BAD_VERSION, ""),
    (rolled_back("timestamp"), OLDER, BAD_VERSION, ""),
    (rolled_back("snapshot"), OLDER, BAD_VERSION, ""),
    (rolled_back("targets"), OLDER, BAD_VERSION, ""),
    (root_taken_away, OLDER, OK, "it goes on with the root in its cache"),
    (snapshot_of_another_publication, FORGED, MISMATCH, ""),
    (targets_of_another_publication, FORGED, MISMATCH, ""),
    (role_signed_by_another_role, FORGED, UNSIGNED, ""),
    (targets_signed_by_the_online_key, FORGED, UNSIGNED, ""),
    (changed_keyring, FORGED, MISMATCH, ""),
    (longer_keyring, FORGED, TOO_LONG, ""),
    (names_without("length"), FORGED, OK, "the specification makes the length optional"),
    (names_without("hashes"), FORGED, OK, "the specification makes the digest optional"),
    (file_that_nobody_names, UNDECLARED, OK, "it never sees a directory"),
    (unknown_target, FORGED, OK, "a target that a reader does not know could take trust away"),
    (delegation, FORGED, OK, "a RootPack has no delegations"),
    (threshold_of_targets, FORGED, UNSIGNED, ""),
    (ahead_and_no_new_key, OLDER, BAD_VERSION, ""),
    (ahead_and_a_new_key, OK, OK, ""),
    (ahead_again_after_the_new_key, FORGED, UNSIGNED, ""),
    (new_key_releases_nothing_of_its_own, OLDER, BAD_VERSION, ""),
    (second_key_beside_the_stolen_one, OLDER, BAD_VERSION, ""),
    (key_that_comes_back_releases_nothing, OLDER, OK, "it forgets what the second key signed with that key"),
    (targets_floor_stays_when_one_keeper_changes, OLDER, BAD_VERSION, ""),
]


def named(case) -> str:
    return getattr(case, "told", case.__name__)


@pytest.mark.filterwarnings("ignore:keytype:DeprecationWarning")  # the older name of a key type, which one case uses
@pytest.mark.parametrize(("case", "ours", "theirs", "why"), [pytest.param(*row, id=named(row[0])) for row in TABLE])
def test_walk(publisher, now, tmp_path: Path, case, ours: str, theirs: str, why: str) -> None:
    publisher.issued_at = now
    visits = case(publisher)
    pin = publisher.roots[2 if case is forged_root_before_the_pin else 1]
    clients = [Ours(pin), Theirs(pin, tmp_path)]
    answers = [
        tuple(client.sees(visit.files, now + timedelta(days=visit.days)) for client in clients) for visit in visits
    ]
    assert all(answer == (OK, OK) for answer in answers[:-1]), answers
    assert answers[-1] == (ours, theirs)


def test_every_difference_has_its_reason() -> None:
    assert all(bool(why) is (theirs == OK and ours != OK) for _, ours, theirs, why in TABLE)
    assert not [named(case) for case, ours, theirs, _ in TABLE if ours == OK and theirs != OK]
