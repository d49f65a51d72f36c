"""What became of an advisory record between two snapshots (docs/matching.md section 9.2)."""

from scanner import difference
from scanner.difference import Change
from scanner.explain.pairing import RecordKey
from scanner.explain.sides import Views


def record_change(before: Views, after: Views, record: RecordKey) -> Change:
    """Return how a record differs between the recorded and the replayed side.

    One id may stand for several records; they are compared as sets.
    """
    feed, identifier = record
    old, new = before.get(record, []), after.get(record, [])
    members: tuple[str, ...] = ()
    if not old:
        cause, said = difference.FEED_RECORD_ADDED, "added to"
    elif not new:
        cause, said = difference.FEED_RECORD_REMOVED, "removed from"
    elif all(one.withdrawn for one in new) and not all(one.withdrawn for one in old):
        cause, said = difference.FEED_RECORD_WITHDRAWN, "withdrawn in"
    else:
        cause, said = difference.FEED_RECORD_CHANGED, "changed in"
        names = {name for one in (*old, *new) for name in one.members}
        members = tuple(
            sorted(
                name
                for name in names
                if {one.members.get(name) for one in old} != {one.members.get(name) for one in new}
            )
        )
    told = f": {', '.join(members)}" if members else ""
    return Change(
        id=f"feeds/{feed}/{identifier}", cause=cause, detail=f"{identifier} {said} feed {feed}{told}", members=members
    )
