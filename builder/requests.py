"""Turning what a release engineer writes on the command line into the inputs of a record."""

from collections.abc import Sequence
from pathlib import Path

from builder.feeds import check_foreign, current_snapshot
from builder.reachability import Evidence
from builder.record import Tool
from builder.signer import PRIVATE_SUFFIX, PUBLIC_SUFFIX
from kit.bytes import digest
from kit.errors import FileMissing, LimitExceeded, MalformedDocument, UsageError
from kit.manifest import check_name
from kit.snapshot.records import RECORD
from verifier.asked import typed
from verifier.medium import read_file

MAX_INPUT = 64 << 20
MAX_NAME = 64
"""Characters of an input's name."""
_PUBLIC_PEM = b"-----BEGIN PUBLIC KEY"
CAS_SCHEME = "cas://"


def read(path: Path, option: str, *, limit: int = MAX_INPUT) -> bytes:
    """Return the bytes of a file that an option names; :class:`UsageError` where there is none, or a larger one."""
    try:
        return read_file(path, limit=limit)
    except FileMissing as fault:
        found = "a directory" if path.is_dir() else "no such file"
        raise UsageError(option=option, path=str(path), expected="a file", found=found) from fault
    except LimitExceeded as fault:
        raise UsageError(
            option=option, path=str(path), expected=f"at most {limit} bytes", found="a larger file"
        ) from fault


def check_private(keys: Sequence[str]) -> None:
    """Raise :class:`UsageError` for a public key that was given where a private one signs."""
    for path in map(Path, keys):
        if path.name.endswith(PUBLIC_SUFFIX) or (path.is_file() and _begins_public(path)):
            private = path.name.removesuffix(PUBLIC_SUFFIX) + PRIVATE_SUFFIX
            raise UsageError(option="--key", path=str(path), detail="this is the public key, which cannot sign").then(
                f"Give the private one, such as {path.with_name(private)}"
            )


def _begins_public(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PUBLIC_PEM)) == _PUBLIC_PEM


def feed_directories(store: Path, wanted: Sequence[str]) -> dict[str, Path]:
    """Return snapshot directories by feed name; each entry is a name in the store, or ``NAME=DIR``."""
    directories: dict[str, Path] = {}
    for entry in wanted:
        name, _, place = entry.partition("=")
        with typed("--feed"):
            check_name(name, "--feed")
        if name in directories:
            raise UsageError(option="--feed", detail="a feed is given twice", found=name)
        if place and not (Path(place) / RECORD).is_file():
            found = f"a directory without {RECORD}" if Path(place).is_dir() else "no such directory"
            raise UsageError(option="--feed", path=place, expected="a snapshot's directory", found=found)
        if place:
            check_foreign(Path(place))
        directories[name] = Path(place) if place else current_snapshot(store, name)
    return dict(sorted(directories.items()))


def vex_documents(entries: Sequence[str]) -> dict[str, bytes]:
    """Return VEX documents by name from entries ``FILE`` or ``NAME=FILE``.

    A file lends its name without its endings; one that is too long is cut, with the start of its digest behind.
    """
    documents: dict[str, bytes] = {}
    for entry in entries:
        name, path = _named(entry)
        if name in documents:
            detail = f"two documents have the name {name}; give another one: NAME={path}"
            raise UsageError(option="--vex", detail=detail, found=path.name)
        documents[name] = read(path, "--vex")
    return dict(sorted(documents.items()))


def _named(entry: str) -> tuple[str, Path]:
    """Return the name and the file of an entry; a file that has a ``=`` in its path goes before a name."""
    given, equals, place = entry.partition("=")
    if equals and not Path(entry).is_file():
        with typed("--vex"):
            return check_name(given, "--vex"), Path(place)
    path = Path(entry)
    name = path.name.lower().removesuffix(".json")
    for ending in (".openvex", ".csaf", ".cdx", ".vex"):
        name = name.removesuffix(ending)
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 9]}-{digest.hex_of(digest.of_bytes(name.encode()))[:8]}"
    try:
        return check_name(name, "--vex"), path
    except MalformedDocument as fault:
        raise UsageError(
            option="--vex",
            path=str(path),
            detail="the file's name cannot be a document's",
            expected=str(fault.details["expected"]),
        ).then("Give the document a name: --vex NAME=FILE") from None


def tools(entries: Sequence[str]) -> list[Tool]:
    """Return tools from entries ``NAME@VERSION=FILE``."""
    found = []
    for entry in entries:
        identity, _, place = entry.partition("=")
        name, _, version = identity.partition("@")
        if not (name and version and place):
            raise UsageError(option="--tool", expected="NAME@VERSION=FILE", found=entry[:80])
        with typed("--tool"):
            check_name(name, "--tool")
        if not Path(place).is_file():
            raise UsageError(option="--tool", path=place, expected="a file", found="no such file")
        found.append(Tool(name, version, Path(place)))
    return found


def evidence(entries: Sequence[str]) -> list[Evidence]:
    """Return evidence of reachability from entries ``FILE``, ``URI`` (named only) or ``URI=FILE``."""
    found = []
    for entry in entries:
        if not entry.startswith(CAS_SCHEME):
            found.append(Evidence(Path(entry).name, data=read(Path(entry), "--reachability")))
            continue
        uri, _, place = entry.partition("=")
        found.append(Evidence(uri, uri=uri, data=read(Path(place), "--reachability") if place else None))
    return found


def oci_digest(text: str | None) -> str | None:
    """Return an image's digest as it was given."""
    with typed("--oci-digest"):
        return None if text is None else digest.check(text)
