"""What an operator asked for, held against the disk before a run starts.

A path or a value that was mistyped is a usage error and leaves no evidence; what is wrong with the kit itself is for
the checks of the run (docs/format.md section 5). Names are looked up; nothing is read
but what a volume says that it is.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import msgspec

from kit import layout
from kit.errors import KitSealed, MalformedDocument, StellaError, UsageError
from kit.kitfile import MAX_BYTES
from kit.manifest import check_scan_id
from kit.volume import VOLUME_FILE, parse
from verifier.medium import read_file

MAX_REASON = 500
MAX_NAMED = 5
"""How many scans of a kit an error names."""
_MAX_LOOKED_AT = 1000
_LEVELS = 3
"""How far above a manifest its kit lies: ``<kit>/replay/<scan-id>/manifest.json``."""


class Place(msgspec.Struct, frozen=True):
    """Where a scan's manifest lies; ``taken`` says what was taken in place of what the operator named."""

    manifest: Path
    taken: str | None = None

    @property
    def kit(self) -> Path:
        """Return the directory of the kit that the manifest belongs to, going by its place."""
        return kit_of(self.manifest)


def reason(said: str | None, option: str) -> None:
    """Raise :class:`UsageError` for a reason of nothing but space, or longer than anybody reads."""
    if said is not None and not 0 < len(said.strip()) <= MAX_REASON:
        raise UsageError(option=option, detail=f"asks for a reason, of at most {MAX_REASON} characters")


def kit_of(manifest: Path) -> Path:
    """Return the directory two levels above a manifest's, as far as there are any."""
    above = manifest.absolute().parents
    return above[min(_LEVELS - 1, len(above) - 1)]


def place(named: Path, *, scan_only: bool = False) -> Place:
    """Return the manifest that an operator means by a ``manifest.json``, a scan's directory or a kit of one scan.

    Raises :class:`UsageError` for anything else. A manifest, envelope or KIT.json that is missing where the other names
    are those of a kit is no mistake of the operator's, and passes.
    """
    if named.is_dir():
        return _of_directory(named, scan_only=scan_only)
    manifest = _anchored(named.parent, scan_only=scan_only) / named.name
    if manifest.name != layout.MANIFEST_FILE:
        raise _mistaken(named, "this file is no manifest" if _exists(named) else _what_is_there(named))
    if not _is_scan(manifest.parent, scan_only=scan_only):
        raise _mistaken(named, _not_a_scan(manifest, scan_only=scan_only) if _exists(named) else _what_is_there(named))
    if not _exists(named) and not _is_file(manifest.parent / layout.MANIFEST_ENVELOPE):
        raise _mistaken(named, _what_is_there(named))
    return Place(manifest)


def kit_directory(named: Path) -> tuple[Path, str | None]:
    """Return the kit's directory that an operator means by it, or by a directory that holds it as ``offline``."""
    if not named.is_dir():
        raise UsageError(path=str(named), detail=_what_is_there(named)).then(
            "Give the directory that holds KIT.json, as it is mounted here."
        )
    if not _is_file(named / layout.KIT_FILE) and _is_file(named / OFFLINE / layout.KIT_FILE):
        return named / OFFLINE, f"taken: {named / OFFLINE}, the kit on this medium"
    return named, None


OFFLINE = "offline"
"""What a kit's directory is called on a medium, by custom."""


def active_scan(kits: Path, name: str) -> Path:
    """Return the manifest of a scan of an active kit, by its id or by as much of it as no other one begins with.

    Raises :class:`UsageError` where there is none, or several kits that are active have it.
    """
    links = sorted((kits / "current").glob("*")) if (kits / "current").is_dir() else []
    known = [manifest for link in links if not link.name.startswith(".") for manifest in scans_of(link)]
    exact = [manifest for manifest in known if manifest.parent.name == name]
    found = exact or [manifest for manifest in known if name and manifest.parent.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    near = ", ".join(manifest.parent.name for manifest in (found or known)[:MAX_NAMED]) or "no active kit is here"
    several = (
        "several scans of active kits begin so"
        if len({path.parent.name for path in found}) > 1
        else ("several active kits have this scan: name its manifest.json")
    )
    detail = several if found else "no active kit has this scan"
    raise UsageError(option="--scan", detail=detail, found=name[:64], expected=near).then(
        "See what is active: stella offline status; or give the path of the scan's manifest.json."
    )


@contextmanager
def typed(option: str) -> Iterator[None]:
    """Make a value that breaks a rule of the documents the mistake that it is when an operator typed it."""
    try:
        yield
    except MalformedDocument as error:
        details = {name: value for name, value in error.details.items() if name != "pointer"}
        raise UsageError(**(details | {"option": option})).then(
            f"Give {option} in the form that is expected."
        ) from None


def _of_directory(named: Path, *, scan_only: bool) -> Place:
    if _exists(named / layout.MANIFEST_FILE):
        found = place(named / layout.MANIFEST_FILE, scan_only=scan_only)
        return Place(found.manifest, f"taken: {named / layout.MANIFEST_FILE}")
    kit, _ = kit_directory(named)
    if not _is_file(kit / layout.KIT_FILE):
        raise _mistaken(named, "this directory is neither a kit nor a scan's")
    scans = scans_of(kit)
    if _is_file(kit / layout.SEAL_FILE):
        raise KitSealed(path=layout.SEAL_FILE)
    if _is_file(kit / VOLUME_FILE):
        raise UsageError(path=str(named), detail=f"this is {_volume(kit)}; a kit is replayed when it is whole").then(
            f"stella offline import {named}, and the other volumes with it or after it"
        )
    if len(scans) != 1:
        shown = ", ".join(path.parent.name for path in scans[:MAX_NAMED]) or "none"
        example = scans[0] if scans else kit / layout.SCANS_DIRECTORY / "<scan-id>" / layout.MANIFEST_FILE
        raise UsageError(
            path=str(named),
            detail=f"the kit holds {len(scans)} scans; name one of them",
            found=shown + (" and more" if len(scans) > MAX_NAMED else ""),
        ).then(f"Give the one you mean, such as {example}")
    anchored = _anchored(scans[0].parent, scan_only=scan_only)
    return Place(anchored / layout.MANIFEST_FILE, f"taken: {scans[0]}, the kit's only scan")


def _volume(place: Path) -> str:
    """Say which volume of which kit this claims to be."""
    with suppress(StellaError):
        record = parse(read_file(place / VOLUME_FILE, limit=MAX_BYTES))
        return f"volume {record.number} of {record.count} of kit {record.kit_id}"
    return "one volume of a kit"


def _anchored(directory: Path, *, scan_only: bool) -> Path:
    """Return a scan's directory below the real place of its kit, its own last two names as they stand.

    A link inside a kit must be met by the survey of that kit, not followed to another one before it begins.
    """
    try:
        real = directory.resolve()
        if scan_only:
            return real
        spelled = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow the links
        *_, kit = [spelled, *spelled.parents][:_LEVELS]
        anchored = kit.resolve() / spelled.relative_to(kit)
        if anchored.resolve() != real:
            raise UsageError(path=str(directory), detail="the path goes up through a link").then(
                "Give the path without '..'."
            )
    except RuntimeError:
        raise UsageError(path=str(directory), detail="links that lead in a circle") from None
    return anchored


def scans_of(kit: Path) -> list[Path]:
    """Return the manifests of a kit's scans by their places, in order; a directory that names no scan is left out."""
    directory = kit / layout.SCANS_DIRECTORY
    if not directory.is_dir():
        return []
    entries = islice(directory.iterdir(), _MAX_LOOKED_AT)
    return sorted(path / layout.MANIFEST_FILE for path in entries if _names_scan(path.name))


def _is_scan(directory: Path, *, scan_only: bool) -> bool:
    """Tell whether a manifest's directory lies as one does in a kit, or holds a record's envelope (``scan_only``)."""
    if not directory.is_dir():
        return False
    if scan_only:
        return _names_scan(directory.name) or _is_file(directory / layout.MANIFEST_ENVELOPE)
    in_kit = directory.parent.name == layout.SCANS_DIRECTORY
    return in_kit and (_names_scan(directory.name) or _is_file(directory.parents[1] / layout.KIT_FILE))


def _not_a_scan(manifest: Path, *, scan_only: bool) -> str:
    if scan_only or not _is_file(manifest.with_name(layout.MANIFEST_ENVELOPE)):
        return "there is no signed record beside it"
    if not (manifest.parent / layout.ROOTPACK_DIRECTORY).is_dir():
        return "this record lies in no kit; replays are made from kits (stella kit build)"
    return "this record lies in no kit; --scan-only accepts it alone, its order and age unchecked"


def _mistaken(named: Path, detail: str) -> UsageError:
    manifest = named.parent.absolute() / named.name
    near = scans_of(kit_of(manifest))[:MAX_NAMED]
    hint = f"Did you mean {near[0]}?" if len(near) == 1 else "Give <kit>/replay/<scan-id>/manifest.json."
    found = {"found": ", ".join(path.parent.name for path in near)} if near else {}
    return UsageError(path=str(named), detail=detail, **found).then(hint)


def _what_is_there(named: Path) -> str:
    """Say how far a path leads."""
    for parent in named.parents:
        if parent.is_dir():
            missing = named.relative_to(parent).parts[0]
            where = "here" if parent == Path() else f"in {parent}"
            return f"there is no {missing} {where}" if not _exists(parent / missing) else "this is no directory"
        if _exists(parent):
            return f"{parent} is no directory"
    return "there is nothing at this place"


def _names_scan(name: str) -> bool:
    try:
        return check_scan_id(name) == name
    except MalformedDocument:
        return False


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _is_file(path: Path) -> bool:
    """Tell whether there is a regular file, without following a link or waiting for a pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
