"""stella offline prune: remove copies of kits that nobody needs any more (docs/format.md section 2.6).

What is active, what a rollback may go back to, and what a receipt has told the sender stays. The site's state says what
is removed before the first byte of it is, and a copy loses its name before its bytes, so that a death at any point
leaves no half of a kit under a kit's name; the same command again completes.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import msgspec

from kit import result as results
from kit.bytes import digest
from kit.errors import UsageError
from verifier import evidence, site_kits
from verifier.durable import part_of, sync_directory
from verifier.kit_store import IDENTITY_DIGITS, Store
from verifier.medium import read_file
from verifier.run_dir import stamp
from verifier.site import Site
from verifier.site_kits import Pruning

KEPT_BEFORE = 1
"""How many kits before the active one of a channel stay for a rollback, unless the operator says otherwise."""


class Wanted(msgspec.Struct, frozen=True):
    """What an operator asks for: ``keep`` earlier kits a channel; ``unfinished`` copies as well.

    ``forget`` is the reason to remove what a receipt has told the sender.
    """

    kits: Path
    ops: Path
    keep: int = KEPT_BEFORE
    unfinished: bool = False
    forget: str | None = None
    dry_run: bool = False


class Copy(msgspec.Struct, frozen=True):
    """One directory of the kept kits: ``kind`` is kit, unfinished or leftover; ``why`` it stays, if it does."""

    path: Path
    kind: str
    size: int
    why: str | None = None


class Pruned(msgspec.Struct, frozen=True):
    """What was removed, or would be, and what stays."""

    removed: tuple[Copy, ...]
    kept: tuple[Copy, ...]

    @property
    def size(self) -> int:
        """Return how many bytes the removed copies took on the disk."""
        return sum(one.size for one in self.removed)


def prune(site: Site, wanted: Wanted, now: datetime) -> Pruned:
    """Remove what nobody needs, on record; with ``dry_run`` only tell.

    Raises :class:`UsageError` where nobody can tell what the newest receipt promised, :class:`kit.errors.NotWritable`
    while another command changes the kits.
    """
    if wanted.forget is not None and not wanted.forget.strip():
        raise UsageError(option="--forget-receipts", detail="the reason is kept, and must not be empty")
    store = Store(wanted.kits)
    if not wanted.dry_run:
        store.prepare()
    with nullcontext() if wanted.dry_run else _alone(store, site):
        copies = [*_copies(store, site, wanted)]
        found = Pruned(
            tuple(one for one in copies if one.why is None), tuple(one for one in copies if one.why is not None)
        )
        if not wanted.dry_run:
            _record(site, wanted, found, stamp(now))
            for one in found.removed:
                _remove(store, one)
    return found


@contextmanager
def _alone(store: Store, site: Site) -> Iterator[None]:
    with store.locked(), site.locked():
        yield


def _copies(store: Store, site: Site, wanted: Wanted) -> Iterator[Copy]:
    """Yield every copy, with the reason why it stays."""
    reasons = _reasons(store, site, wanted)
    known = {digest.hex_of(kit.digest)[:IDENTITY_DIGITS] for kit in site.state.accepted if ":" in kit.digest}
    for path in _directories(store.kits):
        kind = "leftover" if path.name.startswith(".") else "kit"
        yield Copy(path, kind, _size(path), reasons.get(path.name) if kind == "kit" else None)
    for path in _directories(store.incoming):
        stays = not wanted.unfinished and path.name not in known
        why = "an import of it goes on from here (--unfinished removes it)" if stays else None
        yield Copy(path, "unfinished", _size(path), why)


def _reasons(store: Store, site: Site, wanted: Wanted) -> dict[str, str]:
    """Return why kits stay, by the name of their directory."""
    reasons: dict[str, str] = {}
    if wanted.forget is None:
        # By the state for each channel, and by the receipts, whose loss must not look like having promised nothing.
        told = {*site_kits.promised(site.state.activations).values(), _promised(site, wanted.ops)}
        reasons |= dict.fromkeys(filter(None, told), "the newest receipt has told the sender that it is here")
    for channel, entry in site_kits.active(site.state.activations).items():
        before = site_kits.earlier(site.state.activations, channel)[: wanted.keep]
        for one in before:
            if one.place is None:
                reasons[one.kit_id] = f"for a rollback of channel {channel}"
        if entry.place is None:
            reasons[entry.kit_id] = f"active in channel {channel}"
    # What the link leads to stays whatever the state says: somebody may be reading it.
    for link in sorted(store.current.iterdir()) if store.current.is_dir() else []:
        if link.is_symlink():
            reasons.setdefault(link.readlink().name, f"the link of channel {link.name} leads to it")
    return reasons


def _promised(site: Site, ops: Path) -> str | None:
    """Return the kit that the newest receipt which accepts one names: the sender may build on its being here.

    The chain of receipts is followed from the one that the site remembers, so that nobody can slip in another.
    """
    wanted = site.state.last_receipt
    if wanted is None:
        return None
    there: dict[str, bytes] = {}
    for path in (ops / "replay").glob(f"*/*/{evidence.RECEIPT_FILE}"):
        read = read_file(path, limit=results.MAX_BYTES)
        there[digest.of_bytes(read)] = read
    while wanted is not None:
        if (data := there.get(wanted)) is None:
            raise UsageError(
                path=str(ops), detail="a receipt is not here, so nobody can tell what it has promised", expected=wanted
            ).then('Give the place of the runs: --ops DIR. Or forget the promise: --forget-receipts "why".')
        receipt = results.parse_receipt(data)
        if receipt.verdict != results.REFUSED and receipt.kit_id is not None:
            return receipt.kit_id
        wanted = receipt.previous
    return None


def _record(site: Site, wanted: Wanted, found: Pruned, now: str) -> None:
    """Write down what will be removed; leftovers have been written down when they were kits."""
    kits = tuple(one.path.name for one in found.removed if one.kind == "kit")
    unfinished = tuple(one.path.name for one in found.removed if one.kind == "unfinished")
    if kits or unfinished:
        entry = Pruning(at=now, kits=kits, unfinished=unfinished, size=found.size, forgot=wanted.forget)
        site.update(prunings=(*site.state.prunings, entry))


def _remove(store: Store, one: Copy) -> None:
    """Take a copy's name away, then its bytes."""
    doomed = one.path
    if one.kind != "leftover":
        doomed = part_of(store.kits / one.path.name)
        one.path.rename(doomed)
        sync_directory(one.path.parent)
        sync_directory(store.kits)
    shutil.rmtree(doomed)
    sync_directory(store.kits)


def _directories(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink()) if place.is_dir() else []


def _size(place: Path) -> int:
    """Return what a directory takes on the disk."""
    total = 0
    for directory, _, files in os.walk(place):
        total += sum((Path(directory) / name).lstat().st_blocks * 512 for name in files)
    return total
