"""The checks of an import: those of any run, with the copying of the kit in the place where its files are checked."""

from collections.abc import Callable
from pathlib import Path

from kit import layout
from kit.errors import SizeMismatch
from kit.kitfile import Kit
from verifier import ledger, listing
from verifier.checks import Examination, Facts, Request
from verifier.durable import make_directory, write_atomic
from verifier.intake_copy import Copied, Piece, check_space, copy
from verifier.kit_store import Store, check_names
from verifier.medium import Medium
from verifier.site import Site
from verifier.steps import Steps

KIT_DIRECTORY = "kit"
"""Where the kit itself lies in a staging directory."""


class CopyingExamination(Examination):
    """Makes the checks on a medium up to its files, copies these, and makes all others on the copy."""

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

    def _check_files(self, medium: Medium) -> None:
        """9. Every file is the signed one, on the medium and in the copy."""
        with self._steps.step("files") as evidence:
            self._facts.proofs = ledger.read(medium, self._path(layout.EVIDENCE_DIRECTORY))
            kit = self._kit()
            check_names(medium, kit)
            for file in kit.files:
                if medium.sizes[file.path] != file.size:
                    raise SizeMismatch(path=file.path, expected=file.size, found=medium.sizes[file.path])
            target = self._staged()
            pieces = [Piece(file.path, 0, file.size, file.digest, file.path) for file in kit.files]
            copied = gather(medium, pieces, target, self._on_piece)
            sums = medium.read(layout.SUMS_FILE, limit=medium.sizes[layout.SUMS_FILE])
            write_documents(medium, target, sums)
            evidence.update(listing.check_kit(self._move(target), kit, self._path(""), self._manifest()))
            evidence["copiedBytes"] = copied.fresh
            evidence["keptBytes"] = copied.kept

    def _kit(self) -> Kit:
        if self._facts.kit is None:
            raise SizeMismatch(path=layout.KIT_FILE)
        return self._facts.kit

    def _staged(self) -> Path:
        return self._store.staging(self._facts.kit_digest or "") / KIT_DIRECTORY


def gather(medium: Medium, pieces: list[Piece], target: Path, on_piece: Callable[[Piece], None]) -> Copied:
    """Copy pieces into a staging directory, where there is room for them."""
    make_directory(target)
    check_space(target, pieces)
    return copy(medium, pieces, target, on_piece)


def write_documents(medium: Medium, target: Path, sums: bytes) -> None:
    """Put the kit's own list, envelope and sums beside the copied files: the bytes that were verified."""
    for path in (layout.KIT_FILE, layout.KIT_ENVELOPE):
        write_atomic(target / path, medium.read(path, limit=medium.sizes[path]))
    write_atomic(target / layout.SUMS_FILE, sums)
