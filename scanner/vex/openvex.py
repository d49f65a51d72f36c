"""OpenVEX 0.0.1 and 0.2.0 (docs/matching.md section 6.1).

0.0.1 writes plain strings where 0.2.0 has objects, and puts subcomponents on the statement; either version may use
either form, since documents in the field mix them.
"""

from typing import Final, get_args

from kit.bytes.canonical import JsonValue, decode_foreign
from kit.bytes.digest import of_bytes
from kit.errors import LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from scanner.foreign import MalformedPart, Record, Unread, items, record, required, text
from scanner.identity import BadPurl, Purl, parse_purl
from scanner.vex.instant import parse_instant
from scanner.vex.model import Instant, Product, Statement, StatementRef, Status, Target, VexDocument

MAX_BYTES: Final = 64 << 20
MAX_NAMES: Final = 500_000
"""How many statements, vulnerabilities, products and parts one document may list, all together."""

_CONTEXT: Final = "https://openvex.dev/ns"
_VERSIONS: Final = frozenset({"", "/v0.0.0", "/v0.0.1", "/v0.2.0"})
_STATUSES: Final[dict[str, Status]] = {status: status for status in get_args(Status)}


def read_openvex(name: str, data: bytes) -> VexDocument:
    """Read one document; ``name`` is what references to its statements call it.

    A malformed statement is listed in ``skipped``; a malformed document is refused (``MalformedDocument``,
    ``DuplicateMember``, ``UnsupportedVersion``, ``LimitExceeded``).
    """
    try:
        document = decode_foreign(data, max_bytes=MAX_BYTES)
    except StellaError as refusal:
        raise type(refusal)(path=name, **refusal.details) from None
    if not isinstance(document, dict):
        raise MalformedDocument(path=name, pointer="", detail="a VEX document is a JSON object")
    try:
        return _Reader(name, of_bytes(data), document).read(document)
    except MalformedPart as fault:
        raise MalformedDocument(path=name, pointer=fault.pointer, detail=fault.detail) from None


class _Reader:
    """The facts of one document that its statements inherit."""

    def __init__(self, name: str, digest: str, document: Record) -> None:
        context = required(document, "@context", "")
        if not context.startswith(_CONTEXT) or context.removeprefix(_CONTEXT) not in _VERSIONS:
            raise UnsupportedVersion(path=name, expected="OpenVEX 0.0.1 or 0.2.0", found=ascii(context)[:80])
        self._name = name
        self._digest = digest
        self._author = required(document, "author", "")
        self._timestamp = text(document, "timestamp", "")
        self._unread = Unread()
        self._left = MAX_NAMES
        # Most statements of a document name the same few products.
        self._known: dict[tuple[str | None, str | None], Target] = {}

    def read(self, document: Record) -> VexDocument:
        statements = []
        for index, value in enumerate(self._items(document, "statements", "")):
            pointer = f"/statements/{index}"
            try:
                statements.append(self._statement(record(value, pointer), pointer, index))
            except MalformedPart as fault:
                self._unread.note_fault(fault)
        return VexDocument(
            self._name, self._digest, "OpenVEX", self._author, tuple(statements), self._unread.in_order()
        )

    def _statement(self, fields: Record, pointer: str, index: int) -> Statement:
        timestamp, time = self._time(fields, pointer)
        shared = self._targets(self._items(fields, "subcomponents", pointer), f"{pointer}/subcomponents")
        products = self._items(fields, "products", pointer)
        if not products:
            raise MalformedPart(f"{pointer}/products", "missing")
        return Statement(
            ref=StatementRef(self._name, self._digest, index),
            author=self._author,
            time=time,
            timestamp=timestamp,
            vulnerabilities=self._vulnerabilities(fields.get("vulnerability"), f"{pointer}/vulnerability"),
            status=_STATUSES.get(required(fields, "status", pointer), "unknown"),
            justification=text(fields, "justification", pointer),
            products=tuple(
                self._product(value, f"{pointer}/products/{at}", shared) for at, value in enumerate(products)
            ),
        )

    def _time(self, fields: Record, pointer: str) -> tuple[str, Instant]:
        timestamp = text(fields, "timestamp", pointer) or self._timestamp
        time = parse_instant(timestamp) if timestamp else None
        if timestamp is None or time is None:
            raise MalformedPart(f"{pointer}/timestamp", "neither statement nor document has an RFC 3339 time")
        return timestamp, time

    def _product(self, value: JsonValue, pointer: str, shared: tuple[Target, ...]) -> Product:
        if isinstance(value, str):
            return Product(self._target(value, pointer), shared)
        own = self._targets(self._items(record(value, pointer), "subcomponents", pointer), f"{pointer}/subcomponents")
        return Product(self._target(value, pointer), own + shared)

    def _targets(self, values: list[JsonValue], pointer: str) -> tuple[Target, ...]:
        return tuple(self._target(value, f"{pointer}/{at}") for at, value in enumerate(values))

    def _target(self, value: JsonValue, pointer: str) -> Target:
        fields: Record = {"@id": value} if isinstance(value, str) else record(value, pointer)
        name = text(fields, "@id", pointer)
        identifiers = record(fields.get("identifiers") or {}, f"{pointer}/identifiers")
        purl = text(identifiers, "purl", f"{pointer}/identifiers")
        if name is None and purl is None:
            raise MalformedPart(f"{pointer}/@id", "missing")
        known = self._known.get((name, purl))
        if known is None:
            known = self._known[name, purl] = Target(name or purl or "", self._purls(pointer, name, purl))
        return known

    def _purls(self, pointer: str, *candidates: str | None) -> tuple[Purl, ...]:
        """Parse those candidates that are package URLs; a broken one matches nothing and is noted, once."""
        found = []
        for candidate in candidates:
            if candidate is not None and candidate[:4].lower() == "pkg:":
                try:
                    found.append(parse_purl(candidate))
                except BadPurl as fault:
                    self._unread.note(pointer, "bad-purl", str(fault))
        return tuple(dict.fromkeys(found))

    def _vulnerabilities(self, value: JsonValue, pointer: str) -> tuple[str, ...]:
        """Return the name of the vulnerability, then its aliases sorted."""
        if isinstance(value, str):
            if not value:
                raise MalformedPart(pointer, "missing")
            return (value,)
        fields = record(value, pointer)
        name = text(fields, "name", pointer) or required(fields, "@id", pointer)
        aliases = set()
        for at, alias in enumerate(self._items(fields, "aliases", pointer)):
            if not isinstance(alias, str):
                raise MalformedPart(f"{pointer}/aliases/{at}", "not a string")
            aliases.add(alias)
        return (name, *sorted(aliases - {name, ""}))

    def _items(self, owner: Record, name: str, pointer: str) -> list[JsonValue]:
        """Return a list of the document, within the limit for all its lists together."""
        values = items(owner, name, pointer)
        self._left -= len(values)
        if self._left < 0:
            raise LimitExceeded(path=self._name, detail="statements and names in a VEX document", expected=MAX_NAMES)
        return values
