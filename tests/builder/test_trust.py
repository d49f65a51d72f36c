"""Publishing a RootPack: what python-tuf's own client, our loader and a crash make of it."""

import hashlib
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from builder import files, signer, trust, trust_view
from kit.bytes import canonical
from kit.errors import (
    AlreadyAccepted,
    FileUndeclared,
    KeyRefused,
    StellaError,
    TrustExpired,
    TrustRootRefused,
    UsageError,
)
from kit.trust import rootpack
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner

NOW = datetime(2026, 11, 23, 12, 0, 0, 999, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


class Entropy:
    """Random bytes that are the same in every test."""

    def __init__(self, start=0):
        self.count = start

    def __call__(self, size):
        self.count += 1
        return hashlib.shake_256(str(self.count).encode()).digest(size)


def found(where, **arguments):
    given = {"now": NOW, "owner": "release", "entropy": Entropy()} | arguments
    return trust.init(where / "rootpack", where / "keys", **given)


def load(where, at=NOW, **arguments):
    content = rootpack.read_directory(where / "rootpack")
    return rootpack.load(content, pinned_root=content["metadata/1.root.json"], reference_time=at, **arguments)


def another(name=b"another", algorithm=ED25519):
    seed = hashlib.sha512(name).digest()
    return PemSigner.from_seed(algorithm, seed[:48] if algorithm == ECDSA_P256 else seed[:32])


def names(where):
    return sorted(path.relative_to(where).as_posix() for path in where.rglob("*") if path.is_file())


# Founding


def test_founded_pack_is_trusted_by_a_site(tmp_path):
    founded = found(tmp_path)
    pack = load(tmp_path)
    assert pack.versions == rootpack.Versions(root=1, timestamp=1, snapshot=1, targets=1)
    assert pack.issued == "2026-11-23T12:00:00Z"
    assert pack.expires == "2027-03-23T12:00:00Z"
    (kit,) = pack.keys("kit", at="2026-11-23T12:00:00Z")
    assert kit == signer.load(tmp_path / "keys" / "kit-1.key.pem").public
    assert kit.algorithm == ECDSA_P256
    root = (tmp_path / "rootpack" / "metadata" / "1.root.json").read_bytes()
    assert founded.pack.roots[0].pin == f"SHA256:{hashlib.sha256(root).hexdigest()}"


def test_default_is_two_of_three_and_one_needs_asking(tmp_path):
    found(tmp_path / "default")
    found(tmp_path / "single", ceremony=trust.SINGLE_SIGNER)
    quorums = {}
    for name in ("default", "single"):
        view = trust_view.show(tmp_path / name / "rootpack", now=NOW)
        quorums[name] = {role.role: (role.threshold, len(role.keys)) for role in view.roles}
    online = {"snapshot": (1, 1), "timestamp": (1, 1)}
    assert quorums == {
        "default": {"root": (2, 3), "targets": (2, 3)} | online,
        "single": {"root": (1, 1), "targets": (1, 1)} | online,
    }


def test_same_keys_and_time_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        found(tmp_path / name)
    assert rootpack.read_directory(tmp_path / "one" / "rootpack") == rootpack.read_directory(
        tmp_path / "two" / "rootpack"
    )


def test_published_files_are_canonical(tmp_path):
    found(tmp_path)
    for path, data in rootpack.read_directory(tmp_path / "rootpack").items():
        assert canonical.encode(json.loads(data)) == data, path


def test_private_keys_are_their_owners_alone(tmp_path):
    found(tmp_path)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    for path in (tmp_path / "keys").glob("*.key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_that_are_there_are_used_and_never_overwritten(tmp_path):
    own = signer.create(tmp_path / "keys", "root-2", ED25519, entropy=Entropy())
    before = (tmp_path / "keys" / "root-2.key.pem").read_bytes()
    founded = found(tmp_path, entropy=Entropy(start=100))
    assert (tmp_path / "keys" / "root-2.key.pem").read_bytes() == before
    assert {key.name: key.created for key in founded.key_files}["root-2"] is False
    assert own.public.fingerprint in {key.fingerprint for key in founded.key_files}


def test_kit_signers_may_live_elsewhere(tmp_path):
    founded = found(tmp_path, kit_keys=[another(b"kms", ECDSA_P256).public])
    assert load(tmp_path).keys("kit", at=None) == (another(b"kms", ECDSA_P256).public,)
    assert not [key for key in founded.key_files if key.use == "kit"]


def test_passphrase_seals_the_private_keys(tmp_path):
    found(tmp_path, password=b"secret")
    path = tmp_path / "keys" / "root-1.key.pem"
    with pytest.raises(KeyRefused) as refusal:
        signer.load(path)
    assert refusal.value.details["path"] == path.name
    assert signer.load(path, b"secret").public.algorithm == ED25519
    with pytest.raises(KeyRefused):
        trust.add_key(tmp_path / "rootpack", tmp_path / "keys", another().public, usage="site", owner="s", now=LATER)


@pytest.mark.parametrize("there", ["file", "directory"])
def test_existing_pack_is_not_overwritten(tmp_path, there):
    if there == "file":
        (tmp_path / "rootpack").write_bytes(b"x")
    else:
        found(tmp_path)
    before = names(tmp_path)
    with pytest.raises(AlreadyAccepted):
        found(tmp_path)
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    "ceremony",
    [
        trust.Ceremony(root=trust.Quorum(0, 1)),
        trust.Ceremony(targets=trust.Quorum(3, 2)),
        trust.Ceremony(kit=trust.Quorum(2, 1)),
    ],
    ids=["zero", "more than there are", "kit"],
)
def test_impossible_quorum_is_refused(tmp_path, ceremony):
    with pytest.raises(UsageError):
        found(tmp_path, ceremony=ceremony)
    assert not (tmp_path / "rootpack").exists()


def test_one_key_for_two_root_places_is_refused(tmp_path):
    with pytest.raises(TrustRootRefused):
        found(tmp_path, entropy=lambda size: bytes(size - 1) + b"\1")
    assert not (tmp_path / "rootpack").exists()


@pytest.mark.parametrize("owner", ["", "x" * 65, "a\nb", "\u00fc"])
def test_owner_that_cannot_be_shown_is_refused(tmp_path, owner):
    with pytest.raises(UsageError):
        found(tmp_path, owner=owner)


def test_key_of_another_algorithm_in_a_role_is_refused(tmp_path):
    signer.create(tmp_path / "keys", "online", ECDSA_P256, entropy=Entropy())
    with pytest.raises(UsageError):
        found(tmp_path)


# Adding a key


def add(where, key=None, **arguments):
    given = {"usage": "site", "owner": "site-7", "now": LATER} | arguments
    return trust.add_key(where / "rootpack", where / "keys", key or another().public, **given)


def test_added_key_is_published_under_new_versions(tmp_path):
    found(tmp_path)
    before = load(tmp_path)
    view = add(tmp_path, valid_until="2027-06-30T00:00:00Z")
    pack = load(tmp_path, at=LATER, floors=before.versions)
    assert pack.versions == rootpack.Versions(root=1, timestamp=2, snapshot=2, targets=2)
    assert pack.issued == "2026-12-23T12:00:00Z"
    assert pack.keys("site", at="2026-12-23T12:00:00Z") == (another().public,)
    assert pack.keys("site", at="2026-12-23T11:59:59Z") == ()
    assert pack.keys("kit", at=None) == before.keys("kit", at=None)
    assert (pack.threshold("site"), pack.owner(another().public)) == (1, "site-7")
    (site,) = (one for one in view.signers if one.usage == "site")
    assert (site.state, site.valid_until) == ("valid", "2027-06-30T00:00:00Z")


def test_superseded_files_are_removed(tmp_path):
    found(tmp_path)
    before = set(names(tmp_path / "rootpack"))
    add(tmp_path)
    after = set(names(tmp_path / "rootpack"))
    assert before & after == {"metadata/1.root.json", "metadata/timestamp.json"}
    assert len(after) == 5


def test_threshold_can_be_raised(tmp_path):
    found(tmp_path)
    add(tmp_path, another(b"kit-2", ECDSA_P256).public, usage="kit", threshold=2)
    assert load(tmp_path, at=LATER).threshold("kit") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"usage": "root"},
        {"owner": ""},
        {"valid_until": "2020-01-01T00:00:00Z"},
        {"valid_until": "tomorrow"},
        {"threshold": 2},
        {"threshold": 0},
    ],
    ids=repr,
)
def test_impossible_entry_is_refused_and_nothing_written(tmp_path, arguments):
    found(tmp_path)
    before = rootpack.read_directory(tmp_path / "rootpack")
    with pytest.raises(UsageError):
        add(tmp_path, **arguments)
    assert rootpack.read_directory(tmp_path / "rootpack") == before


def test_key_that_is_there_is_not_added_again(tmp_path):
    found(tmp_path)
    add(tmp_path)
    with pytest.raises(AlreadyAccepted):
        add(tmp_path, usage="witness")


def test_too_few_signing_keys_are_named(tmp_path):
    found(tmp_path)
    for name in ("targets-1", "targets-2"):
        (tmp_path / "keys" / f"{name}.key.pem").unlink()
    with pytest.raises(UsageError) as refusal:
        add(tmp_path)
    assert (refusal.value.details["expected"], refusal.value.details["found"]) == (2, 1)


def test_private_key_that_is_not_its_public_half_is_refused(tmp_path):
    found(tmp_path)
    (tmp_path / "keys" / "online.key.pem").write_bytes((tmp_path / "keys" / "root-1.key.pem").read_bytes())
    with pytest.raises(UsageError):
        add(tmp_path)


def test_expired_publication_is_renewed_but_an_expired_root_is_not(tmp_path):
    found(tmp_path)
    add(tmp_path, now=NOW + timedelta(days=300))
    assert load(tmp_path, at=NOW + timedelta(days=300)).versions.timestamp == 2
    with pytest.raises(TrustExpired):
        add(tmp_path, another(b"late").public, now=NOW + timedelta(days=401))


def test_broken_pack_is_not_extended(tmp_path):
    found(tmp_path)
    path = tmp_path / "rootpack" / "metadata" / "timestamp.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    before = rootpack.read_directory(tmp_path / "rootpack")
    with pytest.raises(TrustRootRefused):
        add(tmp_path)
    assert rootpack.read_directory(tmp_path / "rootpack") == before


class CutOff(Exception):
    """The machine stops."""


@pytest.mark.parametrize("writes", range(5))
def test_interrupted_publication_leaves_a_whole_pack(tmp_path, monkeypatch, writes):
    """Wherever writing stops, what a kit would carry is the old pack or the new one, and the next run clears up."""
    found(tmp_path)
    before = trust_view.current_files(tmp_path / "rootpack")
    left = [writes]

    def write_then_stop(path, data, mode=0o644):
        if not left[0]:
            raise CutOff
        left[0] -= 1
        real(path, data, mode)

    def stop(path):
        raise CutOff

    real = files.write_atomic
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomic", write_then_stop)
        patch.setattr(files, "remove", stop)
        with pytest.raises(CutOff):
            add(tmp_path)
    now_there = trust_view.current_files(tmp_path / "rootpack")
    assert (now_there == before) == (writes < 4)
    rootpack.load(now_there, pinned_root=before["metadata/1.root.json"], reference_time=LATER)
    add(tmp_path, another(b"third").public)
    assert load(tmp_path, at=LATER).versions.timestamp == (2 if writes < 4 else 3)


def test_leftovers_are_cleared_and_foreign_files_are_not(tmp_path):
    found(tmp_path)
    pack = tmp_path / "rootpack"
    ours = ["metadata/.timestamp.json.abc", "metadata/7.targets.json", f"targets/{'ab' * 32}.keyring.json"]
    for path in [*ours, "targets/notes.txt"]:
        (pack / path).write_bytes(b"")
    add(tmp_path)
    assert set(names(pack)) & {*ours, "targets/notes.txt"} == {"targets/notes.txt"}
    with pytest.raises(FileUndeclared):
        load(tmp_path, at=LATER)


def test_two_publishers_do_not_mix(tmp_path):
    found(tmp_path)
    with files.locked(tmp_path / "rootpack"), pytest.raises(UsageError):
        add(tmp_path)


# Showing


def test_view_tells_expiry_and_windows(tmp_path):
    found(tmp_path)
    add(tmp_path, valid_until="2027-01-01T00:00:00Z")
    states = {}
    for days in (0, 31, 300):
        view = trust_view.show(tmp_path / "rootpack", now=NOW + timedelta(days=days))
        states[days] = (
            {one.usage: one.state for one in view.signers},
            sorted(role.role for role in view.roles if role.expired),
        )
    assert states == {
        0: ({"kit": "valid", "site": "not-yet"}, []),
        31: ({"kit": "valid", "site": "valid"}, []),
        300: ({"kit": "valid", "site": "retired"}, ["snapshot", "targets", "timestamp"]),
    }


def test_view_is_a_document_without_secrets(tmp_path):
    founded = found(tmp_path)
    text = canonical.encode_record(founded).decode()
    assert json.loads(text)["pack"]["schemaVersion"] == "1.0"
    assert "PRIVATE" not in text
    assert str(tmp_path) not in text


def test_view_of_something_else_is_refused(tmp_path):
    (tmp_path / "rootpack" / "metadata").mkdir(parents=True)
    with pytest.raises(StellaError):
        trust_view.show(tmp_path / "rootpack", now=NOW)


# Agreement with python-tuf


class DirectoryFetcher(FetcherInterface):
    """Fetches from a directory instead of the network."""

    def __init__(self, directory):
        self.directory = directory

    def _fetch(self, url):
        path = self.directory / url.removeprefix("pack:/")
        if not path.is_file():
            raise DownloadHTTPError("absent", 404)
        yield path.read_bytes()


def update(where, at):
    """Walk the pack with python-tuf's client, as at a time, and return the keyring it downloads."""
    content = rootpack.read_directory(where / "rootpack")
    cache = where / f"cache-{at:%Y%m%d}"
    (cache / "targets").mkdir(parents=True)
    updater = Updater(
        str(cache),
        "pack:/metadata/",
        str(cache / "targets"),
        "pack:/targets/",
        fetcher=DirectoryFetcher(where / "rootpack"),
        bootstrap=content["metadata/1.root.json"],
    )
    updater._trusted_set.reference_time = at
    updater.refresh()
    target = updater.get_targetinfo("keyring.json")
    return Path(updater.download_target(target)).read_bytes()


def test_python_tufs_client_reads_the_pack(tmp_path):
    found(tmp_path)
    assert update(tmp_path, NOW) == load(tmp_path).targets["keyring.json"]
    add(tmp_path)
    assert update(tmp_path, LATER) == load(tmp_path, at=LATER).targets["keyring.json"]


def test_python_tuf_accepts_every_signature(tmp_path):
    found(tmp_path)
    content = rootpack.read_directory(tmp_path / "rootpack")
    root = Metadata.from_bytes(content["metadata/1.root.json"])
    for path, data in content.items():
        if path.startswith("metadata/"):
            document = Metadata.from_bytes(data)
            result = root.signed.get_verification_result(
                document.signed.type, document.signed_bytes, document.signatures
            )
            assert result.verified, path
            assert not result.unsigned, path
