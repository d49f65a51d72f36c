"""OpenVEX 0.0.1 and 0.2.0 (docs/matching.md section 6.1.1).

0.0.1 writes plain strings where 0.2.0 has objects, and puts subcomponents on the statement; either version may use
either form, since documents in the field mix them.
"""

from typing import Final, get_args

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, record, required, text
from scanner.vex.model import Product, Status, Target
from scanner.vex.reading import Reading, instant, named, texts

CONTEXT: Final = "https://openvex.dev/ns"
_VERSIONS: Final = frozenset({"", "/v0.0.0", "/v0.0.1", "/v0.2.0"})
_STATUSES: Final[dict[str, Status]] = {status: status for status in get_args(Status)}


def read(reading: Reading, document: Record) -> None:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    context = required(document, "@context", "")
    if not context.startswith(CONTEXT) or context.removeprefix(CONTEXT) not in _VERSIONS:
        raise UnsupportedVersion(expected="OpenVEX 0.0.1 or 0.2.0", found=ascii(context)[:80])
    reading.by(required(document, "author", ""))
    timestamp = text(document, "timestamp", "")
    statements = _Statements(reading, timestamp)
    for index, value in enumerate(reading.items(document, "statements", "")):
        pointer = f"/statements/{index}"
        try:
            statements.read(record(value, pointer), pointer, index)
        except MalformedPart as fault:
            reading.fail(fault)


class _Statements:
    """The statements of one document, and what they inherit from it."""

    def __init__(self, reading: Reading, timestamp: str | None) -> None:
        self._reading = reading
        self._timestamp = timestamp
        # Most statements of a document name the same few products.
        self._known: dict[tuple[str | None, str | None], Target] = {}

    def read(self, fields: Record, pointer: str, index: int) -> None:
        timestamp, time = instant(text(fields, "timestamp", pointer) or self._timestamp, f"{pointer}/timestamp")
        vulnerabilities = self._vulnerabilities(fields.get("vulnerability"), f"{pointer}/vulnerability")
        status = _STATUSES.get(required(fields, "status", pointer), "unknown")
        justification = text(fields, "justification", pointer)
        shared = self._targets(fields, pointer)
        listed = self._reading.items(fields, "products", pointer)
        if not listed:
            raise MalformedPart(f"{pointer}/products", "missing")
        products = [self._product(value, f"{pointer}/products/{at}", shared) for at, value in enumerate(listed)]
        self._reading.state(
            pointer,
            index=index,
            time=time,
            timestamp=timestamp,
            vulnerabilities=vulnerabilities,
            status=status,
            justification=justification,
            products=products,
        )

    def _product(self, value: JsonValue, pointer: str, shared: tuple[Target, ...]) -> Product:
        own = () if isinstance(value, str) else self._targets(record(value, pointer), pointer)
        if own:
            self._reading.count(len(shared))
        return Product(self._target(value, pointer), own + shared)

    def _targets(self, owner: Record, pointer: str) -> tuple[Target, ...]:
        if owner.get("subcomponents") is None:
            return ()
        listed = self._reading.items(owner, "subcomponents", pointer)
        return tuple(self._target(value, f"{pointer}/subcomponents/{at}") for at, value in enumerate(listed))

    def _target(self, value: JsonValue, pointer: str) -> Target:
        plain = value.get("@id") if isinstance(value, dict) and len(value) == 1 else value
        if isinstance(plain, str) and (known := self._known.get((plain, None))):
            return known
        fields: Record = {"@id": value} if isinstance(value, str) else record(value, pointer)
        name = text(fields, "@id", pointer)
        purl = None
        if fields.get("identifiers"):
            place = f"{pointer}/identifiers"
            purl = text(record(fields["identifiers"], place), "purl", place)
        if name is None and purl is None:
            raise MalformedPart(f"{pointer}/@id", "missing")
        known = self._known.get((name, purl))
        if known is None:
            known = Target(id=name or purl or "", purls=self._reading.purls(pointer, name, purl))
            self._known[name, purl] = known
        return known

    def _vulnerabilities(self, value: JsonValue, pointer: str) -> tuple[str, ...]:
        """Return the name of the vulnerability, then its aliases sorted."""
        if isinstance(value, str):
            if not value:
                raise MalformedPart(pointer, "missing")
            return (value,)
        fields = record(value, pointer)
        name = text(fields, "name", pointer) or required(fields, "@id", pointer)
        if fields.get("aliases") is None:
            return (name,)
        return named(name, texts(self._reading.items(fields, "aliases", pointer), f"{pointer}/aliases"))
