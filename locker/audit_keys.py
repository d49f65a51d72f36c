"""The audit log's key, and the highest checkpoint it ever signed, beside the database (docs/locker.md, "Audit log").

Whoever puts an older database in its place, or rewrites one, meets a checkpoint here that contradicts it.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from kit.errors import AuditForked, AuditRolledBack, SiteDamaged, StellaError
from kit.ledger import checkpoint
from kit.ledger.checkpoint import Checkpoint, Trust
from kit.ledger.note import NoteKey
from kit.trust.keys import SEED_SIZES, PemSigner, PublicKey
from locker.rows.tree import RowTree
from verifier.durable import make_directory, write_atomic
from verifier.locker_notes import log_name

DIRECTORY = "audit"
_RESTORE = (
    "Restore this file from the locker's backup. Without one, begin the audit log anew, on record: "
    'stella locker audit restart --reason "..."'
)
KEY_FILE = "audit.key.pem"
PUBLIC_FILE = "audit.pub.pem"
CHECKPOINT_FILE = "checkpoint"
RETIRED = "retired"

_ALGORITHM = "ed25519"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and the note that signs it; ``fresh``: it was made now."""

    checkpoint: Checkpoint
    note: bytes
    fresh: bool = False


def make_key(place: Path, entropy: Callable[[int], bytes]) -> None:
    """Make the key that signs checkpoints, in the directory of the audit log, unless it is there."""
    make_directory(place, mode=0o700)
    if not (place / KEY_FILE).exists():
        signer = PemSigner.from_seed(_ALGORITHM, entropy(SEED_SIZES[_ALGORITHM]))
        write_atomic(place / KEY_FILE, signer.to_pem(), mode=0o600)
    write_atomic(place / PUBLIC_FILE, signer_of(place).public.to_pem())


def key_of(place: Path) -> NoteKey:
    """Return the key by which checkpoints of a locker's audit log are checked."""
    with _own(PUBLIC_FILE):
        public = PublicKey.from_pem((place / PUBLIC_FILE).read_bytes())
    return NoteKey(log_name(public), public)


def keys_of(place: Path) -> tuple[NoteKey, ...]:
    """Return the key of a locker's audit log, and those that signed it before."""
    older = [PublicKey.from_pem(path.read_bytes()) for path in sorted((place / RETIRED).glob("*.pub.pem"))]
    return (key_of(place), *(NoteKey(log_name(public), public) for public in older))


def remembered(place: Path) -> Signed | None:
    """Return the highest checkpoint that was ever signed here, by the file beside the database."""
    path = place / CHECKPOINT_FILE
    if not path.exists():
        return None
    with _own(CHECKPOINT_FILE):
        data = path.read_bytes()
        return Signed(open_note(data, (key_of(place),)), data)


def open_note(data: bytes, keys: tuple[NoteKey, ...]) -> Checkpoint:
    """Return the checkpoint of a note that one of these keys signed."""
    return checkpoint.open_signed(data, Trust(keys), path=f"{DIRECTORY}/{CHECKPOINT_FILE}").checkpoint


def hold(connection: sa.Connection, place: Path) -> RowTree:
    """Return the audit tree of the rows, which has the highest checkpoint that was ever signed as its beginning.

    Raises :class:`AuditRolledBack` and :class:`AuditForked`.
    """
    tree = RowTree(connection)
    if (highest := remembered(place)) is not None:
        hold_checkpoint(tree, highest.checkpoint)
    return tree


def hold_checkpoint(tree: RowTree, signed: Checkpoint) -> None:
    """Raise unless a tree begins with that of a checkpoint."""
    if signed.size > tree.size:
        raise AuditRolledBack(path=f"{DIRECTORY}/{CHECKPOINT_FILE}", expected=signed.size, found=tree.size)
    if (found := tree.root(signed.size)) != signed.root:
        raise AuditForked(path=DIRECTORY, size=signed.size, expected=signed.root.hex(), found=found.hex())


def signer_of(place: Path) -> PemSigner:
    """Return the signer of a locker's audit log."""
    with _own(KEY_FILE):
        return PemSigner.from_pem((place / KEY_FILE).read_bytes())


@contextlib.contextmanager
def _own(name: str) -> Iterator[None]:
    """Read a file of the locker's own: whatever is wrong with it, nobody else is to blame."""
    try:
        yield
    except FileNotFoundError:
        raise SiteDamaged(path=f"{DIRECTORY}/{name}", detail="the file is missing").then(_RESTORE) from None
    except SiteDamaged:
        raise
    except StellaError as fault:
        raise SiteDamaged(path=f"{DIRECTORY}/{name}", detail=f"{fault.reason}: {fault}").then(_RESTORE) from None
