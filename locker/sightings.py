"""What sites say they were shown of this locker's audit log, and what is said to sites of their results.

A site that was shown another tree than the rows give is a witness that the log was rewritten (docs/locker.md, "Audit
log"). The acknowledgement names, by site, every result that is kept here.
"""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from kit.bytes import canonical, digest
from kit.syncfile import SeenLog
from locker import rows
from locker.audit_keys import DIRECTORY, keys_of
from locker.rows import EVERY_TENANT
from locker.rows.tree import RowTree
from locker.store import Locker
from verifier import locker_notes
from verifier.locker_notes import Acknowledged

CONTRADICTED = "audit.checkpoint.contradicted"


def keep(locker: Locker, site: str, logs: Iterable[SeenLog], *, now: datetime) -> tuple[SeenLog, ...]:
    """Keep what a site was shown of this locker's log; return what contradicts the rows, of which an event is left."""
    names = {key.name for key in keys_of(locker.path / DIRECTORY)}
    own = [log for log in logs if log.origin in names]
    contradicting = []
    with locker.rows.write() as connection:
        tree = RowTree(connection)
        for log in own:
            values = {"site": site, "size": log.size, "root": log.root}
            fits = 0 <= log.size <= tree.size and digest.of_raw(tree.root(log.size)) == log.root
            if not fits:
                contradicting.append(log)
            if rows.insert_absent(connection, rows.audit_sightings, {**values, "at": now}) and not fits:
                told: dict[str, object] = {**values, "origin": log.origin}
                rows.append_event(connection, tenant=EVERY_TENANT, at=now, kind=CONTRADICTED, details=told)
    return tuple(contradicting)


def acknowledgement(locker: Locker) -> bytes:
    """Return the document that tells sites which of their results are kept here, for their next kit."""
    table = rows.site_results.c
    sites: dict[str, list[str]] = {}
    with locker.rows.read() as connection:
        for row in connection.execute(sa.select(table.site, table.digest).order_by(table.site, table.digest)):
            sites.setdefault(row.site, []).append(f"sha256:{row.digest}")
    found = {site: tuple(sorted(those)) for site, those in sorted(sites.items())}
    return canonical.encode_record(Acknowledged(schema_version=locker_notes.SCHEMA_VERSION, sites=found))
