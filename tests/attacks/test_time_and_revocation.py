"""What a clock and a stolen key can do to a site: nothing that was signed comes back to life, nothing false is kept."""

import json
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from builder import signer, trust, trust_change
from builder.record import record
from builder.trust_publish import Office
from kit import layout
from kit.bytes import digest
from kit.errors import MalformedDocument, UsageError
from kit.result import AUDIT, REFUSED, VERIFIED, ReferenceTime, Result
from kit.trust.keys import PemSigner
from scanner import engine
from tests.attacks import forge
from tests.world import NOW, SCAN_ID, STRICTLY, Replay, World, scan_request
from verifier import site as sites
from verifier import site_time
from verifier.facts import Request
from verifier.run import Run
from verifier.run_dir import RunDirectory, stamp
from verifier.site_time import Settings

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OVERFLOW = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)


@pytest.fixture
def site(world: World, tmp_path: Path) -> sites.Site:
    return world.new_site(tmp_path / "site")


@pytest.fixture
def kit(world: World, tmp_path: Path) -> Path:
    return world.copy_kit(tmp_path / "kit")


def outcome(run: tuple[Result, Path]) -> tuple[str, str]:
    return run[0].verdict, run[0].reason


def floor_of(site: sites.Site) -> str | None:
    return sites.load(site.path).state.time_floor.time if sites.load(site.path).state.time_floor else None


def configure(site: sites.Site, text: str) -> sites.Site:
    (site.path / site_time.SETTINGS_FILE).write_text(text)
    return sites.load(site.path)


# The floor


def test_clock_behind_what_the_site_has_signed_revives_no_expired_rootpack(
    kit: Path, replay: Replay, site: sites.Site
) -> None:
    # The site ran when the RootPack had expired, and signed that. Then somebody sets its clock back.
    assert outcome(replay(kit, site=site, now=NOW + 130 * DAY)) == (REFUSED, "TrustExpired")
    result, _ = replay(kit, site=site, now=NOW)
    assert (result.verdict, result.reason) == (REFUSED, "TrustExpired")
    assert result.reference_time.time == stamp(NOW + 130 * DAY)
    assert result.reference_time.clock == stamp(NOW)
    assert "BEHIND" in result.reference_time.source


def test_clock_set_back_after_a_verified_run_revives_no_stale_kit(kit: Path, replay: Replay, site: sites.Site) -> None:
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    assert outcome(replay(kit, site=site, now=NOW + 40 * DAY)) == (REFUSED, "KitStale")
    assert outcome(replay(kit, site=site)) == (REFUSED, "KitStale")


def test_clock_behind_the_floor_is_set_forward_and_said_aloud(kit: Path, replay: Replay, site: sites.Site) -> None:
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    result, directory = replay(kit, site=site, now=NOW - 300 * DAY)
    assert result.verdict == VERIFIED
    assert result.reference_time.time == stamp(NOW)
    assert any("clock is behind" in note for note in result.notes)
    slip = json.loads((directory / "receipt.json").read_bytes())
    assert slip["referenceTime"]["clock"] == stamp(NOW - 300 * DAY)


@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        (EPOCH, "TrustFromFuture"),
        (NOW - 30 * DAY, "TrustFromFuture"),
        (OVERFLOW, "TrustExpired"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "TrustExpired"),
    ],
    ids=["1970", "behind", "2106", "9999"],
)
def test_wrong_clock_at_a_site_that_knows_nothing_is_refused_and_moves_no_floor(
    kit: Path, replay: Replay, site: sites.Site, clock: datetime, reason: str
) -> None:
    assert outcome(replay(kit, site=site, now=clock)) == (REFUSED, reason)
    assert floor_of(site) is None
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")


@pytest.mark.parametrize("clock", [EPOCH, OVERFLOW], ids=["1970", "2106"])
def test_wrong_clock_later_moves_no_floor_either(kit: Path, replay: Replay, site: sites.Site, clock: datetime) -> None:
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    replay(kit, site=site, now=clock)
    assert floor_of(site) == stamp(NOW)
    assert outcome(replay(kit, site=site, now=NOW + DAY)) == (VERIFIED, "Ok")


def test_floor_is_the_newest_signed_time(world: World, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    kit = world.build_kit(tmp_path / "ahead", created_at=stamp(NOW + timedelta(hours=20)))
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    assert floor_of(site) == stamp(NOW + timedelta(hours=20))


def test_refused_kit_does_not_raise_the_floor_by_its_own_time(
    world: World, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    kit = world.build_kit(tmp_path / "future", created_at=stamp(NOW + 3 * DAY))
    assert outcome(replay(kit, site=site)) == (REFUSED, "KitFromFuture")
    assert floor_of(site) == stamp(NOW)


def test_stranger_moves_no_floor(world: World, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    other = forge.stranger(tmp_path / "stranger").make_kit(world, tmp_path / "strangers-kit")
    assert outcome(replay(other, site=site)) == (REFUSED, "TrustRootRefused")
    assert floor_of(site) is None


def test_bounds_are_the_operators(world: World, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    kit = world.build_kit(tmp_path / "future", created_at=stamp(NOW + 3 * DAY))
    narrow = configure(site, "clock-skew-hours = 100\nmax-jump-days = 10\n")
    assert outcome(replay(kit, site=narrow)) == (VERIFIED, "Ok")
    replay(kit, site=narrow, now=NOW + 14 * DAY)
    assert floor_of(site) == stamp(NOW + 3 * DAY)


def test_floor_that_a_wrong_clock_set_is_lowered_on_record(kit: Path, replay: Replay, site: sites.Site) -> None:
    assert outcome(replay(kit, site=site, now=NOW + 110 * DAY))[1] == "KitStale"
    assert outcome(replay(kit, site=site)) == (REFUSED, "KitStale")
    for time, reason in ((stamp(NOW + 110 * DAY), "unchanged"), (stamp(NOW), " "), ("yesterday", "mistyped")):
        with pytest.raises((UsageError, MalformedDocument)):
            site.reset_floor(time, reason)
    site.reset_floor(stamp(NOW), "battery of the clock was empty on 2026-09-19")
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    (reset,) = sites.load(site.path).state.floor_resets
    assert (reset.before.time, reset.reason[:7]) == (stamp(NOW + 110 * DAY), "battery")


# Audits


def audit(world: World, kit: Path, site: sites.Site, at: datetime, clock: datetime, place: Path) -> Result:
    request = Request(
        manifest=kit / layout.scan_directory(SCAN_ID) / layout.MANIFEST_FILE,
        reference_time=ReferenceTime(time=stamp(at), source=AUDIT),
        engine=engine.current(),
        verifier_version="0.1.0",
    )
    directory = RunDirectory(place, lambda: clock)
    try:
        return Run(STRICTLY, request, site, directory, {"layers": []}, lambda: clock, lambda _: None).execute()
    finally:
        directory.close()


def test_audit_never_moves_the_floor(world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path) -> None:
    assert audit(world, kit, site, NOW + DAY, NOW, tmp_path / "audit-1").verdict == VERIFIED
    assert floor_of(site) is None
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    assert outcome(replay(kit, site=site, now=NOW + 130 * DAY)) == (REFUSED, "TrustExpired")
    past = audit(world, kit, site, NOW, NOW + 130 * DAY, tmp_path / "audit-2")
    assert (past.verdict, past.reference_time.source) == (VERIFIED, AUDIT)
    assert floor_of(site) == stamp(NOW + 130 * DAY)


# Budgets


@pytest.mark.parametrize(
    ("text", "days", "reason", "notes"),
    [
        ("kit-warn-hours = 48\n", 1, "Ok", 0),
        ("kit-warn-hours = 48\n", 3, "Ok", 1),
        ("kit-breach-hours = 48\n", 3, "KitStale", 0),
        ("kit-breach-hours = 9000\n", 31, "KitStale", 0),
        ("rootpack-warn-hours = 48\n", 3, "Ok", 1),
        ("rootpack-breach-hours = 48\n", 3, "TrustStale", 0),
        ("rootpack-breach-hours = 48\n", 130, "TrustExpired", 0),
    ],
)
def test_budget_warns_and_breaches(
    kit: Path, replay: Replay, site: sites.Site, text: str, days: int, reason: str, notes: int
) -> None:
    result, _ = replay(kit, site=configure(site, text), now=NOW + days * DAY)
    assert (result.reason, len(result.notes)) == (reason, notes)
    assert result.exit_code == (0 if reason == "Ok" else 52)


@pytest.mark.parametrize(
    "text", ["kit-warn-hours = -1", "kit-warn-hours = 1.5", "unknown = 1", "kit-warn-hours = ", "max-jump-days = true"]
)
def test_settings_that_say_nothing_sensible_are_refused(site: sites.Site, text: str) -> None:
    with pytest.raises(UsageError):
        configure(site, text)


def test_settings_have_defaults(site: sites.Site) -> None:
    assert sites.load(site.path).settings == Settings()


def test_expired_and_forged_are_never_confused(kit: Path, replay: Replay, site: sites.Site) -> None:
    late = NOW + 130 * DAY
    assert outcome(replay(kit, site=site, now=late)) == (REFUSED, "TrustExpired")
    timestamp = kit / layout.ROOTPACK_DIRECTORY / "metadata" / "timestamp.json"
    timestamp.write_bytes(timestamp.read_bytes().replace(b'"expires":"2026', b'"expires":"2027'))
    assert outcome(replay(kit, site=site, now=late)) == (REFUSED, "TrustRootRefused")


# Revocation


class Incident:
    """The world after a signing key was lost: its RootPack, the new key, and kits of before and after."""

    def __init__(self, world: World, place: Path) -> None:
        self.world = world
        self.place = place
        self.pack = Path(shutil.copytree(world.rootpack, place / "incident-pack"))
        self.keys = Path(shutil.copytree(world.keys, place / "incident-keys"))
        self.old = world.kit_signer
        self.new = signer.create(self.keys, "kit-2", "ecdsa-p256-sha256", entropy=random.Random(2).randbytes)

    def rotate(self, now: datetime, *, overlap: timedelta = timedelta(0)) -> None:
        change = trust_change.rotating([(self.old.public, self.new.public)], overlap=overlap)
        trust.carry_out(Office(self.pack, self.keys, now), change)

    def revoke(self, state: str, since: datetime, now: datetime) -> None:
        change = trust_change.revoking(
            [self.old.public.fingerprint], state=state, since=stamp(since), reason="build host broken into"
        )
        trust.carry_out(Office(self.pack, self.keys, now), change)

    def new_kit(self, now: datetime, sequence: int, by: PemSigner | None = None) -> Path:
        """Build a kit of a scan recorded anew, signed by the new key, with the RootPack of now."""
        from builder.assemble import KitRequest, assemble

        number = len(list(self.place.glob("new-kit-*")))
        recorded, _ = record(scan_request(self.world.feed), [by or self.new], self.place / f"records-{number}")
        kit = self.place / f"new-kit-{number}"
        request = KitRequest(
            records=[recorded],
            root_pack=self.pack,
            programs=[],
            channel="default",
            sequence=sequence,
            created_at=stamp(now),
            staleness_window_hours=24 * 30,
        )
        assemble(request, [by or self.new], kit)
        return kit


@pytest.fixture
def incident(world: World, tmp_path: Path) -> Incident:
    return Incident(world, tmp_path)


def test_tool_hash_mismatch_is_answered_by_a_new_signing_profile(
    incident: Incident, world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    """The runbook's incident from alarm to cure: old kits are judged by when this site took them in."""
    early, late = site, world.new_site(tmp_path / "late-site")
    assert outcome(replay(kit, site=early, now=NOW)) == (VERIFIED, "Ok")
    # A second kit comes by, in which the tools are not the recorded ones: the build host was broken into on day 2.
    other = replace(engine.current(), digest="sha256:" + "0" * 64)
    tampered = replay(kit, site=late, now=NOW + 4 * DAY, running=other)
    assert outcome(tampered) == (REFUSED, "ToolHashMismatch")
    assert tampered[0].exit_code == 33
    # The answer: a new signing key, the old one is compromised since day 2; both are published.
    incident.rotate(NOW + 5 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    cure = incident.new_kit(NOW + 6 * DAY, sequence=2)
    for each in (early, late):
        assert outcome(replay(cure, site=each, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    # The site that took the old kit in before day 2 still believes it, and says so; the other one never does again.
    result, _ = replay(kit, site=early, now=NOW + 7 * DAY)
    assert result.verdict == VERIFIED
    assert any("compromised since" in note and "taken in" in note for note in result.notes)
    assert outcome(replay(kit, site=late, now=NOW + 7 * DAY)) == (REFUSED, "OlderThanAccepted")


def test_kit_taken_in_after_the_compromise_is_refused_though_its_own_rootpack_is_innocent(
    incident: Incident, kit: Path, replay: Replay, site: sites.Site
) -> None:
    assert outcome(replay(kit, site=site, now=NOW + 3 * DAY)) == (VERIFIED, "Ok")
    incident.rotate(NOW + 5 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    assert outcome(replay(incident.new_kit(NOW + 6 * DAY, 2), site=site, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    result, _ = replay(kit, site=site, now=NOW + 6 * DAY)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "SignerRevoked", 21)


def test_stolen_key_signs_nothing_new_however_it_is_dated(
    incident: Incident, world: World, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    incident.rotate(NOW + 5 * DAY, overlap=30 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    kit = incident.new_kit(NOW + 6 * DAY, 2)
    for created in (NOW - 5 * DAY, NOW + 1 * DAY, NOW + 6 * DAY):
        forge.seal(kit, [incident.old], createdAt=stamp(created), sequence=9)
        assert outcome(replay(kit, site=site, now=NOW + 6 * DAY)) == (REFUSED, "SignerRevoked")
    # Not even where the clock is set back to before the theft.
    assert outcome(replay(kit, site=site, now=NOW))[0] == REFUSED


def test_both_keys_on_one_kit_do_not_hide_the_stolen_one_and_do_not_need_it(
    incident: Incident, replay: Replay, site: sites.Site
) -> None:
    incident.rotate(NOW + 5 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    kit = incident.new_kit(NOW + 6 * DAY, 2)
    forge.seal(kit, [incident.old, incident.new])
    result, _ = replay(kit, site=site, now=NOW + 6 * DAY)
    assert result.verdict == VERIFIED
    assert {entry.fingerprint for entry in result.signers} == {incident.new.public.fingerprint}


def test_news_of_a_compromise_count_even_from_a_kit_that_is_refused(
    incident: Incident, kit: Path, replay: Replay, site: sites.Site
) -> None:
    assert outcome(replay(kit, site=site, now=NOW + 3 * DAY)) == (VERIFIED, "Ok")
    incident.rotate(NOW + 5 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    broken = incident.new_kit(NOW + 6 * DAY, 2)
    (broken / forge.SCAN / layout.INPUT_BUNDLE).write_bytes(b"")
    assert outcome(replay(broken, site=site, now=NOW + 6 * DAY))[0] == REFUSED
    assert outcome(replay(kit, site=site, now=NOW + 6 * DAY)) == (REFUSED, "SignerRevoked")


def test_retired_key_keeps_what_was_taken_in_and_gets_nothing_new(
    incident: Incident, world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    assert outcome(replay(kit, site=site)) == (VERIFIED, "Ok")
    incident.rotate(NOW + 5 * DAY)
    incident.revoke("retired", NOW + 5 * DAY, NOW + 5 * DAY)
    newer = incident.new_kit(NOW + 6 * DAY, 2)
    assert outcome(replay(newer, site=site, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    assert outcome(replay(kit, site=site, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    fresh = world.new_site(tmp_path / "fresh")
    late = incident.new_kit(NOW + 6 * DAY, 3)
    forge.seal(late, [incident.old], sequence=3)
    assert outcome(replay(late, site=fresh, now=NOW + 6 * DAY)) == (REFUSED, "SignerRetired")


def test_accepted_kit_outlives_the_window_of_its_key(
    incident: Incident, world: World, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    # The key's window ends on day 3; no list is needed for that.
    incident.rotate(NOW, overlap=3 * DAY)
    kit = incident.new_kit(NOW, 2, by=incident.old)
    assert outcome(replay(kit, site=site, now=NOW + DAY)) == (VERIFIED, "Ok")
    assert outcome(replay(kit, site=site, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    fresh = world.new_site(tmp_path / "fresh")
    assert outcome(replay(kit, site=fresh, now=NOW + 6 * DAY)) == (REFUSED, "SignerRetired")


def test_clock_set_back_does_not_backdate_an_acceptance(
    incident: Incident, world: World, kit: Path, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    # The site has run on day 6. Then the clock is set back to day 1, and a kit by the stolen key is brought.
    first = world.build_kit(tmp_path / "first", created_at=stamp(NOW + 6 * DAY), sequence=1)
    assert outcome(replay(first, site=site, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    evil = world.build_kit(tmp_path / "evil", created_at=stamp(NOW + DAY), sequence=2)
    assert outcome(replay(evil, site=site, now=NOW + DAY)) == (VERIFIED, "Ok")
    assert sites.load(site.path).accepted_at(digest.of_bytes((evil / layout.KIT_FILE).read_bytes())) == stamp(
        NOW + 6 * DAY
    )
    incident.rotate(NOW + 7 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 7 * DAY)
    assert outcome(replay(incident.new_kit(NOW + 7 * DAY, 3), site=site, now=NOW + 7 * DAY)) == (VERIFIED, "Ok")
    assert outcome(replay(evil, site=site, now=NOW + 7 * DAY)) == (REFUSED, "SignerRevoked")


def test_revocation_is_never_softened(incident: Incident) -> None:
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    for state, since in (("retired", NOW), ("compromised", NOW + 3 * DAY)):
        with pytest.raises(UsageError):
            incident.revoke(state, since, NOW + 6 * DAY)


def test_rootpack_without_the_list_is_older_and_refused(
    incident: Incident, world: World, replay: Replay, site: sites.Site, tmp_path: Path
) -> None:
    incident.rotate(NOW + 5 * DAY)
    incident.revoke("compromised", NOW + 2 * DAY, NOW + 5 * DAY)
    assert outcome(replay(incident.new_kit(NOW + 6 * DAY, 2), site=site, now=NOW + 6 * DAY)) == (VERIFIED, "Ok")
    old = world.build_kit(tmp_path / "old", created_at=stamp(NOW + 6 * DAY), sequence=7)
    assert outcome(replay(old, site=site, now=NOW + 6 * DAY)) == (REFUSED, "OlderThanAccepted")


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: keys[0].update(state="gone"),
        lambda keys: keys[0].update(since="yesterday"),
        lambda keys: keys[0].update(fingerprint="sha256:1"),
        lambda keys: keys.append(dict(keys[0])),
        lambda keys: keys[0].update(reason="\n"),
        lambda keys: keys[0].update(unknown=1),
    ],
)
def test_list_that_cannot_be_read_is_no_empty_list(
    incident: Incident, replay: Replay, site: sites.Site, change: Callable[[list[dict[str, object]]], None]
) -> None:
    from builder import trust_view
    from kit.bytes import canonical
    from kit.errors import TrustRootRefused
    from kit.trust import revocations, rootpack

    entry: dict[str, object] = {
        "fingerprint": incident.old.public.fingerprint,
        "since": stamp(NOW),
        "state": "retired",
    }
    keys = [entry]
    change(keys)
    data = canonical.encode({"keys": keys, "schemaVersion": "1.0"})
    found = trust_view.current_files(incident.pack)
    pack = trust_view.load_own(found)
    with pytest.raises(TrustRootRefused):
        trust.carry_out(
            Office(incident.pack, incident.keys, NOW),
            lambda found, pack, office: trust_change.draft_of(
                found, pack, office, {**pack.targets, revocations.FILE: data}
            ),
        )
    assert (
        rootpack.load(
            trust_view.current_files(incident.pack), pinned_root=incident.world.root, reference_time=NOW
        ).versions
        == pack.versions
    )
