"""The RootPack's walk from the pin: what is trusted, in which order, and what each fault is called."""

import json
import re
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Delegations, Key, Metadata, MetaFile, Root, Snapshot, Targets

from kit.errors import (
    EvidenceMissing,
    FileUndeclared,
    LimitExceeded,
    MalformedDocument,
    OlderThanAccepted,
    SignatureInvalid,
    SignerNotYetValid,
    SignerUnknown,
    StellaError,
    TrustExpired,
    TrustRootRefused,
)
from kit.trust import dsse, rootpack
from kit.trust.metadata import key_id

TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def load(now):
    def load(files, pin=None, *, at=now, floors=None):
        pinned = pin if pin is not None else files["metadata/1.root.json"]
        return rootpack.load(files, pinned_root=pinned, reference_time=at, floors=floors)

    return load


@pytest.fixture
def refused(load):
    def refused(files, detail, **arguments):
        with pytest.raises(TrustRootRefused) as refusal:
            load(files, **arguments)
        assert detail in str(refusal.value.details["detail"])

    return refused


def versions(root=1, timestamp=1, snapshot=1, targets=1):
    return rootpack.Versions(root=root, timestamp=timestamp, snapshot=snapshot, targets=targets)


# What is trusted


def test_sound_pack_is_trusted(publisher, load, make_signer):
    pack = load(publisher.files())
    assert pack.versions == versions()
    assert pack.root_version == 1
    assert pack.issued == "2026-11-23T12:00:00Z"
    assert pack.expires == "2027-03-23T12:00:00Z"
    assert pack.keys("kit", at=None) == (make_signer("kit").public,)
    assert pack.keys("site", at=None) == ()
    assert pack.threshold("kit") == 1
    assert pack.owner(make_signer("kit").public) == "release"
    assert pack.owner(make_signer("else").public) == ""
    assert set(pack.targets) == {"keyring.json"}


def test_earliest_expiry_is_told(publisher, load, now):
    publisher.targets_expires = now + timedelta(days=1)
    assert load(publisher.files()).expires == "2026-11-24T12:00:00Z"


def test_issue_time_is_optional(publisher, load):
    publisher.issued = None
    assert load(publisher.files()).issued is None


def test_ecdsa_keys_may_hold_roles(publisher, load):
    publisher.root_keys = publisher.root_signers = ("ec-1", "ec-2")
    publisher.online_keys = publisher.online_signers = ("ec-3",)
    assert load(publisher.files()).root_version == 1


def test_keys_of_a_usage_are_those_whose_window_holds_the_time(publisher, load, make_signer):
    pack = load(publisher.files())
    assert pack.keys("kit", at="2026-01-01T00:00:00Z") == (make_signer("kit").public,)
    assert pack.keys("kit", at="2025-12-31T23:59:59Z") == ()
    with pytest.raises(MalformedDocument):
        pack.keys("kit", at="2026-01-01")


def test_envelope_is_judged_by_usage_window_and_threshold(publisher, load, make_signer):
    pack = load(publisher.files())
    sound = dsse.sign(b"{}", dsse.IN_TOTO, [make_signer("kit")])

    def verify(envelope, usage="kit", at="2026-11-23T12:00:00Z"):
        return pack.verify(envelope, usage=usage, at=at, payload_types=(dsse.IN_TOTO,), name="kit.dsse.json")

    assert verify(sound).payload == b"{}"
    with pytest.raises(SignerNotYetValid):
        verify(sound, at="2025-01-01T00:00:00Z")
    with pytest.raises(SignerUnknown):
        verify(sound, usage="site")
    with pytest.raises(SignerUnknown):
        verify(dsse.sign(b"{}", dsse.IN_TOTO, [make_signer("else")]))
    with pytest.raises(SignatureInvalid):
        verify(sound.replace(b'"payload":"e30="', b'"payload":"e30K"'))


# The chain of roots


def test_rotation_is_followed_from_the_pin(publisher, load):
    first = publisher.publish_root()
    publisher.root_keys = (*publisher.root_keys[1:], "root-4")
    publisher.publish_root(signers=("root-2", "root-3"))
    publisher.online_keys = publisher.online_signers = ("online-2",)
    third = publisher.publish_root(signers=("root-3", "root-4"))
    files = publisher.files()
    assert load(files).root_version == 3
    assert load(files, pin=third).root_version == 3
    later = {path: data for path, data in files.items() if not path.startswith(("metadata/1.", "metadata/2."))}
    later |= {path: files[path] for path in ("metadata/1.targets.json", "metadata/1.snapshot.json")}
    assert load(later, pin=files["metadata/2.root.json"]).root_version == 3
    assert load(files, pin=first).root_fingerprint == load(files, pin=third).root_fingerprint


def test_intermediate_root_may_have_expired(publisher, load, now):
    publisher.root_expires = now - timedelta(days=1)
    publisher.publish_root()
    publisher.root_expires = now + timedelta(days=400)
    publisher.publish_root()
    assert load(publisher.files()).root_version == 2


def test_pin_that_is_not_the_packs_root_is_refused(publisher, refused):
    other = type(publisher)(root_expires=publisher.root_expires + timedelta(days=1)).publish_root()
    refused(publisher.files(), "differs from the pinned root", pin=other)


def test_kits_own_root_is_no_first_trust(publisher, refused):
    """An attacker's whole repository, from its own root on, does not follow from the pinned one."""
    pin = publisher.publish_root()
    attacker = type(publisher)(
        root_keys=("evil-1", "evil-2"),
        root_signers=("evil-1", "evil-2"),
        targets_keys=("evil-3",),
        targets_signers=("evil-3",),
        online_keys=("evil-4",),
        online_signers=("evil-4",),
    )
    refused(attacker.files(), "differs from the pinned root", pin=pin)
    later = type(attacker)(**{**vars(attacker), "roots": {}})
    later.publish_root(version=2)
    refused(later.files(), "too few distinct keys signed", pin=pin)


@pytest.mark.parametrize(
    "signers",
    [("root-1", "root-2"), ("root-4", "root-5"), ("root-1", "root-4")],
    ids=["only the old", "only the new", "one of each"],
)
def test_new_root_needs_both_thresholds(publisher, refused, signers):
    publisher.publish_root()
    publisher.root_keys = ("root-4", "root-5", "root-6")
    publisher.publish_root(signers=signers)
    refused(publisher.files(), "too few distinct keys signed")


def test_gap_in_the_chain_is_refused(publisher, refused):
    for _ in range(3):
        publisher.publish_root()
    files = publisher.files()
    del files["metadata/2.root.json"]
    refused(files, "is missing")


def test_root_under_another_version_is_refused(publisher, refused):
    publisher.publish_root()
    publisher.roots[2] = publisher.roots[1]
    refused(publisher.files(), "another version")


def test_walk_has_a_limit(publisher, load, refused):
    publisher.root_keys = publisher.root_signers = ("root-1",)
    publisher.root_threshold = 1
    for _ in range(rootpack.MAX_STEPS + 1):
        publisher.publish_root()
    files = publisher.files()
    assert load(files).root_version == rootpack.MAX_STEPS + 1
    publisher.publish_root()
    refused(publisher.files(), "too many roots")


def test_forged_root_before_the_pin_is_refused(publisher, refused):
    publisher.publish_root()
    pin = publisher.publish_root()
    forged = type(publisher)(root_keys=("evil",), root_threshold=1, root_signers=("evil",))
    publisher.roots[1] = forged.publish_root()
    refused(publisher.files(), "too few distinct keys signed", pin=pin)


def test_pack_whose_newest_root_is_before_the_pin_is_older(publisher, load):
    publisher.publish_root()
    files = publisher.files()
    pin = publisher.publish_root()
    with pytest.raises(OlderThanAccepted):
        load(files, pin=pin)


def test_pack_without_roots_is_refused(publisher, refused):
    files = publisher.files()
    pin = files.pop("metadata/1.root.json")
    refused(files, "no root metadata", pin=pin)


def test_pin_must_be_a_self_signed_root(publisher, load, refused):
    files = publisher.files()
    publisher.roots.clear()
    refused(files, "too few distinct keys signed", pin=publisher.publish_root(signers=("root-1",)))
    refused(files, "another role", pin=files[TIMESTAMP])
    refused(files, "MalformedDocument", pin=b"")


def test_repository_without_consistent_snapshots_is_refused(publisher, refused):
    publisher.consistent_snapshot = False
    refused(publisher.files(), "consistent_snapshot")


# Distinct key material


def root_with(publisher, change):
    """Return the files of a repository whose first root is changed before it is signed anew."""
    record = publisher.root_record(1)
    change(record)
    publisher.publish_root(record=record)
    return publisher.files()


def test_one_key_under_two_ids_is_refused(publisher, refused):
    """Two key types name one algorithm, so one key has two canonical ids; python-tuf would count it twice."""
    publisher.root_keys = ("ec-1",)
    publisher.root_signers = ("ec-1",)
    publisher.root_threshold = 1

    def add_twin(record):
        known = record.keys[record.roles["root"].keyids[0]]
        keytype = "ecdsa-sha2-nistp256"
        twin = key_id(keytype, known.scheme, known.keyval)
        record.keys[twin] = Key.from_dict(
            twin, {"keytype": keytype, "scheme": known.scheme, "keyval": dict(known.keyval)}
        )
        record.roles["root"].keyids.append(twin)
        record.roles["root"].threshold = 2

    refused(root_with(publisher, add_twin), "one key stands under two key ids")


def test_key_id_that_is_not_the_hash_of_its_key_is_refused(publisher, refused):
    def rename(record):
        old = record.roles["timestamp"].keyids[0]
        record.keys["ab" * 32] = Key.from_dict("ab" * 32, record.keys[old].to_dict())
        record.roles["timestamp"].keyids = ["ab" * 32]

    refused(root_with(publisher, rename), "a key id is not the hash of its key")


def test_role_that_names_an_absent_key_is_refused(publisher, refused):
    refused(
        root_with(publisher, lambda record: record.roles["timestamp"].keyids.append("ab" * 32)),
        "a role names a key that is not there",
    )


def test_threshold_beyond_the_keys_is_refused(publisher, refused):
    def raise_threshold(record):
        record.roles["snapshot"].threshold = 2

    refused(root_with(publisher, raise_threshold), "fewer keys than the threshold")


@pytest.mark.parametrize("threshold", [True, "1", 0, -1, [1]], ids=repr)
def test_genuinely_signed_threshold_that_is_no_count_is_refused(publisher, refused, threshold):
    signed = json.loads(publisher.publish_root())["signed"]
    signed["roles"]["timestamp"]["threshold"] = threshold
    publisher.roots[1] = publisher.sign_plain(signed, publisher.root_signers)
    refused(publisher.files(), "")


def test_small_order_key_is_refused(publisher, refused):
    def weaken(record):
        public = {"public": "01" + "00" * 31}
        weak = key_id("ed25519", "ed25519", public)
        record.keys[weak] = Key.from_dict(weak, {"keytype": "ed25519", "scheme": "ed25519", "keyval": public})
        record.roles["timestamp"].keyids.append(weak)

    refused(root_with(publisher, weaken), "KeyRefused")


def test_unknown_key_algorithm_is_refused(publisher, refused):
    def add_rsa(record):
        public = {"public": "-----BEGIN PUBLIC KEY-----"}
        other = key_id("rsa", "rsassa-pss-sha256", public)
        record.keys[other] = Key.from_dict(other, {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": public})
        record.roles["timestamp"].keyids.append(other)

    refused(root_with(publisher, add_rsa), "unknown key algorithm")


# Timestamp, snapshot, targets


def change_version(signed):
    signed["version"] = True


def change_length(signed):
    signed["meta"]["snapshot.json"]["length"] += 1


def change_length_type(signed):
    signed["meta"]["snapshot.json"]["length"] = True


def change_named_version(signed):
    signed["meta"]["snapshot.json"]["version"] = True


def add_meta(signed):
    signed["meta"]["other.json"] = {"version": 1}


def loosen_expiry(signed):
    signed["expires"] = "2027-3-23T12:00:00Z"


def fraction_in_expiry(signed):
    signed["expires"] = "2027-03-23T12:00:00.5Z"


def newer_specification(signed):
    signed["spec_version"] = "2.0.0"


@pytest.mark.parametrize(
    "change",
    [
        change_version,
        change_length,
        change_length_type,
        change_named_version,
        add_meta,
        loosen_expiry,
        fraction_in_expiry,
        newer_specification,
    ],
)
def test_genuinely_signed_oddity_is_refused(publisher, load, refused, change):
    """python-tuf takes or drops most of these; what it would drop was signed and would go unseen."""
    files = publisher.files()
    signed = json.loads(files[TIMESTAMP])["signed"]
    assert load(files | {TIMESTAMP: publisher.sign_plain(signed, ("online",))})
    change(signed)
    refused(files | {TIMESTAMP: publisher.sign_plain(signed, ("online",))}, "")


def test_more_signatures_than_needed_may_be_bad(publisher, load):
    publisher.root_signers = publisher.root_keys
    data = json.loads(publisher.publish_root())
    data["signatures"][0]["sig"] = "zz"
    publisher.roots[1] = json.dumps(data).encode()
    assert load(publisher.files()).root_version == 1


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_metadata_by_another_key_is_refused(publisher, refused, role):
    publisher.publish_root()
    if role == "targets":
        publisher.targets_signers = ("evil",)
    else:
        publisher.online_signers = ("evil",)
    refused(publisher.files(), "too few distinct keys signed")


def test_targets_threshold_counts(publisher, load, refused):
    publisher.targets_keys = ("targets-1", "targets-2", "targets-3")
    publisher.targets_threshold = 2
    refused(publisher.files(), "too few distinct keys signed")
    publisher.targets_signers = ("targets-1", "targets-3")
    assert load(publisher.files()).root_version == 1


@pytest.mark.parametrize("path", [TIMESTAMP, "metadata/1.snapshot.json", "metadata/1.targets.json"])
def test_missing_metadata_is_refused(publisher, refused, path):
    files = publisher.files()
    del files[path]
    refused(files, "is missing")


@pytest.mark.parametrize("kind", ["snapshot", "targets"])
def test_metadata_that_is_not_the_named_one_is_refused(publisher, refused, kind):
    files = publisher.files()
    other = type(publisher)(issued=None)
    other.snapshot_expires += timedelta(days=1)
    other.targets_expires += timedelta(days=1)
    files[f"metadata/1.{kind}.json"] = other.files()[f"metadata/1.{kind}.json"]
    refused(files, "is not what")


@pytest.mark.parametrize("missing", ["length", "hashes"])
def test_length_and_digest_are_required(publisher, refused, missing):
    files = publisher.files()
    data = files["metadata/1.snapshot.json"]
    meta = MetaFile.from_data(1, data, ["sha256"])
    setattr(meta, missing, None)
    refused(files | publisher.timestamp_files(meta), "")


@pytest.mark.parametrize("hashes", [["sha256", "sha512"], ["sha512"]])
def test_other_digests_are_refused(publisher, refused, hashes):
    files = publisher.files()
    meta = MetaFile.from_data(1, files["metadata/1.snapshot.json"], hashes)
    refused(files | publisher.timestamp_files(meta), "is not what")


def test_version_inside_must_be_the_version_named(publisher, refused):
    files = publisher.files()
    data = files["metadata/1.snapshot.json"]
    files["metadata/2.snapshot.json"] = data
    del files["metadata/1.snapshot.json"]
    refused(files | publisher.timestamp_files(MetaFile.from_data(2, data, ["sha256"])), "another version")


def test_one_role_does_not_stand_for_another(publisher, refused):
    files = publisher.files()
    files[TIMESTAMP] = files["metadata/1.snapshot.json"]
    refused(files, "another role")


def test_delegations_are_refused(publisher, refused):
    publisher.publish_root()
    targets = Targets(version=1, expires=publisher.targets_expires, delegations=Delegations({}, {}))
    files = {path: data for path, data in publisher.files().items() if "root" in path}
    refused(files | publisher.publication(targets), "no delegations")


def test_snapshot_that_names_more_is_refused(publisher, refused):
    files = publisher.files()
    meta = {
        "targets.json": MetaFile.from_data(1, files["metadata/1.targets.json"], ["sha256"]),
        "other.json": MetaFile(1),
    }
    snapshot = Snapshot(version=1, expires=publisher.snapshot_expires, meta=meta)
    refused(files | publisher.snapshot_files(snapshot), "nothing else")


def test_pack_without_a_keyring_is_refused(publisher, refused):
    publisher.publish_root()
    files = {path: data for path, data in publisher.files().items() if "root" in path}
    targets = Targets(version=1, expires=publisher.targets_expires)
    refused(files | publisher.publication(targets), "is not among the targets")


@pytest.mark.parametrize(
    "changes",
    [{"schemaVersion": "2.0"}, {"thresholds": {"kit": 2}}, {"extra": 1}],
    ids=["schema", "threshold", "member"],
)
def test_signed_keyring_that_breaks_its_rules_is_refused(publisher, refused, changes):
    publisher.keyring_changes = changes
    refused(publisher.files(), "")


def test_known_targets_are_handed_on_verified(publisher, load):
    publisher.extra_targets = {"pins.json": b"{}", "tlog_policy.txt": b""}
    assert load(publisher.files()).targets["pins.json"] == b"{}"


def test_unknown_target_is_refused(publisher, refused):
    """A list that this program cannot read might revoke a key that it would trust."""
    publisher.extra_targets = {"blocked.json": b"{}"}
    refused(publisher.files(), "unknown target")


def test_changed_target_is_refused(publisher, refused):
    files = publisher.files()
    path = next(path for path in files if path.endswith("keyring.json"))
    refused(files | {path: files[path] + b" "}, "is not what")
    del files[path]
    refused(files, "is missing")


@pytest.mark.parametrize(
    "path",
    [
        "metadata/2.targets.json",
        "metadata/root.json",
        "metadata/01.root.json",
        "metadata/0.root.json",
        "metadata/1.root.json.bak",
        "metadata/1.root.json\n",
        "targets/keyring.json",
        "README",
    ],
)
def test_file_that_no_metadata_names_is_refused(publisher, load, path):
    files = publisher.files()
    with pytest.raises(FileUndeclared) as refusal:
        load(files | {path: files["metadata/1.root.json"]})
    assert str(refusal.value.details["path"]).isprintable()


# Strict reading


def remade(publisher, path, change):
    """Return files in which one metadata file's JSON text is changed."""
    files = publisher.files()
    return files | {path: change(files[path])}


AMBIGUOUS = {
    "duplicate outside": lambda data: data.replace(b'{"signatures"', b'{"signed":{},"signatures"', 1),
    "duplicate inside": lambda data: data.replace(b'"version"', b'"version":9,"version"', 1),
    "duplicate key id": lambda data: data.replace(b'"keyid"', b'"keyid":"","keyid"', 1),
    "trailing text": lambda data: data + b"{}",
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "unsigned member": lambda data: data.replace(b'{"signatures"', b'{"a":1,"signatures"', 1),
    "unsigned member of a signature": lambda data: data.replace(b'"keyid"', b'"a":1,"keyid"', 1),
    "not an object": lambda data: b"[" + data + b"]",
    "signed is no object": lambda data: b'{"signatures":[],"signed":[]}',
    "signatures are no array": lambda data: b'{"signatures":5,"signed":{}}',
    "float": lambda data: re.sub(rb'"version":([12])', rb'"version":\1.0', data),
    "truth for a version": lambda data: re.sub(rb'"version":[12]', b'"version":true', data),
    "short date": lambda data: data.replace(b"-03-23T", b"-3-23T").replace(b"-12-28T", b"-12-28T0"),
    "uppercase signature": lambda data: data.replace(
        data.split(b'"sig":"')[1][:128], data.split(b'"sig":"')[1][:128].upper()
    ),
    "no signatures": lambda data: json.dumps(json.loads(data) | {"signatures": []}).encode(),
    "same signature twice": lambda data: json.dumps(
        json.loads(data) | {"signatures": json.loads(data)["signatures"] * 2}
    ).encode(),
    "empty": lambda data: b"",
    "deep": lambda data: b'{"signed":' + b"[" * 100 + b"]" * 100 + b"}",
    "huge": lambda data: data + b" " * (1 << 20),
}


@pytest.mark.parametrize("change", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
@pytest.mark.parametrize("path", [TIMESTAMP, "metadata/2.root.json"])
def test_metadata_that_can_be_read_two_ways_is_refused(publisher, load, path, change):
    publisher.root_keys = publisher.root_signers = ("root-1",)
    publisher.root_threshold = 1
    publisher.publish_root()
    publisher.publish_root()
    files = remade(publisher, path, change)
    assert files != publisher.files()
    with pytest.raises(TrustRootRefused):
        load(files)


def test_white_space_is_no_fault(publisher, load):
    files = remade(publisher, TIMESTAMP, lambda data: json.dumps(json.loads(data), indent=1).encode())
    assert load(files).root_version == 1


@pytest.mark.parametrize("issued", ["2026-11-23", "2026-11-23T12:00:00+00:00", 5, "2027-03-23T12:00:00Z", ["x"], ""])
def test_issue_time_of_another_form_or_after_expiry_is_refused(publisher, refused, issued):
    publisher.issued = issued
    refused(publisher.files(), "")


def test_sampled_flipped_bits_are_refused(publisher, load):
    """Every file of the pack, the pinned root's too."""
    publisher.root_keys = publisher.root_signers = ("root-1",)
    publisher.root_threshold = 1
    pin = publisher.publish_root()
    publisher.publish_root()
    files = publisher.files()
    for path, data in files.items():
        for at in range(0, len(data), 5):
            flipped = bytearray(data)
            flipped[at] ^= 1 << (at // 5 * 5 % 8)
            with pytest.raises(TrustRootRefused):
                load(files | {path: bytes(flipped)}, pin=pin)


# Order and time


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_version_below_its_floor_is_older(publisher, load, role):
    publisher.version = 5
    publisher.publish_root()
    present = {"root": 1, "timestamp": 5, "snapshot": 5, "targets": 5}
    files = publisher.files()
    assert load(files, floors=versions(**present))
    assert load(files, floors=versions())
    with pytest.raises(OlderThanAccepted) as refusal:
        load(files, floors=versions(**(present | {role: present[role] + 1})))
    assert refusal.value.details == {
        "path": f"{role} metadata",
        "expected": present[role] + 1,
        "found": present[role],
    }


def test_older_pack_in_a_newer_kit_is_older_not_expired(publisher, load, now):
    old = publisher.files()
    with pytest.raises(OlderThanAccepted):
        load(old, at=now + timedelta(days=1000), floors=versions(timestamp=2))


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_expired_metadata_is_expired_not_forged(publisher, load, now, role):
    setattr(publisher, f"{role}_expires", now)
    publisher.issued = None
    files = publisher.files()
    assert load(files, at=now - timedelta(seconds=1))
    with pytest.raises(TrustExpired) as refusal:
        load(files)
    assert role in str(refusal.value.details["path"])
    assert refusal.value.details["expires"] == "2026-11-23T12:00:00Z"


def test_forged_metadata_is_forged_however_old(publisher, refused, now):
    publisher.publish_root()
    publisher.online_signers = ("evil",)
    refused(publisher.files(), "too few distinct keys signed", at=now + timedelta(days=1000), floors=versions(root=9))


def test_reference_time_may_be_in_any_zone(publisher, load, now):
    assert load(publisher.files(), at=now.astimezone(timezone(timedelta(hours=5)))).root_version == 1
    assert now.tzinfo is UTC


# Directories


def write(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def test_directory_is_read_as_it_is(publisher, tmp_path):
    files = publisher.files()
    write(tmp_path, files)
    assert rootpack.read_directory(tmp_path) == files
    assert rootpack.declared_versions(files) == versions()


def test_absent_directory_is_missing_evidence(tmp_path):
    with pytest.raises(EvidenceMissing):
        rootpack.read_directory(tmp_path / "rootpack")


@pytest.mark.parametrize("kind", ["file", "directory", "nested", "link", "linked directory"])
def test_anything_but_plain_files_in_their_places_is_refused(publisher, tmp_path, kind):
    pack = tmp_path / "rootpack"
    write(pack, publisher.files())
    outside = tmp_path / "outside"
    outside.mkdir()
    {
        "file": lambda: (pack / "notes").write_bytes(b""),
        "directory": (pack / "more").mkdir,
        "nested": (pack / "targets" / "more").mkdir,
        "link": lambda: (pack / "targets" / "x.json").symlink_to(pack / "metadata" / "timestamp.json"),
        "linked directory": lambda: (pack / "more").symlink_to(outside),
    }[kind]()
    with pytest.raises(FileUndeclared):
        rootpack.read_directory(pack)


def test_oversize_file_is_refused(publisher, tmp_path):
    write(tmp_path, publisher.files() | {"targets/big": bytes((1 << 20) + 1)})
    with pytest.raises(LimitExceeded):
        rootpack.read_directory(tmp_path)


def test_too_many_files_are_refused(tmp_path):
    write(tmp_path, {f"targets/{number}": b"" for number in range(rootpack.MAX_FILES + 1)})
    with pytest.raises(LimitExceeded):
        rootpack.read_directory(tmp_path)


@pytest.mark.parametrize("missing", ["metadata/1.root.json", TIMESTAMP, "metadata/1.snapshot.json"])
def test_versions_of_an_incomplete_pack_are_refused(publisher, missing):
    files = publisher.files()
    del files[missing]
    with pytest.raises(TrustRootRefused):
        rootpack.declared_versions(files)


def test_root_can_be_checked_before_it_is_pinned(publisher):
    data = publisher.publish_root()
    assert rootpack.check_root(data).signed.version == 1
    broken = json.loads(data)
    broken["signatures"] = broken["signatures"][:1]
    with pytest.raises(TrustRootRefused):
        rootpack.check_root(json.dumps(broken).encode())
    assert isinstance(Metadata[Root].from_bytes(data).signed, Root)


# Any bytes


def test_any_json_in_place_of_metadata_is_refused(publisher, now):
    files = publisher.files()
    whole = json.loads(files[TIMESTAMP])
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["1.0.31"])
    values = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    )
    signed = st.fixed_dictionaries({}, optional=dict.fromkeys(whole["signed"], values)).map(
        lambda changes: whole | {"signed": whole["signed"] | changes} if changes else {}
    )
    other = st.fixed_dictionaries({}, optional={"signatures": values, "signed": values})

    @settings(max_examples=60)
    @given(signed | other | values, st.sampled_from([TIMESTAMP, "metadata/2.root.json"]))
    def refuse(document, path):
        changed = files | {path: json.dumps(document).encode()}
        if json.loads(changed[path]) == whole:
            return
        with pytest.raises(StellaError):
            rootpack.load(changed, pinned_root=files["metadata/1.root.json"], reference_time=now)

    refuse()
