"""A revoked key at the locker: what was kept before stays, whatever it signs now is refused."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from builder import trust, trust_change
from builder.trust_publish import Office
from kit.bytes import canonical
from kit.errors import SignerRetired, SignerRevoked, StellaError
from kit.trust.keys import PemSigner
from locker import rows, sync
from locker.ingest import ingest

DAY = timedelta(days=1)


@pytest.fixture
def revoke(world) -> Callable[[str, datetime], None]:
    """Return what revokes the kit key, after another has been added, and publishes."""

    def carry_out(state: str, since: datetime, key: PemSigner | None = None) -> None:
        fingerprint = (key or world.kit_signer).public.fingerprint
        moment = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        change = trust_change.revoking([fingerprint], state=state, since=moment, reason="")
        trust.carry_out(Office(world.pack, world.keys, world.now), change)

    return carry_out


@pytest.mark.parametrize(("state", "refusal"), [("retired", SignerRetired), ("compromised", SignerRevoked)])
def test_record_kept_before_the_revocation_stays_and_a_new_one_is_refused(
    world, locker, tmp_path: Path, scan_ids, revoke, state: str, refusal: type[StellaError]
) -> None:
    kept = world.record(tmp_path / "kept", rootpack=False)
    assert ingest(locker, kept, now=world.now, rootpack_directory=world.pack).status == "verified"
    revoke(state, world.now + DAY)
    again = ingest(locker, kept, now=world.now + 2 * DAY, rootpack_directory=world.pack)
    assert (again.status, again.known) == ("verified", True)
    new = world.record(tmp_path / "new", scan_ids[1], rootpack=False)
    with pytest.raises(refusal):
        ingest(locker, new, now=world.now + 2 * DAY)


def test_record_kept_after_the_compromise_is_refused(world, locker, tmp_path: Path, revoke) -> None:
    kept = world.record(tmp_path / "kept", rootpack=False)
    ingest(locker, kept, now=world.now, rootpack_directory=world.pack)
    revoke("compromised", world.now - DAY)
    with pytest.raises(SignerRevoked):
        ingest(locker, kept, now=world.now + DAY, rootpack_directory=world.pack)


def test_refused_claim_of_long_ago_is_no_date_of_intake(world, locker, tmp_path: Path, revoke) -> None:
    """A record that was refused first has a row of that day; it was taken in when it was whole."""
    record = world.record(tmp_path / "record", rootpack=False)
    bundle = next(record.glob("outputbundle*"))
    sound = bundle.read_bytes()
    bundle.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(StellaError):
        ingest(locker, record, now=world.now, rootpack_directory=world.pack)
    bundle.write_bytes(sound)
    ingest(locker, record, now=world.now + 2 * DAY)
    with locker.rows.read() as connection:
        assert connection.execute(sa.select(rows.runs.c.created_at)).scalar_one() == world.now
    revoke("compromised", world.now + DAY)
    with pytest.raises(SignerRevoked):
        ingest(locker, record, now=world.now + 3 * DAY, rootpack_directory=world.pack)


def test_old_rootpack_brought_again_does_not_forget(world, locker, tmp_path: Path, scan_ids, revoke) -> None:
    innocent = world.record(tmp_path / "innocent", scan_ids[1])
    revoke("compromised", world.now - DAY)
    with pytest.raises(SignerRevoked):
        ingest(locker, world.record(tmp_path / "first"), now=world.now)
    with pytest.raises(SignerRevoked):
        ingest(locker, innocent, now=world.now)
    assert b"compromised" in canonical.encode_record(locker.site.state)


def test_results_of_a_compromised_site_are_refused(world, locker, tmp_path: Path, revoke) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now, rootpack_directory=world.pack)
    world.run(tmp_path / "ops", record, "20260301T120000Z-00000000")
    out = world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    revoke("compromised", world.now - DAY, world.site.signer)
    with pytest.raises(SignerRevoked):
        sync.take(locker, out, now=world.now, rootpack_directory=world.pack)
