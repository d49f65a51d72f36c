"""Turning what a release engineer writes on the command line into the inputs of a record."""

from collections.abc import Sequence
from pathlib import Path

from builder.feeds import current_snapshot
from builder.reachability import Evidence
from builder.record import Tool
from kit import layout
from kit.bundle import BundleReader
from kit.bytes import canonical
from kit.errors import FileMissing, UsageError
from kit.manifest import Manifest
from verifier.medium import read_file

MAX_INPUT = 64 << 20
CAS_SCHEME = "cas://"


def read(path: Path) -> bytes:
    """Return an input document's bytes."""
    return read_file(path, limit=MAX_INPUT)


def feed_directories(store: Path, wanted: Sequence[str]) -> dict[str, Path]:
    """Return snapshot directories by feed name; each entry is a name in the store, or ``NAME=DIR``."""
    directories: dict[str, Path] = {}
    for entry in wanted:
        name, _, place = entry.partition("=")
        if name in directories:
            raise UsageError(detail="a feed is given twice", found=name)
        directories[name] = Path(place) if place else current_snapshot(store, name)
    return dict(sorted(directories.items()))


def vex_documents(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return VEX documents by name, the file's name without its endings."""
    documents: dict[str, bytes] = {}
    for path in paths:
        name = path.name.lower().removesuffix(".json").removesuffix(".openvex").removesuffix(".vex")
        if name in documents:
            raise UsageError(detail="two VEX documents have the same name", found=path.name)
        documents[name] = read(path)
    return dict(sorted(documents.items()))


def tools(entries: Sequence[str]) -> list[Tool]:
    """Return tools from entries ``NAME@VERSION=FILE``."""
    found = []
    for entry in entries:
        identity, _, place = entry.partition("=")
        name, _, version = identity.partition("@")
        if not (name and version and place):
            raise UsageError(detail="a tool is given as NAME@VERSION=FILE", found=entry[:80])
        if not Path(place).is_file():
            raise FileMissing(path=Path(place).name)
        found.append(Tool(name, version, Path(place)))
    return found


def evidence(entries: Sequence[str]) -> list[Evidence]:
    """Return evidence of reachability from entries ``FILE``, ``URI`` (named only) or ``URI=FILE``."""
    found = []
    for entry in entries:
        if not entry.startswith(CAS_SCHEME):
            found.append(Evidence(Path(entry).name, data=read(Path(entry))))
            continue
        uri, _, place = entry.partition("=")
        found.append(Evidence(uri, uri=uri, data=read(Path(place)) if place else None))
    return found


def summary(directory: Path, manifest: Manifest) -> dict[str, object]:
    """Return what a record says in short: its verdict and counts, from its own output bundle."""
    with BundleReader(directory / layout.OUTPUT_BUNDLE, manifest.bundles.output) as reader:
        reader.verify()
        verdict = canonical.decode(reader.read(layout.OUTPUT_MEMBERS["verdict"], limit=MAX_INPUT))
    if not isinstance(verdict, dict):
        raise UsageError(path=layout.OUTPUT_MEMBERS["verdict"])
    return {
        "record": str(directory),
        "scanId": manifest.scan.id,
        "time": manifest.scan.time,
        "subject": manifest.subject.name,
        "verdict": verdict.get("verdict", ""),
        "counts": verdict.get("counts", {}),
    }
