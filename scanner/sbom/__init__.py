"""Readers of SBOM documents, one file a format (docs/matching.md section 2)."""

from collections.abc import Callable
from typing import Final

from kit.bytes.canonical import decode_foreign
from kit.bytes.digest import of_bytes
from kit.errors import MalformedDocument, UnsupportedVersion
from scanner.foreign import MalformedPart, Record, Skipped
from scanner.sbom import cyclonedx, spdx2
from scanner.sbom.model import Component, Sbom, normalised

__all__ = ["Component", "Sbom", "Skipped", "normalised", "read_sbom"]

MAX_BYTES: Final = 64 << 20


def read_sbom(data: bytes) -> Sbom:
    """Read an SBOM in CycloneDX 1.2 to 1.7 or SPDX 2.2 or 2.3, both JSON.

    A part that is malformed is listed in ``skipped``; a document that is malformed, of another format or too large is
    refused (``MalformedDocument``, ``DuplicateMember``, ``UnsupportedVersion``, ``LimitExceeded``).
    """
    document = decode_foreign(data, max_bytes=MAX_BYTES)
    if not isinstance(document, dict):
        raise MalformedDocument(pointer="", detail="an SBOM is a JSON object")
    try:
        return _reader(document)(document, of_bytes(data))
    except MalformedPart as fault:
        raise MalformedDocument(pointer=fault.pointer, detail=fault.detail) from None


def _reader(document: Record) -> Callable[[Record, str], Sbom]:
    if document.get("bomFormat") == "CycloneDX":
        return cyclonedx.read
    if "spdxVersion" in document:
        return spdx2.read
    if "@graph" in document:
        raise UnsupportedVersion(detail="SPDX", expected="SPDX-2.2 or SPDX-2.3", found="SPDX 3")
    raise MalformedDocument(pointer="", detail="neither CycloneDX nor SPDX in JSON")
