"""Readers of SBOM documents, one file a format (docs/matching.md section 2)."""

from typing import Final

from kit.bytes.canonical import decode_foreign
from kit.bytes.digest import of_bytes
from kit.errors import LimitExceeded, MalformedDocument
from scanner.foreign import MalformedPart, Skipped
from scanner.sbom import cyclonedx, cyclonedx_xml, spdx2, spdx3, tag_value
from scanner.sbom.model import Component, Sbom, normalised

__all__ = ["Component", "Sbom", "Skipped", "normalised", "read_sbom"]

MAX_BYTES: Final = 24 << 20


def read_sbom(data: bytes) -> Sbom:
    """Read an SBOM: CycloneDX 1.2 to 1.7 in JSON or XML, SPDX 2.2 or 2.3 in JSON or tag-value, SPDX 3.0 in JSON-LD.

    A part that is malformed is listed in ``skipped``; a document that is malformed, of another format or too large is
    refused (``MalformedDocument``, ``DuplicateMember``, ``UnsupportedVersion``, ``LimitExceeded``).
    """
    if len(data) > MAX_BYTES:
        raise LimitExceeded(detail="document bytes", expected=MAX_BYTES, found=len(data))
    digest = of_bytes(data)
    try:
        if cyclonedx_xml.is_xml(data):
            return cyclonedx.read(cyclonedx_xml.decode(data), digest)
        if tag_value.is_tag_value(data):
            return spdx2.read(tag_value.decode(data), digest)
        return _read_json(data, digest)
    except MalformedPart as fault:
        raise MalformedDocument(pointer=fault.pointer, detail=fault.detail) from None


def _read_json(data: bytes, digest: str) -> Sbom:
    document = decode_foreign(data, max_bytes=MAX_BYTES)
    if not isinstance(document, dict):
        raise MalformedPart("", "an SBOM in JSON is an object")
    if document.get("bomFormat") == "CycloneDX":
        return cyclonedx.read(document, digest)
    if "spdxVersion" in document:
        return spdx2.read(document, digest)
    if "@graph" in document:
        return spdx3.read(document, digest)
    raise MalformedPart("", "neither CycloneDX nor SPDX")
