"""The forecast of a locker with 100,000 scans, against a plain count of the same rows."""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import measure
import sqlalchemy as sa

from locker import rows
from locker.retention import due
from locker.rows import Rows
from locker.rows.retention import declarations, objects
from locker.settings import RetentionSettings

SCANS = 100_000
NOW = datetime(2028, 3, 1, tzinfo=UTC)
BATCH = 5_000


def fill(database: Rows) -> None:
    """Write the rows of scans ingested over two years and a month, two bundles each."""
    for start in range(0, SCANS, BATCH):
        with database.write() as connection:
            made = [scan(number) for number in range(start, start + BATCH)]
            for at, table in enumerate((rows.runs, rows.bundles, rows.run_bundles, declarations, objects)):
                connection.execute(sa.insert(table), [row for one in made for row in one[at]])


def scan(number: int) -> tuple[list[dict[str, object]], ...]:
    """Return the rows of one scan, a list a table."""
    at = NOW - timedelta(minutes=number * 11)
    name, digests = f"{number:036d}", {f"{number:063x}{half}": role for half, role in enumerate(("input", "output"))}
    dates = {"purge_after": at + timedelta(days=730)}
    run = {"id": name, "tenant": "t", "manifest_hash": f"sha256:{number:064x}", "status": "verified", "created_at": at}
    run |= {"updated_at": at, "signatures": [], "outputs": {}}
    promise = {"tenant": "t", "mapping": name, "policy_id": "p", "retention_days": 730, "ingested_at": at}
    bundle = {"size": 1000, "location": "x", "content_root": "x", "created_at": at}
    return (
        [run],
        [{"digest": digest, "type": role, **bundle} for digest, role in digests.items()],
        [{"run_id": name, "bundle_digest": digest, "role": role} for digest, role in digests.items()],
        [{"digest": digest, **promise, **dates, "envelope": "x"} for digest in digests],
        [{"digest": digest, "state": "live", "tier": "hot", "hot_since": at, **dates} for digest in digests],
    )


def forecast() -> None:
    """Ask for the plan of a tenant."""
    measure.heading("retention: the plan of 100,000 scans")
    with tempfile.TemporaryDirectory() as directory:
        database = Rows(rows.url_of_file(Path(directory) / "locker.db"))
        rows.create(database, {"made": "here"})
        fill(database)
        with database.read() as connection:
            began = time.process_time()
            plan = due.plan(connection, RetentionSettings(), "t", NOW + timedelta(days=30))
            took = time.process_time() - began
        database.close()
    measure.told("", f"plan: {plan.mark.count} to mark of {plan.total}", f"{took * 1e3:.0f} ms of CPU")


if __name__ == "__main__":
    forecast()
