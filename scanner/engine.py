"""Engine identity: which code evaluates, as a canonical document and its digest (docs/matching.md section 8.1).

Two engines of one identity give the same outputs for the same inputs. The document lists every source file that an
output can depend on (``scanner`` and the bytes package of ``kit``) and the libraries that decide how a version or a
record is read. What is made of outputs afterwards, explanations and exports, is no part of it.

This is the one module of the core that reads files: those of its own package. A frozen program has no sources, so the
document that was made when it was frozen travels as ``engine.json`` beside this module.
"""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
import packaging

from kit import __version__
from kit.bytes import canonical, digest
from kit.errors import FileMissing, MalformedDocument

NAME = "stella-engine"
MATCH_CONTRACT = "osv-match/1"
EMBEDDED_FILE = "engine.json"
SOURCE_TREES = ("kit/bytes", "scanner")
"""Trees below the source root whose Python files make the engine."""
AFTERWARDS = ("scanner/explain/", "scanner/export/", "scanner/difference.py")
"""What reads outputs and writes none: the evaluation imports nothing of it."""

_MAX_BYTES = 1 << 20


class EngineFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One source file; the path is relative to the source root, with slashes."""

    path: str
    digest: str


class EngineDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What the identity is made of; files ascend by path."""

    name: str
    version: str
    contract: str
    files: tuple[EngineFile, ...]
    packages: dict[str, str]


class EngineIdentity(msgspec.Struct, frozen=True):
    """An engine document, its canonical bytes and their digest."""

    document: EngineDocument
    encoded: bytes
    digest: str


def engine_identity(files: Mapping[str, bytes], packages: Mapping[str, str]) -> EngineIdentity:
    """Return the identity of an engine made of these source files and these library versions."""
    document = EngineDocument(
        name=NAME,
        version=__version__,
        contract=MATCH_CONTRACT,
        files=tuple(EngineFile(path=path, digest=digest.of_bytes(files[path])) for path in sorted(files)),
        packages={name: packages[name] for name in sorted(packages)},
    )
    encoded = canonical.encode_record(document)
    return EngineIdentity(document, encoded, digest.of_bytes(encoded))


def from_source(root: Path) -> EngineIdentity:
    """Return the identity of the engine whose sources lie below ``root``, with the libraries installed here."""
    paths = (path.relative_to(root).as_posix() for tree in SOURCE_TREES for path in (root / tree).rglob("*.py"))
    files = {path: (root / path).read_bytes() for path in paths if not path.startswith(AFTERWARDS)}
    return engine_identity(files, {"msgspec": msgspec.__version__, "packaging": packaging.__version__})


def parse(data: bytes) -> EngineIdentity:
    """Read an engine document.

    Raises the errors of :func:`kit.bytes.canonical.decode_record`, and :class:`MalformedDocument` for another engine's
    document.
    """
    document = canonical.decode_record(data, EngineDocument, max_bytes=_MAX_BYTES)
    if document.name != NAME:
        raise MalformedDocument(path=EMBEDDED_FILE, pointer="/name", expected=NAME, found=document.name[:64])
    return EngineIdentity(document, bytes(data), digest.of_bytes(data))


def load_embedded() -> EngineIdentity:
    """Return the identity that was recorded when this program was frozen.

    Raises :class:`FileMissing` where none was embedded.
    """
    path = Path(__file__).with_name(EMBEDDED_FILE)
    try:
        data = path.read_bytes()
    except OSError:
        raise FileMissing(path=f"scanner/{EMBEDDED_FILE}") from None
    return parse(data)


@cache
def current() -> EngineIdentity:
    """Return the identity of the running engine: the embedded one in a frozen program, else that of the sources."""
    if getattr(sys, "frozen", False):
        return load_embedded()
    return from_source(Path(__file__).resolve().parents[1])
