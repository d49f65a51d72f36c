"""What the locker refuses lies here untouched, with the reason beside it (docs/locker.md, "Quarantine").

An entry is ``quarantine/<tenant>/<time>-<reason>-<id>/``; its id is made of what lies in it, so that the same refusal
twice is one entry. An entry is made under another name and renamed, so that none is ever half there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import copyfile
from uuid import uuid4

from kit.bytes import canonical, digest
from kit.errors import StellaError
from kit.result import Check
from locker import rows
from locker.files import sync_directory, sync_file, typed_errors
from locker.store import Locker
from verifier.run_dir import stamp

RECORD = "record"
SITE_RESULTS = "site-results"

_SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused, why, and after which checks; ``left_behind`` has the sizes of files that are not copied."""

    tenant: str
    source: str
    error: StellaError
    files: Mapping[str, Path | bytes]
    checks: Sequence[Check] = ()
    left_behind: Mapping[str, int] = field(default_factory=dict)


def keep(locker: Locker, refusal: Refusal, *, now: datetime) -> str:
    """Put a refusal into the quarantine and on the timeline, once; return its entry's path below the quarantine."""
    listed = [{"name": name, **_measured(content)} for name, content in sorted(refusal.files.items())]
    contents: dict[str, object] = {
        "source": refusal.source,
        "reason": refusal.error.reason,
        "files": listed,
        "leftBehind": [{"name": name, "size": size} for name, size in sorted(refusal.left_behind.items())],
    }
    suffix = f"{refusal.error.reason}-{digest.hex_of(digest.of_bytes(canonical.encode(contents)))[:16]}"
    shelf = locker.quarantine / refusal.tenant
    with typed_errors("quarantine"):
        shelf.mkdir(exist_ok=True)
        entry = next(shelf.glob(f"*-{suffix}"), None)
        if entry is None:
            entry = shelf / f"{now.strftime('%Y%m%dT%H%M%SZ')}-{suffix}"
            _write(locker, refusal, contents, entry, now)
    _tell(locker, refusal, suffix, entry.relative_to(locker.quarantine).as_posix(), now)
    return entry.relative_to(locker.quarantine).as_posix()


def _measured(content: Path | bytes) -> dict[str, object]:
    if isinstance(content, bytes):
        return {"digest": digest.of_bytes(content), "size": len(content)}
    found, size = digest.of_file(content)
    return {"digest": found, "size": size}


def _write(locker: Locker, refusal: Refusal, contents: Mapping[str, object], entry: Path, now: datetime) -> None:
    staged = locker.quarantine / f".new-{uuid4()}"
    staged.mkdir()
    error = refusal.error
    described = {
        **contents,
        "schemaVersion": _SCHEMA_VERSION,
        "quarantineId": entry.name,
        "tenant": refusal.tenant,
        "quarantinedAt": stamp(now),
        "exitCode": error.exit_code,
        "sentence": error.sentence,
        "nextStep": error.next_step,
        "details": error.details,
    }
    log = "".join(
        f"{check.number:02d} {check.name} {check.state} {check.reason or ''}".rstrip() + "\n"
        for check in refusal.checks
    )
    files: dict[str, Path | bytes] = {
        **refusal.files,
        "failure-reason.txt": f"{error.reason}: {error}\n".encode("ascii", "backslashreplace"),
        "verification.log": log.encode(),
        "quarantine.json": canonical.encode(described),
    }
    for name, content in files.items():
        target = staged / name
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            copyfile(content, target)
        sync_file(target)
    sync_directory(staged)
    staged.rename(entry)
    sync_directory(entry.parent)
    sync_directory(locker.quarantine)


def _tell(locker: Locker, refusal: Refusal, suffix: str, entry: str, now: datetime) -> None:
    identity = f"{refusal.tenant}/{suffix}"
    values = {"id": identity, "tenant": refusal.tenant, "reason": refusal.error.reason, "source": refusal.source}
    with locker.rows.write() as connection:
        if rows.insert_absent(connection, rows.quarantine, {**values, "entry": entry, "created_at": now}):
            details = {"entry": entry, "reason": refusal.error.reason, "source": refusal.source}
            rows.append_event(connection, tenant=refusal.tenant, at=now, kind="evidence.quarantined", details=details)
