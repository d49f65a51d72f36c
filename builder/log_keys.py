"""Public keys of logs as they are named on the command line."""

from collections.abc import Iterable
from pathlib import Path

from builder import signer
from kit.errors import UsageError
from kit.ledger.note import NoteKey, is_name


def named(entries: Iterable[str], option: str) -> tuple[NoteKey, ...]:
    """Return keys from entries ``NAME=FILE``; the name is the log's, as in the first line of its checkpoints."""
    keys = []
    for entry in entries:
        name, _, place = entry.partition("=")
        if not place or not is_name(name):
            raise UsageError(option=option, expected="NAME=FILE, with the log's name", found=entry[:80])
        keys.append(NoteKey(name, signer.load_public(Path(place))))
    return tuple(keys)
