"""The audit log: what an append costs, and deriving 100,000 events anew, against hashing the same leaves.

Usage: python -m bench.bench_audit [EVENTS] [DATABASE-URL]
"""

import hashlib
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from kit.errors import StellaError
from locker import audit_keys, audit_leaf, audit_verify, rows
from locker.acting import Acting
from locker.audit_leaf import Event
from locker.rows import Rows
from locker.rows.tree import RowTree

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Bare:
    """As much of a locker as the audit needs."""

    def __init__(self, path: Path, database: Rows) -> None:
        self.path = path
        self.rows = database


def appended(database: Rows, count: int, batch: int) -> float:
    """Append events, so many a transaction; return the seconds that one takes."""
    began = time.perf_counter()
    for start in range(0, count, batch):
        with database.write() as connection:
            for number in range(start, min(start + batch, count)):
                details = {"scanId": f"{number:036d}", "manifestHash": "sha256:" + "0" * 64}
                rows.append_event(connection, tenant="t", at=AT, kind="evidence.ingested", details=details)
    return (time.perf_counter() - began) / count


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        database = Rows(sys.argv[2] if len(sys.argv) > 2 else rows.url_of_file(base / "locker.db"))
        rows.create(database, {"pinnedRoot": "none"})
        database.act(Acting("system:bench", request="0" * 36))
        audit_keys.make_key(base / audit_keys.DIRECTORY, bytes)
        one, many = appended(database, 500, 1), appended(database, count - 500, 1000)
        with database.read() as connection:
            events = [Event(**row) for row in connection.execute(sa.select(rows.events)).mappings()]
            began = time.perf_counter()
            tree = RowTree(connection)
            for at in range(0, tree.size, max(1, tree.size // 100)):
                tree.inclusion(at)
            proving = (time.perf_counter() - began) / 100
        leaves = [audit_leaf.encode(event) for event in events]
        began = time.process_time()
        for leaf in leaves:
            hashlib.sha256(b"\x00" + leaf).digest()
        hashing = time.process_time() - began
        del events, leaves
        began = time.process_time()
        report = audit_verify.verify(Bare(base, database))  # type: ignore[arg-type]
        verifying = time.process_time() - began
        if report.faults:
            raise StellaError(detail=str(report.faults[0]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"append: {one * 1e3:.2f} ms alone with its commit, {many * 1e6:.0f} us among 1,000")
        print(f"a proof: {proving * 1e3:.2f} ms")
        print(f"verify {report.size} events: {verifying:.2f} s CPU, hashing their leaves: {hashing:.3f} s, {peak} MiB")
        print(f"ratio: {verifying / hashing:.0f}")
        database.close()


if __name__ == "__main__":
    main()
