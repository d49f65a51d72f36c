"""What a locker gave for a kit, as files: its audit log's checkpoint, and which results came home (format.md, 10.8)."""

from pathlib import Path

from kit import layout
from kit.errors import FileMissing, LedgerUnknown, LimitExceeded, MalformedDocument, StellaError, UsageError
from kit.ledger import checkpoint, note, proof
from kit.trust.rootpack import TrustedPack
from verifier import locker_notes
from verifier.medium import read_file

GROWTH_SUFFIX = ".tlog-consistency"


def files(locker_checkpoint: Path | None, acknowledged: Path | None) -> list[tuple[str, Path]]:
    """Return the files that a kit carries of a locker: path in the kit, source file."""
    found = []
    if locker_checkpoint is not None:
        grown = locker_checkpoint.with_name(locker_checkpoint.name + GROWTH_SUFFIX)
        found += [(layout.LOCKER_CHECKPOINT, locker_checkpoint), (layout.LOCKER_GROWTH, grown)]
    if acknowledged is not None:
        found.append((layout.LOCKER_ACKNOWLEDGED, acknowledged))
    return found


def check(locker_checkpoint: Path | None, acknowledged: Path | None, pack: TrustedPack, *, at: str) -> None:
    """Raise :class:`UsageError` unless the files are what their options ask for, as every site will judge them.

    A checkpoint must be signed by a key of usage ``locker``: without one in the RootPack no site would look at it.
    """
    if locker_checkpoint is not None:
        with_growth = dict(files(locker_checkpoint, None))
        try:
            signed = read_file(locker_checkpoint, limit=note.MAX_BYTES)
            grown = read_file(with_growth[layout.LOCKER_GROWTH], limit=proof.MAX_CONSISTENCY)
            keys = pack.standing(locker_notes.USAGE, at=at).current
            opened = checkpoint.open_signed(signed, locker_notes.trust_of(keys), path=locker_checkpoint.name)
            parsed = proof.parse_consistency(grown, with_growth[layout.LOCKER_GROWTH].name)
            proof.check_consistency(parsed, opened.checkpoint, path=parsed.origin)
        except LedgerUnknown as fault:
            raise _wrong("--locker-checkpoint", locker_checkpoint, fault).then(
                "Enrol the locker's key: stella rootpack add-key audit.pub.pem --usage locker --owner NAME"
            ) from fault
        except (FileMissing, LimitExceeded, StellaError) as fault:
            raise _wrong("--locker-checkpoint", locker_checkpoint, fault).then(
                "Write both files anew: stella locker audit checkpoint --out FILE"
            ) from fault
    if acknowledged is not None:
        try:
            locker_notes.parse(read_file(acknowledged, limit=locker_notes.MAX_ACKNOWLEDGED))
        except (FileMissing, LimitExceeded, MalformedDocument) as fault:
            raise _wrong("--acknowledge", acknowledged, fault).then(
                "Write the file anew: stella sync acknowledge --out FILE"
            ) from fault


def _wrong(option: str, path: Path, fault: StellaError) -> UsageError:
    return UsageError(option=option, path=str(path), detail=f"{fault.reason}: {fault}")
