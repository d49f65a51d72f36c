"""SPDX 2.2 and 2.3 in tag-value become what the JSON would be, as far as it is read (docs/matching.md section 2.4)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument
from scanner.foreign import Record
from scanner.sbom.model import components_within, edges_within

MAX_LINES: Final = 1_000_000
"""Lines of a document; a large one may have one in 20 bytes."""

_LEAST_BYTES: Final = 20
_HEAD: Final = 1 << 16

_DOCUMENT: Final[Mapping[str, str]] = {"SPDXVersion": "spdxVersion", "SPDXID": "SPDXID", "DocumentName": "name"}
_PACKAGE: Final[Mapping[str, str]] = {
    "SPDXID": "SPDXID",
    "PackageVersion": "versionInfo",
    "PackageSourceInfo": "sourceInfo",
    "PrimaryPackagePurpose": "primaryPackagePurpose",
}
_FILE: Final[Mapping[str, str]] = {"SPDXID": "SPDXID"}
_REFERENCE: Final = ("referenceCategory", "referenceType", "referenceLocator")
_RELATIONSHIP: Final = ("spdxElementId", "relationshipType", "relatedSpdxElement")


def is_tag_value(data: bytes) -> bool:
    """Tell whether a document's first tag is that of the SPDX version."""
    lines = (line.strip() for line in data[:_HEAD].split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"").startswith(b"SPDXVersion:")


def decode(data: bytes) -> Record:
    """Return a document as its JSON would be, with the members that the SPDX reader reads.

    Raises MalformedDocument (with the line), DuplicateMember, LimitExceeded.
    """
    limit = max(MAX_LINES, len(data) // _LEAST_BYTES)
    lines = data.count(b"\n")
    if lines > limit:
        raise LimitExceeded(detail="lines of a document", expected=limit, found=lines)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedDocument(detail="not UTF-8", offset=error.start) from None
    packages: list[Any] = []
    relationships: list[Any] = []
    files: list[Any] = []
    document: Record = {"packages": packages, "relationships": relationships, "files": files}
    section: Record | None = document
    members = _DOCUMENT
    for number, tag, value in _tags(text):
        if tag == "PackageName":
            section, members = {"name": value}, _PACKAGE
            components_within(packages).append(section)
        elif tag == "FileName":
            section, members = {}, _FILE
            files.append(section)
        elif tag == "SnippetSPDXID":
            section, members = None, {}
            files.append({"SPDXID": value})
        elif tag == "LicenseID":
            section, members = None, {}
        elif tag == "Relationship":
            edges_within(relationships).append(_parts(value.split(maxsplit=3), _RELATIONSHIP))
        elif tag == "RelationshipComment" and relationships:
            relationships[-1]["comment"] = value
        elif tag == "ExternalRef" and members is _PACKAGE and section is not None:
            references: Any = section.setdefault("externalRefs", [])
            references.append(_parts(value.split(maxsplit=2), _REFERENCE))
        elif section is not None and tag in members:
            if members[tag] in section:
                raise DuplicateMember(member=tag, line=number)
            section[members[tag]] = value
    return document


def _parts(values: list[str], names: tuple[str, ...]) -> Record:
    """Return the parts of a value by name; none where they are too many, so that the reader finds them missing."""
    return dict(zip(names, values, strict=False)) if len(values) <= len(names) else {}


def _tags(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, tag, value); a value in ``<text>`` goes on to the line that has ``</text>``."""
    lines = enumerate(text.split("\n"), start=1)
    for number, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        tag, colon, value = line.partition(":")
        if not colon or not tag.isalnum():
            raise MalformedDocument(line=number, detail="not a tag and a value")
        value = value.strip()
        if value.startswith("<text>"):
            pieces = [value.removeprefix("<text>")]
            while "</text>" not in pieces[-1]:
                following = next(lines, None)
                if following is None:
                    raise MalformedDocument(line=number, detail="a text without an end")
                pieces.append(following[1])
            value = "\n".join(pieces).partition("</text>")[0]
        yield number, tag, value
