"""Any VEX document: its format is told by what only that format has (docs/matching.md section 6.1)."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from kit.bytes.canonical import decode_foreign
from kit.bytes.digest import of_bytes
from kit.errors import MalformedDocument, StellaError
from scanner.foreign import MalformedPart, Record
from scanner.vex import csaf, cyclonedx, openvex
from scanner.vex.model import VexDocument
from scanner.vex.reading import Allowance, Reading

MAX_BYTES: Final = 64 << 20

_Format = tuple[str, Callable[[Reading, Record], None]]


def read_vex(
    name: str, data: bytes, allowance: Allowance | None = None, *, wanted: AbstractSet[str] | None = None
) -> VexDocument:
    """Read one document; ``name`` is what references to its statements call it.

    ``allowance`` is what all documents of a run share; ``wanted`` are the ids, in capital letters, that statements are
    kept for, all by default: what is listed and refused does not depend on it. A statement that cannot be read is
    listed in ``skipped``; a document that is malformed, of no known format, or without any statement that can be
    used is refused (``MalformedDocument``, ``DuplicateMember``, ``UnsupportedVersion``, ``LimitExceeded``).
    """
    allowance = allowance or Allowance()
    allowance.document(name, len(data))
    try:
        document = decode_foreign(data, max_bytes=MAX_BYTES)
        if not isinstance(document, dict):
            raise MalformedDocument(pointer="", detail="a VEX document is a JSON object")
        form, read = _format(document)
        reading = Reading(name, of_bytes(data), allowance, wanted)
        read(reading, document)
        return reading.done(form)
    except MalformedPart as fault:
        raise MalformedDocument(path=name, pointer=fault.pointer, detail=fault.detail) from None
    except StellaError as refusal:
        raise type(refusal)(**{"path": name, **refusal.details}) from None


def _format(document: Record) -> _Format:
    """Return the one format whose mark the document bears; two marks are two contents."""
    found: list[_Format] = []
    if "@context" in document:
        found.append(("OpenVEX", openvex.read))
    if isinstance(about := document.get("document"), dict) and "csaf_version" in about:
        found.append(("CSAF", csaf.read))
    if "bomFormat" in document:
        found.append(("CycloneDX", cyclonedx.read))
    if len(found) != 1:
        detail = "of several formats at once" if found else "neither OpenVEX, CSAF nor CycloneDX in JSON"
        raise MalformedDocument(pointer="", detail=detail)
    return found[0]
