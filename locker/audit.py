"""The audit log's signed checkpoints (C2SP tlog-checkpoint; docs/locker.md, "Audit log").

A checkpoint is on the disk beside the database before it is in it, and there before anybody else can have it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from kit.errors import AuditForked, AuditRolledBack, AuditUnprotected, UsageError
from kit.ledger import checkpoint
from kit.ledger.checkpoint import Checkpoint
from kit.ledger.proof import ConsistencyProofs, Tree
from locker.audit_keys import (
    CHECKPOINT_FILE,
    DIRECTORY,
    KEY_FILE,
    RETIRED,
    Signed,
    hold,
    hold_checkpoint,
    key_of,
    keys_of,
    make_key,
    open_note,
    remembered,
    signer_of,
)
from locker.files import typed_errors
from locker.rows import EVERY_TENANT, append_event, audit_checkpoints
from locker.rows.tree import RowTree
from locker.store import Locker
from verifier.durable import make_directory, write_atomic

HOURLY = timedelta(hours=1)
MAX_PREFIXES = 512
"""Earlier checkpoints that one given away is proven to extend."""


def sign(locker: Locker, *, now: datetime, at_most_every: timedelta | None = None) -> Signed:
    """Sign the audit log as it is, and keep the checkpoint; return the newest.

    Nothing is signed where nothing was logged since the newest, or where that is younger than ``at_most_every``.
    Raises :class:`AuditRolledBack` and :class:`AuditForked` instead of signing what contradicts a checkpoint.
    """
    place = locker.path / DIRECTORY
    with typed_errors(DIRECTORY), locker.rows.write() as connection:
        tree = hold(connection, place)
        newest = connection.execute(_newest()).one_or_none()
        if newest is not None:
            last = Signed(open_note(newest.note.encode(), keys_of(place)), newest.note.encode())
            if last.checkpoint.origin == key_of(place).name and remembered(place) is None:
                raise AuditUnprotected(path=f"{DIRECTORY}/{CHECKPOINT_FILE}", detail="the file is missing")
            hold_checkpoint(tree, last.checkpoint)
            young = at_most_every is not None and timedelta() <= now - newest.at < at_most_every
            if last.checkpoint.size == tree.size or young:
                return last
        signer = signer_of(place)
        made = Checkpoint(key_of(place).name, tree.size, tree.root())
        signed = checkpoint.sign(made, signer)
        write_atomic(place / CHECKPOINT_FILE, signed)
        values = {"size": made.size, "at": now, "note": signed.decode()}
        connection.execute(sa.insert(audit_checkpoints).values(**values))
    return Signed(made, signed, fresh=True)


def growth(connection: sa.Connection, signed: Checkpoint) -> ConsistencyProofs:
    """Return the proof that the latest checkpoints before one are of the same log, only shorter."""
    tree = RowTree(connection, signed.size)
    sizes = sa.select(audit_checkpoints.c.size).where(audit_checkpoints.c.size.between(1, signed.size - 1))
    latest = connection.execute(sizes.order_by(audit_checkpoints.c.size.desc()).limit(MAX_PREFIXES)).scalars().all()
    proofs = tuple((Tree(size, tree.root(size)), tuple(tree.consistency(size))) for size in sorted(latest))
    return ConsistencyProofs(signed.origin, signed.size, proofs)


def restart(locker: Locker, reason: str, *, now: datetime, entropy: Callable[[int], bytes]) -> Signed:
    """Begin the audit log anew, under a new key, where what it once signed is lost; on record, and for good.

    The lost checkpoint and the old public key stay, and :func:`locker.audit_verify.verify` tells of them ever after.
    Raises :class:`UsageError` where nothing is lost, or no reason is given.
    """
    place = locker.path / DIRECTORY
    if not reason.strip():
        raise UsageError(option="--reason", detail="the reason is kept, and must not be empty")
    with locker.rows.read() as connection:
        lost = _lost(connection, place)
    key, retired = key_of(place), place / RETIRED
    make_directory(retired)
    name = key.name.rpartition("/")[2]
    write_atomic(retired / f"{name}.checkpoint", lost.note)
    write_atomic(retired / f"{name}.pub.pem", key.public.to_pem())
    details = {"lostOrigin": lost.checkpoint.origin, "lostSize": lost.checkpoint.size}
    told: dict[str, object] = {**details, "lostRoot": lost.checkpoint.root.hex(), "note": reason}
    with locker.rows.write() as connection:
        append_event(connection, tenant=EVERY_TENANT, at=now, kind="audit.restarted", details=told)
        # The new key is in its place before the event is: a cut between the two leaves a log that can be signed.
        (place / CHECKPOINT_FILE).unlink(missing_ok=True)
        (place / KEY_FILE).unlink(missing_ok=True)
        make_key(place, entropy)
    return sign(locker, now=now)


def _lost(connection: sa.Connection, place: Path) -> Signed:
    try:
        hold(connection, place)
    except (AuditRolledBack, AuditForked):
        highest = remembered(place)
        if highest is not None:
            return highest
    raise UsageError(detail="the audit log has all that it ever signed; there is nothing to begin anew")


def _newest() -> sa.Select[tuple[object, ...]]:
    return sa.select(audit_checkpoints).order_by(audit_checkpoints.c.size.desc()).limit(1)
