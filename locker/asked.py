"""What was typed at the locker's commands, held against the disk and the rules before anything is done."""

from datetime import datetime
from pathlib import Path

from kit.errors import FileMissing, LimitExceeded, UsageError
from kit.manifest import check_name, check_time
from verifier import site
from verifier.asked import typed

MAX_NOTE = 500


def read_root(path: Path) -> bytes:
    """Return the bytes of a root file; :class:`UsageError` where there is none."""
    try:
        return site.read_root(path)
    except (FileMissing, LimitExceeded) as fault:
        found = "no such file" if not path.exists() else "a directory" if path.is_dir() else "a larger file"
        raise UsageError(option="--root", path=str(path), expected="a file such as 1.root.json", found=found) from fault


def check_rootpack(path: Path | None) -> None:
    """Raise :class:`UsageError` for a directory that is no RootPack."""
    if path is not None and not (path / "metadata").is_dir():
        found = "a directory without metadata/" if path.is_dir() else "no such directory"
        raise UsageError(option="--rootpack", path=str(path), expected="a RootPack's directory", found=found)


def check_tenant(tenant: str) -> None:
    """Raise :class:`UsageError` for a name that no tenant can have."""
    with typed("--tenant"):
        check_name(tenant, "--tenant")


def moment(option: str, time: str | None) -> datetime | None:
    """Return a UTC time that was typed; :class:`UsageError` for what is none."""
    with typed(option):
        return None if time is None else check_time(time, option)


def check_note(note: str) -> None:
    """Raise :class:`UsageError` for a note that says nothing, or more than a line."""
    if not note.strip() or len(note) > MAX_NOTE or not note.isprintable():
        raise UsageError(option="--note", expected=f"one line of at most {MAX_NOTE} characters", found=note[:40])
