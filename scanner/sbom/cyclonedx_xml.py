"""CycloneDX in XML becomes what its JSON would be, as far as it is read (docs/matching.md section 2.2).

Expat does the lexing. A document type declaration is refused, and with it every entity and every external reference.
"""

import pyexpat
from collections.abc import Mapping
from typing import Any, Final

from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument
from scanner.foreign import Record
from scanner.sbom.model import MAX_COMPONENTS, MAX_EDGES, check_count

MAX_DEPTH: Final = 64
MAX_MARKUP: Final = 1_000_000
"""Elements of a document, and equals signs, for each attribute has one."""

_BOM: Final = b"\xef\xbb\xbf"
_NAMESPACE: Final = "http://cyclonedx.org/schema/bom/"
_ENCODINGS: Final = frozenset({"utf-8", "us-ascii"})

# Element -> the elements in it that are read. The members of _LISTS become arrays, those of _TEXTS texts.
_READ: Final[Mapping[str, frozenset[str]]] = {
    "bom": frozenset({"metadata", "components", "dependencies"}),
    "metadata": frozenset({"component"}),
    "components": frozenset({"component"}),
    "component": frozenset({"name", "version", "purl", "properties", "evidence", "components"}),
    "properties": frozenset({"property"}),
    "evidence": frozenset({"occurrences"}),
    "occurrences": frozenset({"occurrence"}),
    "occurrence": frozenset({"location"}),
    "dependencies": frozenset({"dependency"}),
    "dependency": frozenset({"dependency"}),
}
_LISTS: Final = frozenset({"components", "dependencies", "occurrences", "properties"})
_TEXTS: Final = frozenset({"name", "version", "purl", "location", "property"})
# XML Schema's anyURI drops white space at the ends; the other texts are normalizedString, which keeps it as spaces.
_TRIMMED: Final = frozenset({"purl", "location"})
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "component": ("type", "bom-ref"),
    "property": ("name",),
    "dependency": ("ref",),
}
_LIMITS: Final[Mapping[str, tuple[int, str]]] = {
    "component": (MAX_COMPONENTS, "components of an SBOM"),
    "dependency": (MAX_EDGES, "dependencies of an SBOM"),
}
_SPACES: Final = str.maketrans("\t\r\n", "   ")


def is_xml(data: bytes) -> bool:
    """Tell whether a document can only be XML."""
    return data.removeprefix(_BOM)[:1024].lstrip()[:1] == b"<"


def decode(data: bytes) -> Record:
    """Return a document as its JSON would be, with the members that the CycloneDX reader reads.

    Raises MalformedDocument (with the line), DuplicateMember, LimitExceeded.
    """
    check_count(data.count(b"="), MAX_MARKUP, "attributes of an XML document")
    return _Reader().read(data)


_MAX_DIGITS = 15


class _Reader:
    """Expat's callbacks. ``_open`` has the elements being read, outermost first; ``_skipping`` is the depth below them.

    An element is (name, value, pieces of text): the value a dict, or a list in which its own elements are gathered.
    """

    def __init__(self) -> None:
        self._elements = 0
        self._counts = dict.fromkeys(_LIMITS, 0)
        self._skipping = 0
        self._open: list[tuple[str, Any, list[str]]] = []
        self._document: Record = {}
        self._namespace = ""
        self._deeper: list[Any] = []
        parser = pyexpat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser

    def read(self, data: bytes) -> Record:
        """Return the document."""
        try:
            self._parser.Parse(data, True)  # noqa: FBT003 - the signature of expat
        except pyexpat.ExpatError as error:
            raise MalformedDocument(line=error.lineno, detail=f"not XML: {pyexpat.ErrorString(error.code)}") from None
        dependencies = self._document.get("dependencies")
        if isinstance(dependencies, list):
            dependencies += self._deeper
        return self._document

    def _refuse(self, detail: str) -> MalformedDocument:
        return MalformedDocument(line=self._parser.CurrentLineNumber, detail=detail)

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise self._refuse("an encoding other than UTF-8")

    def _doctype(self, *_parts: object) -> None:
        raise self._refuse("a document type declaration")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        check_count(self._elements, MAX_MARKUP, "elements of an XML document")
        if len(self._open) + self._skipping >= MAX_DEPTH:
            raise LimitExceeded(detail="nesting", expected=MAX_DEPTH)
        namespace, _, name = qualified.rpartition(" ")
        if not self._open and not self._skipping:
            self._root(namespace, name, attributes)
        elif self._skipping or namespace != self._namespace or name not in _READ.get(self._open[-1][0], ()):
            if not self._skipping and name in _READ.get(self._open[-1][0], ()):
                self._misplaced(namespace, name)
            self._skipping += 1
        else:
            if name in _LIMITS:
                self._counts[name] += 1
                check_count(self._counts[name], *_LIMITS[name])
            wanted = _ATTRIBUTES.get(name, ())
            value: Any = [] if name in _LISTS else {one: attributes[one] for one in wanted if one in attributes}
            self._open.append((name, value, []))

    def _misplaced(self, namespace: str, name: str) -> None:
        """Put what no member can be where an element of another CycloneDX, or of no namespace, has a name of ours."""
        if namespace and not namespace.startswith(_NAMESPACE):
            return
        owner, holder, _ = self._open[-1]
        if owner == "dependency":
            holder.setdefault("dependsOn", []).append(False)
        elif isinstance(holder, list):
            holder.append(False)
        else:
            holder[name] = False

    def _root(self, namespace: str, name: str, attributes: dict[str, str]) -> None:
        if name != "bom" or not namespace.startswith(_NAMESPACE):
            raise self._refuse("neither CycloneDX nor SPDX")
        self._namespace = namespace
        self._document["specVersion"] = namespace.removeprefix(_NAMESPACE)
        if "serialNumber" in attributes:
            self._document["serialNumber"] = attributes["serialNumber"]
        version = attributes.get("version", "")
        if version.isascii() and version.isdigit() and len(version) <= _MAX_DIGITS:
            self._document["version"] = int(version)
        self._open.append((name, self._document, []))

    def _characters(self, text: str) -> None:
        if not self._skipping and self._open[-1][0] in _TEXTS:
            self._open[-1][2].append(text)

    def _end(self, _qualified: str) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        name, value, pieces = self._open.pop()
        if name in _TEXTS:
            text = "".join(pieces).translate(_SPACES)
            text = text.strip(" ") if name in _TRIMMED else text
            value = {**value, "value": text} if name == "property" else text
        if self._open:
            self._put(self._open[-1][0], self._open[-1][1], name, value)

    def _put(self, owner: str, holder: Any, name: str, value: Any) -> None:
        """Put a finished element into the one around it."""
        if name == "dependency":
            edges = value.setdefault("dependsOn", [])
            if owner == "dependency":
                holder.setdefault("dependsOn", []).append(value.get("ref"))
                if edges:
                    self._deeper.append(value)
                return
        if isinstance(holder, list):
            holder.append(value)
        elif name in holder:
            raise DuplicateMember(member=name, line=self._parser.CurrentLineNumber)
        else:
            holder[name] = value
