"""The checks of an import: those of any run, with the copying of the kit in the place where its files are checked."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kit import kitfile, layout, volume
from kit.bytes import digest
from kit.errors import DigestMismatch, EvidenceMissing, SizeMismatch
from kit.kitfile import Kit
from kit.volume import Piece
from verifier import ledger, listing, volumes
from verifier.checks import Examination, Facts, Request
from verifier.durable import make_directory, write_atomic
from verifier.intake_copy import Copied, check_space, copy
from verifier.kit_store import Store, check_names
from verifier.medium import Medium
from verifier.site import Site
from verifier.steps import Steps
from verifier.volumes import Gathered, OnMedium

KIT_DIRECTORY = "kit"
"""Where the kit itself lies in a staging directory."""
VOLUMES_DIRECTORY = "volumes"
"""Where a staging directory has a mark for each volume that was taken."""


class _Gathering(Examination):
    """What both kinds of import have: where the kit is gathered, and who hears of each piece."""

    def __init__(
        self,
        request: Request,
        site: Site,
        steps: Steps,
        facts: Facts,
        *,
        store: Store,
        on_piece: Callable[[Piece], None],
    ) -> None:
        super().__init__(request, site, steps, facts)
        self._store = store
        self._on_piece = on_piece

    def _kit(self) -> Kit:
        if self._facts.kit is None:
            raise EvidenceMissing(path=layout.KIT_FILE)
        return self._facts.kit

    def _staged(self) -> Path:
        return self._store.staging(self._facts.kit_digest or "") / KIT_DIRECTORY


class CopyingExamination(_Gathering):
    """Makes the checks on a medium up to its files, copies these, and makes all others on the copy."""

    def _check_files(self, medium: Medium) -> None:
        """9. Every file is the signed one, on the medium and in the copy."""
        with self._steps.step("files") as evidence:
            self._facts.proofs = ledger.read(medium, self._path(layout.EVIDENCE_DIRECTORY))
            kit = self._kit()
            bundles, stamps = self._check_sigstore(medium), self._facts.kit_stamps
            check_names(medium, kit, stamps)
            for file in kit.files:
                if medium.sizes[file.path] != file.size:
                    raise SizeMismatch(path=file.path, expected=file.size, found=medium.sizes[file.path])
            target = self._staged()
            pieces = [
                Piece(path=file.path, offset=0, size=file.size, digest=file.digest, stored=file.path)
                for file in kit.files
            ]
            copied = gather(medium, pieces, target, self._on_piece)
            sums = medium.read(layout.SUMS_FILE, limit=medium.sizes[layout.SUMS_FILE])
            write_documents(medium, target, sums, stamps)
            evidence.update(listing.check_kit(self._move(target), kit, self._path(""), self._manifest(), stamps))
            if bundles:
                evidence["sigstoreBundles"] = len(bundles)
            evidence["copiedBytes"] = copied.fresh
            evidence["keptBytes"] = copied.kept


def gather(medium: Medium, pieces: list[Piece], target: Path, on_piece: Callable[[Piece], None]) -> Copied:
    """Copy pieces into a staging directory, where there is room for them."""
    make_directory(target)
    check_space(target, pieces)
    return copy(medium, pieces, target, on_piece)


def write_documents(medium: Medium, target: Path, sums: bytes, stamps: Sequence[str] = ()) -> None:
    """Put what no list names beside the copied files: the kit's list, envelope, time stamps, sums, as verified."""
    for path in (layout.KIT_FILE, layout.KIT_ENVELOPE, *stamps):
        make_directory((target / path).parent)
        write_atomic(target / path, medium.read(path, limit=medium.sizes[path]))
    write_atomic(target / layout.SUMS_FILE, sums)


class VolumesExamination(_Gathering):
    """Makes the checks on volumes, gathers their pieces, and makes all others on the kit that they give."""

    def __init__(
        self,
        request: Request,
        site: Site,
        steps: Steps,
        facts: Facts,
        *,
        store: Store,
        on_piece: Callable[[Piece], None],
        roots: Sequence[Path],
    ) -> None:
        super().__init__(request, site, steps, facts, store=store, on_piece=on_piece)
        self._roots = roots

    def intact(self) -> None:
        """Make every check up to the replay, as far as the volumes that are there allow."""
        with self._steps.step("media") as evidence:
            gathered = volumes.gather(self._roots)
            first = gathered.first.medium
            media = [one.medium for one in gathered.given.values()]
            evidence["volumes"] = [one.text for one in gathered.given.values()]
            evidence["bytes"] = sum(sum(medium.sizes.values()) for medium in media)
        self._check_rootpack(first)
        self._check_kit(first)
        self._check_scan(self._join(gathered))

    def _join(self, gathered: Gathered) -> Medium:
        """8. Each volume is signed, its pieces are the signed ones, and with those taken before none is missing."""
        with self._steps.step("volumes") as evidence:
            kit, record, target = self._kit(), gathered.first.record, self._staged()
            taken = Staged(target.parent, record)
            for number, one in sorted(gathered.given.items()):
                self._check_record(one, evidence)
                if number not in taken.numbers():
                    copied = gather(one.medium, volume.pieces_of(one.record, kit), target, self._on_piece)
                    evidence[f"copiedBytes{number}"] = copied.fresh
                    taken.add(number)
            evidence["taken"] = volume.numbers_text(taken.numbers())
            gathered.check_complete(taken.numbers())
            first = gathered.first.medium
            named = [(file.path, file.digest) for file in kit.files]
            named += [
                (path, digest.of_bytes(first.read(path, limit=first.sizes[path])))
                for path in (layout.KIT_FILE, layout.KIT_ENVELOPE)
            ]
            write_documents(first, target, kitfile.sums(named))
        return self._move(target)

    def _check_record(self, one: OnMedium, evidence: dict[str, object]) -> None:
        """Hold a volume's record against its signers; what it says is what was read before."""
        signed = self._check_envelope(one.medium, volume.VOLUME_ENVELOPE, evidence)[1]
        raw = one.medium.read(volume.VOLUME_FILE, limit=kitfile.MAX_BYTES)
        if volume.check_statement(signed.payload, raw) != one.record:
            raise DigestMismatch(path=volume.VOLUME_FILE)

    def _check_volumes(self) -> None:
        """8 was made before: without it there was no manifest to check."""


class Staged:
    """Which volumes of one set have been taken, so that a drive may hold one at a time."""

    def __init__(self, staging: Path, record: volume.Volume) -> None:
        self._directory = staging / VOLUMES_DIRECTORY
        self._name = f"{digest.hex_of(record.set)[:16]}-{record.count:03d}"

    def numbers(self) -> list[int]:
        """Return the numbers of those that were taken."""
        names = [path.name for path in self._directory.glob(f"{self._name}-*")] if self._directory.is_dir() else []
        return sorted(int(name.rpartition("-")[2]) for name in names)

    def add(self, number: int) -> None:
        """Remember that every piece of a volume is in its place."""
        make_directory(self._directory)
        write_atomic(self._directory / f"{self._name}-{number:03d}", b"")
