"""The RootPack in force at a locker: the newest that it was ever shown, kept in its store (docs/locker.md, "Trust")."""

from datetime import datetime
from io import BytesIO

import sqlalchemy as sa

from kit.bundle import BundleReader, BundleRecord, write_bundle
from kit.bytes import canonical, digest
from kit.errors import OlderThanAccepted, UsageError
from kit.trust import revocations, rootpack
from kit.trust.rootpack import RootPackFiles, TrustedPack
from locker import cas, rows
from locker.files import typed_errors
from locker.registry import MANIFEST
from locker.store import Locker
from verifier.run_dir import stamp

BUNDLE_TYPE = "rootpack"
MAX_METADATA = 1 << 20


def in_force(locker: Locker, given: RootPackFiles | None, *, now: datetime) -> tuple[TrustedPack, str]:
    """Return the newest RootPack, the given or the kept one, and the digest of its bundle in the store.

    A given pack that is newer than the kept one is kept from here on. An older one is passed over: evidence may be
    older than trust. Raises the errors of :func:`kit.trust.rootpack.load`, and :class:`UsageError` where there is no
    pack at all.
    """
    with locker.site.locked():
        if given is not None and (accepted := _accept(locker, given, now)) is not None:
            return accepted
        return _kept(locker, now)


def _accept(locker: Locker, given: RootPackFiles, now: datetime) -> tuple[TrustedPack, str] | None:
    floors = locker.site.state.floors
    try:
        pack = rootpack.load(given, pinned_root=locker.site.pinned_root, reference_time=now, floors=floors)
    except OlderThanAccepted:
        return None
    if pack.versions == floors:
        return None
    packed = BytesIO()
    record = write_bundle(packed, sorted(given.items()))
    archive = packed.getvalue()
    stored = locker.cas.put_bytes(archive, cas.BUNDLE)
    # The row first, the floors second: a crash between them leaves floors that the kept pack still meets.
    with locker.rows.write() as connection:
        rows.add_bundle(connection, stored, BUNDLE_TYPE, record.content_root, at=now)
        values = {"bundle_digest": digest.hex_of(stored.digest), "record": canonical.encode_record(record).decode()}
        if rows.insert_absent(connection, rows.rootpacks, {**values, "accepted_at": now}):
            details = {"rootVersion": pack.root_version, "expires": pack.expires, "bundle": stored.digest}
            rows.append_event(connection, tenant=rows.EVERY_TENANT, at=now, kind="rootpack.accepted", details=details)
    known = revocations.strictest(locker.site.state.revocations, pack.revoked)
    with typed_errors("site"):
        locker.site.update(floors=pack.versions, revocations=known)
    return pack.under(known), stored.digest


def _kept(locker: Locker, now: datetime) -> tuple[TrustedPack, str]:
    newest = sa.select(rows.rootpacks).order_by(rows.rootpacks.c.sequence.desc()).limit(1)
    with locker.rows.read() as connection:
        row = connection.execute(newest).one_or_none()
    if row is None:
        raise UsageError(detail="this locker has not been shown a RootPack yet; give it with --rootpack DIR")
    record = canonical.decode_record(row.record.encode(), BundleRecord)
    with (
        locker.cas.file(record.archive_digest, cas.BUNDLE, locker.work) as archive,
        BundleReader(archive, record) as bundle,
    ):
        bundle.verify()
        files = {member.path: bundle.read(member.path, limit=MAX_METADATA) for member in record.members}
    floors = locker.site.state.floors
    pack = rootpack.load(files, pinned_root=locker.site.pinned_root, reference_time=now, floors=floors)
    return pack.under(locker.site.state.revocations), record.archive_digest


def taken_in(locker: Locker, manifest_hash: str) -> str | None:
    """Return when this locker first kept a record whole, by its own rows: what a revocation is held against.

    The time of the run's row would not do: a refused claim to the same scan may have made the row long before.
    """
    documents = rows.documents.c
    held = sa.and_(documents.digest == digest.hex_of(manifest_hash), documents.type == MANIFEST)
    query = sa.select(sa.func.min(documents.created_at)).where(held)
    with locker.rows.read() as connection:
        kept = connection.execute(query).scalar_one_or_none()
    return stamp(kept) if kept is not None else None
