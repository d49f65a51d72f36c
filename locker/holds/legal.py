"""Making, showing and releasing legal holds (docs/locker.md, "Holds").

A hold's list is frozen when it is made; one that looks ahead grows at later ingests. What stops a purge is the row,
written in one transaction with its event; the store's own hold bit comes on top, where a store has one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from kit.bytes import digest as digests
from kit.errors import RefusedByHold, ServerUnreachable, UsageError
from kit.manifest import check_time
from locker import rows
from locker.holds import components, listing, matching, object_lock
from locker.retention.admit import PENDING_BIT, add_to_hold
from locker.retention.promises import is_held
from locker.rows.retention import (
    ACTIVE,
    ALL,
    COMPONENT,
    DELETING,
    DIGEST,
    RELEASED,
    SCOPES,
    TIME_RANGE,
    TOMBSTONE,
    hold_objects,
    holds,
    objects,
)
from locker.who import same
from verifier.asked import typed
from verifier.run_dir import stamp

if TYPE_CHECKING:
    from locker.store import Locker

Answer = dict[str, object]
MAX_REASON = 2000
SHORT = 8
"""Digits of a hold's id by which it can be asked for."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a hold is to cover: one of the four kinds, with what that kind needs."""

    kind: str
    digests: tuple[str, ...] = ()
    purl: str = ""
    start: str = ""
    end: str = ""

    def asked(self) -> dict[str, object]:
        """Return the scope's own values, checked; :class:`UsageError` for what is missing, malformed or too much."""
        given = {DIGEST: bool(self.digests), COMPONENT: bool(self.purl), TIME_RANGE: bool(self.start or self.end)}
        if self.kind not in SCOPES:
            raise UsageError(option="--scope", expected=" | ".join(SCOPES), found=self.kind[:64])
        if wrong := [kind for kind, there in given.items() if there and kind != self.kind]:
            raise UsageError(option="--scope", detail=f"{self.kind} takes no value of scope {wrong[0]}")
        if self.kind != ALL and not given[self.kind]:
            raise UsageError(option="--scope", detail=f"{self.kind} needs its value", expected=_NEEDS[self.kind])
        if self.kind == DIGEST:
            with typed("--digest"):
                return {"digests": sorted({digests.check(each) for each in self.digests})}
        if self.kind == COMPONENT:
            components.named(self.purl)
            return {"purl": self.purl}
        return self._range() if self.kind == TIME_RANGE else {}

    def _range(self) -> dict[str, object]:
        for option, value in (("--from", self.start), ("--to", self.end)):
            with typed(option):
                check_time(value, option)
        if self.start > self.end:
            raise UsageError(option="--to", detail="is before --from", expected=f"after {self.start}", found=self.end)
        return {"from": self.start, "to": self.end}


_NEEDS = {DIGEST: "--digest SHA256", COMPONENT: "--component PURL", TIME_RANGE: "--from TIME --to TIME"}


@dataclass(frozen=True, slots=True)
class Made:
    """A hold that was made: what it holds, and what it came too late for."""

    id: str
    held: int
    too_late: tuple[str, ...] = ()
    bits: Mapping[str, int] = field(default_factory=dict)


def create(
    locker: "Locker",
    tenant: str,
    scope: Scope,
    *,
    who: str,
    reason: str,
    now: datetime,
    entropy: Callable[[int], bytes],
    future: bool = False,
) -> Made:
    """Hold everything in a scope; the hold, its list and its event are one transaction.

    What was deleted before, or is nowhere to be found any more, is in ``too_late``. Raises :class:`UsageError` for a
    scope in which there is nothing, unless the hold looks ahead.
    """
    asked, text = scope.asked(), _reason(reason)
    name = str(UUID(bytes=entropy(16), version=4))
    with locker.writing():
        if scope.kind == COMPONENT:
            listing.bring_up_to_date(locker, tenant)
        with locker.rows.write() as connection:
            found = matching.matched(connection, tenant, scope.kind, asked)
            late = [each for each in found if _is_gone(connection, locker, each)]
            kept = sorted(set(found) - set(late))
            if not kept and not future:
                detail = "what this covers was purged before" if late else "nothing in the locker is covered by this"
                raise UsageError(option="--scope", detail=detail, found=scope.kind)
            connection.execute(
                sa.insert(holds).values(
                    id=name, tenant=tenant, status=ACTIVE, scope=scope.kind, asked=asked, future=future, reason=text,
                    created_by=who, created_at=now,
                )
            )  # fmt: skip
            for each in kept:
                add_to_hold(connection, name, tenant, each, now=now)
            details = {"hold": name, "scope": scope.kind, **asked, "future": future, "reason": text, "by": who}
            details |= {"objects": len(kept), "tooLate": len(late), "list": _list_digest(kept)}
            rows.append_event(connection, tenant=tenant, at=now, kind="replay.hold.created", details=details)
        bits = settle_bits(locker, tenant, name)
    return Made(name, len(kept), tuple(f"sha256:{each}" for each in late), bits)


def release(locker: "Locker", tenant: str, asked: str, *, who: str, reason: str, now: datetime) -> Answer:
    """Release a hold; what no other hold touches may be purged again once it is due.

    Raises :class:`RefusedByHold` where ``locker.toml`` asks for a second person and ``who`` made the hold,
    :class:`UsageError` for one that is unknown or released.
    """
    text = _reason(reason)
    with locker.writing():
        with locker.rows.write() as connection:
            hold = _one(connection, tenant, asked)
            if hold.status != ACTIVE:
                raise UsageError(detail="this hold was released before", found=hold.id)
            if locker.settings.holds.second_person and same(hold.created_by, who):
                raise RefusedByHold(path=hold.id, detail="somebody else than its creator must release it", found=who)
            changes = {"status": RELEASED, "released_by": who, "released_at": now, "release_reason": text}
            connection.execute(sa.update(holds).where(holds.c.id == hold.id).values(**changes))
            details = {"hold": hold.id, "by": who, "reason": text, "createdBy": hold.created_by}
            rows.append_event(connection, tenant=tenant, at=now, kind="replay.hold.released", details=details)
        settle_bits(locker, tenant, hold.id)
    return show(locker, tenant, hold.id)


def list_holds(locker: "Locker", tenant: str, *, status: str | None = None) -> list[Answer]:
    """Return a tenant's holds, the newest first, with how many bundles each holds."""
    wanted = sa.select(holds).where(holds.c.tenant == tenant)
    if status is not None:
        if status not in (ACTIVE, RELEASED):
            raise UsageError(option="--status", expected=f"{ACTIVE} | {RELEASED}", found=status[:64])
        wanted = wanted.where(holds.c.status == status)
    with locker.rows.read() as connection:
        found = connection.execute(wanted.order_by(holds.c.created_at.desc(), holds.c.id)).all()
        return [_described(connection, row) for row in found]


def show(locker: "Locker", tenant: str, asked: str) -> Answer:
    """Return everything about a hold, by its id or the id's first digits, with the bundles on its list."""
    with locker.rows.read() as connection:
        row = _one(connection, tenant, asked)
        answer = _described(connection, row)
        listed = sa.select(hold_objects).where(hold_objects.c.hold_id == row.id).order_by(hold_objects.c.digest)
        answer["list"] = [
            {"object": f"sha256:{one.digest}", "addedAt": stamp(one.added_at), "storeHold": one.store_bit}
            for one in connection.execute(listed)
        ]
    return answer


def settle_bits(locker: "Locker", tenant: str, hold: str | None = None) -> dict[str, int]:
    """Bring the stores' own holds up to the rows; return how many bundles got which answer.

    Of one hold, or of every active one whose bits are not on yet. A bit stays on while any hold needs it.
    """
    table = hold_objects.c
    wanted = sa.select(table.hold_id, table.digest).where(table.tenant == tenant)
    if hold is not None:
        wanted = wanted.where(table.hold_id == hold)
    else:
        unsettled = sa.or_(table.store_bit == PENDING_BIT, table.store_bit.startswith("failed"))
        wanted = wanted.where(unsettled)
    with locker.rows.read() as connection:
        found = [
            (row.hold_id, row.digest, is_held(connection, row.digest))
            for row in connection.execute(wanted.order_by(table.digest)).all()
        ]
    if not found:
        return {}
    answers: dict[str, int] = {}
    told = {digest: _set_bit(locker, digest, on=held) for _, digest, held in found}
    with locker.rows.write() as connection:
        for name, digest, _ in found:
            mine = sa.and_(table.hold_id == name, table.digest == digest)
            connection.execute(sa.update(hold_objects).where(mine).values(store_bit=told[digest]))
            answers[told[digest]] = answers.get(told[digest], 0) + 1
    return answers


def _set_bit(locker: "Locker", digest: str, *, on: bool) -> str:
    """Set or clear the bit in whichever stores have the bundle; the worst answer counts."""
    named = f"sha256:{digest}"
    try:
        stores = locker.tiers.stores_with(named)
        answers = [object_lock.set_hold(store, named, on=on) for store in stores]
    except ServerUnreachable as fault:
        return f"failed: {fault.details.get('detail', fault.reason)}"[:256]
    return next((each for each in answers if each.startswith("failed")), answers[0] if answers else object_lock.NO_LOCK)


def _is_gone(connection: sa.Connection, locker: "Locker", digest: str) -> bool:
    """Tell whether a bundle was purged, or was being deleted and its bytes are gone."""
    state = connection.execute(sa.select(objects.c.state).where(objects.c.digest == digest)).scalar_one_or_none()
    if state == DELETING:
        return not locker.tiers.stores_with(f"sha256:{digest}")
    return state == TOMBSTONE


def _one(connection: sa.Connection, tenant: str, asked: str) -> sa.Row[tuple[object, ...]]:
    """Return the one hold whose id is asked for, or begins so."""
    mine = sa.select(holds).where(holds.c.tenant == tenant)
    found = connection.execute(mine.where(holds.c.id.startswith(asked, autoescape=True)).limit(2)).all()
    if len(found) != 1 or len(asked) < SHORT:
        raise UsageError(detail="the locker does not know this hold", found=asked[:64])
    return found[0]


def _described(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> Answer:
    answer: Answer = {
        "id": row.id,
        "tenant": row.tenant,
        "status": row.status,
        "scope": row.scope,
        **row.asked,
        "future": row.future,
        "reason": row.reason,
        "createdBy": row.created_by,
        "createdAt": stamp(row.created_at),
    }
    if row.released_at is not None:
        answer |= {"releasedBy": row.released_by, "releasedAt": stamp(row.released_at)}
        answer["releaseReason"] = row.release_reason
    bit = hold_objects.c.store_bit
    counted = sa.select(bit, sa.func.count()).where(hold_objects.c.hold_id == row.id).group_by(bit).order_by(bit)
    bits = {str(name): int(count) for name, count in connection.execute(counted)}
    answer["objects"] = sum(bits.values())
    answer["storeHolds"] = bits
    return answer


def _list_digest(kept: list[str]) -> str:
    return digests.of_bytes("".join(f"{each}\n" for each in kept).encode())


def _reason(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > MAX_REASON:
        raise UsageError(option="--reason", detail=f"a reason has 1 to {MAX_REASON} characters", found=len(text))
    return text
